/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end and an owner for the tests of src/vhost: see vhost_peer.h. */
#include "vhost_peer.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

unsigned int peer_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int peer_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int owner_start(void *arg, unsigned int i, const struct vhost_vq *vq, struct mem_map *mem,
	struct mem_log *log, struct err *err)
{
	struct peer *p = arg;
	struct peer_queue *q = &p->q[i];

	assert_true(i < PEER_QUEUES);
	assert_false(q->running);
	assert_non_null(mem);
	if (p->fail_start)
		return err_set(err, p->fail_start, "the test says no");
	q->running = true;
	q->starts++;
	q->vq = *vq;
	q->mem = mem;
	q->log = log;
	return 0;
}

static uint32_t owner_stop(void *arg, unsigned int i)
{
	struct peer *p = arg;
	struct peer_queue *q = &p->q[i];

	assert_true(q->running);
	q->running = false;
	q->stops++;
	return q->stop_base;
}

static int owner_remap(void *arg, unsigned int i, struct mem_map *mem, struct mem_log *log,
	struct gpa log_addr, struct err *err)
{
	struct peer *p = arg;
	struct peer_queue *q = &p->q[i];

	assert_true(q->running);
	if (p->fail_remap)
		return err_set(err, p->fail_remap, "the test says no");
	q->remaps++;
	q->vq.ring.log_addr = log_addr;
	q->mem = mem;
	q->log = log;
	return 0;
}

static void owner_set_call(void *arg, unsigned int i, int call)
{
	struct peer *p = arg;

	assert_true(p->q[i].running);
	p->q[i].calls_set++;
	p->q[i].vq.call = call;
}

static void owner_reset(void *arg)
{
	struct peer *p = arg;

	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		assert_false(p->q[i].running);
	p->resets++;
}

static const struct vhost_ops owner_ops = {
	.vq_start = owner_start,
	.vq_stop = owner_stop,
	.vq_remap = owner_remap,
	.vq_set_call = owner_set_call,
	.reset = owner_reset,
};

struct peer *peer_new(const struct vhost_config *cfg)
{
	static const struct vhost_config plain = {
		.tag = PEER_TAG, .request_queues = PEER_REQUEST_QUEUES, .packed = true};
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->open_before = (int)peer_open_fds();
	p->memory = memfd_create("guest", MFD_CLOEXEC);
	assert_true(p->memory >= 0);
	assert_int_equal(ftruncate(p->memory, PEER_MEMORY), 0);
	p->device = vhost_device_new(cfg ? cfg : &plain, &owner_ops, p);
	assert_non_null(p->device);
	assert_int_equal(vhost_device_fd(p->device), -1);
	p->sock = -1;
	peer_connect(p);
	return p;
}

void peer_connect(struct peer *p)
{
	int pair[2];

	assert_int_equal(p->sock, -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->sock = pair[0];
	vhost_device_connect(p->device, pair[1]);
	assert_int_equal(vhost_device_fd(p->device), pair[1]);
}

void peer_disconnect(struct peer *p)
{
	unsigned int resets = p->resets;

	cleanup_fd(&p->sock);
	p->sock = -1;
	vhost_device_disconnect(p->device);
	assert_int_equal(p->resets, resets + 1);
	vhost_device_disconnect(p->device);
	assert_int_equal(p->resets, resets + 1);
	assert_int_equal(vhost_device_fd(p->device), -1);
}

void peer_end(struct peer *p)
{
	int before = p->open_before;

	cleanup_fd(&p->sock);
	vhost_device_free(p->device);
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		assert_false(p->q[i].running);
	cleanup_fd(&p->memory);
	free(p);
	assert_int_equal(peer_open_fds(), before);
}

void peer_write(struct peer *p, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	char control[CMSG_SPACE(sizeof(int) * PEER_MAX_FDS)] __attribute__((aligned(8))) = {0};
	struct iovec iov;
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&iov.iov_base, &buf, sizeof(buf));
	iov.iov_len = len;
	assert_true(nfds <= PEER_MAX_FDS);
	if (nfds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(p->sock, &hdr, MSG_NOSIGNAL), len);
}

void peer_send(struct peer *p, const struct peer_message *m)
{
	uint8_t buf[sizeof(struct wire_header) + 8192];
	struct wire_header head = {.request = m->request, .flags = WIRE_VERSION | m->flags, .size = m->size};

	assert_true(m->size <= 8192);
	memcpy(buf, &head, sizeof(head));
	if (m->size)
		memcpy(buf + sizeof(head), m->payload, m->size);
	peer_write(p, buf, sizeof(head) + m->size, m->fds, m->nfds);
}

int peer_serve(struct peer *p)
{
	p->err.text[0] = '\0';
	return vhost_device_serve(p->device, &p->err);
}

