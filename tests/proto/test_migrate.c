/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Migration between two daemons, by a front-end each: what the guest had goes on at the other one, and a
 * state that is damaged, or does not fit, is refused while the guest goes on where it was.
 */
#include "journey.h"

#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define PROTOCOL (VM_PROTOCOL | VU_BIT(VU_P_DEVICE_STATE))

static struct fuse_client *at_from(struct journey *j)
{
	return &j->from.client[1];
}

static struct fuse_client *at_to(struct journey *j)
{
	return &j->to.client[1];
}

static void host_write(struct journey *j, const char *name, const char *text)
{
	autofd int fd = openat(j->from.daemon.share, name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static uint64_t lookup(struct fuse_client *c, uint64_t parent, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(c, parent, name, &e));
	return e.nodeid;
}

static struct fc_file open_file(struct fuse_client *c, uint64_t node, uint32_t flags)
{
	struct fuse_open_out out;

	OK(fc_open(c, node, flags, &out));
	return (struct fc_file){node, out.fh};
}

static struct fuse_lk_in lock(struct fc_file f, uint64_t owner, uint32_t type, uint32_t flags)
{
	return (struct fuse_lk_in){.fh = f.fh,
		.owner = owner,
		.lk = {.start = 10, .end = 19, .type = type, .pid = 7},
		.lk_flags = flags};
}

/* What a guest may have when it leaves. */
static void begin(struct journey *j, const char *const *args)
{
	struct fuse_open_out dir;
	struct fuse_lk_in lk;

	test_boot(&j->from, &(struct vm_config){.protocol = PROTOCOL}, args);
	assert_true(fe_has_protocol(&j->from.fe, VU_P_DEVICE_STATE));
	assert_int_equal(mkdirat(j->from.daemon.share, "dir", 0755), 0);
	host_write(j, "dir/file", "0123456789");
	host_write(j, "dir/other", "other");
	assert_int_equal(symlinkat("file", j->from.daemon.share, "dir/link"), 0);
	j->dir.node = lookup(at_from(j), FUSE_ROOT_ID, "dir");
	OK(fc_opendir(at_from(j), j->dir.node, &dir));
	j->dir.fh = dir.fh;
	j->file = open_file(at_from(j), lookup(at_from(j), j->dir.node, "file"), O_RDWR);
	j->moved = open_file(at_from(j), lookup(at_from(j), j->dir.node, "other"), O_RDONLY);
	j->link = lookup(at_from(j), j->dir.node, "link");
	OK(fc_rename(at_from(j), j->dir.node, "other", FUSE_ROOT_ID, "moved"));
	lk = lock(j->file, 1, F_WRLCK, 0);
	OK(fc_setlk(at_from(j), j->file.node, &lk));
	lk = lock(j->moved, 2, F_WRLCK, FUSE_LK_FLOCK);
	lk.lk.start = 0;
	lk.lk.end = FC_OFFSET_MAX;
	OK(fc_setlk(at_from(j), j->moved.node, &lk));
}

/* The other machine up to where a state can be loaded, with the share of @share. */
static void prepare(struct vm *vm, const char *share, const char *const *args)
{
	struct vm_config cfg = {.protocol = PROTOCOL, .features = VM_FEATURES};
	struct spawn_config spawn = {.share = share, .args = args};

	cfg.features |= test_packed() ? VU_BIT(VU_F_RING_PACKED) : 0;
	vm_configure(vm, &cfg);
	OK(spawn_start(&vm->daemon, &spawn, &vm->err));
	OK(vm_connect(vm));
	OK(vm_make_memory(vm));
	OK(vm_make_queues(vm));
}

static void travel(struct journey *j, const char *const *args)
{
	journey_leave(j, &j->from);
	prepare(&j->to, j->from.daemon.share_path, args);
	OK(state_load(&j->to, j->state, j->len));
	OK(vm_start(&j->to));
}

static void expect_data(struct fuse_client *c, struct fc_file f, const char *text)
{
	char buf[64];

	assert_int_equal(fc_read(c, f, buf, sizeof(buf), 0), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

/* All that begin() made. */
static void expect_whole(struct journey *j, struct fuse_client *c)
{
	struct fuse_lk_in mine = lock(j->file, 1, F_UNLCK, 0), his = lock(j->file, 3, F_WRLCK, 0);
	struct fuse_file_lock seen;
	char buf[4096];

	OK(fc_getlk(c, j->file.node, &his, &seen));
	assert_int_equal(seen.type, F_WRLCK);
	assert_int_equal(seen.start, 10);
	assert_int_equal(seen.pid, 7);
	expect_data(c, j->file, "0123456789");
	assert_int_equal(fc_write(c, j->file, "abc", 3, 0), 3);
	expect_data(c, j->file, "abc3456789");
	expect_data(c, j->moved, "other");
	assert_int_equal(fc_readlink(c, j->link, buf, sizeof(buf)), 4);
	assert_true(fc_readdir(c, j->dir, buf, sizeof(buf), 0) > 0);
	assert_int_equal(lookup(c, j->dir.node, "file"), j->file.node);
	assert_int_equal(lookup(c, FUSE_ROOT_ID, "moved"), j->moved.node);
	OK(fc_setlk(c, j->file.node, &mine));
	OK(fc_setlk(c, j->file.node, &his));
	OK(fc_release(c, j->file));
	OK(fc_releasedir(c, j->dir));
}

static void goes_on_elsewhere(void **state)
{
	struct journey *j = *state;
	struct fuse_attr_out attr;

	begin(j, NULL);
	travel(j, NULL);
	expect_whole(j, at_to(j));
	/* Lookups came along: two by now, the first daemon's and ours. */
	OK(fc_forget(at_to(j), j->file.node, 1));
	OK(fc_getattr(at_to(j), j->file.node, 0, &attr));
	OK(fc_forget(at_to(j), j->file.node, 1));
	ERR(fc_getattr(at_to(j), j->file.node, 0, &attr), ESTALE);
	/* New names get nodeids of their own. */
	assert_int_not_equal(lookup(at_to(j), j->dir.node, "file"), j->file.node);
}

/* The host gives the lock to one of the two, never to both. */
static void locks_change_hands(void **state)
{
	struct journey *j = *state;
	autofd int host = -1;

	begin(j, NULL);
	host = openat(j->from.daemon.share, "moved", O_RDONLY);
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), -1);
	journey_leave(j, &j->from);
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(flock(host, LOCK_UN), 0);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	OK(state_load(&j->to, j->state, j->len));
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), -1);
}

