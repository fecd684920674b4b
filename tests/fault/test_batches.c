/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many system calls a queue makes for many requests that are there at once: those of the file system, and
 * what it takes to sleep and to call the guest. Exactly, and whatever the machine does meanwhile: the
 * requests are made available behind one kick, to a thread that sleeps.
 */
#include "test.h"
#include "tracer.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define DEPTH	  16
#define BATCH	  4 /* the default of --tune=call-batch */
#define BLOCK	  4096u
#define COPY	  (512u * 1024)
#define SETTLE_US 10000
#define TRIES	  3

/* What the guest asks of the device while the requests are under way. */
enum calls {
	CALLS_NONE, /* none: it looks itself */
	CALLS_ONE,  /* EVENT_IDX: one, with the first that is used */
	CALLS_ALL,  /* without EVENT_IDX: one with each, as far as the device goes along */
};

struct batch {
	struct vm *vm;
	struct fuse_client *c;
	struct inject in;
	struct fc_file file;
	struct fc_op op[DEPTH];
	union {
		struct fuse_getattr_in getattr;
		struct fuse_setattr_in setattr;
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_forget_in forget;
	} arg[DEPTH];
	char name[DEPTH][8];
	uint64_t node[DEPTH];
	uint8_t data[BLOCK];
};

/* With --poll=0: how long a look in vain lasts is the machine's affair. */
static void begin_with(struct batch *b, struct vm *vm, const struct vm_config *cfg, const char *const *args)
{
	struct fuse_open_out o = {0};
	struct fuse_entry_out e;
	struct err err;

	test_boot(vm, cfg, args);
	*b = (struct batch){.vm = vm, .c = &vm->client[1]};
	for (unsigned int i = 0; i < DEPTH; i++) {
		snprintf(b->name[i], sizeof(b->name[i]), "f%u", i);
		host_write_file(vm->daemon.share, b->name[i], b->data, sizeof(b->data));
	}
	host_write_file(vm->daemon.share, "data", b->data, sizeof(b->data));
	OK(fc_lookup(b->c, FUSE_ROOT_ID, "data", &e));
	if (cfg->init_flags)
		ERR(fc_open(b->c, e.nodeid, O_RDWR, &o), ENOSYS);
	else
		OK(fc_open(b->c, e.nodeid, O_RDWR, &o));
	b->file = (struct fc_file){e.nodeid, o.fh};
	LEN(fc_write(b->c, b->file, b->data, BLOCK, 0), BLOCK); /* the thread finds out who it is */
	if (inject_attach(&b->in, spawn_server_pid(&vm->daemon), &err))
		fail_msg("%s", err.text);
	usleep(SETTLE_US);
}

static void begin(struct batch *b, struct vm *vm, uint64_t without, const char *option)
{
	const char *const args[] = {"--poll=0", option, NULL};
	const struct vm_config cfg = {.client = {.depth = DEPTH}, .features = VM_FEATURES & ~without};

	begin_with(b, vm, &cfg, args);
}

static void end(struct batch *b)
{
	inject_detach(&b->in);
	test_end(b->vm);
}

static void make_getattr(struct batch *b, unsigned int i)
{
	b->op[i] = (struct fc_op){.opcode = FUSE_GETATTR, .node = b->file.node, .nargs = 1};
	b->arg[i].getattr = (struct fuse_getattr_in){0};
	b->op[i].arg[0] = (struct iovec){&b->arg[i].getattr, sizeof(b->arg[i].getattr)};
	b->op[i].reply_len = sizeof(struct fuse_attr_out);
}

static void make_chmod(struct batch *b, unsigned int i)
{
	b->op[i] = (struct fc_op){.opcode = FUSE_SETATTR, .node = b->file.node, .nargs = 1};
	b->arg[i].setattr = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = S_IFREG | 0644};
	b->op[i].arg[0] = (struct iovec){&b->arg[i].setattr, sizeof(b->arg[i].setattr)};
	b->op[i].reply_len = sizeof(struct fuse_attr_out);
}

static void make_lookup(struct batch *b, unsigned int i)
{
	b->op[i] = (struct fc_op){.opcode = FUSE_LOOKUP, .node = FUSE_ROOT_ID, .nargs = 1};
	b->op[i].arg[0] = (struct iovec){b->name[i], strlen(b->name[i]) + 1};
	b->op[i].reply_len = sizeof(struct fuse_entry_out);
}

static void make_read(struct batch *b, unsigned int i)
{
	fc_op_read(&b->op[i], &b->arg[i].read, b->file, BLOCK, 0);
}

