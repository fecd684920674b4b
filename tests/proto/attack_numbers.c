/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases of test_attack: sizes, offsets, counts, flags and numbers of requests that are good otherwise. */
#include "attack.h"

#include <linux/falloc.h>
#include <linux/fs.h>

#define NEGATIVE (1ull << 63)
#define ALL_ONES UINT64_MAX
#define LAST	 (uint64_t) INT64_MAX
#define ROOT	 100 /* beside enum thing */
#define UNKNOWN	 101
#define ZERO	 102

enum open { FILE_FH, DIR_FH, KEPT_FH, NO_FH };

/* One case: what each number means is its function's. */
typedef const struct attack_numbers numbers;

static const struct iovec none;

static struct iovec text(const char *s)
{
	return s ? (struct iovec){(char *)(uintptr_t)s, strlen(s) + 1} : none;
}

static uint64_t node_of(uint64_t which)
{
	if (which < ARRAY_LEN(a.node))
		return a.node[which];
	return which == ROOT ? FUSE_ROOT_ID : which == ZERO ? 0 : 777777;
}

static struct fc_file open_of(uint64_t which)
{
	return which == FILE_FH	  ? a.file
	       : which == DIR_FH  ? a.dir
	       : which == KEPT_FH ? a.kept
				  : (struct fc_file){a.file.node, ALL_ONES};
}

/* Opcode, handle, size, offset. */
static int reading(numbers *n)
{
	struct fc_file f = open_of(n->v[1]);
	struct fuse_read_in in = {.fh = f.fh, .size = (uint32_t)n->v[2], .offset = n->v[3]};

	return attack_ask((uint32_t)n->v[0], f.node, IN(in), none);
}

/* Offset, size. */
static int writing(numbers *n)
{
	struct fuse_write_in in = {.fh = a.file.fh, .size = (uint32_t)n->v[1], .offset = n->v[0]};

	return attack_ask(FUSE_WRITE, a.file.node, IN(in), (struct iovec){(char[16]){0}, n->v[1]});
}

/* Mode, offset, length. */
static int allocating(numbers *n)
{
	struct fuse_fallocate_in in = {
		.fh = a.file.fh, .mode = (uint32_t)n->v[0], .offset = n->v[1], .length = n->v[2]};

	return attack_ask(FUSE_FALLOCATE, a.file.node, IN(in), none);
}

/* Offset, whence. */
static int seeking(numbers *n)
{
	struct fuse_lseek_in in = {.fh = a.file.fh, .offset = n->v[0], .whence = (uint32_t)n->v[1]};

	return attack_ask(FUSE_LSEEK, a.file.node, IN(in), none);
}

/* From, to, length, flags; by both requests. */
static int copying(numbers *n)
{
	struct fuse_copy_file_range_in in = {.fh_in = a.file.fh,
		.nodeid_out = a.file.node,
		.fh_out = a.file.fh,
		.off_in = n->v[0],
		.off_out = n->v[1],
		.len = n->v[2],
		.flags = n->v[3]};
	int r = attack_ask(FUSE_COPY_FILE_RANGE, a.file.node, IN(in), none);
	int r64 = attack_ask(FUSE_COPY_FILE_RANGE_64, a.file.node, IN(in), none);

	return r < 0 && r64 >= 0 ? r64 : r;
}

/* Opcode, start, end, type, flags. */
static int locking(numbers *n)
{
	struct fuse_lk_in in = {.fh = a.file.fh,
		.owner = 1,
		.lk = {.start = n->v[1], .end = n->v[2], .type = (uint32_t)n->v[3]},
		.lk_flags = (uint32_t)n->v[4]};

	return attack_ask((uint32_t)n->v[0], a.file.node, IN(in), none);
}

/* Opcode, size. */
static int getting(numbers *n)
{
	struct fuse_getxattr_in in = {.size = (uint32_t)n->v[1]};

	return attack_ask((uint32_t)n->v[0], a.node[FILE_], IN(in), text(n->name));
}

