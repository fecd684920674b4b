/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains that no honest driver makes: each breaks the ring, stays broken, and touches nothing else. */
#include "ring_driver.h"

#include "base/arith.h"
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIZE	     8
#define PACKED_FRESH 0x80008000U
#define PIECES	     16
#define TABLE	     (DATA_GPA + 0x10000)

/* One case: what stands in the ring from slot 0 on, and in the table at TABLE. */
struct bad {
	const char *what;
	uint16_t head; /* split */
	struct raw_desc ring[SIZE];
	struct raw_desc table[4];
	bool no_indirect;
	bool ok; /* it is odd, but tolerated */
};

#define D DATA_GPA

static const struct bad split[] = {
	{.what = "head behind the table", .head = SIZE, .ring = {{D, 8, 0, 0}}},
	{.what = "head far behind", .head = 0xffff, .ring = {{D, 8, 0, 0}}},
	{.what = "next behind the table", .ring = {{D, 8, F_NEXT, SIZE}}},
	{.what = "next far behind", .ring = {{D, 8, F_NEXT, 0xffff}}},
	{.what = "loop of one", .ring = {{D, 8, F_NEXT, 0}}},
	{.what = "loop of empty descriptors", .ring = {{D, 0, F_NEXT, 0}}},
	{.what = "loop of two", .ring = {{D, 8, F_NEXT, 1}, {D, 0, F_NEXT, 0}}},
	{.what = "readable after writable", .ring = {{D, 8, F_NEXT | F_WRITE, 1}, {D, 8, 0, 0}}},
	{.what = "empty readable after writable", .ring = {{D, 8, F_NEXT | F_WRITE, 1}, {D, 0, 0, 0}}},
	{.what = "readable after empty writable", .ring = {{D, 0, F_NEXT | F_WRITE, 1}, {D, 8, 0, 0}}},
	{.what = "below memory", .ring = {{RAM_GPA - 1, 8, 0, 0}}},
	{.what = "over the end of memory", .ring = {{RAM_END - 7, 8, 0, 0}}},
	{.what = "behind memory", .ring = {{RAM_END, 1, 0, 0}}},
	{.what = "address 0", .ring = {{0, 8, F_WRITE, 0}}},
	{.what = "address wraps", .ring = {{UINT64_MAX - 3, 8, F_WRITE, 0}}},
	{.what = "4 GiB of nothing", .ring = {{D, UINT32_MAX, 0, 0}}},
	{.what = "a front-end address", .ring = {{RAM_FVA, 8, 0, 0}}},
	{.what = "second one not in memory", .ring = {{D, 8, F_NEXT, 1}, {0, 8, 0, 0}}},
	{.what = "indirect, not negotiated",
		.ring = {{TABLE, 16, F_INDIRECT, 0}},
		.table = {{D, 8, 0, 0}},
		.no_indirect = true},
	{.what = "indirect with next",
		.ring = {{TABLE, 16, F_INDIRECT | F_NEXT, 1}, {D, 8, 0, 0}},
		.table = {{D, 8, 0, 0}}},
	{.what = "empty table", .ring = {{TABLE, 0, F_INDIRECT, 0}}},
	{.what = "table of half an entry", .ring = {{TABLE, 8, F_INDIRECT, 0}}},
	{.what = "table of one and a half", .ring = {{TABLE, 24, F_INDIRECT, 0}}, .table = {{D, 8, 0, 0}}},
	{.what = "table not in memory", .ring = {{0, 16, F_INDIRECT, 0}}},
	{.what = "table over the end", .ring = {{RAM_END - 16, 32, F_INDIRECT, 0}}, .ok = true},
	{.what = "table of which an entry is over the end", .ring = {{RAM_END - 8, 16, F_INDIRECT, 0}}},
	{.what = "table wraps", .ring = {{UINT64_MAX - 15, 32, F_INDIRECT, 0}}},
	{.what = "table too long", .ring = {{TABLE, 16 * (VRING_MAX_SIZE + 1), F_INDIRECT, 0}}},
	{.what = "table of 4 GiB", .ring = {{TABLE, UINT32_MAX - 15, F_INDIRECT, 0}}},
	{.what = "nested table",
		.ring = {{TABLE, 16, F_INDIRECT, 0}},
		.table = {{TABLE + 16, 16, F_INDIRECT, 0}, {D, 8, 0, 0}}},
	{.what = "table that is its own",
		.ring = {{TABLE, 16, F_INDIRECT, 0}},
		.table = {{TABLE, 16, F_INDIRECT, 0}}},
	{.what = "next behind the indirect table",
		.ring = {{TABLE, 32, F_INDIRECT, 0}},
		.table = {{D, 8, F_NEXT, 2}, {D, 8, 0, 0}, {D, 8, 0, 0}}},
	{.what = "loop in a table",
		.ring = {{TABLE, 32, F_INDIRECT, 0}},
		.table = {{D, 0, F_NEXT, 1}, {D, 0, F_NEXT, 0}}},
	{.what = "readable in a table after writable",
		.ring = {{D, 8, F_NEXT | F_WRITE, 1}, {TABLE, 16, F_INDIRECT, 0}},
		.table = {{D, 8, 0, 0}}},
	{.what = "nothing but an empty descriptor", .ring = {{0, 0, 0, 0}}, .ok = true},
	{.what = "unknown flags", .ring = {{D, 8, 0xfff8, 0}}, .ok = true},
	{.what = "indirect and writable",
		.ring = {{TABLE, 16, F_INDIRECT | F_WRITE, 0}},
		.table = {{D, 8, 0, 0}},
		.ok = true},
};

