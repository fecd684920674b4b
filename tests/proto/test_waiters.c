/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Migration of requests that wait for locks: they stay in the rings without an answer, and whoever goes on
 * with the rings answers them, once. And of what somebody makes up about such requests.
 */
#include "journey.h"

#include "base/stream.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define PROTOCOL (VM_PROTOCOL | VU_BIT(VU_P_DEVICE_STATE))

static struct fuse_client *at_from(struct journey *j)
{
	return &j->from.client[1];
}

static struct fc_file make_file(struct journey *j, const char *name)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0644};
	struct fc_created made;

	OK(fc_create(at_from(j), FUSE_ROOT_ID, name, &in, &made));
	return (struct fc_file){made.entry.nodeid, made.open.fh};
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

static struct fuse_lk_in flock_of(struct fc_file f, uint64_t owner, uint32_t type)
{
	struct fuse_lk_in lk = lock(f, owner, type, FUSE_LK_FLOCK);

	lk.lk.start = 0;
	lk.lk.end = FC_OFFSET_MAX;
	return lk;
}

static void begin(struct journey *j, const char *const *args)
{
	struct fuse_lk_in lk;

	test_boot(&j->from, &(struct vm_config){.protocol = PROTOCOL}, args);
	j->file = make_file(j, "file");
	j->moved = make_file(j, "moved");
	lk = lock(j->file, 1, F_WRLCK, 0);
	OK(fc_setlk(at_from(j), j->file.node, &lk));
	lk = flock_of(j->moved, 2, F_WRLCK);
	OK(fc_setlk(at_from(j), j->moved.node, &lk));
}

/* Two who wait for locks. */
struct waiters {
	struct fc_file other;
	struct fuse_lk_in record, flock;
	struct fc_op record_op, flock_op;
};

static void begin_waits(struct journey *j, struct waiters *w)
{
	struct fuse_attr_out attr;

	w->other = open_file(at_from(j), j->moved.node, O_RDONLY);
	w->record = lock(j->file, 5, F_WRLCK, 0);
	w->flock = flock_of(w->other, 6, F_WRLCK);
	OK(fc_setlkw_start(at_from(j), j->file.node, &w->record, &w->record_op));
	OK(fc_getattr(at_from(j), j->file.node, 0, &attr));
	OK(fc_setlkw_start(at_from(j), w->other.node, &w->flock, &w->flock_op));
	for (unsigned int i = 0; i < 20; i++)
		OK(fc_getattr(at_from(j), j->file.node, 0, &attr));
}

/* They wait still, and get what they wait for when it is given back. */
static void end_waits(struct journey *j, struct waiters *w)
{
	struct fuse_lk_in held = lock(j->file, 1, F_UNLCK, 0), other = lock(j->file, 7, F_WRLCK, 0);
	struct fuse_lk_in flock = w->flock;

	fc_reap(at_from(j), NULL, 50);
	assert_false(w->record_op.done || w->flock_op.done);
	OK(fc_setlk(at_from(j), j->file.node, &held));
	OK(fc_wait(at_from(j), &w->record_op));
	ERR(fc_setlk(at_from(j), j->file.node, &other), EAGAIN);
	assert_false(w->flock_op.done);
	flock.fh = j->moved.fh;
	flock.owner = 2;
	flock.lk.type = F_UNLCK;
	OK(fc_setlk(at_from(j), j->moved.node, &flock));
	OK(fc_wait(at_from(j), &w->flock_op));
	flock.lk.type = F_RDLCK;
	ERR(fc_setlk(at_from(j), j->moved.node, &flock), EAGAIN);
	OK(fc_flush(at_from(j), j->file, 5));
	OK(fc_setlk(at_from(j), j->file.node, &other));
}

/* The guest's memory, and with it the rings, are with the other daemon now. */
static void carry_memory(struct journey *j)
{
	struct frontend fe = j->from.fe;
	struct spawn daemon = j->from.daemon;

	j->from.fe = j->to.fe;
	j->from.daemon = j->to.daemon;
	j->to.fe = fe;
	j->to.daemon = daemon;
	for (unsigned int i = 0; i < j->from.queues; i++)
		j->from.queue[i].cfg.base = j->base[i];
	OK(vm_start(&j->from));
}

static void connect_other(struct journey *j, const char *share)
{
	struct vm_config cfg = {.protocol = PROTOCOL, .features = VM_FEATURES};
	struct spawn_config spawn = {.share = share};

	cfg.features |= test_packed() ? VU_BIT(VU_F_RING_PACKED) : 0;
	vm_configure(&j->to, &cfg);
	OK(spawn_start(&j->to.daemon, &spawn, &j->to.err));
	OK(vm_connect(&j->to));
}

