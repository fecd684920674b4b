/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages about the device and its queues' lives. Memory and logs: test_memory.c. */
#include "test.h"

#include <sys/eventfd.h>
#include <sys/file.h>

static void getattr_root(struct vm *vm, unsigned int i)
{
	struct fuse_attr_out a;

	OK(fc_getattr(&vm->client[i], FUSE_ROOT_ID, 0, &a));
}

static void features_offered(void **state)
{
	struct vm *vm = *state;
	static const unsigned int feature[] = {VU_F_LOG_ALL, VU_F_INDIRECT_DESC, VU_F_EVENT_IDX,
		VU_F_PROTOCOL_FEATURES, VU_F_VERSION_1, VU_F_RING_PACKED};
	static const unsigned int protocol[] = {VU_P_MQ, VU_P_LOG_SHMFD, VU_P_REPLY_ACK, VU_P_BACKEND_REQ,
		VU_P_CONFIG, VU_P_BACKEND_SEND_FD, VU_P_RESET_DEVICE, VU_P_CONFIGURE_MEM_SLOTS, VU_P_STATUS};
	uint64_t slots;

	test_boot(vm, NULL, NULL);
	for (unsigned int i = 0; i < ARRAY_LEN(feature); i++)
		assert_true(vm->fe.offered & VU_BIT(feature[i]));
	for (unsigned int i = 0; i < ARRAY_LEN(protocol); i++)
		assert_true(vm->fe.protocol_offered & VU_BIT(protocol[i]));
	OK(fe_ask_u64(&vm->fe, VU_GET_MAX_MEM_SLOTS, &slots));
	assert_true(slots >= 32);
	OK(fe_set_backend_req(&vm->fe));
	getattr_root(vm, 1);
}

/* User-Mode Linux reads the space from its beginning, with growing sizes. */
static void config_space(void **state)
{
	struct vm *vm = *state;
	uint8_t whole[VU_FS_CONFIG_SIZE], part[VU_CONFIG_MAX];
	uint32_t queues;

	test_boot(vm, NULL, (const char *const[]){"--queues=3", NULL});
	OK(fe_get_config(&vm->fe, 0, sizeof(whole), whole));
	assert_string_equal((char *)whole, "proto");
	memcpy(&queues, whole + VU_FS_TAG, sizeof(queues));
	assert_int_equal(queues, 3);
	for (uint32_t n = 1; n <= sizeof(whole); n++) {
		OK(fe_get_config(&vm->fe, 0, n, part));
		assert_memory_equal(part, whole, n);
	}
	OK(fe_get_config(&vm->fe, VU_FS_TAG, 4, part));
	assert_memory_equal(part, &queues, 4);
	fe_get_config(&vm->fe, 200, VU_CONFIG_MAX, part); /* beyond the end: refused or zero, but answered */
	getattr_root(vm, 1);
}

static void queue_number(void **state)
{
	static const struct vm_config cfg = {.queues = 5, .memory = 64 << 20, .client = {.max_data = 65536}};
	struct vm *vm = *state;
	uint64_t n;

	test_boot(vm, &cfg, (const char *const[]){"--queues=5", NULL});
	OK(fe_ask_u64(&vm->fe, VU_GET_QUEUE_NUM, &n));
	assert_int_equal(n, 6);
	for (unsigned int i = 1; i < vm->queues; i++)
		getattr_root(vm, i);
}

/* Every message that may ask for an answer gets one (fe_tell waits for it), and none without REPLY_ACK. */
static void without_reply_ack(void **state)
{
	static const struct vm_config cfg = {.protocol = VU_BIT(VU_P_MQ) | VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)};
	struct vm *vm = *state;
	uint32_t base;

	test_boot(vm, &cfg, NULL);
	assert_false(vm->fe.ack);
	getattr_root(vm, 1);
	OK(vm_stop_queue(vm, 1, &base));
	OK(vm_start_queue(vm, 1, base));
	getattr_root(vm, 1);
}

/* A front-end without protocol features: rings are enabled from the start. */
static void without_protocol_features(void **state)
{
	static const struct vm_config cfg = {.features = VU_BIT(VU_F_VERSION_1)};
	struct vm *vm = *state;

	test_boot(vm, &cfg, NULL);
	assert_int_equal(vm->fe.protocol, 0);
	getattr_root(vm, 1);
}

