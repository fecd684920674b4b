/* SPDX-License-Identifier: BSD-3-Clause */
/* The window when the front-end refuses, is late, goes, or is reset, and when the process that serves dies.
 */
#include "dax_guest.h"

#include "worker.h"

#include <signal.h>
#include <unistd.h>

static void refusals(void **state)
{
	struct vm *vm = *state;
	uint64_t node;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", RANGE);
	window_set_mood(&vm->window, WINDOW_REFUSING);
	assert_true(dax_marked(vm, "before", RANGE));
	ERR(dax_map(vm, node, 0, 0, READ), EIO);
	assert_false(dax_marked(vm, "after", RANGE));
	assert_false(dax_marked(vm, "f", RANGE));
	window_set_mood(&vm->window, WINDOW_WILLING);
	OK(dax_map(vm, node, 0, 0, READ));
	SEES(vm, 0, dax_data, RANGE);
	assert_true(dax_marked(vm, "after", RANGE));
}

/* A front-end that maps nothing from the start: the guest hears of no window, and its files are as ever. */
static void never_maps(void **state)
{
	static const enum window_mood moods[] = {WINDOW_REFUSING, WINDOW_WILLING};
	struct vm *vm = *state;
	char back[PAGE];
	struct fc_file f;

	dax_boot(vm, dax_args);
	assert_true(dax_marked(vm, "f", RANGE));
	for (unsigned int i = 0; i < ARRAY_LEN(moods); i++) {
		bool works = moods[i] == WINDOW_WILLING;
		uint64_t flags;

		window_set_mood(&vm->window, moods[i]);
		OK(vm_mount(vm));
		flags = vm->init.flags | (uint64_t)vm->init.flags2 << 32;
		assert_int_equal(!!(flags & FUSE_MAP_ALIGNMENT), works);
		assert_int_equal(!!(flags & FUSE_HAS_INODE_DAX), works);
		assert_int_equal(vm->init.map_alignment, works ? 21 : 0);
		assert_int_equal(dax_marked(vm, "f", RANGE), works);
		f = dax_open(vm, dax_file(vm, "f", RANGE));
		LEN(fc_read(&vm->client[1], f, back, PAGE, PAGE), PAGE);
		assert_memory_equal(back, dax_data + PAGE, PAGE);
		if (!works)
			ERR(dax_map(vm, f.node, 0, 0, READ), ENOSYS);
	}
	OK(dax_map(vm, f.node, 0, 0, READ));
	assert_int_equal(window_pieces(&vm->window), 1);
}

/* A guest that maps all files cannot be told. */
static void never_maps_for_all(void **state)
{
	struct vm_config cfg = dax_vm;
	struct vm *vm = *state;
	uint64_t node;

	cfg.init_flags &= ~(uint64_t)FUSE_HAS_INODE_DAX;
	test_pattern(dax_data, sizeof(dax_data), 7);
	test_boot(vm, &cfg, dax_args);
	window_set_mood(&vm->window, WINDOW_REFUSING);
	OK(vm_mount(vm));
	assert_true(vm->init.flags & FUSE_MAP_ALIGNMENT);
	node = dax_file(vm, "f", RANGE);
	ERR(dax_map(vm, node, 0, 0, READ), EIO);
	window_set_mood(&vm->window, WINDOW_WILLING);
	OK(dax_map(vm, node, 0, 0, READ));
	SEES(vm, 0, dax_data, RANGE);
}

/* What makes a mapped file longer is refused rather than done behind an empty piece of the window. */
static void no_room_to_grow(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c;
	struct fc_file f;

	dax_boot(vm, dax_args);
	c = &vm->client[1];
	f = dax_open(vm, dax_file(vm, "f", 65536));
	OK(dax_map(vm, f.node, 0, 0, WRITE));
	window_set_mood(&vm->window, WINDOW_REFUSING);
	LEN(fc_write(c, f, dax_data + 100, 200, 100), 200);
	ERR(fc_write(c, f, dax_data + 65536, 10, 65536), EIO);
	ERR(fc_write(c, f, dax_data + 65530, 10, 65530), EIO);
	ERR(fc_write(c, f, dax_data, 10, 3 * (uint64_t)RANGE), EIO);
	host_expect_file(vm->daemon.share, "f", dax_data, 65536);
	SEES(vm, 0, dax_data, 65536);
	window_set_mood(&vm->window, WINDOW_WILLING);
	LEN(fc_write(c, f, dax_data + 65530, 10, 65530), 10);
	SEES(vm, 0, dax_data, 65540);
	host_expect_file(vm->daemon.share, "f", dax_data, 65540);
}

