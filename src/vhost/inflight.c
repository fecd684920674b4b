/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INFLIGHT_SHMFD: where the records of what is in flight lie when a front-end wants to keep them, so that it
 * can go on with another back-end. Else they lie in memory of the owner's.
 */
#include "vhost/save.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/guard.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define ALIGN 64

static uint64_t region_size(const struct vhost_device *d, uint16_t queue_size)
{
	return arith_align_up(vring_track_size(d->features & WIRE_F_RING_PACKED, queue_size), ALIGN);
}

static void let_go(struct vhost_device *d, const struct vhost_inflight *i)
{
	if (i->map) {
		guard_drop(i->guard);
		munmap(i->map, i->map_len);
	}
	save_close(d, i->fd);
}

void inflight_close(struct vhost_device *d)
{
	let_go(d, &d->inflight);
	d->inflight = (struct vhost_inflight){.fd = -1};
}

/* Ours to give was memory of the usual pages, and a guard knows no others. */
static bool has_usual_pages(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type != HUGETLBFS_MAGIC;
}

int inflight_use(struct vhost_device *d, int fd, const struct saved_area *a, uint16_t queues,
	uint16_t queue_size, struct err *err)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), lead = a->offset & (page - 1), end;
	struct stat st;
	int guard;
	void *p;

	if (!arith_add(a->offset, a->size, &end) || a->offset % ALIGN || fstat(fd, &st) ||
		!has_usual_pages(fd) || (uint64_t)st.st_size < end || queues > d->queues || !queue_size ||
		queue_size > VRING_MAX_SIZE || a->size / region_size(d, queue_size) < queues)
		return err_set(err, EINVAL, "records of %u queues of %u in %llu bytes at %llu", queues,
			queue_size, (unsigned long long)a->size, (unsigned long long)a->offset);
	p = mmap(NULL, a->size + lead, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(a->offset - lead));
	if (p == MAP_FAILED)
		return err_sys(err, errno, "the records of what is in flight cannot be mapped");
	guard = guard_add(p, a->size + lead, page);
	if (guard < 0) {
		munmap(p, a->size + lead);
		return err_set(err, -guard, "too many pieces of memory are in use");
	}
	d->inflight = (struct vhost_inflight){.fd = fd,
		.guard = guard,
		.offset = a->offset,
		.size = a->size,
		.queues = queues,
		.queue_size = queue_size,
		.map = p,
		.map_len = a->size + lead,
		.records = (char *)p + lead};
	return 0;
}

bool inflight_vanished(const struct vhost_device *d)
{
	return d->inflight.map && guard_hit(d->inflight.guard);
}

/* Features may have changed since the memory was given: records of packed rings are larger. */
void *inflight_records(const struct vhost_device *d, unsigned int i, uint32_t size)
{
	uint64_t each = region_size(d, d->inflight.queue_size);

	if (d->inflight.map && i < MIN(d->inflight.queues, d->inflight.size / each) &&
		size <= d->inflight.queue_size)
		return (char *)d->inflight.records + i * each;
	return d->cfg.track ? (char *)d->cfg.track + i * vhost_track_size() : NULL;
}

bool vhost_device_flight(const struct vhost_device *d, unsigned int i, struct vhost_flight *out)
{
	*out = (struct vhost_flight){.packed = d->features & WIRE_F_RING_PACKED};
	if (i >= d->queues || d->inflight.map || !d->cfg.track || d->ring[i].running)
		return false;
	out->size = d->ring[i].size;
	out->records = inflight_records(d, i, out->size);
	return vring_track_any(out->records, out->packed, out->size);
}

int vhost_device_set_flight(
	struct vhost_device *d, unsigned int i, const struct vhost_flight *f, struct err *err)
{
	if (i >= d->queues || d->inflight.map || !d->cfg.track || d->ring[i].running)
		return err_set(err, EINVAL, "queue %u cannot go on from another's records", i);
	memcpy((char *)d->cfg.track + i * vhost_track_size(), f->records,
		vring_track_size(f->packed, f->size));
	d->ring[i].goes_on = VRING_TRACK_RESUME;
	save_commit(d);
	return 0;
}

HANDLER(handle_get_inflight_fd)
{
	struct wire_inflight w;

	memcpy(&w, m->payload, sizeof(w));
	if (!w.num_queues || w.num_queues > d->queues || !w.queue_size || w.queue_size > VRING_MAX_SIZE)
		return err_set(err, EINVAL, "records of %u queues of %u", w.num_queues, w.queue_size);
	w.mmap_offset = 0;
	w.mmap_size = w.num_queues * region_size(d, w.queue_size);
	autofd int fd = memfd_create("colofs-inflight", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)w.mmap_size))
		return err_sys(err, errno, "no memory for the records of what is in flight");
	reply_set(reply, &w, sizeof(w));
	reply->fd = fd_take(&fd);
	return 0;
}

HANDLER(handle_set_inflight_fd)
{
	const struct vhost_inflight before = d->inflight;
	struct saved_area area;
	struct wire_inflight w;
	int r;

	(void)reply;
	memcpy(&w, m->payload, sizeof(w));
	area = (struct saved_area){.offset = w.mmap_offset, .size = w.mmap_size};
	if (rings_any_running(d))
		return err_set(err, EBUSY, "the records of running rings change");
	r = inflight_use(d, m->fds[0], &area, w.num_queues, w.queue_size, err);
	if (r)
		return r;
	let_go(d, &before);
	message_take_fd(m, 0);
	rings_go_on(d);
	return 0;
}
