/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The FUSE protocol on the wire, 7.27 to 7.45, as far as a shared directory needs it: opcodes, flags and
 * records in the host's byte order, under the protocol's own names. Every record's size is asserted. No
 * behaviour here, and nothing that only /dev/fuse, CUSE or io_uring know.
 */
#ifndef FUSE_WIRE_H
#define FUSE_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define FUSE_MAJOR     7u
#define FUSE_MINOR     45u /* newest that we speak: Linux 7.2 */
#define FUSE_MINOR_MIN 27u /* oldest: every record below has its present size since then, but where noted */

enum fuse_opcode {
	FUSE_LOOKUP = 1,
	FUSE_FORGET = 2,
	FUSE_GETATTR = 3,
	FUSE_SETATTR = 4,
	FUSE_READLINK = 5,
	FUSE_SYMLINK = 6,
	FUSE_MKNOD = 8,
	FUSE_MKDIR = 9,
	FUSE_UNLINK = 10,
	FUSE_RMDIR = 11,
	FUSE_RENAME = 12,
	FUSE_LINK = 13,
	FUSE_OPEN = 14,
	FUSE_READ = 15,
	FUSE_WRITE = 16,
	FUSE_STATFS = 17,
	FUSE_RELEASE = 18,
	FUSE_FSYNC = 20,
	FUSE_SETXATTR = 21,
	FUSE_GETXATTR = 22,
	FUSE_LISTXATTR = 23,
	FUSE_REMOVEXATTR = 24,
	FUSE_FLUSH = 25,
	FUSE_INIT = 26,
	FUSE_OPENDIR = 27,
	FUSE_READDIR = 28,
	FUSE_RELEASEDIR = 29,
	FUSE_FSYNCDIR = 30,
	FUSE_GETLK = 31,
	FUSE_SETLK = 32,
	FUSE_SETLKW = 33,
	FUSE_ACCESS = 34,
	FUSE_CREATE = 35,
	FUSE_INTERRUPT = 36,
	FUSE_BMAP = 37,
	FUSE_DESTROY = 38,
	FUSE_IOCTL = 39,
	FUSE_POLL = 40,
	FUSE_NOTIFY_REPLY = 41,
	FUSE_BATCH_FORGET = 42,
	FUSE_FALLOCATE = 43,
	FUSE_READDIRPLUS = 44,
	FUSE_RENAME2 = 45,
	FUSE_LSEEK = 46,
	FUSE_COPY_FILE_RANGE = 47,
	FUSE_SETUPMAPPING = 48,
	FUSE_REMOVEMAPPING = 49,
	FUSE_SYNCFS = 50,
	FUSE_TMPFILE = 51,
	FUSE_STATX = 52,
	FUSE_COPY_FILE_RANGE_64 = 53,
	FUSE_OPCODES, /* one past the last */
};

/* INIT flags: bits 0-31 travel in flags, 32-63 in flags2 if INIT_EXT is set. */
#define FUSE_ASYNC_READ		  (1ULL << 0)
#define FUSE_POSIX_LOCKS	  (1ULL << 1)
#define FUSE_FILE_OPS		  (1ULL << 2)
#define FUSE_ATOMIC_O_TRUNC	  (1ULL << 3)
#define FUSE_EXPORT_SUPPORT	  (1ULL << 4)
#define FUSE_BIG_WRITES		  (1ULL << 5)
#define FUSE_DONT_MASK		  (1ULL << 6)
#define FUSE_SPLICE_WRITE	  (1ULL << 7)
#define FUSE_SPLICE_MOVE	  (1ULL << 8)
#define FUSE_SPLICE_READ	  (1ULL << 9)
#define FUSE_FLOCK_LOCKS	  (1ULL << 10)
#define FUSE_HAS_IOCTL_DIR	  (1ULL << 11)
#define FUSE_AUTO_INVAL_DATA	  (1ULL << 12)
#define FUSE_DO_READDIRPLUS	  (1ULL << 13)
#define FUSE_READDIRPLUS_AUTO	  (1ULL << 14)
#define FUSE_ASYNC_DIO		  (1ULL << 15)
#define FUSE_WRITEBACK_CACHE	  (1ULL << 16)
#define FUSE_NO_OPEN_SUPPORT	  (1ULL << 17)
#define FUSE_PARALLEL_DIROPS	  (1ULL << 18)
#define FUSE_HANDLE_KILLPRIV	  (1ULL << 19)
#define FUSE_POSIX_ACL		  (1ULL << 20)
#define FUSE_ABORT_ERROR	  (1ULL << 21)
#define FUSE_MAX_PAGES		  (1ULL << 22)
#define FUSE_CACHE_SYMLINKS	  (1ULL << 23)
#define FUSE_NO_OPENDIR_SUPPORT	  (1ULL << 24)
#define FUSE_EXPLICIT_INVAL_DATA  (1ULL << 25)
#define FUSE_MAP_ALIGNMENT	  (1ULL << 26)
#define FUSE_SUBMOUNTS		  (1ULL << 27)
#define FUSE_HANDLE_KILLPRIV_V2	  (1ULL << 28)
#define FUSE_SETXATTR_EXT	  (1ULL << 29)
#define FUSE_INIT_EXT		  (1ULL << 30)
#define FUSE_SECURITY_CTX	  (1ULL << 32)
#define FUSE_HAS_INODE_DAX	  (1ULL << 33)
#define FUSE_CREATE_SUPP_GROUP	  (1ULL << 34)
#define FUSE_HAS_EXPIRE_ONLY	  (1ULL << 35)
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#define FUSE_PASSTHROUGH	  (1ULL << 37)
#define FUSE_NO_EXPORT_SUPPORT	  (1ULL << 38)
#define FUSE_HAS_RESEND		  (1ULL << 39)
#define FUSE_ALLOW_IDMAP	  (1ULL << 40)
#define FUSE_OVER_IO_URING	  (1ULL << 41)
#define FUSE_REQUEST_TIMEOUT	  (1ULL << 42)