/* Flags. */
static int setting(numbers *n)
{
	struct fuse_setxattr_in in = {.size = 4, .flags = (uint32_t)n->v[0]};
	uint8_t buf[64] = {0};
	size_t len = attack_put_name(buf, n->name);

	return attack_ask(FUSE_SETXATTR, a.node[FILE_], (struct iovec){&in, FUSE_COMPAT_SETXATTR_IN_SIZE},
		(struct iovec){buf, len + 4});
}

static int expect_root(void)
{
	return fc_getattr(a.c, FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0});
}

/* Inode, count. */
static int forgetting(numbers *n)
{
	struct fuse_forget_in in = {n->v[1]};
	struct fc_op op = {.opcode = FUSE_FORGET,
		.node = node_of(n->v[0]),
		.arg = {IN(in)},
		.nargs = 1,
		.no_reply = true};
	ssize_t r = fc_call(a.c, &op);

	return r ? (int)r : expect_root();
}

/* Inode, count: of the four that are there. */
static int forgetting_many(numbers *n)
{
	uint64_t node = node_of(n->v[0]);
	struct fuse_batch_forget_in in = {.count = (uint32_t)n->v[1]};
	struct fuse_forget_one one[4] = {{node, 1}, {node, ALL_ONES}, {node, 0}, {node, NEGATIVE}};
	struct fc_op op = {
		.opcode = FUSE_BATCH_FORGET, .arg = {IN(in), IN(one)}, .nargs = 2, .no_reply = true};
	ssize_t r = fc_call(a.c, &op);

	return r ? (int)r : expect_root();
}

/* The request's number. */
static int interrupting(numbers *n)
{
	struct fuse_interrupt_in in = {n->v[0] ? n->v[0] : a.c->unique + 2};

	return attack_ask(FUSE_INTERRUPT, 0, IN(in), none);
}

/* Opcode, thing, flags. */
static int opening(numbers *n)
{
	struct fuse_open_in in = {.flags = (uint32_t)n->v[2]};

	return attack_ask((uint32_t)n->v[0], node_of(n->v[1]), IN(in), none);
}

/* Thing, what is valid, handle, number. A handle that is none of the inode's is as if none was named. */
static int changing(numbers *n)
{
	struct fuse_setattr_in in = {.valid = (uint32_t)n->v[1],
		.fh = open_of(n->v[2]).fh,
		.size = n->v[3],
		.mode = (uint32_t)n->v[3]};

	return attack_ask(FUSE_SETATTR, node_of(n->v[0]), IN(in), none);
}

/* Opcode, handle, mask. */
static int looking(numbers *n)
{
	struct fuse_getattr_in get = {.getattr_flags = FUSE_GETATTR_FH, .fh = open_of(n->v[1]).fh};
	struct fuse_statx_in statx = {
		.getattr_flags = FUSE_GETATTR_FH, .fh = get.fh, .sx_mask = (uint32_t)n->v[2]};

	return attack_ask((uint32_t)n->v[0], a.file.node, n->v[0] == FUSE_STATX ? IN(statx) : IN(get), none);
}

/* Mode. */
static int making(numbers *n)
{
	struct fuse_mknod_in in = {.mode = (uint32_t)n->v[0]};

	return attack_ask(FUSE_MKNOD, FUSE_ROOT_ID, IN(in), text("odd"));
}

/* Opcode, handle, flags. */
static int syncing(numbers *n)
{
	struct fc_file f = open_of(n->v[1]);
	struct fuse_fsync_in in = {.fh = f.fh, .fsync_flags = (uint32_t)n->v[2]};

	return attack_ask((uint32_t)n->v[0], f.node, IN(in), none);
}

/* The target's length. */
static int pointing(numbers *n)
{
	static char names[8192];

	memset(names, 't', sizeof(names));
	memcpy(names, "odd", 4);
	names[4 + n->v[0]] = 0;
	return attack_ask(FUSE_SYMLINK, FUSE_ROOT_ID, (struct iovec){names, 5 + n->v[0]}, none);
}

