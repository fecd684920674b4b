/* SPDX-License-Identifier: BSD-3-Clause */
/* The cases of test_hostile that are of more than one message. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct vm *const vm = &hostile;

static void connected(void)
{
	vm_disconnect(vm);
	OK(vm_connect(vm));
}

static int try_connect(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(strlen(vm->daemon.socket_path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, vm->daemon.socket_path, strlen(vm->daemon.socket_path));
	if (!connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fd;
	close(fd);
	return -1;
}

/* Those that find no place in the queue are turned away at once, until the daemon got to the ones before. */
static void connections_in_a_row(void **state)
{
	unsigned int n = 0;

	(void)state;
	vm_disconnect(vm);
	while (n < 300) {
		int fd = try_connect();

		if (fd < 0) {
			usleep(50);
			continue;
		}
		if (n % 3)
			assert_int_equal(write(fd, "junk that is no header", n % 3 * 10), n % 3 * 10);
		close(fd);
		n++;
	}
}

static void connections_at_once(void **state)
{
	int fd[900];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(fd); i++)
		fd[i] = try_connect();
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	for (unsigned int i = 0; i < ARRAY_LEN(fd); i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static void torn_messages(void **state)
{
	static const struct vu_header h = {VU_SET_FEATURES, VU_VERSION, 8};
	uint8_t bytes[20] = {0};

	(void)state;
	memcpy(bytes, &h, sizeof(h));
	for (size_t n = 0; n < sizeof(bytes); n++) {
		connected();
		for (size_t i = 0; i < n; i++)
			assert_int_equal(write(vm->fe.sock, bytes + i, 1), 1);
	}
}

/* One end of the connection only: what was asked before is answered. */
static void half_a_connection(void **state)
{
	uint64_t v;

	(void)state;
	connected();
	OK(fe_ask_u64(&vm->fe, VU_GET_FEATURES, &v));
	assert_int_equal(shutdown(vm->fe.sock, SHUT_WR), 0);
	vm->fe.timeout_ms = TEST_PATIENCE_MS;
	ERR(fe_receive(&vm->fe, VU_GET_FEATURES, &v, &(uint32_t){8}, NULL), ECONNRESET);
}

/* Questions without end by somebody who reads no answer. */
static void answers_that_nobody_reads(void **state)
{
	static const struct vu_header h = {VU_GET_FEATURES, VU_VERSION, 0};
	int64_t end = test_ms() + TEST_PATIENCE_MS;
	ssize_t r;

	(void)state;
	connected();
	do {
		r = send(vm->fe.sock, &h, sizeof(h), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EAGAIN)
			usleep(1000);
	} while ((r > 0 || errno == EAGAIN) && test_ms() < end);
	assert_true(r < 0 && (errno == EPIPE || errno == ECONNRESET));
}

/* More than a message may carry, spread over its bytes. */
static void descriptors_on_every_byte(void **state)
{
	static const struct vu_header h = {VU_SET_FEATURES, VU_VERSION, 8};
	int fds[16];

	(void)state;
	connected();
	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 0; i < 6; i++) {
		char control[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = {0};
		struct iovec iov = {(uint8_t *)(uintptr_t)&h + i, 1};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		*c = (struct cmsghdr){CMSG_LEN(sizeof(fds)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(c), fds, sizeof(fds));
		if (sendmsg(vm->fe.sock, &msg, MSG_NOSIGNAL) < 0)
			break;
	}
	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++)
		close(fds[i]);
	ERR(fe_receive(&vm->fe, VU_SET_FEATURES, fds, &(uint32_t){8}, NULL), ECONNRESET);
}

static void thousands_of_calls(void **state)
{
	unsigned int before = test_server_fds(vm);

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		OK(fe_set_vring_fd(&vm->fe, i % 2 ? VU_SET_VRING_CALL : VU_SET_VRING_ERR, i % 2, fd));
		close(fd);
	}
	assert_true(test_server_fds(vm) <= before);
}

