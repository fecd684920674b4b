/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that the guest sees in place of a file's own. @now is shared with the guest, which may change it at
 * any time; @then is what it held when it last agreed with the file, so what differs was stored by the guest.
 * Under the window's lock.
 */
#include "dax/internal.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/order.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int dax_copies(uint64_t window, struct err *err)
{
	autofd int fd = memfd_create("colofs-dax", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)window) ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return err_sys(err, errno, "cannot make memory for the DAX window");
	return fd_take(&fd);
}

int copy_setup(struct dax_copy *c, int fd, char *then, uint64_t len, struct err *err)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	*c = (struct dax_copy){.fd = fd, .then = then, .len = len};
	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map memory for the DAX window");
	c->now = p;
	return 0;
}

void copy_free(struct dax_copy *c)
{
	if (c->now)
		munmap(c->now, c->len);
	cleanup_fd(&c->fd);
}

/* Only bytes that differ in the file are stored, so that a store of the guest's beside them is not lost. A
 * byte that is in @now alone goes back to the file as it was there; one in @then alone would undo a change.
 */
static void merge(char *now, char *then, const char *file, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (file[i] == then[i])
			continue;
		if (now[i] == then[i])
			now[i] = file[i];
		in_order();
		then[i] = file[i];
	}
}

int copy_refresh(struct dax_copy *c, uint64_t off, uint64_t len, int fd, uint64_t file_off)
{
	char page[DAX_PAGE];

	while (len) {
		size_t want = MIN(len, sizeof(page));
		ssize_t n = pread(fd, page, want, (off_t)file_off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		if (memcmp(page, c->then + off, (size_t)n) != 0)
			merge(c->now + off, c->then + off, page, (size_t)n);
		off += (uint64_t)n;
		file_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* Writes the bytes of one page that differ, once they cannot change any more. */
static int sync_page(char *now, char *then, size_t len, int fd, uint64_t file_off)
{
	char page[DAX_PAGE];
	int r = 0;

	memcpy(page, now, len);
	for (size_t i = 0; i < len && !r; i++) {
		size_t end = i;
		ssize_t n;

		while (end < len && page[end] != then[end])
			end++;
		if (end == i)
			continue;
		n = pwrite(fd, page + i, end - i, (off_t)(file_off + i));
		if (n <= 0)
			return n ? -errno : -EIO;
		memcpy(then + i, page + i, (size_t)n);
		i += (size_t)n - 1;
	}
	return r;
}

int copy_sync(struct dax_copy *c, uint64_t off, uint64_t len, int fd, uint64_t file_off)
{
	while (len) {
		size_t n = MIN(len, DAX_PAGE - off % DAX_PAGE);
		int r = 0;

		if (memcmp(c->now + off, c->then + off, n) != 0)
			r = sync_page(c->now + off, c->then + off, n, fd, file_off);
		if (r)
			return r;
		off += n;
		file_off += n;
		len -= n;
	}
	return 0;
}

/* In this order: to the next process zeros in @now beside what is left in @then were stored by the guest. */
void copy_drop(struct dax_copy *c, uint64_t off, uint64_t len)
{
	madvise(c->then + off, len, MADV_REMOVE);
	fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len);
}
