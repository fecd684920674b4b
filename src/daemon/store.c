/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/store.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/fdpass.h"
#include "daemon/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC	   0x73666f6cu
#define BUFFER	   (8 << 20)
#define BARRIER_MS 5000
#define NAME	   "FDNAME=" NOTIFY_STORE_NAME

struct part {
	uint32_t magic, n;
	int32_t state, mounts;
	int32_t number[FDPASS_MAX];
};

int store_prepare(struct store *s, int proc, struct err *err)
{
	int size = BUFFER, sock[2], pipe[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return err_sys(err, errno, "no socket for the service manager to keep");
	if (pipe2(pipe, O_CLOEXEC)) {
		close(sock[0]);
		close(sock[1]);
		return err_sys(err, errno, "no pipe to the service manager");
	}
	if (setsockopt(sock[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(sock[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	*s = (struct store){
		.in = sock[0], .out = sock[1], .told = pipe[1], .end = pipe[0], .proc = proc, .mounts = -1};
	return 0;
}

static int flush(const struct store *s, struct part *p)
{
	int r = p->n ? fdpass_send(s->in, p, sizeof(*p), p->number, p->n, MSG_DONTWAIT) : 0;

	p->n = 0;
	return r;
}

static int put(const struct store *s, struct part *p, int fd)
{
	p->number[p->n++] = fd;
	return p->n == FDPASS_MAX ? flush(s, p) : 0;
}

static bool is_own(const struct store *s, int fd)
{
	return fd == s->in || fd == s->out || fd == s->told || fd == s->end || fd == s->mounts;
}

static int put_all(const struct store *s, struct part *p, const struct fdmap *all)
{
	int r = put(s, p, p->state);

	if (!r && p->mounts >= 0)
		r = put(s, p, p->mounts);
	for (int fd = fdmap_next(all, 0); fd >= 0 && !r; fd = fdmap_next(all, fd + 1))
		if (fd != p->state && !is_own(s, fd))
			r = put(s, p, fd);
	return r ? r : flush(s, p);
}

static int tell(int notify, const char *text, int fd)
{
	return fdpass_send(notify, text, strlen(text), &fd, 1, MSG_DONTWAIT);
}

int store_pack(const struct store *s, int notify, const struct fdmap *base, int state, struct err *err)
{
	struct part p = {.magic = MAGIC, .state = state, .mounts = s->mounts};
	struct pollfd heard = {.fd = s->end};
	struct fdmap all = {0};
	int r = fdmap_add_others(&all, s->proc, base);

	if (!r)
		r = put_all(s, &p, &all);
	fdmap_free(&all);
	if (!r) /* nobody else holds the other end, which is no reason to drop this one */
		r = tell(notify, "FDSTORE=1\nFDPOLL=0\n" NAME, s->out);
	if (r)
		return err_sys(err, -r, "the service manager cannot keep the state");
	/* Who we were cannot be told any more once we are gone. */
	if (!tell(notify, "BARRIER=1", s->told)) {
		close(s->told);
		poll(&heard, 1, BARRIER_MS);
	}
	return 0;
}

void store_forget(int notify)
{
	notify_send(notify, "FDSTOREREMOVE=1\n" NAME);
}

/* Where each received descriptor is, and where it shall be. */
struct moves {
	struct move {
		int from, to;
	} * at;
	uint32_t n;
	int top; /* above all of these */
};

static void moves_close(struct moves *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		close(m->at[i].from);
	free(m->at);
	m->n = 0;
	m->at = NULL;
}

/* 1, 0: there is no more, or -errno. */
static int receive(int socket, struct part *p, struct moves *m)
{
	struct move *more = reallocarray(m->at, m->n + FDPASS_MAX, sizeof(*more));
	uint32_t count = FDPASS_MAX;
	int fd[FDPASS_MAX];
	ssize_t n;

	if (!more)
		return -ENOMEM;
	m->at = more;
	n = fdpass_receive(socket, p, sizeof(*p), fd, &count, MSG_DONTWAIT);
	for (uint32_t i = 0; i < count; i++) {
		struct move *to = &m->at[m->n++];

		*to = (struct move){fd[i], p->number[i]};
		m->top = MAX(m->top, MAX(to->from, to->to) + 1);
	}
	if (n <= 0)
		return !n || n == -EAGAIN ? 0 : (int)n;
	return n == sizeof(*p) && p->magic == MAGIC && p->n == count ? 1 : -EPROTO;
}

/* Out of the way first, as one may be where another shall be. */
static int lift(struct moves *m, uint32_t *own)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct move *v = &m->at[i];
		int up = fcntl(v->from, F_DUPFD_CLOEXEC, m->top);

		if (up < 0)
			return -errno;
		close(v->from);
		v->from = up;
		if ((uint32_t)v->to != *own)
			continue;
		up = fcntl((int)*own, F_DUPFD_CLOEXEC, m->top);
		if (up < 0)
			return -errno;
		close((int)*own);
		*own = (uint32_t)up;
	}
	return 0;
}

static int settle(struct moves *m, struct stored *out)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct move *v = &m->at[i];
		int r = fcntl(v->to, F_GETFD) < 0 ? fdmap_add(&out->fds, v->to) : -EEXIST;

		if (!r && dup3(v->from, v->to, O_CLOEXEC) < 0)
			r = -errno;
		if (r)
			return r;
	}
	return 0;
}

int store_unpack(int socket, uint32_t *own, struct stored *out, struct err *err)
{
	struct part p = {.state = -1, .mounts = -1};
	struct moves m = {0};
	int r;

	*out = (struct stored){.state = -1, .mounts = -1};
	do {
		r = receive(socket, &p, &m);
	} while (r > 0);
	close(socket);
	if (!r)
		r = m.n ? lift(&m, own) : -ENODATA;
	if (!r)
		r = settle(&m, out);
	moves_close(&m);
	out->state = p.state;
	out->mounts = p.mounts;
	if (!r && (!fdmap_has(&out->fds, p.state) || (p.mounts >= 0 && !fdmap_has(&out->fds, p.mounts))))
		r = -EPROTO;
	if (!r)
		return 0;
	store_drop(out);
	return err_sys(err, -r, "what the service manager kept cannot be used");
}

void store_drop(struct stored *s)
{
	for (int fd = fdmap_next(&s->fds, 0); fd >= 0; fd = fdmap_next(&s->fds, fd + 1))
		close(fd);
	fdmap_free(&s->fds);
	s->state = s->mounts = -1;
}