static void regions_without_end(void **state)
{
	struct gm_region r = {.size = 4096, .fd = hostile_open(FD_MEM)};
	unsigned int n = 0;
	int error = 0;

	(void)state;
	for (; n < 600 && !error; n++) {
		r.gpa = (1ull << 40) + n * 8192ull;
		r.host = (uint8_t *)(uintptr_t)(0x100000ull + n * 8192ull);
		error = fe_add_mem(&vm->fe, &r);
	}
	close(r.fd);
	assert_true(n > 500 && n < 600);
	ERR(error, EREMOTEIO);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
}

/* Requests in flight while what they live on is taken away and given back. */
static struct fc_op ops[8];
static struct fuse_getattr_in getattr_in;

static void keep_busy(void)
{
	while (fc_reap(&vm->client[1], NULL, 0) > 0)
		;
	for (unsigned int i = 0; i < ARRAY_LEN(ops); i++) {
		if (vm->client[1].in_flight && !ops[i].done)
			continue;
		ops[i] = (struct fc_op){.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .nargs = 1};
		ops[i].arg[0] = (struct iovec){&getattr_in, sizeof(getattr_in)};
		ops[i].reply_len = sizeof(struct fuse_attr_out);
		if (fc_start(&vm->client[1], &ops[i]))
			break;
	}
}

static void tables_under_load(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		keep_busy();
		OK(fe_set_mem_table(&vm->fe, &(struct guestmem){0}));
		OK(fe_set_mem_table(&vm->fe, &vm->gm));
	}
	OK(fc_drain(&vm->client[1]));
}

static void logs_under_load(void **state)
{
	int fd = hostile_open(FD_MEM);

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		keep_busy();
		OK(fe_set_log(&vm->fe, fd, 1 + i, i));
		OK(fe_set_features(&vm->fe, vm->fe.features | (i % 2 ? VU_BIT(VU_F_LOG_ALL) : 0)));
	}
	close(fd);
	OK(fc_drain(&vm->client[1]));
}

static void switches_under_load(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= 100; i++) {
		keep_busy();
		OK(fe_set_vring(&vm->fe, VU_SET_VRING_ENABLE, 1, !(i % 2)));
	}
	OK(fc_drain(&vm->client[1]));
}

static void resets_under_load(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		keep_busy();
		OK(fe_tell(&vm->fe, VU_RESET_DEVICE, NULL, 0, -1));
		fc_abandon(&vm->client[1]);
		OK(fe_set_features(&vm->fe, vm->fe.features));
		for (unsigned int q = 0; q < vm->queues; q++) {
			drv_reset(&vm->queue[q], vm->queue[q].cfg.base);
			OK(vm_start_queue(vm, q, vm->queue[q].cfg.base));
		}
		OK(vm_mount(vm));
	}
}

static void departures_under_load(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		keep_busy();
		vm_disconnect(vm);
		test_come_back(vm);
	}
}

/* A ring that cannot be: it does not start, and that is told. */
struct odd_ring {
	bool packed;
	uint32_t size, base;
};

static void odd_ring(void **state)
{
	const struct odd_ring *o = *state;
	uint32_t base;
	int fd, r;

	if (o->packed != !!(vm->fe.features & VU_BIT(VU_F_RING_PACKED)))
		skip();
	OK(vm_stop_queue(vm, 1, &base));
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_NUM, 1, o->size));
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_BASE, 1, o->base));
	fd = hostile_open(FD_EVENT);
	r = fe_set_vring_fd(&vm->fe, VU_SET_VRING_KICK, 1, fd);
	close(fd);
	ERR(r, EREMOTEIO);
	OK(fe_get_vring_base(&vm->fe, 1, &base));
	OK(fe_get_vring_base(&vm->fe, 1, &base)); /* again, of a ring that does not run */
}

#define ODD_RING(what, ...)                                    \
	{                                                      \
		what, odd_ring, NULL, NULL, &(struct odd_ring) \
		{                                              \
			__VA_ARGS__                            \
		}                                              \
	}

