/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Front-ends that break the protocol, each a case with a name: it costs them their connection at most, or
 * they are told no if they asked. The daemon goes on, keeps no descriptor of theirs, and serves the next one.
 */
#include "hostile.h"

#include <assert.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CASES_MAX 600

struct vm hostile;
static unsigned int usual_fds;
static pid_t server; /* that serves, and shall not be another one's heir */

static int memory(off_t size, bool sealed)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, size), 0);
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static int file(int flags)
{
	int fd = openat(hostile.daemon.share, "../file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	return openat(hostile.daemon.share, "../file", flags | O_CLOEXEC);
}

/* One end of a pair; the other goes, unless the pair is to be full. */
static int half(int pair[2], unsigned int keep, bool full)
{
	static int other = -1;
	char junk[4096] = "";

	if (other >= 0)
		close(other);
	other = -1;
	while (full && write(pair[keep], junk, sizeof(junk)) > 0)
		;
	if (full)
		other = pair[!keep];
	else
		close(pair[!keep]);
	return pair[keep];
}

static int open_pipe(unsigned int keep, bool full)
{
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	return half(pair, keep, full);
}

static int open_socket(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	return half(pair, 0, false);
}

int hostile_open(enum hostile_fd kind)
{
	switch (kind) {
	case FD_NONE:
		break;
	case FD_EVENT:
		return eventfd(0, EFD_CLOEXEC);
	case FD_DIR:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case FD_FILE:
		return file(O_RDWR);
	case FD_FILE_READ:
		return file(O_RDONLY);
	case FD_PATH:
		return file(O_PATH);
	case FD_EMPTY:
		return memory(0, false);
	case FD_MEM:
		return memory(1 << 20, false);
	case FD_SEALED:
		return memory(1 << 20, true);
	case FD_VAST:
		return memory(1l << 62, false);
	case FD_PIPE_IN:
		return open_pipe(0, false);
	case FD_PIPE_OUT:
		return open_pipe(1, false);
	case FD_PIPE_FULL:
		return open_pipe(1, true);
	case FD_SOCKET:
		return open_socket();
	case FD_SELF:
		return fcntl(hostile.fe.sock, F_DUPFD_CLOEXEC, 0);
	case FD_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case FD_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FD_ZERO:
		return open("/dev/zero", O_RDWR | O_CLOEXEC);
	case FD_FULL:
		return open("/dev/full", O_RDWR | O_CLOEXEC);
	}
	return -1;
}

static uint64_t resolve(uint64_t v)
{
	const struct drv_queue *q = &hostile.queue[1];
	uint64_t off = v & ~AT_MASK;

	switch (v & AT_MASK) {
	case AT_DESC:
		return (uintptr_t)q->desc + off;
	case AT_AVAIL:
		return (uintptr_t)q->avail + off;
	case AT_USED:
		return (uintptr_t)q->used + off;
	case AT_LOW:
		return (uintptr_t)hostile.gm.region[0].host + off;
	default:
		return v;
	}
}

/* What a size promises that is not there never comes. */
int hostile_send(const struct hostile_message *m, bool ask)
{
	struct vu_header h = {m->request, m->flags ? m->flags : VU_VERSION, m->size};
	unsigned int fds = m->fd ? MAX(m->fds, 1u) : 0;
	uint64_t payload[ARRAY_LEN(m->payload)];
	int fd[16] = {0}, r;

	h.flags |= ask ? VU_NEED_REPLY : 0;
	for (unsigned int i = 0; i < ARRAY_LEN(payload); i++)
		payload[i] = resolve(m->payload[i]);
	for (unsigned int i = 0; i < fds; i++)
		fd[i] = hostile_open(m->fd);
	r = fe_send(&hostile.fe, &h, m->size <= sizeof(payload) ? payload : NULL, fd, fds);
	for (unsigned int i = 0; i < fds; i++)
		close(fd[i]);
	return r;
}

void hostile_poke(void)
{
	struct drv_queue *q = &hostile.queue[1];
	struct raw r;

	raw_make(&hostile, &r, -1);
	if (drv_add(q, r.seg, r.nin, r.nout, NULL, &r))
		return;
	drv_want_call(q);
	drv_kick_always(q);
	usleep(2000);
}

static enum hostile_end what_comes(int wait_ms, uint64_t *value)
{
	struct pollfd p = {.fd = hostile.fe.sock, .events = POLLIN};
	struct {
		struct vu_header h;
		uint8_t data[sizeof(struct vu_config)];
	} answer = {0};
	ssize_t n = poll(&p, 1, wait_ms) > 0 ? recv(p.fd, &answer, sizeof(answer), MSG_DONTWAIT) : -2;

	memcpy(value, answer.data, sizeof(*value));
	if (n == -2)
		return SILENT;
	return n > 0 ? ANSWERED : CLOSED;
}

/* It is as if nothing had been said: another message is answered as ever. */
static void expect_silence(const struct hostile_message *m)
{
	uint64_t v;

	if (m->size > sizeof(m->payload))
		assert_int_equal(what_comes(20, &v), SILENT);
	else
		OK(fe_ask_u64(&hostile.fe, VU_GET_FEATURES, &v));
}

static void prepare(enum hostile_when when)
{
	vm_disconnect(&hostile);
	if (when == FIRST)
		OK(fe_connect(&hostile.fe, hostile.daemon.socket_path, TEST_PATIENCE_MS));
	else if (when == EARLY)
		OK(vm_connect(&hostile));
	else
		test_come_back(&hostile);
}

static void run(const struct hostile_message *m, bool ask)
{
	uint64_t value;

	prepare(m->when);
	OK(hostile_send(m, ask));
	if (m->when == LATE)
		hostile_poke();
	if (ask) {
		enum hostile_end end = what_comes(TEST_PATIENCE_MS, &value);

		assert_true(end == CLOSED || (end == ANSWERED && value));
	} else if (m->end == SILENT) {
		expect_silence(m);
	} else if (m->end == ANY) {
		what_comes(10, &value);
	} else {
		assert_int_equal(what_comes(TEST_PATIENCE_MS, &value), m->end);
	}
}

struct one {
	char name[100];
	const struct hostile_message *message;
	bool ask;
};
static struct one cases[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX + 40];
static unsigned int ncases, ntests;

static void run_case(void **state)
{
	const struct one *c = *state;

	run(c->message, c->ask);
}

/* The next front-end is served, and of this one nothing is left. */
static int check(void **state)
{
	struct fuse_attr_out a;

	(void)state;
	vm_disconnect(&hostile);
	if (spawn_check(&hostile.daemon, &hostile.err)) {
		fprintf(stderr, "%s\n", hostile.err.text);
		spawn_show_log(&hostile.daemon);
		return -1;
	}
	test_come_back(&hostile);
	assert_int_equal(spawn_server_pid(&hostile.daemon), server);
	OK(fc_getattr(&hostile.client[1], FUSE_ROOT_ID, 0, &a));
	assert_true(test_server_fds(&hostile) <= usual_fds);
	return 0;
}

static void add(const struct hostile_message *m, bool ask)
{
	struct one *c = &cases[ncases++];

	assert(ncases <= CASES_MAX);
	c->message = m;
	c->ask = ask;
	snprintf(c->name, sizeof(c->name), "%s%s", m->what, ask ? ", with a reply" : "");
	tests[ntests++] = (struct CMUnitTest){c->name, run_case, NULL, check, c};
}

/* What comes before there are rings is the same for both kinds. */
static void add_all(bool early)
{
	ncases = ntests = 0;
	for (unsigned int i = 0; i < hostile_messages_count; i++) {
		if (hostile_messages[i].when != LATE && !early)
			continue;
		add(&hostile_messages[i], false);
		if (hostile_messages[i].end == CLOSED && hostile_messages[i].when != FIRST)
			add(&hostile_messages[i], true);
	}
	for (unsigned int i = 0; i < hostile_habits_count; i++) {
		tests[ntests] = hostile_habits[i];
		tests[ntests++].teardown_func = check;
	}
}

/*
 * Every message, with a byte or a descriptor less than belong to it, and with one more.
 */
struct extent {
	const char *what;
	uint32_t request;
	uint32_t min, max; /* bytes */
	unsigned int min_fds, max_fds;
};
static const struct extent extents[] = {
	{"GET_FEATURES", VU_GET_FEATURES, 0, 0, 0, 0},
	{"SET_FEATURES", VU_SET_FEATURES, 8, 8, 0, 0},
	{"SET_OWNER", VU_SET_OWNER, 0, 0, 0, 0},
	{"RESET_OWNER", VU_RESET_OWNER, 0, 0, 0, 0},
	{"SET_MEM_TABLE", VU_SET_MEM_TABLE, 8, 1032, 0, 8},
	{"SET_LOG_BASE", VU_SET_LOG_BASE, 16, 16, 1, 1},
	{"SET_LOG_FD", VU_SET_LOG_FD, 0, 8, 0, 1},
	{"SET_VRING_NUM", VU_SET_VRING_NUM, 8, 8, 0, 0},
	{"SET_VRING_ADDR", VU_SET_VRING_ADDR, 40, 40, 0, 0},
	{"SET_VRING_BASE", VU_SET_VRING_BASE, 8, 8, 0, 0},
	{"GET_VRING_BASE", VU_GET_VRING_BASE, 8, 8, 0, 0},
	{"SET_VRING_KICK", VU_SET_VRING_KICK, 8, 8, 0, 1},
	{"SET_VRING_CALL", VU_SET_VRING_CALL, 8, 8, 0, 1},
	{"SET_VRING_ERR", VU_SET_VRING_ERR, 8, 8, 0, 1},
	{"GET_PROTOCOL_FEATURES", VU_GET_PROTOCOL_FEATURES, 0, 0, 0, 0},
	{"SET_PROTOCOL_FEATURES", VU_SET_PROTOCOL_FEATURES, 8, 8, 0, 0},
	{"GET_QUEUE_NUM", VU_GET_QUEUE_NUM, 0, 0, 0, 0},
	{"SET_VRING_ENABLE", VU_SET_VRING_ENABLE, 8, 8, 0, 0},
	{"SET_BACKEND_REQ_FD", VU_SET_BACKEND_REQ_FD, 0, 8, 1, 1},
	{"GET_CONFIG", VU_GET_CONFIG, 12, 268, 0, 0},
	{"SET_CONFIG", VU_SET_CONFIG, 12, 268, 0, 0},
	{"GET_INFLIGHT_FD", VU_GET_INFLIGHT_FD, 20, 24, 0, 0},
	{"SET_INFLIGHT_FD", VU_SET_INFLIGHT_FD, 20, 24, 1, 1},
	{"RESET_DEVICE", VU_RESET_DEVICE, 0, 0, 0, 0},
	{"GET_MAX_MEM_SLOTS", VU_GET_MAX_MEM_SLOTS, 0, 0, 0, 0},
	{"ADD_MEM_REG", VU_ADD_MEM_REG, 40, 40, 1, 1},
	{"REM_MEM_REG", VU_REM_MEM_REG, 40, 40, 0, 1},
	{"SET_STATUS", VU_SET_STATUS, 8, 8, 0, 0},
	{"GET_STATUS", VU_GET_STATUS, 0, 0, 0, 0},
	{"SET_DEVICE_STATE_FD", VU_SET_DEVICE_STATE_FD, 8, 8, 1, 1},
	{"CHECK_DEVICE_STATE", VU_CHECK_DEVICE_STATE, 0, 0, 0, 0},
};
static struct hostile_message beyond[ARRAY_LEN(extents) * 4];
static unsigned int nbeyond;

static void add_beyond(const struct extent *e, const char *what, uint32_t size, unsigned int fds)
{
	static char names[ARRAY_LEN(beyond)][64];
	struct hostile_message *m = &beyond[nbeyond];

	snprintf(names[nbeyond], sizeof(names[0]), "%s, %s", e->what, what);
	*m = (struct hostile_message){names[nbeyond++], EARLY, CLOSED, e->request, size};
	m->fd = fds ? FD_EVENT : FD_NONE;
	m->fds = fds;
	add(m, false);
}

static void add_extents(void)
{
	for (unsigned int i = 0; i < ARRAY_LEN(extents); i++) {
		const struct extent *e = &extents[i];

		if (e->min)
			add_beyond(e, "a byte less", e->min - 1, e->min_fds);
		if (e->max < sizeof(beyond[0].payload)) /* of more it would wait for the rest */
			add_beyond(e, "a byte more", e->max + 1, e->min_fds);
		if (e->min_fds)
			add_beyond(e, "a descriptor less", e->min, e->min_fds - 1);
		add_beyond(e, "a descriptor more", e->min, e->max_fds + 1);
	}
}

static uint64_t features;

static int set_up(void **state)
{
	static const struct vm_config cfg = {
		.queues = 1, .size = 128, .memory = 1 << 20, .client = {.max_data = 4096, .depth = 64}};
	struct vm_config c = cfg;

	(void)state;
	c.features = features;
	test_boot(&hostile, &c, NULL);
	vm_disconnect(&hostile);
	test_come_back(&hostile);
	usual_fds = test_server_fds(&hostile);
	server = spawn_server_pid(&hostile.daemon);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	test_end(&hostile);
	return 0;
}

int main(void)
{
	int failed;

	add_all(true);
	add_extents();
	alarm(TEST_MOST_SECONDS);
	features = VM_FEATURES;
	failed = _cmocka_run_group_tests("hostile, split ring", tests, ntests, set_up, tear_down);
	add_all(false);
	features = VM_FEATURES | VU_BIT(VU_F_RING_PACKED);
	return failed + _cmocka_run_group_tests("hostile, packed ring", tests, ntests, set_up, tear_down);
}
