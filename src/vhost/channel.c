/* SPDX-License-Identifier: BSD-3-Clause */
/* The back-end's own requests: see channel.h. */
#include "vhost/channel.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NSEC		  INT64_C(1000000000)
#define ANSWER_NS	  (5 * NSEC)
#define ANSWER_SLOW_NS	  (NSEC / 2) /* of a front-end that let us wait before */
#define ANSWER_HURRIED_NS NSEC
#define MEMORY_FIRST_NS	  (NSEC / 4)   /* how long the first memory messages may take */
#define MEMORY_LEAST_NS	  (NSEC / 500) /* and the later ones, at least */
#define MEMORY_TRIES	  3	       /* this often in vain, and none is expected any more */

enum { ASKED_NOTHING, ASKED_PERHAPS, ASKED }; /* struct channel_asked: perhaps it was not even sent */

struct request {
	struct wire_header head;
	struct wire_shmem map;
} __attribute__((packed));
_Static_assert(
	sizeof(struct request) == sizeof(struct wire_header) + sizeof(struct wire_shmem), "no padding");

static int64_t now_ns(void)
{
	return (int64_t)clock_ns();
}

void channel_init(struct channel *ch, struct channel_asked *asked)
{
	*ch = (struct channel){.fd = -1};
	ch->asked = asked ? asked : &ch->own;
	pthread_mutex_init(&ch->lock, NULL);
	pthread_mutex_init(&ch->seen_lock, NULL);
	pthread_cond_init(&ch->seen, NULL);
}

void channel_destroy(struct channel *ch)
{
	channel_set(ch, -1);
	pthread_cond_destroy(&ch->seen);
	pthread_mutex_destroy(&ch->seen_lock);
	pthread_mutex_destroy(&ch->lock);
}

void channel_set(struct channel *ch, int fd)
{
	int old = channel_take(ch, fd);

	cleanup_fd(&old);
}

int channel_take(struct channel *ch, int fd)
{
	int old;

	if (atomic_load(&ch->fd) >= 0)
		shutdown(
			atomic_load(&ch->fd), SHUT_RDWR); /* wakes who waits for an answer; a pipe has none */
	autolock(&ch->lock);
	old = atomic_exchange(&ch->fd, fd);
	ch->asked->state = ASKED_NOTHING;
	ch->slow = false;
	channel_hurry(ch, false);
	autolock(&ch->seen_lock);
	ch->missed = 0;
	ch->longest_ns = 0;
	return old;
}

void channel_adopt(struct channel *ch, int fd)
{
	atomic_store(&ch->fd, fd);
}

void channel_hurry(struct channel *ch, bool hurried)
{
	atomic_store(&ch->hurried, hurried);
}

void channel_memory_told(struct channel *ch)
{
	autolock(&ch->seen_lock);
	ch->tables++;
	pthread_cond_broadcast(&ch->seen);
}

/* Waits for @events. 0, -ETIMEDOUT or -EINTR. */
static int await(int fd, short events, int64_t deadline, const _Atomic bool *cancelled)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline - now_ns();
		struct timespec t = {.tv_sec = left / NSEC, .tv_nsec = left % NSEC};
		int n;

		if (cancelled && atomic_load(cancelled))
			return -EINTR;
		if (left <= 0)
			return -ETIMEDOUT;
		n = ppoll(&p, 1, &t, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -ENODEV;
	}
}

/* One piece that goes out whole or not at all, as a socket's buffer has room for it or not. */
static int send_request(int sock, const struct request *rq, int fd, int64_t deadline)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)rq, .iov_len = sizeof(*rq)};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		*c = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		hdr.msg_control = control;
		hdr.msg_controllen = sizeof(control);
	}
	for (;;) {
		int r = await(sock, POLLOUT, deadline, NULL);

		if (r)
			return r;
		n = sendmsg(sock, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == (ssize_t)sizeof(*rq))
			return 0;
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return -ENODEV;
	}
}

/*
 * The answer to a request. 0, -EREMOTEIO, -ENODEV; -ETIMEDOUT or -EINTR: nothing of it was taken. Answers are
 * a few bytes, which come at once.
 */
static int receive_answer(int sock, uint32_t request, int64_t deadline, const _Atomic bool *cancelled)
{
	struct {
		struct wire_header head;
		uint8_t value[sizeof(uint64_t)];
	} a; /* no padding: all but the value are 32 bits */
	uint64_t value;
	ssize_t n;
	int r;

	do {
		r = await(sock, POLLIN, deadline, cancelled);
		if (r)
			return r;
		n = recv(sock, &a, sizeof(a), MSG_DONTWAIT | MSG_PEEK);
		if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -ENODEV;
		if (n > 0 && n < (ssize_t)sizeof(a))
			poll(NULL, 0, 1); /* the rest is on its way */
	} while (n < (ssize_t)sizeof(a));
	if (recv(sock, &a, sizeof(a), MSG_DONTWAIT) != (ssize_t)sizeof(a) || a.head.request != request ||
		!(a.head.flags & WIRE_REPLY) || a.head.size != sizeof(value))
		return -ENODEV;
	memcpy(&value, a.value, sizeof(value));
	return value ? -EREMOTEIO : 0;
}