/* With memory and rings of its own. */
static void prepare_other(struct journey *j)
{
	connect_other(j, j->from.daemon.share_path);
	OK(vm_make_memory(&j->to));
	OK(vm_make_queues(&j->to));
}

/* To a new daemon with the directory at @share. */
static void move_on(struct journey *j, const char *share)
{
	journey_leave(j, &j->from);
	connect_other(j, share);
	OK(state_load(&j->to, j->state, j->len));
	carry_memory(j);
}

static void waiters_move(void **state)
{
	struct journey *j = *state;
	struct waiters w;

	begin(j, NULL);
	begin_waits(j, &w);
	move_on(j, j->from.daemon.share_path);
	end_waits(j, &w);
}

/* Two of three daemons only have them in passing. */
static void waiters_move_on(void **state)
{
	struct journey *j = *state;
	struct fuse_attr_out attr;
	struct waiters w;
	struct vm first;

	begin(j, NULL);
	begin_waits(j, &w);
	move_on(j, j->from.daemon.share_path);
	OK(fc_getattr(at_from(j), j->file.node, 0, &attr));
	first = j->to;
	move_on(j, first.daemon.share_path);
	end_waits(j, &w);
	test_end(&first);
}

static void waiters_stay(void **state)
{
	struct journey *j = *state;
	struct waiters w;

	begin(j, NULL);
	begin_waits(j, &w);
	journey_leave(j, &j->from);
	journey_start_again(j);
	end_waits(j, &w);
}

#define STATE_MAGIC   0x74617453666f6c63ULL
#define STATE_VERSION 3

/* A state that was made up, with a checksum that is right: a session, and requests in flight. */
static size_t forge(uint8_t *state, const uint32_t head[4], size_t head_len, const void *bytes, size_t len)
{
	static struct stream s;
	struct stream_head h = {.magic = STATE_MAGIC, .version = STATE_VERSION};
	struct {
		uint32_t live, minor;
		uint64_t flags;
		uint32_t max_write, spare;
	} session = {.live = 1, .minor = 38, .max_write = 4096};
	struct iovec v[] = {{(void *)(uintptr_t)head, head_len}, {(void *)(uintptr_t)bytes, len}};
	autofd int fd = memfd_create("state", MFD_CLOEXEC), hurry = eventfd(0, EFD_CLOEXEC);
	struct err err;

	stream_start(&s, fd, hurry, &h);
	stream_put(&s, 1, &(struct iovec){&session, sizeof(session)}, 1);
	stream_put(&s, 2, v, 2);
	assert_int_equal(stream_finish(&s, &err), 0);
	return (size_t)pread(fd, state, JOURNEY_ROOM, 0);
}

/* Queue, size, packed or not, and what each ring is said to have in flight: refused, or found to be nonsense
 * by a ring that rests then. */
static void forged_flight(void **state)
{
	static const struct {
		uint32_t head[4];
		size_t head_len, len;
	} bad[] = {
		{{1, 64, 0}, 8, 0},
		{{65, 64, 0}, 16, 16},
		{{UINT32_MAX, 64, 0}, 16, 16},
		{{1, 0, 0}, 16, 16},
		{{1, 32769, 0}, 16, 16},
		{{1, 64, 2}, 16, 16},
		{{1, 64, 0}, 16, 16 + 64 * 16 + 1},
		{{64, 64, 0}, 16, 16},
	};
	static uint8_t bytes[8192], forged[JOURNEY_ROOM];
	struct journey *j = *state;

	begin(j, NULL);
	prepare_other(j);
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
		ERR(state_load(
			    &j->to, forged, forge(forged, bad[i].head, bad[i].head_len, bytes, bad[i].len)),
			EREMOTEIO);
	for (unsigned int round = 0; round < 6; round++) {
		const uint32_t head[4] = {1, 1024, test_packed()};
		const uint16_t is_of_ring[4] = {1, 1024};

		test_pattern(bytes, sizeof(bytes), round);
		memcpy(bytes + 8, is_of_ring, round % 2 ? 8 : 4);
		OK(state_load(&j->to, forged, forge(forged, head, sizeof(head), bytes, sizeof(bytes))));
		OK(vm_start(&j->to));
		OK(fe_ask_u64(&j->to.fe, VU_GET_FEATURES, &(uint64_t){0}));
		vm_disconnect(&j->to);
		OK(vm_connect(&j->to));
		OK(vm_make_memory(&j->to));
		OK(vm_make_queues(&j->to));
	}
	vm_disconnect(&j->to);
	test_come_back(&j->to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNEY(waiters_move),
		JOURNEY(waiters_move_on),
		JOURNEY(waiters_stay),
		JOURNEY(forged_flight),
	};

	signal(SIGPIPE,
		SIG_IGN); /* the daemon may have had enough of a state before we have written it all */
	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