/* The guest does not hear of a size of which it would not see the contents. */
static void no_room_to_follow(void **state)
{
	struct fuse_setattr_in cut = {.valid = FATTR_SIZE, .size = 5000};
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	struct fuse_entry_out e;
	uint64_t node;
	int fd;

	dax_boot(vm, dax_args);
	node = dax_file(vm, "f", 65536);
	OK(dax_map(vm, node, 0, 0, READ));
	window_set_mood(&vm->window, WINDOW_REFUSING);
	fd = openat(vm->daemon.share, "f", O_WRONLY | O_CLOEXEC);
	LEN(pwrite(fd, dax_data + 65536, 100, 65536), 100);
	close(fd);
	for (unsigned int i = 0; i < 2; i++) {
		ERR(fc_getattr(&vm->client[1], node, 0, &attr), EIO);
		ERR(fc_lookup(&vm->client[1], 1, "f", &e), EIO);
		window_set_mood(&vm->window, WINDOW_WILLING);
		OK(fc_getattr(&vm->client[1], node, 0, &attr));
		SEES(vm, 0, dax_data, attr.attr.size);
		if (i)
			break;
		/* Likewise when the guest cuts it, which unmaps it first. */
		window_set_mood(&vm->window, WINDOW_REFUSING);
		ERR(fc_setattr(&vm->client[1], node, &cut, &attr), EIO);
		assert_int_equal(host_stat(vm->daemon.share, "f").st_size, 5000);
	}
	assert_int_equal(attr.attr.size, 5000);
}

/* A range of @node that is asked for; the front-end did it, and keeps its answer. */
struct asked {
	struct fuse_setupmapping_in in;
	struct fc_op op;
};

static void ask_in_silence(struct vm *vm, uint64_t node, struct asked *a)
{
	unsigned int maps = window_maps(&vm->window);

	*a = (struct asked){.in = {.len = RANGE, .flags = READ}};
	a->op = (struct fc_op){
		.opcode = FUSE_SETUPMAPPING, .node = node, .arg = {{&a->in, sizeof(a->in)}}, .nargs = 1};
	window_set_mood(&vm->window, WINDOW_SILENT);
	OK(fc_start(&vm->client[1], &a->op));
	assert_true(window_await_maps(&vm->window, maps + 1));
}

/* Other queues go on, the front-end may change memory, and stop the queue that waits. */
static void until_the_queue_was_stopped(struct vm *vm, struct asked *a)
{
	struct fuse_attr_out attr;
	uint32_t base;

	OK(fc_getattr(&vm->client[2], 1, 0, &attr));
	OK(fe_set_mem_table(&vm->fe, &vm->gm));
	OK(vm_stop_queue(vm, 1, &base));
	window_set_mood(&vm->window, WINDOW_WILLING);
	LEN(fc_reap(&vm->client[1], NULL, 50), 0); /* nothing is written while the queue rests */
	OK(vm_start_queue(vm, 1, base));
	LEN(fc_wait(&vm->client[1], &a->op), 0);
}

/* What the answer that comes after all speaks of is undone. */
static void too_long(struct vm *vm, struct asked *a)
{
	struct fuse_attr_out attr;

	OK(fc_getattr(&vm->client[1], 1, 0, &attr));
	ERR(fc_wait(&vm->client[1], &a->op), EIO);
	window_set_mood(&vm->window, WINDOW_WILLING);
}

static void until_the_front_end_has_gone(struct vm *vm, struct asked *a)
{
	(void)a;
	fc_abandon(&vm->client[1]);
	vm_disconnect(vm);
	test_come_back(vm);
}

static void no_answer(void **state)
{
	static void (*const how_long[])(struct vm * vm, struct asked * a) = {
		until_the_queue_was_stopped, too_long, until_the_front_end_has_gone};
	struct vm *vm = *state;
	struct fuse_entry_out e;
	struct asked a;

	dax_boot(vm, dax_args);
	for (unsigned int i = 0; i < ARRAY_LEN(how_long); i++) {
		ask_in_silence(vm, dax_file(vm, "f", RANGE), &a);
		how_long[i](vm, &a);
		OK(dax_map(vm, dax_look_up(vm, "f", &e), 0, 0, READ));
		SEES(vm, 0, dax_data, RANGE);
		assert_int_equal(window_pieces(&vm->window), 1);
		OK(dax_unmap(vm, 0));
		assert_int_equal(window_refused(&vm->window), 0);
	}
}

