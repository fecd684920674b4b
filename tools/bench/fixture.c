/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that the loads work on; the header says more. */
#include "fixture.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CLIENT(f) (&(f)->t->client[1])

static bool any_load(const struct options *o, enum load_id first, enum load_id last)
{
	bool any = false;

	for (unsigned int i = first; i <= last; i++)
		any |= o->load[i];
	return any;
}

static int make_dir(struct fixture *f, uint64_t parent, const char *name, uint64_t *node)
{
	struct fuse_entry_out e;
	int r = fc_mkdir(CLIENT(f), parent, name, S_IFDIR | 0755, &e);

	if (!r)
		*node = e.nodeid;
	return r;
}

/* A file that is known and open from now on. */
static int make_open(struct fixture *f, uint64_t parent, const char *name, struct fc_file *file)
{
	struct fuse_create_in in = {.flags = O_CREAT | O_EXCL | O_RDWR, .mode = S_IFREG | 0644};
	struct fc_created out;
	int r = fc_create(CLIENT(f), parent, name, &in, &out);

	if (!r)
		*file = (struct fc_file){out.entry.nodeid, out.open.fh};
	return r;
}

/* By requests of @chunk bytes. */
static int write_file(struct fixture *f, struct fc_file file, uint64_t size, size_t chunk, uint64_t seed)
{
	autofree uint8_t *buf = malloc(chunk);
	ssize_t r = 0;

	if (!buf)
		return -ENOMEM;
	for (uint64_t off = 0; off < size && r >= 0; off += chunk) {
		chunk = MIN(chunk, size - off);
		bench_fill(buf, chunk, off, seed);
		r = fc_write(CLIENT(f), file, buf, chunk, off);
		if (r >= 0 && (size_t)r != chunk)
			r = -EIO;
	}
	return r < 0 ? (int)r : 0;
}

/* A file that nobody knows when this is done. @size 0: empty. */
static int make_unknown(struct fixture *f, uint64_t parent, const char *name, uint64_t size, uint64_t seed)
{
	struct fc_file file;
	int r = make_open(f, parent, name, &file);

	if (r)
		return r;
	if (size)
		r = write_file(f, file, size, BENCH_BLOCK, seed);
	if (!r && !f->t->no_open)
		r = fc_release(CLIENT(f), file);
	target_forget(f->t, file.node, 1);
	return r;
}

static void number(char name[32], const char *stem, unsigned int i)
{
	snprintf(name, 32, "%s-%06u", stem, i);
}

static int make_known(struct fixture *f)
{
	char name[32];
	int r = 0;

	for (unsigned int i = 0; i < BENCH_KNOWN && !r; i++) {
		number(name, "known", i);
		r = make_open(f, f->dir, name, &f->known_file[i]);
		f->known[i] = f->known_file[i].node;
	}
	return r;
}

static int make_unknowns(
	struct fixture *f, const char *stem, uint64_t *dir, unsigned int count, uint64_t size)
{
	char name[32];
	int r = make_dir(f, f->dir, stem, dir);

	for (unsigned int i = 0; i < count && !r; i++) {
		number(name, stem, i);
		r = make_unknown(f, *dir, name, size, i + 1);
	}
	return r;
}

static int open_on_host(struct fixture *f)
{
	const char *host = f->t->opt->host_dir;
	char path[4096], name[32];

	for (unsigned int i = 0; i < FIXTURE_SYNCED; i++) {
		number(name, "synced", i);
		snprintf(path, sizeof(path), "%s/%s/%s", host, f->name, name);
		f->synced_host[i] = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (f->synced_host[i] < 0)
			return -errno;
	}
	snprintf(path, sizeof(path), "%s/%s/cold", host, f->name);
	return cold_open(&f->cold_host, path);
}

/* What the host keeps of a file in memory is in pieces as large as the writes that made it. */
static int make_data(struct fixture *f, const char *name, size_t chunk, struct fc_file *file)
{
	int r = make_open(f, f->dir, name, file);

	return r ? r : write_file(f, *file, f->t->opt->file_size, chunk, 0);
}

static int make_cold(struct fixture *f)
{
	char name[32];
	int r = make_open(f, f->dir, "cold", &f->cold);

	if (!r)
		r = write_file(f, f->cold, f->t->opt->file_size, f->t->io_max, 0);
	if (!r)
		r = fc_fsync(CLIENT(f), f->cold, false);
	for (unsigned int i = 0; i < FIXTURE_SYNCED && !r; i++) {
		number(name, "synced", i);
		r = make_open(f, f->dir, name, &f->synced[i]);
	}
	return r || !f->t->opt->host_dir ? r : open_on_host(f);
}

