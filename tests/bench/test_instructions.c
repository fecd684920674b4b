/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many instructions the daemon executes for a request, from the kick to the call, counted by callgrind:
 * no clock has a say in it. One request at a time, without polling, so that each goes the same way.
 * Environment: COLOFSD is counted.sh, COUNTED_PROGRAM the daemon.
 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#define TIMES  200
#define BLOCK  4096u
#define BIG    (1u << 20) /* in pages of the guest, each a descriptor of its own */
#define MARGIN 25	  /* per cent above what was measured: other compilers, and who sleeps when */

static char dir[] = "/tmp/colofs-counted-XXXXXX";
static unsigned int dumps;

/* What the daemon has executed since this was called last. */
static uint64_t instructions(const struct test *t)
{
	char text[512];
	uint64_t sum = 0;
	FILE *f;

	snprintf(text, sizeof(text), "vgdb --vgdb-prefix=%s/vgdb --pid=%d dump >%s/vgdb.log 2>&1", dir,
		spawn_server_pid(&t->vm.daemon), dir);
	if (system(text))
		fail_msg("vgdb fails; its words are in %s/vgdb.log", dir);
	snprintf(text, sizeof(text), "%s/callgrind.%u", dir, ++dumps);
	f = fopen(text, "r");
	assert_non_null(f);
	while (fgets(text, sizeof(text), f))
		if (!strncmp(text, "totals: ", 8))
			sum += strtoull(text + 8, NULL, 10);
	fclose(f);
	return sum;
}

/*
 * @f does it TIMES times. Where the machine is so busy that the watch thinks a request asleep, another thread
 * is started, which counts too: so it has to be too much three times.
 */
static void expect(struct test *t, const char *what, void (*f)(struct test *t), uint64_t usual)
{
	uint64_t each = 0;

	for (unsigned int tries = 0; tries < 3; tries++) {
		instructions(t);
		f(t);
		each = instructions(t) / TIMES;
		printf("%s: %llu instructions, %llu are usual\n", what, (unsigned long long)each,
			(unsigned long long)usual);
		if (each && each <= usual + usual * MARGIN / 100)
			return;
	}
	fail_msg("%s: %llu instructions each, usually %llu", what, (unsigned long long)each,
		(unsigned long long)usual);
}

static void make_files(struct test *t)
{
	char name[16];

	for (unsigned int i = 0; i < TIMES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(t->host, name, "data", 4);
	}
}

static void look_up_new(struct test *t)
{
	char name[16];

	for (unsigned int i = 0; i < TIMES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		OK(fc_forget(t->c, guest_lookup(t, name), 1));
	}
}

static void look_up_known(struct test *t)
{
	for (unsigned int i = 0; i < TIMES; i++)
		guest_lookup(t, "f1");
}

static void get_attributes(struct test *t)
{
	struct fuse_attr_out a;

	for (unsigned int i = 0; i < TIMES; i++)
		OK(fc_getattr(t->c, t->dir, 0, &a));
}

static void names(void **state)
{
	struct test *t = *state;

	make_files(t);
	expect(t, "LOOKUP, new, and FORGET", look_up_new, 7200);
	guest_lookup(t, "f1");
	expect(t, "LOOKUP, known", look_up_known, 3450);
	expect(t, "GETATTR", get_attributes, 3000);
}

static struct fc_file file;

static void write_block(struct test *t)
{
	const uint8_t buf[BLOCK] = {0};

	for (unsigned int i = 0; i < TIMES; i++)
		LEN(fc_write(t->c, file, buf, sizeof(buf), 0), sizeof(buf));
}

static void read_block(struct test *t)
{
	uint8_t buf[BLOCK];

	for (unsigned int i = 0; i < TIMES; i++)
		LEN(fc_read(t->c, file, buf, sizeof(buf), 0), sizeof(buf));
}

static uint8_t big[BIG];

