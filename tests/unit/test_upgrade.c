/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing over, one side at a time: who is given something false takes nothing, and who is left alone has
 * what he had.
 */
#include "base/fdpass.h"
#include "daemon/line.h"
#include "daemon/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEVICE_BYTES 100
#define FREE	     700 /* no descriptor has this number, nor those behind it */

/* As upgrade.c sends it. */
struct part {
	uint32_t n;
	int32_t number[FDPASS_MAX];
};

struct ends {
	int near, far;
};

static struct ends open_ends(void)
{
	int pair[2];

	assert_int_equal(line_open(pair), 0);
	return (struct ends){pair[0], pair[1]};
}

static void close_ends(struct ends e)
{
	close(e.near);
	close(e.far);
}

static void send_part(int to, const struct part *p, uint32_t n)
{
	int fds[FDPASS_MAX] = {0};

	assert_int_equal(fdpass_send(to, p, sizeof(*p), fds, n, 0), 0);
}

/* What upgrade_take() says of one part with @n descriptors, and the last. */
static int take(const struct part *p, uint32_t n)
{
	const struct part last = {0};
	struct ends e = open_ends();
	struct err err;
	char word;
	int r;

	send_part(e.far, p, n);
	send_part(e.far, &last, 0);
	r = upgrade_take(e.near, &err);
	assert_int_equal(recv(e.far, &word, 1, MSG_DONTWAIT), 1);
	close_ends(e);
	return r;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_numbers(void **state)
{
	const int taken = dup(0);
	static const int32_t bad[] = {-1, -2, INT32_MIN, INT32_MAX, 1 << 30};

	(void)state;
	assert_int_equal(take(&(struct part){2, {FREE, FREE + 7}}, 2), 0);
	assert_true(is_open(FREE) && is_open(FREE + 7) && !is_open(FREE + 1));
	assert_int_equal(take(&(struct part){2, {FREE, FREE + 1}}, 2), -EEXIST);
	close(FREE);
	close(FREE + 1);
	close(FREE + 7);
	assert_int_equal(take(&(struct part){1, {taken}}, 1), -EEXIST);
	assert_int_equal(take(&(struct part){2, {FREE, FREE}}, 2), -EEXIST);
	close(FREE);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_true(take(&(struct part){1, {bad[i]}}, 1) < 0);
	assert_true(is_open(taken));
	close(taken);
}

static void test_counts(void **state)
{
	const int next = dup(0);

	(void)state;
	close(next);
	assert_int_equal(take(&(struct part){2, {FREE, FREE + 1}}, 1), -EPROTO);
	assert_int_equal(take(&(struct part){1, {FREE}}, 2), -EPROTO);
	assert_int_equal(take(&(struct part){UINT32_MAX, {FREE}}, 1), -EPROTO);
	assert_false(is_open(FREE));
	assert_int_equal(dup(0), next); /* what came was closed */
	close(next);
}

static void test_ends_early(void **state)
{
	struct ends e = open_ends();
	int seg, mounts;
	struct err err;

	(void)state;
	assert_int_equal(send(e.far, "x", 1, 0), 1);
	assert_int_equal(upgrade_take(e.near, &err), -EPROTO);
	shutdown(e.far, SHUT_WR);
	assert_int_equal(upgrade_take(e.near, &err), -ECONNRESET);
	assert_int_equal(upgrade_await(e.near, &seg, &mounts, &err), -ECONNRESET);
	close(e.far);
	assert_true(upgrade_take(e.near, &err) < 0);
	close(e.near);
}

/* An offer has the segment, and perhaps the mounts. */
static void test_offers(void **state)
{
	const int fds[] = {0, 1, 2};

	(void)state;
	for (uint32_t n = 0; n <= 3; n++) {
		struct ends e = open_ends();
		int seg = -1, mounts = -1, r;
		struct err err;

		assert_int_equal(fdpass_send(e.far, "O", 1, fds, n, 0), 0);
		r = upgrade_await(e.near, &seg, &mounts, &err);
		assert_int_equal(r, n == 1 || n == 2 ? 0 : -ECONNRESET);
		assert_int_equal(seg >= 0, n == 1 || n == 2);
		assert_int_equal(mounts >= 0, n == 2);
		if (seg >= 0)
			close(seg);
		if (mounts >= 0)
			close(mounts);
		close_ends(e);
	}
}

static void test_other_offer(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {{"?", 1}, {"OO", 2}};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct ends e = open_ends();
		int seg, mounts, fd = 0, next = dup(0);
		struct err err;

		assert_int_equal(fdpass_send(e.far, bad[i].data, bad[i].len, &fd, 1, 0), 0);
		close(next);
		assert_int_equal(upgrade_await(e.near, &seg, &mounts, &err), -ECONNRESET);
		assert_int_equal(dup(0), next); /* what came was closed */
		close(next);
		close_ends(e);
	}
}

struct giving {
	struct upgrade_giver g;
	struct segment seg;
	struct fdmap base;
	struct ends line, pair;
	int proc;
};

