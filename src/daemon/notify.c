/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/notify.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_SOCKET 3

int notify_open(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	autofd int fd = -1;

	if (!len || len >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(a.sun_path, path, len);
	if (a.sun_path[0] == '@')
		a.sun_path[0] = '\0';
	unsetenv("NOTIFY_SOCKET");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)))
		return -1;
	return fd_take(&fd);
}

void notify_send(int fd, const char *state)
{
	if (fd >= 0)
		send(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A number that the environment says; 0 if there is none. */
static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	uint64_t n = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;

	if (n && *end)
		n = 0;
	unsetenv(name);
	return n;
}

uint32_t notify_watchdog(void)
{
	uint64_t us = number("WATCHDOG_USEC"), pid = number("WATCHDOG_PID");

	if (!us || (pid && pid != (uint64_t)getpid()))
		return 0;
	return (uint32_t)MAX(MIN(us / 1000, (uint64_t)INT_MAX), 1);
}

int notify_socket(struct err *err)
{
	uint64_t n = number("LISTEN_FDS"), pid = number("LISTEN_PID");

	unsetenv("LISTEN_FDNAMES");
	if (!n || pid != (uint64_t)getpid())
		return 0;
	if (n > 1)
		return err_set(err, EINVAL,
			"the service manager passes %llu sockets, and one can be served; name one in the "
			".socket "
			"unit",
			(unsigned long long)n);
	return FIRST_SOCKET;
}
