/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fdmap.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FD_MOST	  (1 << 30)
#define WORDS_MIN 64u

static int grow(struct fdmap *m, uint32_t words)
{
	uint32_t n = MAX(MAX(words, m->words * 2), WORDS_MIN);
	uint64_t *more;

	if (words <= m->words)
		return 0;
	more = reallocarray(m->bits, n, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + m->words, 0, (n - m->words) * sizeof(*more));
	m->bits = more;
	m->words = n;
	return 0;
}

int fdmap_add(struct fdmap *m, int fd)
{
	uint32_t n = (uint32_t)fd;
	int r;

	if (fd == -1)
		return 0;
	if (fd < 0 || fd >= FD_MOST || fdmap_has(m, fd))
		return -EINVAL;
	r = grow(m, n / 64 + 1);
	if (!r)
		m->bits[n / 64] |= UINT64_C(1) << n % 64;
	return r;
}

bool fdmap_has(const struct fdmap *m, int fd)
{
	uint32_t n = (uint32_t)fd;

	return n / 64 < m->words && m->bits[n / 64] >> n % 64 & 1;
}

int fdmap_next(const struct fdmap *m, int fd)
{
	for (uint32_t n = (uint32_t)fd; n / 64 < m->words; n++)
		if (fdmap_has(m, (int)n))
			return (int)n;
	return -1;
}

void fdmap_remove(struct fdmap *m, int fd)
{
	uint32_t n = (uint32_t)fd;

	if (n / 64 < m->words)
		m->bits[n / 64] &= ~(UINT64_C(1) << n % 64);
}

void fdmap_free(struct fdmap *m)
{
	free(m->bits);
	*m = (struct fdmap){0};
}

int fdmap_add_open(struct fdmap *m, int end)
{
	int r = 0;

	for (int fd = 0; fd < end && !r; fd++)
		if (!fdmap_has(m, fd) && fcntl(fd, F_GETFD) >= 0)
			r = fdmap_add(m, fd);
	return r;
}

int fdmap_add_others(struct fdmap *m, int proc, const struct fdmap *others)
{
	int own = openat(proc, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *e;
	int r = 0;

	if (!dir) {
		r = -errno;
		cleanup_fd(&own);
		return r;
	}
	while (!r && (e = readdir(dir))) {
		int fd = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : own;

		if (fd != own && !fdmap_has(others, fd))
			r = fdmap_add(m, fd);
	}
	closedir(dir);
	return r;
}

/* @first to @last, as far as there can be any; Linux before 5.9 closes one at a time. */
static void close_run(unsigned int first, unsigned int last)
{
	struct rlimit most;

	if (!close_range(first, last, 0) || getrlimit(RLIMIT_NOFILE, &most))
		return;
	for (unsigned int fd = first; fd <= last && fd < most.rlim_cur; fd++)
		close((int)fd);
}

void fdmap_close_others(const struct fdmap *m)
{
	unsigned int first = 0;

	for (int fd = fdmap_next(m, 0); fd >= 0; fd = fdmap_next(m, fd + 1)) {
		if ((unsigned int)fd > first)
			close_run(first, (unsigned int)fd - 1);
		first = (unsigned int)fd + 1;
	}
	close_run(first, FD_MOST);
}
