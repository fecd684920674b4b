/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the parts of the file system fit together.
 *
 * An op looks like this: find the inodes it names (inode_use), bracket the change (effect.h), become who it
 * needs to be (cred.h), make the system call by dirfd and one checked component (name.h), bracket's end,
 * learn the new inode, answer.
 *   namei.c   lookup, forget and the ops on names    attr.c    getattr, setattr, statfs, access
 *   open.c    open, create, tmpfile ... release      io.c      what is done with open files
 *   dir.c     directories                            ioctl.c   file flags and projects
 *   xattr.c   extended attributes                    lock.c    record locks and flock
 *   window.c  files that the guest maps
 *   inode.c, inode_fd.c  inode table                 handle.c  handle table
 *   inode_idle.c  descriptors that would pin host mounts
 *   lock_table.c  owners of record locks
 *   mount.c   host mounts beneath the share          file.c    descriptors for an op's length
 *   kept.c    what stays open for a guest that opens nothing
 *   migrate_save.c, migrate_load.c  to and from another daemon    paths.c   where inodes lie, for that
 *   cred.c    whose rights a thread acts with        effect.c  the bracket around every change
 *   name.c    the door for names                     fs.c      making and ending, fs_ops
 * What is translated between guest and host, apart from everything else:
 *   idmap.c   ids                xattrmap.c  names of attributes                acl.c  ids in ACLs
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "base/closing.h"
#include "fs/effect.h"
#include "fs/fs.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/kept.h"

#include <errno.h>

struct lock_table; /* lock.c */
struct dir_table;  /* dir.c: read-ahead buffers of open directories, process-local */

struct fs {
	struct fs_config cfg;
	struct op_features features; /* set by init(), before any request */
	struct inode_table *inodes;
	struct handle_table *handles;
	struct lock_table *locks;
	struct dir_table *dirs;
	struct kept *kept; /* NULL: the guest opens what it uses (features.zero_message_open) */
	struct effect_state effects;
};

/* All that the guest is told of an inode comes from these: no other mask is asked of the host. */
#define FS_STATX_MASK (STATX_BASIC_STATS | INODE_KEY_MASK)

/* attr.c: an inode's attributes as the guest shall see them, the owner translated. Arguments as statx(2)'s.
 * -errno. */
int fs_stat(const struct fs *fs, int fd, const char *name, int flags, struct statx *st);

/*
 * io.c: the thread is the daemon, and about to change the data of a file, @fd, for the caller: SUID and SGID
 * go as they do on a local file system. @guest_kills: the guest takes away on its own what its rule for FUSE
 * demands, which leaves SGID without group execution. That stays for members of the file's group; who is one
 * by a further group is guessed from what let him write.
 */
int fs_become_writer(struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd, bool guest_kills);
/* The same where the guest says that they have to go; from its root, too, if that has given up CAP_FSETID. */
int fs_become_killer(struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd);

/* attr.c: the number of the inode, which somebody keeps, becomes the guest's. After inode_key_of(): the key
 * has the host's. */
void fs_number(const struct fs *fs, struct nodeid node, struct statx *st);

/* namei.c: completes the answer, which has out->st and out->node, for an inode that is @name in @dir, or was
 * just made there (NULL). */
void fs_found(struct fs *fs, const struct inode_use *dir, const char *name, struct op_entry *out);

/*
 * window.c: OP_ATTR_DAX if the guest shall map the inode, else 0. By what fs_stat() says, ahead of
 * fs_number(). fs_window_seen(): the guest is about to learn of its size; fs_window_sync(): what it stored
 * there shall be in the file. Both may wait; 0 or -errno.
 */
uint32_t fs_window_mark(const struct fs *fs, const struct statx *st);
int fs_window_seen(struct fs *fs, struct op_ctx *c, const struct op_entry *e);
int fs_window_sync(struct fs *fs, struct op_ctx *c, struct nodeid node);
/* Migration: the range of the window that another daemon had mapped. Of a thread that acts as the daemon. 0
 * or -errno. */
int fs_window_restore(struct fs *fs, struct nodeid node, const struct op_mapping *m);