static void make_write(struct batch *b, unsigned int i)
{
	fc_op_write(&b->op[i], &b->arg[i].write, b->file, BLOCK, 0);
	b->op[i].data = b->data;
}

/* All of them behind one kick; returns when each has its reply and the thread sleeps again. */
static void run(struct batch *b, void (*make)(struct batch *, unsigned int), enum calls calls)
{
	struct fc_op *op;
	int64_t until = test_ms() + TEST_PATIENCE_MS;

	if (calls == CALLS_NONE)
		drv_no_call(b->c->q);
	else
		drv_want_call(b->c->q);
	drv_hold(b->c->q); /* or the daemon might think that a kick was lost */
	for (unsigned int i = 0; i < DEPTH; i++) {
		make(b, i);
		OK(fc_start_quietly(b->c, &b->op[i]));
	}
	drv_release(b->c->q);
	drv_kick(b->c->q);
	while (b->c->in_flight && test_ms() < until) {
		if (!fc_reap(b->c, &op, 0)) {
			usleep(100);
			continue;
		}
		OK(op->error);
	}
	assert_int_equal(b->c->in_flight, 0);
}

/*
 * Whether so many calls were made since count_from_here(); if not, in the last try, the test fails. Where the
 * machine is so busy that the watch thinks a request asleep, another thread goes on, which costs some.
 */