static void write_big(struct test *t)
{
	for (unsigned int i = 0; i < TIMES; i++)
		LEN(fc_write(t->c, file, big, sizeof(big), 0), sizeof(big));
}

static void read_big(struct test *t)
{
	for (unsigned int i = 0; i < TIMES; i++)
		LEN(fc_read(t->c, file, big, sizeof(big), 0), sizeof(big));
}

static void open_and_close(struct test *t)
{
	struct fuse_open_out o;

	for (unsigned int i = 0; i < TIMES; i++) {
		OK(fc_open(t->c, file.node, O_RDONLY, &o));
		OK(fc_flush(t->c, (struct fc_file){file.node, o.fh}, 1));
		OK(fc_release(t->c, (struct fc_file){file.node, o.fh}));
	}
}

static void create_and_unlink(struct test *t)
{
	char name[16];

	for (unsigned int i = 0; i < TIMES; i++) {
		struct fc_file f;

		snprintf(name, sizeof(name), "f%u", i);
		f = guest_create(t, name, O_WRONLY);
		OK(fc_release(t->c, f));
		OK(fc_unlink(t->c, t->dir, name));
		OK(fc_forget(t->c, f.node, 1));
	}
}

static void files(void **state)
{
	struct test *t = *state;

	file = guest_create(t, "file", O_RDWR);
	expect(t, "WRITE", write_block, 3350);
	expect(t, "READ", read_block, 2900);
	expect(t, "WRITE, 1 MiB", write_big, 23600);
	expect(t, "READ, 1 MiB", read_big, 22700);
	expect(t, "OPEN, FLUSH, RELEASE", open_and_close, 9800);
	expect(t, "CREATE, RELEASE, UNLINK, FORGET", create_and_unlink, 15000);
	OK(fc_release(t->c, file));
}

static struct fc_file directory;

/* In pieces of a page, as Linux reads directories. */
static void list(struct test *t, bool forget)
{
	uint8_t buf[BLOCK];
	uint64_t off = 0;
	ssize_t n;

	while ((n = fc_readdirplus(t->c, directory, buf, sizeof(buf), off)) > 0) {
		const struct fuse_direntplus *d;

		for (ssize_t at = 0; at < n; at += (ssize_t)FUSE_DIRENTPLUS_SIZE(d)) {
			d = (const void *)(buf + at);
			off = d->dirent.off;
			if (forget && d->entry_out.nodeid)
				OK(fc_forget(t->c, d->entry_out.nodeid, 1));
		}
	}
	OK((int)n);
}

static void list_new(struct test *t)
{
	list(t, true);
}

static void list_known(struct test *t)
{
	list(t, false);
}

static void listings(void **state)
{
	struct test *t = *state;
	struct fuse_open_out o;

	make_files(t);
	OK(fc_opendir(t->c, t->dir, &o));
	directory = (struct fc_file){t->dir, o.fh};
	expect(t, "READDIRPLUS, a new entry, and FORGET", list_new, 4950);
	list_known(t);
	expect(t, "READDIRPLUS, a known entry", list_known, 1250);
	OK(fc_releasedir(t->c, directory));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {TEST(names), TEST(files), TEST(listings)};
	const struct vm_config cfg = {.client = {.timeout_ms = 20000, .max_data = BIG}};
	static const char *const args[] = {
		"--sandbox=none", "--seccomp=none", "--no-recover", "--poll=0", NULL};
	const struct spawn_config spawn = {.args = args};
	int failed;

	if (system("command -v valgrind vgdb >/dev/null")) {
		puts("skipped: valgrind is not installed");
		return 77;
	}
	if (!mkdtemp(dir) || setenv("COUNTED_DIR", dir, 1))
		return 1;
	failed = TEST_RUN(tests, TEST_SPLIT | TEST_INDIRECT, &cfg, &spawn);
	spawn_remove_tree(dir);
	return failed;
}
