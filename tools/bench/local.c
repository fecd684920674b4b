/* SPDX-License-Identifier: BSD-3-Clause */
/* The same work by direct system calls: what a daemon without any cost of its own would reach. */
#include "local.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct worker {
	struct local *f;
	enum load_id load;
	unsigned int id;
	uint64_t round, random, cursor, end, ops_left;
	uint8_t *memory; /* BENCH_BIG bytes for each request that would be in flight, written once so that
			    they are there */
	unsigned int buffers;
	struct hist hist;
	const char *wrong; /* NULL: nothing */
};

static void number(char name[32], const char *stem, unsigned int i)
{
	snprintf(name, 32, "%s-%06u", stem, i);
}

static unsigned int next_index(const struct worker *w, unsigned int count)
{
	return (unsigned int)((w->id + w->round * w->f->opt->threads) % count);
}

/* By writes of @chunk bytes: what the host keeps of it in memory is in pieces as large. */
static int make_file(int dir, const char *name, uint64_t size, size_t chunk, uint64_t seed)
{
	autofree uint8_t *buf = malloc(BENCH_BIG);
	autofd int fd = openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);

	if (!buf || fd < 0)
		return -1;
	for (uint64_t off = 0; off < size;) {
		size_t len = (size_t)MIN(size - off, (uint64_t)chunk);

		bench_fill(buf, len, off, seed);
		if (pwrite(fd, buf, len, (off_t)off) != (ssize_t)len)
			return -1;
		off += len;
	}
	return fd_take(&fd);
}

