/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests of each load, as a Linux guest sends them, and what their replies must say. */
#include "engine.h"

#include "base/arith.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int wrong(struct lane *l, const char *what)
{
	return err_set(&l->engine->err, EIO, "%s: %s", bench_load_name[l->now], what);
}

static void ask(struct lane *l, uint32_t opcode, uint64_t node, size_t in_len)
{
	l->op = (struct fc_op){.opcode = opcode, .node = node};
	if (in_len)
		l->op.arg[l->op.nargs++] = (struct iovec){&l->in, in_len};
}

static void add_name(struct lane *l)
{
	l->op.arg[l->op.nargs++] = (struct iovec){l->name, strlen(l->name) + 1};
}

static int want(struct lane *l, size_t reply_len)
{
	l->op.reply = &l->out;
	l->op.reply_len = reply_len;
	return STEP_ASK;
}

static int ask_lookup(struct lane *l, uint64_t parent, const char *stem)
{
	snprintf(l->name, sizeof(l->name), "%s-%06u", stem, l->index);
	ask(l, FUSE_LOOKUP, parent, 0);
	add_name(l);
	return want(l, sizeof(l->out.entry));
}

static int ask_open(struct lane *l, uint32_t opcode)
{
	l->in.open = (struct fuse_open_in){.flags = O_RDONLY};
	ask(l, opcode, l->file.node, sizeof(l->in.open));
	return want(l, sizeof(l->out.open));
}

static int ask_read(struct lane *l, uint32_t opcode, uint32_t size, bool keep)
{
	l->in.read = (struct fuse_read_in){.fh = l->file.fh, .offset = l->off, .size = size};
	ask(l, opcode, l->file.node, sizeof(l->in.read));
	l->op.read = keep ? l->buf : NULL;
	l->op.read_len = size;
	return STEP_ASK;
}

static int ask_write(struct lane *l, uint32_t size, uint64_t seed)
{
	l->in.write = (struct fuse_write_in){.fh = l->file.fh, .offset = l->off, .size = size};
	ask(l, FUSE_WRITE, l->file.node, sizeof(l->in.write));
	l->op.data_len = size;
	if (l->engine->t->opt->verify) {
		bench_fill(l->buf, size, l->off, seed);
		l->op.data = l->buf;
	}
	return want(l, sizeof(l->out.write));
}

static int ask_flush(struct lane *l)
{
	l->in.flush = (struct fuse_flush_in){.fh = l->file.fh, .lock_owner = l->id + 1};
	ask(l, FUSE_FLUSH, l->file.node, sizeof(l->in.flush));
	return STEP_ASK;
}

static int ask_release(struct lane *l, uint32_t opcode)
{
	l->in.release = (struct fuse_release_in){.fh = l->file.fh, .flags = O_RDONLY};
	ask(l, opcode, l->file.node, sizeof(l->in.release));
	return STEP_ASK;
}

/* Another of @count files with each operation, never one that another lane is at. */
static void next_index(struct lane *l, unsigned int count)
{
	l->index = (unsigned int)((l->id + l->round * l->engine->total) % count);
}

static int check_attr(struct lane *l, const struct fuse_attr *a, uint64_t size)
{
	if (!S_ISREG(a->mode) || a->size != size)
		return wrong(l, "attributes of another file");
	return STEP_DONE;
}

static int check_data(struct lane *l, size_t size, uint64_t seed)
{
	if (l->op.got != size)
		return wrong(l, "a short read");
	if (l->engine->t->opt->verify && !bench_check(l->buf, size, l->off, seed))
		return wrong(l, "other data than was written");
	return STEP_DONE;
}

