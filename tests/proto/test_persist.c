/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end that is cut off and comes back with the same guest: what was in flight is answered once, what
 * the guest had is there. One that keeps the records of what is in flight (INFLIGHT_SHMFD), and one that does
 * not.
 */
#include "test.h"

#include "worker.h"

#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	ROUNDS = 40,
	OPS = 8,
	PIECE = 4096,
	LINE = 16,
	BRIEFLY = 50, /* ms in which something that must not happen could have */
};

static const char *const persistent[] = {"--persistent", NULL};

static struct guest {
	struct vm *vm;
	struct fuse_client *c;
	bool keeps; /* the front-end keeps the records */
	struct vu_inflight inflight;
	int records;
	uint64_t owner; /* of locks, so far */
} guest;

/* What a front-end says once it is connected. */
static void start(struct guest *g)
{
	struct vm *vm = g->vm;

	OK(fe_set_features(&vm->fe, vm->fe.features));
	if (g->keeps && g->records < 0) {
		g->inflight = (struct vu_inflight){
			.queues = (uint16_t)vm->queues, .queue_size = (uint16_t)vm->cfg.size};
		OK(fe_get_inflight(&vm->fe, &g->inflight, &g->records));
	}
	if (g->keeps)
		OK(fe_set_inflight(&vm->fe, &g->inflight, g->records));
	OK(vm_start(vm));
}

static struct guest *boot(void **state, bool keeps, const char *const *args)
{
	struct guest *g = &guest;
	struct vm_config cfg = {.features = VM_FEATURES | (test_packed() ? VU_BIT(VU_F_RING_PACKED) : 0),
		.protocol = VM_PROTOCOL | (keeps ? VU_BIT(VU_P_INFLIGHT_SHMFD) : 0),
		.client = {.depth = 2 * OPS, .max_data = 65536},
		.size = 256};

	*g = (struct guest){.vm = *state, .keeps = keeps, .records = -1};
	vm_configure(g->vm, &cfg);
	OK(spawn_start(&g->vm->daemon, &(struct spawn_config){.args = args}, &g->vm->err));
	OK(vm_connect(g->vm));
	OK(vm_make_memory(g->vm));
	OK(vm_make_queues(g->vm));
	start(g);
	OK(vm_mount(g->vm));
	g->c = &g->vm->client[1];
	return g;
}

static void end(struct guest *g)
{
	cleanup_fd(&g->records);
	test_end(g->vm);
}

static void cut(struct guest *g)
{
	fe_close(&g->vm->fe);
	memset(g->vm->started, 0, sizeof(g->vm->started));
}

/*
 * What a front-end believes that knows no more than the guest's memory: what was used, or what is available.
 * Of a packed ring, where its driver is, who must have seen all that was used.
 */
static uint32_t believed_base(const struct drv_queue *q, bool used)
{
	const struct vring_used *u = q->used;
	const struct vring_avail *a = q->avail;

	if (q->cfg.packed)
		return (q->used_idx | (uint32_t)q->used_wrap << 15) * 0x10001u;
	return used ? u->idx : a->idx;
}

static void come_back(struct guest *g)
{
	static bool used;

	used = !used;
	OK(vm_connect(g->vm));
	for (unsigned int i = 0; i < g->vm->queues; i++)
		g->vm->queue[i].cfg.base = believed_base(&g->vm->queue[i], used);
	start(g);
}

/* The next one comes once the last is really gone. */
static void await_gone(struct guest *g)
{
	cut(g);
	OK(vm_connect(g->vm));
	cut(g);
}

static struct fc_file make_file(struct guest *g, const char *name, uint32_t flags)
{
	struct fuse_create_in in = {.flags = flags | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
	struct fc_created made;

