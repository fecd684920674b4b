/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data integrity: one file, changed in every way that there is, against a model of it in memory. Prints what
 * it did last when they differ. --direct mixes in O_DIRECT, whole blocks only.
 */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SIZE (256 << 10)
#define BLOCK	 4096
#define HISTORY	 24

enum what { READ, WRITE, MAP_READ, MAP_WRITE, TRUNCATE, ALLOCATE, PUNCH, ZERO, COPY, REOPEN, SYNC, WHATS };

struct op {
	enum what what;
	size_t off, len, to;
	bool direct;
	unsigned int fill;
};

struct fsx {
	uint64_t rnd;
	int fd, direct_fd;
	size_t size;
	bool map_broken; /* the guest's kernel cannot map shared here */
	uint8_t *buf;
	struct op history[HISTORY];
	uint8_t model[MAX_SIZE];
};

static unsigned int draw(struct fsx *x, unsigned int n)
{
	x->rnd = x->rnd * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(x->rnd >> 33) % n;
}

static void make_bytes(const struct op *o, uint8_t *to)
{
	for (size_t i = 0; i < o->len; i++)
		to[i] = (uint8_t)(o->fill + i * 7 + (i >> 8));
}

static void model_grow(struct fsx *x, size_t end)
{
	if (end > x->size)
		x->size = end;
}

static void model_cut(struct fsx *x, size_t size)
{
	if (size < x->size)
		memset(x->model + size, 0, x->size - size);
	x->size = size;
}

static struct op next_op(struct fsx *x, bool direct)
{
	struct op o = {.what = draw(x, WHATS), .fill = draw(x, 256)};

