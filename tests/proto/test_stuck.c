/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host calls that take long where nobody expects it. A lease that a host process holds stands for whatever
 * hangs: who opens the file sleeps in the kernel until it is given back.
 */
#include "test.h"

#include <signal.h>
#include <sys/wait.h>

/* A file on the host with a lease, so that opening it to write, or at all, waits. */
static int lease(int dir, const char *name, int type)
{
	int fd;

	host_write_file(dir, name, "leased", 6);
	fd = openat(dir, name, (type == F_WRLCK ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	assert_true(fd >= 0);
	signal(SIGIO, SIG_IGN); /* somebody wants it back: let him */
	assert_int_equal(fcntl(fd, F_SETLEASE, type), 0);
	return fd;
}

/* File f@i of a directory that is @host to us and @dir to the guest: leased, and looked up. Its holder. */
static int leased_file(struct fuse_client *c, int host, uint64_t dir, unsigned int i, uint64_t *node)
{
	struct fuse_entry_out e;
	char name[8];
	int fd;

	snprintf(name, sizeof(name), "f%u", i);
	fd = lease(host, name, F_WRLCK);
	OK(fc_lookup(c, dir, name, &e));
	*node = e.nodeid;
	return fd;
}

struct opening {
	struct fc_op op;
	struct fuse_open_in in;
	struct fuse_open_out out;
};

static void start_open(struct fuse_client *c, struct opening *o, uint64_t node)
{
	*o = (struct opening){.in = {.flags = O_RDWR}};
	o->op = (struct fc_op){.opcode = FUSE_OPEN,
		.node = node,
		.arg = {{&o->in, sizeof(o->in)}},
		.nargs = 1,
		.reply = &o->out,
		.reply_len = sizeof(o->out)};
	OK(fc_start(c, &o->op));
}

static void open_waits_alone(struct test *t, int type)
{
	autofd int holder = lease(t->host, "f", type);
	uint64_t node = guest_lookup(t, "f");
	struct fuse_attr_out a;
	struct opening o;

	start_open(t->c, &o, node);
	for (int i = 0; i < 100; i++)
		OK(fc_getattr(t->c, FUSE_ROOT_ID, 0, &a));
	assert_false(o.op.done);
	assert_int_equal(fcntl(holder, F_SETLEASE, F_UNLCK), 0);
	LEN(fc_wait(t->c, &o.op), sizeof(o.out));
	OK(fc_release(t->c, (struct fc_file){node, o.out.fh}));
}

static void open_of_what_is_read(void **state)
{
	open_waits_alone(*state, F_RDLCK);
}

static void open_of_what_is_written(void **state)
{
	open_waits_alone(*state, F_WRLCK);
}

/* One after the other, more than once: each time somebody else goes on. */
static void several_at_once(void **state)
{
	struct test *t = *state;
	struct opening o[4];
	uint64_t node[4];
	int holder[4];

	for (unsigned int i = 0; i < 4; i++) {
		holder[i] = leased_file(t->c, t->host, t->dir, i, &node[i]);
		start_open(t->c, &o[i], node[i]);
	}
	OK(fc_mkdir(t->c, t->dir, "beside", 0755, &(struct fuse_entry_out){0}));
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(fcntl(holder[i], F_SETLEASE, F_UNLCK), 0);
		LEN(fc_wait(t->c, &o[i].op), sizeof(o[i].out));
		OK(fc_release(t->c, (struct fc_file){node[i], o[i].out.fh}));
		close(holder[i]);
	}
}

static struct fuse_lk_in lock_of(struct fc_file f, uint64_t owner)
{
	struct fuse_lk_in in = {.fh = f.fh, .owner = owner};

	in.lk = (struct fuse_file_lock){.end = 99, .type = F_WRLCK, .pid = 1};
	return in;
}

/*
 * The high-priority queue is looked after by a thread that may hang: INTERRUPT gets through all the same,
 * also if there is no other thread left to take that one's place.
 */
static void interrupt_passes(struct vm *vm, const char *option, unsigned int hang)
{
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fc_created made;
	struct fuse_lk_in held, wanted;
	struct opening o[2];
	struct fc_op op;
	int holder[2];

	test_boot(vm, NULL, (const char *[]){option, NULL});
	OK(fc_create(c, FUSE_ROOT_ID, "locked", &in, &made));
	struct fc_file f = {made.entry.nodeid, made.open.fh};
	held = lock_of(f, 1);
	wanted = lock_of(f, 2);
	OK(fc_setlk(c, f.node, &held));
	OK(fc_setlkw_start(c, f.node, &wanted, &op));
	for (unsigned int i = 0; i < hang; i++) {
		uint64_t node;

		holder[i] = leased_file(c, vm->daemon.share, FUSE_ROOT_ID, i, &node);
		start_open(c, &o[i], node);
	}
	for (unsigned int i = 0; i < 3; i++)
		OK(fc_forget(&vm->client[0], f.node, 0));
	OK(fc_interrupt(&vm->client[0], op.unique));
	for (unsigned int i = 0; i < hang; i++)
		assert_false(o[i].op.done);
	ERR(fc_wait(c, &op), EINTR);
	for (unsigned int i = 0; i < hang; i++) {
		assert_int_equal(fcntl(holder[i], F_SETLEASE, F_UNLCK), 0);
		LEN(fc_wait(c, &o[i].op), sizeof(o[i].out));
		close(holder[i]);
	}
	test_end(vm);
}

static void interrupt_while_one_hangs(void **state)
{
	interrupt_passes(*state, NULL, 1);
}

static void interrupt_while_all_hang(void **state)
{
	interrupt_passes(*state, "--thread-pool-size=2", 2);
}

/*
 * Large READs are shared out among threads, and once there is one for each CPU nobody leads while they copy.
 * If none of them comes back, somebody else goes on all the same. The files are opened by the READs, since
 * the guest opens none.
 */
static void large_reads_hang(void **state)
{
	enum { READS = 4, LARGE = 512 * 1024 };
	const struct vm_config cfg = {.client = {.depth = READS + 1, .max_data = LARGE},
		.init_flags = VM_INIT_FLAGS | FUSE_NO_OPEN_SUPPORT};
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_read_in in[READS];
	struct fc_op op[READS];
	int holder[READS];

	test_boot(vm, &cfg,
		(const char *[]){
			"--zero-message-open", "--cache=always", "--no-posix-lock", "--no-flock", NULL});
	for (unsigned int i = 0; i < READS; i++) {
		uint64_t node;

		holder[i] = leased_file(c, vm->daemon.share, FUSE_ROOT_ID, i, &node);
		fc_op_read(&op[i], &in[i], (struct fc_file){node, 0}, LARGE, 0);
	}
	drv_hold(c->q);
	for (unsigned int i = 0; i < READS; i++)
		OK(fc_start_quietly(c, &op[i]));
	drv_release(c->q);
	drv_kick(c->q);
	OK(fc_getattr(c, FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	for (unsigned int i = 0; i < READS; i++) {
		assert_false(op[i].done);
		assert_int_equal(fcntl(holder[i], F_SETLEASE, F_UNLCK), 0);
		LEN(fc_wait(c, &op[i]), 6);
		close(holder[i]);
	}
	test_end(vm);
}

/* The daemon ends though a call of its does not, with a failure. */
static void end_under(struct vm *vm, bool stopping)
{
	struct vu_vring_state s = {.index = 1};
	struct vu_header h = {VU_GET_VRING_BASE, VU_VERSION, sizeof(s)};
	struct fuse_entry_out e;
	struct opening o;
	int status;

	autofd int holder = lease(vm->daemon.share, "f", F_WRLCK);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "f", &e));
	start_open(&vm->client[1], &o, e.nodeid);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	if (stopping)
		OK(fe_send(&vm->fe, &h, &s, NULL, 0));
	assert_int_equal(kill(vm->daemon.pid, SIGTERM), 0);
	OK(spawn_wait(&vm->daemon, 20000, &status));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_false(host_exists(vm->daemon.share, "../socket"));
	assert_false(host_exists(vm->daemon.share, "../socket.pid"));
	assert_int_equal(fcntl(holder, F_SETLEASE, F_UNLCK), 0);
	memset(vm->started, 0, sizeof(vm->started));
}

static void ends_all_the_same(void **state)
{
	test_boot(*state, NULL, NULL);
	end_under(*state, false);
}

static void ends_while_a_queue_stops(void **state)
{
	test_boot(*state, NULL, (const char *[]){"--sandbox=none", NULL});
	end_under(*state, true);
}

int main(void)
{
	static const struct CMUnitTest shared[] = {
		TEST(open_of_what_is_read),
		TEST(open_of_what_is_written),
		TEST(several_at_once),
	};
	static const struct CMUnitTest own[] = {
		TEST_OWN(interrupt_while_one_hangs),
		TEST_OWN(interrupt_while_all_hang),
		TEST_OWN(large_reads_hang),
		TEST_OWN(ends_all_the_same),
		TEST_OWN(ends_while_a_queue_stops),
	};
	int failed = TEST_RUN(shared, TEST_SPLIT | TEST_PACKED | TEST_DIRECT, NULL, NULL);

	return failed + TEST_RUN_OWN(own, TEST_SPLIT);
}
