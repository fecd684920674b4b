/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings between a well-behaved driver and the device: both kinds, with and without EVENT_IDX. */
#include "ring_driver.h"

#include "base/arith.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKED_FRESH 0x80008000U
#define PIECES	     64

struct rig {
	struct ring_driver d;
	struct vring *vr;
	struct vring_chain c;
	struct iovec iov[PIECES];
};

/* Packed, event_idx: every kind of ring. */
static const struct vring_config kinds[] = {
	{.size = 8, .indirect = true},
	{.size = 8, .indirect = true, .event_idx = true},
	{.size = 8, .indirect = true, .packed = true},
	{.size = 8, .indirect = true, .packed = true, .event_idx = true},
	{.size = 7, .indirect = true, .packed = true},
	{.size = 7, .indirect = true, .packed = true, .event_idx = true},
};

static void rig_start_at(struct rig *r, const struct vring_config *kind, uint32_t size, uint32_t base)
{
	struct vring_config cfg = *kind;
	struct err err;

	cfg.size = size ? size : cfg.size;
	driver_init(&r->d, &cfg, base);
	r->vr = vring_new();
	r->c = (struct vring_chain){.iov = r->iov, .max = PIECES};
	assert_int_equal(vring_start(r->vr, &r->d.cfg, base, r->d.mem, NULL, &err), 0);
}

static void rig_start(struct rig *r, const struct vring_config *kind, uint32_t size)
{
	rig_start_at(r, kind, size, kind->packed ? PACKED_FRESH : 0);
}

static void rig_stop(struct rig *r)
{
	vring_free(r->vr);
	driver_done(&r->d);
}

static void assert_used(struct rig *r, int id, uint32_t len)
{
	uint32_t got;

	assert_int_equal(driver_used(&r->d, &got), id);
	assert_int_equal(got, len);
}

/* One buffer there and back. */
static void bounce(struct rig *r)
{
	struct buf b = {DATA_GPA, 32, true};
	int id = driver_add(&r->d, &b, 1, 0);

	assert_true(id >= 0);
	assert_int_equal(vring_pop(r->vr, &r->c), 1);
	assert_int_equal(r->c.id, id);
	vring_push(r->vr, &r->c, 3);
	assert_used(r, id, 3);
}

static void round_trip(const struct vring_config *kind, uint64_t table)
{
	const struct buf bufs[] = {{DATA_GPA, 40, false}, {DATA_GPA + 100, 0, false},
		{DATA_GPA + 4096, 8192, false}, {DATA_GPA + 200, 16, true}, {DATA_GPA + 300, 0, true},
		{DATA_GPA + 65536, 65536, true}};
	struct rig r;
	int id;

	rig_start(&r, kind, 0);
	assert_int_equal(vring_pop(r.vr, &r.c), 0);
	id = driver_add(&r.d, bufs, ARRAY_LEN(bufs), table);
	assert_true(id >= 0);
	assert_int_equal(vring_pop(r.vr, &r.c), 1);
	assert_int_equal(r.c.id, id);
	assert_int_equal(r.c.nin, 2);
	assert_int_equal(r.c.nout, 2);
	for (int i = 0, k = 0; i < 6; i++) {
		if (!bufs[i].len)
			continue;
		assert_ptr_equal(r.iov[k].iov_base, driver_ram(&r.d, bufs[i].gpa, 1));
		assert_int_equal(r.iov[k++].iov_len, bufs[i].len);
	}
	vring_push(r.vr, &r.c, 65552);
	assert_int_equal(vring_pop(r.vr, &r.c), 0);
	assert_used(&r, id, 65552);
	assert_int_equal(driver_used(&r.d, &(uint32_t){0}), -1);
	rig_stop(&r);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		round_trip(&kinds[i], 0);
		round_trip(&kinds[i], DATA_GPA + 0x100000 - 0x2000);
		round_trip(&kinds[i], DATA_GPA + 0x8004); /* a table at an odd address */
	}
}

