/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the guest sees in a window of its own: what it finds there, and what becomes of it. */
#include "test.h"

#include "worker.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANGE  (2u << 20)
#define PAGE   4096u
#define WINDOW (8u * RANGE)
#define READ   FUSE_SETUPMAPPING_FLAG_READ
#define WRITE  (FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE)
#define AT(i)  ((uint64_t)(i)*RANGE)

static const struct vm_config with_window = {
	.window = WINDOW,
	.queues = 2,
	.protocol = (VM_PROTOCOL & ~VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)) | VU_BIT(VU_P_BACKEND_REQ) |
		    VU_BIT(VU_P_BACKEND_SEND_FD) | VU_BIT(VU_P_SHMEM),
	.init_flags = VM_INIT_FLAGS | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX,
	.client = {.timeout_ms = TEST_PATIENCE_MS},
};
static const char *const args[] = {"--dax-window=16M", "--dax-max-mappings=0", NULL};
static const char *const args_all[] = {"--dax-window=16M", "--dax-max-mappings=0", "--dax=always", NULL};
static const char *const args_trust[] = {
	"--dax-window=16M", "--dax-max-mappings=0", "--dax-trust-peers", NULL};

static uint8_t data[3 * RANGE];

static void boot(struct vm *vm, const char *const *with)
{
	test_pattern(data, sizeof(data), 7);
	test_boot(vm, &with_window, with);
}

static uint64_t look_up(struct vm *vm, const char *name, struct fuse_entry_out *e)
{
	OK(fc_lookup(&vm->client[1], 1, name, e));
	return e->nodeid;
}

/* A file of the host's, known to the guest. */
static uint64_t file(struct vm *vm, const char *name, size_t size)
{
	struct fuse_entry_out e;

	host_write_file(vm->daemon.share, name, data, size);
	return look_up(vm, name, &e);
}

static bool marked(struct vm *vm, const char *name, size_t size)
{
	struct fuse_entry_out e;

	host_write_file(vm->daemon.share, name, data, size);
	look_up(vm, name, &e);
	return e.attr.flags & FUSE_ATTR_DAX;
}

static int map(struct vm *vm, uint64_t node, uint64_t off, unsigned int range, uint64_t flags)
{
	return fc_setupmapping(&vm->client[1], node, off, RANGE, AT(range), flags);
}

static int unmap(struct vm *vm, unsigned int range)
{
	struct fuse_removemapping_one one = {AT(range), RANGE};

	return fc_removemapping(&vm->client[1], 1, &one, 1);
}

static void truncate_to(struct vm *vm, uint64_t node, uint64_t size)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = size};
	struct fuse_attr_out out;

	OK(fc_setattr(&vm->client[1], node, &in, &out));
	assert_int_equal(out.attr.size, size);
}

static struct fc_file open_rw(struct vm *vm, uint64_t node)
{
	struct fuse_open_out out;

	OK(fc_open(&vm->client[1], node, O_RDWR, &out));
	return (struct fc_file){node, out.fh};
}

#define SEES(vm, at, what, len) assert_memory_equal(window_memory(&(vm)->window) + (at), what, len)

static void negotiated(void **state)
{
	struct vm *vm = *state;
	struct vu_shmem_config c;

	boot(vm, args);
	assert_true(vm->fe.protocol & VU_BIT(VU_P_SHMEM));
	assert_false(vm->fe.protocol_offered & VU_BIT(VU_P_CONFIGURE_MEM_SLOTS));
	OK(fe_ask(&vm->fe, VU_GET_SHMEM_CONFIG, NULL, 0, &c, sizeof(c)));
	assert_int_equal(c.count, 1);
	assert_int_equal(c.size[0], WINDOW);
	assert_int_equal(c.size[1], 0);
	assert_int_equal(vm->init.map_alignment, 21);
}

