/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many system calls the daemon's file system makes for a request, or for what a guest's system call
 * becomes: exactly, one request at a time, so that a change that adds one is seen. What batches save shows
 * with requests in flight only (tests/bench/loads.sh).
 */
#include "inject.h"
#include "test.h"

#include <sys/syscall.h>

#define FILES 20

struct counted {
	struct vm *vm;
	struct fuse_client *c;
	struct inject in;
	char first[512]; /* the names of the calls, for messages */
};

static void begin(struct counted *k, struct vm *vm, const char *const *args)
{
	const struct vm_config cfg = {
		.init_flags = VM_INIT_FLAGS | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT};
	struct err err;

	test_boot(vm, &cfg, args);
	*k = (struct counted){.vm = vm, .c = &vm->client[1]};
	for (unsigned int i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, "data", 4);
	}
	if (inject_attach(&k->in, spawn_server_pid(&vm->daemon), &err))
		fail_msg("%s", err.text);
}

static void count_from_here(struct counted *k)
{
	inject_arm(&k->in, &(struct inject_plan){0});
}

/* A sanitizer's runtime takes its own memory and gives it back. */
static bool is_of_runtime(int call)
{
	return TEST_SANITIZED && call == SYS_madvise;
}

static void expect_calls(struct counted *k, const char *what, unsigned int want)
{
	struct inject_report r;
	unsigned int count;
	size_t n = 0;

	inject_disarm(&k->in, &r);
	count = r.count;
	for (unsigned int i = 0; i < MIN(r.count, INJECT_CALLS) && n < sizeof(k->first) - 32; i++) {
		count -= is_of_runtime(r.call[i]);
		n += (size_t)snprintf(k->first + n, sizeof(k->first) - n, " %s", inject_call_name(r.call[i]));
	}
	if (count != want)
		fail_msg("%s: %u system calls, not %u:%s", what, count, want, k->first);
}

static uint64_t look_up(struct counted *k, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(k->c, FUSE_ROOT_ID, name, &e));
	return e.nodeid;
}

/* With --tune=close-batch=0, so that each descriptor's close counts with its own request. */
static const char *const closing_at_once[] = {"--tune=close-batch=0", NULL};

static void lookups(void **state)
{
	struct fuse_entry_out e;
	struct counted k;

	begin(&k, *state, closing_at_once);
	look_up(&k, "f0");
	count_from_here(&k);
	look_up(&k, "f1");
	expect_calls(&k, "a new name", 2);
	look_up(&k, "f1");
	count_from_here(&k);
	look_up(&k, "f0");
	expect_calls(&k, "a known name", 1);
	count_from_here(&k);
	look_up(&k, "f2");
	expect_calls(&k, "a new name where a known one was expected", 3);
	count_from_here(&k);
	look_up(&k, "f1");
	expect_calls(&k, "a known name where a new one was expected", 3);
	count_from_here(&k);
	ERR(fc_lookup(k.c, FUSE_ROOT_ID, "none", &e), ENOENT);
	expect_calls(&k, "a name that is not there", 1);
	inject_detach(&k.in);
}

static void unguessed(void **state)
{
	static const char *const args[] = {"--tune=lookup-guess=0,close-batch=0", NULL};
	struct counted k;

	begin(&k, *state, args);
	look_up(&k, "f0");
	count_from_here(&k);
	look_up(&k, "f1");
	expect_calls(&k, "a new name", 3);
	inject_detach(&k.in);
}

static struct fc_file create(struct counted *k, const char *name)
{
	const struct fuse_create_in in = {.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = S_IFREG | 0644};
	struct fc_created out;

	OK(fc_create(k->c, FUSE_ROOT_ID, name, &in, &out));
	return (struct fc_file){out.entry.nodeid, out.open.fh};
}

static void creates(void **state)
{
	struct fc_file file;
	struct counted k;

	begin(&k, *state, closing_at_once);
	file = create(&k, "first"); /* makes the mount known, and the thread the caller */
	LEN(fc_write(k.c, file, "data", 4, 0), 4);
	OK(fc_flush(k.c, file, 1));
	OK(fc_release(k.c, file));
	count_from_here(&k);
	file = create(&k, "new");
	expect_calls(&k, "CREATE", 3);
	count_from_here(&k);
	LEN(fc_write(k.c, file, "data", 4, 0), 4);
	expect_calls(&k, "WRITE", 1);
	count_from_here(&k);
	OK(fc_flush(k.c, file, 1));
	expect_calls(&k, "FLUSH", 0);
	count_from_here(&k);
	OK(fc_release(k.c, file));
	expect_calls(&k, "RELEASE", 1);
	count_from_here(&k);
	OK(fc_unlink(k.c, FUSE_ROOT_ID, "new"));
	expect_calls(&k, "UNLINK", 1);
	count_from_here(&k);
	OK(fc_forget(k.c, file.node, 1));
	expect_calls(&k, "FORGET", 1);
	inject_detach(&k.in);
}

