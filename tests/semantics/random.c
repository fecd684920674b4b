/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seeded random mode: several processes, the first of root and the others of users, make one call after
 * the other in a small tree, so that their order is always the same. A step's choices depend on the seed and
 * its number alone: steps can be left out (--only), which is how shrink.py finds the few that matter.
 */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_PROCS 8
#define SLOTS	  4
#define USERS	  1000 /* the process of this number is root, those after it users */

/* What a step draws from; arg: state. */
static unsigned int draw(uint64_t *state, unsigned int n)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(*state >> 33) % n;
}

static int slots[SLOTS] = {-1, -1, -1, -1};

static const char *path_of(uint64_t *s)
{
	static const char *const paths[] = {"a", "b", "c", "d1", "d2", "d1/a", "d1/b", "d1/d2", "d2/a",
		"d2/b", "d1/d2/a", "d1/d2/b", "l", "d1/l"};

	return paths[draw(s, sizeof(paths) / sizeof(paths[0]))];
}

#define STEP(name) static long step_##name(uint64_t *s, char *t)
#define SAY(...)   snprintf(t, 200, __VA_ARGS__)

STEP(open)
{
	static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
		O_WRONLY | O_TRUNC, O_RDWR | O_APPEND | O_CREAT, O_RDWR | O_CREAT | O_TRUNC,
		O_RDONLY | O_DIRECTORY};
	unsigned int f = draw(s, 8), slot = draw(s, SLOTS);
	const char *p = path_of(s);

	if (slots[slot] >= 0)
		close(slots[slot]);
	slots[slot] = open(p, flags[f], 0666);
	SAY("open %s %#x in %u", p, (unsigned int)flags[f], slot);
	return slots[slot] < 0 ? -1 : 0;
}

STEP(close)
{
	unsigned int slot = draw(s, SLOTS);
	long r = close(slots[slot]);

	slots[slot] = -1;
	SAY("close %u", slot);
	return r;
}

STEP(write)
{
	char buf[6000];
	unsigned int slot = draw(s, SLOTS), n = draw(s, sizeof(buf)), off = draw(s, 20000),
		     fill = draw(s, 256);

	memset(buf, (int)fill, n);
	SAY("write %u %u+%u", slot, off, n);
	return draw(s, 2) ? pwrite(slots[slot], buf, n, off) : write(slots[slot], buf, n);
}

STEP(read)
{
	char buf[6000];
	unsigned int slot = draw(s, SLOTS), n = draw(s, sizeof(buf)), off = draw(s, 20000);
	ssize_t r = draw(s, 2) ? pread(slots[slot], buf, n, off) : read(slots[slot], buf, n);
	int saved = errno;

	SAY("read %u %u+%u %s", slot, off, n, r > 0 ? sem_bytes(buf, (size_t)r) : "");
	errno = saved;
	return r;
}

STEP(truncate)
{
	unsigned int slot = draw(s, SLOTS), size = draw(s, 20000);
	const char *p = path_of(s);

	if (draw(s, 2)) {
		SAY("ftruncate %u %u", slot, size);
		return ftruncate(slots[slot], size);
	}
	SAY("truncate %s %u", p, size);
	return truncate(p, size);
}

STEP(names)
{
	const char *a = path_of(s), *b = path_of(s);

	switch (draw(s, 9)) {
	case 0:
		SAY("link %s %s", a, b);
		return link(a, b);
	case 1:
		SAY("symlink %s %s", a, b);
		return symlink(a, b);
	case 2:
		SAY("unlink %s", a);
		return unlink(a);
	case 3:
		SAY("rmdir %s", a);
		return rmdir(a);
	case 4:
		SAY("mkdir %s", a);
		return mkdir(a, 0777);
	case 5:
		SAY("exchange %s %s", a, b);
		return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	case 6:
		SAY("rename to nothing %s %s", a, b);
		return syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE);
	default:
		SAY("rename %s %s", a, b);
		return rename(a, b);
	}
}

STEP(ask)
{
	unsigned int slot = draw(s, SLOTS), off = draw(s, 20000), which = draw(s, 3);
	const char *p = path_of(s);
	char to[64];

	if (which == 0) {
		SAY("access %s %u", p, off % 8);
		return faccessat(AT_FDCWD, p, (int)(off % 8), AT_EACCESS);
	}
	if (which == 1) {
		SAY("readlink %s", p);
		return readlink(p, to, sizeof(to));
	}
	SAY("fsync %u", slot);
	return fsync(slots[slot]);
}

static long show(char *t, const char *what, long r, const struct stat *st)
{
	bool set = st->st_mtim.tv_sec < 1000000; /* by the step below, not by the clock */

	if (r)
		SAY("stat %s", what);
	else
		SAY("stat %s: mode %o owner %u:%u links %lu size %lld mtime %lld", what, st->st_mode,
			st->st_uid, st->st_gid, (unsigned long)st->st_nlink,
			S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size,
			set ? (long long)st->st_mtim.tv_sec : -1LL);
	return r;
}

STEP(stat)
{
	unsigned int slot = draw(s, SLOTS);
	const char *p = path_of(s);
	struct stat st;

	if (draw(s, 2))
		return show(t, p, lstat(p, &st), &st);
	return show(t, "a descriptor", fstat(slots[slot], &st), &st);
}

STEP(attr)
{
	const char *p = path_of(s);
	unsigned int v = draw(s, 010000) & ~02000u, which = draw(s, 3);

	SAY("%s %s %u", which == 0 ? "chmod" : which == 1 ? "chown" : "utimens", p, v);
	if (which == 0)
		return chmod(p, v | 0600);
	if (which == 1)
		return lchown(p, USERS + v % 4, v % 3 ? (gid_t)-1 : USERS + v % 5);
	return utimensat(AT_FDCWD, p, (struct timespec[2]){{v, 0}, {v, 5}}, AT_SYMLINK_NOFOLLOW);
}

