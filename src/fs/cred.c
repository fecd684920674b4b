/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose rights a thread has. The C library's functions of these names change all threads; the system calls,
 * used here, change the calling thread alone. Each thread remembers what it last set, so that only
 * differences cost a call.
 */
#include "fs/cred.h"

#include "fs/idmap.h"
#include "fs/internal.h"
#include "fs/xattrmap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_BIT(c)   (1ULL << (c))
#define GROUPS_KEPT  8	 /* sets up to this size are remembered */
#define GROUPS_MOST  256 /* more come with no creating request */
#define DROP_NONE    0ULL
#define DROP_FSETID  CAP_BIT(CAP_FSETID)
#define DROP_CHECKED (DROP_FSETID | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH))

/* What the daemon is, from cred_setup() on. */
static struct {
	uid_t uid;
	gid_t gid;
	bool groups_fixed; /* a user namespace that forbids setgroups */
	/* cred_setup() has been here, in this process or before it was made; with cfg->change_creds. */
	bool set_up, may_change;
} daemon_self;

/* What the thread is now. */
static _Thread_local struct {
	bool known; /* the fields below are true */
	uid_t uid;
	gid_t gid;
	uint32_t ngroups; /* GROUPS_KEPT + 1: some larger set */
	uint32_t groups[GROUPS_KEPT];
	uint64_t dropped; /* capabilities taken out of the effective set */
	uint64_t effective, permitted, inheritable;
	bool own_fs; /* umask and working directory are no other thread's */
	mode_t umask;
} now;

static int caps_load(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		return -errno;
	now.effective = (uint64_t)d[1].effective << 32 | d[0].effective;
	now.permitted = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	now.inheritable = (uint64_t)d[1].inheritable << 32 | d[0].inheritable;
	return 0;
}

static int caps_drop(uint64_t drop)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	uint64_t e = now.effective & ~drop;

	if (now.dropped == drop)
		return 0;
	for (int i = 0; i < 2; i++)
		d[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(e >> 32 * i),
			.permitted = (uint32_t)(now.permitted >> 32 * i),
			.inheritable = (uint32_t)(now.inheritable >> 32 * i)};
	if (syscall(SYS_capset, &h, d))
		return -errno;
	now.dropped = drop;
	return 0;
}

/* The call never says whether it worked: it returns the value from before. */
static int set_uid(uid_t uid)
{
	if (now.uid == uid)
		return 0;
	syscall(SYS_setfsuid, uid);
	if (uid == (uid_t)-1 || (uid_t)syscall(SYS_setfsuid, -1) != uid)
		return -EPERM;
	now.uid = uid;
	return 0;
}

static int set_gid(gid_t gid)
{
	if (now.gid == gid)
		return 0;
	syscall(SYS_setfsgid, gid);
	if (gid == (gid_t)-1 || (gid_t)syscall(SYS_setfsgid, -1) != gid)
		return -EPERM;
	now.gid = gid;
	return 0;
}

static int set_groups(uint32_t n, const uint32_t *groups)
{
	if (daemon_self.groups_fixed)
		return 0; /* the caller has fewer rights than he could have */
	if (n > GROUPS_MOST)
		return -EINVAL;
	if (n == now.ngroups && !(n && memcmp(groups, now.groups, n * sizeof(*groups))))
		return 0;
	now.ngroups = GROUPS_KEPT + 1;
	if (syscall(SYS_setgroups, (size_t)n, groups))
		return -EPERM;
	if (n > GROUPS_KEPT)
		return 0;
	now.ngroups = n;
	if (n)
		memcpy(now.groups, groups, n * sizeof(*groups));
	return 0;
}

/* A new thread inherits what the one that made it was at that moment. */
static int know(void)
{
	int r;

	if (now.known)
		return 0;
	r = caps_load();
	if (r)
		return r;
	now.uid = (uid_t)syscall(SYS_setfsuid, -1);
	now.gid = (gid_t)syscall(SYS_setfsgid, -1);
	now.ngroups = GROUPS_KEPT + 1;
	now.effective = now.permitted;
	now.dropped = ~0ULL; /* unlike any set: the first caps_drop() sets it */
	now.known = true;
	return 0;
}

static int become(uid_t uid, gid_t gid, uint32_t n, const uint32_t *groups, uint64_t drop)
{
	int r = know();

	if (!r)
		r = set_groups(n, groups);
	if (!r)
		r = set_gid(gid);
	if (!r)
		r = set_uid(uid);
	return r ? r : caps_drop(drop);
}

int cred_setup(const struct fs_config *cfg, struct err *err)
{
	int bits;

	if (daemon_self.set_up && (daemon_self.may_change || !cfg->change_creds))
		return 0;
	umask(0);
	daemon_self.uid = geteuid();
	daemon_self.gid = getegid();
	daemon_self.set_up = true;
	if (!cfg->change_creds)
		return 0;
	bits = prctl(PR_GET_SECUREBITS);
	if (bits < 0 || prctl(PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP))
		return err_sys(err, errno, "cannot keep capabilities while acting as a guest's user");
	if (setgroups(0, NULL)) {
		if (errno != EPERM)
			return err_sys(err, errno, "cannot give up the supplementary groups");
		daemon_self.groups_fixed = true;
	}
	daemon_self.may_change = true;
	return 0;
}

int cred_daemon(struct fs *fs)
{
	if (!fs->cfg.change_creds)
		return 0;
	return become(daemon_self.uid, daemon_self.gid, 0, NULL, DROP_NONE);
}

