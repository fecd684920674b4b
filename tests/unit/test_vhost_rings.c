/* SPDX-License-Identifier: BSD-3-Clause */
/* When rings start, stop and go on: whatever the order of the messages, and as each front-end says them. */
#include "vhost_peer.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RUNS_PROTOCOL WIRE_F_PROTOCOL_FEATURES

static int setup(void **state)
{
	*state = peer_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	peer_end(*state);
	return 0;
}

/* Ring 0 runs, with base @base. */
static void run_ring(struct peer *p, uint64_t features, uint32_t base)
{
	peer_negotiate(p, RUNS_PROTOCOL | features);
	peer_tell_memory(p);
	peer_tell_ring(p, 0, base);
	assert_false(p->q[0].running);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_true(p->q[0].running);
}

static void get_base(struct peer *p, uint32_t i, uint32_t want)
{
	struct wire_vring_state state = {i, 0xabcd};

	peer_send(p, &(struct peer_message){
			     .request = WIRE_GET_VRING_BASE, .payload = &state, .size = sizeof(state)});
	assert_int_equal(peer_serve(p), 1);
	state.num = want;
	peer_expect(p, WIRE_GET_VRING_BASE, &state, sizeof(state));
	assert_false(p->q[i].running);
}

static void what_a_ring_is_told(void **state)
{
	struct peer *p = *state;
	struct wire_vring_addr a = peer_addr(0);
	const struct vhost_vq *vq = &p->q[0].vq;

	run_ring(p, WIRE_F_RING_EVENT_IDX, 77);
	assert_int_equal(vq->ring.size, 128);
	assert_int_equal(vq->base, 77);
	assert_true(vq->ring.event_idx);
	assert_false(vq->ring.indirect);
	assert_false(vq->ring.packed);
	assert_int_equal(vq->ring.desc.v, a.desc);
	assert_int_equal(vq->ring.avail.v, a.avail);
	assert_int_equal(vq->ring.used.v, a.used);
	assert_int_equal(vq->ring.log_addr.v, a.log);
	assert_true(vq->ring.log);
	assert_null(p->q[0].log);
	assert_true(fcntl(vq->kick, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(vq->call, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(vq->kick, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(vq->err, -1);
	assert_int_equal(mem_regions(p->q[0].mem), 1);
}

/* Without PROTOCOL_FEATURES rings start enabled; an ENABLE that comes all the same is heeded. */
static void enabled_from_the_start(void **state)
{
	struct peer *p = *state;

	peer_negotiate(p, 0);
	peer_tell_memory(p);
	peer_tell_ring(p, 2, 0);
	assert_true(p->q[2].running);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 2, 0);
	assert_false(p->q[2].running);
}

/* Polling instead of descriptors. */
static void without_descriptors(void **state)
{
	struct peer *p = *state;

	run_ring(p, 0, 0);
	peer_tell_u64(p, WIRE_SET_VRING_KICK, WIRE_VRING_NO_FD, -1);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].vq.kick, -1);
	peer_tell_u64(p, WIRE_SET_VRING_CALL, WIRE_VRING_NO_FD, -1);
	assert_int_equal(p->q[0].vq.call, -1);
}

enum step { STEP_MEMORY, STEP_NUM, STEP_ADDR, STEP_KICK, STEP_ENABLE, STEPS };

static void take_step(struct peer *p, enum step s)
{
	struct wire_vring_addr addr = peer_addr(1);
	autofd int fd = -1;

	switch (s) {
	case STEP_MEMORY:
		peer_tell_memory(p);
		break;
	case STEP_NUM:
		peer_tell_state(p, WIRE_SET_VRING_NUM, 1, 64);
		break;
	case STEP_ADDR:
		peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
		break;
	case STEP_KICK:
		fd = peer_eventfd();
		peer_tell_u64(p, WIRE_SET_VRING_KICK, 1, fd);
		break;
	default:
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, 1, 1);
		break;
	}
}

