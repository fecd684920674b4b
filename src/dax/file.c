/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of which something is mapped, each with a descriptor of its own. Which ranges are of them is in
 * dax.c. Threads: see struct dax.
 */
#include "dax/internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/order.h"

#include <fcntl.h>
#include <time.h>

#define NSEC	 INT64_C(1000000000)
#define CLOCK_NS (NSEC / 50) /* files' times move in steps of at most this */

struct dax_file *file_find(struct dax *d, struct nodeid node)
{
	for (uint32_t i = 0; i < d->nfiles; i++)
		if (node.v && d->files[i].node == node.v)
			return &d->files[i];
	return NULL;
}

struct dax_file *file_of(struct dax *d, const struct dax_range *r)
{
	return file_find(d, (struct nodeid){r->node});
}

bool file_peek(struct dax *d, struct nodeid node, struct dax_file *out)
{
	const struct dax_file *f;

	autolock(&d->index);
	f = file_find(d, node);
	if (f)
		*out = (struct dax_file){
			.size = f->size, .mtime_ns = f->mtime_ns, .copied = f->copied, .behind = f->behind};
	return f;
}

/* lock and index held. An entry that is free; there is one for each range, and one more. */
static struct dax_file *free_entry(struct dax *d)
{
	for (uint32_t i = 0; i < d->nfiles; i++)
		if (!d->files[i].node)
			return &d->files[i];
	return d->nfiles <= d->nranges ? &d->files[d->nfiles++] : NULL;
}

/* 0 for a time so short ago that another change could have the same. */
static int64_t settled_mtime(int64_t mtime_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return mtime_ns + CLOCK_NS < now.tv_sec * NSEC + now.tv_nsec ? mtime_ns : 0;
}

static void note(struct dax_file *f, const struct stat *st)
{
	f->size = (uint64_t)st->st_size;
	f->mtime_ns = settled_mtime(st->st_mtim.tv_sec * NSEC + st->st_mtim.tv_nsec);
}

static bool is_read_only(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY;
}

static int copy_fd(int fd)
{
	return TEMP_FAILURE_RETRY(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/* An entry that could only be read so far gets @fd to write with; its ranges stay copies. */
static int open_to_write(struct dax_file *f, int fd)
{
	int old = f->fd, mine;

	if (!f->read_only || is_read_only(fd))
		return 0;
	mine = copy_fd(fd);
	if (mine < 0)
		return -errno;
	f->fd = mine;
	in_order(); /* what is not read-only can be written by any process */
	f->read_only = false;
	close(old);
	return 0;
}

static bool claim_file(struct dax *d, const struct dax_file *f)
{
	if (f->read_only)
		return false;
	if (claim_take(d->cfg.claims, f->claim) && !claim_is_cut(d->cfg.claims, f->claim))
		return true;
	claim_give(d->cfg.claims, f->claim);
	log_limited("dax: a file is mapped or cut by another guest too, this one gets copies of its pages; "
		    "--dax-trust-peers lets guests share them");
	return false;
}

int file_take(struct dax *d, struct nodeid node, int fd, struct dax_file **out)
{
	struct dax_file f = {.read_only = is_read_only(fd)};
	struct stat st;

	*out = file_find(d, node);
	if (*out)
		return open_to_write(*out, fd);
	if (fstat(fd, &st))
		return -errno;
	autofd int mine = copy_fd(fd);
	if (mine < 0)
		return -errno;
	note(&f, &st);
	f.claim = claim_of(st.st_dev, st.st_ino);
	autolock(&d->index);
	*out = free_entry(d);
	if (!*out)
		return -ENFILE;
	f.claimed = claim_file(d, &f);
	f.fd = fd_take(&mine);
	**out = f;
	__atomic_store_n(&(*out)->node, node.v, __ATOMIC_RELEASE);
	return 0;
}

void file_drop(struct dax *d, struct dax_file *f)
{
	if (f->ranges)
		return;
	if (f->claimed)
		claim_give(d->cfg.claims, f->claim);
	autolock(&d->index);
	__atomic_store_n(&f->node, 0, __ATOMIC_RELEASE);
	close(f->fd);
}

void file_copied(struct dax *d, struct dax_file *f)
{
	autolock(&d->index);
	f->copied = true;
}

void file_look(struct dax *d, struct dax_file *f)
{
	struct stat st;

	autolock(&d->index);
	if (!fstat(f->fd, &st))
		note(f, &st);
}

void file_behind(struct dax *d, struct dax_file *f, bool behind)
{
	autolock(&d->index);
	f->behind = behind;
}

bool file_differs(const struct dax_file *f, const struct statx *st)
{
	int64_t mtime_ns = st->stx_mtime.tv_sec * NSEC + st->stx_mtime.tv_nsec;

	return f->behind || f->size != st->stx_size || (f->copied && f->mtime_ns != mtime_ns);
}