STEP(xattr)
{
	static const char *const names[] = {"user.a", "user.b", "trusted.c"};
	const char *p = path_of(s), *n = names[draw(s, 3)];
	unsigned int which = draw(s, 4), size = draw(s, 100);
	char v[128];
	ssize_t r;

	SAY("xattr %u of %s: %s %u", which, p, n, size);
	memset(v, (int)size, sizeof(v));
	if (which == 0)
		return lsetxattr(p, n, v, size, (int)draw(s, 3));
	if (which == 1)
		return lremovexattr(p, n);
	r = lgetxattr(p, n, v, sizeof(v));
	if (r > 0)
		SAY("xattr of %s: %s %s", p, n, sem_bytes(v, (size_t)r));
	return r;
}

STEP(space)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE};
	unsigned int slot = draw(s, SLOTS), m = draw(s, 4), off = draw(s, 20000), n = 1 + draw(s, 9000);

	SAY("fallocate %u mode %u %u+%u", slot, m, off, n);
	return fallocate(slots[slot], modes[m], off, n);
}

STEP(copy)
{
	unsigned int a = draw(s, SLOTS), b = draw(s, SLOTS), n = draw(s, 9000);
	loff_t in = draw(s, 20000), out = draw(s, 20000);

	SAY("copy %u at %lld to %u at %lld, %u", a, (long long)in, b, (long long)out, n);
	return copy_file_range(slots[a], &in, slots[b], &out, n, 0);
}

STEP(lock)
{
	unsigned int slot = draw(s, SLOTS);
	struct flock l = {.l_type = (short)draw(s, 3), .l_start = draw(s, 20), .l_len = draw(s, 20)};
	static const int ops[] = {LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, LOCK_UN};

	if (draw(s, 2)) {
		SAY("lock %u type %d %lld+%lld", slot, l.l_type, (long long)l.l_start, (long long)l.l_len);
		return fcntl(slots[slot], F_SETLK, &l);
	}
	SAY("flock %u %d", slot, l.l_type);
	return flock(slots[slot], ops[l.l_type]);
}

static long (*const kinds[])(uint64_t *s, char *t) = {step_open, step_open, step_open, step_close, step_write,
	step_write, step_read, step_read, step_truncate, step_names, step_names, step_names, step_stat,
	step_stat, step_ask, step_attr, step_xattr, step_space, step_copy, step_lock};

/* In the process: arg 0 is the step's own random state, arg 1 the process's number. */
static long make_step(const struct proc_call *c, char text[256])
{
	static bool is_user;
	uint64_t s = (uint64_t)c->arg[0];
	char what[200] = "";
	long r;

	if (c->arg[1] && !is_user) {
		sem_as(USERS + (uid_t)c->arg[1], USERS + (gid_t)c->arg[1], -1);
		umask(0);
		is_user = true;
	}
	r = kinds[draw(&s, sizeof(kinds) / sizeof(kinds[0]))](&s, what);
	int saved = errno;

	if (r == -1)
		snprintf(text, 256, "%s = %s", what, sem_errname(saved));
	else
		snprintf(text, 256, "%s = %ld", what, r);
	return r;
}

static void look(void)
{
	sem_list(".");
	sem_list("d1");
	sem_list("d2");
	sem_list("d1/d2");
	sem_data("a");
	sem_data("d1/a");
	sem_data("d1/d2/a");
}

/* The steps to make, from a file; NULL: all. */
static bool *chosen(const struct sem_random *r)
{
	bool *set;
	FILE *f;
	unsigned int n;

	if (!r->only)
		return NULL;
	set = calloc(r->steps + 1, sizeof(*set));
	f = fopen(r->only, "re");
	if (!set || !f)
		sem_die("%s", r->only);
	while (fscanf(f, "%u", &n) == 1)
		if (n < r->steps)
			set[n] = true;
	fclose(f);
	return set;
}

int random_run(const struct sem_random *r)
{
	struct proc_call c = {.fn = make_step};
	unsigned int procs = r->procs < 1 ? 1 : r->procs > MAX_PROCS ? MAX_PROCS : r->procs;
	bool *only = chosen(r);
	struct proc *p[MAX_PROCS];
	char what[32];

	sem_say("seed %llu, %u steps, %u processes", (unsigned long long)r->seed, r->steps, procs);
	umask(0);
	if (chmod(".", 0777) || mkdir("d1", 0777) || mkdir("d2", 0777) || mkdir("d1/d2", 0777))
		sem_die("making directories");
	sem_file("a", "first", 0666);
	sem_file("d1/a", "second", 0666);
	for (unsigned int i = 0; i < procs; i++)
		p[i] = proc_start();
	for (unsigned int i = 0; i < r->steps; i++) {
		uint64_t s =
			(r->seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (i + 1) * UINT64_C(0xbf58476d1ce4e5b9);
		unsigned int who = (draw(&s, 1), draw(&s, procs));

		if (only && !only[i])
			continue;
		c.arg[0] = (long)s;
		c.arg[1] = (long)who;
		snprintf(what, sizeof(what), "step %u process %u", i, who);
		proc_do(p[who], what, &c);
		if (!only && i % 100 == 99)
			look();
	}
	look();
	for (unsigned int i = 0; i < procs; i++)
		proc_end(p[i]);
	free(only);
	return 0;
}