static bool expect(struct batch *b, const char *what, unsigned int want, unsigned int try)
{
	struct inject_report r;
	char text[512] = "";
	size_t n = 0;
	int64_t until = test_ms() + TEST_PATIENCE_MS;

	while (atomic_load(&b->in.shared->count) < want && test_ms() < until)
		usleep(1000);
	usleep(SETTLE_US); /* one too many would come now */
	inject_disarm(&b->in, &r);
	for (unsigned int i = 0; i < MIN(r.count, INJECT_CALLS) && n < sizeof(text) - 32; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", inject_call_name(r.call[i]));
	if (r.count != want && try + 1 == TRIES)
		fail_msg("%s: %u system calls, not %u:%s", what, r.count, want, text);
	return r.count == want;
}

static void count_from_here(struct batch *b)
{
	inject_arm(&b->in, &(struct inject_plan){.scope = INJECT_QUEUE});
}

/* Of each kind 16: a system call each, a sleep, and @more to call the guest. */
static void expect_each(struct batch *b, enum calls calls, unsigned int more)
{
	static const struct {
		const char *name;
		void (*make)(struct batch *, unsigned int);
	} kind[] = {{"GETATTR", make_getattr}, {"READ", make_read}, {"WRITE", make_write},
		{"LOOKUP, known", make_lookup}};

	run(b, make_lookup, CALLS_NONE); /* now they are known, and known ones are expected */
	run(b, make_lookup, CALLS_NONE);
	usleep(SETTLE_US);
	for (unsigned int i = 0, try = 0; i < ARRAY_LEN(kind); i++, try = 0) {
		do {
			count_from_here(b);
			run(b, kind[i].make, calls);
		} while (!expect(b, kind[i].name, DEPTH + 1 + more, try++));
	}
}

static void no_calls(void **state)
{
	struct batch b;

	begin(&b, *state, 0, NULL);
	expect_each(&b, CALLS_NONE, 0);
	end(&b);
}

static void one_call(void **state)
{
	struct batch b;

	begin(&b, *state, 0, NULL);
	expect_each(&b, CALLS_ONE, 1);
	end(&b);
}

static void call_of_each(void **state)
{
	struct batch b;

	begin(&b, *state, VU_BIT(VU_F_EVENT_IDX), NULL);
	expect_each(&b, CALLS_ALL, DEPTH / BATCH);
	end(&b);
}

static void call_of_each_at_once(void **state)
{
	struct batch b;

	begin(&b, *state, VU_BIT(VU_F_EVENT_IDX), "--tune=call-batch=1");
	expect_each(&b, CALLS_ALL, DEPTH);
	end(&b);
}

/* What changes something, too, unless it is known to take long. */
static void expect_changes(struct vm *vm, const char *option, unsigned int more)
{
	struct batch b;
	unsigned int try = 0;

	begin(&b, vm, VU_BIT(VU_F_EVENT_IDX), option);
	do {
		count_from_here(&b);
		run(&b, make_chmod, CALLS_ALL);
	} while (!expect(&b, "SETATTR", 2 * DEPTH + 1 + more, try++));
	end(&b);
}

static void call_of_changes(void **state)
{
	expect_changes(*state, "--tune=brief=1000000", DEPTH / BATCH);
	expect_changes(*state, "--tune=brief=0", DEPTH);
}

/* A guest that sends no OPEN. */
static void opens_nothing(void **state)
{
	static const char *const args[] = {
		"--poll=0", "--zero-message-open", "--cache=always", "--no-posix-lock", "--no-flock", NULL};
	const struct vm_config cfg = {
		.client = {.depth = DEPTH}, .init_flags = VM_INIT_FLAGS | FUSE_NO_OPEN_SUPPORT};
	struct batch b;
	unsigned int try = 0;

	begin_with(&b, *state, &cfg, args);
	run(&b, make_read, CALLS_NONE); /* two of them open the file */
	usleep(SETTLE_US);
	do {
		count_from_here(&b);
		run(&b, make_read, CALLS_NONE);
	} while (!expect(&b, "READ", DEPTH + 1, try++));
	end(&b);
}

static void new_names(void **state)
{
	struct batch b;
	unsigned int try = 0;

	begin(&b, *state, 0, NULL);
	do {
		for (unsigned int i = 0; i < DEPTH; i++) {
			snprintf(b.name[i], sizeof(b.name[i]), "%u.%u", try % 10, i % 100);
			host_write_file(b.vm->daemon.share, b.name[i], b.data, 1);
		}
		count_from_here(&b);
		run(&b, make_lookup, CALLS_NONE);
	} while (!expect(&b, "LOOKUP, new", 2 * DEPTH + 1, try++));
	end(&b);
}

static void make_forget(struct batch *b, unsigned int i, uint64_t node)
{
	b->op[i] = (struct fc_op){.opcode = FUSE_FORGET, .node = node, .nargs = 1, .no_reply = true};
	b->arg[i].forget = (struct fuse_forget_in){.nlookup = 1};
	b->op[i].arg[0] = (struct iovec){&b->arg[i].forget, sizeof(b->arg[i].forget)};
}

/* FORGETs on the high-priority queue, and one request, whose kick is the only one. */
static void run_forgets(struct batch *b)
{
	struct fuse_client *hip = &b->vm->client[0];
	struct fc_op get;
	struct fc_op *op;
	int64_t until = test_ms() + 5000;

	drv_no_call(hip->q);
	drv_no_call(b->c->q);
	drv_hold(hip->q);
	for (unsigned int i = 0; i < DEPTH; i++) {
		make_forget(b, i, b->node[i]);
		OK(fc_start_quietly(hip, &b->op[i]));
	}
	get = (struct fc_op){.opcode = FUSE_GETATTR, .node = b->file.node, .nargs = 1};
	get.arg[0] = (struct iovec){&(struct fuse_getattr_in){0}, sizeof(struct fuse_getattr_in)};
	get.reply_len = sizeof(struct fuse_attr_out);
	drv_release(hip->q);
	OK(fc_start(b->c, &get));
	while ((hip->in_flight || b->c->in_flight) && test_ms() < until)
		if (!fc_reap(hip, &op, 0) && !fc_reap(b->c, &op, 0))
			usleep(100);
	assert_int_equal(hip->in_flight + b->c->in_flight, 0);
}

/* The thread that handled the request did them too: GETATTR's call, and one sleep. */
static void forgets(void **state)
{
	struct batch b;
	unsigned int try = 0;

	begin(&b, *state, 0, NULL);
	for (unsigned int times = 0; times < 2 + TRIES; times++)
		for (unsigned int i = 0; i < DEPTH; i++) {
			struct fuse_entry_out e;

			OK(fc_lookup(b.c, FUSE_ROOT_ID, b.name[i], &e));
			b.node[i] = e.nodeid;
		}
	OK(fc_forget(&b.vm->client[0], b.node[0], 1)); /* the first one of a ring is called for in any case */
	usleep(SETTLE_US);
	do {
		count_from_here(&b);
		run_forgets(&b);
	} while (!expect(&b, "FORGET", 2, try++));
	end(&b);
}

/* What @of says of each entry of a directory that /proc has of the process that serves, added up. */
static unsigned long sum(
	const struct vm *vm, const char *name, unsigned long (*of)(int dir, const char *entry))
{
	unsigned long n = 0;
	struct dirent *e;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/%s", spawn_server_pid(&vm->daemon), name);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' ? of(dirfd(d), e->d_name) : 0;
	closedir(d);
	return n;
}

static unsigned long one(int dir, const char *entry)
{
	(void)dir;
	(void)entry;
	return 1;
}

static unsigned long threads(const struct vm *vm)
{
	return sum(vm, "task", one);
}

static void expect_readers(struct vm *vm, const char *option, bool several)
{
	const char *const args[] = {"--poll=0", option, NULL};
	const struct vm_config cfg = {.client = {.depth = 4, .max_data = COPY}};
	struct fuse_read_in arg[4];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fc_op op[4];
	unsigned long before;

	test_boot(vm, &cfg, args);
	host_write_file(vm->daemon.share, "data", "data", 4);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "data", &e));
	OK(fc_open(&vm->client[1], e.nodeid, O_RDONLY, &o));
	before = threads(vm);
	drv_hold(vm->client[1].q);
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		fc_op_read(&op[i], &arg[i], (struct fc_file){e.nodeid, o.fh}, COPY, 0);
		OK(fc_start_quietly(&vm->client[1], &op[i]));
	}
	drv_release(vm->client[1].q);
	drv_kick(vm->client[1].q);
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++)
		LEN(fc_wait(&vm->client[1], &op[i]), 4);
	assert_int_equal(threads(vm) > before, several);
	test_end(vm);
}