/* fuse_open_out.open_flags */
#define FOPEN_DIRECT_IO		     (1u << 0)
#define FOPEN_KEEP_CACHE	     (1u << 1)
#define FOPEN_NONSEEKABLE	     (1u << 2)
#define FOPEN_CACHE_DIR		     (1u << 3)
#define FOPEN_STREAM		     (1u << 4)
#define FOPEN_NOFLUSH		     (1u << 5)
#define FOPEN_PARALLEL_DIRECT_WRITES (1u << 6)
#define FOPEN_PASSTHROUGH	     (1u << 7)

/* fuse_setattr_in.valid */
#define FATTR_MODE	   (1u << 0)
#define FATTR_UID	   (1u << 1)
#define FATTR_GID	   (1u << 2)
#define FATTR_SIZE	   (1u << 3)
#define FATTR_ATIME	   (1u << 4)
#define FATTR_MTIME	   (1u << 5)
#define FATTR_FH	   (1u << 6)
#define FATTR_ATIME_NOW	   (1u << 7)
#define FATTR_MTIME_NOW	   (1u << 8)
#define FATTR_LOCKOWNER	   (1u << 9)
#define FATTR_CTIME	   (1u << 10)
#define FATTR_KILL_SUIDGID (1u << 11)

/* Small flag words, by the record that carries them. */
#define FUSE_GETATTR_FH		    (1u << 0) /* fuse_getattr_in, fuse_statx_in */
#define FUSE_OPEN_KILL_SUIDGID	    (1u << 0) /* fuse_open_in, fuse_create_in */
#define FUSE_RELEASE_FLUSH	    (1u << 0)
#define FUSE_RELEASE_FLOCK_UNLOCK   (1u << 1)
#define FUSE_LK_FLOCK		    (1u << 0)
#define FUSE_WRITE_CACHE	    (1u << 0)
#define FUSE_WRITE_LOCKOWNER	    (1u << 1)
#define FUSE_WRITE_KILL_SUIDGID	    (1u << 2)
#define FUSE_FSYNC_FDATASYNC	    (1u << 0)
#define FUSE_SETXATTR_ACL_KILL_SGID (1u << 0)
#define FUSE_IOCTL_COMPAT	    (1u << 0)
#define FUSE_IOCTL_UNRESTRICTED	    (1u << 1)
#define FUSE_IOCTL_RETRY	    (1u << 2)
#define FUSE_IOCTL_32BIT	    (1u << 3)
#define FUSE_IOCTL_DIR		    (1u << 4)
#define FUSE_IOCTL_COMPAT_X32	    (1u << 5)
#define FUSE_ATTR_SUBMOUNT	    (1u << 0) /* fuse_attr */
#define FUSE_ATTR_DAX		    (1u << 1)

/* Types of fuse_ext_header: up to this one it is a fuse_secctx_header and the type its number of labels. */
#define FUSE_MAX_NR_SECCTX 31
#define FUSE_EXT_GROUPS	   32

#define FUSE_WIRE(name, bytes) static_assert(sizeof(struct name) == (bytes), "wire size of " #name)

struct fuse_in_header {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid;
	uint16_t total_extlen; /* extensions at the request's end, in units of 8 bytes; 0 before 7.38 */
	uint16_t padding;
};
FUSE_WIRE(fuse_in_header, 40);

struct fuse_out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};
FUSE_WIRE(fuse_out_header, 16);