/* All orders of the five things that a ring needs: it starts with the last, never before. */
static void any_order(void **state)
{
	struct peer *p = *state;

	for (unsigned int code = 0; code < 5 * 4 * 3 * 2; code++) {
		enum step order[STEPS] = {STEP_MEMORY, STEP_NUM, STEP_ADDR, STEP_KICK, STEP_ENABLE};
		unsigned int rest = code;

		peer_negotiate(p, RUNS_PROTOCOL);
		for (unsigned int i = 0; i < STEPS; i++) {
			unsigned int j = i + rest % (STEPS - i);
			enum step s = order[j];

			rest /= STEPS - i;
			order[j] = order[i];
			assert_false(p->q[1].running);
			take_step(p, s);
		}
		assert_true(p->q[1].running);
		peer_disconnect(p);
		peer_connect(p);
	}
}

/* Disabled it rests, and goes on where it was; a base that is said meanwhile counts. */
static void disable_and_enable(void **state)
{
	struct peer *p = *state;

	run_ring(p, 0, 5);
	p->q[0].stop_base = 9;
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 0);
	assert_false(p->q[0].running);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].vq.base, 9);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(p->q[0].starts, 2);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_BASE, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(p->q[0].vq.base, 0);
}

static void get_base_stops(void **state)
{
	struct peer *p = *state;
	autofd int kick = peer_eventfd();

	run_ring(p, 0, 5);
	p->q[0].stop_base = 1234;
	get_base(p, 0, 1234);
	assert_int_equal(p->q[0].stops, 1);
	get_base(p, 0, 1234);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1); /* enabled, but stopped: waits for a kick */
	assert_false(p->q[0].running);
	peer_tell_u64(p, WIRE_SET_VRING_KICK, 0, kick);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].vq.base, 1234);
	get_base(p, 3, 0);
}

static void packed_base(void **state)
{
	struct peer *p = *state;

	peer_negotiate(p, RUNS_PROTOCOL | WIRE_F_RING_PACKED | WIRE_F_RING_INDIRECT);
	get_base(p, 2, 0x80008000u);
	peer_tell_memory(p);
	peer_tell_ring(p, 2, 0x12345678);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 2, 1);
	assert_true(p->q[2].vq.ring.packed);
	assert_true(p->q[2].vq.ring.indirect);
	assert_int_equal(p->q[2].vq.base, 0x12345678);
}

static void running_ring_keeps_its_shape(void **state)
{
	struct peer *p = *state;
	struct wire_vring_state s = {0, 64};
	uint64_t features = WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_RING_EVENT_IDX;

	run_ring(p, 0, 5);
	peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 1);
	peer_ask(p, WIRE_SET_VRING_BASE, &s, sizeof(s), -1, 1);
	peer_ask(p, WIRE_SET_FEATURES, &features, 8, -1, 1);
	assert_int_equal(p->q[0].stops, 0);
	s.num = 128;
	peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 0);
	assert_true(p->q[0].running);
}

static void new_descriptors_while_running(void **state)
{
	struct peer *p = *state;
	autofd int fd = peer_eventfd();
	int old_call;

	run_ring(p, 0, 5);
	old_call = p->q[0].vq.call;
	peer_tell_u64(p, WIRE_SET_VRING_CALL, 0, fd);
	assert_int_equal(p->q[0].calls_set, 1);
	assert_int_equal(p->q[0].stops, 0);
	assert_int_not_equal(p->q[0].vq.call, old_call);
	assert_int_equal(fcntl(old_call, F_GETFD), -1);
	p->q[0].stop_base = 6;
	peer_tell_u64(p, WIRE_SET_VRING_KICK, 0, fd);
	assert_int_equal(p->q[0].vq.base, 6);
	peer_tell_u64(p, WIRE_SET_VRING_ERR, 0, fd);
	assert_int_equal(p->q[0].stops, 2);
	assert_true(p->q[0].running);
	assert_true(p->q[0].vq.err >= 0);
}

