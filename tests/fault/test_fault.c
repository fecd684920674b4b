/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every kind of request (kinds.c) with every fault at every system call that it makes. Whatever happens: the
 * request is answered in time, by success that is one or by the error that there was; the next requests work;
 * and when the guest has given everything back, the daemon holds what it held before.
 *
 * usage: test_fault [-l] [KIND [N [FAULT]]]    -l: all faults with all configurations; KIND: "lookup", N:
 * only the call with that number, FAULT: by its name in the table below.
 */
#include "scene.h"

#include <stdlib.h>
#include <unistd.h>

#define MOST_CALLS 400 /* of one request */
#define CACHED_FDS 16  /* the crowded daemon has some or all of them */
#define STRING_(x) #x
#define STRING(x)  STRING_(x)

struct fault {
	const char *name;
	struct inject_plan plan;
	enum { EVERYWHERE, USUALLY, RARELY } when; /* with each configuration, the first, or with -l only */
};

#define ANSWERS(e, often)                                      \
	{                                                      \
#e, {.what = INJECT_ERROR, .error = e }, often \
	}
static const struct fault faults[] = {
	ANSWERS(EINTR, USUALLY),
	ANSWERS(EIO, EVERYWHERE),
	ANSWERS(ENOMEM, USUALLY),
	ANSWERS(EMFILE, USUALLY),
	ANSWERS(ENOSPC, USUALLY),
	ANSWERS(ENFILE, RARELY),
	ANSWERS(EACCES, RARELY),
	ANSWERS(EAGAIN, RARELY),
	ANSWERS(EDQUOT, RARELY),
	ANSWERS(EROFS, RARELY),
	ANSWERS(ESTALE, RARELY),
	{"EINTR-3", {.what = INJECT_ERROR, .error = EINTR, .times = 3}, RARELY},
	{"EMFILE-all", {.what = INJECT_ERROR, .error = EMFILE, .times = MOST_CALLS}, EVERYWHERE},
	{"short", {.what = INJECT_SHORT}, USUALLY},
	{"short-all", {.what = INJECT_SHORT, .times = MOST_CALLS}, RARELY},
	{"late", {.what = INJECT_DELAY, .delay_ms = 2}, USUALLY},
	{"memory", {.scope = INJECT_MEMORY, .what = INJECT_ERROR, .error = ENOMEM}, EVERYWHERE},
	{"threads", {.scope = INJECT_MEMORY, .what = INJECT_ERROR, .error = EAGAIN}, RARELY},
};

/* Options that lead through other code. */
struct config {
	const char *name;
	const char *args[8];
	uint64_t init_flags; /* besides the usual ones */
	bool crowded;
	const char *xattr_prefix;
	uint64_t window;
};

#define WINDOW_PROTOCOL                                                                 \
	((VM_PROTOCOL & ~VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)) | VU_BIT(VU_P_BACKEND_REQ) | \
		VU_BIT(VU_P_BACKEND_SEND_FD) | VU_BIT(VU_P_SHMEM))

/* What a request leaves is closed with it, not between the system calls of a later one. */
#define FEW "--max-inodes=1024", "--max-handles=64", "--tune=close-batch=0"
static const struct config configs[] = {
	{"usual", {FEW}, 0, false},
	{"few descriptors", {FEW, "--max-cached-fds=" STRING(CACHED_FDS)}, 0, true},
	{"no file handles", {FEW, "--inode-file-handles=never"}, 0, false},
	{"attributes by other names", {FEW, "--xattrmap=:map::user.guest.:", "--cache=always"},
		FUSE_WRITEBACK_CACHE | FUSE_HANDLE_KILLPRIV_V2, false, "user.guest."},
	{"a window", {FEW, "--dax-window=4M", "--dax-max-mappings=0", "--dax=always"},
		FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX, .window = 2 * SCENE_RANGE},
	{"access lists", {FEW, "--posix-acl"}, FUSE_POSIX_ACL | FUSE_DONT_MASK, false},
};

static struct {
	const char *kind, *fault;
	unsigned int nth;
	bool all;
} only;

static struct {
	struct vm vm;
	struct scene scene;
	struct inject inject;
	const struct config *config;
	bool usable;
	unsigned int tried;
} world;

/* Errors of the host that the guest is told by another name. */
static bool is_answer(const struct kind *k, ssize_t r, int injected)
{
	if (r >= 0)
		return true;
	if (r == -EINTR)
		return k->waits;
	if (r == -ETXTBSY) /* a daemon that cannot find out who maps a file leaves it as it is */
		return k->window;
	return r == -injected || (r == -ENFILE && injected == EMFILE);
}

static void judge(struct scene *s, const struct kind *k, const struct fault *f, ssize_t r)
{
	if (r == -ETIMEDOUT || r == -EPROTO) {
		scene_mistake(s, "no answer, or a malformed one (%s)", strerrorname_np((int)-r));
		world.usable = false;
	} else if (!is_answer(k, r, f->plan.what == INJECT_ERROR ? f->plan.error : 0)) {
		scene_mistake(s, "it answers %s", strerrorname_np((int)-r));
	} else if (r >= 0 && k->check) {
		k->check(s, r);
	}
}

static void expect_next(struct scene *s)
{
	struct fuse_attr_out a;
	struct fuse_entry_out e;

	if (fc_getattr(s->c, FUSE_ROOT_ID, 0, &a) || fc_lookup(s->c, FUSE_ROOT_ID, s->name, &e)) {
		scene_mistake(s, "the next requests fail");
		world.usable = false;
		return;
	}
	scene_learn(s, e.nodeid);
}

