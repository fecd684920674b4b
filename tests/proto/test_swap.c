/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process on the host (another guest's daemon, say) swaps directories and files for symlinks that lead out
 * of the share, while the guest walks, creates, opens and removes. Without a sandbox, where a link that is
 * followed would lead there.
 */
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define ROUNDS 700

struct swapper {
	pthread_t thread;
	int dir;
	const char *a, *b;
	atomic_bool end;
	unsigned int swaps;
};

static void *swap(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->end))
		s->swaps += !renameat2(s->dir, s->a, s->dir, s->b, RENAME_EXCHANGE);
	return NULL;
}

static void begin(struct swapper *s, int dir, const char *a, const char *b)
{
	*s = (struct swapper){.dir = dir, .a = a, .b = b};
	assert_int_equal(pthread_create(&s->thread, NULL, swap, s), 0);
}

static void end(struct swapper *s)
{
	atomic_store(&s->end, true);
	pthread_join(s->thread, NULL);
	assert_true(s->swaps > 10);
}

/* outside/ beside the share, with a secret in it. */
static int outside;

static void boot(struct vm *vm, const char *option)
{
	test_boot(vm, NULL, (const char *[]){"--sandbox=none", "--max-cached-fds=16", option, NULL});
	assert_int_equal(mkdirat(vm->daemon.share, "../outside", 0777), 0);
	outside = openat(vm->daemon.share, "../outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host_write_file(outside, "secret", "secret", 6);
	assert_int_equal(mkdirat(vm->daemon.share, "real", 0755), 0);
	assert_int_equal(symlinkat("../outside", vm->daemon.share, "link"), 0);
}

static void expect_untouched(void)
{
	DIR *d = fdopendir(dup(outside));
	unsigned int names = 0;

	assert_non_null(d);
	rewinddir(d);
	while (readdir(d))
		names++;
	closedir(d);
	assert_int_equal(names, 3);
	host_expect_file(outside, "secret", "secret", 6);
	close(outside);
}

/* What the guest does in what it takes for a directory; each time it may be the link. */
static void walk_once(struct fuse_client *c)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_TRUNC, .mode = 0644};
	struct fuse_entry_out dir, e;
	struct fc_created made;
	struct fuse_open_out o;

	if (fc_lookup(c, FUSE_ROOT_ID, "real", &dir))
		return;
	if (!fc_lookup(c, dir.nodeid, "secret", &e))
		fail_msg("the secret is found");
	if (!S_ISDIR(dir.attr.mode)) {
		assert_true(fc_opendir(c, dir.nodeid, &o) < 0);
		assert_true(fc_mkdir(c, dir.nodeid, "evil", 0755, &e) < 0);
		assert_true(fc_create(c, dir.nodeid, "evil", &in, &made) < 0);
	} else if (!fc_create(c, dir.nodeid, "mine", &in, &made)) {
		OK(fc_release(c, (struct fc_file){made.entry.nodeid, made.open.fh}));
		OK(fc_unlink(c, dir.nodeid, "mine"));
		OK(fc_forget(c, made.entry.nodeid, 1));
	}
	assert_true(fc_unlink(c, dir.nodeid, "secret") < 0);
	OK(fc_forget(c, dir.nodeid, 1));
}

static void walks(struct vm *vm, const char *option)
{
	struct swapper s;

	boot(vm, option);
	begin(&s, vm->daemon.share, "real", "link");
	for (unsigned int i = 0; i < ROUNDS; i++)
		walk_once(&vm->client[1]);
	end(&s);
	expect_untouched();
}

static void directory_for_link(void **state)
{
	walks(*state, "--inode-file-handles=prefer");
}

static void directory_for_link_without_handles(void **state)
{
	walks(*state, "--inode-file-handles=never");
}

/* Opening, cutting off and writing a name that is a file or a link to the secret. */
static void file_once(struct fuse_client *c)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_TRUNC, .mode = 0644};
	struct fc_created made;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char got[8] = "";

	if (!fc_create(c, FUSE_ROOT_ID, "f", &in, &made)) {
		fc_write(c, (struct fc_file){made.entry.nodeid, made.open.fh}, "harmless", 8, 0);
		OK(fc_release(c, (struct fc_file){made.entry.nodeid, made.open.fh}));
		OK(fc_forget(c, made.entry.nodeid, 1));
	}
	if (fc_lookup(c, FUSE_ROOT_ID, "f", &e))
		return;
	if (!fc_open(c, e.nodeid, O_RDWR, &o)) {
		fc_read(c, (struct fc_file){e.nodeid, o.fh}, got, 6, 0);
		assert_true(memcmp(got, "secret", 6) != 0);
		OK(fc_release(c, (struct fc_file){e.nodeid, o.fh}));
	}
	OK(fc_forget(c, e.nodeid, 1));
}

static void file_for_link(void **state)
{
	struct vm *vm = *state;
	struct swapper s;

	boot(vm, "--xattr");
	host_write_file(vm->daemon.share, "f", "mine", 4);
	assert_int_equal(symlinkat("../outside/secret", vm->daemon.share, "g"), 0);
	begin(&s, vm->daemon.share, "f", "g");
	for (unsigned int i = 0; i < ROUNDS; i++)
		file_once(&vm->client[1]);
	end(&s);
	expect_untouched();
}

/* Attributes of a file whose name becomes a link: by the inode, so nothing reaches what the link means. */
static void attributes_for_link(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_setattr_in in = {
		.valid = FATTR_MODE | FATTR_UID | FATTR_GID, .mode = 0777, .uid = 7, .gid = 7};
	struct stat before, after;
	struct swapper s;

	boot(vm, "--xattr");
	before = host_stat(outside, "secret");
	host_write_file(vm->daemon.share, "f", "mine", 4);
	assert_int_equal(symlinkat("../outside/secret", vm->daemon.share, "g"), 0);
	begin(&s, vm->daemon.share, "f", "g");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct fuse_attr_out out;
		struct fuse_entry_out e;

		if (fc_lookup(c, FUSE_ROOT_ID, "f", &e))
			continue;
		fc_setattr(c, e.nodeid, &in, &out);
		fc_setxattr(c, e.nodeid, "user.x", (struct iovec){(char *)(uintptr_t) "x", 1}, 0);
		OK(fc_forget(c, e.nodeid, 1));
	}
	end(&s);
	after = host_stat(outside, "secret");
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_true(after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		    after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
	expect_untouched();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(directory_for_link),
		TEST_OWN(directory_for_link_without_handles),
		TEST_OWN(file_for_link),
		TEST_OWN(attributes_for_link),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