/* Another bit for front-ends that follow the draft; and as much of the window as the mappings fill. */
static void older_bit(void **state)
{
	static const char *const older[] = {
		"--dax-window=64M", "--dax-max-mappings=7", "--dax-shmem-bit=21", NULL};
	static const struct vm_config cfg = {.protocol = VM_PROTOCOL | VU_BIT(21)};
	struct vm *vm = *state;
	struct vu_shmem_config c;

	test_boot(vm, &cfg, older);
	assert_true(vm->fe.protocol & VU_BIT(21));
	assert_false(vm->fe.protocol_offered & VU_BIT(VU_P_SHMEM));
	OK(fe_ask(&vm->fe, VU_GET_SHMEM_CONFIG, NULL, 0, &c, sizeof(c)));
	assert_int_equal(c.size[0], 4 * RANGE);
}

static void which_are_marked(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out e;

	boot(vm, args);
	assert_true(marked(vm, "good", 65536));
	assert_false(marked(vm, "small", 65536 - PAGE));
	assert_false(marked(vm, "uneven", 65536 + 1));
	assert_false(marked(vm, "empty", 0));
	OK(mkdirat(vm->daemon.share, "dir", 0755));
	look_up(vm, "dir", &e);
	assert_int_equal(e.attr.flags & FUSE_ATTR_DAX, 0);
}

static void all_are_marked(void **state)
{
	struct vm *vm = *state;

	boot(vm, args_all);
	assert_true(marked(vm, "uneven", 65537));
	assert_true(marked(vm, "empty", 0));
}

/* Loads and stores are the file's own, both ways, at once. */
static void loads_and_stores(void **state)
{
	struct vm *vm = *state;
	uint64_t node;
	char back[PAGE];
	int fd;

	boot(vm, args);
	node = file(vm, "f", sizeof(data));
	for (unsigned int i = 0; i < 3; i++)
		OK(map(vm, node, AT(i), 2 * i, READ));
	for (unsigned int i = 0; i < 3; i++)
		SEES(vm, AT(2 * i), data + AT(i), RANGE);
	OK(map(vm, node, AT(1), 2, WRITE)); /* the range that was only read */
	assert_int_equal(window_pieces(&vm->window), 3);
	memset(window_memory(&vm->window) + AT(2) + 100, 'x', 50);
	fd = openat(vm->daemon.share, "f", O_RDWR);
	LEN(pread(fd, back, 50, RANGE + 100), 50);
	assert_memory_equal(back, window_memory(&vm->window) + AT(2) + 100, 50);
	LEN(pwrite(fd, "host", 4, RANGE + 120), 4);
	SEES(vm, AT(2) + 120, "host", 4);
	close(fd);
	OK(unmap(vm, 2));
	OK(unmap(vm, 2));
	assert_int_equal(window_pieces(&vm->window), 2);
	OK(fc_destroy(&vm->client[1]));
	assert_int_equal(window_pieces(&vm->window), 0);
	assert_int_equal(window_refused(&vm->window), 0);
}

/* What can be written by stores loses what a write would take. */
static void stores_drop_privileges(void **state)
{
	struct vm *vm = *state;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	OK(fchmodat(vm->daemon.share, "f", 06755, 0));
	vm->client[1].uid = vm->client[1].gid = 1000;
	OK(map(vm, node, 0, 0, READ));
	assert_int_equal(host_stat(vm->daemon.share, "f").st_mode & 07777, 06755);
	OK(map(vm, node, 0, 0, WRITE));
	assert_int_equal(host_stat(vm->daemon.share, "f").st_mode & 07777, 0755);
}

/* A range is given to another file, or another part, without being taken back first. */
static void remapped(void **state)
{
	struct vm *vm = *state;
	uint64_t a, b;

	boot(vm, args);
	a = file(vm, "a", RANGE);
	host_write_file(vm->daemon.share, "b", data + RANGE, RANGE);
	struct fuse_entry_out e;
	b = look_up(vm, "b", &e);
	for (unsigned int i = 0; i < 20; i++) {
		OK(map(vm, i % 2 ? b : a, 0, i % 3, i % 5 ? READ : WRITE));
		SEES(vm, AT(i % 3), i % 2 ? data + RANGE : data, RANGE);
	}
	assert_int_equal(window_pieces(&vm->window), 3);
}

