/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four front-ends at work at once; the header says on what. At each rest they have given everything back:
 * what their daemons hold then must not grow after a quarter of the time, in which caches and pools fill.
 *
 * usage: soak [SECONDS]
 */
#include "soak.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURST_MS 1000
#define SLACK_KIB \
	2048 /* of memory: the allocator's and threads' stacks, of which each touches more or less */

/* Tables are small: each new inode touches another page of a large one, which looks like a leak. */
#define SMALL "--max-inodes=2048"
static const struct end {
	bool packed, indirect;
	const char *args[6];
} ends[SOAK_ENDS] = {
	{false, false, {SMALL, "--cache=auto"}},
	{true, false, {SMALL, "--cache=never", "--inode-file-handles=never"}},
	{false, true, {SMALL, "--cache=always", "--max-cached-fds=32"}},
	{true, true, {SMALL, "--cache=auto", "--thread-pool-size=0"}},
};

static struct {
	char dir[256];
	unsigned int seconds;
	struct soak_tally *tally; /* SOAK_ENDS of them */
	unsigned int end;	  /* which one this process is */
} world = {.seconds = 30};

static uint64_t open_common(struct soak *s, const char *name, uint32_t flags, struct fc_file *f)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	OK(fc_lookup(s->c, FUSE_ROOT_ID, name, &e));
	if (f) {
		OK(fc_open(s->c, e.nodeid, flags, &o));
		*f = (struct fc_file){e.nodeid, o.fh};
	}
	return e.nodeid;
}

static void arrive(struct soak *s)
{
	char name[16];

	snprintf(name, sizeof(name), "end-%u", s->id);
	s->c = &s->vm.client[1];
	s->dir = open_common(s, name, 0, NULL);
	open_common(s, "counter", O_RDWR, &s->counter);
	open_common(s, "log", O_WRONLY | O_APPEND, &s->log);
}

/* Nothing is open any more, and nothing known but the root. */
static void tidy(struct soak *s)
{
	OK(fc_release(s->c, s->counter));
	OK(fc_release(s->c, s->log));
	OK(fc_forget(s->c, s->counter.node, 1));
	OK(fc_forget(s->c, s->log.node, 1));
	OK(fc_forget(s->c, s->dir, 1));
}

/* As a guest that is killed: with files open, names known, and the lock that all others want. */
static void vanish(struct soak *s)
{
	soak_take_lock(s);
	vm_disconnect(&s->vm);
	test_come_back(&s->vm);
	s->c = &s->vm.client[1];
	s->tally->returns++;
}

static void burst(struct soak *s, struct load *l, int64_t end_ms)
{
	pthread_t thread;

	arrive(s);
	l->c = &s->vm.client[2];
	l->end_ms = MIN(end_ms, test_ms() + BURST_MS);
	load_open(l, s->dir);
	assert_int_equal(pthread_create(&thread, NULL, load_run, l), 0);
	while (test_ms() < l->end_ms)
		soak_step(s);
	pthread_join(thread, NULL);
	load_expect(l, s->host);
	s->tally->requests = l->done;
	if (!soak_random(s, 4)) {
		vanish(s);
		return;
	}
	load_close(l);
	tidy(s);
}

/* What was given back may take a moment to go: descriptors are closed when a queue is idle. */
static bool holds_no_more(
	struct soak *s, const struct segment *seg, const struct counts *most, struct counts *is)
{
	for (unsigned int i = 0; i < 200; i++) {
		counts_take(&s->vm, seg, is);
		if (is->fds <= most->fds && is->inodes <= most->inodes && is->handles <= most->handles &&
			is->lock_owners <= most->lock_owners && is->lock_ranges <= most->lock_ranges)
			return true;
		usleep(10000);
	}
	return false;
}

static void expect_no_more(struct soak *s, const struct segment *seg, const struct counts *most)
{
	char before[128], after[128];
	struct counts is;

	if (holds_no_more(s, seg, most, &is))
		return;
	counts_print(most, before, sizeof(before));
	counts_print(&is, after, sizeof(after));
	fail_msg("end %u: the daemon holds more and more: %s; at first: %s", s->id, after, before);
}

static void expect_flat_memory(struct soak *s)
{
	s->tally->end = counts_memory(&s->vm, false);
	if (!TEST_SANITIZED && s->tally->end > s->tally->warm + SLACK_KIB)
		fail_msg("end %u: the daemon's memory grew from %lu KiB to %lu", s->id, s->tally->warm,
			s->tally->end);
}

