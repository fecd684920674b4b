/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory whose file is truncated: an empty page and a mark; for other addresses, death as ever. */
#include "base/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE  4096u
#define PAGES 8u

static int fd;
static char *p;

static char look(size_t at)
{
	return *(volatile char *)(p + at);
}

static int begin(void **state)
{
	(void)state;
	fd = memfd_create("guard", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, PAGES * PAGE), 0);
	p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	memset(p, 'x', PAGES * PAGE);
	return 0;
}

/* In the test itself: cmocka handles SIGBUS around it. */
static void set_up(void)
{
	struct err err;

	assert_int_equal(guard_setup(&err), 0);
}

static int end(void **state)
{
	(void)state;
	munmap(p, PAGES * PAGE);
	return close(fd);
}

static bool told(void)
{
	uint64_t count;

	return read(guard_fd(), &count, sizeof(count)) == sizeof(count);
}

static void gone_is_empty(void **state)
{
	int g = guard_add(p, PAGES * PAGE, PAGE);

	(void)state;
	set_up();
	assert_true(g >= 0);
	assert_int_equal(look(0), 'x');
	assert_false(guard_hit(g));
	assert_false(told());
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(look(5 * PAGE + 7), 0);
	p[5 * PAGE] = 'y';
	assert_int_equal(look(5 * PAGE), 'y');
	assert_int_equal(look(0), 'x');
	assert_true(guard_hit(g));
	assert_true(told());
	assert_false(told());
	guard_drop(g);
}

/* Only the page that was touched: beside it a system call still finds nothing. */
static void calls_say_so(void **state)
{
	struct iovec v = {p + 10, 3 * PAGE};
	int g = guard_add(p, PAGES * PAGE, PAGE);
	int out[2];

	(void)state;
	set_up();
	assert_int_equal(pipe(out), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(look(0), 0);
	assert_int_equal(write(out[1], p + PAGE, 1), -1);
	assert_int_equal(errno, EFAULT);
	assert_true(told());
	guard_touch(&v, 1);
	assert_true(told());
	assert_int_equal(write(out[1], p + 3 * PAGE, 1), 1);
	assert_int_equal(write(out[1], p + 4 * PAGE, 1), -1);
	guard_drop(g);
	close(out[0]);
	close(out[1]);
}

static int signal_of(void (*die)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		die();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch_elsewhere(void)
{
	int g = guard_add(p, PAGE, PAGE);

	guard_touch(&(struct iovec){p, 1}, g >= 0);
	look(4 * PAGE);
}

static void touch_dropped(void)
{
	guard_drop(guard_add(p, PAGES * PAGE, PAGE));
	look(0);
}

static void be_sent_one(void)
{
	guard_add(p, PAGES * PAGE, PAGE);
	kill(getpid(), SIGBUS);
}

static void elsewhere_is_fatal(void **state)
{
	(void)state;
	set_up();
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(signal_of(touch_elsewhere), SIGBUS);
	assert_int_equal(signal_of(touch_dropped), SIGBUS);
	assert_int_equal(signal_of(be_sent_one), SIGBUS);
}

static void numbers_run_out(void **state)
{
	(void)state;
	for (int i = 0; i < GUARD_MAX; i++)
		assert_int_equal(guard_add(p, PAGE, PAGE), i);
	assert_int_equal(guard_add(p, PAGE, PAGE), -ENOSPC);
	guard_drop(17);
	assert_int_equal(guard_add(p, PAGE, PAGE), 17);
	for (int i = 0; i < GUARD_MAX; i++)
		guard_drop(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gone_is_empty, begin, end),
		cmocka_unit_test_setup_teardown(calls_say_so, begin, end),
		cmocka_unit_test_setup_teardown(elsewhere_is_fatal, begin, end),
		cmocka_unit_test_setup_teardown(numbers_run_out, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