/* Split: direct descriptors, then one that refers to a table, are one chain (2.7.5.3.2). */
static void test_direct_then_indirect(void **state)
{
	struct rig r;
	struct raw_desc *t;

	(void)state;
	rig_start(&r, &kinds[0], 0);
	t = driver_ram(&r.d, DATA_GPA + 0x1000, 64);
	r.d.desc[3] = (struct raw_desc){DATA_GPA, 10, F_NEXT, 6};
	r.d.desc[6] = (struct raw_desc){DATA_GPA + 0x1000, 48, F_INDIRECT | F_WRITE, 1};
	t[0] = (struct raw_desc){DATA_GPA + 20, 20, F_NEXT, 2};
	t[2] = (struct raw_desc){DATA_GPA + 40, 40, F_WRITE, 0};
	driver_publish(&r.d, 3);
	assert_int_equal(vring_pop(r.vr, &r.c), 1);
	assert_int_equal(r.c.id, 3);
	assert_int_equal(r.c.nin, 2);
	assert_int_equal(r.c.nout, 1);
	assert_int_equal(r.iov[1].iov_len, 20);
	assert_int_equal(r.iov[2].iov_len, 40);
	rig_stop(&r);
}

/* A descriptor over two regions comes in two pieces; a table over two regions is read all the same. */
static void test_crossing(void **state)
{
	const struct buf b = {RAM_GPA + RAM_SPLIT - 10, 30, true};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct raw_desc d = {
			b.gpa, b.len, kinds[i].packed ? 0 : F_WRITE, kinds[i].packed ? F_WRITE : 0};
		struct buf table = {RAM_GPA + RAM_SPLIT - 16, 32, false};

		rig_start(&r, &kinds[i], 0);
		assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
		assert_int_equal(vring_pop(r.vr, &r.c), 1);
		assert_int_equal(r.c.nout, 2);
		assert_int_equal(r.iov[0].iov_len, 10);
		assert_int_equal(r.iov[1].iov_len, 20);
		assert_ptr_equal(r.iov[1].iov_base, driver_ram(&r.d, RAM_GPA + RAM_SPLIT, 1));
		r.c.max = 1;
		assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
		assert_int_equal(vring_pop(r.vr, &r.c), -EPROTO);
		rig_stop(&r);

		rig_start(&r, &kinds[i], 0);
		memcpy(driver_ram(&r.d, table.gpa + 16, 16), &d, 16);
		d.a |= kinds[i].packed ? 0 : F_NEXT;
		d.b |= kinds[i].packed ? 0 : 1;
		memcpy(driver_ram(&r.d, table.gpa, 16), &d, 16);
		r.d.desc[0] = (struct raw_desc){table.gpa, 32, 0, F_INDIRECT | F_AVAIL};
		if (!kinds[i].packed) {
			r.d.desc[0] = (struct raw_desc){table.gpa, 32, F_INDIRECT, 0};
			driver_publish(&r.d, 0);
		}
		assert_int_equal(vring_pop(r.vr, &r.c), 1);
		assert_int_equal(r.c.nout, 4);
		rig_stop(&r);
	}
}

/* More chains than the indices have values, from a base just ahead of where they wrap. */
static void test_index_wrap(void **state)
{
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start_at(&r, &kinds[i], 0, kinds[i].packed ? 0x00060006 : 65530);
		for (int k = 0; k < 70000; k++)
			bounce(&r);
		rig_stop(&r);
	}
}

static uint32_t rnd(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 16;
}