/*
 * namei.c: what makes a name notes the time ahead of it. When the request is run again and the name is there:
 * whether it has come since, and so is the one that was asked for. Exact as long as nobody on the host makes
 * the same name in the same moment.
 */
void fs_intend_create(struct op_ctx *c);
bool fs_made_before(const struct op_ctx *c, int dir, const char *name, uint32_t type);

/* namei.c: looks one component up and counts the lookup. @parent: inode and descriptor of the directory. */
int fs_lookup_at(struct fs *fs, struct op_ctx *c, const struct inode_use *parent, const char *name,
	struct op_entry *out);
/* The same where the guest is about to learn of the inode's size: fs_window_seen(). */
int fs_lookup_shown(
	struct fs *fs, struct op_ctx *c, const struct inode_use *dir, const char *name, struct op_entry *out);
/* Gives that back for a request that fails after all. */
void fs_lookup_undo(struct fs *fs, struct op_ctx *c, const struct op_entry *e);

/*
 * Opens the inode for real by its O_PATH descriptor, as whoever the thread is. @type is the record's
 * (key.type). Only regular files and directories: -ELOOP for a symlink, -ENXIO for what is special. Of
 * @flags, open(2)'s, only those count that change what the descriptor does; O_DIRECT only with
 * cfg.allow_direct_io. @c: whose end ends a wait, NULL: nobody's. -errno.
 */
int fs_reopen(struct fs *fs, const struct op_ctx *c, int path_fd, uint32_t type, uint32_t flags);

#define FS_ROOM_TRIES 3

/*
 * A system call has just failed: whether it is to be made again, because a signal ended it that was not meant
 * for this request (no guest sees EINTR of a request that it did not interrupt), or because room was lacking
 * that removed files held whose descriptors waited to be closed. Others may close some all the time: *tries,
 * which begins at 0, is how often that was hoped for. @c may be NULL.
 */
static inline bool fs_again(const struct op_ctx *c, unsigned int *tries)
{
	if (c && atomic_load(&c->cancelled))
		return false;
	return errno == EINTR ||
	       ((errno == ENOSPC || errno == EDQUOT) && (*tries)++ < FS_ROOM_TRIES && closing_finish());
}

/* xattr.c: sets an attribute by a descriptor of any type, O_PATH too, without a bracket. @name is the
 * guest's. For labels of new inodes. */
int fs_setxattr_fd(const struct fs *fs, int fd, const char *name, const void *value, size_t size);

/*
 * xattr.c: file capabilities that lie under another name on the host (--xattrmap) go, as the kernel does it
 * with its own, ahead of a change of data, size or owner. Within that change's bracket, as the daemon. 0
 * where there are none; -errno: the change must not be made.
 */
int fs_drop_capability(const struct fs *fs, int fd);

/* open.c: closes a handle. On another run of the request it may be closed already. 0 or -EBADF. */
int fs_release_handle(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool dir);

/* lock.c, lock_table.c: all locks that @owner holds on the inode go (FLUSH); all that were made by the handle
 * (RELEASE); everything (DESTROY). */
void lock_table_plan(const struct fs_config *cfg, struct segment_plan *owners, struct segment_plan *ranges);
struct lock_table *lock_table_new(const struct segment *seg); /* NULL: out of memory */
void lock_table_free(struct lock_table *t);
int lock_table_adopt(struct lock_table *t); /* the records are an earlier process's. 0, -EINVAL, -ENOMEM */
int lock_table_keep_fds(struct lock_table *t, struct fdmap *map); /* as fs_keep_fds() */
uint32_t lock_table_count(struct lock_table *t);		  /* owners that hold locks, or may */
void lock_flush(struct fs *fs, struct nodeid node, uint64_t owner);
void lock_release(struct fs *fs, struct nodeid node, struct op_fh fh);
void lock_drop_all(struct fs *fs);

/* dir.c */
struct dir_table *dir_table_new(uint32_t max_handles);
void dir_table_free(struct dir_table *t);
void dir_forget(struct fs *fs, struct op_fh fh); /* the handle is gone: its buffer too */
void dir_forget_all(struct fs *fs);

/* Ops, by family: fs.c puts them into fs_ops. Prototypes follow struct fuse_ops. */
#include "fs/ops_decl.h"

#endif
