/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases of test_attack that are of no family: a function each. */
#include "attack.h"

static int special(enum thing t)
{
	struct fuse_open_in in = {.flags = O_RDWR};

	return attack_ask(FUSE_OPEN, a.node[t], IN(in), NOTHING);
}

static int open_fifo(void)
{
	return special(FIFO_);
}

static int open_socket(void)
{
	return special(SOCK_);
}

static int open_device(void)
{
	return special(DEV_);
}

static int open_symlink(void)
{
	return special(LINK_);
}

static int open_directory_as_file(void)
{
	return special(DIR_);
}

static int opendir_of_file(void)
{
	struct fuse_open_in in = {0};

	return attack_ask(FUSE_OPENDIR, a.node[FILE_], IN(in), NOTHING);
}

static int opendir_of_symlink(void)
{
	struct fuse_open_in in = {0};

	return attack_ask(FUSE_OPENDIR, a.node[LINK_], IN(in), NOTHING);
}

static int lookup_through_symlink(void)
{
	return attack_ask(
		FUSE_LOOKUP, a.node[LINK_], (struct iovec){(char *)(uintptr_t) "passwd", 7}, NOTHING);
}

static int create_through_symlink(void)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = 0644};

	return attack_ask(FUSE_CREATE, a.node[LINK_], IN(in), (struct iovec){(char *)(uintptr_t) "new", 4});
}

/* The name is a symlink to a file outside: CREATE must not open what it leads to. */
static int create_over_symlink(void)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_TRUNC, .mode = 0644};

	return attack_ask(FUSE_CREATE, FUSE_ROOT_ID, IN(in), (struct iovec){(char *)(uintptr_t) "out", 4});
}

static int truncate_symlink(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE};

	return attack_ask(FUSE_SETATTR, a.node[LINK_], IN(in), NOTHING);
}

static int truncate_fifo(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE};

	return attack_ask(FUSE_SETATTR, a.node[FIFO_], IN(in), NOTHING);
}

static int chmod_symlink(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 0777};

	return attack_ask(FUSE_SETATTR, a.node[LINK_], IN(in), NOTHING);
}

static int truncate_beyond_everything(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = UINT64_MAX};

	return attack_ask(FUSE_SETATTR, a.node[FILE_], IN(in), NOTHING);
}

static int impossible_times(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_ATIME, .atimensec = 2000000000};

	return attack_ask(FUSE_SETATTR, a.node[FILE_], IN(in), NOTHING);
}

static int owner_of_all_ones(void)
{
	struct fuse_setattr_in in = {.valid = FATTR_UID, .uid = UINT32_MAX};

	return attack_ask(FUSE_SETATTR, a.node[FILE_], IN(in), NOTHING);
}

static int make_of_no_type(void)
{
	struct fuse_mknod_in in = {.mode = 0110000};

	return attack_ask(FUSE_MKNOD, FUSE_ROOT_ID, IN(in), (struct iovec){(char *)(uintptr_t) "odd", 4});
}

static int link_of_directory(void)
{
	struct fuse_link_in in = {.oldnodeid = a.node[DIR_]};

	return attack_ask(FUSE_LINK, FUSE_ROOT_ID, IN(in), (struct iovec){(char *)(uintptr_t) "hard", 5});
}

static int remove_root(void)
{
	return attack_ask(FUSE_RMDIR, a.node[DIR_], (struct iovec){(char *)(uintptr_t) "..", 3}, NOTHING);
}

static int rename_into_itself(void)
{
	struct fuse_rename_in in = {.newdir = a.node[DIR_]};
	char names[] = "dir\0sub";

	return attack_ask(FUSE_RENAME, FUSE_ROOT_ID, IN(in), (struct iovec){names, sizeof(names)});
}

static int rename_to_forgotten(void)
{
	struct fuse_rename_in in = {.newdir = a.node[GONE_]};
	char names[] = "file\0sub";

	return attack_ask(FUSE_RENAME, FUSE_ROOT_ID, IN(in), (struct iovec){names, sizeof(names)});
}

