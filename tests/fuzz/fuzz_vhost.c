/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile front-end: the input is a script of messages, raw bytes, writes to guest memory and kicks. The
 * owner runs real rings, so what the device lets through reaches them. Each input ends with as many open
 * descriptors as it began.
 *
 * A step is one byte, then what it takes:
 *   00-3f  message of that number: flags, length, payload. Flags: 1 need_reply, 2 wrong version, 4 a reply, 8
 * the header says one byte more; bits 4-5 number of descriptors, bits 6-7 their kind (memfd, eventfd, pipe,
 * file) 40-7f  raw: length, bytes        80-bf  guest memory: page and offset / 16, length, bytes c0-df queue
 * (low 2 bits) is kicked        e0-ff  by its low 2 bits: the owner fails or not to start, to remap, the
 *          front-end closes and another comes
 */
#include "fuzz.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/log.h"
#include "vhost/device.h"
#include "vhost/wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define QUEUES	    4
#define MEMORY_SIZE (1 << 20)
#define FD_KINDS    4

struct front_end {
	struct vhost_device *device;
	int sock;
	int fds[FD_KINDS]; /* what it sends; the first is guest memory */
	struct vring *ring[QUEUES];
	bool running[QUEUES];
	bool fail_start;
	bool fail_remap;
};

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	fuzz_require(dir != NULL);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int owner_start(void *arg, unsigned int i, const struct vhost_vq *vq, struct mem_map *mem,
	struct mem_log *log, struct err *err)
{
	struct front_end *f = arg;
	int r;

	fuzz_require(i < QUEUES && !f->running[i]);
	fuzz_require(vq->kick < 0 || fcntl(vq->kick, F_GETFD) >= 0);
	fuzz_require(vq->call < 0 || fcntl(vq->call, F_GETFD) >= 0);
	fuzz_require(vq->err < 0 || fcntl(vq->err, F_GETFD) >= 0);
	if (f->fail_start)
		return err_set(err, EAGAIN, "told to fail");
	r = vring_start(f->ring[i], &vq->ring, vq->base, mem, log, err);
	f->running[i] = !r;
	return r;
}

static uint32_t owner_stop(void *arg, unsigned int i)
{
	struct front_end *f = arg;

	fuzz_require(i < QUEUES && f->running[i]);
	f->running[i] = false;
	return vring_stop(f->ring[i]);
}

static int owner_remap(void *arg, unsigned int i, struct mem_map *mem, struct mem_log *log,
	struct gpa log_addr, struct err *err)
{
	struct front_end *f = arg;

	fuzz_require(i < QUEUES && f->running[i]);
	if (f->fail_remap)
		return err_set(err, ENOMEM, "told to fail");
	return vring_remap(f->ring[i], mem, log, log_addr, err);
}

static void owner_set_call(void *arg, unsigned int i, int call)
{
	struct front_end *f = arg;

	fuzz_require(i < QUEUES && f->running[i]);
	fuzz_require(call < 0 || fcntl(call, F_GETFD) >= 0);
}

static void owner_reset(void *arg)
{
	struct front_end *f = arg;

	for (unsigned int i = 0; i < QUEUES; i++)
		fuzz_require(!f->running[i]);
}

static const struct vhost_ops owner_ops = {
	.vq_start = owner_start,
	.vq_stop = owner_stop,
	.vq_remap = owner_remap,
	.vq_set_call = owner_set_call,
	.reset = owner_reset,
};

static void connect_device(struct front_end *f)
{
	int pair[2];

	fuzz_require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->sock = pair[0];
	vhost_device_connect(f->device, pair[1]);
}

static void disconnect_device(struct front_end *f)
{
	cleanup_fd(&f->sock);
	vhost_device_disconnect(f->device);
	fuzz_require(vhost_device_fd(f->device) == -1);
}

static void reconnect(struct front_end *f)
{
	disconnect_device(f);
	connect_device(f);
}

/* Serves what is there; a connection that ended is followed by the next. */
static void serve(struct front_end *f)
{
	char answers[4096];

	for (unsigned int i = 0; i < 64; i++) {
		struct err err = {0};
		int r = vhost_device_serve(f->device, &err);

		fuzz_require(r >= 0 || err.text[0]);
		while (recv(f->sock, answers, sizeof(answers), MSG_DONTWAIT) > 0)
			;
		if (r <= 0) {
			reconnect(f);
			return;
		}
	}
}

