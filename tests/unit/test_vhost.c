/* SPDX-License-Identifier: BSD-3-Clause */
/* Every message of the table in good form, with wrong sizes and wrong descriptors, and what the device
 * answers. */
#include "vhost_peer.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

/* What the specification says of each message, written down a second time. */
static const struct expected {
	uint32_t request;
	uint32_t min, max;
	unsigned int min_fds, max_fds;
	bool replies; /* has a reply of its own */
} all[] = {
	{WIRE_GET_FEATURES, 0, 0, 0, 0, true},
	{WIRE_SET_FEATURES, 8, 8, 0, 0, false},
	{WIRE_SET_OWNER, 0, 0, 0, 0, false},
	{WIRE_RESET_OWNER, 0, 0, 0, 0, false},
	{WIRE_SET_MEM_TABLE, 8, 8 + 32 * 32, 0, 32, false},
	{WIRE_SET_LOG_BASE, 16, 16, 1, 1, false},
	{WIRE_SET_LOG_FD, 0, 8, 0, 1, false},
	{WIRE_SET_VRING_NUM, 8, 8, 0, 0, false},
	{WIRE_SET_VRING_ADDR, 40, 40, 0, 0, false},
	{WIRE_SET_VRING_BASE, 8, 8, 0, 0, false},
	{WIRE_GET_VRING_BASE, 8, 8, 0, 0, true},
	{WIRE_SET_VRING_KICK, 8, 8, 0, 1, false},
	{WIRE_SET_VRING_CALL, 8, 8, 0, 1, false},
	{WIRE_SET_VRING_ERR, 8, 8, 0, 1, false},
	{WIRE_GET_PROTOCOL_FEATURES, 0, 0, 0, 0, true},
	{WIRE_SET_PROTOCOL_FEATURES, 8, 8, 0, 0, false},
	{WIRE_GET_QUEUE_NUM, 0, 0, 0, 0, true},
	{WIRE_SET_VRING_ENABLE, 8, 8, 0, 0, false},
	{WIRE_SET_BACKEND_REQ_FD, 0, 8, 1, 1, false},
	{WIRE_GET_CONFIG, 12, 12 + 256, 0, 0, true},
	{WIRE_SET_CONFIG, 12, 12 + 256, 0, 0, false},
	{WIRE_RESET_DEVICE, 0, 0, 0, 0, false},
	{WIRE_GET_MAX_MEM_SLOTS, 0, 0, 0, 0, true},
	{WIRE_ADD_MEM_REG, 40, 40, 1, 1, false},
	{WIRE_REM_MEM_REG, 40, 40, 0, 1, false},
	{WIRE_SET_STATUS, 8, 8, 0, 0, false},
	{WIRE_GET_STATUS, 0, 0, 0, 0, true},
};

static const uint8_t zeros[8192];

static void send_zeros(
	struct peer *p, const struct expected *e, uint32_t flags, uint32_t size, unsigned int nfds)
{
	int fds[PEER_MAX_FDS];

	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = p->memory;
	peer_send(p, &(struct peer_message){.request = e->request,
			     .flags = flags,
			     .payload = zeros,
			     .size = size,
			     .fds = fds,
			     .nfds = nfds});
}

/* Refused: with a 1 if the front-end asked and waits for no other reply, else by the end of the connection.
 */
static void expect_refusal(struct peer *p, const struct expected *e, uint32_t size, unsigned int nfds)
{
	peer_negotiate(p, 0);
	send_zeros(p, e, WIRE_NEED_REPLY, size, nfds);
	if (e->replies) {
		assert_int_equal(peer_serve(p), -EPROTO);
	} else {
		assert_int_equal(peer_serve(p), 1);
		peer_expect_u64(p, e->request, 1);
		send_zeros(p, e, 0, size, nfds);
		assert_int_equal(peer_serve(p), -EPROTO);
	}
	peer_expect_silence(p);
	peer_disconnect(p);
	peer_connect(p);
}

static void wrong_sizes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].min)
			expect_refusal(*state, &all[i], all[i].min - 1, all[i].min_fds);
		expect_refusal(*state, &all[i], all[i].max + 1, all[i].min_fds);
		expect_refusal(*state, &all[i], 4096, all[i].min_fds);
	}
}