	OK(fc_create(g->c, FUSE_ROOT_ID, name, &in, &made));
	return (struct fc_file){made.entry.nodeid, made.open.fh};
}

static struct fuse_lk_in lock_of(struct fc_file f, uint64_t owner, uint32_t type)
{
	return (struct fuse_lk_in){.fh = f.fh,
		.owner = owner,
		.lk = {.start = 0, .end = FC_OFFSET_MAX, .type = type, .pid = (uint32_t)owner}};
}

/* One holds a lock, another one waits for it. */
struct waiting {
	struct fc_file f;
	struct fuse_lk_in held, wanted;
	struct fc_op op;
};

static void begin_wait(struct guest *g, struct waiting *w, const char *name)
{
	struct fuse_attr_out attr;

	w->f = make_file(g, name, O_RDWR);
	w->held = lock_of(w->f, ++g->owner, F_WRLCK);
	w->wanted = lock_of(w->f, ++g->owner, F_WRLCK);
	OK(fc_setlk(g->c, w->f.node, &w->held));
	OK(fc_setlkw_start(g->c, w->f.node, &w->wanted, &w->op));
	OK(fc_getattr(g->c, w->f.node, 0, &attr));
}

/* It waits still, gets the lock when it is given back, and then has it. */
static void end_wait(struct guest *g, struct waiting *w)
{
	struct fuse_lk_in other = lock_of(w->f, ++g->owner, F_WRLCK);

	fc_reap(g->c, NULL, BRIEFLY);
	assert_false(w->op.done);
	w->held.lk.type = F_UNLCK;
	OK(fc_setlk(g->c, w->f.node, &w->held));
	OK(fc_wait(g->c, &w->op));
	ERR(fc_setlk(g->c, w->f.node, &other), EAGAIN);
	OK(fc_flush(g->c, w->f, w->wanted.owner));
	OK(fc_setlk(g->c, w->f.node, &other));
	OK(fc_flush(g->c, w->f, other.owner));
	OK(fc_release(g->c, w->f));
}

static bool host_can_lock(const struct guest *g, const char *name)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	autofd int fd = openat(g->vm->daemon.share, name, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return !fcntl(fd, F_OFD_SETLK, &l);
}

static bool host_comes_to_lock(const struct guest *g, const char *name)
{
	for (int i = 0; i < 5000 && !host_can_lock(g, name); i++)
		poll(NULL, 0, 1);
	return host_can_lock(g, name);
}

/* Work of all kinds, of which some is always in flight when the connection goes. */
struct work {
	struct fc_file data, lines, nameless;
	struct fc_op op[OPS];
	unsigned int n;
	char name[OPS][2][16];
	char piece[2][PIECE], line[2][LINE + 1];
	union {
		struct fuse_write_in write;
		struct fuse_mkdir_in mkdir;
		struct fuse_create_in create;
		struct fuse_rename_in rename;
	} in[OPS];
	struct fuse_entry_out made;
	struct fc_created created;
	struct fuse_write_out written[OPS];
};

static struct fc_op *add_op(struct work *w, uint32_t opcode, size_t in)
{
	struct fc_op *op = &w->op[w->n];

