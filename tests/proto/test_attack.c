/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile guest's requests, each a case with a name: the sender gets an error, another queue is served all
 * the same, and nothing outside the share has changed. What breaks rings, messages and memory is in
 * test_ring, test_hostile and test_vanish; races with the host in test_swap.
 */
#include "attack.h"

#include <assert.h>
#include <dirent.h>
#include <sys/sysmacros.h>

#define CASES_MAX 800

struct victim a;
char attack_long_name[300];
static pid_t server; /* that serves, and shall not be another one's heir */

static unsigned int names_beside(void)
{
	DIR *d = opendir(a.vm.daemon.dir);
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int attack_ask(uint32_t opcode, uint64_t node, struct iovec one, struct iovec two)
{
	static uint8_t reply[4096];
	struct fc_op op = {.opcode = opcode,
		.node = node,
		.arg = {one, two},
		.nargs = 2,
		.reply = reply,
		.reply_len = sizeof(reply)};
	ssize_t r = fc_call(a.c, &op);

	return op.done ? op.error : (int)r;
}

static void expect_error(int r, int want)
{
	if (want == ANYTHING && r >= 0)
		return;
	if (r >= 0 || r < -4095 || r == -EPROTO || r == -ETIMEDOUT)
		fail_msg("it is answered by %d", r);
	if (want > 0 && r != -want)
		fail_msg("it is answered by %s, not %s", strerrorname_np(-r), strerrorname_np(want));
}

/* The others do not notice. */
static int check(void **state)
{
	char got[4] = "";

	(void)state;
	LEN(fc_read(a.victim, a.kept, got, 4, 0), 4);
	assert_memory_equal(got, "kept", 4);
	assert_int_equal(names_beside(), a.nbeside);
	host_expect_file(a.vm.daemon.share, "../outside", "secret", 6);
	assert_int_equal(spawn_server_pid(&a.vm.daemon), server);
	if (spawn_check(&a.vm.daemon, &a.vm.err))
		fail_msg("%s", a.vm.err.text);
	return 0;
}

/*
 * Names.
 */

struct bad_name {
	const char *what, *name;
	int error;
};
static const struct bad_name bad_names[] = {
	{".", ".", EINVAL},
	{"..", "..", EINVAL},
	{"an empty name", "", EINVAL},
	{"an absolute path", "/etc/passwd", EINVAL},
	{"a path upwards", "../outside", EINVAL},
	{"a path within", "dir/inner", EINVAL},
	{"a slash at the end", "dir/", EINVAL},
	{"256 bytes", attack_long_name + 299 - 256, ENAMETOOLONG},
	{"300 bytes", attack_long_name, ENAMETOOLONG},
};

/* A request that takes a name behind @len bytes of arguments; *pairs* take another one behind it. */
struct name_op {
	const char *what;
	uint32_t opcode;
	size_t len;
	const char *before, *after; /* the other name of a pair */
};
static const struct name_op name_ops[] = {
	{"LOOKUP", FUSE_LOOKUP, 0, NULL, NULL},
	{"MKDIR", FUSE_MKDIR, sizeof(struct fuse_mkdir_in), NULL, NULL},
	{"MKNOD", FUSE_MKNOD, sizeof(struct fuse_mknod_in), NULL, NULL},
	{"CREATE", FUSE_CREATE, sizeof(struct fuse_create_in), NULL, NULL},
	{"SYMLINK", FUSE_SYMLINK, 0, NULL, "target"},
	{"UNLINK", FUSE_UNLINK, 0, NULL, NULL},
	{"RMDIR", FUSE_RMDIR, 0, NULL, NULL},
	{"LINK", FUSE_LINK, sizeof(struct fuse_link_in), NULL, NULL},
	{"RENAME from", FUSE_RENAME, sizeof(struct fuse_rename_in), NULL, "new"},
	{"RENAME to", FUSE_RENAME, sizeof(struct fuse_rename_in), "file", NULL},
	{"RENAME2 from", FUSE_RENAME2, sizeof(struct fuse_rename2_in), NULL, "new"},
	{"RENAME2 to", FUSE_RENAME2, sizeof(struct fuse_rename2_in), "file", NULL},
};

/* Arguments that would do if the name did: directories are the root, the link's inode the file. */
static size_t fixed_args(const struct name_op *op, uint8_t *out)
{
	uint64_t node = op->opcode == FUSE_LINK ? a.node[FILE_] : FUSE_ROOT_ID;

	memset(out, 0, op->len);
	if (op->opcode == FUSE_LINK || op->opcode == FUSE_RENAME || op->opcode == FUSE_RENAME2)
		memcpy(out, &node, sizeof(node));
	if (op->opcode == FUSE_MKNOD)
		memcpy(out, &(uint32_t){S_IFREG | 0644}, 4);
	if (op->opcode == FUSE_CREATE)
		memcpy(out, &(uint32_t){O_RDWR | O_CREAT}, 4);
	return op->len;
}

size_t attack_put_name(uint8_t *to, const char *name)
{
	return name ? (size_t)(stpcpy((char *)to, name) - (char *)to) + 1 : 0;
}

static void run_name(const struct name_op *op, const struct bad_name *n)
{
	uint8_t buf[1024];
	size_t len = fixed_args(op, buf);

	len += attack_put_name(buf + len, op->before);
	len += attack_put_name(buf + len, n->name);
	len += attack_put_name(buf + len, op->after);
	expect_error(attack_ask(op->opcode, FUSE_ROOT_ID, (struct iovec){buf, len}, NOTHING), n->error);
}

/* The name goes on to the end of the request, without a NUL. */
static void run_endless(const struct name_op *op)
{
	uint8_t buf[1024];
	size_t len = fixed_args(op, buf);

	len += attack_put_name(buf + len, op->before);
	memset(buf + len, 'x', 20);
	expect_error(attack_ask(op->opcode, FUSE_ROOT_ID, (struct iovec){buf, len + 20}, NOTHING), EINVAL);
}

/*
 * Inodes: numbers that the guest made up, or that were true once.
 */

struct bad_node {
	const char *what;
	uint64_t node; /* 0xgone: one that was forgotten */
};
#define GONE 0x90000000ull
static const struct bad_node bad_nodes[] = {
	{"inode 0", 0},
	{"an inode that nobody knows", 777777},
	{"the last inode of all", UINT64_MAX},
	{"the root in another life", 1 | 1ull << 32},
	{"an index beyond the table", 0xffffffffull},
	{"an inode that was forgotten", GONE},
};

struct node_op {
	const char *what;
	uint32_t opcode;
	size_t len; /* of the arguments, zeros */
	const char *name, *second;
	bool in_args; /* the inode is that at their begin, not the header's */
};
static const struct node_op node_ops[] = {
	{"LOOKUP in", FUSE_LOOKUP, 0, "file"},
	{"GETATTR of", FUSE_GETATTR, sizeof(struct fuse_getattr_in), NULL},
	{"SETATTR of", FUSE_SETATTR, sizeof(struct fuse_setattr_in), NULL},
	{"READLINK of", FUSE_READLINK, 0, NULL},
	{"OPEN of", FUSE_OPEN, sizeof(struct fuse_open_in), NULL},
	{"OPENDIR of", FUSE_OPENDIR, sizeof(struct fuse_open_in), NULL},
	{"STATFS of", FUSE_STATFS, 0, NULL},
	{"ACCESS of", FUSE_ACCESS, sizeof(struct fuse_access_in), NULL},
	{"UNLINK in", FUSE_UNLINK, 0, "file"},
	{"MKDIR in", FUSE_MKDIR, sizeof(struct fuse_mkdir_in), "new"},
	{"CREATE in", FUSE_CREATE, sizeof(struct fuse_create_in), "new"},
	{"GETXATTR of", FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), "user.x"},
	{"LISTXATTR of", FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), NULL},
	{"REMOVEXATTR of", FUSE_REMOVEXATTR, 0, "user.x"},
	{"SETXATTR of", FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, "user.x"},
	{"STATX of", FUSE_STATX, sizeof(struct fuse_statx_in), NULL},
	{"MKNOD in", FUSE_MKNOD, sizeof(struct fuse_mknod_in), "new"},
	{"TMPFILE in", FUSE_TMPFILE, sizeof(struct fuse_create_in), "/"},
	{"SYMLINK in", FUSE_SYMLINK, 0, "new", "target"},
	{"RMDIR in", FUSE_RMDIR, 0, "dir"},
	{"LINK in", FUSE_LINK, sizeof(struct fuse_link_in), "new"},
	{"LINK of", FUSE_LINK, sizeof(struct fuse_link_in), "new", NULL, true},
	{"RENAME from", FUSE_RENAME, sizeof(struct fuse_rename_in), "file", "new"},
	{"RENAME to", FUSE_RENAME, sizeof(struct fuse_rename_in), "file", "new", true},
	{"RENAME2 from", FUSE_RENAME2, sizeof(struct fuse_rename2_in), "file", "new"},
	{"RENAME2 to", FUSE_RENAME2, sizeof(struct fuse_rename2_in), "file", "new", true},
};