static int step_getattr(struct lane *l)
{
	const struct fixture *f = l->engine->f;

	if (l->step)
		return l->out.attr.attr.ino ? check_attr(l, &l->out.attr.attr, 0)
					    : wrong(l, "no inode number");
	next_index(l, BENCH_KNOWN);
	l->in.getattr = (struct fuse_getattr_in){0};
	if (l->now == LOAD_GETATTR_FH && !l->engine->t->no_open)
		l->in.getattr = (struct fuse_getattr_in){
			.getattr_flags = FUSE_GETATTR_FH, .fh = f->known_file[l->index].fh};
	ask(l, FUSE_GETATTR, f->known[l->index], sizeof(l->in.getattr));
	return want(l, sizeof(l->out.attr));
}

static int step_lookup(struct lane *l)
{
	const struct fixture *f = l->engine->f;

	if (!l->step) {
		next_index(l, BENCH_KNOWN);
		return ask_lookup(l, f->dir, "known");
	}
	target_forget(l->engine->t, l->out.entry.nodeid, 1);
	if (l->out.entry.nodeid != f->known[l->index])
		return wrong(l, "another nodeid than before");
	return check_attr(l, &l->out.entry.attr, 0);
}

static int step_lookup_new(struct lane *l)
{
	if (!l->step) {
		next_index(l, BENCH_SMALL);
		return ask_lookup(l, l->engine->f->small, "small");
	}
	target_forget(l->engine->t, l->out.entry.nodeid, 1);
	return check_attr(l, &l->out.entry.attr, BENCH_BLOCK);
}

/* Where the next transfer goes: random blocks, or one after the other over all lanes of a queue. */
static uint32_t next_range(struct lane *l)
{
	struct engine *e = l->engine;
	uint64_t size = e->t->opt->file_size;
	uint32_t len = BENCH_BLOCK;

	if (l->now == LOAD_RANDREAD || l->now == LOAD_RANDWRITE) {
		l->file = e->f->blocks;
		l->off = bench_random_part(&e->random, size, BENCH_BLOCK);
	} else {
		l->file = e->f->data;
		len = e->t->io_max;
		l->off = e->cursor;
		e->cursor = e->cursor + 2 * len > size ? 0 : e->cursor + len;
	}
	return len;
}

/* What is written and read back goes behind what is only read, where each lane has BENCH_BIG bytes. */
static uint32_t own_range(struct lane *l)
{
	struct engine *e = l->engine;

	l->file = l->now == LOAD_RANDWRITE ? e->f->blocks : e->f->data;
	l->off = e->t->opt->file_size + (uint64_t)l->id * BENCH_BIG;
	if (l->now != LOAD_RANDWRITE)
		return e->t->io_max;
	l->off += bench_random_part(&e->random, BENCH_BIG, BENCH_BLOCK);
	return BENCH_BLOCK;
}

/* A write is answered; with --verify it is read back. */
static int check_written(struct lane *l)
{
	if (l->out.write.size != l->in.write.size)
		return wrong(l, "a short write");
	if (!l->engine->t->opt->verify)
		return STEP_DONE;
	return ask_read(l, FUSE_READ, l->in.write.size, true);
}

static int step_read(struct lane *l)
{
	if (l->step)
		return check_data(l, l->in.read.size, 0);
	return ask_read(l, FUSE_READ, next_range(l), l->engine->t->opt->verify);
}

/* Other bytes each time, so that those of the last time are not taken for them. */
static int step_write(struct lane *l)
{
	switch (l->step) {
	case 0:
		return ask_write(l, l->engine->t->opt->verify ? own_range(l) : next_range(l), l->began);
	case 1:
		return check_written(l);
	default:
		return check_data(l, l->in.read.size, l->began);
	}
}

/* Takes ENOSYS for an answer that saves all further requests of the kind. */
static bool refused(struct lane *l, bool *flag)
{
	if (l->op.error == -ENOSYS)
		__atomic_store_n(flag, true, __ATOMIC_RELAXED);
	return l->op.error == -ENOSYS;
}

/* What a guest does when the last reference to an open file goes: as from step @base on. */
static int step_close(struct lane *l, unsigned int base)
{
	struct target *t = l->engine->t;

	if (l->step == base) {
		if (!t->no_flush)
			return ask_flush(l);
		l->step++;
	}
	if (l->step == base + 1) {
		refused(l, &t->no_flush);
		if (!t->no_open)
			return ask_release(l, FUSE_RELEASE);
	}
	return STEP_DONE;
}

