/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file system behind a session: a host directory tree, passed through. See fs/internal.h for how its
 * parts fit.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/err.h"
#include "base/fdmap.h"
#include "base/segment.h"
#include "fuse/ops.h"

struct idmap;
struct xattrmap;

enum fs_handles { FS_HANDLES_NEVER, FS_HANDLES_PREFER, FS_HANDLES_MANDATORY };

/* How a guest's state goes to another daemon, and comes from there (fs/migrate.h). */
struct fs_migration {
	enum { FS_FIND_PATHS, FS_FILE_HANDLES } mode; /* how inodes are found */
	bool verify_handles; /* by path, and the file handle goes along and must be the same */
	bool confirm_paths;  /* all paths are tried once more while the guest pauses */
	enum { FS_ABORT, FS_GUEST_ERROR } on_error; /* what comes of an inode that is not found */
};

struct fs_config {
	int root;	  /* O_PATH descriptor of the shared directory; becomes the file system's */
	int proc_self_fd; /* O_PATH descriptor of /proc/self/fd, to reopen by; becomes the file system's */
	enum fs_handles handles; /* --inode-file-handles */
	uint32_t max_inodes;	 /* records in the inode table */
	uint32_t max_handles;	 /* open files and directories */
	uint32_t max_fds;	 /* descriptors kept only to save reopening */
	uint32_t max_lock_owners;
	bool readonly;
	bool allow_direct_io; /* honour O_DIRECT of the guest */
	bool xattr;
	bool sync_on_syncfs; /* SYNCFS really syncs */
	struct fs_migration migration;
	bool change_creds; /* we are root (in some user namespace): act as the caller */
	const struct op_window
		*window; /* NULL: the guest maps nothing; the caller's, for the file system's life */
	/* NULL: nothing is translated. The caller's, for the file system's life. */
	const struct xattrmap *xattrmap;
	const struct idmap *uids, *gids;
};

/* What the file system wants of the segment. Fills plan[SEGMENT_MOUNTS ... SEGMENT_LOCK_RANGES]. */
void fs_plan(const struct fs_config *cfg, struct segment_plan plan[SEGMENT_SECTIONS]);

/*
 * What fs_new() needs capabilities for, for a process that gives them up before; the processes that it makes
 * inherit it. 0 or -errno with @err.
 */
int fs_prepare(const struct fs_config *cfg, struct err *err);

/*
 * 0 or -errno with @err; *out is the caller's, @seg must outlive it. Before other threads exist, and while
 * the process has its capabilities: with change_creds it prepares to act as guests' users, and the umask is 0
 * from then on. Probes whether file handles work beneath the share: with FS_HANDLES_PREFER it goes on without
 * them, with MANDATORY that is an error.
 */
int fs_new(const struct fs_config *cfg, const struct segment *seg, struct fs **out, struct err *err);

/*
 * With @seg->adopt fs_new() goes on from the records of an earlier process, whose descriptors this one has
 * under the same numbers: inodes that the guest knows, files that it has open, locks. They are checked first;
 * -EINVAL if they cannot be right. After an error the records and their descriptors are there still, for
 * another process to go on with. fs_keep_fds() names the descriptors that the records hold: 0, -EINVAL if
 * two hold the same, -ENOMEM. Features come again by fs_ops.init().
 */
int fs_keep_fds(struct fs *fs, struct fdmap *map);
/* Inodes may be opened by file handle; false: for certain none ever will be. */
bool fs_uses_handles(const struct fs *fs);
void fs_free(struct fs *fs);

extern const struct fuse_ops fs_ops;

/* Numbers for logs, metrics and tests; any thread. */
struct fs_counts {
	uint32_t inodes, handles, cached_fds, lock_owners;
};
void fs_count(struct fs *fs, struct fs_counts *out);

#endif