static void giving_begin(struct giving *t)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {[SEGMENT_DEVICE] = {DEVICE_BYTES, 1}};
	struct err err;

	*t = (struct giving){
		.line = open_ends(), .pair = open_ends(), .proc = open("/proc", O_PATH | O_DIRECTORY)};
	assert_int_equal(segment_create(&t->seg, plan, &err), 0);
	memset(segment_at(&t->seg, SEGMENT_DEVICE), 'd', DEVICE_BYTES);
	assert_int_equal(fdmap_add_open(&t->base, 4096), 0);
	t->g = (struct upgrade_giver){.line = t->line.near,
		.proc = t->proc,
		.mounts = -1,
		.base = &t->base,
		.segment = &t->seg,
		.to = -1};
}

static void giving_end(struct giving *t)
{
	segment_close(&t->seg);
	fdmap_free(&t->base);
	close_ends(t->line);
	close(t->pair.far);
	close(t->proc);
}

static void give_line(struct giving *t, char word, uint32_t n)
{
	struct line_message m = {.word = word};

	assert_int_equal(line_send(t->line.far, &m, &t->pair.near, n), 0);
	if (n) {
		close(t->pair.near);
		t->pair.near = -1;
	}
}

/* Nobody is there, or not the one. */
static void test_not_asked(void **state)
{
	struct giving t;

	(void)state;
	giving_begin(&t);
	assert_false(upgrade_offer(&t.g));
	give_line(&t, LINE_GIVE, 0);
	assert_false(upgrade_offer(&t.g));
	assert_int_equal(send(t.line.far, "short", 5, 0), 5);
	assert_false(upgrade_offer(&t.g));
	give_line(&t, LINE_TAKE, 1);
	assert_false(upgrade_offer(&t.g));
	assert_int_equal(t.g.to, -1);
	giving_end(&t);
}

/* He who is there has another answer than that the segment fits, or none. */
static void test_does_not_fit(void **state)
{
	struct giving t;

	(void)state;
	for (int answers = 0; answers < 2; answers++) {
		giving_begin(&t);
		give_line(&t, LINE_GIVE, 1);
		if (answers)
			assert_int_equal(send(t.pair.far, "?", 1, 0), 1);
		else
			shutdown(t.pair.far, SHUT_WR);
		assert_false(upgrade_offer(&t.g));
		assert_int_equal(t.g.to, -1);
		giving_end(&t);
	}
}

/* Another release's messages are not understood, but for the reason why it cannot take over. */
static void test_other_version(void **state)
{
	struct ends e = open_ends();
	struct line_message m = {.word = LINE_REFUSED, .text = "the reason"}, got;
	uint32_t n = 0;

	(void)state;
	for (size_t less = 0; less < 3; less++) {
		m.version = 1;
		m.word = LINE_REFUSED;
		assert_int_equal(send(e.far, &m, sizeof(m) - less, 0), sizeof(m) - less);
		memset(&got, 'x', sizeof(got));
		assert_int_equal(line_receive(e.near, &got, NULL, &n), 1);
		assert_int_equal(got.word, LINE_REFUSED);
		assert_string_equal(got.text, "the reason");
		m.word = LINE_PREPARED;
		assert_int_equal(send(e.far, &m, sizeof(m) - less, 0), sizeof(m) - less);
		assert_int_equal(line_receive(e.near, &got, NULL, &n), -EPROTO);
	}
	m.word = LINE_REFUSED;
	assert_int_equal(send(e.far, &m, 5, 0), 5);
	memset(&got, 'x', sizeof(got));
	assert_int_equal(line_receive(e.near, &got, NULL, &n), 1);
	assert_string_equal(got.text, "");
	assert_int_equal(send(e.far, &m, 4, 0), 4);
	assert_int_equal(line_receive(e.near, &got, NULL, &n), -EPROTO);
	close_ends(e);
}

/* The other side: takes all, changes what it has of the connection, and then serves or not. */
struct taker {
	int from;
	bool serves;
	int result;
};

static void *take_all(void *arg)
{
	struct taker *t = arg;
	struct part p = {.n = 1};
	int seg = -1, mounts = -1;
	struct err err;

	t->result = upgrade_await(t->from, &seg, &mounts, &err);
	send(t->from, "F", 1, 0);
	while (!t->result && p.n) {
		uint32_t n = FDPASS_MAX;
		int fds[FDPASS_MAX];

		if (fdpass_receive(t->from, &p, sizeof(p), fds, &n, 0) != sizeof(p) || p.n != n)
			t->result = -EPROTO;
		while (n)
			close(fds[--n]);
	}
	if (!t->result && pwrite(seg, "taken", 5, 4096) != 5) /* the first section with records */
		t->result = -EIO;
	close(seg);
	if (t->serves)
		send(t->from, "S", 1, 0);
	else
		shutdown(t->from, SHUT_WR);
	return NULL;
}

static void test_given(void **state)
{
	(void)state;
	for (int serves = 0; serves < 2; serves++) {
		struct taker other = {.serves = serves};
		struct giving t;
		pthread_t thread;
		const char *device;

		giving_begin(&t);
		other.from = t.pair.far;
		give_line(&t, LINE_GIVE, 1);
		assert_int_equal(pthread_create(&thread, NULL, take_all, &other), 0);
		assert_true(upgrade_offer(&t.g));
		assert_int_equal(upgrade_give(&t.g), serves);
		pthread_join(thread, NULL);
		assert_int_equal(other.result, 0);
		assert_int_equal(t.g.to, -1);
		device = segment_at(&t.seg, SEGMENT_DEVICE);
		assert_memory_equal(device, serves ? "taken" : "ddddd", 5);
		giving_end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_ends_early),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_other_offer),
		cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_does_not_fit),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_other_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