/* Live migration: the log comes, logging goes on and off, and the ring never stops. */
static void dirty_logging(void **state)
{
	struct peer *p = *state;
	struct wire_log log = {.size = 4096};
	struct wire_vring_addr addr = peer_addr(0);
	uint64_t on = WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_LOG_ALL;
	struct mem_log *first;

	run_ring(p, 0, 5);
	peer_ask(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory, 0);
	assert_null(p->q[0].log);
	peer_tell_u64(p, WIRE_SET_FEATURES, on, -1);
	assert_non_null(p->q[0].log);
	addr.flags = 1;
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	addr.log += 4096;
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	assert_int_equal(p->q[0].vq.ring.log_addr.v, addr.log);
	first = p->q[0].log;
	peer_ask(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory, 0);
	assert_ptr_not_equal(p->q[0].log, first);
	peer_tell_u64(p, WIRE_SET_FEATURES, on & ~WIRE_F_LOG_ALL, -1);
	assert_null(p->q[0].log);
	assert_int_equal(p->q[0].stops, 0);
	assert_int_equal(p->q[0].starts, 1);
}

/* Addresses that differ: the ring moves. */
static void ring_moves(void **state)
{
	struct peer *p = *state;
	struct wire_vring_addr addr = peer_addr(0);

	run_ring(p, 0, 5);
	p->q[0].stop_base = 7;
	addr.used += 16;
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	assert_int_equal(p->q[0].starts, 2);
	assert_int_equal(p->q[0].vq.base, 7);
	assert_int_equal(p->q[0].vq.ring.used.v, addr.used);
	addr.desc = 4096; /* no memory of ours */
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	assert_false(p->q[0].running);
}

/* Memory comes and goes beside a running ring, then beneath it: it rests, and goes on when it is back. */
static void memory_changes(void **state)
{
	struct peer *p = *state;
	struct wire_one_region low = {.region = peer_region(0, 16384)};
	struct wire_one_region high = {.region = peer_region(65536, 65536)};

	peer_negotiate(p, RUNS_PROTOCOL);
	peer_ask(p, WIRE_ADD_MEM_REG, &low, sizeof(low), p->memory, 0);
	peer_tell_ring(p, 0, 3);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_true(p->q[0].running);
	peer_ask(p, WIRE_ADD_MEM_REG, &high, sizeof(high), p->memory, 0);
	assert_int_equal(p->q[0].remaps, 1);
	assert_int_equal(mem_regions(p->q[0].mem), 2);
	p->q[0].stop_base = 4;
	peer_ask(p, WIRE_REM_MEM_REG, &low, sizeof(low), -1, 0);
	assert_false(p->q[0].running);
	peer_ask(p, WIRE_ADD_MEM_REG, &low, sizeof(low), p->memory, 0);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].vq.base, 4);
	peer_tell_memory(p);
	assert_int_equal(p->q[0].starts, 2);
	assert_int_equal(p->q[0].remaps, 2);
}

/* The last byte of a ring's used area decides. */
static void ring_at_the_edge(void **state)
{
	struct peer *p = *state;
	struct wire_vring_addr addr = peer_addr(0);
	struct wire_one_region one = {.region = peer_region(0, 8192 + 6 + 8 * 128)};

	peer_negotiate(p, RUNS_PROTOCOL | WIRE_F_RING_EVENT_IDX);
	one.region.size--;
	peer_ask(p, WIRE_ADD_MEM_REG, &one, sizeof(one), p->memory, 0);
	peer_tell_ring(p, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_false(p->q[0].running);
	addr.used--;
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	assert_true(p->q[0].running);
}

static void remap_that_fails(void **state)
{
	struct peer *p = *state;

	run_ring(p, 0, 3);
	p->q[0].stop_base = 8;
	p->fail_remap = ENOMEM;
	peer_tell_memory(p);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].starts, 2);
	assert_int_equal(p->q[0].vq.base, 8);
}