/* The front-end thinks again: the first daemon takes the locks back. */
static void goes_on_here(void **state)
{
	struct journey *j = *state;
	autofd int host = -1;

	begin(j, NULL);
	host = openat(j->from.daemon.share, "moved", O_RDONLY);
	journey_leave(j, &j->from);
	journey_start_again(j);
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), -1);
	expect_whole(j, at_from(j));
}

/* The process that wrote the state dies: the next one knows no better than that the guest is still here. */
static void goes_on_with_another(void **state)
{
	struct journey *j = *state;
	autofd int host = -1;
	struct worker w;

	begin(j, NULL);
	if (!worker_find(&w, &j->from.daemon))
		skip();
	host = openat(j->from.daemon.share, "moved", O_RDONLY);
	journey_leave(j, &j->from);
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(flock(host, LOCK_UN), 0);
	OK(worker_kill(&w, SIGKILL));
	journey_start_again(j);
	assert_int_equal(flock(host, LOCK_SH | LOCK_NB), -1);
	expect_whole(j, at_from(j));
}

/* The process that reads it dies: what it had read is nobody's. */
static void reader_dies(void **state)
{
	struct journey *j = *state;
	struct worker w;
	int p[2];

	begin(j, NULL);
	journey_leave(j, &j->from);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	if (!worker_find(&w, &j->to.daemon))
		skip();
	assert_int_equal(pipe(p), 0);
	OK(fe_set_device_state(&j->to.fe, VU_STATE_LOAD, p[0]));
	assert_int_equal(write(p[1], j->state, j->len - 20), j->len - 20);
	OK(worker_kill(&w, SIGKILL));
	ERR(fe_check_device_state(&j->to.fe), EREMOTEIO);
	close(p[0]);
	close(p[1]);
	vm_disconnect(&j->to);
	test_come_back(&j->to);
	journey_start_again(j);
	expect_whole(j, at_from(j));
}

