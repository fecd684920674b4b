/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that the guest sees in a window of its own: what it finds there, and what becomes of it. */
#include "dax_guest.h"

#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void negotiated(void **state)
{
	struct vm *vm = *state;
	struct vu_shmem_config c;

	dax_boot(vm, dax_args);
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

	dax_boot(vm, dax_args);
	assert_true(dax_marked(vm, "good", 65536));
	assert_false(dax_marked(vm, "small", 65536 - PAGE));
	assert_false(dax_marked(vm, "uneven", 65536 + 1));
	assert_false(dax_marked(vm, "empty", 0));
	OK(mkdirat(vm->daemon.share, "dir", 0755));
	dax_look_up(vm, "dir", &e);
	assert_int_equal(e.attr.flags & FUSE_ATTR_DAX, 0);
}

static void all_are_marked(void **state)
{
	struct vm *vm = *state;

	dax_boot(vm, dax_args_all);
	assert_true(dax_marked(vm, "uneven", 65537));
	assert_true(dax_marked(vm, "empty", 0));
}

/* Loads and stores are the file's own, both ways, at once. */
static void loads_and_stores(void **state)
{
	struct vm *vm = *state;
	uint64_t node;
	char back[PAGE];
	int fd;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", sizeof(dax_data));
	for (unsigned int i = 0; i < 3; i++)
		OK(dax_map(vm, node, AT(i), 2 * i, READ));
	for (unsigned int i = 0; i < 3; i++)
		SEES(vm, AT(2 * i), dax_data + AT(i), RANGE);
	OK(dax_map(vm, node, AT(1), 2, WRITE)); /* the range that was only read */
	assert_int_equal(window_pieces(&vm->window), 3);
	memset(window_memory(&vm->window) + AT(2) + 100, 'x', 50);
	fd = openat(vm->daemon.share, "f", O_RDWR);
	LEN(pread(fd, back, 50, RANGE + 100), 50);
	assert_memory_equal(back, window_memory(&vm->window) + AT(2) + 100, 50);
	LEN(pwrite(fd, "host", 4, RANGE + 120), 4);
	SEES(vm, AT(2) + 120, "host", 4);
	close(fd);
	OK(dax_unmap(vm, 2));
	OK(dax_unmap(vm, 2));
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

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", RANGE);
	OK(fchmodat(vm->daemon.share, "f", 06755, 0));
	vm->client[1].uid = vm->client[1].gid = 1000;
	OK(dax_map(vm, node, 0, 0, READ));
	assert_int_equal(host_stat(vm->daemon.share, "f").st_mode & 07777, 06755);
	OK(dax_map(vm, node, 0, 0, WRITE));
	assert_int_equal(host_stat(vm->daemon.share, "f").st_mode & 07777, 0755);
}

