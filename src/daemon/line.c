/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/line.h"

#include "base/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define VERSION \
	0x6c696e02u /* raise it with every change of the messages, and of what follows them (upgrade.c) */

int line_open(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) ? -errno : 0;
}

int line_send(int line, struct line_message *m, const int *fds, uint32_t n)
{
	m->version = VERSION;
	return fdpass_send(line, m, sizeof(*m), fds, n, MSG_DONTWAIT);
}

void line_say(int line, char word)
{
	struct line_message m = {.word = word};

	line_send(line, &m, NULL, 0);
}

int line_receive(int line, struct line_message *m, int *fds, uint32_t *n)
{
	ssize_t got = fdpass_receive(line, m, sizeof(*m), fds, n, MSG_DONTWAIT);

	if (got <= 0)
		return (int)got;
	memset((char *)m + got, 0, sizeof(*m) - (size_t)got);
	m->text[sizeof(m->text) - 1] = '\0';
	if (got == sizeof(*m) && m->version == VERSION)
		return 1;
	return m->word == LINE_REFUSED ? 1 : -EPROTO;
}