/* ch->lock held. What cannot be understood any more is not used any more. */
static int broken(struct channel *ch)
{
	shutdown(atomic_load(&ch->fd), SHUT_RDWR);
	return -ENODEV;
}

/* ch->lock held. One request and its answer. What was asked is noted until the answer is here. */
static int ask(
	struct channel *ch, const struct request *rq, int fd, int64_t deadline, const _Atomic bool *cancelled)
{
	int sock = atomic_load(&ch->fd);
	int r;

	if (sock < 0)
		return -ENODEV;
	ch->asked->request = rq->head.request;
	ch->asked->map = rq->map;
	atomic_store(&ch->asked->state, ASKED_PERHAPS);
	r = send_request(sock, rq, fd, deadline);
	atomic_store(&ch->asked->state, r ? ASKED_NOTHING : ASKED);
	if (!r)
		r = receive_answer(sock, rq->head.request, deadline, cancelled);
	if (r == -ENODEV)
		return broken(ch);
	ch->slow |= r == -ETIMEDOUT;
	if (r != -ETIMEDOUT && r != -EINTR)
		atomic_store(&ch->asked->state, ASKED_NOTHING);
	return r;
}

static struct request make_request(enum wire_backend_request request, const struct wire_shmem *m)
{
	return (struct request){
		.head = {.request = request, .flags = WIRE_VERSION | WIRE_NEED_REPLY, .size = sizeof(*m)},
		.map = *m};
}

/* ch->lock held. Takes the answer that an earlier request did not wait for, and undoes what it did. */
static int settle_late(struct channel *ch, int64_t deadline)
{
	struct request undo = make_request(WIRE_BACKEND_SHMEM_UNMAP, &ch->asked->map);
	uint32_t state = atomic_load(&ch->asked->state);
	bool mapped;
	int r;

	if (state == ASKED_NOTHING)
		return 0;
	if (state == ASKED_PERHAPS)
		deadline = MIN(deadline, now_ns() + ANSWER_SLOW_NS);
	r = receive_answer(atomic_load(&ch->fd), ch->asked->request, deadline, NULL);
	if (r == -ENODEV)
		return broken(ch);
	if (r == -ETIMEDOUT && state == ASKED)
		return r;
	atomic_store(&ch->asked->state, ASKED_NOTHING);
	ch->slow = false;
	mapped = !r && ch->asked->request == WIRE_BACKEND_SHMEM_MAP;
	if (!mapped)
		return 0;
	r = ask(ch, &undo, -1, deadline, NULL);
	return r == -EREMOTEIO ? 0 : r;
}

static int64_t answer_ns(const struct channel *ch)
{
	if (ch->slow)
		return ANSWER_SLOW_NS;
	return atomic_load(&ch->hurried) ? ANSWER_HURRIED_NS : ANSWER_NS;
}

/* seen_lock held. How long a memory message may be waited for. */
static int64_t patience(const struct channel *ch)
{
	if (ch->longest_ns)
		return MAX(4 * ch->longest_ns, MEMORY_LEAST_NS);
	return ch->missed < MEMORY_TRIES ? MEMORY_FIRST_NS : 0;
}

/* Until more than @before memory messages have come, or none can be expected. */
static void await_memory(struct channel *ch, uint64_t before)
{
	int64_t start = now_ns();
	int64_t until;

	autolock(&ch->seen_lock);
	until = start + patience(ch);
	while (ch->tables == before && thread_wait(&ch->seen, &ch->seen_lock, (uint64_t)until))
		continue;
	if (ch->tables == before)
		ch->missed++;
	else
		ch->longest_ns = MIN(MAX(ch->longest_ns, now_ns() - start), MEMORY_FIRST_NS);
}

static uint64_t tables_so_far(struct channel *ch)
{
	autolock(&ch->seen_lock);
	return ch->tables;
}

int channel_shmem(struct channel *ch, enum wire_backend_request request, const struct wire_shmem *m, int fd,
	const _Atomic bool *cancelled)
{
	struct request rq = make_request(request, m);
	int64_t deadline;
	uint64_t before;
	int r;

	autolock(&ch->lock);
	deadline = now_ns() + answer_ns(ch);
	r = settle_late(ch, deadline);
	before = tables_so_far(ch);
	if (!r)
		r = ask(ch, &rq, fd, deadline, cancelled);
	if (!r && !atomic_load(&ch->hurried))
		await_memory(ch, before);
	else if (r)
		log_limited("vhost-user: the front-end did not %s shared memory: %s",
			request == WIRE_BACKEND_SHMEM_MAP ? "map" : "unmap", strerrordesc_np(-r));
	return r;
}