/* Chains of one to three descriptors, given back in any order; the driver checks each slot and ID it gets. */
static void out_of_order(const struct vring_config *kind, uint32_t size, int rounds)
{
	const struct buf bufs[] = {{DATA_GPA, 8, false}, {DATA_GPA + 8, 8, true}, {DATA_GPA + 16, 8, true}};
	struct vring_chain held[64];
	uint32_t n = 0, seed = size, len;
	struct rig r;
	int got = 0, id;

	rig_start(&r, kind, size);
	while (got < rounds) {
		while (n < 64 && driver_add(&r.d, bufs, 1 + rnd(&seed) % MIN(3U, r.d.cfg.size), 0) >= 0) {
			assert_int_equal(vring_pop(r.vr, &r.c), 1);
			held[n++] = r.c;
		}
		assert_int_equal(vring_pop(r.vr, &r.c), 0);
		for (uint32_t k = 1 + rnd(&seed) % n; k; k--) {
			uint32_t pick = rnd(&seed) % n;

			vring_push(r.vr, &held[pick], held[pick].id + 1U);
			held[pick] = held[--n];
		}
		while ((id = driver_used(&r.d, &len)) >= 0) {
			assert_int_equal(len, id + 1);
			got++;
		}
	}
	rig_stop(&r);
}

static void test_out_of_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		out_of_order(&kinds[i], 0, 5000);
		out_of_order(&kinds[i], 64, 5000);
	}
	out_of_order(&kinds[2], 1, 100); /* a packed ring of one slot takes chains of one */
	out_of_order(&kinds[2], 3, 1000);
}

/* All 32768 descriptors are in flight at once, twice over. */
static void test_largest(void **state)
{
	const struct buf b = {DATA_GPA, 8, true};
	struct rig r;
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct vring_chain *held = calloc(VRING_MAX_SIZE, sizeof(*held));

		assert_non_null(held);
		rig_start(&r, &kinds[i], VRING_MAX_SIZE);
		for (int round = 0; round < 3; round++) {
			for (int k = 0; k < VRING_MAX_SIZE; k++)
				assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
			for (int k = 0; k < VRING_MAX_SIZE; k++) {
				assert_int_equal(vring_pop(r.vr, &r.c), 1);
				held[k] = r.c;
			}
			assert_int_equal(vring_pop(r.vr, &r.c), 0);
			for (int k = VRING_MAX_SIZE; k--;)
				vring_push(r.vr, &held[k], 1);
			for (int k = 0; k < VRING_MAX_SIZE; k++)
				assert_true(driver_used(&r.d, &len) >= 0);
		}
		rig_stop(&r);
		free(held);
	}
}

/* What follows each other in memory, and is of one direction, is one piece; but not over the border of a
 * region.
 */
static void test_neighbours(void **state)
{
	const struct buf bufs[] = {
		{DATA_GPA, 10, false},
		{DATA_GPA + 10, 20, false},
		{DATA_GPA + 30, 5, true},
		{DATA_GPA + 35, 5, true},
		{DATA_GPA + 41, 5, true},
		{DATA_GPA + 46, 1, true},
		{RAM_GPA + RAM_SPLIT - 8, 8, true},
		{RAM_GPA + RAM_SPLIT, 8, true},
	};
	static const size_t lens[] = {30, 10, 6, 8, 8};
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start(&r, &kinds[i], 0);
		assert_true(driver_add(&r.d, bufs, ARRAY_LEN(bufs),
				    kinds[i].size < 8 ? DATA_GPA + 0x1000 : 0) >= 0);
		assert_int_equal(vring_pop(r.vr, &r.c), 1);
		assert_int_equal(r.c.nin, 1);
		assert_int_equal(r.c.nout, 4);
		for (size_t k = 0; k < ARRAY_LEN(lens); k++)
			assert_int_equal(r.iov[k].iov_len, lens[k]);
		assert_ptr_equal(r.iov[0].iov_base, driver_ram(&r.d, DATA_GPA, 1));
		assert_ptr_equal(r.iov[2].iov_base, driver_ram(&r.d, DATA_GPA + 41, 1));
		assert_ptr_equal(r.iov[4].iov_base, driver_ram(&r.d, RAM_GPA + RAM_SPLIT, 1));
		rig_stop(&r);
	}
}

