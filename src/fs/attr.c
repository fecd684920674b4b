/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes: getattr, setattr, statfs, access. By the inode's descriptor, never by a name. Threads: any. */
#include "fs/internal.h"

#include "base/cleanup.h"
#include "fs/cred.h"
#include "fs/idmap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000

int fs_stat(const struct fs *fs, int fd, const char *name, int flags, struct statx *st)
{
	if (statx(fd, name, flags, FS_STATX_MASK, st))
		return -errno;
	st->stx_uid = idmap_to_guest(fs->cfg.uids, st->stx_uid);
	st->stx_gid = idmap_to_guest(fs->cfg.gids, st->stx_gid);
	return 0;
}

void fs_number(const struct fs *fs, struct nodeid node, struct statx *st)
{
	uint64_t ino = st->stx_ino;

	if (fs->features.submounts)
		inode_number_mounted(fs->inodes, node, inode_key_of(st).dev, &ino);
	else
		inode_number(fs->inodes, inode_key_of(st).dev, &ino);
	st->stx_ino = ino;
	if ((st->stx_mode & (S_IFMT | S_ISGID | S_IXGRP)) == (S_IFREG | S_ISGID))
		inode_mark(fs->inodes, node, INODE_SGID);
}

static int stat_fd(const struct fs *fs, int fd, struct nodeid node, struct op_entry *out)
{
	int r = fs_stat(fs, fd, "", AT_EMPTY_PATH, &out->st);

	out->attr_flags = r ? 0 : fs_window_mark(fs, &out->st);
	if (!r)
		fs_number(fs, node, &out->st);
	return r;
}

int fs_op_getattr(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint32_t mask,
	struct op_entry *out)
{
	struct handle *h = handle_get(fs->handles, node, fh, false);
	autoinode struct inode_use u = {0};
	int r;

	(void)mask;
	if (h) {
		r = cred_daemon_by(fs, h);
		r = r ? r : stat_fd(fs, h->fd, node, out);
		handle_put(fs->handles, h);
	} else {
		r = inode_use(fs->inodes, node, &u);
		r = r ? r : cred_daemon_at(fs, &u);
		r = r ? r : stat_fd(fs, u.fd, node, out);
	}
	out->node = node;
	return r ? r : fs_window_seen(fs, c, out);
}

/* What SETATTR acts on: the inode, and the file opened on it if the request names one. */
struct target {
	struct nodeid node;
	int path_fd;
	uint32_t type;
	const struct handle *file;
};

/* For calls that take no O_PATH descriptor: the name in /proc/self/fd, which leads to the inode itself. */
struct proc_name {
	char s[16];
};

static struct proc_name proc_name(int fd)
{
	struct proc_name n;

	snprintf(n.s, sizeof(n.s), "%d", fd);
	return n;
}

/* The owner as the host's kernel gets it. */
static int host_owner(const struct fs *fs, const struct op_setattr *a, uid_t *uid, gid_t *gid)
{
	int r = 0;

	*uid = *gid = IDMAP_NONE;
	if ((a->valid & OP_SET_UID && a->uid == IDMAP_NONE) ||
		(a->valid & OP_SET_GID && a->gid == IDMAP_NONE))
		return -EINVAL;
	if (a->valid & OP_SET_UID)
		r = idmap_to_host(fs->cfg.uids, a->uid, uid);
	if (!r && a->valid & OP_SET_GID)
		r = idmap_to_host(fs->cfg.gids, a->gid, gid);
	return r;
}

