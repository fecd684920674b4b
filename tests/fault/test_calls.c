/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many system calls the daemon's file system makes for a request, or for what a guest's system call
 * becomes: exactly, one request at a time, so that a change that adds one is seen. What batches save shows
 * with requests in flight only (tests/bench/loads.sh).
 */
#include "inject.h"
#include "test.h"

#define FILES 20

struct counted {
	struct vm *vm;
	struct fuse_client *c;
	struct inject in;
	char first[512]; /* the names of the calls, for messages */
};

static void begin(struct counted *k, struct vm *vm, const char *const *args)
{
	struct err err;

	test_boot(vm, NULL, args);
	*k = (struct counted){.vm = vm, .c = &vm->client[1]};
	for (unsigned int i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, "data", 4);
	}
	if (inject_attach(&k->in, spawn_server_pid(&vm->daemon), &err))
		fail_msg("%s", err.text);
}

static void count_from_here(struct counted *k)
{
	inject_arm(&k->in, &(struct inject_plan){0});
}

static void expect_calls(struct counted *k, const char *what, unsigned int want)
{
	struct inject_report r;
	size_t n = 0;

	inject_disarm(&k->in, &r);
	for (unsigned int i = 0; i < MIN(r.count, INJECT_CALLS) && n < sizeof(k->first) - 32; i++)
		n += (size_t)snprintf(k->first + n, sizeof(k->first) - n, " %s", inject_call_name(r.call[i]));
	if (r.count != want)
		fail_msg("%s: %u system calls, not %u:%s", what, r.count, want, k->first);
}

static uint64_t look_up(struct counted *k, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(k->c, FUSE_ROOT_ID, name, &e));
	return e.nodeid;
}

static void lookups(void **state)
{
	struct fuse_entry_out e;
	struct counted k;

	begin(&k, *state, NULL);
	look_up(&k, "f0");
	count_from_here(&k);
	look_up(&k, "f1");
	expect_calls(&k, "a new name", 2);
	look_up(&k, "f1");
	count_from_here(&k);
	look_up(&k, "f0");
	expect_calls(&k, "a known name", 1);
	count_from_here(&k);
	look_up(&k, "f2");
	expect_calls(&k, "a new name where a known one was expected", 3);
	count_from_here(&k);
	ERR(fc_lookup(k.c, FUSE_ROOT_ID, "none", &e), ENOENT);
	expect_calls(&k, "a name that is not there", 1);
	inject_detach(&k.in);
}

static void unguessed(void **state)
{
	static const char *const args[] = {"--tune=lookup-guess=0", NULL};
	struct counted k;

	begin(&k, *state, args);
	look_up(&k, "f0");
	count_from_here(&k);
	look_up(&k, "f1");
	expect_calls(&k, "a new name", 3);
	inject_detach(&k.in);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(lookups),
		TEST_OWN(unguessed),
	};
	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