/* A chain as long as the ring, and a table of 32768 entries. */
static void test_longest_chain(void **state)
{
	struct buf *bufs = calloc(VRING_MAX_SIZE, sizeof(*bufs));
	struct iovec *iov = calloc(VRING_MAX_SIZE, sizeof(*iov));
	struct rig r;

	(void)state;
	assert_true(bufs && iov);
	for (uint32_t k = 0; k < VRING_MAX_SIZE; k++)
		bufs[k] = (struct buf){DATA_GPA + 2 * k, 1, k > 20000};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start(&r, &kinds[i], VRING_MAX_SIZE);
		r.c.iov = iov;
		r.c.max = VRING_MAX_SIZE;
		for (uint64_t table = 0; table <= DATA_GPA + 0x10000; table += DATA_GPA + 0x10000) {
			int id = driver_add(&r.d, bufs, VRING_MAX_SIZE, table);

			assert_true(id >= 0);
			assert_int_equal(vring_pop(r.vr, &r.c), 1);
			assert_int_equal(r.c.nin, 20001);
			assert_int_equal(r.c.nout, VRING_MAX_SIZE - 20001);
			vring_push(r.vr, &r.c, 7);
			assert_used(&r, id, 7);
		}
		rig_stop(&r);
	}
	free(bufs);
	free(iov);
}

/* The guest is called once for what it awaits, and not for what it does not. */
static void test_calls(void **state)
{
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start(&r, &kinds[i], 0);
		assert_false(vring_wants_call(r.vr));
		driver_calls(&r.d, false);
		bounce(&r);
		assert_true(vring_wants_call(r.vr)); /* the first answer */
		for (int k = 0; k < 1000; k++) {
			assert_false(driver_calls(&r.d, true));
			bounce(&r);
			assert_true(vring_wants_call(r.vr));
			assert_false(vring_wants_call(r.vr));
			if (k % 3) {
				driver_calls(&r.d, false);
				bounce(&r);
				assert_false(vring_wants_call(r.vr));
			}
		}
		rig_stop(&r);
	}
}

/* With EVENT_IDX: the driver awaits the third of what comes next, at every position of the ring. */
static void test_delayed_call(void **state)
{
	struct rig r;

	(void)state;
	for (size_t i = 1; i < ARRAY_LEN(kinds); i += 2) {
		rig_start_at(&r, &kinds[i], 0, kinds[i].packed ? PACKED_FRESH : 65500);
		bounce(&r);
		assert_true(vring_wants_call(r.vr));
		for (int k = 0; k < 200; k++) {
			uint32_t pos = r.d.seen + 2U;
			bool wrap = r.d.seen_wrap;

			if (kinds[i].packed && pos >= r.d.cfg.size) {
				pos -= r.d.cfg.size;
				wrap = !wrap;
			}
			if (kinds[i].packed) {
				r.d.avail[0] = (uint16_t)(pos | (wrap ? 0x8000 : 0));
				r.d.avail[1] = 2;
			} else {
				r.d.avail[2 + r.d.cfg.size] = (uint16_t)pos;
			}
			bounce(&r);
			assert_false(vring_wants_call(r.vr));
			bounce(&r);
			assert_false(vring_wants_call(r.vr));
			bounce(&r);
			assert_true(vring_wants_call(r.vr));
			bounce(&r);
			assert_false(vring_wants_call(r.vr));
		}
		rig_stop(&r);
	}
}

/* Several chains pushed between two questions: yes if the event is among them, wherever. */
static void test_batched_call(void **state)
{
	struct rig r;

	(void)state;
	for (size_t i = 1; i < ARRAY_LEN(kinds); i += 2) {
		rig_start_at(&r, &kinds[i], 0, kinds[i].packed ? PACKED_FRESH : 65500);
		bounce(&r);
		assert_true(vring_wants_call(r.vr));
		for (int k = 0; k < 200; k++) {
			driver_calls(&r.d, true);
			for (int n = 0; n <= k % 6; n++)
				bounce(&r);
			assert_true(vring_wants_call(r.vr));
			for (int n = 0; n <= k % 5; n++)
				bounce(&r);
			assert_false(vring_wants_call(r.vr));
		}
		rig_stop(&r);
	}
}

