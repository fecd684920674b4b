/* SPDX-License-Identifier: BSD-3-Clause */
/* How messages come off the socket: whole, in pieces, with descriptors, broken. What they mean: test_vhost.c.
 */
#include "vhost_peer.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "vhost/message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static int setup(void **state)
{
	*state = peer_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	peer_end(*state);
	return 0;
}

/* A ring's call descriptor: a message with header, payload and descriptor. */
struct call_message {
	struct wire_header head;
	uint64_t value;
} __attribute__((packed));

static const struct call_message call_message = {{WIRE_SET_VRING_CALL, WIRE_VERSION, 8}, 0};

static void whole_message(void **state)
{
	struct peer *p = *state;

	peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES, 0, -1);
}

static void nothing_there(void **state)
{
	struct peer *p = *state;

	assert_int_equal(peer_serve(p), 1);
	peer_expect_silence(p);
}

static void byte_by_byte(void **state)
{
	static const struct wire_header get = {WIRE_GET_QUEUE_NUM, WIRE_VERSION, 0};
	struct peer *p = *state;
	const char *bytes = (const char *)&get;

	for (size_t i = 0; i < sizeof(get); i++) {
		peer_expect_silence(p);
		peer_write(p, bytes + i, 1, NULL, 0);
		assert_int_equal(peer_serve(p), 1);
	}
	peer_expect_u64(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
}

/* Cuts the message at every byte, the descriptor comes with the first or the second part. */
static void cut_anywhere(void **state)
{
	struct peer *p = *state;
	const char *bytes = (const char *)&call_message;
	size_t len = sizeof(call_message);

	for (unsigned int with = 0; with < 2; with++) {
		for (size_t cut = 1; cut < len; cut++) {
			autofd int fd = peer_eventfd();

			peer_write(p, bytes, cut, &fd, with == 0);
			assert_int_equal(peer_serve(p), 1);
			peer_write(p, bytes + cut, len - cut, &fd, with == 1);
			assert_int_equal(peer_serve(p), 1);
		}
	}
}

/* One serve() takes one message, and the next message's descriptors stay with it. */
static void two_at_once(void **state)
{
	struct peer *p = *state;
	struct call_message two[2] = {call_message, call_message};
	autofd int fd = peer_eventfd();
	struct wire_header get = {WIRE_GET_QUEUE_NUM, WIRE_VERSION, 0};

	two[1].value = WIRE_VRING_NO_FD;
	peer_write(p, two, sizeof(two), &fd, 1);
	peer_write(p, &get, sizeof(get), NULL, 0);
	assert_int_equal(peer_serve(p), 1);
	assert_int_equal(peer_serve(p), 1);
	peer_expect_silence(p);
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
}

static void refused_header(struct peer *p, struct wire_header head, const char *why)
{
	autofd int fd = peer_eventfd();

	peer_write(p, &head, sizeof(head), &fd, 1);
	assert_int_equal(peer_serve(p), -EPROTO);
	assert_non_null(strstr(p->err.text, why));
	peer_expect_silence(p);
	peer_disconnect(p);
	peer_connect(p);
}

static void bad_headers(void **state)
{
	struct peer *p = *state;

	refused_header(p, (struct wire_header){WIRE_SET_OWNER, 0, 0}, "flags 0x0");
	refused_header(p, (struct wire_header){WIRE_SET_OWNER, 2, 0}, "flags 0x2");
	refused_header(p, (struct wire_header){WIRE_SET_OWNER, 3, 0}, "flags 0x3");
	refused_header(p, (struct wire_header){WIRE_SET_OWNER, WIRE_VERSION | WIRE_REPLY, 0}, "flags 0x5");
	refused_header(
		p, (struct wire_header){WIRE_SET_OWNER, WIRE_VERSION, MESSAGE_PAYLOAD_MAX + 1}, "4097 bytes");
	refused_header(p, (struct wire_header){WIRE_SET_OWNER, WIRE_VERSION, UINT32_MAX}, "4294967295 bytes");
}

/* Flags that nobody has defined say nothing. */
static void spare_flags(void **state)
{
	struct wire_header head = {WIRE_GET_QUEUE_NUM, WIRE_VERSION | 0xfffffff8u, 0};
	struct peer *p = *state;

	peer_write(p, &head, sizeof(head), NULL, 0);
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
}

static void many_fds(struct peer *p, unsigned int header_fds, unsigned int payload_fds)
{
	static const char payload[8];
	struct wire_header head = {WIRE_SET_MEM_TABLE, WIRE_VERSION, sizeof(payload)};
	int fds[PEER_MAX_FDS];

	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = p->memory;
	peer_write(p, &head, sizeof(head), fds, header_fds);
	peer_write(p, payload, sizeof(payload), fds, payload_fds);
	assert_int_equal(peer_serve(p), -EPROTO);
	peer_disconnect(p);
	peer_connect(p);
}

/* More than fit into a message in one go, and in two; as many as fit, for a table that says none. */
static void too_many_fds(void **state)
{
	struct peer *p = *state;

	many_fds(p, MESSAGE_FDS_MAX + 1, 0);
	many_fds(p, 0, MESSAGE_FDS_MAX + 1);
	many_fds(p, MESSAGE_FDS_MAX, 1);
	many_fds(p, PEER_MAX_FDS, 0);
	many_fds(p, MESSAGE_FDS_MAX, 0);
	many_fds(p, 9, 0);
}

/* The process may not open more: the kernel cuts the descriptors off, and the message must not go on without.
 */
static void out_of_descriptors(void **state)
{
	struct peer *p = *state;
	struct rlimit old, none;
	autofd int fd = peer_eventfd();
	int probe = dup(fd);
	int r;

	assert_true(probe >= 0);
	peer_write(p, &call_message, sizeof(call_message), &fd, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	close(probe);
	none = (struct rlimit){.rlim_cur = (rlim_t)probe, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = peer_serve(p);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EPROTO);
}

/* The front-end goes between two messages, and at every byte of one. */
static void gone(void **state)
{
	struct peer *p = *state;

	for (size_t cut = 0; cut < sizeof(call_message); cut++) {
		autofd int fd = peer_eventfd();

		if (cut)
			peer_write(p, &call_message, cut, &fd, 1);
		shutdown(p->sock, SHUT_WR);
		assert_int_equal(peer_serve(p), cut ? -EPROTO : 0);
		peer_disconnect(p);
		peer_connect(p);
	}
}

/* It closes while its answer is on the way. */
static void gone_before_reply(void **state)
{
	struct peer *p = *state;

	peer_send(p, &(struct peer_message){.request = WIRE_GET_FEATURES});
	cleanup_fd(&p->sock);
	p->sock = -1;
	assert_int_equal(peer_serve(p), 0);
	peer_disconnect(p);
	peer_connect(p);
	peer_tell(p, WIRE_SET_OWNER, NULL, 0, -1);
}

/* A front-end that asks on and on and never reads is given up after a second. */
static void never_reads(void **state)
{
	struct peer *p = *state;
	struct timespec begin, end;
	int small = 1;
	int r = 1;

	setsockopt(vhost_device_fd(p->device), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 100000 && r == 1; i++) {
		peer_send(p, &(struct peer_message){.request = WIRE_GET_FEATURES});
		r = peer_serve(p);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(r, -ETIMEDOUT);
	assert_in_range(end.tv_sec - begin.tv_sec, 0, 10);
}

/* What came of a message is forgotten with its connection. */
static void half_message_then_anew(void **state)
{
	struct peer *p = *state;
	autofd int fd = peer_eventfd();

	peer_write(p, &call_message, 15, &fd, 1);
	assert_int_equal(peer_serve(p), 1);
	peer_disconnect(p);
	peer_connect(p);
	peer_tell_u64(p, WIRE_SET_VRING_CALL, 0, fd);
}

/* A process that ended behind its receive has left what it received, and its own addresses. */
static void received_elsewhere(void **state)
{
	struct message_in *old =
		mmap(NULL, sizeof(*old), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	autofd int fd = peer_eventfd();
	struct message_in in;
	struct err err;
	int sock[2];

	(void)state;
	assert_ptr_not_equal(old, MAP_FAILED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
	peer_write(&(struct peer){.sock = sock[0]}, &call_message, sizeof(call_message), &fd, 1);
	old->iov = (struct iovec){&old->m.header, sizeof(old->m.header)};
	old->hdr.msg_hdr = (struct msghdr){.msg_iov = &old->iov,
		.msg_iovlen = 1,
		.msg_control = old->control,
		.msg_controllen = sizeof(old->control)};
	assert_int_equal(recvmmsg(sock[1], &old->hdr, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL), 1);
	memcpy(&in, old, sizeof(in));
	munmap(old, sizeof(*old));
	assert_int_equal(message_adopt(&in, &err), 0);
	assert_int_equal(in.m.have, sizeof(in.m.header));
	assert_int_equal(in.m.nfds, 1);
	assert_int_equal(message_receive(&in, sock[1], &err), 1);
	message_clear(&in.m);
	close(sock[0]);
	close(sock[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_message, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_there, setup, teardown),
		cmocka_unit_test_setup_teardown(byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(two_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(spare_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(gone, setup, teardown),
		cmocka_unit_test_setup_teardown(gone_before_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(never_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(half_message_then_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(received_elsewhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