struct fuse_attr {
	uint64_t ino, size, blocks;
	uint64_t atime, mtime, ctime;
	uint32_t atimensec, mtimensec, ctimensec;
	uint32_t mode, nlink, uid, gid, rdev, blksize;
	uint32_t flags;
};
FUSE_WIRE(fuse_attr, 88);

struct fuse_entry_out {
	uint64_t nodeid, generation;
	uint64_t entry_valid, attr_valid;
	uint32_t entry_valid_nsec, attr_valid_nsec;
	struct fuse_attr attr;
};
FUSE_WIRE(fuse_entry_out, 128);

struct fuse_forget_in {
	uint64_t nlookup;
};
FUSE_WIRE(fuse_forget_in, 8);

struct fuse_forget_one {
	uint64_t nodeid, nlookup;
};
FUSE_WIRE(fuse_forget_one, 16);

struct fuse_batch_forget_in {
	uint32_t count, dummy;
};
FUSE_WIRE(fuse_batch_forget_in, 8);

struct fuse_getattr_in {
	uint32_t getattr_flags, dummy;
	uint64_t fh;
};
FUSE_WIRE(fuse_getattr_in, 16);

struct fuse_attr_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, dummy;
	struct fuse_attr attr;
};
FUSE_WIRE(fuse_attr_out, 104);

struct fuse_sx_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};
FUSE_WIRE(fuse_sx_time, 16);

struct fuse_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct fuse_sx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};
FUSE_WIRE(fuse_statx, 256);

struct fuse_statx_in {
	uint32_t getattr_flags, reserved;
	uint64_t fh;
	uint32_t sx_flags, sx_mask;
};
FUSE_WIRE(fuse_statx_in, 24);

struct fuse_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct fuse_statx stat;
};
FUSE_WIRE(fuse_statx_out, 288);

struct fuse_setattr_in {
	uint32_t valid, padding;
	uint64_t fh, size, lock_owner;
	uint64_t atime, mtime, ctime;
	uint32_t atimensec, mtimensec, ctimensec;
	uint32_t mode, unused4, uid, gid, unused5;
};
FUSE_WIRE(fuse_setattr_in, 88);

struct fuse_mknod_in {
	uint32_t mode, rdev, umask, padding;
};
FUSE_WIRE(fuse_mknod_in, 16);

struct fuse_mkdir_in {
	uint32_t mode, umask;
};
FUSE_WIRE(fuse_mkdir_in, 8);

struct fuse_rename_in {
	uint64_t newdir;
};
FUSE_WIRE(fuse_rename_in, 8);

struct fuse_rename2_in {
	uint64_t newdir;
	uint32_t flags, padding;
};
FUSE_WIRE(fuse_rename2_in, 16);

struct fuse_link_in {
	uint64_t oldnodeid;
};
FUSE_WIRE(fuse_link_in, 8);

struct fuse_open_in {
	uint32_t flags, open_flags;
};
FUSE_WIRE(fuse_open_in, 8);

struct fuse_create_in {
	uint32_t flags, mode, umask, open_flags;
};
FUSE_WIRE(fuse_create_in, 16);

struct fuse_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};
FUSE_WIRE(fuse_open_out, 16);

struct fuse_release_in {
	uint64_t fh;
	uint32_t flags, release_flags;
	uint64_t lock_owner;
};
FUSE_WIRE(fuse_release_in, 24);

struct fuse_flush_in {
	uint64_t fh;
	uint32_t unused, padding;
	uint64_t lock_owner;
};
FUSE_WIRE(fuse_flush_in, 24);

struct fuse_read_in {
	uint64_t fh, offset;
	uint32_t size, read_flags;
	uint64_t lock_owner;
	uint32_t flags, padding;
};
FUSE_WIRE(fuse_read_in, 40);

struct fuse_write_in {
	uint64_t fh, offset;
	uint32_t size, write_flags;
	uint64_t lock_owner;
	uint32_t flags, padding;
};
FUSE_WIRE(fuse_write_in, 40);

struct fuse_write_out {
	uint32_t size, padding;
};
FUSE_WIRE(fuse_write_out, 8);

struct fuse_statfs_out {
	uint64_t blocks, bfree, bavail, files, ffree;
	uint32_t bsize, namelen, frsize, padding;
	uint32_t spare[6];
};
FUSE_WIRE(fuse_statfs_out, 80);

struct fuse_fsync_in {
	uint64_t fh;
	uint32_t fsync_flags, padding;
};
FUSE_WIRE(fuse_fsync_in, 16);

#define FUSE_SETUPMAPPING_WRITE (1ULL << 0)
#define FUSE_SETUPMAPPING_READ	(1ULL << 1)