/* Growth by writes, whole pages and parts of them: what is mapped goes on, what is new is seen. */
static void growth(void **state)
{
	static const uint32_t steps[] = {PAGE, 100, PAGE - 100, 1, 70000, 5};
	struct vm *vm = *state;
	size_t size = 65536;
	struct fc_file f;

	boot(vm, args);
	f = open_rw(vm, file(vm, "f", size));
	OK(map(vm, f.node, 0, 0, WRITE));
	for (unsigned int i = 0; i < ARRAY_LEN(steps); i++) {
		LEN(fc_write(&vm->client[1], f, data + size, steps[i], size), steps[i]);
		size += steps[i];
		SEES(vm, 0, data, size);
	}
	memcpy(window_memory(&vm->window) + size - 3, "end", 3);
	OK(fc_fsync(&vm->client[1], f, false));
	memcpy(data + size - 3, "end", 3);
	host_expect_file(vm->daemon.share, "f", data, size);
	assert_int_equal(window_refused(&vm->window), 0);
	assert_true(window_pieces(&vm->window) <= 2);
}

/* The host's growth is seen once the guest knows of it. */
static void growth_by_host(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	uint64_t node;
	int fd;

	boot(vm, args);
	node = file(vm, "f", 65536);
	OK(map(vm, node, 0, 0, READ));
	fd = openat(vm->daemon.share, "f", O_RDWR);
	for (size_t size = 65536; size < 65536 + 20000; size += 5000) {
		LEN(pwrite(fd, data + size, 5000, (off_t)size), 5000);
		OK(fc_getattr(&vm->client[1], node, 0, &attr));
		assert_int_equal(attr.attr.size, size + 5000);
		SEES(vm, 0, data, size + 5000);
	}
	close(fd);
}

static void cuts(void **state)
{
	static const uint32_t to[] = {RANGE + 4 * PAGE, RANGE, RANGE - 5000, 3 * PAGE, 5000, 10, 0};
	static const uint8_t zeros[RANGE];
	struct vm *vm = *state;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", 2 * RANGE);
	OK(map(vm, node, 0, 0, WRITE));
	OK(map(vm, node, RANGE, 1, WRITE));
	for (unsigned int i = 0; i < ARRAY_LEN(to); i++) {
		truncate_to(vm, node, to[i]);
		SEES(vm, 0, data, to[i]);
		truncate_to(vm, node, 2 * RANGE);
		SEES(vm, 0, data, to[i]);
		SEES(vm, to[i], zeros, MIN(RANGE, 2 * RANGE - to[i]));
		memcpy(window_memory(&vm->window), data, 2 * RANGE);
		host_expect_file(vm->daemon.share, "f", data, 2 * RANGE);
	}
	assert_int_equal(window_refused(&vm->window), 0);
}

