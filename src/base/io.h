/* SPDX-License-Identifier: BSD-3-Clause */
/* Small helpers on descriptors and I/O vectors that more than one layer needs. Thread-safe. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stddef.h>
#include <sys/uio.h>

/* Reads or writes all of @len, through EINTR and short transfers. 0, -errno, or -ENODATA at the end of file.
 */
int io_read_all(int fd, void *buf, size_t len);
int io_write_all(int fd, const void *buf, size_t len);

/* Sum of the lengths; saturates at SIZE_MAX. */
size_t iov_total(const struct iovec *iov, unsigned int n);

/* Copies at most @len bytes from @off of the vector to @buf, or from @buf to the vector. Returns the bytes
 * copied. */
size_t iov_read(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len);
size_t iov_write(const struct iovec *iov, unsigned int n, size_t off, const void *buf, size_t len);

/* Makes *iov, *n describe the bytes from @off on, by editing its first element in place. */
void iov_skip(struct iovec **iov, unsigned int *n, size_t off);

/*
 * Makes *iov, *n describe only the bytes [off, off + len) (less if there are fewer), by editing the elements
 * in place. Returns the bytes that the result describes.
 */
size_t iov_clip(struct iovec **iov, unsigned int *n, size_t off, size_t len);

#endif
