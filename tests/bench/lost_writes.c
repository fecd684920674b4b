/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded, every hundredth pwrite() or pwritev2() of a program writes nothing and says that it did. */
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static _Atomic unsigned int calls;

static bool is_lost(void)
{
	return ++calls % 100 == 0;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return is_lost() ? (ssize_t)len : syscall(SYS_pwrite64, fd, buf, len, off);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t off, int flags)
{
	ssize_t len = 0;

	if (!is_lost())
		return syscall(SYS_pwritev2, fd, iov, count, off, 0, flags);
	for (int i = 0; i < count; i++)
		len += (ssize_t)iov[i].iov_len;
	return len;
}
