/* SPDX-License-Identifier: BSD-3-Clause */
/* Two queues at once, each with 32 requests in flight, every byte verified. */
#include "load.h"
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#define QUEUES 2
#define DEPTH  32
#define RUN_MS 1000

static void two_queues(void **state)
{
	static struct load_lane lane[QUEUES][DEPTH];
	static const char *const name[QUEUES] = {"q0", "q1"};
	struct load load[QUEUES];
	struct test *t = *state;
	pthread_t thread[QUEUES];

	for (unsigned int q = 0; q < QUEUES; q++) {
		load[q] = (struct load){.c = &t->vm.client[1 + q],
			.lane = lane[q],
			.lanes = DEPTH,
			.name = name[q],
			.random = q + 1,
			.end_ms = test_ms() + RUN_MS};
		load_make(&load[q], t->host);
		load_open(&load[q], t->dir);
	}
	for (unsigned int q = 0; q < QUEUES; q++)
		assert_int_equal(pthread_create(&thread[q], NULL, load_run, &load[q]), 0);
	for (unsigned int q = 0; q < QUEUES; q++)
		pthread_join(thread[q], NULL);
	for (unsigned int q = 0; q < QUEUES; q++)
		load_expect(&load[q], t->host);
	fprintf(stderr, "%llu and %llu requests\n", (unsigned long long)load[0].done,
		(unsigned long long)load[1].done);
}

/* Names made and removed by both queues in one directory; a listing goes on meanwhile. */
struct churn {
	struct fuse_client *c;
	uint64_t dir;
	unsigned int id, rounds;
	int error;
};

static int churn_once(struct churn *w)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
	struct fc_created cr;
	char name[32], other[32];
	int r;

	snprintf(name, sizeof(name), "c%u-%u", w->id, w->rounds);
	snprintf(other, sizeof(other), "d%u-%u", w->id, w->rounds);
	r = fc_create(w->c, w->dir, name, &in, &cr);
	if (!r)
		r = fc_rename(w->c, w->dir, name, w->dir, other);
	if (!r)
		r = fc_release(w->c, (struct fc_file){cr.entry.nodeid, cr.open.fh});
	if (!r)
		r = fc_unlink(w->c, w->dir, other);
	if (!r)
		r = fc_forget(w->c, cr.entry.nodeid, 1);
	w->rounds++;
	return r;
}

static void *churn(void *arg)
{
	struct churn *w = arg;
	int64_t end = test_ms() + RUN_MS / 2;

	while (!w->error && test_ms() < end)
		w->error = churn_once(w);
	return NULL;
}

static void names_on_two_queues(void **state)
{
	struct test *t = *state;
	struct churn w[QUEUES] = {0};
	pthread_t thread[QUEUES];

	for (unsigned int q = 0; q < QUEUES; q++) {
		w[q] = (struct churn){.c = &t->vm.client[1 + q], .dir = t->dir, .id = q};
		assert_int_equal(pthread_create(&thread[q], NULL, churn, &w[q]), 0);
	}
	for (unsigned int q = 0; q < QUEUES; q++) {
		pthread_join(thread[q], NULL);
		OK(w[q].error);
		assert_true(w[q].rounds > 10);
	}
	assert_int_equal(unlinkat(t->vm.daemon.share, t->name, AT_REMOVEDIR), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(two_queues),
		TEST(names_on_two_queues),
	};
	static const struct vm_config cfg = {
		.queues = QUEUES, .client = {.depth = DEPTH, .max_data = LOAD_MAX_IO}};
	static const char *const args[] = {"--queues=2", NULL};
	static const struct spawn_config spawn = {.args = args};

	return TEST_RUN(tests, TEST_SPLIT | TEST_PACKED | TEST_INDIRECT, &cfg, &spawn);
}