static uint32_t base_after(uint32_t n, uint32_t size)
{
	uint32_t pos = n % size, wrap = n / size % 2 ? 0 : 1;

	if (!test_packed())
		return n & 0xffff;
	return (pos | wrap << 15) * 0x10001u;
}

/* Stop tells where the ring is, and a start from there goes on, across every wrap of a small ring. */
static void stop_and_start(void **state)
{
	static const struct vm_config cfg = {.size = 8, .client = {.indirect = true, .max_data = 4096}};
	struct vm *vm = *state;
	uint32_t base, done = 1; /* FUSE_INIT */

	test_boot(vm, &cfg, NULL);
	for (unsigned int round = 0; round < 12; round++) {
		for (unsigned int i = 0; i < round % 5; i++, done++)
			getattr_root(vm, 1);
		OK(vm_stop_queue(vm, 1, &base));
		assert_int_equal(base, base_after(done, cfg.size));
		OK(vm_start_queue(vm, 1, base));
	}
	getattr_root(vm, 1);
}

/* Rings start from any index: a split ring's highest wraps to 0 soon, a packed one is on its second lap. */
static void start_from_any_index(void **state)
{
	struct vm_config cfg = {.base = 65530, .size = 64, .client = {.max_data = 4096}};
	struct vm *vm = *state;
	uint32_t base;

	if (test_packed())
		cfg.base = 61 * 0x10001u;
	test_boot(vm, &cfg, NULL);
	for (unsigned int i = 0; i < 100; i++)
		getattr_root(vm, 1);
	OK(vm_stop_queue(vm, 1, &base));
	if (!test_packed())
		assert_int_equal(base, (65530 + 101) & 0xffff);
}

/* When GET_VRING_BASE has answered nothing is in flight: what was taken is done, the rest waits for a start.
 */
static void stop_quiesces(void **state)
{
	static uint8_t buf[8 << 20];
	static const struct vm_config cfg = {.client = {.depth = 8, .indirect = true}};
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_write_in write[8];
	struct fc_created cr;
	struct fc_op op[8];
	uint32_t base, taken, served;

	test_boot(vm, &cfg, NULL);
	OK(fc_create(c, FUSE_ROOT_ID, "f", &in, &cr));
	test_pattern(buf, sizeof(buf), 3);
	for (unsigned int i = 0; i < 8; i++) {
		struct fc_file f = {cr.entry.nodeid, cr.open.fh};

		fc_op_write(&op[i], &write[i], f, 1 << 20, (uint64_t)i << 20);
		op[i].data = buf + ((size_t)i << 20);
		OK(fc_start(c, &op[i]));
	}
	OK(vm_stop_queue(vm, 1, &base));
	taken = (test_packed() ? base & 0x7fff : base) - 2;
	for (served = 0; fc_reap(c, NULL, 0) > 0;)
		served++;
	assert_int_equal(served, taken);
	LEN(fc_reap(c, NULL, 30), 0);
	OK(vm_start_queue(vm, 1, base));
	OK(fc_drain(c));
	for (unsigned int i = 0; i < 8; i++)
		LEN(fc_wait(c, &op[i]), sizeof(struct fuse_write_out));
	host_expect_file(vm->daemon.share, "f", buf, sizeof(buf));
}

/* A lock that the guest waits for, because the host has it. */
struct wait {
	struct fuse_lk_in lk;
	struct fc_op op;
	int host;
};

static void wait_for_host(struct vm *vm, struct wait *w)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fc_created cr;

	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, "f", &in, &cr));
	w->host = openat(vm->daemon.share, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(w->host, LOCK_EX), 0);
	w->lk = (struct fuse_lk_in){.owner = 1,
		.fh = cr.open.fh,
		.lk_flags = FUSE_LK_FLOCK,
		.lk = {.end = FC_OFFSET_MAX, .type = F_WRLCK}};
	OK(fc_setlkw_start(&vm->client[1], cr.entry.nodeid, &w->lk, &w->op));
	LEN(fc_reap(&vm->client[1], NULL, 30), 0);
}

