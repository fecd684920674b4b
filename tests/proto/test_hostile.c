/* SPDX-License-Identifier: BSD-3-Clause */
/* Front-ends that break the protocol: it costs them their connection at most, and the next one is served. */
#include "test.h"

#include <sys/eventfd.h>

#define U64(v)      \
	{           \
		(v) \
	}
#define STATE(i, n)                       \
	{                                 \
		(uint64_t)(n) << 32 | (i) \
	}
#define ADDR(i, d, u, a)              \
	{                             \
		(i), (d), (u), (a), 0 \
	}

struct bad_message {
	const char *what;
	uint32_t request;
	uint32_t flags; /* 0: VU_VERSION */
	uint32_t size;
	unsigned int fds; /* eventfds that come with it */
	bool late;	  /* comes when the device runs; else as the first message after negotiation */
	uint64_t payload[12];
};

static const struct bad_message bad[] = {
	{"unknown request", 200},
	{"request 0", 0},
	{"request of all ones", 0xffffffff},
	{"version 0", VU_GET_FEATURES, 8},
	{"version 2", VU_GET_FEATURES, 2},
	{"a reply", VU_GET_FEATURES, VU_VERSION | VU_REPLY, 8},
	{"size of all ones", VU_SET_FEATURES, 0, 0xffffffff},
	{"size of a megabyte", VU_SET_FEATURES, 0, 1 << 20},
	{"descriptors where none belong", VU_GET_FEATURES, 0, 0, 8},
	{"features that nobody offered", VU_SET_FEATURES, 0, 8, 0, false, U64(~0ull)},
	{"features of 4 bytes", VU_SET_FEATURES, 0, 4},
	{"protocol features that nobody offered", VU_SET_PROTOCOL_FEATURES, 0, 8, 0, false, U64(~0ull)},
	{"ring number of 4 bytes", VU_SET_VRING_NUM, 0, 4},
	{"ring that does not exist", VU_SET_VRING_NUM, 0, 8, 0, false, STATE(99, 128)},
	{"ring of no descriptors", VU_SET_VRING_NUM, 0, 8, 0, false, STATE(1, 0)},
	{"ring too large", VU_SET_VRING_NUM, 0, 8, 0, false, STATE(1, 65536)},
	{"base of a ring that does not exist", VU_GET_VRING_BASE, 0, 8, 0, false, STATE(0x10001, 0)},
	{"kick for a ring that does not exist", VU_SET_VRING_KICK, 0, 8, 1, false, U64(77)},
	{"kick without the descriptor that it says", VU_SET_VRING_KICK, 0, 8, 0, false, U64(1)},
	{"kick with two", VU_SET_VRING_KICK, 0, 8, 2, false, U64(1)},
	{"enable 5", VU_SET_VRING_ENABLE, 0, 8, 0, false, STATE(1, 5)},
	{"nine regions", VU_SET_MEM_TABLE, 0, 8, 8, false, U64(9)},
	{"a region without descriptor", VU_SET_MEM_TABLE, 0, 40, 0, false, {1, 0, 4096, 0x10000, 0}},
	{"a region whose descriptor has no memory", VU_SET_MEM_TABLE, 0, 40, 1, false,
		{1, 0, 4096, 0x10000, 0}},
	{"a table without its regions", VU_SET_MEM_TABLE, 0, 8, 1, false, U64(1)},
	{"an empty region", VU_SET_MEM_TABLE, 0, 40, 1, false, {1, 0, 0, 0x10000, 0}},
	{"a region more without descriptor", VU_ADD_MEM_REG, 0, 40, 0, false, {0, 0, 4096, 0x10000, 0}},
	{"a log without descriptor", VU_SET_LOG_BASE, 0, 16, 0, false, {4096, 0}},
	{"a log of nothing", VU_SET_LOG_BASE, 0, 16, 1, false, {0, 0}},
	{"a log that wraps", VU_SET_LOG_BASE, 0, 16, 1, false, {~0ull, ~0ull}},
	{"configuration of another size", VU_GET_CONFIG, 0, 16, 0, false, {(uint64_t)200 << 32, 0}},
	{"configuration without its head", VU_GET_CONFIG, 0, 4},
	{"a back-end channel without descriptor", VU_SET_BACKEND_REQ_FD},
	{"rings where no memory is", VU_SET_VRING_ADDR, 0, 40, 0, true, ADDR(1, 16, 16, 16)},
	{"rings at the end of everything", VU_SET_VRING_ADDR, 0, 40, 0, true,
		ADDR(1, ~15ull, ~15ull, ~15ull)},
	{"no memory under running rings", VU_SET_MEM_TABLE, 0, 8, 0, true, U64(0)},
	{"another ring size while running", VU_SET_VRING_NUM, 0, 8, 0, true, STATE(1, 2)},
	{"other features while running", VU_SET_FEATURES, 0, 8, 0, true, U64(VU_BIT(VU_F_VERSION_1))},
};