static void wrong_fds(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].min_fds)
			expect_refusal(*state, &all[i], all[i].min, all[i].min_fds - 1);
		if (all[i].max_fds < 32)
			expect_refusal(*state, &all[i], all[i].min, all[i].max_fds + 1);
		if (all[i].max_fds < 9)
			expect_refusal(*state, &all[i], all[i].min, 9);
	}
}

/* Messages that were never offered: answered where asked for, the end where not. */
static void unknown_messages(void **state)
{
	static const uint32_t requests[] = {
		0, 19, 20, 22, 23, 26, 27, 28, 29, 30, 33, 35, 41, 45, 1000, 0x80000000u, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct peer *p = *state;

		peer_negotiate(p, 0);
		peer_ask(p, requests[i], zeros, 8, -1, 1);
		peer_refused(p, requests[i], zeros, 8, p->memory);
		assert_non_null(strstr(p->err.text, "unknown"));
		peer_disconnect(p);
		peer_connect(p);
	}
}

static void get(struct peer *p, uint32_t request)
{
	peer_send(p, &(struct peer_message){.request = request});
	assert_int_equal(peer_serve(p), 1);
}

static void numbers(void **state)
{
	struct peer *p = *state;

	get(p, WIRE_GET_FEATURES);
	peer_expect_u64(p, WIRE_GET_FEATURES, 0x574000000);
	get(p, WIRE_GET_PROTOCOL_FEATURES);
	peer_expect_u64(p, WIRE_GET_PROTOCOL_FEATURES, 0x1b62b);
	get(p, WIRE_GET_QUEUE_NUM);
	peer_expect_u64(p, WIRE_GET_QUEUE_NUM, PEER_QUEUES);
	get(p, WIRE_GET_MAX_MEM_SLOTS);
	peer_expect_u64(p, WIRE_GET_MAX_MEM_SLOTS, 512);
	get(p, WIRE_GET_STATUS);
	peer_expect_u64(p, WIRE_GET_STATUS, 0);
	peer_tell_u64(p, WIRE_SET_STATUS, 0xf, -1);
	get(p, WIRE_GET_STATUS);
	peer_expect_u64(p, WIRE_GET_STATUS, 0xf);
	peer_refused(p, WIRE_SET_STATUS, &(uint64_t){0x100}, 8, -1);
}

/* A reply of its own is the same whether or not need_reply is set. */
static void own_replies_are_not_acknowledged(void **state)
{
	struct peer *p = *state;

	peer_negotiate(p, 0);
	peer_ask(p, WIRE_GET_QUEUE_NUM, NULL, 0, -1, PEER_QUEUES);
}

static void owner_messages(void **state)
{
	struct peer *p = *state;

	peer_tell(p, WIRE_SET_OWNER, NULL, 0, -1);
	peer_tell(p, WIRE_RESET_OWNER, NULL, 0, -1);
	assert_int_equal(p->resets, 0);
	peer_tell(p, WIRE_SET_LOG_FD, NULL, 0, p->memory);
	peer_tell_u64(p, WIRE_SET_LOG_FD, 0, -1);
}

static void features_not_offered(void **state)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		struct peer *p = *state;
		uint64_t f = WIRE_BIT(bit);

		peer_negotiate(p, 0);
		peer_ask(p, WIRE_SET_FEATURES, &f, 8, -1, !(f & 0x574000000));
		/* Last: it may take REPLY_ACK away, and then nothing is answered. */
		if (!(f & 0x1b62b))
			peer_ask(p, WIRE_SET_PROTOCOL_FEATURES, &f, 8, -1, 1);
		else
			peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES, f, -1);
	}
}

/* need_reply means nothing before REPLY_ACK was negotiated, and the message that negotiates it is answered.
 */
static void need_reply_before_negotiation(void **state)
{
	struct peer *p = *state;
	uint64_t ack = WIRE_P_REPLY_ACK;

	peer_send(p, &(struct peer_message){.request = WIRE_SET_OWNER, .flags = WIRE_NEED_REPLY});
	assert_int_equal(peer_serve(p), 1);
	peer_expect_silence(p);
	peer_ask(p, WIRE_SET_PROTOCOL_FEATURES, &ack, 8, -1, 0);
	peer_ask(p, WIRE_SET_OWNER, NULL, 0, -1, 0);
}

