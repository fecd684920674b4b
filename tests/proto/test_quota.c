/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A share on a file system where a user has a quota: that user gets EDQUOT, nobody else notices, and there is
 * room again when he has removed something. The file system is mounted already, with quotas on, at
 * QUOTA_DIR, from the device QUOTA_DEVICE (tests/guest/quota.sh).
 */
#include "test.h"

#include <stdlib.h>
#include <sys/quota.h>
#include <sys/vfs.h>
#include <unistd.h>

#define USER  4711u
#define OTHER 4712u
#define LIMIT (1u << 20) /* bytes */
#define FILES 20u
#define PIECE 65536u

static struct vm vm;
static struct fuse_client *c;

static void limit(uint32_t user)
{
	struct dqblk d = {.dqb_bhardlimit = LIMIT / 1024, .dqb_ihardlimit = FILES, .dqb_valid = QIF_LIMITS};

	assert_int_equal(
		quotactl(QCMD(Q_SETQUOTA, USRQUOTA), getenv("QUOTA_DEVICE"), (int)user, (void *)&d), 0);
}

static void become(uint32_t user)
{
	c->uid = c->gid = user;
}

static int create(const char *name, struct fc_file *f)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_EXCL, .mode = 0600};
	struct fc_created made;
	int r = fc_create(c, FUSE_ROOT_ID, name, &in, &made);

	*f = (struct fc_file){made.entry.nodeid, made.open.fh};
	return r;
}

/* Writes piece after piece; the error that ends it, and how much went. */
static int fill(struct fc_file f, uint64_t *done)
{
	static char data[PIECE];
	ssize_t r = 1;

	for (*done = 0; r > 0 && *done<8 * LIMIT; *done += r> 0 ? (uint64_t)r : 0)
		r = fc_write(c, f, data, sizeof(data), *done);
	return r < 0 ? (int)r : 0;
}

static void bytes(void **state)
{
	static char data[PIECE] = "and its contents";
	struct fc_file mine, others, daemons;
	struct stat st;
	uint64_t done;

	(void)state;
	become(USER);
	OK(create("mine", &mine));
	ERR(fill(mine, &done), EDQUOT);
	assert_true(done > LIMIT / 2 && done <= LIMIT);
	ERR(fc_fallocate(c, mine, 0, 2 * LIMIT, 0), EDQUOT);

	become(OTHER);
	OK(create("others", &others));
	LEN(fc_write(c, others, data, sizeof(data), 0), sizeof(data));
	become(0);
	OK(create("roots", &daemons));
	OK(fill(daemons, &done));
	assert_int_equal(done, 8 * LIMIT);

	/* What the user has stays whole, and what he gives back is his. */
	become(USER);
	st = host_stat(vm.daemon.share, "mine");
	assert_int_equal(st.st_uid, USER);
	LEN(fc_write(c, mine, data, 16, 0), 16);
	OK(fc_setattr(c, mine.node, &(struct fuse_setattr_in){.valid = FATTR_SIZE, .size = PIECE},
		&(struct fuse_attr_out){0}));
	LEN(fc_write(c, mine, data, sizeof(data), PIECE), sizeof(data));
	host_expect_file(vm.daemon.share, "others", data, sizeof(data));
}

static void names(void **state)
{
	struct fuse_entry_out first = {0}, e;
	struct fc_file f;
	char name[16];
	int r = 0;

	(void)state;
	become(USER);
	for (unsigned int i = 0; i < 2 * FILES && !r; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		r = fc_mkdir(c, FUSE_ROOT_ID, name, 0755, i ? &e : &first);
	}
	ERR(r, EDQUOT);
	ERR(create("one-more", &f), EDQUOT);
	ERR(fc_symlink(c, FUSE_ROOT_ID, "target", "link", &e), EDQUOT);
	assert_false(host_exists(vm.daemon.share, "one-more"));
	become(OTHER);
	OK(fc_mkdir(c, FUSE_ROOT_ID, "another", 0755, &e));
	become(USER);
	OK(fc_rmdir(c, FUSE_ROOT_ID, "d0"));
	OK(fc_forget(c, first.nodeid, 1));
	OK(fc_mkdir(c, FUSE_ROOT_ID, "d0", 0755, &e));
}

static int set_up(void **state)
{
	(void)state;
	limit(USER);
	assert_int_equal(chmod(getenv("QUOTA_DIR"), 01777), 0);
	vm_configure(&vm, &(struct vm_config){0});
	test_boot_spawn(&vm, NULL, &(struct spawn_config){.share = getenv("QUOTA_DIR")});
	close(vm.daemon.share);
	vm.daemon.share = open(getenv("QUOTA_DIR"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c = &vm.client[1];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	test_end(&vm);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(names),
	};

	if (!getenv("QUOTA_DIR") || !getenv("QUOTA_DEVICE"))
		return 77;
	alarm(TEST_MOST_SECONDS);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