static void send_one(struct peer *p, struct peer_message m, int fd)
{
	m.fds = &fd;
	m.nfds = fd >= 0;
	peer_send(p, &m);
}

void peer_tell(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd)
{
	int r;

	send_one(p, (struct peer_message){.request = request, .payload = payload, .size = size}, fd);
	r = peer_serve(p);
	if (r != 1)
		fail_msg("message %u: %d: %s", request, r, p->err.text);
	peer_expect_silence(p);
}

void peer_tell_u64(struct peer *p, uint32_t request, uint64_t value, int fd)
{
	peer_tell(p, request, &value, sizeof(value), fd);
}

void peer_tell_state(struct peer *p, uint32_t request, uint32_t index, uint32_t num)
{
	struct wire_vring_state state = {index, num};

	peer_tell(p, request, &state, sizeof(state), -1);
}

void peer_ask(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd, uint64_t ack)
{
	struct peer_message m = {
		.request = request, .flags = WIRE_NEED_REPLY, .payload = payload, .size = size};

	send_one(p, m, fd);
	assert_int_equal(peer_serve(p), 1);
	peer_expect_u64(p, request, ack);
	peer_expect_silence(p);
}

void peer_refused(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd)
{
	send_one(p, (struct peer_message){.request = request, .payload = payload, .size = size}, fd);
	assert_true(peer_serve(p) < 0);
	assert_true(strlen(p->err.text) > 0);
	peer_expect_silence(p);
}

void peer_expect(struct peer *p, uint32_t request, const void *payload, uint32_t size)
{
	struct wire_header want = {.request = request, .flags = WIRE_VERSION | WIRE_REPLY, .size = size};
	uint8_t buf[sizeof(want) + 1024];
	ssize_t n;

	assert_true(size <= 1024);
	n = recv(p->sock, buf, sizeof(want) + size, MSG_DONTWAIT);
	assert_int_equal(n, sizeof(want) + size);
	assert_memory_equal(buf, &want, sizeof(want));
	if (size)
		assert_memory_equal(buf + sizeof(want), payload, size);
}

void peer_expect_u64(struct peer *p, uint32_t request, uint64_t value)
{
	peer_expect(p, request, &value, sizeof(value));
}

void peer_expect_silence(struct peer *p)
{
	char c;

	assert_int_equal(recv(p->sock, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static uint64_t get_u64(struct peer *p, uint32_t request)
{
	struct {
		struct wire_header head;
		uint64_t value;
	} __attribute__((packed)) reply;

	send_one(p, (struct peer_message){.request = request}, -1);
	assert_int_equal(peer_serve(p), 1);
	assert_int_equal(recv(p->sock, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	return reply.value;
}

void peer_negotiate(struct peer *p, uint64_t features)
{
	uint64_t offered = get_u64(p, WIRE_GET_FEATURES);
	uint64_t protocol = get_u64(p, WIRE_GET_PROTOCOL_FEATURES);

	assert_true(offered & WIRE_F_PROTOCOL_FEATURES);
	assert_int_equal(features & ~offered, 0);
	peer_tell_u64(p, WIRE_SET_PROTOCOL_FEATURES, protocol, -1);
	peer_tell_u64(p, WIRE_SET_FEATURES, WIRE_F_VERSION_1 | features, -1);
}

struct wire_region peer_region(uint64_t gpa, uint64_t size)
{
	return (struct wire_region){.gpa = gpa, .size = size, .fva = PEER_FVA + gpa, .mmap_offset = gpa};
}

void peer_tell_memory(struct peer *p)
{
	struct {
		struct wire_regions head;
		struct wire_region region;
	} table = {{1, 0}, peer_region(0, PEER_MEMORY)};

	peer_tell(p, WIRE_SET_MEM_TABLE, &table, sizeof(table), p->memory);
}

struct wire_vring_addr peer_addr(unsigned int i)
{
	uint64_t at = i * UINT64_C(16384);

	return (struct wire_vring_addr){.index = i,
		.desc = PEER_FVA + at,
		.avail = PEER_FVA + at + 4096,
		.used = PEER_FVA + at + 8192,
		.log = at + 8192};
}

void peer_tell_ring(struct peer *p, unsigned int i, uint32_t base)
{
	struct wire_vring_addr addr = peer_addr(i);
	autofd int call = peer_eventfd();
	autofd int kick = peer_eventfd();

	peer_tell_state(p, WIRE_SET_VRING_NUM, i, 128);
	peer_tell_state(p, WIRE_SET_VRING_BASE, i, base);
	peer_tell(p, WIRE_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	peer_tell_u64(p, WIRE_SET_VRING_CALL, i, call);
	peer_tell_u64(p, WIRE_SET_VRING_KICK, i, kick);
}