struct config_message {
	struct wire_config head;
	uint8_t space[WIRE_CONFIG_MAX + 1];
};

static void ask_config(struct peer *p, uint32_t offset, uint32_t size, uint32_t carried)
{
	struct config_message m = {.head = {offset, size, 0}};

	peer_send(p, &(struct peer_message){.request = WIRE_GET_CONFIG, .payload = &m, .size = 12 + carried});
	assert_int_equal(peer_serve(p), 1);
}

/* As User-Mode Linux reads it: from 0, longer each time; and to the end. */
static void config_space(void **state)
{
	struct peer *p = *state;
	struct config_message want = {0};
	struct wire_fs_config fs = {.tag = PEER_TAG, .request_queues = htole32(PEER_REQUEST_QUEUES)};

	for (uint32_t offset = 0; offset <= 48; offset += 4) {
		for (uint32_t size = 0; size <= WIRE_CONFIG_MAX - offset; size++) {
			ask_config(p, offset, size, size);
			memset(&want, 0, sizeof(want));
			want.head = (struct wire_config){offset, size, 0};
			if (offset < sizeof(fs))
				memcpy(want.space, (const char *)&fs + offset,
					MIN(size, sizeof(fs) - offset));
			peer_expect(p, WIRE_GET_CONFIG, &want, 12 + size);
		}
	}
}

static void expect_no_config(struct peer *p, uint32_t offset, uint32_t size, uint32_t carried)
{
	struct wire_config want = {offset, 0, 0};

	ask_config(p, offset, size, carried);
	peer_expect(p, WIRE_GET_CONFIG, &want, 12);
	peer_expect_silence(p);
}

static void config_out_of_bounds(void **state)
{
	struct peer *p = *state;

	expect_no_config(p, 0, 40, 39);
	expect_no_config(p, 0, 40, 41);
	expect_no_config(p, 0, UINT32_MAX, 8);
	expect_no_config(p, 1, 256, 256);
	expect_no_config(p, 257, 0, 0);
	expect_no_config(p, UINT32_MAX, 1, 1);
}

static void config_is_read_only(void **state)
{
	struct config_message m = {.head = {0, 4, 0}};
	struct peer *p = *state;

	peer_tell(p, WIRE_SET_CONFIG, &m, 16, -1);
	peer_negotiate(p, 0);
	peer_ask(p, WIRE_SET_CONFIG, &m, 16, -1, 1);
	m.head.flags = 1; /* live migration */
	peer_ask(p, WIRE_SET_CONFIG, &m, 16, -1, 1);
	peer_tell(p, WIRE_SET_CONFIG, &m, 16, -1);
	expect_no_config(p, 0, 1, 0);
}

static void long_tag(void **state)
{
	struct vhost_config cfg = {.request_queues = 64};
	struct config_message want = {.head = {0, 40, 0}};
	struct peer *p;

	(void)state;
	memset(cfg.tag, 'x', VHOST_TAG_MAX);
	memset(want.space, 'x', VHOST_TAG_MAX);
	want.space[36] = 64;
	p = peer_new(&cfg);
	ask_config(p, 0, 40, 40);
	peer_expect(p, WIRE_GET_CONFIG, &want, 52);
	peer_end(p);
}

/* The front-end has the tag: no CONFIG. */
static void no_tag(void **state)
{
	static const struct vhost_config cfg = {.request_queues = 1};
	struct peer *p = peer_new(&cfg);

	(void)state;
	get(p, WIRE_GET_PROTOCOL_FEATURES);
	peer_expect_u64(p, WIRE_GET_PROTOCOL_FEATURES, 0x1b42b);
	get(p, WIRE_GET_FEATURES);
	peer_expect_u64(p, WIRE_GET_FEATURES, 0x174000000);
	get(p, WIRE_GET_QUEUE_NUM);
	peer_expect_u64(p, WIRE_GET_QUEUE_NUM, 2);
	peer_refused(p, WIRE_GET_CONFIG, zeros, 12, -1);
	peer_end(p);
}