/* A daemon that wants no OPEN gives no handle with CREATE either: FUSE_NO_OPEN_SUPPORT. */
static int ask_for_open(struct fixture *f)
{
	struct fuse_open_out out;
	struct fc_file file;
	int r = make_open(f, f->dir, "open", &file);

	if (r)
		return r;
	r = fc_open(CLIENT(f), file.node, O_RDONLY, &out);
	f->t->no_open = r == -ENOSYS;
	if (!r)
		r = fc_release(CLIENT(f), (struct fc_file){file.node, out.fh});
	if (!r)
		r = fc_release(CLIENT(f), file);
	return r == -ENOSYS ? 0 : r;
}

static int make_all(struct fixture *f)
{
	const struct options *o = f->t->opt;
	int r = make_dir(f, FUSE_ROOT_ID, f->name, &f->dir);

	if (!r)
		r = ask_for_open(f);
	if (!r)
		r = make_known(f);
	if (!r)
		r = make_unknowns(f, "scratch", &f->scratch, 0, 0);
	if (!r && (o->load[LOAD_LOOKUP_NEW] || o->load[LOAD_SMALL] || o->load[LOAD_MIX]))
		r = make_unknowns(f, "small", &f->small, BENCH_SMALL, BENCH_BLOCK);
	if (!r && o->load[LOAD_LIST])
		r = make_unknowns(f, "list", &f->list, o->entries, 0);
	if (!r && any_load(o, LOAD_SEQREAD, LOAD_SEQWRITE))
		r = make_data(f, "data", f->t->io_max, &f->data);
	if (!r && (any_load(o, LOAD_RANDREAD, LOAD_RANDWRITE) || any_load(o, LOAD_MIX, LOAD_BESIDE)))
		r = make_data(f, "blocks", BENCH_BLOCK, &f->blocks);
	if (!r && any_load(o, LOAD_BLOCKING, LOAD_BESIDE))
		r = make_cold(f);
	return r ? r : target_settle(f->t);
}

int fixture_make(struct fixture *f, struct target *t, struct err *err)
{
	int r;

	*f = (struct fixture){.t = t, .cold_host = {.fd = -1}};
	for (unsigned int i = 0; i < FIXTURE_SYNCED; i++)
		f->synced_host[i] = -1;
	snprintf(f->name, sizeof(f->name), "colofs-bench-%d", (int)getpid());
	r = make_all(f);
	return r ? err_sys(err, -r, "preparing files in the share") : 0;
}

static void release(struct fixture *f, struct fc_file file)
{
	if (file.node && !f->t->no_open)
		fc_release(CLIENT(f), file);
}

/* As a guest does: what is unlinked was looked up; the C virtiofsd refuses other names. */
static int look_up_and_unlink(struct fixture *f, uint64_t dir, const char *name)
{
	struct fuse_entry_out e;
	int r = fc_lookup(CLIENT(f), dir, name, &e);

	return r ? r : fc_unlink(CLIENT(f), dir, name);
}

static void remove_numbered(struct fixture *f, uint64_t dir, const char *stem, unsigned int count)
{
	char name[32];

	for (unsigned int i = 0; dir && i < count; i++) {
		number(name, stem, i);
		if (look_up_and_unlink(f, dir, name) == -ETIMEDOUT)
			return;
	}
	if (dir != f->dir)
		fc_rmdir(CLIENT(f), f->dir, stem);
}

int fixture_remove(struct fixture *f, struct err *err)
{
	static const char *const single[] = {"open", "data", "blocks", "cold"};
	int r;

	if (!f->dir)
		return 0;
	cold_close(&f->cold_host);
	for (unsigned int i = 0; i < BENCH_KNOWN; i++)
		release(f, f->known_file[i]);
	release(f, f->data);
	release(f, f->blocks);
	release(f, f->cold);
	for (unsigned int i = 0; i < FIXTURE_SYNCED; i++) {
		cleanup_fd(&f->synced_host[i]);
		release(f, f->synced[i]);
	}
	remove_numbered(f, f->dir, "known", BENCH_KNOWN);
	remove_numbered(f, f->dir, "synced", FIXTURE_SYNCED);
	remove_numbered(f, f->small, "small", BENCH_SMALL);
	remove_numbered(f, f->list, "list", f->t->opt->entries);
	remove_numbered(f, f->scratch, "scratch", 0);
	for (unsigned int i = 0; i < ARRAY_LEN(single); i++)
		look_up_and_unlink(f, f->dir, single[i]);
	r = fc_rmdir(CLIENT(f), FUSE_ROOT_ID, f->name);
	return r ? err_sys(err, -r, "removing %s from the share", f->name) : 0;
}