static int rename_flags(void)
{
	struct fuse_rename2_in in = {.newdir = FUSE_ROOT_ID, .flags = ~0u};
	char names[] = "file\0sub";

	return attack_ask(FUSE_RENAME2, FUSE_ROOT_ID, IN(in), (struct iovec){names, sizeof(names)});
}

static int rename_one_name(void)
{
	struct fuse_rename_in in = {.newdir = FUSE_ROOT_ID};

	return attack_ask(FUSE_RENAME, FUSE_ROOT_ID, IN(in), (struct iovec){(char *)(uintptr_t) "file", 5});
}

static int symlink_one_name(void)
{
	return attack_ask(
		FUSE_SYMLINK, FUSE_ROOT_ID, (struct iovec){(char *)(uintptr_t) "alone", 6}, NOTHING);
}

static int write_what_is_not_there(void)
{
	struct fuse_write_in in = {.fh = a.file.fh, .size = 100000};

	return attack_ask(FUSE_WRITE, a.file.node, IN(in), (struct iovec){(char *)(uintptr_t) "little", 6});
}

static int write_all_ones(void)
{
	struct fuse_write_in in = {.fh = a.file.fh, .size = UINT32_MAX};

	return attack_ask(FUSE_WRITE, a.file.node, IN(in), NOTHING);
}

static int write_behind_the_end_of_all(void)
{
	struct fuse_write_in in = {.fh = a.file.fh, .size = 6, .offset = INT64_MAX};

	return attack_ask(FUSE_WRITE, a.file.node, IN(in), (struct iovec){(char *)(uintptr_t) "little", 6});
}

static int read_at_negative(void)
{
	struct fuse_read_in in = {.fh = a.file.fh, .size = 16, .offset = UINT64_MAX - 5};

	return attack_ask(FUSE_READ, a.file.node, IN(in), NOTHING);
}

static int allocate_everything(void)
{
	struct fuse_fallocate_in in = {.fh = a.file.fh, .offset = UINT64_MAX, .length = UINT64_MAX};

	return attack_ask(FUSE_FALLOCATE, a.file.node, IN(in), NOTHING);
}

static int allocate_all_modes(void)
{
	struct fuse_fallocate_in in = {.fh = a.file.fh, .length = 4096, .mode = UINT32_MAX};

	return attack_ask(FUSE_FALLOCATE, a.file.node, IN(in), NOTHING);
}

static int seek_whence(void)
{
	struct fuse_lseek_in in = {.fh = a.file.fh, .whence = 77};

	return attack_ask(FUSE_LSEEK, a.file.node, IN(in), NOTHING);
}

static int copy_wraps(void)
{
	struct fuse_copy_file_range_in in = {.fh_in = a.file.fh,
		.nodeid_out = a.file.node,
		.fh_out = a.file.fh,
		.off_in = UINT64_MAX - 1,
		.off_out = UINT64_MAX - 1,
		.len = UINT64_MAX};

	return attack_ask(FUSE_COPY_FILE_RANGE, a.file.node, IN(in), NOTHING);
}

static int lock_backwards(void)
{
	struct fuse_lk_in in = {.fh = a.file.fh, .lk = {.start = 10, .end = 5, .type = F_WRLCK}};

	return attack_ask(FUSE_SETLK, a.file.node, IN(in), NOTHING);
}

static int lock_of_no_type(void)
{
	struct fuse_lk_in in = {.fh = a.file.fh, .lk = {.end = 5, .type = 99}};

	return attack_ask(FUSE_SETLK, a.file.node, IN(in), NOTHING);
}

static int ioctl_unknown(void)
{
	struct fuse_ioctl_in in = {.fh = a.file.fh, .cmd = 0xdeadbeef, .in_size = 8, .out_size = 8};
	uint64_t arg = 0;

	return attack_ask(FUSE_IOCTL, a.file.node, IN(in), IN(arg));
}