	o.off = draw(x, MAX_SIZE);
	o.len = 1 + draw(x, draw(x, 4) ? 9000 : 65536);
	o.direct = direct && (o.what == READ || o.what == WRITE) && draw(x, 3) == 0;
	if (o.direct) {
		o.off &= ~(size_t)(BLOCK - 1);
		o.len = (o.len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	}
	if (o.len > MAX_SIZE - o.off)
		o.len = MAX_SIZE - o.off;
	o.to = draw(x, (unsigned int)(MAX_SIZE - o.len + 1));
	return o;
}

static bool do_read(struct fsx *x, const struct op *o)
{
	size_t want = o->off >= x->size ? 0 : x->size - o->off < o->len ? x->size - o->off : o->len;
	ssize_t n = pread(o->direct ? x->direct_fd : x->fd, x->buf, o->len, (off_t)o->off);

	return n == (ssize_t)want && !memcmp(x->buf, x->model + o->off, want);
}

static bool do_write(struct fsx *x, const struct op *o)
{
	make_bytes(o, x->buf);
	if (pwrite(o->direct ? x->direct_fd : x->fd, x->buf, o->len, (off_t)o->off) != (ssize_t)o->len)
		return false;
	memcpy(x->model + o->off, x->buf, o->len);
	model_grow(x, o->off + o->len);
	return true;
}

/* Without shared mappings plain reading and writing comes to the same. */
static bool do_unmapped(struct fsx *x, const struct op *o)
{
	return o->what == MAP_READ ? do_read(x, o) : do_write(x, o);
}

/* The part of the range that is in the file, by a mapping. */
static bool do_map(struct fsx *x, struct op *o)
{
	uint8_t *p;
	bool ok = true;

	if (o->off >= x->size)
		return true;
	if (o->len > x->size - o->off)
		o->len = x->size - o->off;
	if (x->map_broken)
		return do_unmapped(x, o);
	p = mmap(NULL, x->size, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
	if (p == MAP_FAILED) {
		x->map_broken = errno == ENODEV;
		return x->map_broken && do_unmapped(x, o);
	}
	if (o->what == MAP_READ) {
		ok = !memcmp(p + o->off, x->model + o->off, o->len);
	} else {
		make_bytes(o, p + o->off);
		make_bytes(o, x->model + o->off);
	}
	munmap(p, x->size);
	return ok;
}

static bool do_fallocate(struct fsx *x, const struct op *o)
{
	int mode = o->what == PUNCH  ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
		   : o->what == ZERO ? FALLOC_FL_ZERO_RANGE
				     : 0;

	if (fallocate(x->fd, mode, (off_t)o->off, (off_t)o->len))
		return false;
	if (o->what != ALLOCATE)
		memset(x->model + o->off, 0, o->len);
	if (o->what != PUNCH)
		model_grow(x, o->off + o->len);
	return true;
}

static bool do_copy(struct fsx *x, const struct op *o)
{
	loff_t in = (loff_t)o->off, out = (loff_t)o->to;
	size_t want = o->off >= x->size ? 0 : x->size - o->off < o->len ? x->size - o->off : o->len;
	size_t done = 0;

	if ((o->to < o->off + o->len) && (o->off < o->to + o->len))
		return true;
	while (done < want) {
		ssize_t n = copy_file_range(x->fd, &in, x->fd, &out, want - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	memcpy(x->model + o->to, x->model + o->off, want);
	if (want)
		model_grow(x, o->to + want);
	return true;
}

static bool open_file(struct fsx *x, bool direct)
{
	x->fd = open("data", O_RDWR | O_CREAT, 0644);
	x->direct_fd = direct ? open("data", O_RDWR | O_DIRECT) : -1;
	return x->fd >= 0 && (!direct || x->direct_fd >= 0);
}

static void close_file(struct fsx *x)
{
	close(x->fd);
	if (x->direct_fd >= 0)
		close(x->direct_fd);
}

static bool do_op(struct fsx *x, struct op *o, bool direct)
{
	switch (o->what) {
	case READ:
		return do_read(x, o);
	case WRITE:
		return do_write(x, o);
	case MAP_READ:
	case MAP_WRITE:
		return do_map(x, o);
	case TRUNCATE:
		model_cut(x, o->off);
		return !ftruncate(x->fd, (off_t)o->off);
	case ALLOCATE:
	case PUNCH:
	case ZERO:
		return do_fallocate(x, o);
	case COPY:
		return do_copy(x, o);
	case REOPEN:
		close_file(x);
		return open_file(x, direct);
	default:
		return !fsync(x->fd);
	}
}

static bool whole_file_right(struct fsx *x)
{
	struct stat st;

	return !fstat(x->fd, &st) && st.st_size == (off_t)x->size &&
	       pread(x->fd, x->buf, MAX_SIZE, 0) == (ssize_t)x->size && !memcmp(x->buf, x->model, x->size);
}

static void tell(const struct fsx *x, unsigned int step)
{
	static const char *const names[] = {"read", "write", "mapped read", "mapped write", "truncate",
		"fallocate", "punch", "zero", "copy", "reopen", "fsync"};
	unsigned int first = step < HISTORY ? 0 : step - HISTORY + 1;

	for (unsigned int i = first; i <= step; i++) {
		const struct op *o = &x->history[i % HISTORY];

		printf("  %u: %s%s %zu+%zu to %zu\n", i, o->direct ? "direct " : "", names[o->what], o->off,
			o->len, o->to);
	}
}

int fsx_run(uint64_t seed, unsigned int steps, bool direct)
{
	struct fsx *x = calloc(1, sizeof(*x));
	unsigned int i;
	bool ok;

	if (!x || posix_memalign((void **)&x->buf, BLOCK, MAX_SIZE))
		sem_die("memory");
	x->rnd = seed;
	ok = open_file(x, direct);
	for (i = 0; ok && i < steps; i++) {
		struct op *o = &x->history[i % HISTORY];

		*o = next_op(x, direct);
		ok = do_op(x, o, direct) && (i % 16 || whole_file_right(x));
	}
	ok = ok && whole_file_right(x);
	sem_say("seed %llu, %u steps = %s, %zu bytes, %s", (unsigned long long)seed, steps,
		ok ? "right" : strerror(errno), x->size, sem_bytes(x->model, x->size));
	if (!ok)
		tell(x, i ? i - 1 : 0);
	close_file(x);
	free(x->buf);
	free(x);
	return !ok;
}
