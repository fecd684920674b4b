/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names: the only place where a guest's name meets the host, always as one checked component beneath a
 * directory's descriptor, and never followed. Threads: any.
 */
#include "fs/internal.h"

#include "base/cleanup.h"
#include "base/tune.h"
#include "fs/cred.h"
#include "fs/name.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define RENAME_FLAGS (RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)

/* What openat() may get of a guest's flags: what names, creates or waits is not among them. */
#define REOPEN_FLAGS \
	(O_ACCMODE | O_TRUNC | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME | O_DIRECTORY | O_LARGEFILE)

int fs_reopen(struct fs *fs, const struct op_ctx *c, int path_fd, uint32_t type, uint32_t flags)
{
	unsigned int tries = 0;
	char name[16];
	int fd;

	if (type != S_IFREG && type != S_IFDIR)
		return type == S_IFLNK ? -ELOOP : -ENXIO;
	flags &= REOPEN_FLAGS;
	if (!fs->cfg.allow_direct_io)
		flags &= ~(uint32_t)O_DIRECT;
	snprintf(name, sizeof(name), "%d", path_fd);
	do {
		fd = openat(fs->cfg.proc_self_fd, name, (int)flags | O_NOCTTY | O_CLOEXEC);
	} while (fd < 0 && fs_again(c, &tries));
	return fd < 0 ? -errno : fd;
}

/*
 * Only mounts are announced as such. A device may change within one, as subvolumes and layers of overlays
 * are, and then the host renames what the guest could not; Linux 6.1 crashes when it renames such a
 * directory.
 */
static void crossed(struct fs *fs, const struct inode_use *dir, const char *name, const struct inode_key *key,
	struct op_entry *out)
{
	bool mount = key->mnt_id != dir->inode->key.mnt_id;
	uint8_t flags = key->dev != dir->inode->key.dev || inode_mixes(dir->inode) ? INODE_MIXED : 0;

	if (mount && name)
		inode_crossed(fs->inodes, out->node, dir->inode, name);
	if (mount && key->type == S_IFDIR)
		flags |= INODE_MOUNT;
	inode_mark(fs->inodes, out->node, flags);
	if (flags & INODE_MOUNT && fs->features.submounts)
		out->attr_flags |= OP_ATTR_SUBMOUNT;
}

void fs_found(struct fs *fs, const struct inode_use *dir, const char *name, struct op_entry *out)
{
	const struct inode_key *above = &dir->inode->key;
	struct inode_key key = inode_key_of(&out->st);

	out->attr_flags = fs_window_mark(fs, &out->st);
	if (key.mnt_id != above->mnt_id || key.dev != above->dev || inode_mixes(dir->inode))
		crossed(fs, dir, name, &key, out);
	fs_number(fs, out->node, &out->st);
}

/* What the name means is opened first, and examined then, so that both are about one inode. 0, 1 if it is new
 * to the guest, or -errno. */
static int learn_name(struct fs *fs, struct op_ctx *c, int dir, const char *name, struct op_entry *out)
{
	struct inode_key key;
	int r;

	autofd int fd = TEMP_FAILURE_RETRY(openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0)
		return -errno;
	r = fs_stat(fs, fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, &out->st);
	if (r)
		return r;
	key = inode_key_of(&out->st);
	return inode_learn(fs->inodes, &key, fd_take(&fd), c, &out->node);
}

/* One system call if the guest knows what it means, three if not. */
static int learn_known(struct fs *fs, struct op_ctx *c, int dir, const char *name, struct op_entry *out)
{
	struct inode_key key;
	int r = fs_stat(fs, dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, &out->st);

	if (r)
		return r;
	key = inode_key_of(&out->st);
	if (!inode_learn_known(fs->inodes, &key, dir, name, &out->node))
		return learn_name(fs, c, dir, name, out);
	op_counted(c, out->node);
	return 0;
}

/* Programs go through directories: most names are new where the last one was, and known where that was. */
int fs_lookup_at(struct fs *fs, struct op_ctx *c, const struct inode_use *parent, const char *name,
	struct op_entry *out)
{
	bool ask_first = !tune.lookup_guess || inode_expects_known(parent->inode);
	int r = ask_first ? learn_known(fs, c, parent->fd, name, out)
			  : learn_name(fs, c, parent->fd, name, out);