static int set_owner(struct fs *fs, struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	unsigned int tries = 0;
	uid_t uid;
	gid_t gid;
	int r = host_owner(fs, a, &uid, &gid);

	if (r)
		return r;
	/*
	 * The host's kernel takes SUID, SGID with group execution and file capabilities away at every chown,
	 * whoever makes it. Only SGID without group execution stays with CAP_FSETID; OP_SET_KILL_SUIDGID
	 * comes with every chown and says nothing of that. Only members of a group give files to it.
	 */
	r = c->uid ? cred_daemon_kill_priv_of(fs, c, gid) : cred_daemon(fs);
	if (!r)
		r = fs_drop_capability(fs, t->path_fd);
	if (r)
		return r;
	do {
		r = fchownat(t->path_fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	} while (r && fs_again(c, &tries));
	return r ? -errno : 0;
}

static int truncate_file(struct fs *fs, const struct op_ctx *c, const struct target *t, uint64_t size)
{
	autofd int own = -1;
	unsigned int tries = 0;
	int fd, r;

	if (t->type != S_IFREG)
		return t->type == S_IFDIR ? -EISDIR : -EINVAL;
	if (size > INT64_MAX)
		return -EFBIG;
	if (t->file && (t->file->flags & O_ACCMODE) != O_RDONLY)
		fd = t->file->fd;
	else
		fd = own = fs_reopen(fs, c, t->path_fd, t->type, O_WRONLY);
	if (fd < 0)
		return fd;
	do {
		r = ftruncate(fd, (off_t)size);
	} while (r && fs_again(c, &tries));
	return r ? -errno : 0;
}

static int set_size(struct fs *fs, struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	int r;

	if (a->valid & OP_SET_KILL_SUIDGID)
		r = fs_become_killer(fs, c, t->node, t->path_fd);
	else if (a->valid & OP_SET_MODE ||
		 fs->features.killpriv_v2) /* the former: set_mode() takes away what must go */
		r = cred_daemon(fs);
	else
		r = fs_become_writer(fs, c, t->node, t->path_fd, true);
	if (!r)
		r = fs_drop_capability(fs, t->path_fd);
	return r ? r : truncate_file(fs, c, t, a->size);
}

/*
 * Linux guests take SUID away by a SETATTR of the mode when somebody writes, and leave SGID without group
 * execution in it. Together with a size, or from a user who does not own the file, it is no chmod.
 */
static bool is_kill_of_suid(
	const struct fs *fs, const struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	uint32_t mode = a->mode;
	struct statx st;
	uint32_t uid;

	if (!c->uid || t->type != S_IFREG || (mode & (S_ISUID | S_ISGID | S_IXGRP)) != S_ISGID)
		return false;
	if (statx(t->path_fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, &st) ||
		idmap_to_host(fs->cfg.uids, c->uid, &uid))
		return false;
	return (a->valid & OP_SET_SIZE || st.stx_uid != uid) &&
	       (st.stx_mode & 07777) == ((mode & 07777) | S_ISUID);
}

/* The same at a chown, where the host's kernel has taken away what must go, by its newer rule. */
static bool is_kill_at_chown(const struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	struct statx st;

	if (!c->uid || !(a->valid & (OP_SET_UID | OP_SET_GID)) || a->mode & S_ISUID)
		return false;
	if (statx(t->path_fd, "", AT_EMPTY_PATH, STATX_MODE, &st))
		return false;
	return !((st.stx_mode ^ a->mode) & 01777);
}

/* With CAP_FSETID: whether the caller may set SGID was the guest's to judge. */
static int set_mode(struct fs *fs, struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	struct proc_name n = proc_name(t->path_fd);
	int r = is_kill_of_suid(fs, c, t, a) ? fs_become_killer(fs, c, t->node, t->path_fd) : cred_daemon(fs);

	if (r)
		return r;
	if (t->type == S_IFLNK)
		return -EOPNOTSUPP;
	return fchmodat(fs->cfg.proc_self_fd, n.s, a->mode & 07777, 0) ? -errno : 0;
}

static int time_of(
	uint32_t valid, uint32_t set, uint32_t set_now, const struct timespec *in, struct timespec *out)
{
	*out = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (valid & set_now)
		out->tv_nsec = UTIME_NOW;
	else if (valid & set)
		*out = *in;
	/* The two special values are ours to say, not the guest's. */
	return !(valid & set_now) && valid & set && (in->tv_nsec < 0 || in->tv_nsec >= NSEC_PER_SEC) ? -EINVAL
												     : 0;
}

static int set_times(struct fs *fs, const struct target *t, const struct op_setattr *a)
{
	struct proc_name n = proc_name(t->path_fd);
	struct timespec ts[2];
	int r = cred_daemon(fs);

	if (!r)
		r = time_of(a->valid, OP_SET_ATIME, OP_SET_ATIME_NOW, &a->atime, &ts[0]);
	if (!r)
		r = time_of(a->valid, OP_SET_MTIME, OP_SET_MTIME_NOW, &a->mtime, &ts[1]);
	if (r)
		return r;
	if (!utimensat(t->path_fd, "", ts, AT_EMPTY_PATH))
		return 0;
	if (errno != EINVAL || t->type == S_IFLNK) /* EINVAL: Linux before 5.8 */
		return -errno;
	return utimensat(fs->cfg.proc_self_fd, n.s, ts, 0) ? -errno : 0;
}

/*
 * A request to change nothing: with KILLPRIV_V2 Linux sends one for a chown that leaves the owner, and ahead
 * of what takes SUID and SGID from a file.
 */
static int set_nothing(struct fs *fs, struct op_ctx *c, const struct target *t)
{
	int r = fs_become_writer(fs, c, t->node, t->path_fd, false);

	if (!r)
		r = fs_drop_capability(fs, t->path_fd);
	if (!r && fchownat(t->path_fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		r = -errno;
	return r;
}

/*
 * The owner first, because that may take mode bits away; the mode behind the size, because truncation may
 * too, and because the new mode may forbid it to a daemon that is not root; the times last, because all else
 * changes them.
 */
static int set_all(struct fs *fs, struct op_ctx *c, const struct target *t, const struct op_setattr *a)
{
	const uint32_t times = OP_SET_ATIME | OP_SET_MTIME | OP_SET_ATIME_NOW | OP_SET_MTIME_NOW;
	int r = 0;

	if (fs->features.killpriv_v2 && !(a->valid & ~(uint32_t)OP_SET_CTIME))
		return set_nothing(fs, c, t);
	if (a->valid & (OP_SET_UID | OP_SET_GID))
		r = set_owner(fs, c, t, a);
	if (!r && a->valid & OP_SET_SIZE)
		r = set_size(fs, c, t, a);
	if (!r && a->valid & OP_SET_MODE && !is_kill_at_chown(c, t, a))
		r = set_mode(fs, c, t, a);
	if (!r && a->valid & times)
		r = set_times(fs, t, a);
	return r;
}

int fs_op_setattr(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
	const struct op_setattr *a, struct op_entry *out)
{
	struct effect e = {.kind = a->valid & OP_SET_SIZE ? EFFECT_DATA : EFFECT_ATTR,
		.idempotent = !(a->valid & (OP_SET_ATIME_NOW | OP_SET_MTIME_NOW)),
		.node = {node},
		.nodes = 1,
		.unique = c->unique,
		.ctx = c,
		.change = {.off = a->size, .len = UINT64_MAX, .cuts = true}};
	autoinode struct inode_use u = {0};
	struct target t;
	int r = inode_use(fs->inodes, node, &u);

	e.change.fd = u.fd;
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	t = (struct target){.node = node, .path_fd = u.fd, .type = u.inode->key.type};
	struct handle *h = handle_get(fs->handles, node, fh, false);
	t.file = h;
	r = (int)effect_end(fs, &e, set_all(fs, c, &t, a));
	handle_put(fs->handles, h);
	return r ? r : stat_fd(fs, u.fd, node, out);
}

int fs_op_statfs(struct fs *fs, struct op_ctx *c, struct nodeid node, struct statvfs *out)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(fs->inodes, node, &u);

	(void)c;
	if (!r)
		r = cred_daemon_at(fs, &u);
	if (r)
		return r;
	return fstatvfs(u.fd, out) ? -errno : 0;
}

static bool is_member(const struct op_ctx *c, uint32_t gid)
{
	bool member = c->gid == gid;

	for (uint32_t i = 0; i < c->nsupp && !member; i++)
		member = c->supp[i] == gid;
	return member;
}

/*
 * Linux before 5.8 has no call that judges by the ids that we act with. ENOSYS would tell the guest that all
 * is allowed for good; the mode judges, as in libraries on such kernels. What opening does later is the
 * host's to judge.
 */
static int access_by_mode(const struct fs *fs, const struct op_ctx *c, int fd, uint32_t mask)
{
	struct statx st;
	uint32_t bits;
	int r = fs_stat(fs, fd, "", AT_EMPTY_PATH, &st);

	if (r)
		return r;
	bits = st.stx_mode;
	if (!c->uid)
		bits |= R_OK | W_OK | (S_ISDIR(bits) || bits & 0111 ? X_OK : 0);
	else if (c->uid == st.stx_uid)
		bits >>= 6;
	else if (is_member(c, st.stx_gid))
		bits >>= 3;
	return mask & ~bits ? -EACCES : 0;
}

/* Asked only by guests that leave permissions to us. The host judges, mode and ACL alike, as for that user.
 */
int fs_op_access(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t mask)
{
	autoinode struct inode_use u = {0};
	int r = mask & ~(uint32_t)(R_OK | W_OK | X_OK) ? -EINVAL : inode_use(fs->inodes, node, &u);
	int back;

	if (r)
		return r;
	if (mask & W_OK && fs->cfg.readonly)
		return -EROFS;
	r = cred_caller_checked(fs, c);
	if (!r && syscall(SYS_faccessat2, u.fd, "", mask, AT_EACCESS | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		r = -errno;
	if (r == -ENOSYS)
		r = access_by_mode(fs, c, u.fd, mask);
	back = cred_daemon(fs);
	return r ? r : back;
}