/* Flags. */
static int renaming(numbers *n)
{
	struct fuse_rename2_in in = {.newdir = FUSE_ROOT_ID, .flags = (uint32_t)n->v[0]};
	char names[64];
	size_t len = attack_put_name((uint8_t *)names, n->name);

	len += attack_put_name((uint8_t *)names + len, n->second);
	return attack_ask(FUSE_RENAME2, FUSE_ROOT_ID, IN(in), (struct iovec){names, len});
}

static int linking_root(numbers *n)
{
	struct fuse_link_in in = {FUSE_ROOT_ID};

	return attack_ask(FUSE_LINK, FUSE_ROOT_ID, IN(in), text(n->name));
}

/* The number; it counts by two. */
static int numbering(numbers *n)
{
	a.c->unique = (n->v[0] == UNKNOWN ? a.victim->unique : n->v[0]) - 2;
	return expect_root();
}

/* A name, and behind its NUL something that is no part of it. */
static int naming_two(numbers *n)
{
	char names[64];
	size_t len = attack_put_name((uint8_t *)names, n->name);

	len += attack_put_name((uint8_t *)names + len, n->second);
	return attack_ask((uint32_t)n->v[0], FUSE_ROOT_ID, (struct iovec){names, len}, none);
}

/* Opcode, inode, length of zeros. */
static int asking(numbers *n)
{
	static uint8_t zeros[64];

	return attack_ask((uint32_t)n->v[0], node_of(n->v[1]), (struct iovec){zeros, n->v[2]}, text(n->name));
}

