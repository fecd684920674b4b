/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/notify.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/number.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED 3
#define PASSED_MAX   64

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
	uint64_t n = 0;
	int r = text ? number_parse(text, &n) : -EINVAL;

	unsetenv(name);
	return r == -ERANGE ? UINT64_MAX : r ? 0 : n;
}

uint32_t notify_watchdog(void)
{
	uint64_t us = number("WATCHDOG_USEC"), pid = number("WATCHDOG_PID");

	if (!us || (pid && pid != (uint64_t)getpid()))
		return 0;
	return (uint32_t)MAX(MIN(us / 1000, (uint64_t)INT_MAX), 1);
}

bool notify_keeps(void)
{
	return number("FDSTORE") > 0;
}

/* The name of descriptor @i in a list with colons between. */
static bool is_named(const char *names, uint64_t i, const char *name)
{
	while (names && i--) {
		names = strchr(names, ':');
		names += names != NULL;
	}
	return names && strcspn(names, ":") == strlen(name) && !strncmp(names, name, strlen(name));
}

int notify_passed(struct notify_passed *out, struct err *err)
{
	uint64_t n = number("LISTEN_FDS"), pid = number("LISTEN_PID"), sockets = 0;
	const char *names = getenv("LISTEN_FDNAMES");

	*out = (struct notify_passed){0};
	if (pid != (uint64_t)getpid())
		n = 0;
	for (uint64_t i = 0; i < MIN(n, (uint64_t)PASSED_MAX); i++) {
		int fd = FIRST_PASSED + (int)i;

		if (is_named(names, i, NOTIFY_STORE_NAME))
			out->store = fd;
		else if (is_named(names, i, NOTIFY_LINE_NAME))
			out->line = fd;
		else
			out->socket = fd;
		sockets += out->socket == fd;
	}
	unsetenv("LISTEN_FDNAMES");
	if (sockets > 1)
		return err_set(err, EINVAL,
			"the service manager passes %llu sockets, and one can be served; name one in the "
			".socket unit",
			(unsigned long long)sockets);
	return 0;
}
