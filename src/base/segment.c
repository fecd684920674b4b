/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/segment.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SEGMENT_MAGIC 0x6765736f6c6f63ULL /* "colofseg" without its f, little-endian */
#define SECTION_ALIGN 4096

struct header {
	uint64_t magic;
	uint32_t layout;
	uint32_t sections;
	struct segment_place section[SEGMENT_SECTIONS];
};

/* Lays the sections out behind the header. False if the sizes overflow. */
static bool lay_out(struct header *h, const struct segment_plan *plan, uint64_t *len)
{
	uint64_t pos = SECTION_ALIGN;

	static_assert(
		sizeof(struct header) <= SECTION_ALIGN, "the header fits in front of the first section");
	*h = (struct header){.magic = SEGMENT_MAGIC, .layout = SEGMENT_LAYOUT, .sections = SEGMENT_SECTIONS};
	for (int i = 0; i < SEGMENT_SECTIONS; i++) {
		uint64_t bytes;

		h->section[i] =
			(struct segment_place){.offset = pos, .count = plan[i].count, .size = plan[i].size};
		if (!arith_mul((uint64_t)plan[i].size, plan[i].count, &bytes) ||
			!arith_add(pos, bytes, &pos) || pos > INT64_MAX - SECTION_ALIGN)
			return false;
		pos = arith_align_up(pos, SECTION_ALIGN);
	}
	*len = pos;
	return true;
}

static void note_places(struct segment *seg, const struct header *h)
{
	memcpy(seg->place, h->section, sizeof(seg->place));
}

static int map(struct segment *seg, int fd, size_t len, struct err *err)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map the state segment of %zu bytes", len);
	*seg = (struct segment){.fd = fd, .base = p, .len = len};
	return 0;
}

int segment_create(struct segment *seg, const struct segment_plan plan[SEGMENT_SECTIONS], struct err *err)
{
	struct header h;
	uint64_t len;
	int r;

	if (!lay_out(&h, plan, &len))
		return err_set(err, EOVERFLOW, "the state segment would be too large");
	autofd int fd = memfd_create("colofs-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, errno, "cannot make the state segment");
	if (ftruncate(fd, (off_t)len))
		return err_sys(err, errno, "cannot size the state segment to %lu bytes", (unsigned long)len);
	r = map(seg, fd, len, err);
	if (r)
		return r;
	fd_take(&fd);
	memcpy(seg->base, &h, sizeof(h));
	note_places(seg, &h);
	return 0;
}

int segment_open(
	struct segment *seg, int fd, const struct segment_plan plan[SEGMENT_SECTIONS], struct err *err)
{
	struct header want;
	struct stat st;
	uint64_t len;
	int r;

	if (!lay_out(&want, plan, &len))
		return err_set(err, EOVERFLOW, "the state segment would be too large");
	if (fstat(fd, &st))
		return err_sys(err, errno, "cannot examine the state segment");
	if ((uint64_t)st.st_size != len)
		return err_set(err, EINVAL, "the state segment has %ld bytes instead of %lu",
			(long)st.st_size, (unsigned long)len);
	r = map(seg, fd, len, err);
	if (r)
		return r;
	note_places(seg, &want);
	if (!memcmp(seg->base, &want, sizeof(want)))
		return 0;
	munmap(seg->base, seg->len);
	*seg = (struct segment){.fd = -1};
	return err_set(
		err, EINVAL, "the state segment has another layout than this daemon's (%d)", SEGMENT_LAYOUT);
}

static bool lies_within(const struct header *h, uint64_t len)
{
	for (int i = 0; i < SEGMENT_SECTIONS; i++) {
		uint64_t end;

		if (!arith_mul((uint64_t)h->section[i].size, h->section[i].count, &end) ||
			!arith_add(end, h->section[i].offset, &end) || end > len)
			return false;
	}
	return true;
}

int segment_view(struct segment *seg, int fd, struct err *err)
{
	struct header h;
	struct stat st;
	void *p;

	if (fstat(fd, &st))
		return err_sys(err, errno, "cannot examine the state segment");
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != SEGMENT_MAGIC ||
		h.layout != SEGMENT_LAYOUT || !lies_within(&h, (uint64_t)st.st_size))
		return err_set(err, EINVAL, "no state segment of this layout (%d)", SEGMENT_LAYOUT);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, errno, "cannot map the state segment");
	*seg = (struct segment){.fd = -1, .base = p, .len = (size_t)st.st_size};
	note_places(seg, &h);
	return 0;
}

uint32_t segment_record_size(const struct segment *seg, enum segment_section section)
{
	return seg->place[section].size;
}

void *segment_at(const struct segment *seg, enum segment_section section)
{
	return (char *)seg->base + seg->place[section].offset;
}

uint64_t segment_count(const struct segment *seg, enum segment_section section)
{
	return seg->place[section].count;
}

void segment_close(struct segment *seg)
{
	if (!seg->base)
		return;
	munmap(seg->base, seg->len);
	if (seg->fd >= 0)
		close(seg->fd);
	*seg = (struct segment){.fd = -1};
}