/* A ring that its owner cannot start costs the message that would have started it, once. */
static void start_that_fails(void **state)
{
	struct peer *p = *state;
	struct wire_vring_state on = {0, 1};
	struct wire_vring_state other = {1, 1};

	peer_negotiate(p, RUNS_PROTOCOL);
	peer_tell_memory(p);
	peer_tell_ring(p, 0, 3);
	p->fail_start = EAGAIN;
	peer_ask(p, WIRE_SET_VRING_ENABLE, &on, sizeof(on), -1, 1);
	peer_ask(p, WIRE_SET_VRING_ENABLE, &other, sizeof(other), -1, 0);
	p->fail_start = 0;
	peer_tell_memory(p);
	assert_false(p->q[0].running);
	peer_ask(p, WIRE_SET_VRING_ENABLE, &on, sizeof(on), -1, 0);
	assert_true(p->q[0].running);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 0);
	p->fail_start = EINVAL;
	peer_refused(p, WIRE_SET_VRING_ENABLE, &on, sizeof(on), -1);
	assert_non_null(strstr(p->err.text, "the test says no"));
}

/* If it fails because memory came, the memory is not to blame: the ring's error descriptor tells. */
static void start_that_fails_alone(void **state)
{
	struct peer *p = *state;
	autofd int err = peer_eventfd();
	uint64_t told = 0;

	peer_negotiate(p, RUNS_PROTOCOL);
	peer_tell_ring(p, 0, 3);
	peer_tell_u64(p, WIRE_SET_VRING_ERR, 0, err);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	p->fail_start = EINVAL;
	peer_tell_memory(p);
	assert_int_equal(read(err, &told, sizeof(told)), sizeof(told));
	assert_int_equal(told, 1);
	peer_tell_memory(p);
	assert_int_equal(read(err, &told, sizeof(told)), -1);
}

/* A guest starts anew: rings and session are gone, memory, negotiation and call descriptors are not. */
static void reset_device(void **state)
{
	struct peer *p = *state;
	struct wire_vring_addr addr = peer_addr(0);
	autofd int kick = peer_eventfd();

	run_ring(p, WIRE_F_RING_EVENT_IDX, 5);
	peer_tell_u64(p, WIRE_SET_STATUS, 15, -1);
	p->q[0].stop_base = 50;
	peer_ask(p, WIRE_RESET_DEVICE, NULL, 0, -1, 0);
	assert_int_equal(p->resets, 1);
	assert_false(p->q[0].running);
	peer_ask(p, WIRE_GET_STATUS, NULL, 0, -1, 0);
	get_base(p, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_NUM, 0, 128);
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	peer_tell_u64(p, WIRE_SET_VRING_KICK, 0, kick);
	assert_false(p->q[0].running);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_true(p->q[0].running);
	assert_true(p->q[0].vq.call >= 0);
	assert_int_equal(p->q[0].vq.base, 0);
}

/* The front-end goes with rings running, and another comes: nothing of the first is left. */
static void front_end_comes_back(void **state)
{
	struct peer *p = *state;

	for (unsigned int i = 0; i < 3; i++) {
		run_ring(p, 0, 5);
		assert_int_equal(p->q[0].starts, i + 1);
		peer_tell_u64(p, WIRE_SET_STATUS, 15, -1);
		cleanup_fd(&p->sock);
		p->sock = -1;
		assert_int_equal(peer_serve(p), 0);
		peer_disconnect(p);
		assert_int_equal(p->q[0].stops, i + 1);
		peer_connect(p);
		peer_send(p, &(struct peer_message){.request = WIRE_GET_STATUS});
		assert_int_equal(peer_serve(p), 1);
		peer_expect_u64(p, WIRE_GET_STATUS, 0);
		get_base(p, 0, 0);
	}
}