/* DESTROY wants to be alone with a session in which a request of a queue that rests has been answered: it
 * ends, or that queue's start and the stop of the other would wait for each other. */
static void alone_all_the_same(void **state)
{
	struct fc_op destroy = {.opcode = FUSE_DESTROY};
	struct vm *vm = *state;
	struct asked a;
	uint32_t base;

	dax_boot(vm, dax_args);
	ask_in_silence(vm, dax_file(vm, "f", RANGE), &a);
	OK(vm_stop_queue(vm, 1, &base));
	window_set_mood(&vm->window, WINDOW_WILLING);
	LEN(fc_reap(&vm->client[1], NULL, 50), 0);
	OK(fc_start(&vm->client[2], &destroy));
	OK(vm_stop_queue(vm, 2, &base));
	OK(vm_start_queue(vm, 2, base));
	LEN(fc_wait(&vm->client[2], &destroy), 0);
	fc_abandon(&vm->client[1]);
}

/*
 * As crosvm negotiates (devices/src/virtio/vhost_user_frontend): no BACKEND_SEND_FD, no message of guest
 * memory when it has mapped something, for which only the first requests wait. It knows one region, and has
 * known SHMEM by bit 21 for a while.
 */
static void as_crosvm(void **state)
{
	static const char *const by_21[] = {
		"--dax-window=16M", "--dax-max-mappings=0", "--dax-shmem-bit=21", NULL};
	struct vm_config cfg = dax_vm;
	struct vu_shmem_config c;
	struct vm *vm = *state;

	cfg.quiet_window = true;
	for (unsigned int bit = 22; bit >= 21; bit--) {
		cfg.protocol = VU_BIT(VU_P_MQ) | VU_BIT(VU_P_REPLY_ACK) | VU_BIT(VU_P_CONFIG) |
			       VU_BIT(VU_P_BACKEND_REQ) | VU_BIT(VU_P_DEVICE_STATE) | VU_BIT(bit);
		test_pattern(dax_data, sizeof(dax_data), 7);
		test_boot(vm, &cfg, bit == 22 ? dax_args : by_21);
		assert_true(vm->init.flags & FUSE_MAP_ALIGNMENT);
		OK(fe_ask(&vm->fe, VU_GET_SHMEM_CONFIG, NULL, 0, &c, sizeof(c)));
		assert_int_equal(c.count, 1);
		for (unsigned int i = 0; i < 256; i++)
			assert_int_equal(c.size[i], i ? 0 : WINDOW);
		uint64_t node = dax_file(vm, "f", sizeof(dax_data));
		for (unsigned int i = 0; i < 8; i++) {
			OK(dax_map(vm, node, AT(i % 3), i, READ));
			SEES(vm, AT(i), dax_data + AT(i % 3), RANGE);
		}
		for (unsigned int i = 0; i < 8; i++)
			OK(dax_unmap(vm, i));
		assert_int_equal(window_pieces(&vm->window), 0);
		assert_int_equal(window_refused(&vm->window), 0);
		test_end(vm);
	}
}

