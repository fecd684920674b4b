/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that serves has scribbled over the state that it shares with its heir, and dies. The heir goes on
 * with what it can believe, or refuses all of it and the daemon ends; it does not die of it, nor hang.
 *
 * usage: test_damage [SEED [CASE]]
 */
#include "counts.h"
#include "test.h"

#include "base/segment.h"
#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE	 16384u /* what there is of a section is at its begin */
#define SHORT_MS 50	/* for what may never be answered */

static const char *const sections[SEGMENT_SECTIONS] = {
	[SEGMENT_DEVICE] = "the connection",
	[SEGMENT_TRACK] = "what is in flight",
	[SEGMENT_INTENTS] = "what requests have done",
	[SEGMENT_CONN] = "the session",
	[SEGMENT_MOUNTS] = "mounts",
	[SEGMENT_INODES] = "inodes",
	[SEGMENT_HANDLES] = "handles",
	[SEGMENT_LOCK_OWNERS] = "lock owners",
	[SEGMENT_LOCK_RANGES] = "lock ranges",
};
enum pattern { ZEROS, ONES, SOME, ONE, PATTERNS };
static const char *const patterns[PATTERNS] = {
	"zeros", "all ones", "some words are others", "one bit is another"};

static unsigned int first_seed;

struct one {
	char name[80];
	enum segment_section section;
	enum pattern pattern;
};

static void scribble(uint64_t *at, size_t words, enum pattern p, unsigned int seed)
{
	uint32_t random[64];

	test_pattern(random, sizeof(random), seed);
	switch (p) {
	case ZEROS:
		memset(at, 0, 8 * words);
		break;
	case ONES:
		memset(at, 0xff, 8 * words);
		break;
	case SOME:
		for (unsigned int i = 0; i + 1 < ARRAY_LEN(random); i += 2)
			at[random[i] % words] ^= random[i + 1] & (i % 4 ? ~0u : 0xff);
		break;
	default:
		at[random[0] % MIN(words, 64)] ^= 1ull << random[1] % 64;
		break;
	}
}

/* To write, of the daemon that serves. */
static void damage(struct vm *vm, const struct one *o)
{
	struct segment seen, seg = {0};
	size_t len, at;
	char path[64];
	int fd = -1;

	OK(counts_open(&seen, vm));
	for (unsigned int i = 0; i < 4096 && fd < 0; i++) {
		char target[64] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%u", spawn_server_pid(&vm->daemon), i);
		if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, "memfd:colofs-state"))
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	assert_true(fd >= 0);
	seg.base = mmap(NULL, seen.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	assert_true(seg.base != MAP_FAILED);
	at = (size_t)((char *)segment_at(&seen, o->section) - (char *)seen.base);
	len = MIN(PIECE, segment_count(&seen, o->section) * segment_record_size(&seen, o->section));
	scribble((void *)((char *)seg.base + at), len / 8, o->pattern,
		first_seed + o->section * PATTERNS + o->pattern);
	munmap(seg.base, seen.len);
	segment_close(&seen);
}

/* Files, handles, locks and a request that waits. */
static void make_state(struct vm *vm, struct fc_op *op)
{
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	static struct fuse_lk_in lk[2];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fc_created made;
	char name[16];

	for (unsigned int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		OK(fc_create(c, FUSE_ROOT_ID, name, &in, &made));
		LEN(fc_write(c, (struct fc_file){made.entry.nodeid, made.open.fh}, name, 2, 0), 2);
	}
	OK(fc_mkdir(c, FUSE_ROOT_ID, "d", 0755, &e));
	OK(fc_opendir(c, e.nodeid, &o));
	for (unsigned int i = 0; i < 2; i++)
		lk[i] = (struct fuse_lk_in){
			.fh = made.open.fh, .owner = 1 + i, .lk = {.end = 9, .type = F_WRLCK}};
	OK(fc_setlk(c, made.entry.nodeid, &lk[0]));
	OK(fc_setlkw_start(c, made.entry.nodeid, &lk[1], op));
	OK(fc_getattr(c, FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
}

/* By a signal that was not ours. */
static bool died_of_it(const struct vm *vm)
{
	char line[256];
	FILE *f = fopen(vm->daemon.log_path, "re");
	bool did = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		did |= strstr(line, "was ended by signal") && !strstr(line, "signal 9");
	fclose(f);
	return did;
}

/* Whoever asked first has its status: the log tells of a signal. */
static bool has_ended(struct vm *vm)
{
	int status;

	return vm->daemon.pid <= 0 || !spawn_wait(&vm->daemon, 0, &status);
}

static void next_front_end(struct vm *vm)
{
	struct fuse_attr_out a;

	for (int64_t end = test_ms() + TEST_PATIENCE_MS; !has_ended(vm);) {
		if (test_ms() >= end) {
			spawn_show_log(&vm->daemon);
			fail_msg("the next front-end is not served");
		}
		if (vm_connect(vm) || vm_make_memory(vm) || vm_make_queues(vm) || vm_start(vm) ||
			vm_mount(vm)) {
			vm_disconnect(vm);
			continue;
		}
		OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
		return;
	}
}

static void run_case(void **state)
{
	const struct one *o = *state;
	struct worker w;
	struct fc_op op;
	struct vm vm;

	vm_configure(&vm, &(struct vm_config){0});
	test_boot(&vm, NULL, NULL);
	if (!worker_find(&w, &vm.daemon))
		skip();
	make_state(&vm, &op);
	damage(&vm, o);
	assert_int_equal(kill(w.pid, SIGKILL), 0);
	vm.client[1].cfg.timeout_ms = SHORT_MS;
	fc_getattr(&vm.client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0});
	vm_disconnect(&vm);
	next_front_end(&vm);
	if (died_of_it(&vm)) {
		spawn_show_log(&vm.daemon);
		fail_msg("the heir died of it");
	}
	if (vm.daemon.pid)
		test_end(&vm);
	else
		vm_end(&vm);
}

int main(int argc, char **argv)
{
	static struct one cases[SEGMENT_SECTIONS * PATTERNS];
	static struct CMUnitTest tests[SEGMENT_SECTIONS * PATTERNS];
	unsigned int n = 0;

	for (unsigned int s = 0; s < SEGMENT_SECTIONS; s++)
		for (unsigned int p = 0; p < PATTERNS && sections[s]; p++, n++) {
			cases[n].section = s;
			cases[n].pattern = p;
			snprintf(cases[n].name, sizeof(cases[n].name), "%s: %s", sections[s], patterns[p]);
			tests[n] = (struct CMUnitTest){cases[n].name, run_case, NULL, NULL, &cases[n]};
		}
	if (argc > 1)
		first_seed = (unsigned int)atoi(argv[1]);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	alarm(TEST_MOST_SECONDS);
	return _cmocka_run_group_tests("damage", tests, n, NULL, NULL);
}