struct fuse_setupmapping_in {
	uint64_t fh; /* Linux says none: -1 */
	uint64_t foffset, len, flags;
	uint64_t moffset; /* in the window */
};
FUSE_WIRE(fuse_setupmapping_in, 40);

#define FUSE_REMOVEMAPPING_MAX 4096 /* a page's worth, where the guest's has 64 KiB */

struct fuse_removemapping_in {
	uint32_t count; /* struct fuse_removemapping_one follow */
};
FUSE_WIRE(fuse_removemapping_in, 4);

struct fuse_removemapping_one {
	uint64_t moffset, len;
};
FUSE_WIRE(fuse_removemapping_one, 16);

/* Without SETXATTR_EXT only the first half. */
#define FUSE_COMPAT_SETXATTR_IN_SIZE 8
struct fuse_setxattr_in {
	uint32_t size, flags;
	uint32_t setxattr_flags, padding;
};
FUSE_WIRE(fuse_setxattr_in, 16);

struct fuse_getxattr_in {
	uint32_t size, padding;
};
FUSE_WIRE(fuse_getxattr_in, 8);

struct fuse_getxattr_out {
	uint32_t size, padding;
};
FUSE_WIRE(fuse_getxattr_out, 8);

struct fuse_file_lock {
	uint64_t start, end;
	uint32_t type, pid;
};
FUSE_WIRE(fuse_file_lock, 24);

struct fuse_lk_in {
	uint64_t fh, owner;
	struct fuse_file_lock lk;
	uint32_t lk_flags, padding;
};
FUSE_WIRE(fuse_lk_in, 48);

struct fuse_lk_out {
	struct fuse_file_lock lk;
};
FUSE_WIRE(fuse_lk_out, 24);

struct fuse_access_in {
	uint32_t mask, padding;
};
FUSE_WIRE(fuse_access_in, 8);

/* Without INIT_EXT it ends ahead of flags2. */
#define FUSE_COMPAT_INIT_IN_SIZE 16
struct fuse_init_in {
	uint32_t major, minor, max_readahead, flags;
	uint32_t flags2, unused[11];
};
FUSE_WIRE(fuse_init_in, 64);

struct fuse_init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
	uint16_t request_timeout, unused[11];
};
FUSE_WIRE(fuse_init_out, 64);

struct fuse_interrupt_in {
	uint64_t unique;
};
FUSE_WIRE(fuse_interrupt_in, 8);

struct fuse_ioctl_in {
	uint64_t fh;
	uint32_t flags, cmd;
	uint64_t arg;
	uint32_t in_size, out_size;
};
FUSE_WIRE(fuse_ioctl_in, 32);

struct fuse_ioctl_out {
	int32_t result;
	uint32_t flags, in_iovs, out_iovs;
};
FUSE_WIRE(fuse_ioctl_out, 16);

struct fuse_fallocate_in {
	uint64_t fh, offset, length;
	uint32_t mode, padding;
};
FUSE_WIRE(fuse_fallocate_in, 32);

struct fuse_lseek_in {
	uint64_t fh, offset;
	uint32_t whence, padding;
};
FUSE_WIRE(fuse_lseek_in, 24);

struct fuse_lseek_out {
	uint64_t offset;
};
FUSE_WIRE(fuse_lseek_out, 8);

struct fuse_copy_file_range_in {
	uint64_t fh_in, off_in;
	uint64_t nodeid_out, fh_out, off_out;
	uint64_t len, flags;
};
FUSE_WIRE(fuse_copy_file_range_in, 56);

struct fuse_copy_file_range_out { /* COPY_FILE_RANGE_64; the older request answers a fuse_write_out */
	uint64_t bytes_copied;
};
FUSE_WIRE(fuse_copy_file_range_out, 8);

struct fuse_syncfs_in {
	uint64_t padding;
};
FUSE_WIRE(fuse_syncfs_in, 8);

/* A directory entry: the name follows without NUL, then zeroes up to the next multiple of 8. */
struct fuse_dirent {
	uint64_t ino, off;
	uint32_t namelen, type;
};
FUSE_WIRE(fuse_dirent, 24);

struct fuse_direntplus {
	struct fuse_entry_out entry;
	struct fuse_dirent dirent;
};
FUSE_WIRE(fuse_direntplus, 152);

/* Extensions; they start at any alignment. */
struct fuse_ext_header {
	uint32_t size; /* of the whole extension */
	uint32_t type;
};
FUSE_WIRE(fuse_ext_header, 8);

/* One security label: its name, a NUL, @size bytes, zeroes up to a multiple of 8 (counted from here). */
struct fuse_secctx {
	uint32_t size, padding;
};
FUSE_WIRE(fuse_secctx, 8);

#endif