static int opened_small(struct lane *l)
{
	l->file.fh = refused(l, &l->engine->t->no_open) ? 0 : l->out.open.fh;
	l->off = 0;
	return ask_read(l, FUSE_READ, BENCH_BLOCK, l->engine->t->opt->verify);
}

static int step_small(struct lane *l)
{
	int r;

	switch (l->step) {
	case 0:
		next_index(l, BENCH_SMALL);
		return ask_lookup(l, l->engine->f->small, "small");
	case 1:
		l->file = (struct fc_file){.node = l->out.entry.nodeid};
		if (check_attr(l, &l->out.entry.attr, BENCH_BLOCK))
			return -EIO;
		if (!l->engine->t->no_open)
			return ask_open(l, FUSE_OPEN);
		l->out.open.fh = 0;
		l->step++;
		__attribute__((fallthrough));
	case 2:
		return opened_small(l);
	case 3:
		r = check_data(l, BENCH_BLOCK, l->index + 1);
		if (r)
			return r;
		__attribute__((fallthrough));
	default:
		r = step_close(l, 3);
		if (r == STEP_DONE)
			target_forget(l->engine->t, l->file.node, 1);
		return r;
	}
}

static int ask_create(struct lane *l)
{
	snprintf(l->name, sizeof(l->name), "new-%u", l->id);
	l->in.create = (struct fuse_create_in){
		.flags = O_CREAT | O_EXCL | (l->engine->t->opt->verify ? O_RDWR : O_WRONLY),
		.mode = S_IFREG | 0644,
		.umask = 022};
	ask(l, FUSE_CREATE, l->engine->f->scratch, sizeof(l->in.create));
	add_name(l);
	return want(l, sizeof(l->out.created));
}

/* Steps 3 to 5 of step_create(). */
static int close_and_unlink(struct lane *l)
{
	int r = step_close(l, 3);

	if (r)
		return r;
	l->step = 5;
	ask(l, FUSE_UNLINK, l->engine->f->scratch, 0);
	add_name(l);
	return STEP_ASK;
}

static int step_create(struct lane *l)
{
	int r = STEP_DONE;

	switch (l->step) {
	case 0:
		return ask_create(l);
	case 1:
		l->file = (struct fc_file){l->out.created.entry.nodeid, l->out.created.open.fh};
		l->off = 0;
		return ask_write(l, BENCH_BLOCK, l->began);
	case 2:
		r = check_written(l);
		l->step += r == STEP_DONE;
		break;
	case 3:
		r = check_data(l, BENCH_BLOCK, l->began);
		break;
	case 6:
		target_forget(l->engine->t, l->file.node, 1);
		return STEP_DONE;
	default:
		break;
	}
	return r ? r : close_and_unlink(l);
}

/* One reply's entries: their number, or -errno. The guest knows each of them from now on. */
static int take_entries(struct lane *l)
{
	size_t at = 0;

	while (at + sizeof(struct fuse_direntplus) <= l->op.got) {
		struct fuse_direntplus *d = (void *)(l->buf + at);
		size_t len = FUSE_DIRENTPLUS_SIZE(d);

		if (at + len > l->op.got)
			return wrong(l, "an entry that is cut off");
		l->off = d->dirent.off;
		at += len;
		if (d->dirent.name[0] == '.')
			continue;
		if (!d->entry_out.nodeid)
			return wrong(l, "an entry without attributes");
		if (d->entry_out.attr.ino != d->dirent.ino || !S_ISREG(d->entry_out.attr.mode))
			return wrong(l, "an entry with attributes of another");
		l->entries++;
	}
	return at == l->op.got ? 0 : wrong(l, "rubbish behind the entries");
}