/* The front-end takes back all mappings when its device is reset, and says no more than that. */
static void device_is_reset(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out e;

	dax_boot(vm, dax_args_all);
	for (unsigned int round = 0; round < 3; round++) {
		uint64_t node = dax_file(vm, "f", RANGE + 5000);

		OK(dax_map(vm, node, RANGE, 0, WRITE));
		OK(dax_map(vm, node, 0, 1, WRITE));
		memcpy(window_memory(&vm->window) + 4900, "kept", 4);
		OK(fe_tell(&vm->fe, VU_RESET_DEVICE, NULL, 0, -1));
		window_clear(&vm->window);
		memcpy(dax_data + RANGE + 4900, "kept", 4);
		OK(fe_set_features(&vm->fe, vm->fe.features));
		for (unsigned int i = 0; i < vm->queues; i++) {
			drv_reset(&vm->queue[i], vm->queue[i].cfg.base);
			OK(vm_start_queue(vm, i, vm->queue[i].cfg.base));
		}
		host_expect_file(vm->daemon.share, "f", dax_data, RANGE + 5000);
		OK(vm_mount(vm));
		OK(dax_map(vm, dax_look_up(vm, "f", &e), 0, 0, READ));
		SEES(vm, 0, dax_data, RANGE);
		OK(dax_unmap(vm, 0));
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

	dax_boot(vm, dax_args_all);
	w = find_worker(vm);
	f = dax_open(vm, dax_file(vm, "f", size));
	OK(dax_map(vm, f.node, 0, 0, WRITE));
	OK(dax_map(vm, f.node, RANGE, 1, WRITE));
	maps = window_maps(&vm->window);
	for (unsigned int i = 0; i < 5; i++) {
		memcpy(window_memory(&vm->window) + AT(1) + 4800, &"ends!"[i], 1);
		memcpy(dax_data + RANGE + 4800, &"ends!"[i], 1);
		OK(worker_kill(&w, SIGKILL));
		SEES(vm, 0, dax_data, size);
		LEN(fc_write(&vm->client[1], f, dax_data + size, 3000, size), 3000);
		size += 3000;
		SEES(vm, 0, dax_data, size);
		OK(fc_fsync(&vm->client[1], f, false));
		host_expect_file(vm->daemon.share, "f", dax_data, size);
	}
	assert_int_equal(window_maps(&vm->window), maps); /* nothing had to be made again */
	dax_truncate(vm, f.node, 5000);
	SEES(vm, 0, dax_data, 5000);
	OK(dax_unmap(vm, 0));
	OK(dax_unmap(vm, 1));
	assert_int_equal(window_pieces(&vm->window), 0);
	assert_int_equal(window_refused(&vm->window), 0);
}

/* The host changes what is a copy, and cuts what is mapped; the process dies before it could see that. */
static void worker_dies_unaware(void **state)
{
	static const uint8_t zeros[PAGE];
	struct vm *vm = *state;
	struct fuse_attr_out attr;
	struct worker w;
	uint64_t copied, cut;
	int fd;

	dax_boot(vm, dax_args_all);
	w = find_worker(vm);
	copied = dax_file(vm, "copied", 5000);
	cut = dax_file(vm, "cut", RANGE);
	OK(dax_map(vm, copied, 0, 0, READ));
	OK(dax_map(vm, cut, 0, 1, READ));
	fd = openat(vm->daemon.share, "copied", O_WRONLY | O_CLOEXEC);
	LEN(pwrite(fd, "host", 4, 4900), 4);
	close(fd);
	dax_host_cuts(vm, "cut", 5000);
	usleep(50000); /* a time that is long enough ago is not looked at twice */
	OK(worker_kill(&w, SIGKILL));
	OK(dax_unmap(vm, 7)); /* the records have been compared when this is answered */
	OK(fc_getattr(&vm->client[1], copied, 0, &attr));
	SEES(vm, 4900, "host", 4);
	OK(fc_getattr(&vm->client[1], cut, 0, &attr));
	assert_int_equal(attr.attr.size, 5000);
	SEES(vm, AT(1), dax_data, 5000);
	SEES(vm, AT(1) + 2 * PAGE, zeros, PAGE);
}

/* It dies while the front-end does what it was asked: the next one finds out, and does it again. */
static void worker_dies_asking(void **state)
{
	struct vm *vm = *state;
	struct worker w;
	struct asked a;
	uint64_t node;

	dax_boot(vm, dax_args_all);
	w = find_worker(vm);
	node = dax_file(vm, "f", 5000);
	for (unsigned int i = 0; i < 4; i++) {
		ask_in_silence(vm, node, &a);
		OK(worker_kill(&w, SIGKILL));
		window_set_mood(&vm->window, WINDOW_WILLING);
		LEN(fc_wait(&vm->client[1], &a.op), 0);
		SEES(vm, 0, dax_data, 5000);
		memcpy(window_memory(&vm->window) + 10 * i, "guest", 5);
		memcpy(dax_data + 10 * i, "guest", 5);
		OK(dax_unmap(vm, 0));
		assert_int_equal(window_pieces(&vm->window), 0);
		host_expect_file(vm->daemon.share, "f", dax_data, 5000);
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

	dax_boot(vm, dax_args);
	w = find_worker(vm);
	node = dax_file(vm, "f", 2 * RANGE);
	OK(dax_map(vm, node, 0, 0, WRITE));
	OK(dax_map(vm, node, RANGE, 1, WRITE));
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
		SEES(vm, 0, dax_data, in.size);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(refusals),
		TEST_OWN(never_maps),
		TEST_OWN(never_maps_for_all),
		TEST_OWN(no_room_to_grow),
		TEST_OWN(no_room_to_follow),
		TEST_OWN(no_answer),
		TEST_OWN(alone_all_the_same),
		TEST_OWN(as_crosvm),
		TEST_OWN(device_is_reset),
		TEST_OWN(worker_dies),
		TEST_OWN(worker_dies_unaware),
		TEST_OWN(worker_dies_asking),
		TEST_OWN(worker_dies_cutting),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_DIRECT);
}
