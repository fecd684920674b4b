/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What split and packed rings have in common: start, stop, the walk over descriptors, and what becomes of a
 * chain that is malformed. The layouts are in split.c and packed.c.
 */
#include "virtio/chain.h"

#include "base/arith.h"
#include "base/log.h"
#include "virtio/internal.h"
#include "virtio/track.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct vring *vring_new(void)
{
	return calloc(1, sizeof(struct vring));
}

void vring_free(struct vring *vr)
{
	if (!vr)
		return;
	vring_stop(vr);
	free(vr);
}

static int check_config(const struct vring_config *cfg, uint32_t base, struct err *err)
{
	const struct ring_ops *ops = cfg->packed ? &ring_packed : &ring_split;

	if (!cfg->size || cfg->size > VRING_MAX_SIZE)
		return err_set(err, EINVAL, "a ring of %u descriptors: 1 to %d are possible", cfg->size,
			VRING_MAX_SIZE);
	if (!cfg->packed && !arith_is_pow2(cfg->size))
		return err_set(
			err, EINVAL, "a split ring of %u descriptors: it must be a power of two", cfg->size);
	if (!ops->base_ok(cfg, base))
		return err_set(
			err, EINVAL, "a ring of %u descriptors cannot go on from %#x", cfg->size, base);
	return 0;
}

static int place(const struct mem_map *mem, struct fva addr, uint64_t size, uint64_t align, const char *what,
	void **out, struct err *err)
{
	void *p = mem_at_fva(mem, addr, size);

	if (!p)
		return err_set(err, EFAULT, "the ring's %s (%llu bytes at %#llx) is not in guest memory",
			what, (unsigned long long)size, (unsigned long long)addr.v);
	if ((uintptr_t)p & (align - 1))
		return err_set(err, EINVAL, "the ring's %s at %#llx is not aligned to %llu bytes", what,
			(unsigned long long)addr.v, (unsigned long long)align);
	*out = p;
	return 0;
}

static int place_all(
	const struct vring_config *cfg, const struct mem_map *mem, struct areas *at, struct err *err)
{
	const struct ring_ops *ops = cfg->packed ? &ring_packed : &ring_split;
	int r;

	r = place(mem, cfg->desc, cfg->size * sizeof(struct wire_desc), ops->desc_align,
		cfg->packed ? "descriptor ring" : "descriptor table", &at->desc, err);
	if (r)
		return r;
	r = place(mem, cfg->avail, ops->avail_size(cfg), ops->avail_align,
		cfg->packed ? "driver event area" : "available ring", &at->avail, err);
	if (r)
		return r;
	return place(mem, cfg->used, ops->used_size(cfg), ops->used_align,
		cfg->packed ? "device event area" : "used ring", &at->used, err);
}

/*
 * Takes up memory, log and areas. A packed ring is written in two areas and the front-end names an address
 * for one at most, so there the guest-physical addresses come from the map.
 */
static void adopt(struct vring *vr, const struct areas *at, struct mem_map *mem, struct mem_log *log)
{
	struct mem_map *old_mem = vr->mem;
	struct mem_log *old_log = vr->log;

	vr->at = *at;
	vr->mem = mem_ref(mem);
	vr->near = (struct mem_near){0};
	vr->log = log ? mem_log_ref(log) : NULL;
	vr->used_gpa = vr->cfg.log_addr;
	if (vr->cfg.packed) {
		mem_gpa_of(mem, at->desc, &vr->desc_gpa);
		mem_gpa_of(mem, at->used, &vr->used_gpa);
	}
	mem_unref(old_mem);
	mem_log_unref(old_log);
}

int vring_start(struct vring *vr, const struct vring_config *cfg, uint32_t base, struct mem_map *mem,
	struct mem_log *log, struct err *err)
{
	struct areas at;
	int r;

	if (vr->mem)
		return err_set(err, EBUSY, "the ring runs already");
	r = check_config(cfg, base, err);
	if (r)
		return r;
	r = place_all(cfg, mem, &at, err);
	if (r)
		return r;
	*vr = (struct vring){.ops = cfg->packed ? &ring_packed : &ring_split, .cfg = *cfg};
	adopt(vr, &at, mem, log);
	vr->ops->begin(vr, base);
	r = track_start(vr, base);
	if (r) {
		vring_stop(vr);
		return err_sys(err, -r, "what is in flight cannot be noted");
	}
	return 0;
}

uint32_t vring_stop(struct vring *vr)
{
	if (!vr->mem)
		return vr->base;
	vr->base = vr->ops->base(vr);
	track_stop(vr);
	mem_unref(vr->mem);
	mem_log_unref(vr->log);
	vr->mem = NULL;
	vr->log = NULL;
	return vr->base;
}

int vring_remap(
	struct vring *vr, struct mem_map *mem, struct mem_log *log, struct gpa log_addr, struct err *err)
{
	struct areas at;
	int r;

	if (!vr->mem)
		return err_set(err, EINVAL, "the ring does not run");
	r = place_all(&vr->cfg, mem, &at, err);
	if (r)
		return r;
	vr->cfg.log_addr = log_addr;
	adopt(vr, &at, mem, log);
	return 0;
}