/* The other inode of a request that has two. */
static uint64_t good_node(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LINK:
		return a.node[FILE_];
	case FUSE_RENAME:
	case FUSE_RENAME2:
		return FUSE_ROOT_ID;
	default:
		return 0;
	}
}

static int ask_node(const struct node_op *op, uint64_t node)
{
	uint64_t good = good_node(op->opcode), root = FUSE_ROOT_ID;
	uint8_t args[128] = {0};
	char name[32];
	size_t len = attack_put_name((uint8_t *)name, op->name);

	len += attack_put_name((uint8_t *)name + len, op->second);
	memcpy(args, op->in_args ? &node : &good, MIN(op->len, sizeof(node)));
	if (op->opcode == FUSE_MKNOD)
		memcpy(args, &(uint32_t){S_IFREG | 0644}, 4);
	if (op->opcode == FUSE_CREATE || op->opcode == FUSE_TMPFILE)
		memcpy(args, &(uint32_t){O_RDWR}, 4);
	return attack_ask(op->opcode, op->in_args ? root : node, (struct iovec){args, op->len},
		(struct iovec){name, len});
}

static void run_node(const struct node_op *op, const struct bad_node *n)
{
	expect_error(ask_node(op, n->node == GONE ? a.node[GONE_] : n->node), ESTALE);
}

