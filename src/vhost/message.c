/* SPDX-License-Identifier: BSD-3-Clause */
/* Framing of vhost-user messages: see message.h. */
#include "vhost/message.h"

#include "base/cleanup.h"
#include "base/clock.h"

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

/* One recvmsg(): how many bytes came, 0 at the end of the stream, or -errno. */
static ssize_t receive_some(struct message *m, int sock, void *buf, size_t len, struct err *err)
{
	char control[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t n;
	int r;

	do
		n = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n < 0)
		return err_sys(err, errno, "receiving a message");
	r = receive_fds(m, &hdr, err);
	return r ? r : n;
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

int message_receive(struct message *m, int sock, struct err *err)
{
	uint8_t *at;
	size_t len;

	while ((len = missing(m, &at))) {
		ssize_t n = receive_some(m, sock, at, len, err);
		int r;

		if (n < 0)
			return (int)n;
		if (!n && !m->have)
			return 0;
		if (!n)
			return err_set(err, EPROTO, "the front-end went in the middle of a message");
		m->have += (size_t)n;
		r = m->have == sizeof(m->header) ? check_header(&m->header, err) : 0;
		if (r)
			return r;
	}
	return 1;
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

int message_reply(int sock, uint32_t request, const void *payload, uint32_t size, struct err *err)
{
	struct wire_header head = {.request = request, .flags = WIRE_VERSION | WIRE_REPLY, .size = size};
	uint8_t buf[sizeof(head) + MESSAGE_REPLY_MAX];
	int64_t deadline = now_ms() + REPLY_WAIT_MS;
	size_t len = sizeof(head) + size;

	if (len > sizeof(buf))
		return err_set(err, EMSGSIZE, "a reply of %u bytes", size);
	memcpy(buf, &head, sizeof(head));
	if (size)
		memcpy(buf + sizeof(head), payload, size);
	for (size_t done = 0; done < len;) {
		ssize_t n = send(sock, buf + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		int r = 0;

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			r = await_room(sock, deadline, err);
		else if (errno != EINTR)
			r = err_sys(err, errno, "sending a reply");
		if (r)
			return r;
	}
	return 0;
}