/* The process that writes it dies in the middle: what came of it is told as no good. */
static void writer_dies(void **state)
{
	struct journey *j = *state;
	struct worker w;
	char name[16];
	int p[2];

	begin(j, NULL);
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		host_write(j, name, "");
		lookup(at_from(j), FUSE_ROOT_ID, name);
	}
	if (!worker_find(&w, &j->from.daemon))
		skip();
	journey_stop(j, &j->from);
	assert_int_equal(pipe(p), 0);
	assert_true(fcntl(p[1], F_SETPIPE_SZ, 4096) >= 0);
	OK(fe_set_device_state(&j->from.fe, VU_STATE_SAVE, p[1]));
	close(p[1]);
	assert_int_equal(read(p[0], name, sizeof(name)), sizeof(name));
	OK(worker_kill(&w, SIGKILL));
	ERR(fe_check_device_state(&j->from.fe), EREMOTEIO);
	close(p[0]);
	journey_start_again(j);
	expect_whole(j, at_from(j));
}

static void again_and_again(void **state)
{
	struct journey *j = *state;
	struct vm third;

	begin(j, NULL);
	travel(j, NULL);
	journey_leave(j, &j->to);
	prepare(&third, j->from.daemon.share_path, NULL);
	OK(state_load(&third, j->state, j->len));
	OK(vm_start(&third));
	expect_whole(j, &third.client[1]);
	test_end(&third);
}

#define MANY 300

/* Goes on reading at *pos until @enough entries of "many" were seen, and notes which. */
static void read_some(
	struct fuse_client *c, struct fc_file dir, uint64_t *pos, uint8_t *seen, unsigned int enough)
{
	char buf[1024];
	ssize_t n = 1;

	for (unsigned int count = 0; n > 0 && count < enough;) {
		n = fc_readdir(c, dir, buf, sizeof(buf), *pos);
		assert_true(n >= 0);
		for (ssize_t at = 0; at < n;) {
			const struct fuse_dirent *d = (const void *)(buf + at);
			char name[32] = "";
			unsigned int k;

			memcpy(name, d->name, MIN(d->namelen, sizeof(name) - 1));
			if (sscanf(name, "entry%u", &k) == 1 && k < MANY)
				seen[k]++;
			count++;
			*pos = d->off;
			at += (ssize_t)FUSE_DIRENT_ALIGN(sizeof(*d) + d->namelen);
		}
	}
}

/* A directory is read here, there, and here again, where the handle is another file of the host's by now. */
static void there_and_back(void **state)
{
	uint8_t seen[MANY] = {0}, twice[MANY] = {0};
	struct journey *j = *state;
	struct fuse_open_out out;
	struct fc_file dir, whole;
	uint64_t pos = 0, end = 0;
	char name[32];

	begin(j, NULL);
	assert_int_equal(mkdirat(j->from.daemon.share, "many", 0755), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many/entry%u", i);
		assert_int_equal(mknodat(j->from.daemon.share, name, S_IFREG | 0644, 0), 0);
	}
	dir.node = lookup(at_from(j), FUSE_ROOT_ID, "many");
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "entry%u", i);
		lookup(at_from(j), dir.node, name);
	}
	OK(fc_opendir(at_from(j), dir.node, &out));
	dir.fh = out.fh;
	read_some(at_from(j), dir, &pos, seen, 100);
	OK(fc_opendir(at_from(j), dir.node, &out));
	whole = (struct fc_file){dir.node, out.fh};
	read_some(at_from(j), whole, &end, twice, MANY + 2);
	travel(j, NULL);
	read_some(at_to(j), dir, &pos, seen, 100);
	journey_leave(j, &j->to);
	vm_disconnect(&j->from);
	OK(vm_connect(&j->from));
	OK(vm_make_memory(&j->from));
	OK(vm_make_queues(&j->from));
	OK(state_load(&j->from, j->state, j->len));
	OK(vm_start(&j->from));
	read_some(at_from(j), dir, &pos, seen, MANY);
	read_some(at_from(j), whole, &end, twice, 1);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(seen[i], 1);
		assert_int_equal(twice[i], 1);
	}
	expect_whole(j, at_from(j));
}