/* Emptied by open, and holes. */
static void emptied(void **state)
{
	static const uint8_t zeros[2 * PAGE];
	struct vm *vm = *state;
	struct fuse_open_out out;
	struct fc_file f;

	boot(vm, args);
	f = open_rw(vm, file(vm, "f", RANGE));
	OK(map(vm, f.node, 0, 0, WRITE));
	OK(fc_fallocate(&vm->client[1], f, PAGE, 2 * PAGE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	SEES(vm, 0, data, PAGE);
	SEES(vm, PAGE, zeros, 2 * PAGE);
	SEES(vm, 3 * PAGE, data + 3 * PAGE, RANGE - 3 * PAGE);
	OK(fc_open(&vm->client[1], f.node, O_RDWR | O_TRUNC, &out));
	LEN(fc_write(&vm->client[1], f, data, 9000, 0), 9000);
	SEES(vm, 0, data, 9000);
	OK(fc_release(&vm->client[1], f));
	host_expect_file(vm->daemon.share, "f", data, 9000);
}

/* The end within a page is a copy: stores there reach the file with fsync, close, or the mapping's end. */
static void uneven_end(void **state)
{
	struct vm *vm = *state;
	size_t size = RANGE + 5000;
	struct fc_file f;

	boot(vm, args_all);
	f = open_rw(vm, file(vm, "f", size));
	OK(map(vm, f.node, RANGE, 0, WRITE));
	SEES(vm, 0, data + RANGE, 5000);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(window_memory(&vm->window) + 4990, i ? "second" : "first.", 6);
		memcpy(data + RANGE + 4990, i ? "second" : "first.", 6);
		if (i == 0)
			OK(fc_fsync(&vm->client[1], f, true));
		else if (i == 1)
			OK(fc_flush(&vm->client[1], f, 0));
		else
			OK(unmap(vm, 0));
		host_expect_file(vm->daemon.share, "f", data, size);
	}
	OK(map(vm, f.node, 4 * (uint64_t)RANGE, 1, READ)); /* behind the end: nothing of the file, no fault */
	assert_int_equal(window_memory(&vm->window)[AT(1)], 0);
}

/* A copy of a program of the host's, which runs. */
static pid_t run_program(struct vm *vm, const char *name, size_t *size)
{
	char path[sizeof(vm->daemon.share_path) + 16];
	int from = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
	int running[2];
	struct stat st;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", vm->daemon.share_path, name);
	assert_int_equal(fstat(from, &st), 0);
	*size = MIN((size_t)st.st_size, sizeof(data));
	LEN(pread(from, data, *size, 0), *size);
	close(from);
	host_write_file(vm->daemon.share, name, data, *size);
	OK(fchmodat(vm->daemon.share, name, 0755, 0));
	OK(pipe2(running, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		execl(path, path, "1000", NULL);
		_exit(1);
	}
	close(running[1]);
	LEN(read(running[0], path, 1), 0); /* closed by exec */
	close(running[0]);
	assert_int_equal(openat(vm->daemon.share, name, O_RDWR), -1);
	assert_int_equal(errno, ETXTBSY);
	return pid;
}

/* What nobody may write is seen as a copy; once it can be written, what is stored there is the file's. */
static void running_program(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out e;
	uint64_t node;
	size_t size;
	pid_t pid;

	boot(vm, args_all);
	pid = run_program(vm, "program", &size);
	node = look_up(vm, "program", &e);
	OK(map(vm, node, 0, 0, READ));
	SEES(vm, 0, data, MIN(size, RANGE));
	ERR(map(vm, node, 0, 1, WRITE), ETXTBSY);
	memcpy(window_memory(&vm->window) + 100, "lost", 4); /* no guest does it */
	OK(unmap(vm, 0));
	host_expect_file(vm->daemon.share, "program", data, size);
	OK(map(vm, node, 0, 0, READ));
	SEES(vm, 0, data, MIN(size, RANGE));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	OK(map(vm, node, 0, 0, WRITE));
	memcpy(window_memory(&vm->window) + 100, "kept", 4);
	OK(fc_fsync(&vm->client[1], open_rw(vm, node), false));
	memcpy(data + 100, "kept", 4);
	host_expect_file(vm->daemon.share, "program", data, size);
}

/* What the host changes in place is seen in a copy when the guest asks for the file's attributes. */
static void copies_follow(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	uint64_t node;
	int fd;

	boot(vm, args_all);
	node = file(vm, "f", 5000);
	OK(map(vm, node, 0, 0, WRITE));
	memcpy(window_memory(&vm->window) + 4800, "guest", 5);
	fd = openat(vm->daemon.share, "f", O_RDWR);
	for (unsigned int i = 0; i < 20; i++) {
		LEN(pwrite(fd, &i, sizeof(i), 4900), sizeof(i));
		OK(fc_getattr(&vm->client[1], node, 0, &attr));
		SEES(vm, 4900, &i, sizeof(i));
		SEES(vm, 4800, "guest", 5);
	}
	close(fd);
}

static int host_cut(int dir, const char *name, off_t size)
{
	autofd int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return ftruncate(fd, size);
}

/* The host cuts what is mapped: gone from the window as soon as the guest asks, which then sees zeros. */
static void cut_by_host(void **state)
{
	static const uint8_t zeros[PAGE];
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	OK(map(vm, node, 0, 0, READ));
	OK(host_cut(vm->daemon.share, "f", 5000));
	OK(fc_getattr(&vm->client[1], node, 0, &attr));
	assert_int_equal(attr.attr.size, 5000);
	SEES(vm, 0, data, 5000);
	SEES(vm, 2 * PAGE, zeros, PAGE);
}

/* As many of the front-end's mappings as it stands, and no more, whatever files there are. */
static void mappings_are_limited(void **state)
{
	static const char *const five[] = {"--dax-window=64M", "--dax-max-mappings=5", "--dax=always", NULL};
	struct vm *vm = *state;
	char name[16];

	boot(vm, five);
	for (unsigned int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, data + i, 9000 + i * 500);
		struct fuse_entry_out e;
		OK(map(vm, look_up(vm, name, &e), 0, i % 4, READ));
		SEES(vm, AT(i % 4), data + i, 9000 + i * 500);
		assert_true(window_pieces(&vm->window) <= 5);
	}
	assert_int_equal(window_pieces(&vm->window), 5);
	assert_int_equal(window_refused(&vm->window), 0);
}

static void nonsense(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_removemapping_one one = {AT(8), RANGE};
	struct fuse_entry_out e;
	uint64_t node, dir;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	OK(mkdirat(vm->daemon.share, "dir", 0755));
	dir = look_up(vm, "dir", &e);
	ERR(map(vm, node, 0, 8, READ), EINVAL);
	ERR(map(vm, node, PAGE, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, PAGE, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 0, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 100, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 2 * WINDOW, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, UINT64_MAX & ~(uint64_t)(RANGE - 1), READ), EINVAL);
	ERR(fc_setupmapping(c, node, UINT64_MAX & ~(uint64_t)(RANGE - 1), RANGE, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, 0, 1u << 20), EINVAL);
	ERR(map(vm, dir, 0, 0, READ), EINVAL);
	ERR(map(vm, 12345, 0, 0, READ), ESTALE);
	OK(symlinkat("f", vm->daemon.share, "link"));
	ERR(map(vm, look_up(vm, "link", &e), 0, 0, READ), EINVAL);
	OK(mkfifoat(vm->daemon.share, "fifo", 0644));
	ERR(map(vm, look_up(vm, "fifo", &e), 0, 0, READ), EINVAL);
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	ERR(fc_removemapping(c, node, &one, 0), EINVAL);
	one = (struct fuse_removemapping_one){AT(1) + PAGE, RANGE};
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	one = (struct fuse_removemapping_one){AT(1), UINT64_MAX};
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	assert_int_equal(window_maps(&vm->window), 0);
	OK(fc_setupmapping(c, node, 0, WINDOW, 0, READ)); /* several ranges at once */
	SEES(vm, 0, data, RANGE);
	one = (struct fuse_removemapping_one){0, WINDOW};
	OK(fc_removemapping(c, node, &one, 1));
	assert_int_equal(window_pieces(&vm->window), 0);
}

/* More files than the window has ranges, each right. */
static void many_files(void **state)
{
	struct vm *vm = *state;
	char name[16];

	boot(vm, args);
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, data + i * PAGE, 65536);
		struct fuse_entry_out e;
		OK(map(vm, look_up(vm, name, &e), 0, i % 8, READ));
		SEES(vm, AT(i % 8), data + i * PAGE, 65536);
	}
	assert_int_equal(window_pieces(&vm->window), 8);
}