/* The driver kicks when asked to and only then, at every position of the ring. */
static void test_kicks(void **state)
{
	const struct buf b = {DATA_GPA, 8, true};
	struct vring_watch w;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start_at(&r, &kinds[i], 0, kinds[i].packed ? PACKED_FRESH : 65500);
		for (int k = 0; k < 200; k++) {
			assert_false(vring_want_kick(r.vr));
			if (k % 3 == 0) { /* what was asked is taken back */
				vring_no_kick(r.vr);
				bounce(&r);
				assert_false(driver_must_kick(&r.d));
				assert_false(vring_want_kick(r.vr));
			}
			bounce(&r);
			assert_true(driver_must_kick(&r.d));
			vring_no_kick(r.vr);
			bounce(&r);
			assert_false(driver_must_kick(&r.d));
			if (k % 2 == 0)
				continue;
			assert_true(vring_watch(r.vr, &w));
			assert_false(vring_watch_ready(&w));
			assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
			assert_true(vring_watch_ready(&w));
			assert_true(vring_want_kick(r.vr)); /* the driver may have looked before we asked */
			assert_int_equal(vring_pop(r.vr, &r.c), 1);
			vring_push(r.vr, &r.c, 1);
			assert_true(driver_used(&r.d, &(uint32_t){0}) >= 0);
			assert_false(vring_want_kick(r.vr));
			bounce(&r);
			assert_true(driver_must_kick(&r.d));
		}
		rig_stop(&r);
	}
}

/* A stopped ring goes on from its base, in another ring. */
static void test_base(void **state)
{
	struct rig r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		rig_start(&r, &kinds[i], 0);
		for (int k = 0; k < 50; k++) {
			uint32_t base = vring_base(r.vr);

			assert_int_equal(vring_stop(r.vr), base);
			assert_int_equal(vring_stop(r.vr), base);
			assert_int_equal(vring_base(r.vr), base);
			assert_null(vring_mem(r.vr));
			assert_int_equal(vring_pop(r.vr, &r.c), 0);
			assert_false(vring_want_kick(r.vr));
			assert_false(vring_watch(r.vr, &(struct vring_watch){0}));
			vring_free(r.vr);
			r.vr = vring_new();
			assert_int_equal(vring_start(r.vr, &r.d.cfg, base, r.d.mem, NULL, &err), 0);
			bounce(&r);
		}
		if (!kinds[i].packed)
			assert_int_equal(vring_base(r.vr), 50);
		else if (kinds[i].size == 8) /* six rounds, an even number, and two slots */
			assert_int_equal(vring_base(r.vr), 0x80028002);
		else /* seven rounds and one */
			assert_int_equal(vring_base(r.vr), 0x00010001);
		rig_stop(&r);
	}
}

/* Base 0 of a packed ring that nobody has used is that of a new ring; of a used one it is the end of a round.
 */
static void test_base_zero(void **state)
{
	struct rig r;
	struct err err;

	(void)state;
	rig_start(&r, &kinds[2], 0);
	vring_stop(r.vr);
	assert_int_equal(vring_start(r.vr, &r.d.cfg, 0, r.d.mem, NULL, &err), 0);
	assert_int_equal(vring_base(r.vr), PACKED_FRESH);
	for (int k = 0; k < 8; k++)
		bounce(&r);
	assert_int_equal(vring_stop(r.vr), 0);
	assert_int_equal(vring_start(r.vr, &r.d.cfg, 0, r.d.mem, NULL, &err), 0);
	assert_int_equal(vring_base(r.vr), 0);
	bounce(&r);
	rig_stop(&r);
}

