/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int socket, const void *data, size_t len, const int *fds, uint32_t n, int flags)
{
	union control c = {0};
	struct iovec v = {(void *)(uintptr_t)data, len};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	if (n > FDPASS_MAX)
		return -EINVAL;
	if (n) {
		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&c.align), fds, n * sizeof(int));
		m.msg_control = c.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	return TEMP_FAILURE_RETRY(sendmsg(socket, &m, flags | MSG_NOSIGNAL)) < 0 ? -errno : 0;
}

/* Takes up to @room descriptors. 0, or -EPROTO if there were more, which are closed. */
static int take(const struct cmsghdr *h, int *fds, uint32_t room, uint32_t *n)
{
	uint32_t count = 0;
	int fd;

	*n = 0;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
		count = (uint32_t)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
		if (*n < room)
			fds[(*n)++] = fd;
		else
			close(fd);
	}
	return count > room ? -EPROTO : 0;
}

ssize_t fdpass_receive(int socket, void *data, size_t size, int *fds, uint32_t *n, int flags)
{
	union control c;
	struct iovec v = {data, size};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)};
	ssize_t got = TEMP_FAILURE_RETRY(recvmsg(socket, &m, flags | MSG_CMSG_CLOEXEC));
	int r;

	if (got < 0) {
		*n = 0;
		return -errno;
	}
	r = take(CMSG_FIRSTHDR(&m), fds, *n, n);
	if (!r && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return got;
	while (*n)
		close(fds[--*n]);
	return -EPROTO;
}
