/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The window goes on with another process: the front-end has kept its mappings, the records say what they
 * are. What the last process was about to do with one of them is undone, and what it left half filled is
 * filled. That asks the front-end: by a thread of its own, or the first one of a request that comes to it.
 */
#include "dax/internal.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <string.h>

/* A descriptor that is not there is no file. Claims that the last process had are ours already. */
static void check_files(struct dax *d)
{
	d->nfiles = d->nranges + 1;
	for (uint32_t i = 0; i < d->nfiles; i++) {
		struct dax_file *f = &d->files[i];

		f->ranges = 0;
		if (f->node && fcntl(f->fd, F_GETFD) < 0)
			f->node = 0;
		if (f->node && f->claimed)
			claim_take(d->cfg.claims, f->claim);
	}
}

void adopt_records(struct dax *d)
{
	claim_forget_cuts(d->cfg.claims);
	check_files(d);
	for (uint32_t i = 0; i < d->nranges; i++) {
		struct dax_file *f = d->ranges[i].node ? file_of(d, &d->ranges[i]) : NULL;

		if (f)
			f->ranges++;
		else
			d->ranges[i].node = 0;
	}
	for (uint32_t i = 0; i < d->nfiles; i++)
		if (d->files[i].node)
			file_drop(d, &d->files[i]);
	d->unsettled = true;
}

/* All of it is filled and as the file is now, whatever changed that the last process did not see; or there is
 * nothing. */
static int complete(struct dax *d, struct dax_range *r)
{
	const struct op_change all = {.node = {r->node}, .len = UINT64_MAX};
	struct dax_file *f = file_of(d, r);
	int e;

	file_look(d, f);
	e = range_follow(d, r, f, &all, NULL);
	if (!e || !range_is_empty(r))
		return e;
	range_forget(d, r, f);
	f->ranges--;
	file_drop(d, f);
	return e;
}

void adopt_settle(struct dax *d)
{
	int e;

	if (!d->unsettled)
		return;
	e = range_settle(d);
	for (uint32_t i = 0; i < d->nranges && !e; i++)
		e = d->ranges[i].node ? complete(d, &d->ranges[i]) : 0;
	if (e)
		log_limited("dax: the window is not what it was: %s", strerrordesc_np(-e));
	else
		d->unsettled = false;
}

int dax_keep_fds(const struct dax *d, struct fdmap *map)
{
	int r = 0;

	for (uint32_t i = 0; i < d->nfiles && !r; i++)
		if (d->files[i].node)
			r = fdmap_add(map, d->files[i].fd);
	return r;
}

static void *settle(void *arg)
{
	struct dax *d = arg;

	autolock(&d->lock);
	adopt_settle(d);
	return NULL;
}

/* Without a thread the first request does it. */
void dax_resume(struct dax *d)
{
	d->settling = d->unsettled && !pthread_create(&d->settler, NULL, settle, d);
}

void adopt_end(struct dax *d)
{
	if (d->settling)
		pthread_join(d->settler, NULL);
	d->settling = false;
}