/* A range is given to another file, or another part, without being taken back first. */
static void remapped(void **state)
{
	struct vm *vm = *state;
	uint64_t a, b;

	dax_boot(vm, dax_args);
	a = dax_file(vm, "a", RANGE);
	host_write_file(vm->daemon.share, "b", dax_data + RANGE, RANGE);
	struct fuse_entry_out e;
	b = dax_look_up(vm, "b", &e);
	for (unsigned int i = 0; i < 20; i++) {
		OK(dax_map(vm, i % 2 ? b : a, 0, i % 3, i % 5 ? READ : WRITE));
		SEES(vm, AT(i % 3), i % 2 ? dax_data + RANGE : dax_data, RANGE);
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

	dax_boot(vm, dax_args);
	f = dax_open(vm, dax_file(vm, "f", size));
	OK(dax_map(vm, f.node, 0, 0, WRITE));
	for (unsigned int i = 0; i < ARRAY_LEN(steps); i++) {
		LEN(fc_write(&vm->client[1], f, dax_data + size, steps[i], size), steps[i]);
		size += steps[i];
		SEES(vm, 0, dax_data, size);
	}
	memcpy(window_memory(&vm->window) + size - 3, "end", 3);
	OK(fc_fsync(&vm->client[1], f, false));
	memcpy(dax_data + size - 3, "end", 3);
	host_expect_file(vm->daemon.share, "f", dax_data, size);
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

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", 65536);
	OK(dax_map(vm, node, 0, 0, READ));
	fd = openat(vm->daemon.share, "f", O_RDWR);
	for (size_t size = 65536; size < 65536 + 20000; size += 5000) {
		LEN(pwrite(fd, dax_data + size, 5000, (off_t)size), 5000);
		OK(fc_getattr(&vm->client[1], node, 0, &attr));
		assert_int_equal(attr.attr.size, size + 5000);
		SEES(vm, 0, dax_data, size + 5000);
	}
	close(fd);
}

static void cuts(void **state)
{
	static const uint32_t to[] = {RANGE + 4 * PAGE, RANGE, RANGE - 5000, 3 * PAGE, 5000, 10, 0};
	static const uint8_t zeros[RANGE];
	struct vm *vm = *state;
	uint64_t node;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", 2 * RANGE);
	OK(dax_map(vm, node, 0, 0, WRITE));
	OK(dax_map(vm, node, RANGE, 1, WRITE));
	for (unsigned int i = 0; i < ARRAY_LEN(to); i++) {
		dax_truncate(vm, node, to[i]);
		SEES(vm, 0, dax_data, to[i]);
		dax_truncate(vm, node, 2 * RANGE);
		SEES(vm, 0, dax_data, to[i]);
		SEES(vm, to[i], zeros, MIN(RANGE, 2 * RANGE - to[i]));
		memcpy(window_memory(&vm->window), dax_data, 2 * RANGE);
		host_expect_file(vm->daemon.share, "f", dax_data, 2 * RANGE);
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

	dax_boot(vm, dax_args);
	f = dax_open(vm, dax_file(vm, "f", RANGE));
	OK(dax_map(vm, f.node, 0, 0, WRITE));
	OK(fc_fallocate(&vm->client[1], f, PAGE, 2 * PAGE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	SEES(vm, 0, dax_data, PAGE);
	SEES(vm, PAGE, zeros, 2 * PAGE);
	SEES(vm, 3 * PAGE, dax_data + 3 * PAGE, RANGE - 3 * PAGE);
	OK(fc_open(&vm->client[1], f.node, O_RDWR | O_TRUNC, &out));
	LEN(fc_write(&vm->client[1], f, dax_data, 9000, 0), 9000);
	SEES(vm, 0, dax_data, 9000);
	OK(fc_release(&vm->client[1], f));
	host_expect_file(vm->daemon.share, "f", dax_data, 9000);
}

/* The end within a page is a copy: stores there reach the file with fsync, close, or the mapping's end. */
static void uneven_end(void **state)
{
	struct vm *vm = *state;
	size_t size = RANGE + 5000;
	struct fc_file f;

	dax_boot(vm, dax_args_all);
	f = dax_open(vm, dax_file(vm, "f", size));
	OK(dax_map(vm, f.node, RANGE, 0, WRITE));
	SEES(vm, 0, dax_data + RANGE, 5000);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(window_memory(&vm->window) + 4990, i ? "second" : "first.", 6);
		memcpy(dax_data + RANGE + 4990, i ? "second" : "first.", 6);
		if (i == 0)
			OK(fc_fsync(&vm->client[1], f, true));
		else if (i == 1)
			OK(fc_flush(&vm->client[1], f, 0));
		else
			OK(dax_unmap(vm, 0));
		host_expect_file(vm->daemon.share, "f", dax_data, size);
	}
	OK(dax_map(vm, f.node, 4 * (uint64_t)RANGE, 1,
		READ)); /* behind the end: nothing of the file, no fault */
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
	*size = MIN((size_t)st.st_size, sizeof(dax_data));
	LEN(pread(from, dax_data, *size, 0), *size);
	close(from);
	host_write_file(vm->daemon.share, name, dax_data, *size);
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

	dax_boot(vm, dax_args_all);
	pid = run_program(vm, "program", &size);
	node = dax_look_up(vm, "program", &e);
	OK(dax_map(vm, node, 0, 0, READ));
	SEES(vm, 0, dax_data, MIN(size, RANGE));
	ERR(dax_map(vm, node, 0, 1, WRITE), ETXTBSY);
	memcpy(window_memory(&vm->window) + 100, "lost", 4); /* no guest does it */
	OK(dax_unmap(vm, 0));
	host_expect_file(vm->daemon.share, "program", dax_data, size);
	OK(dax_map(vm, node, 0, 0, READ));
	SEES(vm, 0, dax_data, MIN(size, RANGE));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	OK(dax_map(vm, node, 0, 0, WRITE));
	memcpy(window_memory(&vm->window) + 100, "kept", 4);
	OK(fc_fsync(&vm->client[1], dax_open(vm, node), false));
	memcpy(dax_data + 100, "kept", 4);
	host_expect_file(vm->daemon.share, "program", dax_data, size);
}

/* What the host changes in place is seen in a copy when the guest asks for the file's attributes. */
static void copies_follow(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	uint64_t node;
	int fd;

	dax_boot(vm, dax_args_all);
	node = dax_file(vm, "f", 5000);
	OK(dax_map(vm, node, 0, 0, WRITE));
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

/* The host cuts what is mapped: gone from the window as soon as the guest asks, which then sees zeros. */
static void cut_by_host(void **state)
{
	static const uint8_t zeros[PAGE];
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	uint64_t node;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", RANGE);
	OK(dax_map(vm, node, 0, 0, READ));
	dax_host_cuts(vm, "f", 5000);
	OK(fc_getattr(&vm->client[1], node, 0, &attr));
	assert_int_equal(attr.attr.size, 5000);
	SEES(vm, 0, dax_data, 5000);
	SEES(vm, 2 * PAGE, zeros, PAGE);
}

/* As many of the front-end's mappings as it stands, and no more, whatever files there are. */
static void mappings_are_limited(void **state)
{
	static const char *const five[] = {"--dax-window=64M", "--dax-max-mappings=5", "--dax=always", NULL};
	struct vm *vm = *state;
	char name[16];

	dax_boot(vm, five);
	for (unsigned int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, dax_data + i, 9000 + i * 500);
		struct fuse_entry_out e;
		OK(dax_map(vm, dax_look_up(vm, name, &e), 0, i % 4, READ));
		SEES(vm, AT(i % 4), dax_data + i, 9000 + i * 500);
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
	unsigned int maps;

	dax_boot(vm, dax_args);
	maps = window_maps(&vm->window);
	node = dax_file(vm, "f", RANGE);
	OK(mkdirat(vm->daemon.share, "dir", 0755));
	dir = dax_look_up(vm, "dir", &e);
	ERR(dax_map(vm, node, 0, 8, READ), EINVAL);
	ERR(dax_map(vm, node, PAGE, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, PAGE, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 0, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 100, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, 2 * WINDOW, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, UINT64_MAX & ~(uint64_t)(RANGE - 1), READ), EINVAL);
	ERR(fc_setupmapping(c, node, UINT64_MAX & ~(uint64_t)(RANGE - 1), RANGE, 0, READ), EINVAL);
	ERR(fc_setupmapping(c, node, 0, RANGE, 0, 1u << 20), EINVAL);
	ERR(dax_map(vm, dir, 0, 0, READ), EINVAL);
	ERR(dax_map(vm, 12345, 0, 0, READ), ESTALE);
	OK(symlinkat("f", vm->daemon.share, "link"));
	ERR(dax_map(vm, dax_look_up(vm, "link", &e), 0, 0, READ), EINVAL);
	OK(mkfifoat(vm->daemon.share, "fifo", 0644));
	ERR(dax_map(vm, dax_look_up(vm, "fifo", &e), 0, 0, READ), EINVAL);
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	ERR(fc_removemapping(c, node, &one, 0), EINVAL);
	one = (struct fuse_removemapping_one){AT(1) + PAGE, RANGE};
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	one = (struct fuse_removemapping_one){AT(1), UINT64_MAX};
	ERR(fc_removemapping(c, node, &one, 1), EINVAL);
	assert_int_equal(window_maps(&vm->window), maps);
	OK(fc_setupmapping(c, node, 0, WINDOW, 0, READ)); /* several ranges at once */
	SEES(vm, 0, dax_data, RANGE);
	one = (struct fuse_removemapping_one){0, WINDOW};
	OK(fc_removemapping(c, node, &one, 1));
	assert_int_equal(window_pieces(&vm->window), 0);
}

/* As many ranges in one request as a guest with pages of 64 KiB sends. */
static void many_at_once(void **state)
{
	static struct fuse_removemapping_one all[4096 + 1];
	struct vm *vm = *state;
	uint64_t node;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", RANGE);
	for (unsigned int i = 0; i < ARRAY_LEN(all); i++)
		all[i] = (struct fuse_removemapping_one){AT(i % 8), RANGE};
	for (unsigned int i = 0; i < 8; i++)
		OK(dax_map(vm, node, 0, i, READ));
	ERR(fc_removemapping(&vm->client[1], node, all, ARRAY_LEN(all)), EINVAL);
	assert_int_equal(window_pieces(&vm->window), 8);
	OK(fc_removemapping(&vm->client[1], node, all, ARRAY_LEN(all) - 1));
	assert_int_equal(window_pieces(&vm->window), 0);
}

/* More files than the window has ranges, each right. */
static void many_files(void **state)
{
	struct vm *vm = *state;
	char name[16];

	dax_boot(vm, dax_args);
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, dax_data + i * PAGE, 65536);
		struct fuse_entry_out e;
		OK(dax_map(vm, dax_look_up(vm, name, &e), 0, i % 8, READ));
		SEES(vm, AT(i % 8), dax_data + i * PAGE, 65536);
	}
	assert_int_equal(window_pieces(&vm->window), 8);
}

/* Two virtual machines, one share. */
static void boot_second(struct vm *vm, struct vm *other, const char *const *with)
{
	const struct spawn_config spawn = {.share = vm->daemon.share_path, .args = with};

	OK(vm_boot(other, &dax_vm, &spawn));
}

static void peers_share(void **state)
{
	struct vm *vm = *state;
	struct vm other = {0};
	struct fuse_entry_out e;

	dax_boot(vm, dax_args_trust);
	boot_second(vm, &other, dax_args_trust);
	OK(dax_map(vm, dax_file(vm, "f", RANGE), 0, 0, WRITE));
	OK(dax_map(&other, dax_look_up(&other, "f", &e), 0, 1, WRITE));
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

	dax_boot(vm, dax_args);
	boot_second(vm, &other, dax_args);
	OK(fc_lookup(&other.client[1], 1, "f", &e) == -ENOENT ? 0 : -1);
	OK(dax_map(vm, dax_file(vm, "f", RANGE), 0, 0, WRITE));
	dax_look_up(&other, "f", &e);
	assert_int_equal(e.attr.flags & FUSE_ATTR_DAX, 0);
	ERR(fc_setattr(&other.client[1], e.nodeid, &cut, &out), ETXTBSY);
	OK(dax_map(&other, e.nodeid, 0, 1, WRITE)); /* a copy */
	SEES(&other, AT(1), dax_data, RANGE);
	memcpy(window_memory(&other.window) + AT(1), "other", 5);
	SEES(vm, 0, dax_data, RANGE);
	f = dax_open(&other, e.nodeid);
	OK(fc_fsync(&other.client[1], f, false));
	SEES(vm, 0, "other", 5);
	OK(dax_unmap(vm, 0));
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
		TEST_OWN(many_at_once),
		TEST_OWN(many_files),
		TEST_OWN(peers_share),
		TEST_OWN(strangers_do_not),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_DIRECT);
}