static int send_bad(struct vm *vm, const struct bad_message *b)
{
	struct vu_header h = {b->request, b->flags ? b->flags : VU_VERSION, b->size};
	uint32_t len = MIN(b->size, (uint32_t)sizeof(b->payload));
	int fds[8];
	int r;

	/* A size that promises more than comes: the rest never does. */
	for (unsigned int i = 0; i < b->fds; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	if (len == b->size) {
		r = fe_send(&vm->fe, &h, b->payload, fds, b->fds);
	} else {
		r = fe_send(&vm->fe, &h, NULL, fds, b->fds);
	}
	for (unsigned int i = 0; i < b->fds; i++)
		close(fds[i]);
	return r;
}

/* Whatever comes back: an answer, a closed connection, nothing. */
static void drain_answers(struct vm *vm)
{
	uint8_t buf[600];
	uint32_t len = sizeof(buf);

	vm->fe.timeout_ms = 10;
	fe_receive(&vm->fe, 0, buf, &len, NULL);
}

static void bad_messages(void **state)
{
	struct vm *vm = *state;
	unsigned int fds;

	test_boot(vm, NULL, NULL);
	vm_disconnect(vm);
	test_come_back(vm);
	fds = test_server_fds(vm);
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
		if (!bad[i].late) {
			vm_disconnect(vm);
			OK(vm_connect(vm));
		}
		OK(send_bad(vm, &bad[i]));
		drain_answers(vm);
		vm_disconnect(vm);
		if (spawn_check(&vm->daemon, &vm->err))
			fail_msg("%s: %s", bad[i].what, vm->err.text);
		test_come_back(vm);
		if (test_server_fds(vm) > fds)
			fail_msg("%s: a descriptor is left behind", bad[i].what);
	}
}

/* Pieces of messages, in pieces, and a hang-up in the middle of each. */
static void torn_messages(void **state)
{
	static const struct vu_header h = {VU_SET_FEATURES, VU_VERSION, 8};
	struct vm *vm = *state;
	uint8_t bytes[20] = {0};

	memcpy(bytes, &h, sizeof(h));
	test_boot(vm, NULL, NULL);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		vm_disconnect(vm);
		OK(vm_connect(vm));
		for (size_t i = 0; i < n; i++)
			assert_int_equal(write(vm->fe.sock, bytes + i, 1), 1);
	}
	vm_disconnect(vm);
	test_come_back(vm);
}

/* Messages in any order that makes sense to nobody: nothing hangs, nothing dies. */
static void random_messages(void **state)
{
	struct vm *vm = *state;
	uint32_t seed[64];

	test_boot(vm, NULL, NULL);
	for (unsigned int round = 0; round < 60; round++) {
		test_pattern(seed, sizeof(seed), round);
		for (unsigned int i = 0; i + 3 < ARRAY_LEN(seed); i += 4) {
			struct bad_message b = {"random", seed[i] % 42, 0, 0};

			b.size = (uint32_t[]){0, 8, 16, 40}[seed[i + 1] % 4];
			b.fds = seed[i + 1] / 4 % 3;
			b.payload[0] = seed[i + 2] % 4 | (uint64_t)(seed[i + 3] % 300) << 32;
			b.payload[1] = (uintptr_t)vm->queue[1].desc;
			b.payload[2] = (uintptr_t)vm->queue[1].used + (seed[i + 3] & 8);
			b.payload[3] = (uintptr_t)vm->queue[1].avail;
			if (send_bad(vm, &b))
				break;
		}
		vm_disconnect(vm);
		if (spawn_check(&vm->daemon, &vm->err))
			fail_msg("round %u: %s", round, vm->err.text);
		test_come_back(vm);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(bad_messages),
		TEST_OWN(torn_messages),
		TEST_OWN(random_messages),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