/* Who waits for a lock neither holds up a stop nor is lost by it. */
static void stop_keeps_waits(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c;
	struct wait w;
	uint32_t base;

	test_boot(vm, NULL, NULL);
	c = &vm->client[1];
	wait_for_host(vm, &w);
	for (unsigned int i = 0; i < 3; i++) {
		OK(vm_stop_queue(vm, 1, &base));
		if (i == 2)
			close(w.host); /* now it could be answered */
		LEN(fc_reap(c, NULL, 50), 0);
		OK(vm_start_queue(vm, 1, base));
		if (i < 2)
			getattr_root(vm, 1);
	}
	LEN(fc_wait(c, &w.op), 0);
	w.lk.lk.type = F_UNLCK;
	OK(fc_setlk(c, w.op.node, &w.lk));
}

/* The ring that starts is a new one: nobody waits on it, and nothing is written to what was the old one's. */
static void waits_end_with_their_ring(void **state)
{
	struct vm *vm = *state;
	struct wait w;
	uint32_t base;

	test_boot(vm, NULL, NULL);
	wait_for_host(vm, &w);
	OK(vm_stop_queue(vm, 1, &base));
	fc_abandon(&vm->client[1]);
	drv_reset(&vm->queue[1], vm->queue[1].cfg.base);
	OK(vm_start_queue(vm, 1, vm->queue[1].cfg.base));
	close(w.host);
	getattr_root(vm, 1);
}

/* The same where base and number of what is in flight are as they were, and the size is not. */
static void waits_end_with_their_size(void **state)
{
	struct vm *vm = *state;
	struct drv_queue *q = &vm->queue[1];
	struct wait w;
	uint32_t base;

	test_boot(vm, NULL, NULL);
	wait_for_host(vm, &w);
	OK(vm_stop_queue(vm, 1, &base));
	fc_abandon(&vm->client[1]);
	q->cfg.size /= 2;
	drv_reset(q, base);
	if (test_packed())
		((struct vring_packed_desc *)q->desc)[q->used_idx].flags = 1 << VRING_PACKED_DESC_F_AVAIL;
	else
		((struct vring_used *)q->used)->idx = --q->used_idx;
	OK(vm_start_queue(vm, 1, base));
	close(w.host);
	LEN(drv_wait(q, 50), 0);
	getattr_root(vm, 1);
}

/* Some of seven wait, the others are refused, and the queue goes on; then all who wait get the lock. How many
 * they are. */
static unsigned int crowd_waits(struct vm *vm, const struct vm_config *cfg, const char *const *args)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fuse_lk_in held = {.owner = 1, .lk = {.end = FC_OFFSET_MAX, .type = F_WRLCK}}, want[7];
	struct fuse_client *c = &vm->client[1];
	unsigned int waiting = 0, refused = 0;
	struct fc_created cr;
	struct fc_op op[7];

	test_boot(vm, cfg, args);
	OK(fc_create(c, FUSE_ROOT_ID, "f", &in, &cr));
	held.fh = cr.open.fh;
	OK(fc_setlk(c, cr.entry.nodeid, &held));
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		want[i] = held;
		want[i].owner = 10 + i;
		want[i].lk.type = F_RDLCK;
		OK(fc_setlkw_start(c, cr.entry.nodeid, &want[i], &op[i]));
		getattr_root(vm, 1); /* behind it: it waits, or was refused */
		waiting += !op[i].done;
		refused += op[i].done && op[i].error == -ENOLCK;
	}
	assert_int_equal(waiting + refused, ARRAY_LEN(op));
	getattr_root(vm, 1);
	held.lk.type = F_UNLCK;
	OK(fc_setlk(c, cr.entry.nodeid, &held));
	OK(fc_drain(c));
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++)
		assert_true(!op[i].error || op[i].error == -ENOLCK);
	return waiting;
}

/* Waiting locks never take a whole ring, however small: there is room for the unlock that they wait for. */
static void waiters_in_a_small_ring(void **state)
{
	static const struct vm_config cfg = {.size = 8, .client = {.indirect = true, .max_data = 4096}};

	assert_int_equal(crowd_waits(*state, &cfg, NULL), 2);
}