/* What is no directory, where one belongs. */
static const char *const thing_names[] = {[FILE_] = "a file",
	[LINK_] = "a symlink",
	[FIFO_] = "a fifo",
	[SOCK_] = "a socket",
	[DEV_] = "a device"};

static bool wants_directory(const struct node_op *op)
{
	return strstr(op->what, " in") || op->opcode == FUSE_RENAME || op->opcode == FUSE_RENAME2 ||
	       op->opcode == FUSE_OPENDIR;
}

static void run_kind(const struct node_op *op, enum thing t)
{
	expect_error(ask_node(op, a.node[t]), ENOTDIR);
}

/*
 * Handles: made up, closed, another inode's, of the other kind.
 */

enum bad_fh { FH_ZERO, FH_UNKNOWN, FH_LAST, FH_OTHER_KIND, FH_OTHER_NODE, FH_RELEASED, BAD_FHS };
static const char *const bad_fh_names[BAD_FHS] = {"no handle", "a handle that nobody has",
	"the last handle of all", "a handle of the other kind", "another inode's handle",
	"a handle that was released"};

struct fh_op {
	const char *what;
	uint32_t opcode;
	size_t len, at; /* of the arguments; where the handle stands in them */
	bool dir;
};
#define FH(record) sizeof(struct record), offsetof(struct record, fh)
static const struct fh_op fh_ops[] = {
	{"READ", FUSE_READ, FH(fuse_read_in), false},
	{"WRITE", FUSE_WRITE, FH(fuse_write_in), false},
	{"FLUSH", FUSE_FLUSH, FH(fuse_flush_in), false},
	{"FSYNC", FUSE_FSYNC, FH(fuse_fsync_in), false},
	{"RELEASE", FUSE_RELEASE, FH(fuse_release_in), false},
	{"FALLOCATE", FUSE_FALLOCATE, FH(fuse_fallocate_in), false},
	{"LSEEK", FUSE_LSEEK, FH(fuse_lseek_in), false},
	{"SETLK", FUSE_SETLK, FH(fuse_lk_in), false},
	{"GETLK", FUSE_GETLK, FH(fuse_lk_in), false},
	{"IOCTL", FUSE_IOCTL, FH(fuse_ioctl_in), false},
	{"READDIR", FUSE_READDIR, FH(fuse_read_in), true},
	{"READDIRPLUS", FUSE_READDIRPLUS, FH(fuse_read_in), true},
	{"RELEASEDIR", FUSE_RELEASEDIR, FH(fuse_release_in), true},
	{"FSYNCDIR", FUSE_FSYNCDIR, FH(fuse_fsync_in), true},
	{"COPY_FILE_RANGE from", FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in),
		offsetof(struct fuse_copy_file_range_in, fh_in), false},
	{"COPY_FILE_RANGE to", FUSE_COPY_FILE_RANGE, sizeof(struct fuse_copy_file_range_in),
		offsetof(struct fuse_copy_file_range_in, fh_out), false},
	{"COPY_FILE_RANGE_64 to", FUSE_COPY_FILE_RANGE_64, sizeof(struct fuse_copy_file_range_in),
		offsetof(struct fuse_copy_file_range_in, fh_out), false},
	{"SETLKW", FUSE_SETLKW, FH(fuse_lk_in), false},
};

