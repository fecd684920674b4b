/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every kind of request (kinds.c), and the process that serves is killed at every system call that it makes:
 * the guest gets the answer that it gets when nobody dies, what it asked for has happened once, and when it
 * has given everything back the next process holds what was held before. Not here: the window (test_dax.c).
 *
 * usage: test_deaths [-l] [KIND [N]]    -l: ahead of each system call, too, and in each configuration
 */
#include "scene.h"

#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST_CALLS 400 /* of one request */

#define FEW "--max-inodes=1024", "--max-handles=64", "--tune=close-batch=0"
static const char *const configs[][6] = {{FEW}, {FEW, "--inode-file-handles=never"}};

static struct {
	const char *kind;
	unsigned int nth;
	bool all;
} only;

static struct {
	struct vm vm;
	struct scene scene;
	struct inject inject;
	struct worker worker;
	unsigned int deaths;
} world;

/* The tracer dies with the one it traced: the next process gets one of its own. */
static void follow(struct scene *s)
{
	struct err err;

	inject_detach(&world.inject);
	if (kill(world.worker.pid, 0) || worker_await_next(&world.worker, 1))
		OK(worker_await_next(&world.worker, 5000));
	world.deaths++;
	if (inject_attach(&world.inject, world.worker.pid, &err))
		fail_msg("%s: %s", s->fault, err.text);
}

static void compare(struct scene *s, const struct counts *was, const struct counts *is)
{
	char before[128], after[128];

	if (!memcmp(was, is, sizeof(*was)))
		return;
	counts_print(was, before, sizeof(before));
	counts_print(is, after, sizeof(after));
	scene_mistake(s, "it leaves behind: %s; was: %s", after, before);
}

/* One request with a death at call @n, or none; @want: the undisturbed answer. False: there are fewer calls.
 */
static bool try_one(
	struct scene *s, const struct kind *k, enum inject_what what, unsigned int n, ssize_t *want)
{
	struct inject_plan plan = {.nth = n, .what = n ? what : INJECT_NOTHING};
	struct inject_report report;
	struct counts before, after;
	ssize_t r;

	counts_take(s->vm, &s->segment, &before);
	scene_build(s);
	if (k->prepare)
		k->prepare(s);
	inject_arm(s->inject, &plan);
	r = k->run(s);
	inject_disarm(s->inject, &report);
	snprintf(s->fault, sizeof(s->fault), "death %s call %u (%s)",
		what == INJECT_KILL ? "ahead of" : "after", n,
		n && n <= INJECT_CALLS ? inject_call_name(report.call[n - 1]) : "-");
	if (report.fired)
		follow(s);
	if (!n)
		*want = r;
	else if (r != *want)
		scene_mistake(s, "it answers %zd instead of %zd", r, *want);
	else if (r >= 0 && k->check)
		k->check(s, r);
	scene_strike(s);
	counts_take(s->vm, &s->segment, &after);
	if (report.fired)
		compare(s, &before, &after);
	return report.fired;
}

static void try_kind(void **state)
{
	const struct kind *k = *state;
	struct scene *s = &world.scene;
	unsigned int before = s->mistakes;
	ssize_t want;

	s->kind = k->name;
	try_one(s, k, INJECT_NOTHING, 0, &want);
	for (unsigned int n = only.nth ? only.nth : 1; n <= MOST_CALLS; n++)
		if (!try_one(s, k, INJECT_KILL_AFTER, n, &want) || only.nth)
			break;
	for (unsigned int n = 1; n <= MOST_CALLS && only.all; n++)
		if (!try_one(s, k, INJECT_KILL, n, &want))
			break;
	if (s->mistakes != before)
		fail_msg("%u mistakes", s->mistakes - before);
}

static int begin(const char *const *args)
{
	const struct vm_config cfg = {.features = VM_FEATURES, .init_flags = VM_INIT_FLAGS};
	const struct spawn_config spawn = {.args = args};
	int r = 0;

	if (vm_boot(&world.vm, &cfg, &spawn)) {
		fprintf(stderr, "boot: %s\n", world.vm.err.text);
		spawn_show_log(&world.vm.daemon);
		r = 1;
	} else if (!worker_find(&world.worker, &world.vm.daemon) ||
		   scene_start(&world.scene, &world.vm, &world.inject)) {
		r = 77;
	}
	if (r)
		vm_end(&world.vm);
	return r;
}

static int run(const char *const *args)
{
	static struct CMUnitTest tests[100];
	unsigned int n = 0;
	int r = begin(args);

	if (r)
		return r;
	for (unsigned int i = 0; i < nkinds; i++)
		if (!kinds[i].window && (!only.kind || !strcmp(only.kind, kinds[i].name)))
			tests[n++] = (struct CMUnitTest){
				kinds[i].name, try_kind, NULL, NULL, (void *)(uintptr_t)&kinds[i]};
	r = _cmocka_run_group_tests(args[3] ? args[3] : "usual", tests, n, NULL, NULL);
	scene_end(&world.scene);
	if (!vm_end(&world.vm))
		return r;
	fprintf(stderr, "end: %s\n", world.vm.err.text);
	return 1;
}

int main(int argc, char **argv)
{
	int opt, r;

	while ((opt = getopt(argc, argv, "l")) != -1)
		only.all |= opt == 'l';
	only.kind = optind < argc ? argv[optind] : NULL;
	only.nth = optind + 1 < argc ? (unsigned int)atoi(argv[optind + 1]) : 0;
	alarm(only.all ? 600 : 110);
	r = run(configs[0]);
	if (only.all && !r)
		r = run(configs[1]);
	printf("%u deaths\n", world.deaths);
	return r;
}