/* Dirty logging announces it; paths change after that. */
static void renamed_meanwhile(void **state)
{
	struct journey *j = *state;
	struct fuse_attr_out attr;

	begin(j, NULL);
	OK(fe_set_features(&j->from.fe, j->from.fe.features | VU_BIT(VU_F_LOG_ALL)));
	OK(fc_rename(at_from(j), FUSE_ROOT_ID, "dir", FUSE_ROOT_ID, "elsewhere"));
	travel(j, NULL);
	expect_data(at_to(j), j->file, "0123456789");
	OK(fc_getattr(at_to(j), j->link, 0, &attr));
	assert_int_equal(lookup(at_to(j), FUSE_ROOT_ID, "elsewhere"), j->dir.node);
}

/* By the host, and after the paths were gathered: only a second look finds that. */
static void confirmed(void **state)
{
	static const char *const args[] = {"--migration-confirm-paths", NULL};
	struct journey *j = *state;

	begin(j, args);
	OK(fe_set_features(&j->from.fe, j->from.fe.features | VU_BIT(VU_F_LOG_ALL)));
	journey_leave(j, &j->from);
	assert_int_equal(renameat(j->from.daemon.share, "dir", j->from.daemon.share, "elsewhere"), 0);
	OK(journey_save(j, &j->from));
	prepare(&j->to, j->from.daemon.share_path, NULL);
	OK(state_load(&j->to, j->state, j->len));
}

/* The name by which the guest knows a file goes; it has another, which no cache tells. */
static void searched(void **state)
{
	struct journey *j = *state;

	begin(j, NULL);
	assert_int_equal(mkdirat(j->from.daemon.share, "deep", 0755), 0);
	assert_int_equal(linkat(j->from.daemon.share, "dir/file", j->from.daemon.share, "deep/hard", 0), 0);
	assert_int_equal(unlinkat(j->from.daemon.share, "dir/file", 0), 0);
	travel(j, NULL);
	expect_data(at_to(j), j->file, "0123456789");
	assert_int_equal(lookup(at_to(j), lookup(at_to(j), FUSE_ROOT_ID, "deep"), "hard"), j->file.node);
}

static void copy_file(int from, int to, const char *name)
{
	char buf[64];
	autofd int in = openat(from, name, O_RDONLY);
	autofd int out = openat(to, name, O_CREAT | O_WRONLY, 0644);
	ssize_t n = read(in, buf, sizeof(buf));

	assert_true(n > 0);
	assert_int_equal(write(out, buf, (size_t)n), n);
}

/* An open file that was removed has its data on the other side, too. */
static void nameless(void **state)
{
	struct journey *j = *state;
	struct fuse_attr_out before, after;
	struct fc_file f;

	begin(j, NULL);
	host_write(j, "nameless", "text without a name");
	f = open_file(at_from(j), lookup(at_from(j), FUSE_ROOT_ID, "nameless"), O_RDWR);
	OK(fc_unlink(at_from(j), FUSE_ROOT_ID, "nameless"));
	OK(fc_getattr(at_from(j), f.node, f.fh, &before));
	travel(j, NULL);
	test_end(&j->from);
	expect_data(at_to(j), f, "text without a name");
	OK(fc_getattr(at_to(j), f.node, f.fh, &after));
	assert_int_equal(after.attr.mtime, before.attr.mtime);
	assert_int_equal(after.attr.mode, before.attr.mode);
	assert_int_equal(fc_write(at_to(j), f, "more", 4, 0), 4);
	OK(fc_release(at_to(j), f));
}

