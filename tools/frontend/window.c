/* SPDX-License-Identifier: BSD-3-Clause */
/* A VMM's shared memory region: see window.h. */
#include "window.h"

#include "base/clock.h"
#include "base/thread.h"
#include "vu.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AWAIT_NS 5000000000u

struct request {
	struct vu_header head;
	uint8_t body[sizeof(struct vu_mmap)];
};
_Static_assert(sizeof(struct request) == 12 + 40, "as on the socket");

static bool overlaps(const struct window *w, const struct vu_mmap *m)
{
	for (unsigned int i = 0; i < w->pieces; i++)
		if (m->shm_offset < w->piece[i].shm_off + w->piece[i].len &&
			w->piece[i].shm_off < m->shm_offset + m->len)
			return true;
	return false;
}

/* QEMU maps to read and write whatever the flags say, and nothing past the end of a file. */
static bool map(struct window *w, const struct vu_mmap *m, int fd)
{
	struct stat st;

	if (fd < 0 || m->shmid || !m->len || m->shm_offset > w->size || m->len > w->size - m->shm_offset ||
		overlaps(w, m) || w->pieces == WINDOW_PIECES || fstat(fd, &st) ||
		m->fd_offset + m->len > (uint64_t)st.st_size)
		return false;
	if (mmap(w->base + m->shm_offset, m->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		    (off_t)m->fd_offset) == MAP_FAILED)
		return false;
	w->piece[w->pieces++] =
		(struct window_piece){.shm_off = m->shm_offset, .len = m->len, .fd_off = m->fd_offset};
	return true;
}

static bool remove_piece(struct window *w, struct window_piece *p)
{
	if (mmap(w->base + p->shm_off, p->len, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return false;
	*p = w->piece[--w->pieces];
	return true;
}

static bool unmap(struct window *w, const struct vu_mmap *m)
{
	for (unsigned int i = 0; i < w->pieces; i++) {
		struct window_piece *p = &w->piece[i];

		if (p->shm_off != m->shm_offset || p->len != m->len)
			continue;
		return remove_piece(w, p);
	}
	return false;
}

static bool receive(int sock, struct request *rq, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = {.iov_base = rq, .iov_len = sizeof(*rq)};
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;

	*fd = -1;
	if (recvmsg(sock, &hdr, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*rq))
		return false;
	c = CMSG_FIRSTHDR(&hdr);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return true;
}

static void answer(struct window *w, const struct request *rq, bool done)
{
	struct {
		struct vu_header head;
		uint8_t value[sizeof(uint64_t)];
	} a = {.head = {rq->head.request, VU_VERSION | VU_REPLY, sizeof(uint64_t)}, .value = {!done}};

	send(w->sock, &a, sizeof(a), MSG_NOSIGNAL);
}

/* w->lock held, not while it waits for another mood. */
static void serve(struct window *w, const struct request *rq, int fd)
{
	struct vu_mmap m;
	bool is_map = rq->head.request == VU_BACKEND_SHMEM_MAP;
	bool done;

	memcpy(&m, rq->body, sizeof(m));
	w->maps += is_map;
	w->unmaps += !is_map;
	if (is_map)
		done = w->mood != WINDOW_REFUSING && map(w, &m, fd);
	else
		done = unmap(w, &m);
	w->refused += !done;
	pthread_cond_broadcast(&w->changed);
	while (w->mood == WINDOW_SILENT && !w->ends)
		pthread_cond_wait(&w->changed, &w->lock);
	if (!w->ends)
		answer(w, rq, done);
	if (!w->ends && done && w->tell)
		w->tell(w->arg);
}

static void *run(void *arg)
{
	struct window *w = arg;
	struct request rq;
	int fd;

	while (receive(w->sock, &rq, &fd)) {
		pthread_mutex_lock(&w->lock);
		serve(w, &rq, fd);
		pthread_mutex_unlock(&w->lock);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

int window_start(struct window *w, int sock, uint64_t size, void (*tell)(void *arg), void *arg)
{
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*w = (struct window){.base = p, .size = size, .sock = sock, .tell = tell, .arg = arg};
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	return -pthread_create(&w->thread, NULL, run, w);
}

void window_stop(struct window *w)
{
	if (!w->base)
		return;
	pthread_mutex_lock(&w->lock);
	w->ends = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	shutdown(w->sock, SHUT_RDWR);
	pthread_join(w->thread, NULL);
	munmap(w->base, w->size);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	w->base = NULL;
}

void window_clear(struct window *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->pieces && remove_piece(w, w->piece))
		;
	pthread_mutex_unlock(&w->lock);
}

void window_set_mood(struct window *w, enum window_mood mood)
{
	pthread_mutex_lock(&w->lock);
	w->mood = mood;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* Until *@count, which the lock guards, is @least. */
static bool await(struct window *w, const unsigned int *count, unsigned int least)
{
	uint64_t until = clock_ns() + AWAIT_NS;
	bool come;

	pthread_mutex_lock(&w->lock);
	while (*count < least && thread_wait(&w->changed, &w->lock, until))
		;
	come = *count >= least;
	pthread_mutex_unlock(&w->lock);
	return come;
}

bool window_await_maps(struct window *w, unsigned int maps)
{
	return await(w, &w->maps, maps);
}

bool window_await_unmaps(struct window *w, unsigned int unmaps)
{
	return await(w, &w->unmaps, unmaps);
}

static unsigned int read_locked(struct window *w, const unsigned int *of)
{
	unsigned int n;

	pthread_mutex_lock(&w->lock);
	n = *of;
	pthread_mutex_unlock(&w->lock);
	return n;
}

unsigned int window_pieces(struct window *w)
{
	return read_locked(w, &w->pieces);
}

unsigned int window_maps(struct window *w)
{
	return read_locked(w, &w->maps);
}

unsigned int window_unmaps(struct window *w)
{
	return read_locked(w, &w->unmaps);
}

unsigned int window_refused(struct window *w)
{
	return read_locked(w, &w->refused);
}

/* An answer reaches the caller by way of the daemon: what orders the two threads is the lock. */
uint8_t *window_memory(struct window *w)
{
	window_pieces(w);
	return w->base;
}