static void peer_get(struct peer *p, uint32_t request, uint64_t want)
{
	peer_send(p, &(struct peer_message){.request = request});
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, request, want);
}

static void uml_rings(struct peer *p)
{
	struct {
		struct wire_regions head;
		struct wire_region region[2];
	} table = {.head = {.count = 1}, .region = {peer_region(0, PEER_MEMORY)}};

	peer_tell(p, WIRE_SET_MEM_TABLE, &table, sizeof(table), p->memory);
	for (unsigned int i = 0; i < 2; i++) {
		struct wire_vring_addr addr = peer_addr(i);
		int call[2];

		assert_int_equal(pipe2(call, O_CLOEXEC), 0);
		addr.log = UINT64_MAX;
		peer_tell_u64(p, WIRE_SET_VRING_CALL, i, call[1]);
		peer_tell_state(p, WIRE_SET_VRING_NUM, i, 256);
		peer_tell_state(p, WIRE_SET_VRING_BASE, i, 0);
		peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
		close(call[0]);
		close(call[1]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		autofd int kick = peer_eventfd();

		peer_tell_u64(p, WIRE_SET_VRING_KICK, i, kick);
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, i, 1);
		assert_true(p->q[i].running);
		assert_int_equal(p->q[i].vq.base, 0);
	}
}

/* User-Mode Linux: no REPLY_ACK; a driver that goes only disables its rings, and the next sets them up anew.
 */
static void user_mode_linux(void **state)
{
	struct peer *p = *state;
	int req[2];

	peer_tell(p, WIRE_SET_OWNER, NULL, 0, -1);
	peer_get(p, WIRE_GET_FEATURES, 0x574000000);
	peer_get(p, WIRE_GET_PROTOCOL_FEATURES, 0x1b62b);
	peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES, WIRE_P_BACKEND_REQ | WIRE_P_CONFIG, -1);
	assert_int_equal(pipe2(req, O_CLOEXEC), 0);
	peer_tell(p, WIRE_SET_BACKEND_REQ_FD, NULL, 0, req[1]);
	close(req[0]);
	close(req[1]);
	for (unsigned int life = 1; life <= 2; life++) {
		peer_tell_u64(p, WIRE_SET_FEATURES,
			WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_RING_EVENT_IDX | WIRE_F_RING_INDIRECT, -1);
		uml_rings(p);
		assert_int_equal(p->q[0].starts, life);
		p->q[0].stop_base = 44;
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, 1, 0);
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 0);
		peer_get(p, WIRE_GET_FEATURES, 0x574000000);
		assert_false(p->q[0].running);
	}
}

static void qemu_start(struct peer *p, uint32_t base)
{
	uint64_t features = WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_RING_INDIRECT | WIRE_F_RING_EVENT_IDX;

	peer_ask(p, WIRE_SET_FEATURES, &features, 8, -1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct wire_vring_addr addr = peer_addr(i);
		autofd int fd = peer_eventfd();

		peer_tell_state(p, WIRE_SET_VRING_NUM, i, 128);
		peer_tell_state(p, WIRE_SET_VRING_BASE, i, base);
		peer_ask(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1, 0);
		peer_tell_u64(p, WIRE_SET_VRING_KICK, i, fd);
		peer_tell_u64(p, WIRE_SET_VRING_CALL, i, fd);
	}
	for (unsigned int i = 0; i < 2; i++) {
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, i, 1);
		assert_true(p->q[i].running);
		assert_int_equal(p->q[i].vq.base, base);
	}
	peer_ask(p, WIRE_SET_STATUS, &(uint64_t){15}, 8, -1, 0);
}

static void qemu_stop(struct peer *p, uint32_t base)
{
	for (unsigned int i = 0; i < 2; i++)
		p->q[i].stop_base = base;
	for (unsigned int i = 0; i < 2; i++)
		peer_tell_state(p, WIRE_SET_VRING_ENABLE, i, 0);
	for (unsigned int i = 0; i < 2; i++)
		get_base(p, i, base);
	peer_tell_u64(p, WIRE_SET_STATUS, 0, -1);
}

