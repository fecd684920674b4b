/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors that are passed on, and those that a process has. */
#include "base/fdmap.h"
#include "base/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
	int a, b;
};

static struct ends open_ends(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	return (struct ends){pair[0], pair[1]};
}

static void test_passed(void **state)
{
	struct ends s = open_ends();
	int out[] = {0, 1, 2}, in[4];
	uint32_t n = 4;
	char text[8] = "";

	(void)state;
	assert_int_equal(fdpass_send(s.a, "three", 5, out, 3, 0), 0);
	assert_int_equal(fdpass_receive(s.b, text, sizeof(text), in, &n, 0), 5);
	assert_string_equal(text, "three");
	assert_int_equal(n, 3);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(fcntl(in[i], F_GETFD), FD_CLOEXEC);
		close(in[i]);
	}
	n = 4;
	assert_int_equal(fdpass_send(s.a, "none", 4, NULL, 0, 0), 0);
	assert_int_equal(fdpass_receive(s.b, text, sizeof(text), in, &n, 0), 4);
	assert_int_equal(n, 0);
	n = 4;
	assert_int_equal(fdpass_receive(s.b, text, sizeof(text), in, &n, MSG_DONTWAIT), -EAGAIN);
	close(s.a);
	n = 4;
	assert_int_equal(fdpass_receive(s.b, text, sizeof(text), in, &n, 0), 0);
	assert_int_equal(fdpass_send(s.b, "none", 4, NULL, 0, 0), -EPIPE);
	close(s.b);
}

/* What there is no room for is closed, and so is what came with it. */
static void test_too_much(void **state)
{
	struct ends s = open_ends();
	int out[FDPASS_MAX], in[2];
	int next = dup(0);
	uint32_t n;
	char byte;

	(void)state;
	for (int i = 0; i < FDPASS_MAX; i++)
		out[i] = 0;
	close(next);
	for (uint32_t count = 3; count <= FDPASS_MAX; count += FDPASS_MAX - 3) {
		n = 2;
		assert_int_equal(fdpass_send(s.a, "x", 1, out, count, 0), 0);
		assert_int_equal(fdpass_receive(s.b, &byte, 1, in, &n, 0), -EPROTO);
		assert_int_equal(n, 0);
	}
	n = 2;
	assert_int_equal(fdpass_send(s.a, "longer", 6, out, 2, 0), 0);
	assert_int_equal(fdpass_receive(s.b, &byte, 1, in, &n, 0), -EPROTO);
	assert_int_equal(fdpass_send(s.a, "x", 1, out, FDPASS_MAX + 1, 0), -EINVAL);
	assert_int_equal(dup(0), next);
	close(next);
	close(s.a);
	close(s.b);
}

static void test_others(void **state)
{
	struct fdmap base = {0}, more = {0};
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, high;

	(void)state;
	assert_int_equal(fdmap_add_open(&base, 4096), 0);
	fd = dup(0);
	high = fcntl(0, F_DUPFD_CLOEXEC, 500);
	assert_int_equal(fdmap_add_others(&more, proc, &base), 0);
	assert_int_equal(fdmap_next(&more, 0), fd);
	assert_int_equal(fdmap_next(&more, fd + 1), high);
	assert_int_equal(fdmap_next(&more, high + 1), -1);
	fdmap_free(&more);
	assert_int_equal(fdmap_add_others(&more, fd, &base), -ENOTDIR);
	fdmap_free(&base);
	close(fd);
	close(high);
	close(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passed),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