int cred_daemon_at(struct fs *fs, const struct inode_use *u)
{
	if (!fs->cfg.change_creds || inode_fs_traits(fs->inodes, u->inode, u->fd) & INODE_FS_QUIET)
		return 0;
	return cred_daemon(fs);
}

int cred_daemon_by(struct fs *fs, struct handle *h)
{
	if (!fs->cfg.change_creds || handle_fs_traits(fs->handles, h) & INODE_FS_QUIET)
		return 0;
	return cred_daemon(fs);
}

/* The caller as the host knows him. */
struct host_ids {
	uint32_t uid, gid;
	uint32_t nsupp;
	const uint32_t *supp; /* into @groups where those are translated */
	uint32_t groups[GROUPS_MOST];
};

static int translate_groups(const struct fs *fs, const struct op_ctx *c, struct host_ids *h)
{
	int r = 0;

	h->nsupp = c->nsupp;
	h->supp = c->supp;
	if (!fs->cfg.gids || !c->nsupp)
		return 0;
	if (c->nsupp > GROUPS_MOST)
		return -EINVAL;
	for (uint32_t i = 0; i < c->nsupp && !r; i++)
		r = idmap_to_host(fs->cfg.gids, c->supp[i], &h->groups[i]);
	h->supp = h->groups;
	return r;
}

static int translate(const struct fs *fs, const struct op_ctx *c, struct host_ids *h)
{
	int r = idmap_to_host(fs->cfg.uids, c->uid, &h->uid);

	if (!r)
		r = idmap_to_host(fs->cfg.gids, c->gid, &h->gid);
	return r ? r : translate_groups(fs, c, h);
}

static int kill_priv(struct fs *fs, const struct op_ctx *c, uint32_t n, const uint32_t *groups)
{
	uint32_t gid;
	int r;

	if (!fs->cfg.change_creds)
		return 0;
	r = idmap_to_host(fs->cfg.gids, c->gid, &gid);
	if (!r)
		r = become(daemon_self.uid, gid, n, groups, DROP_FSETID);
	if (r == -EPERM) /* a group that does not exist here has no members either */
		r = become(daemon_self.uid, daemon_self.gid, 0, NULL, DROP_FSETID);
	return r;
}

int cred_daemon_kill_priv(struct fs *fs, const struct op_ctx *c)
{
	return kill_priv(fs, c, 0, NULL);
}

int cred_daemon_kill_priv_of(struct fs *fs, const struct op_ctx *c, gid_t gid)
{
	return kill_priv(fs, c, c->uid && gid != (gid_t)-1 ? 1 : 0, &gid);
}

/* What root of the guest may do follows from his id there, whoever he is on the host. */
static int become_caller(struct fs *fs, const struct op_ctx *c, uint64_t drop)
{
	struct host_ids h;
	int r = translate(fs, c, &h);

	if (r || !fs->cfg.change_creds)
		return r;
	return become(h.uid, h.gid, h.nsupp, h.supp, c->uid ? drop : DROP_NONE);
}

int cred_caller(struct fs *fs, const struct op_ctx *c)
{
	return become_caller(fs, c, DROP_FSETID);
}

int cred_caller_checked(struct fs *fs, const struct op_ctx *c)
{
	return become_caller(fs, c, DROP_CHECKED);
}

/*
 * The umask is one with the working directory, and threads share them until one leaves. A thread that was
 * made by one that has left shares with that one, and copies whatever umask it has at that moment.
 */
static int set_umask(mode_t mask)
{
	if (now.own_fs && now.umask == mask)
		return 0;
	if (!now.own_fs && unshare(CLONE_FS))
		return -errno;
	now.own_fs = true;
	umask(mask);
	now.umask = mask;
	return 0;
}

/* The label that the thread's next inodes get, none with @len 0. False: this kernel has no such thing for
 * @name. */
static bool set_create_label(struct fs *fs, const char *name, const void *label, size_t len)
{
	char path[64], host[XATTR_NAME_MAX + 1];
	bool done;
	int fd;

	if (xattrmap_to_host(fs->cfg.xattrmap, name, host) || strcmp(host, "security.selinux"))
		return false;
	snprintf(path, sizeof(path), "../task/%ld/attr/fscreate", syscall(SYS_gettid));
	fd = TEMP_FAILURE_RETRY(openat(fs->cfg.proc_self_fd, path, O_WRONLY | O_CLOEXEC));
	if (fd < 0)
		return false;
	done = write(fd, label, len) == (ssize_t)len;
	close(fd);
	return done;
}

static bool has_label(const struct fs *fs, const struct op_mode *m)
{
	return fs->features.security_ctx && m->secctx_name;
}

int cred_create_begin(struct fs *fs, const struct op_ctx *c, const struct op_mode *m, bool *label_left)
{
	int r = cred_caller(fs, c);

	*label_left = false;
	if (!r && fs->features.posix_acl)
		r = set_umask(m->umask & 0777);
	if (!r && has_label(fs, m))
		*label_left = !set_create_label(fs, m->secctx_name, m->secctx, m->secctx_len);
	return r;
}

void cred_create_end(struct fs *fs, const struct op_mode *m)
{
	if (fs->features.posix_acl)
		set_umask(0);
	if (has_label(fs, m))
		set_create_label(fs, m->secctx_name, NULL, 0);
}

bool cred_has(unsigned int cap)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	return !syscall(SYS_capget, &h, d) && d[cap / 32].effective & 1u << cap % 32;
}