/* QEMU: calls before anything else, memory by slots and said once; stop and cont; a reboot of the guest. */
static void qemu(void **state)
{
	struct peer *p = *state;
	struct wire_one_region one = {.region = peer_region(0, PEER_MEMORY)};

	peer_get(p, WIRE_GET_FEATURES, 0x574000000);
	peer_get(p, WIRE_GET_PROTOCOL_FEATURES, 0x1b62b);
	peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES, 0x1b62b & ~WIRE_P_CONFIG, -1);
	peer_get(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
	peer_get(p, WIRE_GET_MAX_MEM_SLOTS, 512);
	peer_ask(p, WIRE_SET_BACKEND_REQ_FD, NULL, 0, p->memory, 0);
	peer_tell(p, WIRE_SET_OWNER, NULL, 0, -1);
	peer_get(p, WIRE_GET_FEATURES, 0x574000000);
	for (unsigned int i = 0; i < 2; i++) {
		autofd int fd = peer_eventfd();

		peer_tell_u64(p, WIRE_SET_VRING_CALL, i, fd);
		peer_tell_u64(p, WIRE_SET_VRING_ERR, i, fd);
	}
	peer_ask(p, WIRE_ADD_MEM_REG, &one, sizeof(one), p->memory, 0);
	qemu_start(p, 0);
	qemu_stop(p, 17);
	qemu_start(p, 17);
	assert_int_equal(p->resets, 0);
	peer_ask(p, WIRE_RESET_DEVICE, NULL, 0, -1, 0);
	qemu_stop(p, 0);
	qemu_start(p, 0);
	assert_int_equal(p->resets, 1);
}

/* cloud-hypervisor: need_reply on everything once it is negotiated; pauses by disabling; resets by
 * RESET_OWNER. */
static void cloud_hypervisor(void **state)
{
	struct peer *p = *state;
	struct wire_one_region one = {.region = peer_region(0, PEER_MEMORY)};
	struct wire_vring_state s;
	uint64_t features = WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_RING_EVENT_IDX | WIRE_F_RING_INDIRECT;

	peer_tell(p, WIRE_SET_OWNER, NULL, 0, -1);
	peer_get(p, WIRE_GET_FEATURES, 0x574000000);
	peer_get(p, WIRE_GET_PROTOCOL_FEATURES, 0x1b62b);
	peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES,
		WIRE_P_MQ | WIRE_P_REPLY_ACK | WIRE_P_CONFIGURE_MEM_SLOTS | WIRE_P_LOG_SHMFD, -1);
	peer_get(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
	for (unsigned int life = 1; life <= 2; life++) {
		peer_ask(p, WIRE_SET_FEATURES, &features, 8, -1, 0);
		peer_ask(p, WIRE_ADD_MEM_REG, &one, sizeof(one), p->memory, 0);
		for (unsigned int i = 0; i < 2; i++) {
			struct wire_vring_addr addr = peer_addr(i);
			autofd int fd = peer_eventfd();

			s = (struct wire_vring_state){i, 128};
			peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 0);
			addr.log = 0;
			peer_ask(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1, 0);
			s.num = 0;
			peer_ask(p, WIRE_SET_VRING_BASE, &s, sizeof(s), -1, 0);
			peer_ask(p, WIRE_SET_VRING_CALL, &(uint64_t){i}, 8, fd, 0);
			peer_ask(p, WIRE_SET_VRING_KICK, &(uint64_t){i}, 8, fd, 0);
		}
		for (unsigned int flip = 0; flip < 5; flip++) {
			for (unsigned int i = 0; i < 2; i++) {
				s = (struct wire_vring_state){i, !(flip & 1)};
				peer_ask(p, WIRE_SET_VRING_ENABLE, &s, sizeof(s), -1, 0);
				assert_int_equal(p->q[i].running, !(flip & 1));
			}
		}
		for (unsigned int i = 0; i < 2; i++)
			get_base(p, i, 0);
		peer_ask(p, WIRE_RESET_OWNER, NULL, 0, -1, 0);
		peer_ask(p, WIRE_REM_MEM_REG, &one, sizeof(one), p->memory, 0);
	}
}

