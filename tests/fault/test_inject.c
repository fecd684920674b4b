/* SPDX-License-Identifier: BSD-3-Clause */
/* The layer that injects faults does what its header says: otherwise what the other tests show would be worth
 * nothing.
 */
#include "inject.h"
#include "test.h"

#include <sys/wait.h>

static void attach(struct inject *in, struct vm *vm)
{
	struct err err;

	if (inject_attach(in, spawn_server_pid(&vm->daemon), &err))
		fail_msg("%s", err.text);
}

static int getattr_under(
	struct inject *in, struct vm *vm, const struct inject_plan *plan, struct inject_report *report)
{
	struct fuse_attr_out out;
	int r;

	inject_arm(in, plan);
	r = fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &out);
	inject_disarm(in, report);
	return r;
}

static void works_untraced(struct vm *vm)
{
	struct fuse_attr_out out;

	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &out));
}

static void counts_and_fails(void **state)
{
	struct inject_report report;
	struct vm *vm = *state;
	struct inject in;

	test_boot(vm, NULL, NULL);
	attach(&in, vm);
	OK(getattr_under(&in, vm, &(struct inject_plan){0}, &report));
	assert_int_equal(report.count, 1);
	assert_false(report.fired);
	assert_string_equal(inject_call_name(report.call[0]), "statx");
	ERR(getattr_under(
		    &in, vm, &(struct inject_plan){.nth = 1, .what = INJECT_ERROR, .error = EIO}, &report),
		EIO);
	assert_true(report.fired);
	OK(getattr_under(
		&in, vm, &(struct inject_plan){.nth = 2, .what = INJECT_ERROR, .error = EIO}, &report));
	assert_false(report.fired);
	inject_detach(&in);
	works_untraced(vm);
}

static void delays(void **state)
{
	struct inject_report report;
	struct vm *vm = *state;
	struct inject in;
	int64_t start;

	test_boot(vm, NULL, NULL);
	attach(&in, vm);
	start = test_ms();
	OK(getattr_under(
		&in, vm, &(struct inject_plan){.nth = 1, .what = INJECT_DELAY, .delay_ms = 100}, &report));
	assert_true(report.fired);
	assert_true(test_ms() - start >= 99);
	inject_detach(&in);
}

/* The file system continues a short read, and the vector is the guest's own again. */
static void shortens(void **state)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct inject_report report;
	uint8_t data[8192], got[8192];
	struct vm *vm = *state;
	struct inject in;
	unsigned int calls;

	test_boot(vm, NULL, NULL);
	test_pattern(data, sizeof(data), 1);
	host_write_file(vm->daemon.share, "f", data, sizeof(data));
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "f", &e));
	OK(fc_open(&vm->client[1], e.nodeid, O_RDONLY, &o));
	attach(&in, vm);
	inject_arm(&in, &(struct inject_plan){0});
	LEN(fc_read(&vm->client[1], (struct fc_file){e.nodeid, o.fh}, got, sizeof(got), 0), sizeof(got));
	inject_disarm(&in, &report);
	calls = report.count;
	memset(got, 0, sizeof(got));
	inject_arm(&in, &(struct inject_plan){.nth = 1, .what = INJECT_SHORT});
	LEN(fc_read(&vm->client[1], (struct fc_file){e.nodeid, o.fh}, got, sizeof(got), 0), sizeof(got));
	inject_disarm(&in, &report);
	assert_true(report.fired);
	assert_int_equal(report.count, calls + 1);
	assert_memory_equal(got, data, sizeof(data));
	inject_detach(&in);
}

/* Which call of a MKDIR is the mkdirat(2). A thread's first change makes some more, ahead of it. */
static unsigned int position_of_mkdirat(struct inject *in, struct vm *vm)
{
	struct inject_report report;
	struct fuse_entry_out e;

	OK(fc_mkdir(&vm->client[1], FUSE_ROOT_ID, "first", 0755, &e));
	inject_arm(in, &(struct inject_plan){0});
	OK(fc_mkdir(&vm->client[1], FUSE_ROOT_ID, "second", 0755, &e));
	inject_disarm(in, &report);
	for (unsigned int i = 0; i < report.count; i++)
		if (!strcmp(inject_call_name(report.call[i]), "mkdirat"))
			return i + 1;
	fail_msg("a MKDIR makes no mkdirat(2)");
	return 0;
}

static void expect_killed(struct vm *vm, enum inject_what what, bool made)
{
	struct inject_report report;
	struct inject_plan plan = {.what = what};
	struct fuse_entry_out e;
	struct inject in;
	int status;

	test_boot(vm, &(struct vm_config){.client.timeout_ms = 500}, (const char *[]){"--no-recover", NULL});
	attach(&in, vm);
	plan.nth = position_of_mkdirat(&in, vm);
	inject_arm(&in, &plan);
	ERR(fc_mkdir(&vm->client[1], FUSE_ROOT_ID, "third", 0755, &e), ETIMEDOUT);
	inject_disarm(&in, &report);
	assert_true(report.fired);
	inject_detach(&in);
	OK(spawn_wait(&vm->daemon, 5000, &status));
	assert_int_equal(host_exists(vm->daemon.share, "third"), made);
	memset(vm->started, 0, sizeof(vm->started));
}

static void kills_ahead(void **state)
{
	expect_killed(*state, INJECT_KILL, false);
}

static void kills_afterwards(void **state)
{
	expect_killed(*state, INJECT_KILL_AFTER, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(counts_and_fails),
		TEST_OWN(delays),
		TEST_OWN(shortens),
		TEST_OWN(kills_ahead),
		TEST_OWN(kills_afterwards),
	};
	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