/* Flags are the second word here; AVAIL makes it available in the first round. */
#define A  F_AVAIL
#define AN (F_AVAIL | F_NEXT)
#define AI (F_AVAIL | F_INDIRECT)

static const struct bad packed[] = {
	{.what = "readable after writable", .ring = {{D, 8, 0, AN | F_WRITE}, {D, 8, 0, A}}},
	{.what = "empty readable after writable", .ring = {{D, 8, 0, AN | F_WRITE}, {D, 0, 0, A}}},
	{.what = "below memory", .ring = {{RAM_GPA - 1, 8, 0, A}}},
	{.what = "over the end of memory", .ring = {{RAM_END - 7, 8, 0, A}}},
	{.what = "address wraps", .ring = {{UINT64_MAX - 3, 8, 0, A | F_WRITE}}},
	{.what = "second one not in memory", .ring = {{D, 8, 0, AN}, {0, 8, 0, A}}},
	{.what = "as long as the ring and on",
		.ring = {{D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN},
			{D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN}}},
	{.what = "round and round, empty",
		.ring = {{D, 0, 0, AN}, {D, 0, 0, AN}, {D, 0, 0, AN}, {D, 0, 0, AN}, {D, 0, 0, AN},
			{D, 0, 0, AN}, {D, 0, 0, AN}, {D, 0, 0, AN}}},
	{.what = "indirect, not negotiated",
		.ring = {{TABLE, 16, 0, AI}},
		.table = {{D, 8, 0, 0}},
		.no_indirect = true},
	{.what = "indirect with next",
		.ring = {{TABLE, 16, 0, AI | F_NEXT}, {D, 8, 0, A}},
		.table = {{D, 8, 0, 0}}},
	{.what = "indirect after direct",
		.ring = {{D, 8, 0, AN}, {TABLE, 16, 0, AI}},
		.table = {{D, 8, 0, 0}}},
	{.what = "empty table", .ring = {{TABLE, 0, 0, AI}}},
	{.what = "table of one and a half", .ring = {{TABLE, 24, 0, AI}}, .table = {{D, 8, 0, 0}}},
	{.what = "table not in memory", .ring = {{0, 16, 0, AI}}},
	{.what = "table over the end", .ring = {{RAM_END - 16, 32, 0, AI}}},
	{.what = "table wraps", .ring = {{UINT64_MAX - 15, 32, 0, AI}}},
	{.what = "table too long", .ring = {{TABLE, 16 * (VRING_MAX_SIZE + 1), 0, AI}}},
	{.what = "nested table", .ring = {{TABLE, 16, 0, AI}}, .table = {{TABLE, 16, 0, F_INDIRECT}}},
	{.what = "readable after writable in a table",
		.ring = {{TABLE, 32, 0, AI}},
		.table = {{D, 8, 0, F_WRITE}, {D, 8, 0, 0}}},
	{.what = "unmapped in a table", .ring = {{TABLE, 32, 0, AI}}, .table = {{D, 8, 0, 0}, {0, 8, 0, 0}}},
	{.what = "next in a table means nothing",
		.ring = {{TABLE, 16, 0, AI}},
		.table = {{D, 8, 0, F_NEXT}},
		.ok = true},
	{.what = "an ID that is no slot", .ring = {{D, 8, 0xffff, A}}, .ok = true},
	{.what = "as long as the ring",
		.ring = {{D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, AN},
			{D, 1, 0, AN}, {D, 1, 0, AN}, {D, 1, 0, A}},
		.ok = true},
};