static int opened_list(struct lane *l)
{
	refused(l, &l->engine->t->no_opendir);
	l->file.fh = l->engine->t->no_opendir ? 0 : l->out.open.fh;
	l->off = l->entries = 0;
	return ask_read(l, FUSE_READDIRPLUS, l->engine->t->opt->readdir_size, true);
}

static int step_list(struct lane *l)
{
	struct target *t = l->engine->t;

	if (!l->step) {
		l->file = (struct fc_file){.node = l->engine->f->list};
		if (!t->no_opendir)
			return ask_open(l, FUSE_OPENDIR);
		l->step = 1;
	}
	if (l->step == 1)
		return opened_list(l);
	if (l->op.opcode != FUSE_READDIRPLUS)
		return STEP_DONE;
	if (l->op.got) {
		int r = take_entries(l);

		return r ? r : ask_read(l, FUSE_READDIRPLUS, t->opt->readdir_size, true);
	}
	if (l->entries != t->opt->entries)
		return wrong(l, "a wrong number of entries");
	return t->no_opendir ? STEP_DONE : ask_release(l, FUSE_RELEASEDIR);
}

static int step_fsync(struct lane *l)
{
	if (l->step == 2)
		return STEP_DONE;
	l->file = l->engine->f->synced[l->id % FIXTURE_SYNCED];
	if (!l->step) {
		l->off = l->round % FIXTURE_SYNCED_BLOCKS * BENCH_BLOCK;
		return ask_write(l, BENCH_BLOCK, 0);
	}
	l->in.fsync = (struct fuse_fsync_in){.fh = l->file.fh};
	ask(l, FUSE_FSYNC, l->file.node, sizeof(l->in.fsync));
	return STEP_ASK;
}

static int step_cold(struct lane *l)
{
	struct engine *e = l->engine;
	uint32_t len = e->t->io_max;

	if (l->step) {
		cold_drop(&e->f->cold_host, l->off, len);
		return check_data(l, len, 0);
	}
	l->file = e->f->cold;
	l->off = bench_random_part(&e->random, e->t->opt->file_size, len);
	return ask_read(l, FUSE_READ, len, e->t->opt->verify);
}

/* Waits for the lock, and lets go of it once it has it. */
static int step_waiter(struct lane *l)
{
	if (l->step == 2)
		return STEP_DONE;
	l->file = l->engine->f->blocks;
	l->in.lock = (struct fuse_lk_in){.fh = l->file.fh, .owner = ENGINE_HOLDER + 1 + l->id};
	l->in.lock.lk = (struct fuse_file_lock){.end = FC_OFFSET_MAX, .type = F_WRLCK, .pid = 1};
	if (l->step)
		l->in.lock.lk.type = F_UNLCK;
	ask(l, l->step ? FUSE_SETLK : FUSE_SETLKW, l->file.node, sizeof(l->in.lock));
	return STEP_ASK;
}

static int (*const load_step[LOAD_COUNT])(struct lane *) = {
	[LOAD_GETATTR] = step_getattr,
	[LOAD_GETATTR_FH] = step_getattr,
	[LOAD_LOOKUP] = step_lookup,
	[LOAD_LOOKUP_NEW] = step_lookup_new,
	[LOAD_RANDREAD] = step_read,
	[LOAD_RANDWRITE] = step_write,
	[LOAD_SEQREAD] = step_read,
	[LOAD_SEQWRITE] = step_write,
	[LOAD_SMALL] = step_small,
	[LOAD_CREATE] = step_create,
	[LOAD_LIST] = step_list,
};

int lane_step(struct lane *l)
{
	switch (l->role) {
	case ROLE_FSYNC:
		return step_fsync(l);
	case ROLE_COLD:
		return step_cold(l);
	case ROLE_WAITER:
		return step_waiter(l);
	case ROLE_LOAD:
		break;
	}
	if (!l->step)
		l->now = load_step[l->load] ? l->load : bench_pick(l->load, bench_random(&l->engine->random));
	return load_step[l->now](l);
}