static void refusals(void **state)
{
	struct vm *vm = *state;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	window_set_mood(&vm->window, WINDOW_REFUSING);
	ERR(map(vm, node, 0, 0, READ), EIO);
	window_set_mood(&vm->window, WINDOW_WILLING);
	OK(map(vm, node, 0, 0, READ));
	SEES(vm, 0, data, RANGE);
}

static void start_map(struct fuse_client *c, uint64_t node, struct fuse_setupmapping_in *in, struct fc_op *op)
{
	*in = (struct fuse_setupmapping_in){.len = RANGE, .flags = READ};
	*op = (struct fc_op){
		.opcode = FUSE_SETUPMAPPING, .node = node, .arg = {{in, sizeof(*in)}}, .nargs = 1};
	OK(fc_start(c, op));
}

/* The front-end answers when its own message was served: a queue that waits for it can be stopped. */
static void answer_comes_late(void **state)
{
	struct vm *vm = *state;
	struct fuse_setupmapping_in in;
	struct fuse_attr_out attr;
	struct fc_op op;
	uint32_t base;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	window_set_mood(&vm->window, WINDOW_SILENT);
	start_map(&vm->client[1], node, &in, &op);
	assert_true(window_await_maps(&vm->window, 1));
	OK(fc_getattr(&vm->client[2], 1, 0, &attr));
	OK(fe_set_mem_table(&vm->fe, &vm->gm));
	OK(vm_stop_queue(vm, 1, &base));
	window_set_mood(&vm->window, WINDOW_WILLING);
	LEN(fc_reap(&vm->client[1], NULL, 50), 0); /* nothing is written while the queue rests */
	OK(vm_start_queue(vm, 1, base));
	LEN(fc_wait(&vm->client[1], &op), 0);
	SEES(vm, 0, data, RANGE);
}

