/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings: sizes and notifications. What a hostile guest does to its rings: test_attack_ring. */
#include "test.h"

static void getattr_root(struct vm *vm, unsigned int i)
{
	struct fuse_attr_out a;

	OK(fc_getattr(&vm->client[i], FUSE_ROOT_ID, 0, &a));
}

static void sizes(void **state)
{
	static const unsigned int split[] = {1, 2, 4, 16, 128, 1024, 32768};
	static const unsigned int packed[] = {1, 2, 3, 5, 16, 100, 1024, 32768};
	const unsigned int *size = test_packed() ? packed : split;
	struct vm_config cfg = {.size = 256, .client = {.indirect = true, .max_data = 4096}};
	struct vm *vm = *state;

	test_boot(vm, &cfg, NULL);
	for (unsigned int i = 0; i < (test_packed() ? ARRAY_LEN(packed) : ARRAY_LEN(split)); i++) {
		vm_disconnect(vm);
		vm->cfg.size = vm->cfg.urgent_size = size[i];
		vm->cfg.client.depth = MIN(size[i], 64);
		test_come_back(vm);
		for (unsigned int n = 0; n < MIN(3 * size[i] + 3, 500); n++)
			getattr_root(vm, 1);
	}
}

/* Direct chains that fill a small ring to its last descriptor, again and again over its end. */
static void full_ring(void **state)
{
	static const struct vm_config cfg = {.size = 8, .client = {.layout = FC_FLAT, .max_data = 4096}};
	struct fuse_getattr_in in = {0};
	struct vm *vm = *state;
	struct fc_op op[4];

	test_boot(vm, &cfg, NULL);
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 4; i++) {
			op[i] = (struct fc_op){.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .nargs = 1};
			op[i].arg[0] = (struct iovec){&in, sizeof(in)};
			op[i].reply_len = sizeof(struct fuse_attr_out);
			OK(fc_start_quietly(&vm->client[1], &op[i]));
		}
		assert_int_equal(vm->queue[1].free_desc, 0);
		drv_kick(&vm->queue[1]);
		OK(fc_drain(&vm->client[1]));
	}
}

/*
 * The leader of the first request queue looks after the high-priority one, and hands its own leader what is
 * no FORGET: also a chain that would find room in the larger ring only.
 */
static void long_chain_of_a_short_ring(void **state)
{
	static const struct vm_config cfg = {.urgent_size = 8, .client = {.max_data = 4096}};
	enum { PIECES = 900, EVERY = 64 };
	struct drv_seg seg[1 + PIECES];
	struct vm *vm = *state;
	struct drv_table table = {.cap = 1 + PIECES};
	struct raw r;
	uint8_t *room;

	test_boot(vm, &cfg, (const char *[]){"--no-recover", NULL});
	getattr_root(vm, 1);
	raw_make(vm, &r, -1);
	room = gm_alloc(&vm->gm, PIECES * EVERY, 4096);
	table.host = gm_alloc(&vm->gm, table.cap * sizeof(struct vring_desc), 16);
	assert_non_null(room);
	assert_non_null(table.host);
	table.gpa = gm_gpa(&vm->gm, table.host);
	seg[0] = r.seg[0];
	for (unsigned int i = 0; i < PIECES; i++)
		seg[1 + i] = (struct drv_seg){gm_gpa(&vm->gm, room + i * EVERY), EVERY / 2};
	OK(drv_add(&vm->queue[0], seg, 1, PIECES, &table, &r));
	drv_kick(&vm->queue[0]);
	assert_true(drv_signalled(vm->queue[0].err, TEST_PATIENCE_MS)); /* it has no room for it either */
	for (unsigned int i = 0; i < 100; i++)
		getattr_root(vm, 1);
	test_end(vm);
}

static void calls_only_when_wanted(struct vm *vm)
{
	struct drv_queue *q = &vm->queue[1];
	uint32_t written;
	void *cookie;
	struct raw r;

	raw_make(vm, &r, -1);
	raw_expect_reply(vm, 1, &r);
	for (unsigned int i = 0; i < 20; i++) {
		int64_t end = test_ms() + TEST_PATIENCE_MS;

		drv_signalled(q->call, 0);
		drv_no_call(q);
		OK(drv_add(q, r.seg, r.nin, r.nout, NULL, &r));
		drv_kick(q);
		while (!drv_get(q, &cookie, &written) && test_ms() < end)
			;
		assert_false(drv_in_flight(q));
		assert_false(drv_signalled(q->call, 1));
	}
	assert_false(drv_want_call(q));
	OK(drv_add(q, r.seg, r.nin, r.nout, NULL, &r));
	drv_kick(q);
	assert_true(drv_signalled(q->call, TEST_PATIENCE_MS));
	LEN(drv_get(q, &cookie, &written), 1);
}

static void notifications(void **state)
{
	static const uint64_t feature[] = {VM_FEATURES, VM_FEATURES & ~VU_BIT(VU_F_EVENT_IDX),
		VM_FEATURES & ~VU_BIT(VU_F_INDIRECT_DESC)};
	struct vm *vm = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(feature); i++) {
		struct vm_config cfg = {.features = feature[i]};

		test_boot(vm, &cfg, NULL);
		calls_only_when_wanted(vm);
		test_end(vm);
	}
}

/* Kicks that mean nothing cost nothing. */
static void idle_kicks(void **state)
{
	struct vm *vm = *state;

	test_boot(vm, NULL, NULL);
	for (unsigned int i = 0; i < 1000; i++)
		drv_kick_always(&vm->queue[1]);
	getattr_root(vm, 1);
	LEN(fc_reap(&vm->client[1], NULL, 10), 0);
}

/* Whether the chain is answered in time. */
static bool answered(struct drv_queue *q)
{
	int64_t end = test_ms() + 500;
	uint32_t written;
	void *cookie;

	while (!drv_get(q, &cookie, &written))
		if (test_ms() >= end)
			return false;
	return true;
}

/* A guest whose barriers do nothing overlooks at times that a kick is wanted, just when the daemon lies down.
 * This test may be too late for that, but not always. */
static void overlooked_kick(void **state)
{
	static const char *const args[] = {"--poll=0", NULL};
	struct vm *vm = *state;
	struct drv_queue *q = &vm->queue[1];
	bool ok = false;
	struct raw r;

	test_boot(vm, NULL, args);
	raw_make(vm, &r, -1);
	for (unsigned int i = 0; i < 10 && !ok; i++) {
		raw_expect_reply(vm, 1, &r);
		usleep(1000);
		OK(drv_add(q, r.seg, r.nin, r.nout, NULL, &r));
		ok = answered(q);
		drv_kick(q);
		assert_true(ok || answered(q));
	}
	assert_true(ok);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(sizes),
		TEST_OWN(full_ring),
		TEST_OWN(long_chain_of_a_short_ring),
		TEST_OWN(notifications),
		TEST_OWN(idle_kicks),
		TEST_OWN(overlooked_kick),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
