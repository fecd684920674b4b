/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program is replaced while its guest is at work: nothing is lost, and nothing waits for long. And where
 * it cannot be, whatever the new program does, the old one goes on.
 */
#include "dax_guest.h"
#include "load.h"
#include "test.h"

#include "base/segment.h"
#include "worker.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define QUEUES	2
#define DEPTH	16
#define RUN_MS	800
#define WAIT_MS 30000
#define FILES	20
#define SOME	7
#define ALL	1000

#define LAYOUT_AT 8 /* of the layout's number in a state segment */

/* What the daemon says at the end of an upgrade. */
static const char good[] = "upgraded in", bad[] = "not upgraded";

static unsigned int count_in_log(const struct vm *vm, const char *words, char *last, size_t size)
{
	static char text[1 << 20];
	autofd int fd = open(vm->daemon.log_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned int count = 0;

	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *at = text; (at = strstr(at, words)); at += strlen(words), count++)
		snprintf(last, size, "%.*s", (int)strcspn(at, "\n"), at);
	return count;
}

/* Asks for an upgrade and waits for its end. True if there was one; else @text has the reason. */
static bool try_upgrade(struct vm *vm, char *text, size_t size)
{
	unsigned int before = count_in_log(vm, good, text, size), failed = count_in_log(vm, bad, text, size);

	assert_int_equal(kill(vm->daemon.pid, SIGUSR2), 0);
	for (unsigned int t = 0; t < WAIT_MS; t += 2) {
		if (count_in_log(vm, good, text, size) > before)
			return true;
		if (count_in_log(vm, bad, text, size) > failed)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	fail_msg("no upgrade, and no word of it");
	return false;
}

static void upgrade(struct vm *vm)
{
	char text[512];

	if (!try_upgrade(vm, text, sizeof(text)))
		fail_msg("%s", text);
	assert_non_null(strstr(text, "queue paused"));
}

static void refuse(struct vm *vm, const char *why)
{
	char text[512];

	assert_false(try_upgrade(vm, text, sizeof(text)));
	if (!strstr(text, why))
		spawn_show_log(&vm->daemon);
	if (!strstr(text, why))
		fail_msg("'%s' does not say '%s'", text, why);
	assert_non_null(strstr(text, "goes on"));
}

static bool can_upgrade(const struct vm *vm)
{
	struct worker w;

	return worker_find(&w, &vm->daemon);
}

/* A file with its text, a nameless one, a lock, somebody who waits for it, and a place in a directory. */
struct held {
	struct fc_file named, nameless;
	struct fuse_lk_in lock, wanted;
	struct fc_op waiting;
	struct fuse_open_out dir;
	uint64_t next;	   /* where its listing goes on */
	unsigned int seen; /* names of it */
};

static struct fc_file open_new(struct fuse_client *c, const char *name)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0644};
	struct fc_created made;
	struct fc_file f;

	OK(fc_create(c, FUSE_ROOT_ID, name, &in, &made));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	LEN(fc_write(c, f, name, strlen(name), 0), strlen(name));
	return f;
}

static void expect_text(struct fuse_client *c, struct fc_file f, const char *text)
{
	char buf[64] = "";

	LEN(fc_read(c, f, buf, sizeof(buf) - 1, 0), strlen(text));
	assert_string_equal(buf, text);
}

/* Goes on with the listing for @most names at most: so many there were. */
static unsigned int list(struct fuse_client *c, struct held *h, unsigned int most)
{
	struct fc_file dir = {FUSE_ROOT_ID, h->dir.fh};
	unsigned int n = 0;
	char buf[4096];

	while (n < most) {
		ssize_t got = fc_readdir(c, dir, buf, sizeof(buf), h->next), at = 0;

		assert_true(got >= 0);
		for (; at < got && n < most; n++) {
			struct fuse_dirent d;

			memcpy(&d, buf + at, FUSE_NAME_OFFSET);
			h->next = d.off;
			at += (ssize_t)FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + d.namelen);
		}
		if (!got)
			break;
	}
	return n;
}

static void hold(struct vm *vm, struct held *h)
{
	struct fuse_client *c = &vm->client[1];
	struct fuse_open_out again;

	for (unsigned int i = 0; i < FILES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(vm->daemon.share, name, "x", 1);
	}
	*h = (struct held){.lock = {.owner = 1, .lk = {.end = 9, .type = F_WRLCK, .pid = 7}}};
	h->named = open_new(c, "named");
	h->nameless = open_new(c, "nameless");
	OK(fc_unlink(c, FUSE_ROOT_ID, "nameless"));
	h->lock.fh = h->named.fh;
	OK(fc_setlk(c, h->named.node, &h->lock));
	h->wanted = h->lock;
	OK(fc_open(c, h->named.node, O_RDWR, &again));
	h->wanted.fh = again.fh;
	h->wanted.owner = 2;
	OK(fc_setlkw_start(c, h->named.node, &h->wanted, &h->waiting));
	OK(fc_opendir(c, FUSE_ROOT_ID, &h->dir));
	h->seen = list(c, h, SOME);
}