static void send_bytes(struct front_end *f, const void *buf, size_t len, unsigned int nfds, unsigned int kind)
{
	char control[CMSG_SPACE(sizeof(int) * 3)] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&iov.iov_base, &buf, sizeof(buf));
	if (nfds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned int i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &f->fds[kind], sizeof(int));
	}
	fuzz_require(sendmsg(f->sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
}

static uint8_t take_byte(struct cursor *c)
{
	const uint8_t *b = cursor_take(c, 1);

	return b ? *b : 0;
}

/* A length, and as many bytes as there are of it. */
static const uint8_t *take_bytes(struct cursor *c, size_t *len)
{
	*len = take_byte(c);
	*len = MIN(*len, cursor_left(c));
	return cursor_take(c, *len);
}

static void step_message(struct front_end *f, uint8_t request, struct cursor *c)
{
	uint8_t buf[sizeof(struct wire_header) + UINT8_MAX];
	uint8_t flags = take_byte(c);
	size_t len;
	const uint8_t *payload = take_bytes(c, &len);
	struct wire_header head = {.request = request,
		.flags = (flags & 2 ? 2 : WIRE_VERSION) | (flags & 4 ? WIRE_REPLY : 0) |
			 (flags & 1 ? WIRE_NEED_REPLY : 0),
		.size = (uint32_t)len + (flags & 8 ? 1 : 0)};

	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), payload, len);
	send_bytes(f, buf, sizeof(head) + len, flags >> 4 & 3, flags >> 6);
	serve(f);
}

static void step_raw(struct front_end *f, struct cursor *c)
{
	size_t len;
	const uint8_t *bytes = take_bytes(c, &len);

	if (!len)
		return;
	send_bytes(f, bytes, len, 0, 0);
	serve(f);
}

static void step_memory(struct front_end *f, struct cursor *c)
{
	off_t at = take_byte(c) * 4096 + take_byte(c) * 16;
	size_t len;
	const uint8_t *bytes = take_bytes(c, &len);

	fuzz_require(pwrite(f->fds[0], bytes, len, at) == (ssize_t)len);
}

static void step_kick(struct front_end *f, unsigned int i)
{
	struct iovec iov[64];
	struct vring_chain chain = {.iov = iov, .max = ARRAY_LEN(iov)};

	if (!f->running[i])
		return;
	for (unsigned int n = 0; n < 64 && vring_pop(f->ring[i], &chain) == 1; n++) {
		fuzz_require(chain.nin + chain.nout <= chain.max);
		for (unsigned int k = 0; k < chain.nout; k++)
			memset(iov[chain.nin + k].iov_base, 0xa5,
				MIN(iov[chain.nin + k].iov_len, (size_t)4096));
		vring_push(f->ring[i], &chain, 1);
	}
	vring_wants_call(f->ring[i]);
	vring_want_kick(f->ring[i]);
}

static void step_owner(struct front_end *f, unsigned int what)
{
	if (what == 0)
		f->fail_start = !f->fail_start;
	else if (what == 1)
		f->fail_remap = !f->fail_remap;
	else
		reconnect(f);
}

static void step(struct front_end *f, struct cursor *c)
{
	uint8_t op = take_byte(c);

	if (op < 0x40)
		step_message(f, op, c);
	else if (op < 0x80)
		step_raw(f, c);
	else if (op < 0xc0)
		step_memory(f, c);
	else if (op < 0xe0)
		step_kick(f, op & 3);
	else
		step_owner(f, op & 3);
}

static void front_end_open(struct front_end *f)
{
	static const struct vhost_config cfg = {.tag = "t", .request_queues = QUEUES - 1, .packed = true};
	int pipes[2];

	f->fds[0] = memfd_create("guest", MFD_CLOEXEC);
	fuzz_require(!ftruncate(f->fds[0], MEMORY_SIZE));
	f->fds[1] = eventfd(0, EFD_CLOEXEC);
	fuzz_require(!pipe2(pipes, O_CLOEXEC));
	close(pipes[0]);
	f->fds[2] = pipes[1];
	f->fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (unsigned int i = 0; i < QUEUES; i++)
		f->ring[i] = vring_new();
	f->device = vhost_device_new(&cfg, &owner_ops, f);
	fuzz_require(f->device != NULL);
	connect_device(f);
}

static void front_end_close(struct front_end *f)
{
	cleanup_fd(&f->sock);
	vhost_device_free(f->device);
	for (unsigned int i = 0; i < QUEUES; i++)
		vring_free(f->ring[i]);
	for (unsigned int i = 0; i < FD_KINDS; i++)
		cleanup_fd(&f->fds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct front_end f = {0};
	unsigned int before = count_fds();

	log_setup(LOG_LEVEL_OFF, false, "fuzz");
	front_end_open(&f);
	for (unsigned int steps = 0; cursor_left(&c) && steps < 400; steps++)
		step(&f, &c);
	front_end_close(&f);
	fuzz_require(count_fds() == before);
	return 0;
}