/* Where there are CPUs, more than one thread reads for a queue when there is much. */
static void copies(void **state)
{
	cpu_set_t set;

	OK(sched_getaffinity(0, sizeof(set), &set));
	expect_readers(*state, NULL, CPU_COUNT(&set) > 1);
	expect_readers(*state, "--tune=copy-share=0", false);
}

static unsigned long is_removed(int dir, const char *entry)
{
	char to[512];
	ssize_t len = readlinkat(dir, entry, to, sizeof(to) - 1);

	to[MAX(len, 0)] = '\0';
	return strstr(to, "/removed (deleted)") != NULL;
}

/* Descriptors of files that have no name any more. */
static unsigned long nameless(const struct vm *vm)
{
	return sum(vm, "fd", is_removed);
}

/* Whether there are more threads when the guest has forgotten files that it removed. */
static bool gets_closer(struct vm *vm, const char *option)
{
	const char *const args[] = {"--poll=0", option, NULL};
	const struct vm_config cfg = {.client = {.depth = 1}};
	static const char data[COPY];
	unsigned long before;
	bool more;

	test_boot(vm, &cfg, args);
	before = threads(vm);
	for (unsigned int i = 0; i < DEPTH; i++) {
		int64_t until = test_ms() + 5000;
		struct fuse_entry_out e;

		host_write_file(vm->daemon.share, "removed", data, sizeof(data));
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "removed", &e));
		OK(fc_unlink(&vm->client[1], FUSE_ROOT_ID, "removed"));
		assert_int_equal(nameless(vm), 1);
		OK(fc_forget(&vm->client[0], e.nodeid, 1));
		while (nameless(vm) && test_ms() < until)
			usleep(100);
		assert_int_equal(nameless(vm), 0);
	}
	more = threads(vm) > before;
	test_end(vm);
	return more;
}

/* A removed file's blocks are freed as its last descriptor is closed: no queue's thread does that for long.
 * The watch may have made a thread, too, as the machine was busy. */
static void removed_files(void **state)
{
	unsigned int try = 0;

	assert_true(gets_closer(*state, "--tune=close-long=1"));
	while (gets_closer(*state, "--tune=close-long=0"))
		assert_true(try++ < TRIES);
}

static unsigned long switches_of(int dir, const char *entry)
{
	autofd int task = openat(dir, entry, O_RDONLY | O_DIRECTORY);
	autofd int fd = openat(task, "status", O_RDONLY);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "r");
	unsigned long n = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "ctxt_switches:"))
			n += strtoul(strchr(line, ':') + 1, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* How often the daemon's threads have gone to sleep, or were made to. */
static unsigned long switches(const struct vm *vm)
{
	return sum(vm, "task", switches_of);
}

/* With polling as it is by default: soon after the last request no thread of it runs any more. */
static void idle(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out a;
	unsigned long before;
	int64_t until;

	if (TEST_SANITIZED) /* the sanitizer's runtime has a thread that never rests */
		skip();

	test_boot(vm, NULL, NULL);
	for (unsigned int i = 0; i < 1000; i++)
		OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &a));
	until = test_ms() + 10000;
	do {
		before = switches(vm);
		usleep(200000);
	} while (switches(vm) != before && test_ms() < until);
	assert_true(before > 0);
	assert_int_equal(switches(vm), before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(no_calls),
		TEST_OWN(one_call),
		TEST_OWN(call_of_each),
		TEST_OWN(call_of_each_at_once),
		TEST_OWN(call_of_changes),
		TEST_OWN(new_names),
		TEST_OWN(forgets),
		TEST_OWN(opens_nothing),
		TEST_OWN(removed_files),
		TEST_OWN(copies),
		TEST_OWN(idle),
	};
	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