/* All is as it was; the one who waits has what he waited for, once the other lets go. */
static void expect_held(struct fuse_client *c, struct held *h)
{
	struct fuse_file_lock seen;
	struct fuse_entry_out e;

	expect_text(c, h->named, "named");
	expect_text(c, h->nameless, "nameless");
	OK(fc_lookup(c, FUSE_ROOT_ID, "named", &e));
	assert_int_equal(e.nodeid, h->named.node);
	OK(fc_getlk(c, h->named.node,
		&(struct fuse_lk_in){.fh = h->wanted.fh, .owner = 3, .lk = h->wanted.lk}, &seen));
	assert_int_equal(seen.type, F_WRLCK);
	assert_int_equal(seen.pid, 7);
	assert_false(h->waiting.done);
}

static void let_go(struct fuse_client *c, struct held *h)
{
	assert_int_equal(h->seen + list(c, h, ALL), FILES + 1 + 2); /* with "named", . and .. */
	h->lock.lk.type = F_UNLCK;
	OK(fc_setlk(c, h->named.node, &h->lock));
	OK(fc_wait(c, &h->waiting));
	OK(fc_release(c, h->nameless));
	OK(fc_release(c, h->named));
}

/* Twice in a row, with every sandbox that there is, and killed in between: what a guest holds stays. */
static void hold_on(struct vm *vm, const char *option)
{
	const char *const args[] = {option, NULL};
	struct worker w;
	struct held h;

	test_boot(vm, NULL, args);
	if (!can_upgrade(vm))
		skip();
	hold(vm, &h);
	for (unsigned int i = 0; i < 3; i++) {
		upgrade(vm);
		expect_held(&vm->client[1], &h);
	}
	OK(worker_find(&w, &vm->daemon) ? worker_kill(&w, SIGKILL) : -ECHILD);
	expect_held(&vm->client[1], &h);
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

static void held_namespace(void **state)
{
	hold_on(*state, "--sandbox=namespace");
}

static void held_chroot(void **state)
{
	if (geteuid())
		skip();
	hold_on(*state, "--sandbox=chroot");
}

static void held_nothing(void **state)
{
	hold_on(*state, "--sandbox=none");
}

static void held_without_handles(void **state)
{
	hold_on(*state, "--inode-file-handles=never");
}

/* The socket is not the daemon's own, and the program that follows is told which it is. */
static void held_inherited(void **state)
{
	struct vm *vm = *state;
	struct held h;

	test_boot_spawn(vm, NULL, &(struct spawn_config){.socket = SPAWN_CONNECTED_FD});
	if (!can_upgrade(vm))
		skip();
	hold(vm, &h);
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

/* What is made on either side of an upgrade can be moved to the other: it is the same mount still. */
static void moved(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_entry_out before, after;

	test_boot(vm, NULL, NULL);
	if (!can_upgrade(vm))
		skip();
	OK(fc_mkdir(c, FUSE_ROOT_ID, "before", 0755, &before));
	upgrade(vm);
	OK(fc_mkdir(c, FUSE_ROOT_ID, "after", 0755, &after));
	OK(fc_release(c, open_new(c, "f")));
	OK(fc_rename(c, FUSE_ROOT_ID, "f", before.nodeid, "f"));
	OK(fc_rename(c, before.nodeid, "f", after.nodeid, "f"));
	OK(fc_rename(c, FUSE_ROOT_ID, "before", after.nodeid, "before"));
	test_end(vm);
}

/* A front-end that is there, one that comes later, and a daemon that has none. */
static void front_ends(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out a;

	test_boot(vm, NULL, NULL);
	if (!can_upgrade(vm))
		skip();
	upgrade(vm);
	vm_disconnect(vm);
	upgrade(vm);
	test_come_back(vm);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
	upgrade(vm);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
	test_end(vm);
}

/* What is mapped in a window stays so, and follows its file. */
static void window_stays(void **state)
{
	struct vm *vm = *state;
	size_t size = RANGE + 5000;
	struct fc_file f;

	dax_boot(vm, dax_args_all);
	if (!can_upgrade(vm))
		skip();
	f = dax_open(vm, dax_file(vm, "f", size));
	OK(dax_map(vm, f.node, 0, 0, WRITE));
	OK(dax_map(vm, f.node, RANGE, 1, WRITE));
	for (unsigned int i = 0; i < 2; i++) {
		upgrade(vm);
		SEES(vm, 0, dax_data, size);
		LEN(fc_write(&vm->client[1], f, dax_data + size, 3000, size), 3000);
		size += 3000;
		SEES(vm, 0, dax_data, size);
	}
	OK(dax_unmap(vm, 0));
	OK(dax_unmap(vm, 1));
	host_expect_file(vm->daemon.share, "f", dax_data, size);
	test_end(vm);
}

/* Two queues with requests in flight all the time, every byte verified. */
static void under_load(void **state)
{
	static struct load_lane lane[QUEUES][DEPTH];
	static const char *const name[QUEUES] = {"q0", "q1"}, *const args[] = {"--queues=2", NULL};
	struct vm *vm = *state;
	unsigned int upgrades = 0;
	struct load load[QUEUES];
	pthread_t thread[QUEUES];
	char last[512];

	test_boot(vm,
		&(struct vm_config){.queues = QUEUES, .client = {.depth = DEPTH, .max_data = LOAD_MAX_IO}},
		args);
	if (!can_upgrade(vm))
		skip();
	for (unsigned int q = 0; q < QUEUES; q++) {
		load[q] = (struct load){.c = &vm->client[1 + q],
			.lane = lane[q],
			.lanes = DEPTH,
			.name = name[q],
			.random = q + 1,
			.end_ms = test_ms() + RUN_MS};
		load_make(&load[q], vm->daemon.share);
		load_open(&load[q], FUSE_ROOT_ID);
	}
	for (unsigned int q = 0; q < QUEUES; q++)
		assert_int_equal(pthread_create(&thread[q], NULL, load_run, &load[q]), 0);
	for (; test_ms() < load[0].end_ms; upgrades++)
		upgrade(vm);
	for (unsigned int q = 0; q < QUEUES; q++)
		pthread_join(thread[q], NULL);
	for (unsigned int q = 0; q < QUEUES; q++)
		load_expect(&load[q], vm->daemon.share);
	assert_true(upgrades);
	count_in_log(vm, good, last, sizeof(last));
	fprintf(stderr, "%u upgrades, %llu requests; the last: %s\n", upgrades,
		(unsigned long long)(load[0].done + load[1].done), last);
	test_end(vm);
}

/* The descriptor of the state segment in process @pid, for the test to write to; -1. */
static int open_segment(pid_t pid)
{
	char path[320], link[64];
	const struct dirent *e;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && fd < 0 && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

		link[MAX(n, 0)] = '\0';
		if (strstr(link, "colofs-state"))
			fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* As if the running daemon were of a release with another layout. */
static void other_layout(void **state)
{
	const uint32_t other = SEGMENT_LAYOUT + 1;
	struct vm *vm = *state;
	uint32_t own = 0;
	struct worker w;
	struct held h;

	test_boot(vm, NULL, NULL);
	if (!worker_find(&w, &vm->daemon))
		skip();
	hold(vm, &h);
	autofd int segment = open_segment(w.pid);
	assert_int_equal(pread(segment, &own, sizeof(own), LAYOUT_AT), sizeof(own));
	assert_int_equal(own, SEGMENT_LAYOUT);
	assert_int_equal(pwrite(segment, &other, sizeof(other), LAYOUT_AT), sizeof(other));
	refuse(vm, "another layout");
	assert_int_equal(spawn_server_pid(&vm->daemon), w.pid); /* which nobody has disturbed */
	expect_held(&vm->client[1], &h);
	assert_int_equal(pwrite(segment, &own, sizeof(own), LAYOUT_AT), sizeof(own));
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

/* The path leads to another directory by now: who finds that out leaves all to the old one. */
static void other_share(struct vm *vm, const char *option)
{
	const char *const args[] = {option, NULL};
	char away[300];
	struct held h;

	test_boot(vm, NULL, args);
	if (!can_upgrade(vm))
		skip();
	hold(vm, &h);
	snprintf(away, sizeof(away), "%s-away", vm->daemon.share_path);
	assert_int_equal(rename(vm->daemon.share_path, away), 0);
	assert_int_equal(mkdir(vm->daemon.share_path, 0755), 0);
	for (unsigned int round = 0; round < 2; round++) {
		refuse(vm, "goes on");
		expect_held(&vm->client[1], &h);
	}
	assert_int_equal(rmdir(vm->daemon.share_path), 0);
	assert_int_equal(rename(away, vm->daemon.share_path), 0);
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

static void other_share_by_handles(void **state)
{
	other_share(*state, "--inode-file-handles=prefer");
}

static void other_share_without_handles(void **state)
{
	other_share(*state, "--inode-file-handles=never");
}

/* The program that is installed: a copy that the test may replace. */
struct installed {
	char original[256], path[300];
};

static void install(struct installed *i, const char *script, mode_t mode)
{
	autofd int fd = -1;

	unlink(i->path);
	if (!script) {
		assert_int_equal(link(i->original, i->path), 0);
		return;
	}
	fd = open(i->path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_int_equal(write(fd, script, strlen(script)), strlen(script));
}

/* Boots what is installed in the daemon's own directory. */
static void boot_installed(struct vm *vm, struct installed *i)
{
	vm_configure(vm, &(struct vm_config){0});
	snprintf(i->original, sizeof(i->original), "%s", spawn_program());
	OK(spawn_prepare(&vm->daemon, &vm->err));
	snprintf(i->path, sizeof(i->path), "%s/colofsd", vm->daemon.dir);
	assert_int_equal(symlink(i->original, i->path), 0);
	setenv("COLOFSD", i->path, 1);
	OK(spawn_launch(&vm->daemon, &(struct spawn_config){0}, &vm->err));
	setenv("COLOFSD", i->original, 1);
	OK(vm_connect(vm));
	OK(vm_make_memory(vm));
	OK(vm_make_queues(vm));
	OK(vm_start(vm));
	OK(vm_mount(vm));
}

static const struct {
	const char *script, *why;
	mode_t mode;
} broken[] = {
	{"#!/bin/sh\nexit 3\n", "ended with status 3", 0755},
	{"#!/bin/sh\nkill -SEGV $$\n", "ended by signal 11", 0755},
	{"#!/bin/sh\n", "cannot be run: Permission denied", 0644},
	{"no program at all", "cannot be run: Exec format error", 0755},
	{"#!/bin/sh\nexec \"$COLOFSD_WAS\" --shared-dir=/nowhere/at/all --socket-path=s\n",
		"--shared-dir=/nowhere", 0755},
};

static void broken_programs(void **state)
{
	struct vm *vm = *state;
	struct installed i;
	struct worker w;
	struct held h;

	setenv("COLOFSD_WAS", spawn_program(), 1);
	boot_installed(vm, &i);
	if (!worker_find(&w, &vm->daemon))
		skip();
	hold(vm, &h);
	for (unsigned int b = 0; b < ARRAY_LEN(broken); b++) {
		install(&i, broken[b].script, broken[b].mode);
		refuse(vm, broken[b].why);
		expect_held(&vm->client[1], &h);
	}
	unlink(i.path);
	refuse(vm, "No such file");
	assert_int_equal(spawn_server_pid(&vm->daemon), w.pid);
	install(&i, NULL, 0);
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

/* A program that never says anything: the daemon serves, and ends as it is told to. */
static void silent_program(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out a;
	struct installed i;
	int status;

	boot_installed(vm, &i);
	if (!can_upgrade(vm))
		skip();
	install(&i, "#!/bin/sh\nexec sleep 1000\n", 0755);
	assert_int_equal(kill(vm->daemon.pid, SIGUSR2), 0);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
	vm_disconnect(vm);
	assert_int_equal(kill(vm->daemon.pid, SIGTERM), 0);
	OK(spawn_wait(&vm->daemon, 10000, &status));
	assert_int_equal(status, 0);
}

/* One that fails when it has all, as it may have no more memory: the old one has not forgotten how to. */
static void late_failure(void **state)
{
	struct vm *vm = *state;
	struct installed i;
	struct worker w;
	struct held h;
	struct stat st;
	char script[256];

	if (TEST_SANITIZED)
		skip();
	setenv("COLOFSD_WAS", spawn_program(), 1);
	boot_installed(vm, &i);
	if (!worker_find(&w, &vm->daemon))
		skip();
	hold(vm, &h);
	autofd int segment = open_segment(w.pid);
	assert_int_equal(fstat(segment, &st), 0);
	snprintf(script, sizeof(script), "#!/bin/sh\nulimit -v %lld\nexec \"$COLOFSD_WAS\" \"$@\"\n",
		(long long)(st.st_size >> 10) + (64 << 10));
	install(&i, script, 0755);
	for (unsigned int round = 0; round < 2; round++) {
		refuse(vm, "cannot go on");
		expect_held(&vm->client[1], &h);
	}
	assert_int_not_equal(spawn_server_pid(&vm->daemon), w.pid);
	install(&i, NULL, 0);
	upgrade(vm);
	expect_held(&vm->client[1], &h);
	let_go(&vm->client[1], &h);
	test_end(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OWN(under_load),
		TEST_OWN(held_namespace),
		TEST_OWN(held_chroot),
		TEST_OWN(held_nothing),
		TEST_OWN(held_without_handles),
		TEST_OWN(held_inherited),
		TEST_OWN(moved),
		TEST_OWN(front_ends),
		TEST_OWN(window_stays),
		TEST_OWN(other_layout),
		TEST_OWN(other_share_by_handles),
		TEST_OWN(other_share_without_handles),
		TEST_OWN(broken_programs),
		TEST_OWN(silent_program),
		TEST_OWN(late_failure),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