/* A copy of the directory, elsewhere. */
static void to_a_copy(void **state)
{
	struct journey *j = *state;

	begin(j, NULL);
	journey_leave(j, &j->from);
	prepare(&j->to, NULL, NULL);
	assert_int_equal(mkdirat(j->to.daemon.share, "dir", 0755), 0);
	assert_int_equal(symlinkat("file", j->to.daemon.share, "dir/link"), 0);
	copy_file(j->from.daemon.share, j->to.daemon.share, "dir/file");
	copy_file(j->from.daemon.share, j->to.daemon.share, "moved");
	OK(state_load(&j->to, j->state, j->len));
	OK(vm_start(&j->to));
	expect_whole(j, at_to(j));
}

static void abort_if_missing(void **state)
{
	struct journey *j = *state;

	begin(j, NULL);
	journey_leave(j, &j->from);
	assert_int_equal(renameat(j->from.daemon.share, "moved", j->from.daemon.share, "hidden"), 0);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	ERR(state_load(&j->to, j->state, j->len), EREMOTEIO);
	/* Nothing is left of it there, and the guest goes on here. */
	OK(vm_start(&j->to));
	OK(vm_mount(&j->to));
	journey_start_again(j);
	assert_int_equal(renameat(j->from.daemon.share, "hidden", j->from.daemon.share, "moved"), 0);
	expect_whole(j, at_from(j));
}

static void guest_error_if_missing(void **state)
{
	static const char *const args[] = {"--migration-on-error=guest-error", NULL};
	struct journey *j = *state;
	struct fuse_attr_out attr;
	char byte;

	begin(j, NULL);
	journey_leave(j, &j->from);
	assert_int_equal(unlinkat(j->from.daemon.share, "moved", 0), 0);
	prepare(&j->to, j->from.daemon.share_path, args);
	OK(state_load(&j->to, j->state, j->len));
	OK(vm_start(&j->to));
	ERR(fc_getattr(at_to(j), j->moved.node, 0, &attr), ESTALE);
	assert_true(fc_read(at_to(j), j->moved, &byte, 1, 0) < 0);
	expect_data(at_to(j), j->file, "0123456789");
}

static void need_file_handles(void)
{
	if (getenv("OLD_KERNEL_PROGRAM")) /* tests/fault/old_kernel.c: it has none */
		skip();
}

/* By file handle a file is found wherever it went beneath the share, and not beside it. */
static void by_file_handle(void **state)
{
	static const char *const args[] = {"--migration-mode=file-handles", NULL};
	struct journey *j = *state;
	char outside[320];

	need_file_handles();
	begin(j, args);
	journey_leave(j, &j->from);
	assert_int_equal(renameat(j->from.daemon.share, "dir", j->from.daemon.share, "renamed"), 0);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	OK(state_load(&j->to, j->state, j->len));
	snprintf(outside, sizeof(outside), "%s/outside", j->from.daemon.dir);
	assert_int_equal(renameat(j->from.daemon.share, "moved", AT_FDCWD, outside), 0);
	test_end(&j->to);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	ERR(state_load(&j->to, j->state, j->len), EREMOTEIO);
}

static void handles_verified(void **state)
{
	static const char *const args[] = {"--migration-verify-handles", NULL};
	struct journey *j = *state;

	need_file_handles();
	begin(j, args);
	journey_leave(j, &j->from);
	prepare(&j->to, j->from.daemon.share_path, NULL);
	OK(state_load(&j->to, j->state, j->len));
	test_end(&j->to);
	assert_int_equal(renameat(j->from.daemon.share, "moved", j->from.daemon.share, "was"), 0);
	host_write(j, "moved", "other");
	prepare(&j->to, j->from.daemon.share_path, NULL);
	ERR(state_load(&j->to, j->state, j->len), EREMOTEIO);
}

/* Nobody asked for it: another file of the same name will do. */
static void handles_not_verified(void **state)
{
	struct journey *j = *state;

	begin(j, NULL);
	journey_leave(j, &j->from);
	assert_int_equal(renameat(j->from.daemon.share, "moved", j->from.daemon.share, "was"), 0);
	host_write(j, "moved", "other");
	prepare(&j->to, j->from.daemon.share_path, NULL);
	OK(state_load(&j->to, j->state, j->len));
	OK(vm_start(&j->to));
	expect_data(at_to(j), j->moved, "other");
}