static void impossible_configurations(void **state)
{
	static const struct vhost_ops ops;
	struct vhost_config cfg = {.request_queues = 0};

	(void)state;
	assert_null(vhost_device_new(&cfg, &ops, NULL));
	cfg.request_queues = VHOST_MAX_QUEUES;
	assert_null(vhost_device_new(&cfg, &ops, NULL));
	vhost_device_free(NULL);
}

struct table {
	struct wire_regions head;
	struct wire_region region[8];
};

static void tell_table(struct peer *p, const struct table *t, unsigned int nfds, uint32_t size, uint64_t ack)
{
	int fds[8];

	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = p->memory;
	peer_send(p, &(struct peer_message){.request = WIRE_SET_MEM_TABLE,
			     .flags = WIRE_NEED_REPLY,
			     .payload = t,
			     .size = size,
			     .fds = fds,
			     .nfds = nfds});
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, WIRE_SET_MEM_TABLE, ack);
}

static void memory_tables(void **state)
{
	struct peer *p = *state;
	struct table t = {.head = {.count = 8}};

	peer_negotiate(p, 0);
	for (unsigned int i = 0; i < 8; i++)
		t.region[i] = peer_region(i * 16384, 16384);
	tell_table(p, &t, 8, 8 + 8 * 32, 0);
	tell_table(p, &t, 7, 8 + 8 * 32, 1);
	tell_table(p, &t, 8, 8 + 8 * 32 - 1, 1);
	t.head.count = 9;
	tell_table(p, &t, 8, 8 + 8 * 32, 1);
	t.head.count = UINT32_MAX;
	tell_table(p, &t, 8, 8 + 8 * 32, 1);
	t.head.count = 1;
	tell_table(p, &t, 1, 72, 0); /* User-Mode Linux: room for two */
	t.head.count = 0;
	tell_table(p, &t, 0, 8, 0);
	t.head.count = 2;
	t.region[1] = t.region[0]; /* they overlap */
	tell_table(p, &t, 2, 72, 1);
	t.region[1] = peer_region(PEER_MEMORY, 4096); /* not in the file */
	tell_table(p, &t, 2, 72, 1);
	t.region[1] = peer_region(16384, UINT64_MAX - 4096); /* wraps */
	tell_table(p, &t, 2, 72, 1);
}

static void memory_slots(void **state)
{
	struct peer *p = *state;
	struct wire_one_region one = {.region = peer_region(0, 16384)};
	struct wire_one_region two = {.region = peer_region(16384, 16384)};

	peer_negotiate(p, 0);
	peer_ask(p, WIRE_ADD_MEM_REG, &one, sizeof(one), p->memory, 0);
	peer_ask(p, WIRE_ADD_MEM_REG, &one, sizeof(one), p->memory, 1);
	peer_ask(p, WIRE_ADD_MEM_REG, &two, sizeof(two), p->memory, 0);
	peer_ask(p, WIRE_REM_MEM_REG, &one, sizeof(one), -1, 0);
	peer_ask(p, WIRE_REM_MEM_REG, &one, sizeof(one), -1, 1);
	two.region.mmap_offset = 77; /* says nothing here */
	peer_ask(p, WIRE_REM_MEM_REG, &two, sizeof(two), p->memory, 0);
	peer_refused(p, WIRE_REM_MEM_REG, &two, sizeof(two), -1);
}

static void log_base(void **state)
{
	struct peer *p = *state;
	struct wire_log log = {.size = 4096, .offset = 0};

	peer_tell(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory); /* LOG_SHMFD was not negotiated */
	peer_negotiate(p, 0);
	peer_send(p, &(struct peer_message){.request = WIRE_SET_LOG_BASE,
			     .payload = &log,
			     .size = sizeof(log),
			     .fds = &p->memory,
			     .nfds = 1});
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, WIRE_SET_LOG_BASE, 0);
	peer_ask(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory, 0);
	log.size = UINT64_MAX;
	peer_ask(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory, 1);
	log.size = 0;
	peer_ask(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory, 1);
	peer_refused(p, WIRE_SET_LOG_BASE, &log, sizeof(log), p->memory);
}