static void answer_never_comes(void **state)
{
	struct vm *vm = *state;
	struct fuse_setupmapping_in in;
	struct fuse_attr_out attr;
	struct fc_op op;
	uint64_t node;

	boot(vm, args);
	node = file(vm, "f", RANGE);
	window_set_mood(&vm->window, WINDOW_SILENT);
	start_map(&vm->client[1], node, &in, &op);
	assert_true(window_await_maps(&vm->window, 1));
	OK(fc_getattr(&vm->client[1], 1, 0, &attr));
	ERR(fc_wait(&vm->client[1], &op), EIO);
	window_set_mood(&vm->window, WINDOW_WILLING); /* the answer comes: what it did is undone */
	OK(map(vm, node, 0, 0, READ));
	assert_int_equal(window_pieces(&vm->window), 1);
}

static void front_end_goes(void **state)
{
	struct vm *vm = *state;
	struct fuse_setupmapping_in in;
	struct fuse_entry_out e;
	struct fc_op op;

	boot(vm, args);
	window_set_mood(&vm->window, WINDOW_SILENT);
	start_map(&vm->client[1], file(vm, "f", RANGE), &in, &op);
	assert_true(window_await_maps(&vm->window, 1));
	fc_abandon(&vm->client[1]);
	vm_disconnect(vm);
	test_come_back(vm);
	OK(map(vm, look_up(vm, "f", &e), 0, 0, READ));
	SEES(vm, 0, data, RANGE);
}

/* The front-end takes back all mappings when its device is reset, and says no more than that. */
static void device_is_reset(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out e;

	boot(vm, args_all);
	for (unsigned int round = 0; round < 3; round++) {
		uint64_t node = file(vm, "f", RANGE + 5000);

		OK(map(vm, node, RANGE, 0, WRITE));
		OK(map(vm, node, 0, 1, WRITE));
		memcpy(window_memory(&vm->window) + 4900, "kept", 4);
		OK(fe_tell(&vm->fe, VU_RESET_DEVICE, NULL, 0, -1));
		window_clear(&vm->window);
		memcpy(data + RANGE + 4900, "kept", 4);
		OK(fe_set_features(&vm->fe, vm->fe.features));
		for (unsigned int i = 0; i < vm->queues; i++) {
			drv_reset(&vm->queue[i], vm->queue[i].cfg.base);
			OK(vm_start_queue(vm, i, vm->queue[i].cfg.base));
		}
		host_expect_file(vm->daemon.share, "f", data, RANGE + 5000);
		OK(vm_mount(vm));
		OK(map(vm, look_up(vm, "f", &e), 0, 0, READ));
		SEES(vm, 0, data, RANGE);
		OK(unmap(vm, 0));
	}
	assert_int_equal(window_pieces(&vm->window), 0);
	assert_int_equal(window_refused(&vm->window), 0);
}