	if (r < 0)
		return r;
	inode_expect_known(parent->inode, !r);
	fs_found(fs, parent, name, out);
	return 0;
}

void fs_lookup_undo(struct fs *fs, struct op_ctx *c, const struct op_entry *e)
{
	op_counted(c, (struct nodeid){0});
	inode_forget(fs->inodes, e->node, 1);
}

/* The door: a name that may be used, in a directory that is there. */
static int enter(struct fs *fs, struct nodeid parent, const char *name, struct inode_use *dir)
{
	int r = name_check(name);

	return r ? r : inode_use(fs->inodes, parent, dir);
}

int fs_lookup_shown(
	struct fs *fs, struct op_ctx *c, const struct inode_use *dir, const char *name, struct op_entry *out)
{
	int r = fs_lookup_at(fs, c, dir, name, out);

	if (r)
		return r;
	r = fs_window_seen(fs, c, out);
	if (r)
		fs_lookup_undo(fs, c, out);
	return r;
}

int fs_op_lookup(
	struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name, struct op_entry *out)
{
	autoinode struct inode_use dir = {0};
	int r = enter(fs, parent, name, &dir);

	if (!r)
		r = cred_daemon_at(fs, &dir);
	return r ? r : fs_lookup_shown(fs, c, &dir, name, out);
}

void fs_op_forget(struct fs *fs, struct nodeid node, uint64_t nlookup)
{
	if (inode_forget(fs->inodes, node, nlookup) && fs->kept)
		kept_forget(fs->kept, node);
}

/* From Linux's 32-bit encoding, which FUSE carries. */
static dev_t decode_dev(uint32_t v)
{
	return makedev((v & 0xfff00) >> 8, (v & 0xff) | (v >> 12 & 0xfff00));
}

static int create_name(int dir, const char *name, const struct op_mode *m, const char *target)
{
	int r;

	if (target)
		r = symlinkat(target, dir, name);
	else if (S_ISDIR(m->mode))
		r = mkdirat(dir, name, m->mode & 07777);
	else
		r = mknodat(dir, name, m->mode, decode_dev(m->rdev));
	return r ? -errno : 0;
}

static int label_name(const struct fs *fs, int dir, const char *name, const struct op_mode *m)
{
	autofd int fd = TEMP_FAILURE_RETRY(openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));

	return fd < 0 ? -errno : fs_setxattr_fd(fs, fd, m->secctx_name, m->secctx, m->secctx_len);
}

static int create_as_caller(struct fs *fs, struct op_ctx *c, int dir, const char *name,
	const struct op_mode *m, const char *target)
{
	unsigned int tries = 0;
	bool label_left;
	int r = cred_create_begin(fs, c, m, &label_left);

	if (!r) {
		fs_intend_create(c);
		do {
			r = create_name(dir, name, m, target);
		} while (r && fs_again(c, &tries));
	}
	if (r == -EEXIST && fs_made_before(c, dir, name, m->mode & S_IFMT ? m->mode & S_IFMT : S_IFREG))
		r = 0;
	if (!r && label_left) {
		r = label_name(fs, dir, name, m);
		if (r)
			unlinkat(dir, name, S_ISDIR(m->mode) ? AT_REMOVEDIR : 0);
	}
	cred_create_end(fs, m);
	return r;
}

void fs_intend_create(struct op_ctx *c)
{
	struct timespec now;

	if (!c->intent)
		return;
	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* file systems take theirs from it */
	op_intend(c, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, 0);
}

bool fs_made_before(const struct op_ctx *c, int dir, const char *name, uint32_t type)
{
	const struct statx_timestamp *born;
	struct statx st;

	if (!c->again ||
		statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			STATX_TYPE | STATX_BTIME | STATX_CTIME, &st) ||
		(st.stx_mode & S_IFMT) != type)
		return false;
	born = st.stx_mask & STATX_BTIME ? &st.stx_btime : &st.stx_ctime;
	return (uint64_t)born->tv_sec * 1000000000u + born->tv_nsec >= c->intent->value[0];
}

