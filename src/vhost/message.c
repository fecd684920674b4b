/* SPDX-License-Identifier: BSD-3-Clause */
/* Framing of vhost-user messages: see message.h. */
#include "vhost/message.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/order.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define REPLY_WAIT_MS 1000

/* Keeps what the control message holds, and closes what there is no room for. False if there was none. */
static bool keep_fds(struct message *m, const struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < n; i++) {
		autofd int fd = -1;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (m->nfds < MESSAGE_FDS_MAX)
			m->fds[m->nfds++] = fd_take(&fd);
		else
			fits = false;
	}
	return fits;
}

static int receive_fds(struct message *m, struct msghdr *hdr, struct err *err)
{
	bool fits = !(hdr->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			fits &= keep_fds(m, c);
	return fits ? 0 : err_set(err, EPROTO, "more descriptors than a message may carry");
}

/* What the kernel has written down becomes part of the message. Doing it again does no harm. */
static int take_received(struct message_in *in, struct err *err)
{
	int r;

	in->m.nfds = in->had_fds;
	r = receive_fds(&in->m, &in->hdr.msg_hdr, err);
	in->m.have = in->had + in->hdr.msg_len;
	in_order();
	in->hdr.msg_len = 0;
	return r;
}

/* One receive: 1, 0 at the end of the stream, or -errno. */
static int receive_some(struct message_in *in, int sock, void *at, size_t len, struct err *err)
{
	int n, r;

	in->had = in->m.have;
	in->had_fds = in->m.nfds;
	in->iov = (struct iovec){.iov_base = at, .iov_len = len};
	in->hdr = (struct mmsghdr){.msg_hdr = {.msg_iov = &in->iov,
					   .msg_iovlen = 1,
					   .msg_control = in->control,
					   .msg_controllen = sizeof(in->control)}};
	do
		n = recvmmsg(sock, &in->hdr, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return err_sys(err, errno, "receiving a message");
	if (!in->hdr.msg_len)
		return 0;
	r = take_received(in, err);
	return r ? r : 1;
}

static int check_header(const struct wire_header *h, struct err *err)
{
	if ((h->flags & WIRE_VERSION_MASK) != WIRE_VERSION || (h->flags & WIRE_REPLY))
		return err_set(err, EPROTO, "message %u with flags 0x%x", h->request, h->flags);
	if (h->size > MESSAGE_PAYLOAD_MAX)
		return err_set(err, EPROTO, "message %u with a payload of %u bytes", h->request, h->size);
	return 0;
}

/* Where the next bytes belong; 0 if the message is whole. */
static size_t missing(struct message *m, uint8_t **at)
{
	size_t head = sizeof(m->header);

	if (m->have < head) {
		*at = (uint8_t *)&m->header + m->have;
		return head - m->have;
	}
	*at = m->payload + (m->have - head);
	return head + m->header.size - m->have;
}

int message_receive(struct message_in *in, int sock, struct err *err)
{
	struct message *m = &in->m;
	uint8_t *at;
	size_t len;

	while ((len = missing(m, &at))) {
		int r = receive_some(in, sock, at, len, err);

		if (r < 0)
			return r;
		if (!r && !m->have)
			return 0;
		if (!r)
			return err_set(err, EPROTO, "the front-end went in the middle of a message");
		r = m->have == sizeof(m->header) ? check_header(&m->header, err) : 0;
		if (r)
			return r;
	}
	return 1;
}

int message_adopt(struct message_in *in, struct err *err)
{
	struct msghdr *hdr = &in->hdr.msg_hdr;
	int r;

	hdr->msg_control = in->control; /* where that process had it says nothing here */
	hdr->msg_controllen = MIN(hdr->msg_controllen, sizeof(in->control));
	r = in->hdr.msg_len ? take_received(in, err) : 0;
	if (!r && in->m.have >= sizeof(in->m.header))
		r = check_header(&in->m.header, err);
	return r;
}

void message_next(struct message_in *in)
{
	in->m.nfds = 0;
	in->m.have = 0;
	in_order();
	in->number++;
}

void message_clear(struct message *m)
{
	for (unsigned int i = 0; i < m->nfds; i++)
		cleanup_fd(&m->fds[i]);
	m->nfds = 0;
	m->have = 0;
}

int message_take_fd(struct message *m, unsigned int i)
{
	return i < m->nfds ? fd_take(&m->fds[i]) : -1;
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns() / 1000000);
}

static int await_room(int sock, int64_t deadline, struct err *err)
{
	struct pollfd p = {.fd = sock, .events = POLLOUT};
	int64_t left = deadline - now_ms();

	if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
		return err_set(err, ETIMEDOUT, "the front-end does not read its replies");
	return 0;
}

static size_t sent(const struct message_out *out)
{
	return out->before + out->hdr.msg_len;
}

static void put_fd(struct msghdr *hdr, char *control, int fd)
{
	struct cmsghdr *c = (void *)control;

	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	hdr->msg_control = control;
	hdr->msg_controllen = CMSG_SPACE(sizeof(fd));
}

/* As in receive_some(), the kernel writes down how much it took. */
static int send_some(struct message_out *out, int sock, const struct message_bytes *b)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	size_t done = sent(out);

	out->before = done;
	in_order();
	out->iov = (struct iovec){.iov_base = (void *)(uintptr_t)(b->byte + done), .iov_len = b->len - done};
	out->hdr = (struct mmsghdr){.msg_hdr = {.msg_iov = &out->iov, .msg_iovlen = 1}};
	if (!done && b->fd >= 0)
		put_fd(&out->hdr.msg_hdr, control, b->fd);
	return sendmmsg(sock, &out->hdr, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int message_send(
	struct message_out *out, int sock, uint64_t number, const struct message_bytes *b, struct err *err)
{
	int64_t deadline = now_ms() + REPLY_WAIT_MS;

	if (out->number != number) {
		*out = (struct message_out){0};
		in_order();
		out->number = number;
	}
	while (sent(out) < b->len) {
		int r = send_some(out, sock, b);

		if (r == -EAGAIN)
			r = await_room(sock, deadline, err);
		else if (r && r != -EINTR)
			r = err_sys(err, -r, "sending a reply");
		if (r && r != -EINTR)
			return r;
	}
	return 0;
}