static void work(struct soak *s)
{
	static struct load_lane lane[SOAK_LANES];
	struct load l = {.lane = lane, .lanes = SOAK_LANES, .name = "load", .random = s->id + 1};
	int64_t start = test_ms(), span = (int64_t)world.seconds * 1000;
	struct segment seg;
	struct counts most;

	load_make(&l, s->host);
	OK(counts_open(&seg, &s->vm));
	counts_take(&s->vm, &seg, &most);
	while (test_ms() < start + span) {
		burst(s, &l, start + span);
		expect_no_more(s, &seg, &most);
		if (!s->tally->warm && test_ms() >= start + span / 4)
			s->tally->warm = counts_memory(&s->vm, false);
	}
	s->tally->fds = most.fds;
	expect_flat_memory(s);
	segment_close(&seg);
}

static void one_end(void **state)
{
	struct soak s = {.id = world.end, .tally = &world.tally[world.end], .random = world.end + 12345};
	const struct end *e = &ends[world.end];
	struct spawn_config spawn = {.share = world.dir, .args = e->args};
	struct vm_config cfg = {.queues = 2, .features = VM_FEATURES, .client = {.indirect = e->indirect}};
	char path[sizeof(world.dir) + 16];

	(void)state;
	cfg.client.depth = SOAK_LANES;
	cfg.client.timeout_ms = 60000; /* so long it may wait for the lock */
	cfg.client.layout = e->packed == e->indirect ? FC_PAGES : FC_SHRED;
	cfg.features |= e->packed ? VU_BIT(VU_F_RING_PACKED) : 0;
	snprintf(path, sizeof(path), "%s/end-%u", world.dir, s.id);
	assert_int_equal(mkdir(path, 0755), 0);
	s.host = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	test_boot_spawn(&s.vm, &cfg, &spawn);
	work(&s);
	close(s.host);
	test_end(&s.vm);
}

static _Noreturn void run_end(unsigned int i)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(one_end)};

	world.end = i;
	exit(cmocka_run_group_tests_name(ends[i].args[1], tests, NULL, NULL));
}

static void run_ends(void)
{
	pid_t pid[SOAK_ENDS];
	int status = 0, bad = 0;

	for (unsigned int i = 0; i < SOAK_ENDS; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (!pid[i])
			run_end(i);
	}
	for (unsigned int i = 0; i < SOAK_ENDS; i++)
		if (waitpid(pid[i], &status, 0) != pid[i] || status)
			bad++;
	assert_int_equal(bad, 0);
}

static void expect_counter(void)
{
	char path[sizeof(world.dir) + 16];
	uint64_t want = 0, n = 0;
	autofd int fd = -1;

	for (unsigned int i = 0; i < SOAK_ENDS; i++)
		want += world.tally[i].counted;
	snprintf(path, sizeof(path), "%s/counter", world.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, want);
}

/* All records of all, each front-end's own in their order. */
static void expect_log(void)
{
	uint64_t next[SOAK_ENDS] = {0};
	char path[sizeof(world.dir) + 16], line[SOAK_RECORD + 2];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", world.dir);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *rest;
		unsigned long id = strtoul(line, &rest, 10);

		assert_int_equal(strlen(line), SOAK_RECORD);
		assert_in_range(id, 0, SOAK_ENDS - 1);
		assert_int_equal(strtoull(rest, NULL, 10), next[id]++);
	}
	fclose(f);
	for (unsigned int i = 0; i < SOAK_ENDS; i++)
		assert_int_equal(next[i], world.tally[i].appended);
}

static void report(void)
{
	for (unsigned int i = 0; i < SOAK_ENDS; i++) {
		const struct soak_tally *t = &world.tally[i];

		printf("end %u: %llu steps beside %llu requests of the load, came back %llu times, %lu KiB, "
		       "then %lu, %u descriptors\n",
			i, (unsigned long long)t->steps, (unsigned long long)t->requests,
			(unsigned long long)t->returns, t->warm, t->end, t->fds);
	}
}

static int make_share(void **state)
{
	static const uint64_t zero;
	const char *tmp = getenv("TMPDIR");
	int dir;

	(void)state;
	snprintf(world.dir, sizeof(world.dir), "%s/colofs-soak-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(world.dir))
		return -1;
	dir = open(world.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host_write_file(dir, "counter", &zero, sizeof(zero));
	host_write_file(dir, "log", "", 0);
	return close(dir);
}

static int remove_share(void **state)
{
	(void)state;
	spawn_remove_tree(world.dir);
	return 0;
}

static void four_at_once(void **state)
{
	(void)state;
	run_ends();
	report();
	expect_counter();
	expect_log();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(four_at_once)};

	if (argc > 1)
		world.seconds = (unsigned int)atoi(argv[1]);
	if (!world.seconds) {
		fprintf(stderr, "usage: soak [SECONDS]\n");
		return 2;
	}
	alarm(world.seconds * 2 + 60);
	world.tally = mmap(NULL, SOAK_ENDS * sizeof(*world.tally), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world.tally == MAP_FAILED)
		return 2;
	return cmocka_run_group_tests_name("soak", tests, make_share, remove_share);
}
