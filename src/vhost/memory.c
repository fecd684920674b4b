/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of guest memory and of the dirty log. A new map takes the old one's place only when it is whole,
 * so a refused message leaves everything as it was.
 */
#include "vhost/save.h"

#include "base/arith.h"
#include "base/cleanup.h"

struct mem_log *memory_active_log(const struct vhost_device *d)
{
	return d->features & WIRE_F_LOG_ALL ? d->log : NULL;
}

static void use_map(struct vhost_device *d, struct mem_map *map)
{
	struct mem_map *old = d->mem;

	d->mem = map;
	channel_memory_told(
		&d->channel); /* first: a ring that has to stop may wait for one who waits for this */
	rings_settle(d);
	save_drop_map(d, old);
}

static struct mem_desc desc_of(const struct wire_region *r)
{
	return (struct mem_desc){
		.gpa = {r->gpa}, .fva = {r->fva}, .size = r->size, .mmap_offset = r->mmap_offset};
}

/* One region more: *map is replaced. */
static int add_region(struct mem_map **map, const struct wire_region *region, int fd, struct err *err)
{
	struct mem_desc desc = desc_of(region);
	struct mem_map *more;
	int r = mem_with(*map, &desc, fd, &more, err);

	if (r)
		return r;
	mem_unref(*map);
	*map = more;
	return 0;
}

/* User-Mode Linux sends room for two regions whatever the count is: the count alone says what is there. */
HANDLER(handle_set_mem_table)
{
	struct wire_regions head;
	struct mem_map *map;

	(void)reply;
	memcpy(&head, m->payload, sizeof(head));
	if (head.count != m->nfds)
		return err_set(err, EPROTO, "%u regions with %u descriptors", head.count, m->nfds);
	if (sizeof(head) + head.count * sizeof(struct wire_region) > m->header.size)
		return err_set(err, EPROTO, "%u regions in %u bytes", head.count, m->header.size);
	map = mem_ref(d->no_memory);
	for (uint32_t i = 0; i < head.count; i++) {
		struct wire_region region;
		int r;

		memcpy(&region, m->payload + sizeof(head) + i * sizeof(region), sizeof(region));
		r = add_region(&map, &region, m->fds[i], err);
		if (r) {
			mem_unref(map);
			return err_prefix(err, r, "region %u", i);
		}
	}
	use_map(d, map);
	return 0;
}

HANDLER(handle_get_max_mem_slots)
{
	(void)d, (void)m, (void)err;
	reply_u64(reply, MEM_MAX_REGIONS);
	return 0;
}

HANDLER(handle_add_mem_reg)
{
	struct wire_one_region one;
	struct mem_map *map;
	int r;

	(void)reply;
	memcpy(&one, m->payload, sizeof(one));
	map = mem_ref(d->mem);
	r = add_region(&map, &one.region, m->fds[0], err);
	if (r) {
		mem_unref(map);
		return r;
	}
	use_map(d, map);
	return 0;
}

/* Some front-ends send the descriptor here too: it is not needed. */
HANDLER(handle_rem_mem_reg)
{
	struct wire_one_region one;
	struct mem_desc desc;
	struct mem_map *map;
	int r;

	(void)reply;
	memcpy(&one, m->payload, sizeof(one));
	desc = desc_of(&one.region);
	r = mem_without(d->mem, &desc, &map, err);
	if (r)
		return r;
	use_map(d, map);
	return 0;
}

HANDLER(handle_set_log_base)
{
	struct mem_log *old = d->log;
	struct mem_log *log;
	struct wire_log wire;
	struct err why = {0};

	(void)reply;
	memcpy(&wire, m->payload, sizeof(wire));
	log = mem_log_new(m->fds[0], wire.offset, wire.size, &why);
	if (!log)
		return err_set(err, EINVAL, "dirty log of %llu bytes at %llu: %s",
			(unsigned long long)wire.size, (unsigned long long)wire.offset, why.text);
	d->log = log;
	rings_settle(d);
	save_drop_log(d, old);
	return 0;
}