/* Each region is told, taken away and told again, in tables and one by one, over each other. */
static void regions_again_and_again(void **state)
{
	struct gm_region *r = &vm->gm.region[1];

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		keep_busy();
		OK(fe_set_mem_table(&vm->fe, &vm->gm));
		OK(fe_set_mem_table(&vm->fe, &vm->gm));
		ERR(fe_add_mem(&vm->fe, r), EREMOTEIO);
		OK(fe_remove_mem(&vm->fe, r));
		ERR(fe_remove_mem(&vm->fe, r), EREMOTEIO);
		OK(fe_add_mem(&vm->fe, r));
	}
	OK(fc_drain(&vm->client[1]));
}

/*
 * Records of what is in flight lie in memory of the front-end's.
 */
struct records {
	struct vu_inflight in;
	int fd;
	uint8_t *map;
};

static void use_records(struct records *r)
{
	uint32_t base;

	*r = (struct records){.in = {.queues = 2, .queue_size = 128}};
	OK(fe_get_inflight(&vm->fe, &r->in, &r->fd));
	r->map = mmap(NULL, r->in.size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_true(r->map != MAP_FAILED);
	for (unsigned int i = 0; i < vm->queues; i++)
		OK(vm_stop_queue(vm, i, &base));
	OK(fe_set_inflight(&vm->fe, &r->in, r->fd));
	for (unsigned int i = 0; i < vm->queues; i++) {
		drv_reset(&vm->queue[i], vm->queue[i].cfg.base);
		OK(vm_start_queue(vm, i, vm->queue[i].cfg.base));
	}
}

static void drop_records(struct records *r)
{
	munmap(r->map, r->in.size);
	close(r->fd);
}

static atomic_bool enough;

/* Every word of them is anything at any time. */
static void *scribble(void *arg)
{
	struct records *r = arg;
	uint32_t seed = 1;

	while (!atomic_load(&enough)) {
		seed = seed * 1103515245 + 12345;
		*(uint16_t *)(void *)(r->map + (seed >> 8) % 512 * 2) = (uint16_t)(seed >> 3);
	}
	return NULL;
}

static void records_that_change(void **state)
{
	struct records r;
	pthread_t t;

	(void)state;
	use_records(&r);
	atomic_store(&enough, false);
	assert_int_equal(pthread_create(&t, NULL, scribble, &r), 0);
	for (unsigned int i = 0; i < 200; i++) {
		keep_busy();
		fc_reap(&vm->client[1], NULL, 10);
	}
	atomic_store(&enough, true);
	pthread_join(t, NULL);
	drop_records(&r);
}

/* Rings that go on from records that were made up. */
static void records_that_lie(void **state)
{
	static uint32_t junk[4096];

	(void)state;
	for (unsigned int round = 0; round < 30; round++) {
		struct records r;
		uint32_t base;

		use_records(&r);
		keep_busy();
		OK(vm_stop_queue(vm, 0, &base));
		OK(vm_stop_queue(vm, 1, &base));
		test_pattern(junk, sizeof(junk), round);
		for (unsigned int i = 0; i < ARRAY_LEN(junk); i++)
			junk[i] &= round % 3 ? 0x00010001 : 0x007f00ff;
		memcpy(r.map + r.in.size / 2 + 16, junk, MIN(sizeof(junk), r.in.size / 2 - 16));
		OK(fe_set_inflight(&vm->fe, &r.in, r.fd));
		vm_start_queue(vm, 1, base);
		usleep(2000);
		drop_records(&r);
		vm_disconnect(vm);
		assert_int_equal(spawn_check(&vm->daemon, &vm->err), 0);
		test_come_back(vm);
	}
}

static void records_that_vanish(void **state)
{
	struct records r;

	(void)state;
	use_records(&r);
	assert_int_equal(ftruncate(r.fd, 0), 0);
	keep_busy();
	fc_reap(&vm->client[1], NULL, 100);
	munmap(r.map, r.in.size);
	close(r.fd);
}

/* Room for the records of a split ring, and then the ring is packed, whose records are larger. */
static void records_of_another_kind(void **state)
{
	static const struct vu_inflight in = {.size = 16 + 32768 * 16 + 48, .queues = 1, .queue_size = 32768};
	uint64_t features = vm->fe.features, low = (uintptr_t)vm->gm.region[0].host;
	struct vu_vring_addr addr = {0, 0, low, low + (2 << 20), low + (3 << 20), 0};
	int fd = hostile_open(FD_MEM);
	uint32_t base;

	(void)state;
	for (unsigned int i = 0; i < vm->queues; i++)
		OK(vm_stop_queue(vm, i, &base));
	OK(fe_set_features(&vm->fe, features & ~VU_BIT(VU_F_RING_PACKED)));
	OK(fe_set_inflight(&vm->fe, &in, fd));
	close(fd);
	OK(fe_set_features(&vm->fe, features | VU_BIT(VU_F_RING_PACKED)));
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_NUM, 0, 32768));
	OK(fe_set_vring(&vm->fe, VU_SET_VRING_BASE, 0, 0x80008000));
	OK(fe_tell(&vm->fe, VU_SET_VRING_ADDR, &addr, sizeof(addr), -1));
	fd = hostile_open(FD_EVENT);
	OK(fe_set_vring_fd(&vm->fe, VU_SET_VRING_KICK, 0, fd));
	close(fd);
	OK(fe_ask_u64(&vm->fe, VU_GET_FEATURES, &features));
}