/* Room for the records of split rings is not room for those of packed ones, which are larger. */
static void records_for_another_kind(void **state)
{
	struct peer *p = *state;
	struct wire_inflight w = {.mmap_size = 2112, .num_queues = 1, .queue_size = 128};
	autofd int fd = memfd_create("records", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4096), 0);
	peer_negotiate(p, RUNS_PROTOCOL);
	peer_tell(p, WIRE_SET_INFLIGHT_FD, &w, sizeof(w), fd);
	peer_tell_memory(p);
	peer_tell_ring(p, 0, 0);
	peer_tell_state(p, WIRE_SET_VRING_ENABLE, 0, 1);
	assert_true(p->q[0].running);
	assert_non_null(p->q[0].vq.ring.track);
	get_base(p, 0, 0);
	peer_tell_u64(p, WIRE_SET_FEATURES, WIRE_F_VERSION_1 | RUNS_PROTOCOL | WIRE_F_RING_PACKED, -1);
	peer_tell_ring(p, 0, 0x80008000);
	assert_true(p->q[0].running);
	assert_true(p->q[0].vq.ring.packed);
	assert_null(p->q[0].vq.ring.track);
}

/* Neither records that are refused nor a start that fails change what the next start goes on from. */
static void records_stay(void **state)
{
	struct peer *p = *state;
	struct wire_inflight w = {.mmap_size = 2112, .num_queues = 1, .queue_size = 128};
	struct wire_inflight small = {.mmap_size = 64, .num_queues = 1, .queue_size = 128};
	struct wire_vring_state on = {0, 1};
	autofd int fd = memfd_create("records", MFD_CLOEXEC);
	char byte = 0;

	assert_int_equal(ftruncate(fd, 4096), 0);
	peer_negotiate(p, RUNS_PROTOCOL);
	peer_tell(p, WIRE_SET_INFLIGHT_FD, &w, sizeof(w), fd);
	peer_ask(p, WIRE_SET_INFLIGHT_FD, &small, sizeof(small), fd, 1);
	peer_tell_memory(p);
	peer_tell_ring(p, 0, 0);
	p->fail_start = EAGAIN;
	peer_ask(p, WIRE_SET_VRING_ENABLE, &on, sizeof(on), -1, 1);
	p->fail_start = 0;
	peer_ask(p, WIRE_SET_VRING_ENABLE, &on, sizeof(on), -1, 0);
	assert_true(p->q[0].running);
	assert_int_equal(p->q[0].vq.ring.track_mode, VRING_TRACK_RESUME);
	memset(p->q[0].vq.ring.track, 'r', 1);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'r');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_ring_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(enabled_from_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(without_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(disable_and_enable, setup, teardown),
		cmocka_unit_test_setup_teardown(get_base_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(packed_base, setup, teardown),
		cmocka_unit_test_setup_teardown(running_ring_keeps_its_shape, setup, teardown),
		cmocka_unit_test_setup_teardown(new_descriptors_while_running, setup, teardown),
		cmocka_unit_test_setup_teardown(dirty_logging, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_at_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(remap_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(start_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(start_that_fails_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(records_for_another_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(records_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_device, setup, teardown),
		cmocka_unit_test_setup_teardown(front_end_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(user_mode_linux, setup, teardown),
		cmocka_unit_test_setup_teardown(qemu, setup, teardown),
		cmocka_unit_test_setup_teardown(cloud_hypervisor, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