static int ioctl_lengths(void)
{
	struct fuse_ioctl_in in = {
		.fh = a.file.fh, .cmd = 0x80086601, .in_size = UINT32_MAX, .out_size = UINT32_MAX};

	return attack_ask(FUSE_IOCTL, a.file.node, IN(in), NOTHING);
}

static int attribute(const char *name, uint32_t size, size_t there)
{
	struct fuse_setxattr_in in = {.size = size};
	uint8_t buf[2048] = {0};
	size_t len = attack_put_name(buf, name);

	return attack_ask(FUSE_SETXATTR, a.node[FILE_], (struct iovec){&in, FUSE_COMPAT_SETXATTR_IN_SIZE},
		(struct iovec){buf, len + there});
}

static int attribute_longer_than_sent(void)
{
	return attribute("user.x", 60000, 10);
}

static int attribute_of_all_ones(void)
{
	return attribute("user.x", UINT32_MAX, 10);
}

static int attribute_without_name(void)
{
	return attribute("", 1, 1);
}

static int attribute_without_family(void)
{
	return attribute("nonsense", 1, 1);
}

static int attribute_with_long_name(void)
{
	return attribute(attack_long_name, 1, 1);
}

static int attribute_of_the_trusted(void)
{
	return attribute("trusted.overlay.opaque", 1, 1);
}

static int attribute_that_is_an_acl(void)
{
	return attribute("system.posix_acl_access", 4, 4);
}

static int attribute_flags(void)
{
	struct fuse_setxattr_in in = {.size = 1, .flags = ~0u};
	char value[] = "user.x\0v";

	return attack_ask(FUSE_SETXATTR, a.node[FILE_], (struct iovec){&in, FUSE_COMPAT_SETXATTR_IN_SIZE},
		(struct iovec){value, 8});
}

static int removal_of_a_capability(void)
{
	return attack_ask(FUSE_REMOVEXATTR, a.node[FILE_],
		(struct iovec){(char *)(uintptr_t) "security.capability", 20}, NOTHING);
}

static int access_of_all_ones(void)
{
	struct fuse_access_in in = {.mask = ~0u};

	return attack_ask(FUSE_ACCESS, a.node[FILE_], IN(in), NOTHING);
}

static int open_for_nothing(void)
{
	struct fuse_open_in in = {.flags = O_ACCMODE};

	return attack_ask(FUSE_OPEN, a.node[FILE_], IN(in), NOTHING);
}

static int opcode_0(void)
{
	return attack_ask(0, FUSE_ROOT_ID, NOTHING, NOTHING);
}

static int opcode_of_cuse(void)
{
	return attack_ask(4096, FUSE_ROOT_ID, NOTHING, NOTHING);
}

static int opcode_of_all_ones(void)
{
	return attack_ask(UINT32_MAX, FUSE_ROOT_ID, NOTHING, NOTHING);
}

static int map_without_window(void)
{
	uint8_t zeros[48] = {0};

	return attack_ask(FUSE_SETUPMAPPING, a.node[FILE_], (struct iovec){zeros, 40}, NOTHING);
}

static int poll_for_ever(void)
{
	uint8_t zeros[24] = {0};

	return attack_ask(FUSE_POLL, a.node[FILE_], (struct iovec){zeros, 24}, NOTHING);
}

static int device_as_user(void)
{
	struct fuse_mknod_in in = {.mode = S_IFREG | 0600};
	int r;

	a.c->uid = UINT32_MAX; /* nobody can be that */
	r = attack_ask(FUSE_MKNOD, FUSE_ROOT_ID, IN(in), (struct iovec){(char *)(uintptr_t) "odd", 4});
	a.c->uid = 0;
	return r;
}