	*op = (struct fc_op){.opcode = opcode, .node = FUSE_ROOT_ID};
	if (in)
		op->arg[op->nargs++] = (struct iovec){&w->in[w->n], in};
	w->n++;
	return op;
}

static void add_name(struct work *w, struct fc_op *op, unsigned int which, char letter, unsigned int number)
{
	char *name = w->name[op - w->op][which];
	int len = snprintf(name, sizeof(w->name[0][0]), "%c%u", letter, number);

	op->arg[op->nargs++] = (struct iovec){name, (size_t)len + 1};
}

static void add_write(struct work *w, struct fc_file f, const void *data, size_t len, uint64_t off)
{
	unsigned int i = w->n++;

	fc_op_write(&w->op[i], &w->in[i].write, f, len, off);
	w->op[i].data = data;
	w->op[i].data_len = len;
	w->op[i].reply = &w->written[i];
	w->op[i].reply_len = sizeof(w->written[i]);
}

/* d0, d1, ... are made, and become e0, e1, ... a round later; f0, f1, ... are made and removed a round later.
 */
static void add_names(struct work *w, unsigned int round)
{
	struct fc_op *op = add_op(w, FUSE_MKDIR, sizeof(struct fuse_mkdir_in));

	w->in[op - w->op].mkdir = (struct fuse_mkdir_in){.mode = 0755};
	add_name(w, op, 0, 'd', round);
	op->reply = &w->made;
	op->reply_len = sizeof(w->made);
	op = add_op(w, FUSE_CREATE, sizeof(struct fuse_create_in));
	w->in[op - w->op].create =
		(struct fuse_create_in){.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
	add_name(w, op, 0, 'f', round);
	op->reply = &w->created;
	op->reply_len = sizeof(w->created);
	if (!round)
		return;
	op = add_op(w, FUSE_RENAME, sizeof(struct fuse_rename_in));
	w->in[op - w->op].rename = (struct fuse_rename_in){.newdir = FUSE_ROOT_ID};
	add_name(w, op, 0, 'd', round - 1);
	add_name(w, op, 1, 'e', round - 1);
	op = add_op(w, FUSE_UNLINK, 0);
	add_name(w, op, 0, 'f', round - 1);
}

static void start_round(struct guest *g, struct work *w, unsigned int round)
{
	w->n = 0;
	add_names(w, round);
	for (unsigned int i = 0; i < 2; i++) {
		test_pattern(w->piece[i], PIECE, 2 * round + i);
		snprintf(w->line[i], sizeof(w->line[i]), "%15u\n", 2 * round + i);
		add_write(w, i ? w->data : w->nameless, w->piece[i], PIECE, (uint64_t)round * PIECE);
		add_write(w, w->lines, w->line[i], LINE, 0);
		w->in[w->n - 1].write.flags = O_WRONLY | O_APPEND;
	}
	for (unsigned int i = 0; i < w->n; i++)
		OK(fc_start(g->c, &w->op[i]));
}

static void end_round(struct guest *g, struct work *w)
{
	for (unsigned int i = 0; i < w->n; i++) {
		ssize_t want = (ssize_t)w->op[i].reply_len;

		LEN(fc_wait(g->c, &w->op[i]), want);
	}
	for (unsigned int i = 0; i < w->n; i++)
		if (w->op[i].opcode == FUSE_WRITE)
			assert_int_equal(w->written[i].size, w->op[i].data_len);
	OK(fc_release(g->c, (struct fc_file){w->created.entry.nodeid, w->created.open.fh}));
}

/* The connection goes, whatever is on its way; perhaps the process that serves, too. */
static void cut_somehow(struct guest *g, struct worker *w, unsigned int how)
{
	static const char torn[5] = {VU_SET_VRING_BASE};
	bool dies = w->pid && !(how & 3);

	poll(NULL, 0, how & 4 ? 1 : 0);
	if (dies && how & 8)
		OK(kill(w->pid, SIGKILL));
	if (how & 16)
		send(g->vm->fe.sock, torn, sizeof(torn), MSG_NOSIGNAL);
	cut(g);
	if (dies && !(how & 8))
		OK(kill(w->pid, SIGKILL));
	if (dies)
		OK(worker_await_next(w, 5000));
	if (how & 32) {
		OK(vm_connect(g->vm));
		OK(fe_set_features(&g->vm->fe, g->vm->fe.features));
		cut(g);
	}
}

static void expect_lines(struct guest *g)
{
	static char seen[2 * ROUNDS * LINE + 1];
	bool had[2 * ROUNDS] = {false};

	LEN(host_stat(g->vm->daemon.share, "lines").st_size, 2 * ROUNDS * LINE);
	autofd int fd = openat(g->vm->daemon.share, "lines", O_RDONLY | O_CLOEXEC);
	LEN(read(fd, seen, sizeof(seen)), 2 * ROUNDS * LINE);
	for (unsigned int i = 0; i < 2 * ROUNDS; i++) {
		unsigned long n = strtoul(seen + (size_t)i * LINE, NULL, 10);

		assert_true(n < 2 * ROUNDS && !had[n]);
		had[n] = true;
	}
}

static void expect_data(struct guest *g, struct fc_file f, unsigned int seed)
{
	char want[PIECE], seen[PIECE];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		test_pattern(want, PIECE, 2 * round + seed);
		LEN(fc_read(g->c, f, seen, PIECE, (uint64_t)round * PIECE), PIECE);
		assert_memory_equal(seen, want, PIECE);
	}
}

static void expect_names(struct guest *g)
{
	char name[16];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		bool last = i == ROUNDS - 1;

		snprintf(name, sizeof(name), "d%u", i);
		assert_int_equal(host_exists(g->vm->daemon.share, name), last);
		snprintf(name, sizeof(name), "e%u", i);
		assert_int_equal(host_exists(g->vm->daemon.share, name), !last);
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(host_exists(g->vm->daemon.share, name), last);
	}
}