static struct worker find_worker(struct vm *vm)
{
	struct worker w;

	if (!worker_find(&w, &vm->daemon))
		skip();
	return w;
}

/* The process that serves dies between requests: what is mapped stays so, and follows its file. */
static void worker_dies(void **state)
{
	struct vm *vm = *state;
	size_t size = RANGE + 5000;
	unsigned int maps;
	struct worker w;
	struct fc_file f;

	boot(vm, args_all);
	w = find_worker(vm);
	f = open_rw(vm, file(vm, "f", size));
	OK(map(vm, f.node, 0, 0, WRITE));
	OK(map(vm, f.node, RANGE, 1, WRITE));
	maps = window_maps(&vm->window);
	for (unsigned int i = 0; i < 5; i++) {
		memcpy(window_memory(&vm->window) + AT(1) + 4800, &"ends!"[i], 1);
		memcpy(data + RANGE + 4800, &"ends!"[i], 1);
		OK(worker_kill(&w, SIGKILL));
		SEES(vm, 0, data, size);
		LEN(fc_write(&vm->client[1], f, data + size, 3000, size), 3000);
		size += 3000;
		SEES(vm, 0, data, size);
		OK(fc_fsync(&vm->client[1], f, false));
		host_expect_file(vm->daemon.share, "f", data, size);
	}
	assert_int_equal(window_maps(&vm->window), maps); /* nothing had to be made again */
	truncate_to(vm, f.node, 5000);
	SEES(vm, 0, data, 5000);
	OK(unmap(vm, 0));
	OK(unmap(vm, 1));
	assert_int_equal(window_pieces(&vm->window), 0);
	assert_int_equal(window_refused(&vm->window), 0);
}

/* It dies while the front-end does what it was asked: the next one finds out, and does it again. */
static void worker_dies_asking(void **state)
{
	struct vm *vm = *state;
	struct fuse_setupmapping_in in;
	struct worker w;
	struct fc_op op;
	uint64_t node;

	boot(vm, args_all);
	w = find_worker(vm);
	node = file(vm, "f", 5000);
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int maps = window_maps(&vm->window);

		window_set_mood(&vm->window, WINDOW_SILENT);
		start_map(&vm->client[1], node, &in, &op);
		assert_true(window_await_maps(&vm->window, maps + 1));
		OK(worker_kill(&w, SIGKILL));
		window_set_mood(&vm->window, WINDOW_WILLING);
		LEN(fc_wait(&vm->client[1], &op), 0);
		SEES(vm, 0, data, 5000);
		memcpy(window_memory(&vm->window) + 10 * i, "guest", 5);
		memcpy(data + 10 * i, "guest", 5);
		OK(unmap(vm, 0));
		assert_int_equal(window_pieces(&vm->window), 0);
		host_expect_file(vm->daemon.share, "f", data, 5000);
	}
}

/* Likewise amid a cut, whose ranges are out of the window at that moment. */
static void worker_dies_cutting(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE};
	struct vm *vm = *state;
	struct fuse_attr_out out;
	struct worker w;
	uint64_t node;

	boot(vm, args);
	w = find_worker(vm);
	node = file(vm, "f", 2 * RANGE);
	OK(map(vm, node, 0, 0, WRITE));
	OK(map(vm, node, RANGE, 1, WRITE));
	for (unsigned int i = 0; i < 4; i++) {
		struct fc_op op = {.opcode = FUSE_SETATTR,
			.node = node,
			.arg = {{&in, sizeof(in)}},
			.nargs = 1,
			.reply = &out,
			.reply_len = sizeof(out)};
		unsigned int unmaps = window_unmaps(&vm->window);

		in.size = 2 * RANGE - 100000 * (i + 1);
		window_set_mood(&vm->window, WINDOW_SILENT);
		OK(fc_start(&vm->client[1], &op));
		assert_true(window_await_unmaps(&vm->window, unmaps + 1));
		OK(worker_kill(&w, SIGKILL));
		window_set_mood(&vm->window, WINDOW_WILLING);
		LEN(fc_wait(&vm->client[1], &op), sizeof(out));
		assert_int_equal(host_stat(vm->daemon.share, "f").st_size, in.size);
		SEES(vm, 0, data, in.size);
	}
}