/* Any inode but those that are opened at once; a symlink to @target if that is given. */
static int make(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, const char *target, struct op_entry *out)
{
	struct effect e = {.kind = EFFECT_CREATE, .node = {parent}, .nodes = 1, .unique = c->unique};
	autoinode struct inode_use dir = {0};
	int r = enter(fs, parent, name, &dir);

	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	r = (int)effect_end(fs, &e, create_as_caller(fs, c, dir.fd, name, m, target));
	return r ? r : fs_lookup_at(fs, c, &dir, name, out);
}

int fs_op_symlink(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name, const char *target,
	struct op_entry *out)
{
	static const struct op_mode symlink_mode = {.mode = S_IFLNK | 0777};

	return make(fs, c, parent, name, &symlink_mode, target, out);
}

int fs_op_mknod(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, struct op_entry *out)
{
	switch (m->mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return make(fs, c, parent, name, m, NULL, out);
	default:
		return -EINVAL;
	}
}

int fs_op_mkdir(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, struct op_entry *out)
{
	struct op_mode dir = *m;

	dir.mode = S_IFDIR | (m->mode & 07777);
	return make(fs, c, parent, name, &dir, NULL, out);
}

/* What a name that goes leads to, if the guest knows it and a descriptor has to be kept for it
 * (inode_removed()). */
struct removal {
	struct inode_use u;
	bool last; /* it has no other name */
};

static void removal_begin(struct fs *fs, struct removal *x, const struct inode_use *dir, const char *name)
{
	struct inode_key key;
	struct nodeid node;
	struct statx st;

	*x = (struct removal){0};
	if (!inode_lacks_fds(fs->inodes) ||
		fs_stat(fs, dir->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, &st))
		return;
	key = inode_key_of(&st);
	if (!inode_learn_known(fs->inodes, &key, dir->fd, name, &node))
		return;
	if (inode_use(fs->inodes, node, &x->u))
		x->u = (struct inode_use){0};
	x->last = S_ISDIR(st.stx_mode) || st.stx_nlink == 1;
	inode_forget(fs->inodes, node, 1);
}

/* Where an earlier process did it, a rename's new name led to what was renamed. */
static int removal_end(struct fs *fs, const struct op_ctx *c, struct removal *x, int r)
{
	if (!r && x->u.inode && x->last && (!c->again || inode_is_removed(x->u.fd)))
		inode_removed(fs->inodes, x->u.inode);
	inode_use_end(&x->u);
	return r;
}

static int take_away(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name, int flags)
{
	struct effect e = {.kind = EFFECT_REMOVE, .node = {parent}, .nodes = 1, .unique = c->unique};
	autoinode struct inode_use dir = {0};
	struct removal gone;
	int r = enter(fs, parent, name, &dir);

	if (!r)
		r = cred_daemon_at(fs, &dir);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	removal_begin(fs, &gone, &dir, name);
	op_intend(c, 0, 0);
	r = unlinkat(dir.fd, name, flags) ? -errno : 0;
	if (r == -ENOENT && c->again)
		r = 0;
	return (int)effect_end(fs, &e, removal_end(fs, c, &gone, r));
}

int fs_op_unlink(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name)
{
	return take_away(fs, c, parent, name, 0);
}

int fs_op_rmdir(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name)
{
	return take_away(fs, c, parent, name, AT_REMOVEDIR);
}

/* A rename after which the old name is there, too, is told by the inode. True: an earlier process did it. */
static bool renamed_before(struct op_ctx *c, const struct inode_use *from, const char *name,
	const struct inode_use *to, const char *newname)
{
	const struct inode_use *dir = c->again ? to : from;
	struct statx st;

	if (!c->intent || statx(dir->fd, c->again ? newname : name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
				  STATX_INO, &st))
		return false;
	op_intend(c, st.stx_ino, makedev(st.stx_dev_major, st.stx_dev_minor));
	return c->again && c->intent->value[0] == st.stx_ino &&
	       c->intent->value[1] == makedev(st.stx_dev_major, st.stx_dev_minor);
}

static int rename_name(struct op_ctx *c, const struct inode_use *from, const char *name,
	const struct inode_use *to, const char *newname, uint32_t flags)
{
	unsigned int tries = 0;
	int r;

	if (flags && renamed_before(c, from, name, to, newname))
		return 0;
	if (!flags)
		op_intend(c, 0, 0);
	do {
		r = renameat2(from->fd, name, to->fd, newname, flags);
		if (r && errno == ENOSYS && !flags)
			r = renameat(from->fd, name, to->fd, newname);
	} while (r && fs_again(c, &tries));
	if (r && errno == ENOENT && c->again && !flags)
		return 0;
	return r ? -errno : 0;
}