static void cuts(struct guest *g)
{
	static struct work w;
	struct waiting waiting;
	struct worker worker;
	uint32_t how = 1;

	if (!worker_find(&worker, &g->vm->daemon))
		worker.pid = 0;
	w.data = make_file(g, "data", O_RDWR);
	w.lines = make_file(g, "lines", O_WRONLY | O_APPEND);
	w.nameless = make_file(g, "nameless", O_RDWR);
	OK(fc_unlink(g->c, FUSE_ROOT_ID, "nameless"));
	begin_wait(g, &waiting, "lock");
	for (unsigned int round = 0; round < ROUNDS; round++) {
		how = how * 1103515245 + 12345;
		start_round(g, &w, round);
		cut_somehow(g, &worker, how >> 16);
		come_back(g);
		end_round(g, &w);
		assert_false(waiting.op.done);
	}
	end_wait(g, &waiting);
	expect_lines(g);
	expect_data(g, w.nameless, 0);
	expect_data(g, w.data, 1);
	expect_names(g);
	end(g);
}

static void random_cuts(void **state)
{
	cuts(boot(state, true, persistent));
}

/* Of a packed ring nobody else knows where it stood. */
static void random_cuts_without_records(void **state)
{
	if (test_packed())
		skip();
	cuts(boot(state, false, persistent));
}

/* Unless everything that was used has been seen. */
static void seen_without_records(void **state)
{
	struct guest *g = boot(state, false, persistent);
	struct waiting waiting;
	struct fuse_attr_out attr;

	begin_wait(g, &waiting, "lock");
	for (int i = 0; i < 300; i++)
		OK(fc_getattr(g->c, FUSE_ROOT_ID, 0, &attr));
	await_gone(g);
	come_back(g);
	OK(fc_getattr(g->c, FUSE_ROOT_ID, 0, &attr));
	await_gone(g);
	come_back(g);
	end_wait(g, &waiting);
	end(g);
}

/* Who comes in between, says other rings, and goes before they run, takes nothing along. */
static void others_in_between(void **state)
{
	struct guest *g = boot(state, false, persistent);
	struct waiting waiting;

	begin_wait(g, &waiting, "lock");
	cut(g);
	OK(vm_connect(g->vm));
	OK(fe_set_features(&g->vm->fe, g->vm->fe.features));
	for (unsigned int i = 0; i < g->vm->queues; i++) {
		const struct vu_vring_addr a = {
			.index = i, .desc = 0x10000, .avail = 0x20000, .used = 0x30000};

		OK(fe_set_vring(&g->vm->fe, VU_SET_VRING_NUM, i, 64));
		OK(fe_tell(&g->vm->fe, VU_SET_VRING_ADDR, &a, sizeof(a), -1));
	}
	cut(g);
	come_back(g);
	end_wait(g, &waiting);
	end(g);
}

/* True once the process that served has been replaced by the program as it is now. */
static bool replaced(const struct guest *g)
{
	struct worker w;

	if (!worker_find(&w, &g->vm->daemon))
		return true;
	assert_int_equal(kill(g->vm->daemon.pid, SIGUSR2), 0);
	for (int i = 0; i < 30000 && !kill(w.pid, 0); i++)
		poll(NULL, 0, 1);
	return kill(w.pid, 0);
}