/* Without indirect tables each takes several descriptors. */
static void waiters_of_many_descriptors(void **state)
{
	static const struct vm_config cfg = {.size = 16, .client = {.max_data = 4096}};

	assert_int_equal(crowd_waits(*state, &cfg, NULL), 2); /* of three descriptors each */
}

/* The pool's threads are for work, not for those who wait. */
static void waiters_beside_a_small_pool(void **state)
{
	static const struct vm_config cfg = {.size = 64, .client = {.indirect = true, .max_data = 4096}};
	static const char *const args[] = {"--thread-pool-size=1", NULL};

	assert_int_equal(crowd_waits(*state, &cfg, args), 7);
}

/* The front-end goes while one waits and one holds: neither has a lock afterwards. */
static void waiters_go_with_the_front_end(void **state)
{
	struct vm *vm = *state;
	struct wait w;
	int fd;

	test_boot(vm, NULL, NULL);
	wait_for_host(vm, &w);
	vm_disconnect(vm);
	assert_int_equal(flock(w.host, LOCK_UN), 0);
	test_come_back(vm);
	getattr_root(vm, 1);
	fd = openat(vm->daemon.share, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	close(w.host);
}

static void disable_and_enable(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, NULL, NULL);
	raw_make(vm, &r, -1);
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_ENABLE, 1, 0));
	ERR(raw_send(vm, 1, &r, 50), ETIMEDOUT);
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_ENABLE, 1, 1));
	LEN(drv_wait(&vm->queue[1], TEST_PATIENCE_MS), 1);
}

static void comes_back(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fuse_lk_in lk = {.owner = 1, .lk = {.end = FC_OFFSET_MAX, .type = F_WRLCK}};
	struct vm *vm = *state;
	autofd int fd = -1;
	struct fuse_attr_out a;
	struct fc_created cr;
	unsigned int fds = 0;

	test_boot(vm, NULL, NULL);
	for (unsigned int round = 0; round < 5; round++) {
		OK(fc_create(&vm->client[1], FUSE_ROOT_ID, "f", &in, &cr));
		lk.fh = cr.open.fh;
		lk.lk_flags = FUSE_LK_FLOCK;
		OK(fc_setlk(&vm->client[1], cr.entry.nodeid, &lk));
		vm_disconnect(vm);
		test_come_back(vm);
		assert_true(fc_getattr(&vm->client[1], cr.entry.nodeid, 0, &a) < 0);
		if (round == 0)
			fds = test_server_fds(vm);
	}
	fd = openat(vm->daemon.share, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_true(test_server_fds(vm) <= fds);
}

/* A front-end that goes with requests in flight, and without a word to the queues. */
static void goes_in_the_middle(void **state)
{
	struct vm *vm = *state;

	test_boot(vm, NULL, NULL);
	for (unsigned int round = 0; round < 3; round++) {
		struct fuse_getattr_in in = {0};
		struct fc_op op[8];

		for (unsigned int i = 0; i < 8; i++) {
			op[i] = (struct fc_op){.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .nargs = 1};
			op[i].arg[0] = (struct iovec){&in, sizeof(in)};
			op[i].reply_len = sizeof(struct fuse_attr_out);
			OK(fc_start(&vm->client[1], &op[i]));
		}
		vm_disconnect(vm);
		test_come_back(vm);
		getattr_root(vm, 1);
	}
}

static void set_up_again(struct vm *vm)
{
	OK(fe_set_features(&vm->fe, vm->fe.features));
	for (unsigned int i = 0; i < vm->queues; i++) {
		drv_reset(&vm->queue[i], vm->queue[i].cfg.base);
		OK(vm_start_queue(vm, i, vm->queue[i].cfg.base));
	}
	OK(vm_mount(vm));
	getattr_root(vm, 1);
}

static void reset_device(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct vm *vm = *state;
	struct fuse_attr_out a;
	struct fc_created cr;
	uint64_t status = 1;
	struct raw r;

	test_boot(vm, NULL, NULL);
	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, "f", &in, &cr));
	OK(fe_tell(&vm->fe, VU_RESET_DEVICE, NULL, 0, -1));
	raw_make(vm, &r, -1);
	ERR(raw_send(vm, 1, &r, 30), ETIMEDOUT);
	OK(fe_ask_u64(&vm->fe, VU_GET_STATUS, &status));
	assert_int_equal(status, 0);
	set_up_again(vm);
	assert_true(fc_getattr(&vm->client[1], cr.entry.nodeid, cr.open.fh, &a) < 0);
}

