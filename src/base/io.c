/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/io.h"

#include "base/arith.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int io_read_all(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t r = read(fd, buf, len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -ENODATA;
		buf = (char *)buf + r;
		len -= (size_t)r;
	}
	return 0;
}

int io_write_all(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t r = write(fd, buf, len);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		buf = (const char *)buf + r;
		len -= (size_t)r;
	}
	return 0;
}

size_t iov_total(const struct iovec *iov, unsigned int n)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		if (!arith_add(sum, iov[i].iov_len, &sum))
			return SIZE_MAX;
	return sum;
}

/* Visits the bytes [off, off + len): one memcpy a piece, towards the vector or away from it. */
static size_t copy(const struct iovec *iov, unsigned int n, size_t off, char *buf, size_t len, bool to_vector)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		size_t part;

		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = MIN(iov[i].iov_len - off, len - done);
		if (to_vector)
			memcpy((char *)iov[i].iov_base + off, buf + done, part);
		else
			memcpy(buf + done, (char *)iov[i].iov_base + off, part);
		done += part;
		off = 0;
	}
	return done;
}

/* Whether one piece has all of it, as it is nearly always: the first or the second. */
static char *one_piece(const struct iovec *iov, unsigned int n, size_t off, size_t len)
{
	if (n && off >= iov->iov_len) {
		off -= iov->iov_len;
		iov++;
		n--;
	}
	return n && off <= iov->iov_len && len <= iov->iov_len - off ? (char *)iov->iov_base + off : NULL;
}

size_t iov_read(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len)
{
	const char *p = one_piece(iov, n, off, len);

	if (p) {
		memcpy(buf, p, len);
		return len;
	}
	return copy(iov, n, off, buf, len, false);
}

size_t iov_write(const struct iovec *iov, unsigned int n, size_t off, const void *buf, size_t len)
{
	char *p = one_piece(iov, n, off, len);

	if (p) {
		memcpy(p, buf, len);
		return len;
	}
	return copy(iov, n, off, (char *)(uintptr_t)buf, len, true);
}

void iov_skip(struct iovec **iov, unsigned int *n, size_t off)
{
	while (*n && off >= (*iov)->iov_len) {
		off -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + off;
		(*iov)->iov_len -= off;
	}
}

size_t iov_clip(struct iovec **iov, unsigned int *n, size_t off, size_t len)
{
	size_t total = 0;
	unsigned int kept = 0;

	iov_skip(iov, n, off);
	while (kept < *n && total < len) {
		struct iovec *v = &(*iov)[kept++];

		v->iov_len = MIN(v->iov_len, len - total);
		total += v->iov_len;
	}
	*n = kept;
	return total;
}