/* Messages in any order that makes sense to nobody. */
static void random_messages(void **state)
{
	static const unsigned int sizes[] = {0, 8, 16, 40};
	uint32_t seed[64];

	(void)state;
	for (unsigned int round = 0; round < 40; round++) {
		test_pattern(seed, sizeof(seed), round);
		for (unsigned int i = 0; i + 3 < ARRAY_LEN(seed); i += 4) {
			struct hostile_message m = {
				"random", LATE, ANY, seed[i] % 46, sizes[seed[i + 1] % 4]};

			m.fds = seed[i + 1] / 4 % 3;
			m.fd = m.fds ? 1 + seed[i + 1] / 12 % FD_FULL : FD_NONE;
			m.payload[0] = seed[i + 2] % 4 | (uint64_t)(seed[i + 3] % 300) << 32;
			m.payload[1] = AT_DESC;
			m.payload[2] = AT_USED + (seed[i + 3] & 8);
			m.payload[3] = AT_AVAIL;
			if (hostile_send(&m, seed[i + 1] & 1 << 20))
				break;
		}
		vm_disconnect(vm);
		if (spawn_check(&vm->daemon, &vm->err))
			fail_msg("round %u: %s", round, vm->err.text);
		test_come_back(vm);
	}
}

const struct CMUnitTest hostile_habits[] = {
	cmocka_unit_test(connections_in_a_row),
	cmocka_unit_test(connections_at_once),
	cmocka_unit_test(torn_messages),
	cmocka_unit_test(half_a_connection),
	cmocka_unit_test(answers_that_nobody_reads),
	cmocka_unit_test(descriptors_on_every_byte),
	cmocka_unit_test(thousands_of_calls),
	cmocka_unit_test(regions_without_end),
	cmocka_unit_test(regions_again_and_again),
	ODD_RING("a split ring of 3", false, 3, 0),
	ODD_RING("a split ring of 100", false, 100, 0),
	ODD_RING("a split base of 17 bits", false, 128, 0x10000),
	ODD_RING("a split base of all ones", false, 128, 0xffffffff),
	ODD_RING("a packed base beyond the ring", true, 128, 0x80808080),
	ODD_RING("a packed base of all ones", true, 128, 0xffffffff),
	ODD_RING("a packed base, more used than available", true, 128, 0x80058001),
	ODD_RING("a packed base, more than a round available", true, 128, 0x80010005),
	cmocka_unit_test(tables_under_load),
	cmocka_unit_test(logs_under_load),
	cmocka_unit_test(switches_under_load),
	cmocka_unit_test(resets_under_load),
	cmocka_unit_test(departures_under_load),
	cmocka_unit_test(records_that_change),
	cmocka_unit_test(records_that_lie),
	cmocka_unit_test(records_that_vanish),
	cmocka_unit_test(records_of_another_kind),
	cmocka_unit_test(random_messages),
};
const unsigned int hostile_habits_count = ARRAY_LEN(hostile_habits);