const struct attack attacks[] = {
	{"OPEN of a fifo", open_fifo, ENXIO},
	{"OPEN of a socket", open_socket, ENXIO},
	{"OPEN of a device", open_device, ENXIO},
	{"OPEN of a symlink", open_symlink, ELOOP},
	{"OPEN of a directory", open_directory_as_file, EISDIR},
	{"OPENDIR of a file", opendir_of_file, ENOTDIR},
	{"OPENDIR of a symlink to a directory outside", opendir_of_symlink, ANY_ERROR},
	{"LOOKUP in a symlink to a directory outside", lookup_through_symlink, ENOTDIR},
	{"CREATE in a symlink to a directory outside", create_through_symlink, ENOTDIR},
	{"CREATE of a name that is a symlink to a file outside", create_over_symlink, ANY_ERROR},
	{"SETATTR of a symlink's size", truncate_symlink, EINVAL},
	{"SETATTR of a fifo's size", truncate_fifo, EINVAL},
	{"SETATTR of a symlink's mode", chmod_symlink, EOPNOTSUPP},
	{"SETATTR of a size of all ones", truncate_beyond_everything, EFBIG},
	{"SETATTR of impossible times", impossible_times, EINVAL},
	{"SETATTR of an owner of all ones", owner_of_all_ones, EINVAL},
	{"MKNOD of no type", make_of_no_type, EINVAL},
	{"LINK of a directory", link_of_directory, EPERM},
	{"RMDIR of the root by ..", remove_root, EINVAL},
	{"RENAME of a directory into itself", rename_into_itself, EINVAL},
	{"RENAME into a forgotten directory", rename_to_forgotten, ESTALE},
	{"RENAME2 with all flags", rename_flags, EINVAL},
	{"RENAME with one name", rename_one_name, EINVAL},
	{"SYMLINK with one name", symlink_one_name, EINVAL},
	{"WRITE of more than was sent", write_what_is_not_there, EINVAL},
	{"WRITE of all ones", write_all_ones, EINVAL},
	{"WRITE across the end of all files", write_behind_the_end_of_all, ANY_ERROR},
	{"READ at a negative place", read_at_negative, EINVAL},
	{"FALLOCATE of everything", allocate_everything, EINVAL},
	{"FALLOCATE with all modes", allocate_all_modes, ANY_ERROR},
	{"LSEEK with whence 77", seek_whence, EINVAL},
	{"COPY_FILE_RANGE that wraps around", copy_wraps, EINVAL},
	{"SETLK that ends before it begins", lock_backwards, EINVAL},
	{"SETLK of no type", lock_of_no_type, EINVAL},
	{"IOCTL that nobody knows", ioctl_unknown, ENOTTY},
	{"IOCTL with lengths of all ones", ioctl_lengths, ANY_ERROR},
	{"SETXATTR of more than was sent", attribute_longer_than_sent, ANY_ERROR},
	{"SETXATTR of a value of all ones", attribute_of_all_ones, ANY_ERROR},
	{"SETXATTR without a name", attribute_without_name, ANY_ERROR},
	{"SETXATTR without a family", attribute_without_family, EOPNOTSUPP},
	{"SETXATTR with a name of 300 bytes", attribute_with_long_name, ANY_ERROR},
	{"SETXATTR of trusted.*", attribute_of_the_trusted, EOPNOTSUPP},
	{"SETXATTR of an ACL that was not negotiated", attribute_that_is_an_acl, EOPNOTSUPP},
	{"SETXATTR with all flags", attribute_flags, ANY_ERROR},
	{"REMOVEXATTR of what is not there", removal_of_a_capability, ENODATA},
	{"ACCESS of all ones", access_of_all_ones, EINVAL},
	{"OPEN to neither read nor write", open_for_nothing, EINVAL},
	{"opcode 0", opcode_0, ENOSYS},
	{"opcode CUSE_INIT", opcode_of_cuse, ENOSYS},
	{"opcode of all ones", opcode_of_all_ones, ENOSYS},
	{"SETUPMAPPING without a window", map_without_window, ANY_ERROR},
	{"POLL", poll_for_ever, ENOSYS},
	{"a caller of all ones", device_as_user, ANY_ERROR},
};
const unsigned int attacks_count = ARRAY_LEN(attacks);