const struct attack_numbers attack_numbers[] = {
	{"READ of nothing", ANYTHING, reading, {FUSE_READ, FILE_FH, 0, 0}},
	{"READ of all ones", ANYTHING, reading, {FUSE_READ, FILE_FH, ALL_ONES, 0}},
	{"READ at the last place", ANYTHING, reading, {FUSE_READ, FILE_FH, 16, LAST}},
	{"READ at 2^63", EINVAL, reading, {FUSE_READ, FILE_FH, 16, NEGATIVE}},
	{"READ of a directory", ANY_ERROR, reading, {FUSE_READ, DIR_FH, 16, 0}},
	{"WRITE of nothing", ANYTHING, writing, {0, 0}},
	{"WRITE at the last place", ANY_ERROR, writing, {LAST, 1}},
	{"WRITE at 2^63", EINVAL, writing, {NEGATIVE, 1}},
	{"WRITE at the end of all", EINVAL, writing, {ALL_ONES, 16}},
	{"READDIR of nothing", ANYTHING, reading, {FUSE_READDIR, DIR_FH, 0, 0}},
	{"READDIR of a byte", EINVAL, reading, {FUSE_READDIR, DIR_FH, 1, 0}},
	{"READDIR of all ones", ANYTHING, reading, {FUSE_READDIR, DIR_FH, ALL_ONES, 0}},
	{"READDIR at a place that nobody gave", ANYTHING, reading,
		{FUSE_READDIR, DIR_FH, 4096, 0x123456789abcdef}},
	{"READDIR at the last place", ANYTHING, reading, {FUSE_READDIR, DIR_FH, 4096, LAST}},
	{"READDIR at 2^63", ANYTHING, reading, {FUSE_READDIR, DIR_FH, 4096, NEGATIVE}},
	{"READDIR at the end of all", ANYTHING, reading, {FUSE_READDIR, DIR_FH, 4096, ALL_ONES}},
	{"READDIRPLUS of nothing", ANYTHING, reading, {FUSE_READDIRPLUS, DIR_FH, 0, 0}},
	{"READDIRPLUS of a byte", EINVAL, reading, {FUSE_READDIRPLUS, DIR_FH, 1, 0}},
	{"READDIRPLUS of all ones", ANYTHING, reading, {FUSE_READDIRPLUS, DIR_FH, ALL_ONES, 0}},
	{"READDIRPLUS at a place that nobody gave", ANYTHING, reading,
		{FUSE_READDIRPLUS, DIR_FH, 4096, 0x123456789abcdef}},
	{"READDIRPLUS at the last place", ANYTHING, reading, {FUSE_READDIRPLUS, DIR_FH, 4096, LAST}},
	{"READDIRPLUS at 2^63", ANYTHING, reading, {FUSE_READDIRPLUS, DIR_FH, 4096, NEGATIVE}},
	{"READDIRPLUS at the end of all", ANYTHING, reading, {FUSE_READDIRPLUS, DIR_FH, 4096, ALL_ONES}},
	{"FALLOCATE of nothing", EINVAL, allocating, {0, 0, 0}},
	{"FALLOCATE at 2^63", EINVAL, allocating, {0, NEGATIVE, 1}},
	{"FALLOCATE of 2^63", EINVAL, allocating, {0, 0, NEGATIVE}},
	{"FALLOCATE across the last place", ANY_ERROR, allocating, {0, LAST, 4096}},
	{"FALLOCATE of a hole that lengthens", EOPNOTSUPP, allocating, {FALLOC_FL_PUNCH_HOLE, 0, 1}},
	{"FALLOCATE that collapses all", ANY_ERROR, allocating, {FALLOC_FL_COLLAPSE_RANGE, 0, 4}},
	{"FALLOCATE that inserts at an odd place", ANY_ERROR, allocating, {FALLOC_FL_INSERT_RANGE, 1, 1}},
	{"LSEEK to data behind the end", ENXIO, seeking, {4096, SEEK_DATA}},
	{"LSEEK to data at 2^63", ANY_ERROR, seeking, {NEGATIVE, SEEK_DATA}},
	{"LSEEK to a hole at the end of all", ANY_ERROR, seeking, {ALL_ONES, SEEK_HOLE}},
	{"LSEEK with whence of all ones", EINVAL, seeking, {0, ALL_ONES}},
	{"COPY_FILE_RANGE with flags", EINVAL, copying, {0, 100, 1, 1}},
	{"COPY_FILE_RANGE of nothing", ANYTHING, copying, {0, 100, 0, 0}},
	{"COPY_FILE_RANGE onto itself", EINVAL, copying, {0, 1, 4, 0}},
	{"COPY_FILE_RANGE from 2^63", EINVAL, copying, {NEGATIVE, 0, 1, 0}},
	{"COPY_FILE_RANGE to 2^63", EINVAL, copying, {0, NEGATIVE, 1, 0}},
	{"COPY_FILE_RANGE to the last place", ANY_ERROR, copying, {0, LAST, 4, 0}},
	{"COPY_FILE_RANGE onto itself, all there can be", ANY_ERROR, copying, {0, 1, ALL_ONES, 0}},
	{"SETLK from 2^63", EINVAL, locking, {FUSE_SETLK, NEGATIVE, NEGATIVE + 1, F_WRLCK, 0}},
	{"SETLK at the end of all", EINVAL, locking, {FUSE_SETLK, ALL_ONES, ALL_ONES, F_WRLCK, 0}},
	{"SETLK with all flags", ANYTHING, locking, {FUSE_SETLK, 0, 1, F_UNLCK, ALL_ONES}},
	{"SETLK of flock of no type", EINVAL, locking, {FUSE_SETLK, 0, 1, 77, FUSE_LK_FLOCK}},
	{"SETLKW of no type", EINVAL, locking, {FUSE_SETLKW, 0, 1, ALL_ONES, 0}},
	{"SETLKW that ends before it begins", EINVAL, locking, {FUSE_SETLKW, 9, 8, F_WRLCK, 0}},
	{"GETLK of an unlocking", EINVAL, locking, {FUSE_GETLK, 0, 1, F_UNLCK, 0}},
	{"GETLK of flock", EINVAL, locking, {FUSE_GETLK, 0, 1, F_WRLCK, FUSE_LK_FLOCK}},
	{"GETLK from 2^63", EINVAL, locking, {FUSE_GETLK, NEGATIVE, ALL_ONES, F_WRLCK, 0}},
	{"GETXATTR of all ones", ANY_ERROR, getting, {FUSE_GETXATTR, ALL_ONES}, "user.absent"},
	{"GETXATTR without a name", ANY_ERROR, getting, {FUSE_GETXATTR, 100}},
	{"GETXATTR of a family alone", ANY_ERROR, getting, {FUSE_GETXATTR, 100}, "user."},
	{"GETXATTR with 300 bytes of name", ANY_ERROR, getting, {FUSE_GETXATTR, 100}, attack_long_name},
	{"LISTXATTR of all ones", ANYTHING, getting, {FUSE_LISTXATTR, ALL_ONES}},
	{"SETXATTR of a family alone", EINVAL, setting, {0}, "user."},
	{"SETXATTR of a family without its point", EOPNOTSUPP, setting, {0}, "user"},
	{"SETXATTR of a capability that is none", ANY_ERROR, setting, {0}, "security.capability"},
	{"SETXATTR of system.*", EOPNOTSUPP, setting, {0}, "system.nonsense"},
	{"SETXATTR that replaces what is not there", ANY_ERROR, setting, {2}, "user.absent"},
	{"FORGET of the root, all ones", ANYTHING, forgetting, {ROOT, ALL_ONES}},
	{"FORGET of nothing", ANYTHING, forgetting, {LINK_, 0}},
	{"FORGET of what nobody knows", ANYTHING, forgetting, {UNKNOWN, 1}},
	{"FORGET of inode 0", ANYTHING, forgetting, {ZERO, ALL_ONES}},
	{"FORGET of what was forgotten", ANYTHING, forgetting, {GONE_, ALL_ONES}},
	{"BATCH_FORGET of none", ANYTHING, forgetting_many, {ROOT, 0}},
	{"BATCH_FORGET of the root, more than all", ANYTHING, forgetting_many, {ROOT, 4}},
	{"BATCH_FORGET of what nobody knows", ANYTHING, forgetting_many, {UNKNOWN, 4}},
	{"BATCH_FORGET of the same again and again", ANYTHING, forgetting_many, {GONE_, 4}},
	{"BATCH_FORGET of one more than there are", ANYTHING, forgetting_many, {FILE_, 5}},
	{"BATCH_FORGET of all ones", ANYTHING, forgetting_many, {FILE_, ALL_ONES}},
	{"INTERRUPT of what nobody asked", EAGAIN, interrupting, {0x1234567}},
	{"INTERRUPT of itself", EAGAIN, interrupting, {0}},
	{"INTERRUPT of all ones", EAGAIN, interrupting, {ALL_ONES}},
	{"OPEN with all flags", ANY_ERROR, opening, {FUSE_OPEN, FILE_, ALL_ONES}},
	{"OPEN of a directory for a file without name", ANY_ERROR, opening,
		{FUSE_OPEN, DIR_, __O_TMPFILE | O_RDWR}},
	{"OPEN of a symlink as such", ANY_ERROR, opening, {FUSE_OPEN, LINK_, O_PATH | O_NOFOLLOW}},
	{"OPEN of a device without waiting", ENXIO, opening, {FUSE_OPEN, DEV_, O_NONBLOCK}},
	{"OPEN of a fifo without waiting", ENXIO, opening, {FUSE_OPEN, FIFO_, O_NONBLOCK}},
	{"OPENDIR of a fifo", ENOTDIR, opening, {FUSE_OPENDIR, FIFO_, 0}},
	{"OPENDIR with all flags", ANYTHING, opening, {FUSE_OPENDIR, DIR_, ALL_ONES}},
	{"SETATTR by another inode's handle", ANYTHING, changing, {FILE_, FATTR_FH | FATTR_SIZE, KEPT_FH, 4}},
	{"SETATTR by a directory's handle", ANYTHING, changing, {FILE_, FATTR_FH | FATTR_SIZE, DIR_FH, 4}},
	{"SETATTR by a handle of all ones", ANYTHING, changing, {FILE_, FATTR_FH | FATTR_SIZE, NO_FH, 4}},
	{"SETATTR of a size of 2^63", ANY_ERROR, changing, {FILE_, FATTR_SIZE, NO_FH, NEGATIVE}},
	{"SETATTR of a directory's size", ANY_ERROR, changing, {DIR_, FATTR_SIZE, NO_FH, 0}},
	{"SETATTR of a device's size", EINVAL, changing, {DEV_, FATTR_SIZE, NO_FH, 0}},
	{"SETATTR of what nobody knows", ANYTHING, changing, {FILE_, 1u << 31, NO_FH, 0}},
	{"GETATTR by another inode's handle", ANYTHING, looking, {FUSE_GETATTR, KEPT_FH, 0}},
	{"GETATTR by a directory's handle", ANYTHING, looking, {FUSE_GETATTR, DIR_FH, 0}},
	{"GETATTR by a handle of all ones", ANYTHING, looking, {FUSE_GETATTR, NO_FH, 0}},
	{"STATX by another inode's handle", ANYTHING, looking, {FUSE_STATX, KEPT_FH, ALL_ONES}},
	{"STATX of all ones", ANYTHING, looking, {FUSE_STATX, FILE_FH, ALL_ONES}},
	{"MKNOD of a directory", ANY_ERROR, making, {S_IFDIR | 0755}},
	{"MKNOD of a symlink", ANY_ERROR, making, {S_IFLNK | 0777}},
	{"MKNOD of all types", ANY_ERROR, making, {ALL_ONES}},
	{"FSYNC with all flags", ANYTHING, syncing, {FUSE_FSYNC, FILE_FH, ALL_ONES}},
	{"FSYNC of a directory", ANY_ERROR, syncing, {FUSE_FSYNC, DIR_FH, 0}},
	{"FSYNCDIR of a file", ANY_ERROR, syncing, {FUSE_FSYNCDIR, FILE_FH, 0}},
	{"SYMLINK to nothing", ENOENT, pointing, {0}},
	{"SYMLINK to 4096 bytes", ENAMETOOLONG, pointing, {4096}},
	{"RENAME2 that exchanges with nothing", ENOENT, renaming, {RENAME_EXCHANGE}, "file", "absent"},
	{"RENAME2 that exchanges and does not replace", EINVAL, renaming,
		{RENAME_EXCHANGE | RENAME_NOREPLACE}, "file", "dir"},
	{"RENAME2 that exchanges with a whiteout", EINVAL, renaming, {RENAME_EXCHANGE | RENAME_WHITEOUT},
		"file", "dir"},
	{"RENAME2 that does not replace what is there", EEXIST, renaming, {RENAME_NOREPLACE}, "file", "kept"},
	{"RENAME2 of a directory over a file", ENOTDIR, renaming, {0}, "dir", "file"},
	{"RENAME2 of a file over a directory", EISDIR, renaming, {0}, "file", "dir"},
	{"LINK of the root", EPERM, linking_root, {0}, "hard"},
	{"UNLINK of two names at once", ENOENT, naming_two, {FUSE_UNLINK}, "absent", "file"},
	{"RMDIR of two names at once", ENOENT, naming_two, {FUSE_RMDIR}, "absent", "dir"},
	{"LOOKUP of two names at once", ENOENT, naming_two, {FUSE_LOOKUP}, "absent", "file"},
	{"UNLINK of a directory", EISDIR, asking, {FUSE_UNLINK, ROOT, 0}, "dir"},
	{"RMDIR of a file", ENOTDIR, asking, {FUSE_RMDIR, ROOT, 0}, "file"},
	{"READLINK of a file", EINVAL, asking, {FUSE_READLINK, FILE_, 0}},
	{"READLINK of the root", EINVAL, asking, {FUSE_READLINK, ROOT, 0}},
	{"SYNCFS of a device", ANYTHING, asking, {FUSE_SYNCFS, DEV_, 8}},
	{"SYNCFS of what nobody knows", ANYTHING, asking, {FUSE_SYNCFS, UNKNOWN, 8}},
	{"STATFS of a fifo", ANYTHING, asking, {FUSE_STATFS, FIFO_, 0}},
	{"a request of number 0", ANYTHING, numbering, {0}},
	{"a request of the last number", ANYTHING, numbering, {ALL_ONES}},
	{"a request of another's number", ANYTHING, numbering, {UNKNOWN}},
	{"FORGET of more than was known", ANYTHING, forgetting, {SOCK_, NEGATIVE}},
};
const unsigned int attack_numbers_count = ARRAY_LEN(attack_numbers);
