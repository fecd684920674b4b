/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log. The front-end fetches and clears its words while we set bits: each bit is set by an atomic
 * OR of its byte, after the write it speaks of, by whichever thread made that write.
 */
#include "virtio/mem.h"

#include "base/arith.h"
#include "base/guard.h"
#include "virtio/internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LOG_PAGE 4096

struct mem_log {
	atomic_uint refs;
	uint64_t pages; /* that the log has bits for */
	struct mem_mapping map;
};

struct mem_log *mem_log_new(int fd, uint64_t offset, uint64_t size, struct err *err)
{
	struct mem_log *log = calloc(1, sizeof(*log));

	if (!log) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	if (mem_mapping_make(&log->map, fd, offset, size, err)) {
		err_prefix(err, 0, "dirty log");
		free(log);
		return NULL;
	}
	atomic_init(&log->refs, 1);
	if (!arith_mul(size, 8, &log->pages))
		log->pages = UINT64_MAX;
	return log;
}

void mem_log_describe(const struct mem_log *log, int *fd, uint64_t *offset, uint64_t *size)
{
	*fd = log->map.fd;
	*offset = log->map.offset;
	*size = log->map.len;
}

struct mem_log *mem_log_ref(struct mem_log *log)
{
	if (log)
		atomic_fetch_add_explicit(&log->refs, 1, memory_order_relaxed);
	return log;
}

void mem_log_unref(struct mem_log *log)
{
	if (!log || atomic_fetch_sub_explicit(&log->refs, 1, memory_order_acq_rel) != 1)
		return;
	mem_mapping_drop(&log->map);
	free(log);
}

bool mem_log_vanished(const struct mem_log *log)
{
	return log && guard_hit(log->map.guard);
}

void mem_log_mark(struct mem_log *log, struct gpa addr, uint64_t len)
{
	uint64_t last;

	if (!len)
		return;
	if (!arith_add(addr.v, len - 1, &last))
		last = UINT64_MAX;
	last = MIN(last / LOG_PAGE, log->pages - 1);
	for (uint64_t page = addr.v / LOG_PAGE; page <= last; page++)
		__atomic_fetch_or(
			(uint8_t *)log->map.host + page / 8, (uint8_t)(1U << page % 8), __ATOMIC_SEQ_CST);
}

void mem_log_mark_iov(
	struct mem_log *log, const struct mem_map *m, const struct iovec *iov, unsigned int n, uint64_t len)
{
	for (unsigned int i = 0; i < n && len; i++) {
		uint64_t part = MIN(len, iov[i].iov_len);
		struct gpa addr;

		if (part && mem_gpa_of(m, iov[i].iov_base, &addr))
			mem_log_mark(log, addr, part);
		len -= part;
	}
}
