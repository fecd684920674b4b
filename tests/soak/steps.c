/* SPDX-License-Identifier: BSD-3-Clause */
/* What a front-end does again and again; the header says how. */
#include "soak.h"

#include <linux/fs.h>
#include <stdlib.h>

#define FILES	  8u
#define FILE_MAX  20000u
#define LIST_SIZE 1024 /* small: a listing takes several requests */

uint32_t soak_random(struct soak *s, uint32_t below)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return (uint32_t)(s->random >> 20) % below;
}

/* A directory with files that hold what their seed says. */
struct tree {
	char name[16];
	uint64_t dir;
	unsigned int n;
	struct {
		char name[16];
		uint64_t node;
		unsigned int seed;
		size_t len;
		bool listed;
	} file[FILES];
};

static void create_file(struct soak *s, struct tree *t, unsigned int i)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
	static uint8_t data[FILE_MAX];
	struct fc_created made;
	struct fc_file f;

	snprintf(t->file[i].name, sizeof(t->file[i].name), "f%u", i);
	t->file[i].seed = soak_random(s, 1000);
	t->file[i].len = soak_random(s, FILE_MAX);
	OK(fc_create(s->c, t->dir, t->file[i].name, &in, &made));
	t->file[i].node = made.entry.nodeid;
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	test_pattern(data, t->file[i].len, t->file[i].seed);
	LEN(fc_write(s->c, f, data, t->file[i].len, 0), t->file[i].len);
	OK(fc_flush(s->c, f, s->id + 1));
	OK(fc_release(s->c, f));
}

static void read_file(struct soak *s, const struct tree *t, unsigned int i)
{
	static uint8_t data[FILE_MAX], got[FILE_MAX + 1];
	struct fuse_open_out o;
	struct fc_file f;

	OK(fc_open(s->c, t->file[i].node, O_RDONLY, &o));
	f = (struct fc_file){t->file[i].node, o.fh};
	test_pattern(data, t->file[i].len, t->file[i].seed);
	LEN(fc_read(s->c, f, got, sizeof(got), 0), t->file[i].len);
	assert_memory_equal(got, data, t->file[i].len);
	OK(fc_release(s->c, f));
}

static void note_entry(struct soak *s, struct tree *t, const struct fuse_direntplus *d)
{
	const struct fuse_dirent *e = &d->dirent;

	if (d->entry_out.nodeid)
		OK(fc_forget(s->c, d->entry_out.nodeid, 1));
	for (unsigned int i = 0; i < t->n; i++) {
		if (strlen(t->file[i].name) != e->namelen || memcmp(t->file[i].name, e->name, e->namelen))
			continue;
		assert_false(t->file[i].listed);
		assert_int_equal(d->entry_out.nodeid, t->file[i].node);
		assert_int_equal(d->entry_out.attr.size, t->file[i].len);
		t->file[i].listed = true;
		return;
	}
	assert_true(e->name[0] == '.');
}

/* Every file once. */
static void list_tree(struct soak *s, struct tree *t)
{
	struct fuse_open_out o;
	char buf[LIST_SIZE];
	uint64_t off = 0;
	struct fc_file d;
	ssize_t n;

	OK(fc_opendir(s->c, t->dir, &o));
	d = (struct fc_file){t->dir, o.fh};
	while ((n = fc_readdirplus(s->c, d, buf, sizeof(buf), off)) > 0) {
		const struct fuse_direntplus *e;

		for (ssize_t at = 0; at < n; at += (ssize_t)FUSE_DIRENTPLUS_SIZE(e)) {
			e = (const void *)(buf + at);
			off = e->dirent.off;
			note_entry(s, t, e);
		}
	}
	LEN(n, 0);
	OK(fc_releasedir(s->c, d));
	for (unsigned int i = 0; i < t->n; i++)
		assert_true(t->file[i].listed);
}