/* Cut at each place, and each byte another one: refused, and the next state is taken. */
static void damaged(void **state)
{
	static const char *const args[] = {"--max-inodes=1024", "--max-handles=1024", NULL};
	static uint8_t bad[JOURNEY_ROOM];
	struct journey *j = *state;

	begin(j, NULL);
	journey_leave(j, &j->from);
	prepare(&j->to, j->from.daemon.share_path, args);
	for (size_t at = 0; at < j->len; at += 1 + at % 3)
		ERR(state_load(&j->to, j->state, at), EREMOTEIO);
	for (size_t at = 0; at < j->len; at++) {
		memcpy(bad, j->state, j->len);
		bad[at] ^= (uint8_t)(1 + at % 255);
		ERR(state_load(&j->to, bad, j->len), EREMOTEIO);
	}
	memcpy(bad, j->state, j->len);
	ERR(state_load(&j->to, bad, j->len + 1), EREMOTEIO);
	OK(state_load(&j->to, j->state, j->len));
	OK(vm_start(&j->to));
	expect_data(at_to(j), j->file, "0123456789");
	journey_start_again(j);
	expect_data(at_from(j), j->file, "0123456789");
}

/* The options of the second do not allow what the guest uses. */
static void other_options(void **state)
{
	static const char *const args[] = {"--no-posix-lock", NULL};
	struct journey *j = *state;

	begin(j, NULL);
	journey_leave(j, &j->from);
	prepare(&j->to, j->from.daemon.share_path, args);
	ERR(state_load(&j->to, j->state, j->len), EREMOTEIO);
}

static void out_of_turn(void **state)
{
	struct journey *j = *state;
	int p[2];

	begin(j, NULL);
	ERR(fe_check_device_state(&j->from.fe), EREMOTEIO);
	ERR(journey_save(j, &j->from), EREMOTEIO); /* rings run */
	journey_stop(j, &j->from);
	assert_int_equal(pipe(p), 0);
	ERR(fe_set_device_state(&j->from.fe, 2, p[1]), EREMOTEIO);
	ERR(state_load(&j->from, j->state, 0), EREMOTEIO);
	/* Nobody closes, and nobody reads: the end is told all the same. */
	OK(fe_set_device_state(&j->from.fe, VU_STATE_LOAD, p[0]));
	ERR(fe_set_device_state(&j->from.fe, VU_STATE_LOAD, p[0]), EREMOTEIO);
	ERR(fe_check_device_state(&j->from.fe), EREMOTEIO);
	close(p[0]);
	close(p[1]);
	journey_start_again(j);
}

/* The front-end goes in the middle. */
static void left_alone(void **state)
{
	struct journey *j = *state;
	int p[2];

	begin(j, NULL);
	journey_stop(j, &j->from);
	assert_int_equal(pipe(p), 0);
	OK(fe_set_device_state(&j->from.fe, VU_STATE_LOAD, p[0]));
	vm_disconnect(&j->from);
	test_come_back(&j->from);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNEY(goes_on_elsewhere),
		JOURNEY(locks_change_hands),
		JOURNEY(goes_on_here),
		JOURNEY(goes_on_with_another),
		JOURNEY(reader_dies),
		JOURNEY(writer_dies),
		JOURNEY(again_and_again),
		JOURNEY(there_and_back),
		JOURNEY(renamed_meanwhile),
		JOURNEY(confirmed),
		JOURNEY(searched),
		JOURNEY(nameless),
		JOURNEY(to_a_copy),
		JOURNEY(abort_if_missing),
		JOURNEY(guest_error_if_missing),
		JOURNEY(by_file_handle),
		JOURNEY(handles_verified),
		JOURNEY(handles_not_verified),
		JOURNEY(damaged),
		JOURNEY(other_options),
		JOURNEY(out_of_turn),
		JOURNEY(left_alone),
	};

	signal(SIGPIPE,
		SIG_IGN); /* the daemon may have had enough of a state before we have written it all */
	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