static uint64_t bad_fh(enum bad_fh kind, bool dir)
{
	switch (kind) {
	case FH_UNKNOWN:
		return 4711;
	case FH_LAST:
		return UINT64_MAX;
	case FH_OTHER_KIND:
		return dir ? a.file.fh : a.dir.fh;
	case FH_OTHER_NODE:
		return a.kept.fh;
	case FH_RELEASED:
		return a.closed[dir];
	case FH_ZERO:
	case BAD_FHS:
		break;
	}
	return 0;
}

static void run_fh(const struct fh_op *op, enum bad_fh kind)
{
	uint8_t args[128] = {0};
	uint64_t fh = bad_fh(kind, op->dir);

	if (op->opcode == FUSE_LSEEK)
		memcpy(args + offsetof(struct fuse_lseek_in, whence), &(uint32_t){SEEK_DATA}, 4);
	if (op->opcode == FUSE_FALLOCATE)
		memcpy(args + offsetof(struct fuse_fallocate_in, length), &(uint64_t){1}, 8);
	if (op->opcode == FUSE_COPY_FILE_RANGE || op->opcode == FUSE_COPY_FILE_RANGE_64) {
		struct fuse_copy_file_range_in in = {.fh_in = a.file.fh,
			.nodeid_out = a.file.node,
			.fh_out = a.file.fh,
			.off_out = 100,
			.len = 1};

		memcpy(args, &in, sizeof(in));
	}
	memcpy(args + op->at, &fh, sizeof(fh));
	expect_error(attack_ask(op->opcode, op->dir ? a.dir.node : a.file.node, (struct iovec){args, op->len},
			     NOTHING),
		op->opcode == FUSE_IOCTL ? ANY_ERROR : EBADF);
}

/*
 * The list of cases.
 */

struct one {
	char name[128];
	enum { NAME, ENDLESS, NODE, KIND, HANDLE, NUMBER, OTHER } kind;
	unsigned int op, what;
};
static struct one cases[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX];
static unsigned int ncases;

static void run_case(void **state)
{
	const struct one *c = *state;

	switch (c->kind) {
	case NAME:
		run_name(&name_ops[c->op], &bad_names[c->what]);
		break;
	case ENDLESS:
		run_endless(&name_ops[c->op]);
		break;
	case NODE:
		run_node(&node_ops[c->op], &bad_nodes[c->what]);
		break;
	case KIND:
		run_kind(&node_ops[c->op], (enum thing)c->what);
		break;
	case HANDLE:
		run_fh(&fh_ops[c->op], (enum bad_fh)c->what);
		break;
	case NUMBER:
		expect_error(attack_numbers[c->op].run(&attack_numbers[c->op]), attack_numbers[c->op].error);
		break;
	case OTHER:
		expect_error(attacks[c->op].run(), attacks[c->op].error);
		break;
	}
}

static void add(int kind, unsigned int op, unsigned int what, const char *first, const char *second)
{
	struct one *c = &cases[ncases];

	assert(ncases < CASES_MAX);
	*c = (struct one){.kind = (unsigned int)kind, .op = op, .what = what};
	snprintf(c->name, sizeof(c->name), "%s%s%s", first, *second ? ": " : "", second);
	tests[ncases++] = (struct CMUnitTest){c->name, run_case, NULL, check, c};
}

