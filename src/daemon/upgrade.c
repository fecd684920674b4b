/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/upgrade.h"

#include "base/arith.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "daemon/line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the giver says, with the segment; and the taker. */
#define OFFER	'O'
#define FITS	'F'
#define SERVING 'S'

/* Descriptors and their numbers, which rise. The last has none. */
struct part {
	uint32_t n;
	int32_t number[FDPASS_MAX];
};

int upgrade_fill_low(int any, struct err *err)
{
	for (;;) {
		int fd = fcntl(any, F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return err_sys(err, errno, "no descriptors");
		if (fd >= UPGRADE_LOW_FDS) {
			close(fd);
			return 0;
		}
	}
}

/* True if the other has said @word; he may take his time, and if he is gone that is heard. */
static bool says(int socket, char word)
{
	char got = 0;

	return TEMP_FAILURE_RETRY(recv(socket, &got, 1, 0)) == 1 && got == word;
}

bool upgrade_offer(struct upgrade_giver *g)
{
	int fds[] = {g->segment->fd, g->mounts};
	const char offer = OFFER;
	struct line_message m;
	uint32_t n = 1;
	int r = line_receive(g->line, &m, &g->to, &n);

	if (r < 1 || !n || m.word != LINE_GIVE) {
		if (n)
			upgrade_withdraw(g);
		return false;
	}
	r = fdpass_send(g->to, &offer, 1, fds, g->mounts < 0 ? 1 : 2, 0);
	if (r || !says(g->to, FITS)) {
		upgrade_withdraw(g);
		return false;
	}
	m = (struct line_message){.word = LINE_STOPPED, .at = clock_ns()};
	line_send(g->line, &m, NULL, 0);
	return true;
}

void upgrade_withdraw(struct upgrade_giver *g)
{
	close(g->to);
	g->to = -1;
}

static int send_part(int to, struct part *p)
{
	int r = fdpass_send(to, p, sizeof(*p), p->number, p->n, 0);

	p->n = 0;
	return r;
}

static int send_all(const struct upgrade_giver *g, const struct fdmap *all)
{
	struct part p = {0};
	int r = 0;

	for (int fd = fdmap_next(all, 0); fd >= 0 && !r; fd = fdmap_next(all, fd + 1)) {
		if (fd == g->to)
			continue;
		p.number[p.n++] = fd;
		if (p.n == FDPASS_MAX)
			r = send_part(g->to, &p);
	}
	if (!r && p.n)
		r = send_part(g->to, &p);
	return r ? r : send_part(g->to, &p);
}

/* The taker's workers note where they have what the connection is made of, which would mislead ours. */
static size_t device_size(const struct upgrade_giver *g)
{
	return segment_record_size(g->segment, SEGMENT_DEVICE) * segment_count(g->segment, SEGMENT_DEVICE);
}

static int keep_device(struct upgrade_giver *g)
{
	g->device = malloc(device_size(g));
	if (!g->device)
		return -ENOMEM;
	memcpy(g->device, segment_at(g->segment, SEGMENT_DEVICE), device_size(g));
	return 0;
}

bool upgrade_give(struct upgrade_giver *g)
{
	struct fdmap all = {0};
	int r = keep_device(g);
	bool given;

	if (!r)
		r = fdmap_add_others(&all, g->proc, g->base);
	if (!r)
		r = send_all(g, &all);
	given = !r && says(g->to, SERVING);
	if (given)
		line_say(g->line, LINE_GIVEN);
	else if (g->device)
		memcpy(segment_at(g->segment, SEGMENT_DEVICE), g->device, device_size(g));
	if (r)
		log_error("the state cannot be handed over: %s", strerrordesc_np(-r));
	fdmap_free(&all);
	free(g->device);
	g->device = NULL;
	upgrade_withdraw(g);
	return given;
}

int upgrade_await(int from, int *state, int *mounts, struct err *err)
{
	uint32_t n = 2;
	int fd[2] = {-1, -1};
	char word;
	ssize_t got = fdpass_receive(from, &word, 1, fd, &n, 0);

	if (got != 1 || word != OFFER || !n) {
		while (n)
			close(fd[--n]);
		return err_set(err, ECONNRESET, "the daemon that serves does not hand over; see its log");
	}
	*state = fd[0];
	*mounts = n > 1 ? fd[1] : -1;
	return 0;
}

/* What came has the lowest free numbers, which are none of those that are still to come. */
static int settle(const struct part *p, const int *fds)
{
	int r = 0;

	for (uint32_t i = p->n; i--;) {
		int to = p->number[i];

		if (fds[i] == to)
			continue;
		if (!r && fcntl(to, F_GETFD) >= 0)
			r = -EEXIST;
		if (!r && dup3(fds[i], to, O_CLOEXEC) < 0)
			r = -errno;
		close(fds[i]);
	}
	return r;
}

/* 1: there are more. */
static int take_part(int from)
{
	struct part p;
	uint32_t n = FDPASS_MAX;
	int fds[FDPASS_MAX];
	ssize_t got = fdpass_receive(from, &p, sizeof(p), fds, &n, 0);
	int r;

	if (got == sizeof(p) && p.n == n) {
		r = settle(&p, fds);
		return r ? r : n > 0;
	}
	while (n)
		close(fds[--n]);
	return got < 0 ? (int)got : got ? -EPROTO : -ECONNRESET;
}

static int say(int from, char word)
{
	return fdpass_send(from, &word, 1, NULL, 0, 0);
}

int upgrade_take(int from, struct err *err)
{
	int r = say(from, FITS);

	if (r)
		return err_sys(err, -r, "the daemon that serves is gone");
	do {
		r = take_part(from);
	} while (r > 0);
	return r ? err_sys(err, -r, "what the daemon that serves has cannot be taken over") : 0;
}

void upgrade_serving(int from, int any)
{
	if (say(from, SERVING))
		log_debug("the daemon that served is gone");
	dup3(any, from, O_CLOEXEC);
}