/* Two virtual machines, one share. */
static void boot_second(struct vm *vm, struct vm *other, const char *const *with)
{
	const struct spawn_config spawn = {.share = vm->daemon.share_path, .args = with};

	OK(vm_boot(other, &with_window, &spawn));
}

static void peers_share(void **state)
{
	struct vm *vm = *state;
	struct vm other = {0};
	struct fuse_entry_out e;

	boot(vm, args_trust);
	boot_second(vm, &other, args_trust);
	OK(map(vm, file(vm, "f", RANGE), 0, 0, WRITE));
	OK(map(&other, look_up(&other, "f", &e), 0, 1, WRITE));
	for (unsigned int i = 0; i < 100; i++) {
		window_memory(&vm->window)[i * PAGE] = (uint8_t)i;
		assert_int_equal(window_memory(&other.window)[AT(1) + i * PAGE], i);
		window_memory(&other.window)[AT(1) + i * PAGE + 1] = (uint8_t)(i + 1);
		assert_int_equal(window_memory(&vm->window)[i * PAGE + 1], i + 1);
	}
	OK(vm_end(&other));
}

/* Without trust the second one maps nothing of the first one's, and cannot cut it. */
static void strangers_do_not(void **state)
{
	struct vm *vm = *state;
	struct vm other = {0};
	struct fuse_setattr_in cut = {.valid = FATTR_SIZE};
	struct fuse_attr_out out;
	struct fuse_entry_out e;
	struct fc_file f;

	boot(vm, args);
	boot_second(vm, &other, args);
	OK(fc_lookup(&other.client[1], 1, "f", &e) == -ENOENT ? 0 : -1);
	OK(map(vm, file(vm, "f", RANGE), 0, 0, WRITE));
	look_up(&other, "f", &e);
	assert_int_equal(e.attr.flags & FUSE_ATTR_DAX, 0);
	ERR(fc_setattr(&other.client[1], e.nodeid, &cut, &out), ETXTBSY);
	OK(map(&other, e.nodeid, 0, 1, WRITE)); /* a copy */
	SEES(&other, AT(1), data, RANGE);
	memcpy(window_memory(&other.window) + AT(1), "other", 5);
	SEES(vm, 0, data, RANGE);
	f = open_rw(&other, e.nodeid);
	OK(fc_fsync(&other.client[1], f, false));
	SEES(vm, 0, "other", 5);
	OK(unmap(vm, 0));
	OK(fc_setattr(&other.client[1], e.nodeid, &cut, &out));
	OK(vm_end(&other));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(negotiated),
		TEST_OWN(older_bit),
		TEST_OWN(which_are_marked),
		TEST_OWN(all_are_marked),
		TEST_OWN(loads_and_stores),
		TEST_OWN(stores_drop_privileges),
		TEST_OWN(remapped),
		TEST_OWN(growth),
		TEST_OWN(growth_by_host),
		TEST_OWN(cuts),
		TEST_OWN(emptied),
		TEST_OWN(uneven_end),
		TEST_OWN(running_program),
		TEST_OWN(copies_follow),
		TEST_OWN(cut_by_host),
		TEST_OWN(mappings_are_limited),
		TEST_OWN(nonsense),
		TEST_OWN(many_files),
		TEST_OWN(refusals),
		TEST_OWN(answer_comes_late),
		TEST_OWN(answer_never_comes),
		TEST_OWN(front_end_goes),
		TEST_OWN(device_is_reset),
		TEST_OWN(worker_dies),
		TEST_OWN(worker_dies_asking),
		TEST_OWN(worker_dies_cutting),
		TEST_OWN(peers_share),
		TEST_OWN(strangers_do_not),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_DIRECT);
}