int fs_op_rename(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	struct nodeid newparent, const char *newname, uint32_t flags)
{
	struct effect e = {
		.kind = EFFECT_RENAME, .node = {parent, newparent}, .nodes = 2, .unique = c->unique};
	autoinode struct inode_use from = {0};
	autoinode struct inode_use to = {0};
	struct removal gone;
	int r = flags & ~RENAME_FLAGS ? -EINVAL : enter(fs, parent, name, &from);

	if (!r)
		r = enter(fs, newparent, newname, &to);
	if (!r) /* a whiteout is a new inode */
		r = flags & RENAME_WHITEOUT ? cred_caller(fs, c) : cred_daemon_at(fs, &from);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	removal_begin(fs, &gone, &to, newname);
	gone.last = gone.last && !(flags & RENAME_EXCHANGE);
	r = rename_name(c, &from, name, &to, newname, flags);
	return (int)effect_end(fs, &e, removal_end(fs, c, &gone, r));
}

/* Whether the name in /proc leads to the inode and no further, as it does on every kernel that we know. */
static bool ends_at_symlink(const struct fs *fs, const char *proc_name)
{
	struct statx st;

	return !statx(fs->cfg.proc_self_fd, proc_name, 0, STATX_TYPE, &st) && S_ISLNK(st.stx_mode);
}

/* Without CAP_DAC_READ_SEARCH the kernel links a descriptor only by its name in /proc, which is followed
 * once. One step more, on a symlink, would leave the share: that it is not taken is seen first. */
static int link_inode(const struct fs *fs, const struct inode_use *u, int dir, const char *name)
{
	char proc_name[16];

	if (!linkat(u->fd, "", dir, name, AT_EMPTY_PATH))
		return 0;
	if (errno != ENOENT && errno != EPERM)
		return -errno;
	if (u->inode->key.type == S_IFDIR)
		return -EPERM;
	snprintf(proc_name, sizeof(proc_name), "%d", u->fd);
	if (u->inode->key.type == S_IFLNK && !ends_at_symlink(fs, proc_name))
		return -EPERM;
	return linkat(fs->cfg.proc_self_fd, proc_name, dir, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static bool linked_before(const struct op_ctx *c, const struct inode_use *u, int dir, const char *name)
{
	struct inode_key key;
	struct statx st;

	if (!c->again || statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, INODE_KEY_MASK, &st))
		return false;
	key = inode_key_of(&st);
	return key.ino == u->inode->key.ino && key.dev == u->inode->key.dev;
}

int fs_op_link(struct fs *fs, struct op_ctx *c, struct nodeid node, struct nodeid newparent,
	const char *newname, struct op_entry *out)
{
	struct effect e = {.kind = EFFECT_CREATE, .node = {node, newparent}, .nodes = 2, .unique = c->unique};
	autoinode struct inode_use u = {0};
	autoinode struct inode_use dir = {0};
	unsigned int tries = 0;
	int r = enter(fs, newparent, newname, &dir);

	if (!r)
		r = inode_use(fs->inodes, node, &u);
	if (!r)
		r = cred_daemon_at(fs, &dir);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	op_intend(c, 0, 0);
	do {
		r = link_inode(fs, &u, dir.fd, newname);
	} while (r && fs_again(c, &tries));
	if (r == -EEXIST && linked_before(c, &u, dir.fd, newname))
		r = 0;
	r = (int)effect_end(fs, &e, r);
	return r ? r : fs_lookup_at(fs, c, &dir, newname, out);
}

int fs_op_readlink(struct fs *fs, struct op_ctx *c, struct nodeid node, char *buf, size_t *len)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(fs->inodes, node, &u);
	ssize_t n;

	(void)c;
	if (!r)
		r = u.inode->key.type == S_IFLNK ? cred_daemon_at(fs, &u) : -EINVAL;
	if (r)
		return r;
	n = readlinkat(u.fd, "", buf, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	*len = (size_t)n;
	return 0;
}