static void test_base_in_flight(void **state)
{
	const struct buf bufs[] = {{DATA_GPA, 8, true}, {DATA_GPA, 8, true}, {DATA_GPA, 8, true}};
	struct rig r;

	(void)state;
	rig_start(&r, &kinds[2], 0);
	for (int k = 0; k < 6; k++)
		bounce(&r);
	assert_true(driver_add(&r.d, bufs, 3, 0) >= 0);
	assert_int_equal(vring_pop(r.vr, &r.c), 1);
	assert_int_equal(r.c.ndesc, 3);
	assert_int_equal(vring_base(r.vr), 0x80060001);
	vring_push(r.vr, &r.c, 0);
	assert_int_equal(vring_base(r.vr), 0x00010001);
	rig_stop(&r);
}

/* Chains that were taken and are lost go on to count as in flight: an honest driver cannot reuse their slots.
 */
static void test_lost_chains(void **state)
{
	const struct buf b = {DATA_GPA, 8, true};
	struct vring_chain lost;
	struct rig r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		rig_start(&r, &kinds[i], 8);
		bounce(&r);
		for (int k = 0; k < 8; k++) {
			assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
			assert_int_equal(vring_pop(r.vr, &r.c), 1);
			lost = r.c;
			assert_int_equal(
				vring_start(r.vr, &r.d.cfg, vring_stop(r.vr), r.d.mem, NULL, &err), 0);
		}
		assert_int_equal(vring_pop(r.vr, &r.c), 0);
		vring_push(r.vr, &lost, 1); /* recovered: its place is free again */
		assert_used(&r, lost.id, 1);
		bounce(&r);
		rig_stop(&r);
	}
	rig_start(&r, &kinds[0], 8); /* a used index that makes no sense is no reason to refuse */
	r.d.used[1] = 1000;
	assert_int_equal(vring_start(r.vr, &r.d.cfg, vring_stop(r.vr), r.d.mem, NULL, &err), 0);
	assert_true(driver_add(&r.d, &b, 1, 0) >= 0);
	assert_int_equal(vring_pop(r.vr, &r.c), 1);
	rig_stop(&r);
}

static int start(struct rig *r, const struct vring_config *cfg, uint32_t base)
{
	struct err err = {.text = ""};
	struct vring *vr = vring_new();
	int ret = vring_start(vr, cfg, base, r->d.mem, NULL, &err);

	assert_true(!ret == !err.text[0]);
	vring_free(vr);
	return ret;
}

static int start_size(struct rig *r, uint32_t size)
{
	struct vring_config cfg = r->d.cfg;

	cfg.size = size;
	return start(r, &cfg, cfg.packed ? PACKED_FRESH : 0);
}

/* Moves one area of the ring to @fva. */
static int start_moved(struct rig *r, size_t area, uint64_t fva)
{
	struct vring_config cfg = r->d.cfg;

	((struct fva *)(void *)((char *)&cfg + area))->v = fva;
	return start(r, &cfg, cfg.packed ? PACKED_FRESH : 0);
}