struct rig {
	struct ring_driver d;
	struct vring *vr;
	struct vring_chain c;
	struct iovec iov[PIECES];
};

static void rig_start(struct rig *r, bool is_packed, bool indirect)
{
	struct vring_config cfg = {
		.size = SIZE, .packed = is_packed, .indirect = indirect, .event_idx = true};
	uint32_t base = is_packed ? PACKED_FRESH : 0;
	struct err err;

	driver_init(&r->d, &cfg, base);
	r->vr = vring_new();
	r->c = (struct vring_chain){.iov = r->iov, .max = PIECES};
	assert_int_equal(vring_start(r->vr, &r->d.cfg, base, r->d.mem, NULL, &err), 0);
}

static void rig_stop(struct rig *r)
{
	vring_free(r->vr);
	driver_done(&r->d);
}

/* Broken is broken: until the ring is set up again nothing is taken from it, and its base is the bad chain's.
 */
static void assert_broken(struct rig *r)
{
	uint32_t base = vring_base(r->vr);
	struct err err;

	assert_int_equal(vring_pop(r->vr, &r->c), -EPROTO);
	assert_int_equal(vring_pop(r->vr, &r->c), -EPROTO);
	assert_true(r->c.nin + r->c.nout <= r->c.max);
	assert_false(vring_want_kick(r->vr));
	vring_no_kick(r->vr);
	assert_false(vring_wants_call(r->vr));
	assert_int_equal(vring_stop(r->vr), base);
	assert_int_equal(vring_start(r->vr, &r->d.cfg, base, r->d.mem, NULL, &err), 0);
	assert_int_equal(vring_pop(r->vr, &r->c), -EPROTO);
}

static void run_case(const struct bad *b, bool is_packed)
{
	struct rig r;

	rig_start(&r, is_packed, !b->no_indirect);
	memcpy(driver_ram(&r.d, TABLE, sizeof(b->table)), b->table, sizeof(b->table));
	memcpy(r.d.desc, b->ring, sizeof(b->ring));
	if (!is_packed)
		driver_publish(&r.d, b->head);
	if (b->ok && vring_pop(r.vr, &r.c) != 1)
		fail_msg("%s ring, %s: was refused", is_packed ? "packed" : "split", b->what);
	else if (!b->ok && vring_pop(r.vr, &r.c) != -EPROTO)
		fail_msg("%s ring, %s: was not refused", is_packed ? "packed" : "split", b->what);
	if (!b->ok)
		assert_broken(&r);
	rig_stop(&r);
}

static void test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(split); i++)
		run_case(&split[i], false);
}

static void test_packed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(packed); i++)
		run_case(&packed[i], true);
}

/* The available index: as far ahead as the ring is long, one more, far more, and backwards. */
static void test_index_ahead(void **state)
{
	static const struct {
		uint16_t idx;
		int r;
	} cases[] = {{0, 0}, {1, 1}, {SIZE, 1}, {SIZE + 1, -EPROTO}, {0x8000, -EPROTO}, {0xffff, -EPROTO}};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig_start(&r, false, true);
		r.d.desc[0] = (struct raw_desc){D, 8, 0, 0};
		r.d.avail[1] = cases[i].idx;
		assert_int_equal(vring_pop(r.vr, &r.c), cases[i].r);
		if (cases[i].r < 0)
			assert_broken(&r);
		rig_stop(&r);
	}
}