static void compare(struct scene *s, const struct counts *was, const struct counts *is)
{
	struct counts same = *was;
	char before[128], after[128];

	if (world.config->crowded && is->fds <= was->fds + CACHED_FDS)
		same.fds = is->fds;
	if (!memcmp(&same, is, sizeof(same)))
		return;
	counts_print(was, before, sizeof(before));
	counts_print(is, after, sizeof(after));
	scene_mistake(s, "it leaves behind: %s; was: %s", after, before);
}

/* One request under one fault at call @n. False: it made less calls. */
static bool try_one(struct scene *s, const struct kind *k, const struct fault *f, unsigned int n)
{
	struct counts before, after;
	struct inject_plan plan = f->plan;
	struct inject_report report;
	ssize_t r;

	plan.nth = n;
	counts_take(s->vm, &s->segment, &before);
	scene_build(s);
	if (k->prepare)
		k->prepare(s);
	inject_arm(s->inject, &plan);
	r = k->run(s);
	inject_disarm(s->inject, &report);
	snprintf(s->fault, sizeof(s->fault), "%s at call %u (%s)", f->name, n,
		n && n <= MIN(report.count, (unsigned int)INJECT_CALLS) ? inject_call_name(report.call[n - 1])
									: "-");
	if (report.fired || !n) {
		world.tried += report.fired;
		judge(s, k, f, r);
	}
	if (world.usable)
		expect_next(s);
	if (!world.usable)
		return false;
	scene_strike(s);
	counts_take(s->vm, &s->segment, &after);
	if (n) /* the first time makes what stays */
		compare(s, &before, &after);
	return n <= report.count;
}

static bool is_wanted(const struct fault *f)
{
	/* The runtime of a sanitizer ends the process if it gets no memory. */
	if (TEST_SANITIZED && f->plan.scope == INJECT_MEMORY)
		return false;
	if (only.fault)
		return !strcmp(only.fault, f->name);
	if (f->when == USUALLY)
		return only.all || world.config == configs || world.config->window;
	return only.all || f->when == EVERYWHERE;
}

static void try_kind(void **state)
{
	static const struct fault none = {"nothing", {.what = INJECT_NOTHING}, RARELY};
	const struct kind *k = *state;
	struct scene *s = &world.scene;
	unsigned int before = s->mistakes;

	if (!world.usable)
		fail_msg("the daemon is not usable any more");
	s->kind = k->name;
	try_one(s, k, &none, 0);
	for (unsigned int i = 0; i < ARRAY_LEN(faults); i++) {
		const struct fault *f = &faults[i];

		if (!is_wanted(f))
			continue;
		for (unsigned int n = only.nth ? only.nth : 1; n <= MOST_CALLS; n++)
			if (!try_one(s, k, f, n) || only.nth)
				break;
	}
	if (s->mistakes != before)
		fail_msg("%u mistakes", s->mistakes - before);
}

static int begin(const struct config *c)
{
	const struct vm_config cfg = {.features = VM_FEATURES,
		.protocol = c->window ? WINDOW_PROTOCOL : 0,
		.init_flags = VM_INIT_FLAGS | c->init_flags,
		.window = c->window,
		.quiet_window = true}; /* its messages are no part of the request that faults are for */
	const struct spawn_config spawn = {.args = c->args};

	world.config = c;
	if (vm_boot(&world.vm, &cfg, &spawn)) {
		fprintf(stderr, "boot: %s\n", world.vm.err.text);
		spawn_show_log(&world.vm.daemon);
		vm_end(&world.vm);
		return 1;
	}
	if (scene_start(&world.scene, &world.vm, &world.inject)) {
		vm_end(&world.vm);
		return 77;
	}
	if (c->xattr_prefix)
		world.scene.xattr_prefix = c->xattr_prefix;
	if (c->crowded)
		scene_crowd(&world.scene);
	world.usable = true;
	return 0;
}

static int end(void)
{
	scene_end(&world.scene);
	if (!vm_end(&world.vm))
		return 0;
	fprintf(stderr, "end: %s\n", world.vm.err.text);
	return 1;
}

static int run(const struct config *c)
{
	static struct CMUnitTest tests[100];
	unsigned int n = 0;
	int r = begin(c);

	if (r)
		return r;
	for (unsigned int i = 0; i < nkinds; i++)
		if (kinds[i].window == !!c->window && (!only.kind || !strcmp(only.kind, kinds[i].name)))
			tests[n++] = (struct CMUnitTest){
				kinds[i].name, try_kind, NULL, NULL, (void *)(uintptr_t)&kinds[i]};
	r = _cmocka_run_group_tests(c->name, tests, n, NULL, NULL);
	return end() || r;
}

int main(int argc, char **argv)
{
	int opt, r = 0;

	while ((opt = getopt(argc, argv, "l")) != -1)
		only.all |= opt == 'l';
	only.kind = optind < argc ? argv[optind] : NULL;
	only.nth = optind + 1 < argc ? (unsigned int)atoi(argv[optind + 1]) : 0;
	only.fault = optind + 2 < argc ? argv[optind + 2] : NULL;
	alarm(only.all ? 1200 : 120);
	for (unsigned int i = 0; i < ARRAY_LEN(configs) && r != 77; i++)
		r |= run(&configs[i]);
	printf("%u faults\n", world.tried);
	return r;
}