static void test_start_refused(void **state)
{
	static const size_t areas[] = {offsetof(struct vring_config, desc),
		offsetof(struct vring_config, avail), offsetof(struct vring_config, used)};
	struct rig r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		bool packed = kinds[i].packed;
		uint64_t ev = kinds[i].event_idx && !packed ? 2 : 0;
		uint64_t size[] = {16 * 8, packed ? 4 : 4 + 2 * 8 + ev, packed ? 4 : 4 + 8 * 8 + ev};
		uint64_t align[] = {16, packed ? 4 : 2, 4};

		rig_start(&r, &kinds[i], 8);
		assert_int_equal(start_size(&r, 0), -EINVAL);
		assert_int_equal(start_size(&r, VRING_MAX_SIZE + 1), -EINVAL);
		assert_int_equal(start_size(&r, 2 * VRING_MAX_SIZE), -EINVAL);
		assert_int_equal(start_size(&r, UINT32_MAX), -EINVAL);
		assert_int_equal(start_size(&r, 12), packed ? 0 : -EINVAL);
		assert_int_equal(start_size(&r, VRING_MAX_SIZE), 0);
		assert_int_equal(vring_start(r.vr, &r.d.cfg, 0, r.d.mem, NULL, &err), -EBUSY);
		for (size_t a = 0; a < 3; a++) {
			uint64_t last = (RAM_FVA + RAM_SIZE - size[a]) & ~(align[a] - 1);
			uint64_t split = RAM_FVA + RAM_SPLIT;

			assert_int_equal(start_moved(&r, areas[a], last), 0);
			assert_int_equal(start_moved(&r, areas[a], last + align[a]), -EFAULT);
			assert_int_equal(start_moved(&r, areas[a], split - align[a]),
				size[a] > align[a] ? -EFAULT : 0);
			assert_int_equal(start_moved(&r, areas[a], RAM_FVA - align[a]), -EFAULT);
			assert_int_equal(start_moved(&r, areas[a], 0), -EFAULT);
			assert_int_equal(start_moved(&r, areas[a], RAM_GPA), -EFAULT);
			assert_int_equal(start_moved(&r, areas[a], UINT64_MAX & ~(align[a] - 1)), -EFAULT);
			for (uint64_t off = 1; off < align[a]; off++)
				assert_int_equal(start_moved(&r, areas[a], RAM_FVA + off), -EINVAL);
		}
		rig_stop(&r);
	}
}

static void test_base_refused(void **state)
{
	static const uint32_t packed_bad[] = {
		0x00080008, 0x80088008, 0x00010000, 0x00008001, 0x80000001, 0x7fff7fff};
	static const uint32_t packed_good[] = {
		0, PACKED_FRESH, 0x00000007, 0x00078007, 0x00038002, 0x80078007};
	struct rig r;

	(void)state;
	rig_start(&r, &kinds[2], 8);
	for (size_t i = 0; i < ARRAY_LEN(packed_bad); i++)
		assert_int_equal(start(&r, &r.d.cfg, packed_bad[i]), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(packed_good); i++)
		assert_int_equal(start(&r, &r.d.cfg, packed_good[i]), 0);
	rig_stop(&r);
	rig_start(&r, &kinds[0], 8);
	assert_int_equal(start(&r, &r.d.cfg, 0x10000), -EINVAL);
	assert_int_equal(start(&r, &r.d.cfg, 0xffff), 0);
	rig_stop(&r);
}

/* A map like the driver's, but other mappings of the same memory. */
static struct mem_map *other_map(struct ring_driver *d, uint64_t size)
{
	struct mem_desc all = {.gpa = {RAM_GPA}, .fva = {RAM_FVA}, .size = size};
	struct mem_map *none = mem_new(), *m;

	assert_int_equal(mem_with(none, &all, d->fd, &m, NULL), 0);
	mem_unref(none);
	return m;
}

/* Memory is exchanged while a chain is in flight, which keeps its pages as long as its owner holds the map.
 */