/* The guest runs on while nobody is connected, and even the process that serves may die, or be replaced. */
static void nobody_there(void **state)
{
	struct guest *g = boot(state, true, persistent);
	struct waiting waiting, interrupted;
	struct fc_file f = make_file(g, "f", O_RDWR);
	struct worker w;
	struct fuse_mkdir_in in = {.mode = 0755};
	struct fuse_entry_out made;
	char buf[8] = "";
	struct fc_op op = {.opcode = FUSE_MKDIR,
		.node = FUSE_ROOT_ID,
		.arg = {{&in, sizeof(in)}, {(void *)(uintptr_t) "made", 5}},
		.nargs = 2,
		.reply = &made,
		.reply_len = sizeof(made)};

	LEN(fc_write(g->c, f, "content", 8, 0), 8);
	OK(fc_unlink(g->c, FUSE_ROOT_ID, "f"));
	begin_wait(g, &waiting, "lock");
	begin_wait(g, &interrupted, "other");
	await_gone(g);
	OK(fc_start(g->c, &op));
	for (int i = 0; i < 3 && worker_find(&w, &g->vm->daemon); i++)
		OK(worker_kill(&w, SIGKILL));
	assert_true(replaced(g));
	assert_false(host_can_lock(g, "lock"));
	assert_false(host_exists(g->vm->daemon.share, "made"));
	come_back(g);
	LEN(fc_wait(g->c, &op), sizeof(made));
	LEN(fc_read(g->c, f, buf, 8, 0), 8);
	assert_string_equal(buf, "content");
	OK(fc_interrupt(g->c, interrupted.op.unique));
	ERR(fc_wait(g->c, &interrupted.op), EINTR);
	end_wait(g, &waiting);
	end(g);
}

/* Who comes instead and mounts the share has nothing of it. */
static void another_guest(void **state)
{
	struct guest *g = boot(state, true, persistent);
	unsigned int fds = test_server_fds(g->vm);
	struct fuse_attr_out attr;
	struct waiting waiting;
	uint64_t node;

	begin_wait(g, &waiting, "lock");
	node = waiting.f.node;
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "file%d", i);
		make_file(g, name, O_RDWR);
	}
	await_gone(g);
	assert_false(host_can_lock(g, "lock"));
	vm_disconnect(g->vm);
	cleanup_fd(&g->records);
	g->records = -1;
	g->keeps = false;
	test_come_back(g->vm);
	assert_true(host_comes_to_lock(g, "lock"));
	ERR(fc_getattr(g->c, node, 0, &attr), ESTALE);
	assert_true(test_server_fds(g->vm) <= fds);
	end(g);
}

/* Without the option the session has ended: what is run again is told so, and the guest has to mount anew. */
static void ends_with_connection(void **state)
{
	struct guest *g = boot(state, true, NULL);
	struct waiting waiting;
	struct fuse_attr_out attr;
	char buf[8];

	begin_wait(g, &waiting, "lock");
	cut(g);
	assert_true(host_comes_to_lock(g, "lock"));
	come_back(g);
	ERR(fc_wait(g->c, &waiting.op), EIO);
	ERR(fc_getattr(g->c, FUSE_ROOT_ID, 0, &attr), EIO);
	OK(vm_mount(g->vm));
	OK(fc_getattr(g->c, FUSE_ROOT_ID, 0, &attr));
	ERR(fc_getattr(g->c, waiting.f.node, 0, &attr), ESTALE);
	ERR(fc_read(g->c, waiting.f, buf, sizeof(buf), 0), EBADF);
	end(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OWN(random_cuts),
		TEST_OWN(random_cuts_without_records),
		TEST_OWN(others_in_between),
		TEST_OWN(seen_without_records),
		TEST_OWN(nobody_there),
		TEST_OWN(another_guest),
		TEST_OWN(ends_with_connection),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
