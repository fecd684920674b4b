/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on directories. */
#include "test.h"

#include <dirent.h>

#define MANY 2000

static uint8_t buf[1 << 20];

/* What a whole listing held. */
struct listing {
	unsigned int dots, others, entries; /* entries: with a nodeid */
	unsigned int rounds;
	bool seen[MANY];
};

static struct fc_file open_dir(struct test *t)
{
	struct fuse_open_out o;

	OK(fc_opendir(t->c, t->dir, &o));
	return (struct fc_file){t->dir, o.fh};
}

static void make_many(struct test *t)
{
	char name[16];

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(mknodat(t->host, name, S_IFREG | 0644, 0), 0);
	}
}

static void note(
	struct test *t, struct listing *l, const struct fuse_dirent *d, const struct fuse_entry_out *e)
{
	bool dot = d->namelen <= 2 && !memcmp(d->name, "..", d->namelen);
	char name[256] = {0};
	unsigned long n;

	l->dots += dot;
	l->others += !dot;
	if (e && e->nodeid)
		l->entries++;
	if (dot) {
		if (e)
			assert_int_equal(e->nodeid, 0); /* or the guest would have to forget it */
		return;
	}
	memcpy(name, d->name, d->namelen);
	n = strtoul(name + 1, NULL, 10);
	assert_true(n < MANY && !l->seen[n]);
	l->seen[n] = true;
	assert_int_equal(d->type, DT_REG);
	if (n % 97 == 0)
		assert_int_equal(d->ino, host_stat(t->host, name).st_ino);
	if (e && e->nodeid)
		assert_int_equal(e->attr.ino, d->ino);
}

/* The records of one reply; returns the position behind the last. */
static uint64_t parse(struct test *t, struct listing *l, size_t len, bool plus)
{
	uint64_t off = 0;

	for (size_t at = 0; at < len;) {
		struct fuse_direntplus *p = (void *)(buf + at);
		struct fuse_dirent *d = plus ? &p->dirent : (void *)(buf + at);
		size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;

		assert_true(at + head <= len && d->namelen <= 255 && at + head + d->namelen <= len);
		note(t, l, d, plus ? &p->entry_out : NULL);
		off = d->off;
		at += FUSE_DIRENT_ALIGN(head + d->namelen);
	}
	return off;
}

static void list(struct test *t, struct listing *l, struct fc_file f, size_t size, bool plus)
{
	uint64_t off = 0;

	memset(l, 0, sizeof(*l));
	for (;; l->rounds++) {
		ssize_t n =
			plus ? fc_readdirplus(t->c, f, buf, size, off) : fc_readdir(t->c, f, buf, size, off);

		if (n < 0)
			OK(n);
		if (!n)
			return;
		off = parse(t, l, (size_t)n, plus);
	}
}

static void readdir_lists(void **state)
{
	static const size_t size[] = {4096, 65536, sizeof(buf)};
	static struct listing l;
	struct test *t = *state;
	struct fc_file f;

	make_many(t);
	f = open_dir(t);
	for (unsigned int i = 0; i < ARRAY_LEN(size); i++) {
		list(t, &l, f, size[i], false);
		assert_int_equal(l.others, MANY);
		assert_int_equal(l.dots, 2);
	}
	OK(fc_releasedir(t->c, f));
	assert_true(fc_readdir(t->c, f, buf, 4096, 0) < 0);
}

static void readdirplus_knows(void **state)
{
	static struct listing l;
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fc_file f;

	make_many(t);
	f = open_dir(t);
	list(t, &l, f, 32768, true);
	assert_int_equal(l.others, MANY);
	assert_int_equal(l.dots, 2);
	assert_int_equal(l.entries, MANY);
	assert_true(l.rounds > 5);
	OK(fc_releasedir(t->c, f));
	OK(fc_lookup(t->c, t->dir, "f1234", &e));
	OK(fc_forget(t->hip, e.nodeid, 2));
	assert_true(fc_getattr(t->c, e.nodeid, 0, &(struct fuse_attr_out){0}) < 0);
}

/* Any position that was told is a place to go on from, in any order. */
static void readdir_seeks(void **state)
{
	struct test *t = *state;
	struct fuse_dirent *d = (void *)buf;
	char first[256] = {0};
	struct fc_file f;
	uint64_t off;
	ssize_t n;

	make_many(t);
	f = open_dir(t);
	n = fc_readdir(t->c, f, buf, 4096, 0);
	assert_true(n > 0);
	off = d->off;
	memcpy(first, buf + FUSE_DIRENT_SIZE(d) + FUSE_NAME_OFFSET, 8);
	for (unsigned int i = 0; i < 20; i++)
		fc_readdir(t->c, f, buf, 4096, ((struct fuse_dirent *)(void *)buf)->off);
	assert_true(fc_readdir(t->c, f, buf, 4096, off) > 0);
	assert_memory_equal(d->name, first, d->namelen);
	assert_true(fc_readdir(t->c, f, buf, 4096, 0) > 0);
	assert_int_equal(d->off, off);
	n = fc_readdir(t->c, f, buf, 4096, 0x7ffffffffffffff0ull);
	assert_true(n != -ETIMEDOUT && n != -EPROTO);
	OK(fc_releasedir(t->c, f));
}

static void small_replies(void **state)
{
	struct test *t = *state;
	struct fc_file f = open_dir(t);

	host_write_file(t->host, "f0", "", 0);
	assert_true(fc_readdir(t->c, f, buf, 8, 0) <= 0);
	assert_true(fc_readdirplus(t->c, f, buf, 100, 0) <= 0);
	LEN(fc_readdir(t->c, f, buf, 32, 0), 32);
	OK(fc_releasedir(t->c, f));
}

static void fsyncdir_and_flags(void **state)
{
	struct test *t = *state;
	struct fc_file f = open_dir(t);
	struct fuse_open_out o;

	OK(fc_fsyncdir(t->c, f));
	OK(fc_releasedir(t->c, f));
	assert_true(fc_fsyncdir(t->c, f) < 0);
	assert_true(fc_releasedir(t->c, f) < 0);
	host_write_file(t->host, "plain", "", 0);
	ERR(fc_opendir(t->c, guest_lookup(t, "plain"), &o), ENOTDIR);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(readdir_lists),
		TEST(readdirplus_knows),
		TEST(readdir_seeks),
		TEST(small_replies),
		TEST(fsyncdir_and_flags),
	};

	return TEST_RUN(tests, TEST_SPLIT | TEST_PACKED | TEST_INDIRECT, NULL, NULL);
}
