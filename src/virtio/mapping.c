/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps pieces of files that a front-end hands over. It chose offset and length; we choose the page size. */
#include "virtio/internal.h"

#include "base/arith.h"
#include "base/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Offsets and lengths of mappings of @fd are multiples of this. */
static uint64_t page_size(int fd)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC && arith_is_pow2((uint64_t)fs.f_bsize))
		return (uint64_t)fs.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A byte behind the file's end would be SIGBUS instead of an error. Devices have no size to check. */
static int check_size(int fd, uint64_t end, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(err, errno, "cannot examine the memory's file");
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < end)
		return err_set(err, EINVAL, "the memory's file has %llu bytes, but %llu are needed",
			(unsigned long long)st.st_size, (unsigned long long)end);
	return 0;
}

int mem_mapping_make(struct mem_mapping *m, int fd, uint64_t offset, uint64_t len, struct err *err)
{
	uint64_t page = page_size(fd);
	uint64_t lead = offset & (page - 1);
	uint64_t end;
	size_t map_len;
	int copy, guard, r;
	void *p;

	if (!len)
		return err_set(err, EINVAL, "the memory's size is 0");
	if (!arith_add(offset, len, &end) || end > INT64_MAX - page)
		return err_set(err, EINVAL, "%#llx bytes of memory at offset %#llx wrap around",
			(unsigned long long)len, (unsigned long long)offset);
	r = check_size(fd, end, err);
	if (r)
		return r;
	map_len = arith_align_up(lead + len, page);
	p = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		(off_t)(offset - lead));
	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map %#llx bytes of memory at offset %#llx",
			(unsigned long long)len, (unsigned long long)offset);
	madvise(p, map_len, MADV_DONTDUMP);
	guard = guard_add(p, map_len, page);
	if (guard < 0) {
		munmap(p, map_len);
		return err_set(err, -guard, "too many pieces of memory are in use");
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	*m = (struct mem_mapping){.host = (char *)p + lead,
		.len = len,
		.map = p,
		.map_len = map_len,
		.fd = copy,
		.offset = offset,
		.guard = guard};
	if (copy >= 0)
		return 0;
	mem_mapping_drop(m);
	return err_sys(err, errno, "the memory's descriptor cannot be kept");
}

void mem_mapping_drop(const struct mem_mapping *m)
{
	guard_drop(m->guard);
	munmap(m->map, m->map_len);
	if (m->fd >= 0)
		close(m->fd);
}