static void backend_channel(void **state)
{
	struct peer *p = *state;
	int pipes[2];

	peer_negotiate(p, 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	peer_ask(p, WIRE_SET_BACKEND_REQ_FD, NULL, 0, pipes[1], 0); /* User-Mode Linux: a pipe */
	peer_tell_u64(p, WIRE_SET_BACKEND_REQ_FD, 0, pipes[1]);	    /* a second one takes its place */
	close(pipes[0]);
	close(pipes[1]);
}

static void queue_indices(void **state)
{
	static const uint32_t requests[] = {WIRE_SET_VRING_NUM, WIRE_SET_VRING_BASE, WIRE_SET_VRING_ENABLE};
	struct peer *p = *state;
	struct wire_vring_state last = {PEER_QUEUES - 1, 1};
	struct wire_vring_state past = {PEER_QUEUES, 1};
	struct wire_vring_addr addr = {.index = PEER_QUEUES};

	peer_negotiate(p, 0);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		peer_ask(p, requests[i], &last, sizeof(last), -1, 0);
		peer_ask(p, requests[i], &past, sizeof(past), -1, 1);
	}
	past.index = UINT32_MAX;
	peer_ask(p, WIRE_SET_VRING_NUM, &past, sizeof(past), -1, 1);
	peer_ask(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1, 1);
	addr.index = PEER_QUEUES - 1;
	peer_ask(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1, 0);
	for (uint32_t r = WIRE_SET_VRING_KICK; r <= WIRE_SET_VRING_ERR; r++) {
		autofd int fd = peer_eventfd();

		peer_ask(p, r, &(uint64_t){PEER_QUEUES - 1}, 8, fd, 0);
		peer_ask(p, r, &(uint64_t){PEER_QUEUES}, 8, fd, 1);
		peer_ask(p, r, &(uint64_t){255}, 8, fd, 1);
	}
	peer_refused(p, WIRE_GET_VRING_BASE, &past, sizeof(past), -1);
}

static void ring_values(void **state)
{
	struct peer *p = *state;
	struct wire_vring_state s = {0, 0};

	peer_negotiate(p, 0);
	peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 1);
	s.num = VRING_MAX_SIZE + 1;
	peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 1);
	s.num = VRING_MAX_SIZE;
	peer_ask(p, WIRE_SET_VRING_NUM, &s, sizeof(s), -1, 0);
	s.num = 2;
	peer_ask(p, WIRE_SET_VRING_ENABLE, &s, sizeof(s), -1, 1);
}

/* The flag that says "no descriptor", and what can be no kick, call or error descriptor. */
static void ring_descriptors(void **state)
{
	struct peer *p = *state;
	autofd int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofd int path = open("/dev/null", O_PATH | O_CLOEXEC);
	int pipes[2];

	peer_negotiate(p, 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (uint32_t r = WIRE_SET_VRING_KICK; r <= WIRE_SET_VRING_ERR; r++) {
		uint64_t i = 1;

		peer_ask(p, r, &i, 8, pipes[1], 0);
		peer_ask(p, r, &i, 8, -1, 1);
		peer_ask(p, r, &i, 8, dir, 1);
		peer_ask(p, r, &i, 8, path, 1);
		peer_ask(p, r, &i, 8, p->memory, 1);
		i |= WIRE_VRING_NO_FD;
		peer_ask(p, r, &i, 8, -1, 0);
		peer_ask(p, r, &i, 8, pipes[1], 1);
	}
	assert_true(fcntl(pipes[1], F_GETFL) & O_NONBLOCK);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_fds, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(own_replies_are_not_acknowledged, setup, teardown),
		cmocka_unit_test_setup_teardown(owner_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(features_not_offered, setup, teardown),
		cmocka_unit_test_setup_teardown(need_reply_before_negotiation, setup, teardown),
		cmocka_unit_test_setup_teardown(config_space, setup, teardown),
		cmocka_unit_test_setup_teardown(config_out_of_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(config_is_read_only, setup, teardown),
		cmocka_unit_test(long_tag),
		cmocka_unit_test(no_tag),
		cmocka_unit_test(impossible_configurations),
		cmocka_unit_test_setup_teardown(memory_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(log_base, setup, teardown),
		cmocka_unit_test_setup_teardown(backend_channel, setup, teardown),
		cmocka_unit_test_setup_teardown(queue_indices, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_values, setup, teardown),
		cmocka_unit_test_setup_teardown(ring_descriptors, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
