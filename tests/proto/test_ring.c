/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings: sizes, notifications, and guests that break theirs. A broken ring costs the guest that ring only. */
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
		vm->cfg.size = size[i];
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

static void calls_only_when_wanted(struct vm *vm)
{
	struct drv_queue *q = &vm->queue[1];
	uint32_t written;
	void *cookie;
	struct raw r;

	raw_make(vm, &r, -1);
	raw_expect_reply(vm, 1, &r);
	for (unsigned int i = 0; i < 20; i++) {
		int64_t end = test_ms() + 2000;

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
	assert_true(drv_signalled(q->call, 2000));
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

/* A descriptor of either format. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* split */
};

struct bad_chain {
	const char *what;
	struct desc d[4];     /* of the ring */
	struct desc table[3]; /* behind those that are INDIRECT and whose address is 0 */
	unsigned int jump;    /* split: how far the available index moves, 0: by one */
	uint16_t head;
	bool split_only;
};

#define NEXT	  VRING_DESC_F_NEXT
#define WR	  VRING_DESC_F_WRITE
#define IND	  VRING_DESC_F_INDIRECT
#define NOWHERE	  0x7000000000ull
#define SOMEWHERE 0x100000000ull /* in the region above 4 GiB */

static const struct bad_chain bad[] = {
	{"address that is not memory", {{NOWHERE, 64, 0, 0}}},
	{"address that wraps", {{~0ull - 10, 64, 0, 0}}},
	{"length to the end of everything", {{SOMEWHERE, 0xffffffff, 0, 0}}},
	{"second piece is not memory", {{SOMEWHERE, 64, NEXT, 1}, {NOWHERE, 64, WR, 0}}},
	{"readable behind writable", {{SOMEWHERE, 64, NEXT | WR, 1}, {SOMEWHERE, 64, 0, 0}}},
	{"table that is not memory", {{NOWHERE, 32, IND, 0}}},
	{"table of no length", {{SOMEWHERE, 0, IND, 0}}},
	{"table of an odd length", {{SOMEWHERE, 33, IND, 0}}},
	{"table of 4 gigabytes", {{SOMEWHERE, 0xfffffff0, IND, 0}}},
	{"table with another behind it", {{0, 16, IND | NEXT, 1}, {SOMEWHERE, 64, 0, 0}},
		{{SOMEWHERE, 64, 0, 0}}},
	{"table in a table", {{0, 16, IND, 0}}, {{SOMEWHERE, 16, IND, 0}}},
	{"table entry is not memory", {{0, 32, IND, 0}}, {{SOMEWHERE, 64, NEXT, 1}, {NOWHERE, 64, WR, 0}}},
	{"head beyond the ring", {{SOMEWHERE, 64, 0, 0}}, .head = 60000, .split_only = true},
	{"next beyond the ring", {{SOMEWHERE, 64, NEXT, 60000}}, .split_only = true},
	{"loop of one", {{SOMEWHERE, 64, NEXT, 0}}, .split_only = true},
	{"loop of two", {{SOMEWHERE, 64, NEXT, 1}, {SOMEWHERE, 64, NEXT, 0}}, .split_only = true},
	{"loop in a table", {{0, 32, IND, 0}}, {{SOMEWHERE, 64, NEXT, 1}, {SOMEWHERE, 64, NEXT, 0}},
		.split_only = true},
	{"next beyond the table", {{0, 16, IND, 0}}, {{SOMEWHERE, 64, NEXT, 1}}, .split_only = true},
	{"more chains than descriptors", {{SOMEWHERE, 64, 0, 0}}, .jump = 1025, .split_only = true},
};

static void put_split(struct drv_queue *q, const struct bad_chain *b, uint64_t table)
{
	struct vring_desc *d = q->desc;
	struct vring_avail *a = q->avail;

	for (unsigned int i = 0; i < ARRAY_LEN(b->d); i++) {
		uint64_t addr = b->d[i].addr || !(b->d[i].flags & IND) ? b->d[i].addr : table;

		d[i] = (struct vring_desc){addr, b->d[i].len, b->d[i].flags, b->d[i].next};
	}
	a->ring[q->avail_idx % q->cfg.size] = b->head;
	q->avail_idx = (uint16_t)(q->avail_idx + MAX(b->jump, 1u));
	__atomic_store_n(&a->idx, q->avail_idx, __ATOMIC_RELEASE);
}

/* The ring is new: position 0, wrap counters 1. */
static void put_packed(struct drv_queue *q, const struct bad_chain *b, uint64_t table)
{
	struct vring_packed_desc *d = q->desc;

	for (unsigned int i = ARRAY_LEN(b->d); i--;) {
		uint64_t addr = b->d[i].addr || !(b->d[i].flags & IND) ? b->d[i].addr : table;
		uint16_t flags = b->d[i].flags;

		if (i == 0 || b->d[i - 1].flags & NEXT)
			flags |= 1u << VRING_PACKED_DESC_F_AVAIL;
		d[i].addr = addr;
		d[i].len = b->d[i].len;
		d[i].id = 0;
		__atomic_store_n(&d[i].flags, flags, __ATOMIC_RELEASE);
	}
}

static void fill_table(void *host, const struct bad_chain *b)
{
	for (unsigned int i = 0; i < ARRAY_LEN(b->table); i++) {
		const struct desc *t = &b->table[i];

		if (test_packed())
			((struct vring_packed_desc *)host)[i] =
				(struct vring_packed_desc){t->addr, t->len, 0, t->flags & (uint16_t)~NEXT};
		else
			((struct vring_desc *)host)[i] =
				(struct vring_desc){t->addr, t->len, t->flags, t->next};
	}
}

static void restart(struct vm *vm, unsigned int i)
{
	uint32_t base, first = vm->queue[i].cfg.base;

	OK(vm_stop_queue(vm, i, &base));
	drv_reset(&vm->queue[i], first);
	fc_abandon(&vm->client[i]);
	OK(vm_start_queue(vm, i, first));
	getattr_root(vm, i);
	OK(vm_stop_queue(vm, i, &base)); /* ready for the next one, as new */
	drv_reset(&vm->queue[i], first);
	OK(vm_start_queue(vm, i, first));
}

static void broken_chains(void **state)
{
	static const struct vm_config cfg = {.queues = 2, .client = {.max_data = 65536}};
	struct vm *vm = *state;
	uint8_t *table;

	test_boot(vm, &cfg, (const char *const[]){"--queues=2", NULL});
	table = gm_alloc(&vm->gm, 4096, 16);
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
		if (test_packed() && bad[i].split_only)
			continue;
		fill_table(table, &bad[i]);
		if (test_packed())
			put_packed(&vm->queue[2], &bad[i], gm_gpa(&vm->gm, table));
		else
			put_split(&vm->queue[2], &bad[i], gm_gpa(&vm->gm, table));
		drv_kick_always(&vm->queue[2]);
		if (!drv_signalled(vm->queue[2].err, 2000))
			fail_msg("%s: the front-end was not told", bad[i].what);
		getattr_root(vm, 1);
		restart(vm, 2);
	}
}

/* A packed ring whose every descriptor says that another follows. */
static void endless_packed_chain(void **state)
{
	struct vm *vm = *state;
	struct vring_packed_desc *d;
	uint32_t base;

	if (!test_packed())
		skip();
	test_boot(vm, NULL, NULL);
	OK(vm_stop_queue(vm, 1, &base));
	drv_reset(&vm->queue[1], DRV_PACKED_BASE);
	d = vm->queue[1].desc;
	for (unsigned int i = 0; i < vm->queue[1].cfg.size; i++)
		d[i] = (struct vring_packed_desc){SOMEWHERE, 1, 0, NEXT | 1u << VRING_PACKED_DESC_F_AVAIL};
	OK(vm_start_queue(vm, 1, DRV_PACKED_BASE));
	drv_kick_always(&vm->queue[1]);
	assert_true(drv_signalled(vm->queue[1].err, 2000));
	restart(vm, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(sizes),
		TEST_OWN(full_ring),
		TEST_OWN(notifications),
		TEST_OWN(idle_kicks),
		TEST_OWN(broken_chains),
		TEST_OWN(endless_packed_chain),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