static void plant_tree(struct soak *s, struct tree *t)
{
	struct fuse_entry_out e;

	*t = (struct tree){.n = 1 + soak_random(s, FILES)};
	snprintf(t->name, sizeof(t->name), "t%u", soak_random(s, 1000));
	OK(fc_mkdir(s->c, s->dir, t->name, 0755, &e));
	t->dir = e.nodeid;
	for (unsigned int i = 0; i < t->n; i++)
		create_file(s, t, i);
}

static void fell_tree(struct soak *s, struct tree *t)
{
	struct fuse_forget_one one[FILES + 1];

	for (unsigned int i = 0; i < t->n; i++) {
		OK(fc_unlink(s->c, t->dir, t->file[i].name));
		one[i] = (struct fuse_forget_one){t->file[i].node, 1};
	}
	OK(fc_rmdir(s->c, s->dir, t->name));
	one[t->n] = (struct fuse_forget_one){t->dir, 1};
	OK(fc_batch_forget(s->c, one, t->n + 1));
	assert_false(host_exists(s->host, t->name));
}

static void trees(struct soak *s)
{
	struct tree t;

	plant_tree(s, &t);
	list_tree(s, &t);
	for (unsigned int i = 0; i < t.n; i++)
		read_file(s, &t, i);
	fell_tree(s, &t);
}

/* Another name, a second name, a symbolic link; an exchange where there is something to exchange with. */
static void names(struct soak *s)
{
	struct fuse_rename2_in in = {.flags = RENAME_NOREPLACE};
	struct fuse_entry_out e, l;
	char target[32];
	struct tree t;

	plant_tree(s, &t);
	in.newdir = t.dir;
	OK(fc_rename(s->c, t.dir, "f0", s->dir, "moved"));
	OK(fc_rename2(s->c, s->dir, "moved", &in, "back"));
	snprintf(t.file[0].name, sizeof(t.file[0].name), "back");
	OK(fc_link(s->c, t.file[0].node, s->dir, "second", &e));
	assert_int_equal(e.nodeid, t.file[0].node);
	assert_int_equal(e.attr.nlink, 2);
	ERR(fc_rename2(s->c, s->dir, "second", &in, "back"), EEXIST);
	OK(fc_symlink(s->c, s->dir, "pointer", "t/f", &l));
	LEN(fc_readlink(s->c, l.nodeid, target, sizeof(target)), 3);
	assert_memory_equal(target, "t/f", 3);
	OK(fc_unlink(s->c, s->dir, "pointer"));
	OK(fc_unlink(s->c, s->dir, "second"));
	OK(fc_forget(s->c, l.nodeid, 1));
	OK(fc_forget(s->c, e.nodeid, 1));
	list_tree(s, &t);
	fell_tree(s, &t);
}

static void attributes(struct soak *s)
{
	struct fuse_setattr_in in = {
		.valid = FATTR_MODE | FATTR_SIZE | FATTR_MTIME, .mode = 0604, .size = 12345, .mtime = 54321};
	char name[] = "user.soak", value[64], list[64];
	struct fuse_attr_out a;
	struct tree t;
	uint64_t node;

	plant_tree(s, &t);
	node = t.file[0].node;
	OK(fc_setattr(s->c, node, &in, &a));
	OK(fc_getattr(s->c, node, 0, &a));
	assert_int_equal(a.attr.mode, S_IFREG | 0604);
	assert_int_equal(a.attr.size, 12345);
	assert_int_equal(a.attr.mtime, 54321);
	test_pattern(value, sizeof(value), soak_random(s, 1000));
	OK(fc_setxattr(s->c, node, name, (struct iovec){value, sizeof(value)}, 0));
	LEN(fc_listxattr(s->c, node, list, sizeof(list)), sizeof(name));
	assert_string_equal(list, name);
	LEN(fc_getxattr(s->c, node, name, list, sizeof(list)), sizeof(value));
	assert_memory_equal(list, value, sizeof(value));
	OK(fc_removexattr(s->c, node, name));
	LEN(fc_listxattr(s->c, node, list, sizeof(list)), 0);
	fell_tree(s, &t);
}