static void test_remap(void **state)
{
	const struct buf b = {DATA_GPA, 8, true};
	struct rig r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct mem_map *m, *held;
		int id;

		rig_start(&r, &kinds[i], 0);
		for (int k = 0; k < 100; k++) {
			m = other_map(&r.d, RAM_SIZE);
			id = driver_add(&r.d, &b, 1, 0);
			assert_int_equal(vring_pop(r.vr, &r.c), 1);
			held = mem_ref(vring_mem(r.vr));
			assert_int_equal(vring_remap(r.vr, m, NULL, r.d.cfg.log_addr, &err), 0);
			assert_ptr_equal(vring_mem(r.vr), m);
			mem_unref(m);
			*(char *)r.iov[0].iov_base = (char)k;
			mem_unref(held);
			assert_int_equal(*(char *)driver_ram(&r.d, DATA_GPA, 1), k);
			vring_push(r.vr, &r.c, 1);
			assert_used(&r, id, 1);
			bounce(&r);
		}
		m = other_map(&r.d, AVAIL_OFF);
		held = vring_mem(r.vr);
		assert_int_equal(vring_remap(r.vr, m, NULL, r.d.cfg.log_addr, &err), -EFAULT);
		assert_ptr_equal(vring_mem(r.vr), held);
		bounce(&r);
		vring_stop(r.vr);
		assert_int_equal(vring_remap(r.vr, m, NULL, r.d.cfg.log_addr, &err), -EINVAL);
		mem_unref(m);
		rig_stop(&r);
	}
}

static bool marked(int fd, uint64_t gpa)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)(gpa / 4096 / 8)), 1);
	return byte >> gpa / 4096 % 8 & 1;
}

/* What the device writes to the ring is marked: the used ring at log_addr, or a packed ring where it lies. */
static void test_log(void **state)
{
	struct rig r;
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct vring_config cfg;
		uint64_t elem;
		int bits = memfd_create("log", MFD_CLOEXEC);
		struct mem_log *log;

		assert_int_equal(ftruncate(bits, 4096), 0);
		log = mem_log_new(bits, 0, 4096, &err);
		rig_start(&r, &kinds[i], 4096);
		cfg = r.d.cfg;
		vring_stop(r.vr);
		assert_int_equal(
			vring_start(r.vr, &cfg, kinds[i].packed ? PACKED_FRESH : 0, r.d.mem, log, &err), 0);
		assert_ptr_equal(vring_log(r.vr), log);
		bounce(&r);
		assert_false(marked(bits, RAM_GPA + USED_OFF)); /* not asked for */
		vring_stop(r.vr);
		cfg.log = true;
		cfg.log_addr.v = kinds[i].packed ? 0 : RAM_GPA + USED_OFF + 0x100000;
		r.d.seen = r.d.next = 3000;
		r.d.seen_wrap = r.d.next_wrap = true;
		if (!kinds[i].packed)
			r.d.used[1] = 3000;
		assert_int_equal(
			vring_start(r.vr, &cfg, kinds[i].packed ? 0x8bb88bb8 : 3000, r.d.mem, NULL, &err), 0);
		bounce(&r);
		assert_false(marked(bits, RAM_GPA + USED_OFF));
		assert_int_equal(vring_remap(r.vr, r.d.mem, log, cfg.log_addr, &err), 0);
		bounce(&r);
		vring_want_kick(r.vr);
		elem = kinds[i].packed ? RAM_GPA + DESC_OFF + 3001 * 16 : cfg.log_addr.v + 4 + 3001 * 8;
		assert_true(marked(bits, elem));
		assert_false(marked(bits, elem - 4096));
		assert_false(marked(bits, elem + 4096));
		assert_int_equal(marked(bits, kinds[i].packed ? RAM_GPA + USED_OFF : cfg.log_addr.v),
			!kinds[i].packed || kinds[i].event_idx);
		if (!kinds[i].packed)
			assert_int_equal(marked(bits, cfg.log_addr.v + 4 + 4096 * 8), kinds[i].event_idx);
		mem_log_unref(log);
		rig_stop(&r);
		close(bits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_direct_then_indirect),
		cmocka_unit_test(test_crossing),
		cmocka_unit_test(test_index_wrap),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_longest_chain),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_delayed_call),
		cmocka_unit_test(test_batched_call),
		cmocka_unit_test(test_kicks),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_base_zero),
		cmocka_unit_test(test_base_in_flight),
		cmocka_unit_test(test_lost_chains),
		cmocka_unit_test(test_start_refused),
		cmocka_unit_test(test_base_refused),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