/* More chains than descriptors in flight: a descriptor was made available again before it was used. */
static void test_too_many_in_flight(void **state)
{
	struct vring_chain first;
	struct rig r;

	(void)state;
	rig_start(&r, false, true);
	r.d.desc[0] = (struct raw_desc){D, 8, F_WRITE, 0};
	for (int i = 0; i < SIZE; i++) {
		driver_publish(&r.d, 0);
		assert_int_equal(vring_pop(r.vr, &r.c), 1);
		first = r.c;
	}
	driver_publish(&r.d, 0);
	assert_int_equal(vring_pop(r.vr, &r.c), -EPROTO);
	vring_push(r.vr, &first, 8); /* what was taken before can still be given back */
	assert_int_equal(r.d.used[1], 1);
	assert_int_equal(vring_pop(r.vr, &r.c), -EPROTO);
	rig_stop(&r);

	rig_start(&r, true, true);
	for (int i = 0; i < SIZE; i++)
		r.d.desc[i] = (struct raw_desc){D, 8, 0, A};
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(vring_pop(r.vr, &r.c), 1);
	assert_int_equal(vring_pop(r.vr, &r.c), 0); /* the next round has not begun */
	r.d.desc[0].b = F_USED;
	assert_int_equal(vring_pop(r.vr, &r.c), -EPROTO);
	rig_stop(&r);
}

/* A chain of more than 4 GiB, though every byte of it is in memory. */
static void test_too_many_bytes(void **state)
{
	enum { N = 1025 };
	struct buf bufs[N];
	struct iovec iov[2 * N];
	struct rig r;

	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++)
		for (uint32_t n = N - 1; n <= N; n++) {
			for (uint32_t i = 0; i < n; i++)
				bufs[i] = (struct buf){RAM_GPA, RAM_SIZE, false};
			rig_start(&r, is_packed, true);
			r.c.iov = iov;
			r.c.max = 2 * N;
			assert_true(driver_add(&r.d, bufs, n, TABLE) >= 0);
			assert_int_equal(vring_pop(r.vr, &r.c), n < N ? 1 : -EPROTO);
			rig_stop(&r);
		}
}

/* The caller's array is never overrun, wherever the chain outgrows it. */
static void test_too_many_pieces(void **state)
{
	struct buf bufs[PIECES + 1];
	struct rig r;

	(void)state;
	for (uint32_t i = 0; i <= PIECES; i++)
		bufs[i] = (struct buf){D + 2 * i, 1, i > 3};
	for (int is_packed = 0; is_packed < 2; is_packed++)
		for (uint32_t max = 0; max <= PIECES; max++) {
			rig_start(&r, is_packed, true);
			memset(r.iov, 0xaa, sizeof(r.iov));
			r.c.max = max;
			assert_true(driver_add(&r.d, bufs, PIECES, TABLE) >= 0);
			assert_int_equal(vring_pop(r.vr, &r.c), max == PIECES ? 1 : -EPROTO);
			for (uint32_t i = max; i < PIECES; i++)
				assert_int_equal(r.iov[i].iov_len, 0xaaaaaaaaaaaaaaaa);
			rig_stop(&r);
		}
}

/* What the log has of a chain is bounded however long the chain is. */
static void test_log_chain(void **state)
{
	struct iovec iov[1000];
	struct vring_chain c = {.id = 7, .ndesc = 1, .nin = 500, .nout = 500, .iov = iov, .max = 1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(iov); i++)
		iov[i] = (struct iovec){NULL, SIZE_MAX};
	vring_log_chain(&c, "a test");
	c.nin = 0;
	c.nout = 1;
	vring_log_chain(&c, "a test");
	c.nout = 0;
	vring_log_chain(&c, "a test");
	assert_int_equal(iov[999].iov_len, SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_index_ahead),
		cmocka_unit_test(test_too_many_in_flight),
		cmocka_unit_test(test_too_many_bytes),
		cmocka_unit_test(test_too_many_pieces),
		cmocka_unit_test(test_log_chain),
	};

	log_setup(LOG_LEVEL_WARN, false, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