uint32_t vring_base(const struct vring *vr)
{
	return vr->mem ? vr->ops->base(vr) : vr->base;
}

uint32_t vring_inflight(const struct vring *vr)
{
	return vr->inflight;
}

struct mem_map *vring_mem(const struct vring *vr)
{
	return vr->mem;
}

struct mem_log *vring_log(const struct vring *vr)
{
	return vr->log;
}

bool vring_resumes(const struct vring *vr)
{
	return vr->mem && !vr->broken && vr->resume_at < vr->resume_n;
}

void vring_forget(struct vring *vr)
{
	if (vr->mem)
		track_forget(vr);
}

int vring_pop(struct vring *vr, struct vring_chain *chain)
{
	const char *why = NULL;
	int r;

	if (!vr->mem)
		return 0;
	if (vr->broken)
		return -EPROTO;
	chain->id = 0;
	chain->slot = 0;
	chain->ndesc = 0;
	chain->nin = 0;
	chain->nout = 0;
	chain->resumed = false;
	r = vr->resume_at < vr->resume_n ? track_resume(vr, chain, &why) : vr->ops->pop(vr, chain, &why);
	if (r < 0) {
		vr->broken = true;
		vring_log_chain(chain, why);
	}
	return r;
}

void vring_push(struct vring *vr, const struct vring_chain *chain, uint32_t written)
{
	uint32_t units = vr->cfg.packed ? chain->ndesc : 1;

	if (!vr->mem)
		return;
	vr->ops->push(vr, chain, written);
	vr->inflight -= MIN(units, vr->inflight);
	if (!arith_add(vr->uncalled, units, &vr->uncalled))
		vr->uncalled = UINT32_MAX;
}

/* The first answer after a start is yes: an earlier owner of the ring may have pushed without calling. */
bool vring_wants_call(struct vring *vr)
{
	uint32_t uncalled = vr->uncalled;
	bool asked = vr->asked;

	if (!vr->mem || !uncalled)
		return false;
	vr->uncalled = 0;
	vr->asked = true;
	return !asked || vr->ops->wants_call(vr, uncalled);
}

bool vring_want_kick(struct vring *vr)
{
	return vr->mem && !vr->broken && vr->ops->want_kick(vr);
}

void vring_no_kick(struct vring *vr)
{
	if (vr->mem && !vr->broken)
		vr->ops->no_kick(vr);
}

bool vring_watch(const struct vring *vr, struct vring_watch *w)
{
	if (!vr->mem || vr->broken)
		return false;
	*w = vr->ops->watch(vr);
	return true;
}

const char *table_enter(struct vring *vr, struct table *t, const struct desc *d)
{
	uint64_t end;

	if (!vr->cfg.indirect)
		return "it has an indirect descriptor, which was not negotiated";
	if (t->indirect)
		return "an indirect table refers to another";
	if (d->flags & DESC_NEXT)
		return "an indirect descriptor has a next one";
	if (!d->len || d->len % sizeof(struct wire_desc))
		return "an indirect table's length is no multiple of 16";
	if (d->len / sizeof(struct wire_desc) > VRING_MAX_SIZE)
		return "an indirect table is too long";
	if (!arith_add(d->addr.v, d->len, &end))
		return "an indirect table wraps around";
	*t = (struct table){.at = mem_at_near(vr->mem, d->addr, d->len, &vr->near),
		.gpa = d->addr,
		.n = d->len / (uint32_t)sizeof(struct wire_desc),
		.indirect = true};
	return NULL;
}

const char *chain_add_pieces(struct vring *vr, struct walk *w, const struct desc *d)
{
	struct vring_chain *c = w->chain;
	unsigned int used = c->nin + c->nout;
	int n = mem_pieces(vr->mem, d->addr, d->len, c->iov + used, c->max - used);

	if (n == -E2BIG)
		return "it has too many pieces";
	if (n < 0)
		return "a descriptor is not in guest memory";
	if (w->writable)
		c->nout += (unsigned int)n;
	else
		c->nin += (unsigned int)n;
	return NULL;
}

void ring_mark(const struct vring *vr, struct gpa area, uint64_t off, uint64_t len)
{
	if (vr->cfg.log && vr->log)
		mem_log_mark(vr->log, (struct gpa){area.v + off}, len);
}

void vring_log_chain(const struct vring_chain *chain, const char *why)
{
	char text[640];
	size_t pos = 0;
	unsigned int n = chain->nin + chain->nout, i;

	text[0] = '\0';
	for (i = 0; i < n && pos < sizeof(text) - 32; i++)
		pos += (size_t)snprintf(text + pos, sizeof(text) - pos, "%s%s%zu",
			i == chain->nin ? "; writable " : " ", i == 0 && chain->nin ? "readable " : "",
			chain->iov[i].iov_len);
	log_limited("chain %u of %u descriptors, %u readable and %u writable pieces: %s; bytes of the "
		    "pieces:%s%s",
		chain->id, chain->ndesc, chain->nin, chain->nout, why, text, i < n ? " ..." : "");
}