static void add_all(void)
{
	for (unsigned int i = 0; i < ARRAY_LEN(name_ops); i++) {
		for (unsigned int k = 0; k < ARRAY_LEN(bad_names); k++)
			add(NAME, i, k, name_ops[i].what, bad_names[k].what);
		add(ENDLESS, i, 0, name_ops[i].what, "a name without an end");
	}
	for (unsigned int i = 0; i < ARRAY_LEN(node_ops); i++)
		for (unsigned int k = 0; k < ARRAY_LEN(bad_nodes); k++)
			add(NODE, i, k, node_ops[i].what, bad_nodes[k].what);
	for (unsigned int i = 0; i < ARRAY_LEN(node_ops); i++)
		for (unsigned int k = 0; k < ARRAY_LEN(thing_names); k++)
			if (thing_names[k] && wants_directory(&node_ops[i]))
				add(KIND, i, k, node_ops[i].what, thing_names[k]);
	for (unsigned int i = 0; i < ARRAY_LEN(fh_ops); i++)
		for (unsigned int k = 0; k < BAD_FHS; k++)
			add(HANDLE, i, k, fh_ops[i].what, bad_fh_names[k]);
	for (unsigned int i = 0; i < attacks_count; i++)
		add(OTHER, i, 0, attacks[i].what, "");
	for (unsigned int i = 0; i < attack_numbers_count; i++)
		add(NUMBER, i, 0, attack_numbers[i].what, "");
}

static uint64_t node_of(const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(a.c, FUSE_ROOT_ID, name, &e));
	return e.nodeid;
}

static struct fc_file open_of(uint64_t node, bool dir)
{
	struct fuse_open_out o;

	OK(dir ? fc_opendir(a.c, node, &o) : fc_open(a.c, node, O_RDWR, &o));
	return (struct fc_file){node, o.fh};
}

static void make_things(int share)
{
	host_write_file(share, "file", "file", 4);
	host_write_file(share, "gone", "gone", 4);
	host_write_file(share, "kept", "kept", 4);
	host_write_file(share, "../outside", "secret", 6);
	assert_int_equal(mkdirat(share, "dir", 0755), 0);
	assert_int_equal(symlinkat("/etc", share, "link"), 0);
	assert_int_equal(symlinkat("../outside", share, "out"), 0);
	assert_int_equal(mknodat(share, "fifo", S_IFIFO | 0666, 0), 0);
	assert_int_equal(mknodat(share, "sock", S_IFSOCK | 0666, 0), 0);
	if (mknodat(share, "dev", S_IFCHR | 0666, makedev(1, 3)))
		assert_int_equal(mknodat(share, "dev", S_IFIFO | 0666, 0), 0);
}

static int set_up(void **state)
{
	static const char *const names[] = {[FILE_] = "file", "dir", "link", "fifo", "sock", "dev", "gone"};

	(void)state;
	test_boot(&a.vm, &(struct vm_config){.queues = 2}, (const char *[]){"--queues=2", NULL});
	a.c = &a.vm.client[1];
	a.victim = &a.vm.client[2];
	make_things(a.vm.daemon.share);
	for (unsigned int i = 0; i < ARRAY_LEN(names); i++)
		a.node[i] = node_of(names[i]);
	OK(fc_forget(a.c, a.node[GONE_], 1));
	a.file = open_of(a.node[FILE_], false);
	a.dir = open_of(a.node[DIR_], true);
	a.kept = open_of(node_of("kept"), false);
	a.closed[0] = open_of(a.node[FILE_], false).fh;
	a.closed[1] = open_of(a.node[DIR_], true).fh;
	OK(fc_release(a.c, (struct fc_file){a.node[FILE_], a.closed[0]}));
	OK(fc_releasedir(a.c, (struct fc_file){a.node[DIR_], a.closed[1]}));
	a.nbeside = names_beside();
	server = spawn_server_pid(&a.vm.daemon);
	return 0;
}

/* Nothing of all that was made. */
static int tear_down(void **state)
{
	(void)state;
	assert_false(host_exists(a.vm.daemon.share, "new"));
	assert_false(host_exists(a.vm.daemon.share, "odd"));
	assert_false(host_exists(a.vm.daemon.share, "hard"));
	host_expect_file(a.vm.daemon.share, "file", "file", 4);
	test_end(&a.vm);
	return 0;
}

int main(void)
{
	memset(attack_long_name, 'x', sizeof(attack_long_name) - 1);
	add_all();
	alarm(TEST_MOST_SECONDS);
	return _cmocka_run_group_tests("attacks", tests, ncases, set_up, tear_down);
}