/* A file that has no name any more is written and read all the same. */
static void nameless(struct soak *s)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0600};
	static uint8_t data[FILE_MAX], got[FILE_MAX];
	struct fc_created made;
	struct fc_file f;

	OK(fc_create(s->c, s->dir, "gone", &in, &made));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	OK(fc_unlink(s->c, s->dir, "gone"));
	test_pattern(data, sizeof(data), soak_random(s, 1000));
	OK(fc_fallocate(s->c, f, 0, 4 * FILE_MAX, 0));
	LEN(fc_write(s->c, f, data, sizeof(data), FILE_MAX), sizeof(data));
	LEN(fc_read(s->c, f, got, sizeof(got), FILE_MAX), sizeof(got));
	assert_memory_equal(got, data, sizeof(data));
	OK(fc_fsync(s->c, f, true));
	OK(fc_release(s->c, f));
	OK(fc_forget(s->c, f.node, 1));
}

static void mistakes(struct soak *s)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct tree t;

	plant_tree(s, &t);
	ERR(fc_lookup(s->c, t.dir, "absent", &e), ENOENT);
	ERR(fc_unlink(s->c, t.dir, "absent"), ENOENT);
	ERR(fc_mkdir(s->c, s->dir, t.name, 0755, &e), EEXIST);
	ERR(fc_rmdir(s->c, s->dir, t.name), ENOTEMPTY);
	ERR(fc_lookup(s->c, t.dir, "..", &e), EINVAL);
	ERR(fc_opendir(s->c, t.file[0].node, &o), ENOTDIR);
	fell_tree(s, &t);
	ERR(fc_open(s->c, t.file[0].node, O_RDONLY, &o), ESTALE);
}

static struct fuse_lk_in counter_lock(const struct soak *s, uint32_t type)
{
	struct fuse_lk_in in = {.fh = s->counter.fh, .owner = s->id + 1};

	in.lk = (struct fuse_file_lock){.end = FC_OFFSET_MAX, .type = type, .pid = s->id + 1};
	return in;
}

void soak_take_lock(struct soak *s)
{
	struct fuse_lk_in in = counter_lock(s, F_WRLCK);
	struct fc_op op;

	OK(fc_setlkw_start(s->c, s->counter.node, &in, &op));
	LEN(fc_wait(s->c, &op), 0);
}

/* Only the lock keeps the front-ends from losing counts. */
static void count(struct soak *s)
{
	struct fuse_lk_in unlock = counter_lock(s, F_UNLCK);
	uint64_t n;

	soak_take_lock(s);
	LEN(fc_read(s->c, s->counter, &n, sizeof(n), 0), sizeof(n));
	n++;
	LEN(fc_write(s->c, s->counter, &n, sizeof(n), 0), sizeof(n));
	s->tally->counted++;
	OK(fc_setlk(s->c, s->counter.node, &unlock));
}

static void append(struct soak *s)
{
	char line[SOAK_RECORD + 1];
	struct fuse_write_out out;
	struct fuse_write_in in;
	struct fc_op op;

	snprintf(line, sizeof(line), "%u %13llu\n", s->id, (unsigned long long)s->tally->appended);
	fc_op_write(&op, &in, s->log, SOAK_RECORD, 0);
	in.flags = O_WRONLY | O_APPEND;
	op.data = line;
	op.reply = &out;
	LEN(fc_call(s->c, &op), sizeof(out));
	assert_int_equal(out.size, SOAK_RECORD);
	s->tally->appended++;
}

void soak_step(struct soak *s)
{
	static void (*const steps[])(struct soak *) = {
		trees, names, attributes, nameless, mistakes, count, append};

	steps[soak_random(s, ARRAY_LEN(steps))](s);
	s->tally->steps++;
}