static void small_files(void **state)
{
	struct fuse_attr_out a;
	struct fuse_open_out o;
	struct fc_file file;
	struct counted k;
	char data[16];

	begin(&k, *state, closing_at_once);
	file = (struct fc_file){.node = look_up(&k, "f0")};
	OK(fc_open(k.c, file.node, O_RDONLY, &o)); /* the thread finds out who it is */
	OK(fc_release(k.c, (struct fc_file){file.node, o.fh}));
	count_from_here(&k);
	OK(fc_getattr(k.c, file.node, 0, &a));
	expect_calls(&k, "GETATTR", 1);
	count_from_here(&k);
	OK(fc_open(k.c, file.node, O_RDONLY, &o));
	expect_calls(&k, "OPEN", 1);
	file.fh = o.fh;
	count_from_here(&k);
	LEN(fc_read(k.c, file, data, 4, 0), 4);
	expect_calls(&k, "READ", 1);
	count_from_here(&k);
	OK(fc_flush(k.c, file, 1));
	OK(fc_release(k.c, file));
	OK(fc_forget(k.c, file.node, 1));
	expect_calls(&k, "FLUSH, RELEASE and FORGET", 2);
	inject_detach(&k.in);
}

static void list(struct counted *k, struct fc_file dir, const char *what, unsigned int want)
{
	uint8_t buf[8192];
	uint64_t off = 0;

	count_from_here(k);
	for (;;) {
		ssize_t n = fc_readdirplus(k->c, dir, buf, sizeof(buf), off);
		ssize_t at = 0;

		assert_true(n >= 0);
		if (!n)
			break;
		while (at < n) {
			const struct fuse_direntplus *d = (const void *)(buf + at);

			off = d->dirent.off;
			at += (ssize_t)FUSE_DIRENTPLUS_SIZE(d);
		}
	}
	expect_calls(k, what, want);
}

/* The whole directory: names new to the guest, then known ones. */
static void list_all(struct counted *k, const char *what, unsigned int want)
{
	struct fc_file dir = {.node = FUSE_ROOT_ID};
	struct fuse_open_out o;

	OK(fc_opendir(k->c, dir.node, &o));
	dir.fh = o.fh;
	list(k, dir, what, want);
	OK(fc_releasedir(k->c, dir));
}

static void listings(void **state)
{
	struct counted k;

	begin(&k, *state, closing_at_once);
	list_all(&k, "new entries", 2 * FILES + 2); /* and getdents64 twice: the entries, and the end */
	look_up(&k, "f1");
	list_all(&k, "known entries", FILES + 2);
	inject_detach(&k.in);
}

/* A guest that sends no OPEN: what it reads and writes stays open until it forgets it. */
static void opens_nothing(void **state)
{
	static const char *const args[] = {"--zero-message-open", "--cache=always", "--no-posix-lock",
		"--no-flock", "--tune=close-batch=0", NULL};
	struct fc_file file;
	struct counted k;
	char data[16];

	begin(&k, *state, args);
	file = (struct fc_file){.node = look_up(&k, "f0")};
	LEN(fc_read(k.c, file, data, 4, 0), 4); /* the thread finds out who it is */
	OK(fc_forget(k.c, file.node, 1));
	file.node = look_up(&k, "f1");
	count_from_here(&k);
	LEN(fc_read(k.c, file, data, 4, 0), 4);
	expect_calls(&k, "the first READ", 3);
	count_from_here(&k);
	LEN(fc_read(k.c, file, data, 4, 0), 4);
	expect_calls(&k, "the second READ", 4);
	count_from_here(&k);
	LEN(fc_read(k.c, file, data, 4, 0), 4);
	expect_calls(&k, "READ", 1);
	count_from_here(&k);
	LEN(fc_write(k.c, file, "data", 4, 0), 4);
	expect_calls(&k, "the first WRITE", 3);
	LEN(fc_write(k.c, file, "data", 4, 0), 4);
	count_from_here(&k);
	LEN(fc_write(k.c, file, "data", 4, 0), 4);
	expect_calls(&k, "WRITE", 1);
	count_from_here(&k);
	OK(fc_forget(k.c, file.node, 1));
	expect_calls(&k, "FORGET", 3);
	list(&k, (struct fc_file){.node = FUSE_ROOT_ID}, "new entries", 2 * FILES + 3); /* and openat */
	look_up(&k, "f1");
	list(&k, (struct fc_file){.node = FUSE_ROOT_ID}, "known entries", FILES + 3); /* and lseek */
	inject_detach(&k.in);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(lookups),
		TEST_OWN(unguessed),
		TEST_OWN(creates),
		TEST_OWN(small_files),
		TEST_OWN(listings),
		TEST_OWN(opens_nothing),
	};
	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