static int make_dir(int parent, const char *name)
{
	if (mkdirat(parent, name, 0755))
		return -1;
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_files(struct local *f, int dir, const char *stem, unsigned int count, uint64_t size)
{
	char name[32];

	for (unsigned int i = 0; i < count; i++) {
		int fd;

		number(name, stem, i);
		fd = make_file(dir, name, size, BENCH_BLOCK, i + 1);
		if (fd < 0)
			return -1;
		if (dir == f->dir)
			f->known[f->known_count++] = fd;
		else
			close(fd);
	}
	return 0;
}

int local_make(struct local *f, const struct options *opt, struct err *err)
{
	autofd int top = open(opt->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*f = (struct local){
		.opt = opt, .dir = -1, .small = -1, .list = -1, .scratch = -1, .data = -1, .blocks = -1};
	snprintf(f->name, sizeof(f->name), "colofs-bench-%d", (int)getpid());
	if (top < 0)
		return err_sys(err, errno, "%s", opt->where);
	f->dir = make_dir(top, f->name);
	if (f->dir < 0)
		return err_sys(err, errno, "%s/%s", opt->where, f->name);
	f->small = make_dir(f->dir, "small");
	f->list = make_dir(f->dir, "list");
	f->scratch = make_dir(f->dir, "scratch");
	if (f->small >= 0 && f->list >= 0 && f->scratch >= 0)
		f->data = make_file(f->dir, "data", opt->file_size, BENCH_BIG, 0);
	if (f->data >= 0)
		f->blocks = make_file(f->dir, "blocks", opt->file_size, BENCH_BLOCK, 0);
	if (f->blocks < 0 || make_files(f, f->dir, "known", BENCH_KNOWN, 0) ||
		make_files(f, f->small, "small", BENCH_SMALL, BENCH_BLOCK) ||
		make_files(f, f->list, "list", opt->entries, 0))
		return err_sys(err, errno, "preparing files in %s", opt->where);
	return 0;
}

static void remove_numbered(struct local *f, int *dir, const char *stem, unsigned int count)
{
	char name[32];

	for (unsigned int i = 0; *dir >= 0 && i < count; i++) {
		number(name, stem, i);
		unlinkat(*dir, name, 0);
	}
	if (dir == &f->dir)
		return;
	if (*dir >= 0)
		close(*dir);
	*dir = -1;
	unlinkat(f->dir, stem, AT_REMOVEDIR);
}

int local_remove(struct local *f, struct err *err)
{
	autofd int top = open(f->opt->where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (f->dir < 0)
		return 0;
	remove_numbered(f, &f->small, "small", BENCH_SMALL);
	remove_numbered(f, &f->list, "list", f->opt->entries);
	remove_numbered(f, &f->scratch, "scratch", 0);
	remove_numbered(f, &f->dir, "known", BENCH_KNOWN);
	unlinkat(f->dir, "data", 0);
	unlinkat(f->dir, "blocks", 0);
	for (unsigned int i = 0; i < f->known_count; i++)
		close(f->known[i]);
	cleanup_fd(&f->data);
	cleanup_fd(&f->blocks);
	close(f->dir);
	if (unlinkat(top, f->name, AT_REMOVEDIR))
		return err_sys(err, errno, "removing %s/%s", f->opt->where, f->name);
	return 0;
}

static const char *check_stat(const struct stat *st, off_t size)
{
	return S_ISREG(st->st_mode) && st->st_size == size ? NULL : "attributes of another file";
}

static const char *do_getattr(struct worker *w)
{
	int fd = w->f->known[next_index(w, BENCH_KNOWN)];
	struct stat st;

	return fstat(fd, &st) ? "fstat failed" : check_stat(&st, 0);
}

static const char *do_stat(struct worker *w, int dir, const char *stem, unsigned int count, off_t size)
{
	struct stat st;
	char name[32];

	number(name, stem, next_index(w, count));
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ? "stat failed" : check_stat(&st, size);
}

static const char *do_lookup(struct worker *w)
{
	return do_stat(w, w->f->dir, "known", BENCH_KNOWN, 0);
}

static const char *do_lookup_new(struct worker *w)
{
	return do_stat(w, w->f->small, "small", BENCH_SMALL, BENCH_BLOCK);
}

/* They are used in turn, as a guest's would be. */
static uint8_t *buffer(const struct worker *w)
{
	return w->memory + w->round % w->buffers * BENCH_BIG;
}

static const char *read_part(struct worker *w, int fd, size_t len, uint64_t off, uint64_t seed)
{
	uint8_t *buf = buffer(w);

	if (pread(fd, buf, len, (off_t)off) != (ssize_t)len)
		return "a short read";
	if (w->f->opt->verify && !bench_check(buf, len, off, seed))
		return "other data than was written";
	return NULL;
}

/* With --verify other bytes each time, which are read back. */
static const char *write_part(struct worker *w, int fd, size_t len, uint64_t off)
{
	bool verify = w->f->opt->verify;
	uint64_t seed = verify ? bench_now() : 0;
	uint8_t *buf = buffer(w);

	if (verify)
		bench_fill(buf, len, off, seed);
	if (pwrite(fd, buf, len, (off_t)off) != (ssize_t)len)
		return "a short write";
	return verify ? read_part(w, fd, len, off, seed) : NULL;
}

static uint64_t random_block(struct worker *w)
{
	return bench_random_part(&w->random, w->f->opt->file_size, BENCH_BLOCK);
}

static uint64_t next_big(struct worker *w)
{
	uint64_t off = w->cursor;

	w->cursor = off + 2 * BENCH_BIG > w->f->opt->file_size ? 0 : off + BENCH_BIG;
	return off;
}

static const char *do_randread(struct worker *w)
{
	return read_part(w, w->f->blocks, BENCH_BLOCK, random_block(w), 0);
}

/* What is written and read back goes behind what is only read, where each thread has BENCH_BIG bytes. */
static uint64_t own_part(const struct worker *w)
{
	return w->f->opt->file_size + (uint64_t)w->id * BENCH_BIG;
}

static const char *do_randwrite(struct worker *w)
{
	uint64_t off = random_block(w);

	if (w->f->opt->verify)
		off = own_part(w) + off % BENCH_BIG;
	return write_part(w, w->f->blocks, BENCH_BLOCK, off);
}

static const char *do_seqread(struct worker *w)
{
	return read_part(w, w->f->data, BENCH_BIG, next_big(w), 0);
}

static const char *do_seqwrite(struct worker *w)
{
	return write_part(w, w->f->data, BENCH_BIG, w->f->opt->verify ? own_part(w) : next_big(w));
}

static const char *do_small(struct worker *w)
{
	unsigned int i = next_index(w, BENCH_SMALL);
	uint8_t *buf = buffer(w);
	autofd int fd = -1;
	char name[32];

	number(name, "small", i);
	fd = openat(w->f->small, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, BENCH_BLOCK) != BENCH_BLOCK)
		return "a small file was not read";
	if (w->f->opt->verify && !bench_check(buf, BENCH_BLOCK, 0, i + 1))
		return "other data than was written";
	return NULL;
}

static const char *do_create(struct worker *w)
{
	int access = w->f->opt->verify ? O_RDWR : O_WRONLY;
	const char *wrong;
	autofd int fd = -1;
	char name[32];

	number(name, "new", w->id);
	fd = openat(w->f->scratch, name, O_CREAT | O_EXCL | access | O_CLOEXEC, 0644);
	if (fd < 0)
		return "a file was not created";
	wrong = write_part(w, fd, BENCH_BLOCK, 0);
	if (wrong)
		return wrong;
	close(fd_take(&fd));
	return unlinkat(w->f->scratch, name, 0) ? "a file was not unlinked" : NULL;
}

static const char *do_list(struct worker *w)
{
	int fd = openat(w->f->list, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	unsigned int seen = 0;
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			seen += !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_ino == e->d_ino;
	if (d)
		closedir(d);
	return seen == w->f->opt->entries ? NULL : "a wrong number of entries";
}

static const char *(*const do_load[LOAD_COUNT])(struct worker *) = {
	[LOAD_GETATTR] = do_getattr,
	[LOAD_GETATTR_FH] = do_getattr,
	[LOAD_LOOKUP] = do_lookup,
	[LOAD_LOOKUP_NEW] = do_lookup_new,
	[LOAD_RANDREAD] = do_randread,
	[LOAD_RANDWRITE] = do_randwrite,
	[LOAD_SEQREAD] = do_seqread,
	[LOAD_SEQWRITE] = do_seqwrite,
	[LOAD_SMALL] = do_small,
	[LOAD_CREATE] = do_create,
	[LOAD_LIST] = do_list,
};

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	uint64_t now = bench_now();

	bench_pin(&w->f->opt->driver_cpus, w->id);
	for (; w->ops_left && (now < w->end || !w->round) && !bench_stopped() && !w->wrong;
		w->ops_left--, w->round++) {
		enum load_id id = do_load[w->load] ? w->load : bench_pick(w->load, bench_random(&w->random));
		uint64_t began = now;

		w->wrong = do_load[id](w);
		now = bench_now();
		hist_add(&w->hist, now - began);
	}
	return NULL;
}

static int run_workers(struct worker *w, unsigned int n, double seconds)
{
	autofree pthread_t *thread = calloc(n, sizeof(*thread));
	uint64_t end = seconds > 0 ? bench_now() + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	unsigned int started = 0;

	for (; thread && started < n; started++) {
		w[started].end = end;
		if (pthread_create(&thread[started], NULL, run_worker, &w[started]))
			break;
	}
	for (unsigned int i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	return started == n ? 0 : -EAGAIN;
}

static int worker_init(struct worker *w, struct local *f, unsigned int id, uint64_t ops)
{
	unsigned int n = f->opt->threads;

	w->f = f;
	w->id = id;
	w->random = (bench_now() | 1) + 2 * id;
	w->cursor = f->opt->file_size / n * id / BENCH_BIG * BENCH_BIG;
	w->ops_left = ops ? ops / n + (id < ops % n) : UINT64_MAX;
	w->buffers = MAX(f->opt->depth / n, 1U);
	w->memory = malloc(w->buffers * (size_t)BENCH_BIG);
	if (!w->memory)
		return -ENOMEM;
	memset(w->memory, 1, w->buffers * (size_t)BENCH_BIG);
	return 0;
}

int local_run(
	struct local *f, enum load_id load, double seconds, uint64_t ops, struct result *res, struct err *err)
{
	unsigned int n = f->opt->threads;
	autofree struct worker *w = calloc(n, sizeof(*w));
	uint64_t began;
	int r = w ? 0 : -ENOMEM;

	if (load == LOAD_BLOCKING || load == LOAD_BESIDE)
		return err_set(err, ENOTSUP, "%s: not done locally", bench_load_name[load]);
	for (unsigned int i = 0; i < n && !r; i++) {
		r = worker_init(&w[i], f, i, ops);
		w[i].load = load;
	}
	began = bench_now();
	if (!r)
		r = run_workers(w, n, seconds);
	if (r)
		err_sys(err, -r, "%s: setting up", bench_load_name[load]);
	res->seconds += (double)(bench_now() - began) / 1e9;
	for (unsigned int i = 0; w && i < n; i++) {
		hist_merge(&res->hist, &w[i].hist);
		free(w[i].memory);
		if (w[i].wrong && !r)
			r = err_set(err, EIO, "%s: %s", bench_load_name[load], w[i].wrong);
	}
	return r;
}