static void status_is_kept(void **state)
{
	struct vm *vm = *state;
	uint64_t status;

	test_boot(vm, NULL, NULL);
	OK(fe_ask_u64(&vm->fe, VU_GET_STATUS, &status));
	assert_int_equal(status, VU_STATUS_DRIVER_OK);
	OK(fe_tell_u64(&vm->fe, VU_SET_STATUS, 3));
	OK(fe_ask_u64(&vm->fe, VU_GET_STATUS, &status));
	assert_int_equal(status, 3);
	getattr_root(vm, 1);
}

/* Other descriptors for calls and kicks while the queue runs; none at all means that each side looks by
 * itself. */
static void other_descriptors(void **state)
{
	struct vm *vm = *state;
	struct drv_queue *q = &vm->queue[1];
	struct raw r;
	uint32_t base;

	test_boot(vm, NULL, NULL);
	raw_make(vm, &r, -1);
	for (unsigned int i = 0; i < 3; i++) {
		close(q->call);
		q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		OK(fe_set_vring_fd(&vm->fe, VU_SET_VRING_CALL, 1, q->call));
		raw_expect_reply(vm, 1, &r);
	}
	OK(vm_stop_queue(vm, 1, &base));
	OK(vm_start_queue(vm, 1, base));
	OK(fe_set_vring_fd(&vm->fe, VU_SET_VRING_KICK, 1, -1));
	raw_expect_reply(vm, 1, &r);
	OK(fe_set_vring_fd(&vm->fe, VU_SET_VRING_CALL, 1, -1));
	OK(drv_add(q, r.seg, r.nin, r.nout, NULL, &r));
	for (int64_t end = test_ms() + TEST_PATIENCE_MS; !drv_want_call(q) && test_ms() < end;)
		usleep(1000);
	assert_true(drv_want_call(q));
	drv_signalled(q->call, 0);
	OK(fe_set_vring_fd(&vm->fe, VU_SET_VRING_CALL, 1, q->call));
	assert_true(drv_signalled(q->call, TEST_PATIENCE_MS)); /* what came back meanwhile is told */
}

static void listening_fd(void **state)
{
	static const struct spawn_config spawn = {.socket = SPAWN_LISTENING_FD};
	struct vm *vm = *state;

	test_boot_spawn(vm, NULL, &spawn);
	getattr_root(vm, 1);
	vm_disconnect(vm);
	test_come_back(vm);
	getattr_root(vm, 1);
}

static void connected_fd(void **state)
{
	static const struct spawn_config spawn = {.socket = SPAWN_CONNECTED_FD};
	struct vm *vm = *state;
	int status;

	test_boot_spawn(vm, NULL, &spawn);
	getattr_root(vm, 1);
	vm_disconnect(vm);
	OK(spawn_wait(&vm->daemon, TEST_PATIENCE_MS, &status));
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(features_offered),
		TEST_OWN(config_space),
		TEST_OWN(queue_number),
		TEST_OWN(without_reply_ack),
		TEST_OWN(without_protocol_features),
		TEST_OWN(stop_and_start),
		TEST_OWN(start_from_any_index),
		TEST_OWN(stop_quiesces),
		TEST_OWN(stop_keeps_waits),
		TEST_OWN(waits_end_with_their_ring),
		TEST_OWN(waits_end_with_their_size),
		TEST_OWN(waiters_in_a_small_ring),
		TEST_OWN(waiters_of_many_descriptors),
		TEST_OWN(waiters_beside_a_small_pool),
		TEST_OWN(waiters_go_with_the_front_end),
		TEST_OWN(disable_and_enable),
		TEST_OWN(comes_back),
		TEST_OWN(goes_in_the_middle),
		TEST_OWN(reset_device),
		TEST_OWN(status_is_kept),
		TEST_OWN(other_descriptors),
		TEST_OWN(listening_fd),
		TEST_OWN(connected_fd),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
