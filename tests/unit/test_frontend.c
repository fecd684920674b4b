/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the pages of a request's data lie that the front-end of tests and benchmark makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arith.h"
#include "frontend/fuse.h"

#include <linux/fuse.h>

#define PAGE	   4096u
#define PAGES	   60u
#define RING_SIZE  256u
#define MEMORY	   (4u << 20)
#define DATA_FIRST 2u /* descriptor: header and arguments come ahead of it */

struct fixture {
	struct guestmem gm;
	struct drv_queue q;
	struct fuse_client c;
};

static uint8_t data[PAGES * PAGE];

static void begin(struct fixture *f, size_t page_run)
{
	const struct drv_config dc = {.size = RING_SIZE, .region = -1};
	const struct fc_config cc = {.depth = 1,
		.max_data = (size_t)PAGES * PAGE,
		.page_run = page_run,
		.layout = FC_PAGES,
		.timeout_ms = 1000};

	*f = (struct fixture){0};
	assert_int_equal(gm_add(&f->gm, 0, MEMORY, 0, 0), 0);
	assert_int_equal(drv_init(&f->q, &f->gm, &dc), 0);
	assert_int_equal(fc_init(&f->c, &f->gm, &f->q, &cc), 0);
}

static void end(struct fixture *f)
{
	fc_free(&f->c);
	drv_free(&f->q);
	gm_free(&f->gm);
}

/* Each page has its descriptor and its bytes, @want of them follow each other in memory, and then comes a
 * break. */
static void expect_run(size_t page_run, unsigned int want)
{
	struct fuse_write_in in = {.size = sizeof(data)};
	struct fc_op op = {.opcode = FUSE_WRITE, .nargs = 1, .arg = {{&in, sizeof(in)}}};
	const struct vring_desc *d;
	struct fixture f;
	unsigned int breaks = 0;

	op.data = data;
	op.data_len = sizeof(data);
	begin(&f, page_run);
	assert_int_equal(fc_start_quietly(&f.c, &op), 0);
	d = (const struct vring_desc *)f.q.desc + DATA_FIRST;
	for (unsigned int i = 0; i < PAGES; i++) {
		assert_int_equal(d[i].len, PAGE);
		assert_memory_equal(f.gm.region[0].host + d[i].addr, data + i * PAGE, PAGE);
		if (i % want)
			assert_true(d[i].addr == d[i - 1].addr + PAGE);
		else
			breaks += !i || d[i].addr != d[i - 1].addr + PAGE;
	}
	assert_int_equal(breaks, (PAGES + want - 1) / want);
	end(&f);
}

static void test_runs(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / PAGE + i);
	expect_run(0, 1);
	expect_run(1, 1);
	expect_run(16, 16);
	expect_run(64, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
