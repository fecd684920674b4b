/* SPDX-License-Identifier: BSD-3-Clause */
/* What the session promises beyond single requests: data in place, bounds, what answers carry, and threads.
 */
#include "fuse_fake.h"

#include "base/arith.h"
#include "fuse/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void start(struct guest *g)
{
	struct fuse_session_config cfg = guest_config();

	guest_open(g, &cfg);
	assert_int_equal(guest_init(g, FUSE_MINOR, UINT64_MAX, NULL), 0);
	fake_clear(&g->fs);
}

static void send_read(struct guest *g, uint32_t size, uint64_t off)
{
	struct fuse_read_in in = {.size = size, .offset = off};

	guest_begin(g, FUSE_READ, 7);
	guest_put_record(g, in);
	guest_send(g);
}

static void reads_fill_the_guests_pieces_in_place(void **state)
{
	static const unsigned int pieces[] = {0, 1, 7, 16, 17, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct guest g;

		start(&g);
		g.pout = pieces[i];
		g.room = 16 + 5000;
		send_read(&g, 5000, 3);
		assert_int_equal(g.nbody, 5000);
		for (size_t k = 0; k < g.nbody; k++)
			assert_int_equal(g.body[k], (uint8_t)(k + 3));
		guest_close(&g);
	}
}

static void reads_end_where_size_room_or_file_end(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	g.fs.file_size = 100;
	send_read(&g, 40, 0);
	assert_int_equal(g.nbody, 40);
	for (size_t i = 16 + 40; i < g.room; i++)
		assert_int_equal(g.out[i], 0xee);
	send_read(&g, 4096, 90);
	assert_int_equal(g.nbody, 10);
	send_read(&g, 4096, 100);
	assert_int_equal(g.nbody, 0);
	send_read(&g, UINT32_MAX, UINT64_MAX);
	assert_int_equal(g.reply.error, 0);
	assert_int_equal(g.nbody, 0);
	g.room = 16 + 20;
	send_read(&g, UINT32_MAX, 0);
	assert_int_equal(g.nbody, 20);
	g.room = 16;
	send_read(&g, 4096, 0);
	assert_int_equal(g.reply.error, 0);
	assert_int_equal(g.nbody, 0);
	guest_close(&g);
}

static void put_write(struct guest *g, uint32_t size, uint32_t sent)
{
	struct fuse_write_in in = {.size = size, .offset = 10};

	guest_begin(g, FUSE_WRITE, 7);
	guest_put_record(g, in);
	for (uint32_t i = 0; i < sent; i++)
		guest_put(g, &(uint8_t){(uint8_t)(i * 3)}, 1);
}

static uint32_t written(const struct guest *g)
{
	struct fuse_write_out out = {0};

	assert_int_equal(g->nbody, sizeof(out));
	memcpy(&out, g->body, sizeof(out));
	return out.size;
}

static void writes_take_the_guests_pieces_in_place(void **state)
{
	static const unsigned int pieces[] = {0, 1, 39, 80, 81, 4096};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct guest g;

		start(&g);
		g.pin = pieces[i];
		put_write(&g, 600, 700); /* what follows the data is not written */
		guest_send(&g);
		assert_int_equal(written(&g), 600);
		assert_int_equal(g.fs.nwritten, 600);
		for (size_t k = 0; k < g.fs.nwritten; k++)
			assert_int_equal(g.fs.written[k], (uint8_t)(k * 3));
		guest_close(&g);
	}
}

/* 3000 bytes in single pieces, with empty ones among them, are more than a system call takes: the file
 * system's part. */
static void long_vectors_come_whole(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	g.pin = 1;
	put_write(&g, 3000, 3000);
	guest_send(&g);
	assert_int_equal(written(&g), 3000);
	assert_true(g.fs.max_pieces >= 3000);
	assert_non_null(strstr(g.fs.log, "off=10 len=3000"));
	guest_close(&g);
}

static void writes_beyond_what_was_sent_or_agreed_are_refused(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	(void)state;
	cfg.max_write = 4096;
	guest_open(&g, &cfg);
	guest_init(&g, FUSE_MINOR, UINT64_MAX, NULL);
	fake_clear(&g.fs);
	put_write(&g, 101, 100);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	put_write(&g, UINT32_MAX, 100);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	put_write(&g, 4097, 5000);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	assert_string_equal(g.fs.log, "");
	put_write(&g, 4096, 4096);
	guest_send(&g);
	assert_int_equal(written(&g), 4096);
	put_write(&g, 0, 0);
	guest_send(&g);
	assert_int_equal(written(&g), 0);
	guest_close(&g);
}

static void an_entry_carries_all_attributes(void **state)
{
	struct fuse_entry_out e;
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_LOOKUP, 7);
	guest_put_string(&g, "n");
	guest_send(&g);
	memcpy(&e, g.body, sizeof(e));
	assert_int_equal(e.nodeid, FAKE_NODE);
	assert_int_equal(e.attr.ino, FAKE_NODE);
	assert_int_equal(e.attr.size, 12345);
	assert_int_equal(e.attr.blocks, 24);
	assert_int_equal((int64_t)e.attr.atime, -1);
	assert_int_equal(e.attr.atimensec, 1);
	assert_int_equal(e.attr.mtime, 2);
	assert_int_equal(e.attr.mtimensec, 3);
	assert_int_equal(e.attr.ctime, 4);
	assert_int_equal(e.attr.ctimensec, 5);
	assert_int_equal(e.attr.mode, S_IFREG | 0640);
	assert_int_equal(e.attr.nlink, 3);
	assert_int_equal(e.attr.uid, 1000);
	assert_int_equal(e.attr.gid, 1001);
	assert_int_equal(e.attr.rdev, 0x04512367);
	assert_int_equal(e.attr.blksize, 4096);
	assert_int_equal(e.attr.flags, FUSE_ATTR_SUBMOUNT);
	guest_close(&g);
}

static void statx_carries_the_birth_time(void **state)
{
	struct fuse_statx_in in = {.sx_mask = UINT32_MAX};
	struct fuse_statx_out out;
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_STATX, 7);
	guest_put_record(&g, in);
	guest_send(&g);
	memcpy(&out, g.body, sizeof(out));
	assert_int_equal(out.attr_valid, 1);
	assert_int_equal(out.stat.mask, STATX_BASIC_STATS | STATX_BTIME);
	assert_int_equal(out.stat.btime.tv_sec, 6);
	assert_int_equal(out.stat.btime.tv_nsec, 7);
	assert_int_equal(out.stat.ino, 7);
	assert_int_equal(out.stat.rdev_major, 0x123);
	assert_int_equal(out.stat.attributes, STATX_ATTR_APPEND); /* not which mount the host has there */
	assert_int_equal(out.stat.dev_major, 0);
	guest_close(&g);
}

static void statfs_and_locks_are_translated(void **state)
{
	struct fuse_lk_in in = {.lk = {1, 2, F_WRLCK, 3}};
	struct fuse_statfs_out st;
	struct fuse_lk_out lk;
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_STATFS, 7);
	guest_send(&g);
	memcpy(&st, g.body, sizeof(st));
	assert_true(st.blocks == 1 && st.bfree == 2 && st.bavail == 3 && st.files == 4 && st.ffree == 5);
	assert_true(st.bsize == 6 && st.namelen == 7 && st.frsize == 8);
	guest_begin(&g, FUSE_GETLK, 7);
	guest_put_record(&g, in);
	guest_send(&g);
	memcpy(&lk, g.body, sizeof(lk));
	assert_true(lk.lk.start == 1 && lk.lk.end == 2 && lk.lk.type == F_WRLCK && lk.lk.pid == 77);
	guest_close(&g);
}

static void send_lock(struct guest *g, uint32_t opcode, uint32_t type, uint32_t flags)
{
	struct fuse_lk_in in = {.lk = {.type = type}, .lk_flags = flags};

	guest_begin(g, opcode, 7);
	guest_put_record(g, in);
	guest_send(g);
}

static void locks_of_no_type_are_refused(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	send_lock(&g, FUSE_SETLK, 3, 0);
	assert_int_equal(g.reply.error, -EINVAL);
	send_lock(&g, FUSE_SETLKW, UINT32_MAX, FUSE_LK_FLOCK);
	assert_int_equal(g.reply.error, -EINVAL);
	send_lock(&g, FUSE_GETLK, F_UNLCK, 0);
	assert_int_equal(g.reply.error, -EINVAL);
	send_lock(&g, FUSE_GETLK, F_RDLCK, FUSE_LK_FLOCK);
	assert_int_equal(g.reply.error, -EINVAL);
	assert_string_equal(g.fs.log, "");
	guest_close(&g);
}

static void locks_that_were_not_negotiated_are_unknown(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	(void)state;
	cfg.posix_locks = false;
	guest_open(&g, &cfg);
	guest_init(&g, FUSE_MINOR, UINT64_MAX & ~FUSE_FLOCK_LOCKS, NULL);
	send_lock(&g, FUSE_SETLK, F_RDLCK, 0);
	assert_int_equal(g.reply.error, -ENOSYS);
	send_lock(&g, FUSE_GETLK, F_RDLCK, 0);
	assert_int_equal(g.reply.error, -ENOSYS);
	send_lock(&g, FUSE_SETLKW, F_RDLCK, FUSE_LK_FLOCK);
	assert_int_equal(g.reply.error, -ENOSYS);
	guest_close(&g);
}

static void send_batch_forget(struct guest *g, uint32_t count, uint32_t sent)
{
	struct fuse_batch_forget_in in = {.count = count};
	struct fuse_forget_one one = {.nodeid = 5, .nlookup = 1};

	fake_clear(&g->fs);
	guest_begin(g, FUSE_BATCH_FORGET, 0);
	guest_put_record(g, in);
	for (uint32_t i = 0; i < sent; i++)
		guest_put_record(g, one);
	assert_int_equal(guest_send(g), 0);
}

static void a_batch_that_lies_is_not_believed(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	send_batch_forget(&g, 3, 2);
	assert_string_equal(g.fs.log, "");
	send_batch_forget(&g, UINT32_MAX, 2);
	assert_string_equal(g.fs.log, "");
	send_batch_forget(&g, 0x10000001, 1); /* times 16 it wraps */
	assert_string_equal(g.fs.log, "");
	send_batch_forget(&g, 1, 2);
	assert_string_equal(g.fs.log, "forget 5 1;");
	send_batch_forget(&g, 0, 0);
	assert_string_equal(g.fs.log, "");
	g.fs.lookups = 0;
	send_batch_forget(&g, 10000, 10000);
	assert_int_equal(g.fs.lookups, -10000);
	guest_close(&g);
}

static void arguments_of_any_length_are_bounded(void **state)
{
	static uint8_t zeroes[64 * 1024];
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_LOOKUP, 7);
	guest_put_string(&g, "n");
	for (int i = 0; i < 5; i++)
		guest_put(&g, zeroes, sizeof(zeroes));
	guest_send(&g);
	assert_int_equal(g.reply.error, -E2BIG);
	guest_close(&g);
}

static void xattr_values_up_to_64_kib_pass(void **state)
{
	static uint8_t value[64 * 1024 + 1];
	struct fuse_setxattr_in in = {.size = 64 * 1024};
	struct guest g;

	(void)state;
	start(&g);
	for (int more = 0; more < 2; more++) {
		in.size += (uint32_t)more;
		guest_begin(&g, FUSE_SETXATTR, 7);
		guest_put_record(&g, in);
		guest_put_string(&g, "user.x");
		guest_put(&g, value, in.size);
		guest_send(&g);
		assert_int_equal(g.reply.error, more ? -E2BIG : 0);
	}
	assert_string_equal(g.fs.log, "setxattr 7 user.x= size=65536 flags=0 kill=0;");
	guest_close(&g);
}

static void setxattr_of_older_guests_is_shorter(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct fuse_setxattr_in in = {.size = 2, .flags = 1};
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	guest_init(&g, 31, 0, NULL);
	fake_clear(&g.fs);
	guest_begin(&g, FUSE_SETXATTR, 7);
	guest_put(&g, &in, FUSE_COMPAT_SETXATTR_IN_SIZE);
	guest_put(&g, "user.x\0ab", 9);
	guest_send(&g);
	assert_string_equal(g.fs.log, "setxattr 7 user.x=ab size=2 flags=1 kill=0;");
	guest_close(&g);
}

static void a_value_with_too_little_room_is_erange(void **state)
{
	struct fuse_getxattr_in in = {.size = 64};
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_GETXATTR, 7);
	guest_put_record(&g, in);
	guest_put_string(&g, "user.x");
	g.room = 16 + 4;
	guest_send(&g);
	assert_int_equal(g.reply.error, -ERANGE);
	g.room = 16; /* must not turn into a question for the length */
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	guest_close(&g);
}

static void readlink_is_whole_or_an_error(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_READLINK, 7);
	g.room = 16 + sizeof(FAKE_READLINK) - 2;
	guest_send(&g);
	assert_int_equal(g.reply.error, -ENAMETOOLONG);
	guest_close(&g);
}

static void times_beyond_a_second_are_refused(void **state)
{
	static const uint32_t nsec[] = {1000000000, (1u << 30) - 1, (1u << 30) - 2, UINT32_MAX};
	struct guest g;

	(void)state;
	start(&g);
	for (size_t i = 0; i < ARRAY_LEN(nsec) * 2; i++) {
		struct fuse_setattr_in in = {.valid = i % 2 ? FATTR_ATIME : FATTR_MTIME};

		in.atimensec = in.mtimensec = nsec[i / 2];
		guest_begin(&g, FUSE_SETATTR, 7);
		guest_put_record(&g, in);
		guest_send(&g);
		assert_int_equal(g.reply.error, -EINVAL);
	}
	assert_string_equal(g.fs.log, "");
	guest_close(&g);
}

static void send_ioctl(struct guest *g, uint32_t flags, uint32_t in_size, uint32_t out_size)
{
	struct fuse_ioctl_in in = {.flags = flags, .in_size = in_size, .out_size = out_size};

	guest_begin(g, FUSE_IOCTL, 7);
	guest_put_record(g, in);
	guest_put(g, "1234", 4);
	guest_send(g);
}

static void ioctls_are_bounded_and_never_retried(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	send_ioctl(&g, FUSE_IOCTL_UNRESTRICTED, 4, 0);
	assert_int_equal(g.reply.error, -ENOTTY);
	send_ioctl(&g, 0, 5, 0);
	assert_int_equal(g.reply.error, -EINVAL);
	send_ioctl(&g, 0, UINT32_MAX, 0);
	assert_int_equal(g.reply.error, -EINVAL);
	send_ioctl(&g, 0, 4, (uint32_t)g.room - 16 - 16 + 1);
	assert_int_equal(g.reply.error, -EINVAL);
	send_ioctl(&g, 0, 4, UINT32_MAX);
	assert_int_equal(g.reply.error, -EINVAL);
	assert_string_equal(g.fs.log, "");
	send_ioctl(&g, 0, 4, 2);
	assert_int_equal(g.nbody, 16 + 2);
	assert_memory_equal(g.body + 16, "OU", 2);
	assert_int_equal(*(const int32_t *)(const void *)g.body, 42);
	guest_close(&g);
}

static void copies_with_flags_are_refused(void **state)
{
	struct fuse_copy_file_range_in in = {.len = 1, .flags = 1};
	struct guest g;

	(void)state;
	start(&g);
	guest_begin(&g, FUSE_COPY_FILE_RANGE, 7);
	guest_put_record(&g, in);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	guest_close(&g);
}

static void a_request_without_a_header_is_a_bad_chain(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	for (size_t len = 0; len < 40; len++) {
		uint8_t in[40] = {0}, out[64];
		struct iovec iin = {in, len}, iout = {out, sizeof(out)};
		struct fuse_chain chain = {&iin, len != 0, &iout, 1, NULL};

		assert_int_equal(fuse_worker_handle(g.worker, &chain), -EPROTO);
	}
	guest_close(&g);
}

static void counters_outlive_workers(void **state)
{
	struct guest g;

	(void)state;
	start(&g);
	for (int i = 0; i < 3; i++) {
		struct fuse_worker *w = fuse_worker_new(g.session, NULL, NULL);

		guest_begin(&g, FUSE_STATFS, 1);
		guest_send_by(&g, w);
		fuse_worker_free(w);
	}
	assert_int_equal(fuse_session_requests(g.session, FUSE_STATFS), 3);
	assert_int_equal(fuse_session_requests(g.session, FUSE_INIT), 1);
	assert_int_equal(fuse_session_requests(g.session, FUSE_LOOKUP), 0);
	guest_close(&g);
}

struct blocks {
	int io, longs;
};

static int count_blocks(void *arg, enum op_block kind)
{
	struct blocks *b = arg;

	assert_true(kind == OP_BLOCK_IO || kind == OP_BLOCK_LONG);
	b->io += kind == OP_BLOCK_IO;
	b->longs += kind == OP_BLOCK_LONG;
	return 0;
}

/* A listing with lookups is one request, whatever its ops say. */
static void the_queue_is_handed_over_once_a_request(void **state)
{
	static const char *const names[] = {"a", "b", "c", NULL};
	struct fuse_read_in in = {.fh = FAKE_FH, .size = 4096};
	struct blocks blocks = {0};
	struct fuse_worker *w;
	struct guest g;

	(void)state;
	start(&g);
	g.fs.names = names;
	w = fuse_worker_new(g.session, count_blocks, &blocks);
	for (int i = 1; i <= 2; i++) {
		guest_begin(&g, FUSE_READDIRPLUS, 7);
		guest_put_record(&g, in);
		guest_send_by(&g, w);
		assert_int_equal(blocks.io, i);
	}
	fuse_worker_free(w);
	guest_close(&g);
}

/* Answers that are held back go out ahead of a request that may take its time: one of another kind, or large.
 */
static void only_quick_requests_come_unannounced(void **state)
{
	struct fuse_read_in in = {.fh = FAKE_FH, .size = 4096};
	struct fuse_getattr_in attr = {0};
	struct fuse_open_in opening = {.flags = O_RDWR};
	struct blocks blocks = {0};
	struct fuse_worker *w;
	struct guest g;

	(void)state;
	start(&g);
	w = fuse_worker_new(g.session, count_blocks, &blocks);
	g.room = 16 + 4096;
	guest_begin(&g, FUSE_READ, 7);
	guest_put_record(&g, in);
	guest_send_by(&g, w);
	guest_begin(&g, FUSE_GETATTR, 7);
	guest_put_record(&g, attr);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 0);
	g.room = 16 + 64 * 1024 + 1;
	guest_begin(&g, FUSE_READ, 7);
	guest_put_record(&g, in);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 1);
	guest_begin(&g, FUSE_STATFS, 1);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 2);
	g.room = 16 + 8 * 1024;
	guest_begin(&g, FUSE_READDIRPLUS, 7);
	guest_put_record(&g, in);
	guest_send_by(&g, w);
	guest_begin(&g, FUSE_OPEN, 7);
	guest_put_record(&g, opening);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 2);
	g.room++;
	guest_begin(&g, FUSE_READDIRPLUS, 7);
	guest_put_record(&g, in);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 3);
	opening.flags = O_WRONLY | O_TRUNC;
	guest_begin(&g, FUSE_OPEN, 7);
	guest_put_record(&g, opening);
	guest_send_by(&g, w);
	assert_int_equal(blocks.longs, 4);
	fuse_worker_free(w);
	guest_close(&g);
}

/* A guest's thread that waits for a lock, through a worker of its own. */
struct waiter {
	struct guest *g;
	struct fuse_worker *worker;
	pthread_t thread;
	int error;
	_Atomic bool done;
};

static void *wait_for_lock(void *arg)
{
	struct waiter *w = arg;
	struct {
		struct fuse_in_header h;
		struct fuse_lk_in lk;
	} in = {{.len = sizeof(in), .opcode = FUSE_SETLKW, .unique = 0x888, .nodeid = 7},
		{.lk.type = F_WRLCK}};
	struct fuse_out_header out = {0};
	struct iovec iin = {&in, sizeof(in)}, iout = {&out, sizeof(out)};
	struct fuse_chain chain = {&iin, 1, &iout, 1, NULL};

	fuse_worker_handle(w->worker, &chain);
	w->error = out.error;
	w->done = true;
	return NULL;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* @held: it cannot say that it waits until the caller unlocks its worker. */
static void begin_waiter(struct waiter *w, struct guest *g, bool held)
{
	*w = (struct waiter){.g = g, .worker = fuse_worker_new(g->session, NULL, NULL)};
	g->fs.block = true;
	if (held)
		pthread_mutex_lock(&w->worker->lock);
	assert_int_equal(pthread_create(&w->thread, NULL, wait_for_lock, w), 0);
}

static void await_waiter(struct guest *g)
{
	for (int i = 0; i < 5000 && !g->fs.waiting; i++)
		nap();
	assert_int_equal(g->fs.waiting, 1);
}

static void start_waiter(struct waiter *w, struct guest *g)
{
	begin_waiter(w, g, false);
	await_waiter(g);
}

static void join_waiter(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	assert_int_equal(w->error, -EINTR);
	fuse_worker_free(w->worker);
}

static void send_interrupt(struct guest *g, uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};

	guest_begin(g, FUSE_INTERRUPT, 0);
	guest_put_record(g, in);
	guest_send(g);
}

static void interrupt_ends_the_wait_it_names(void **state)
{
	struct waiter w;
	struct guest g;

	(void)state;
	start(&g);
	start_waiter(&w, &g);
	send_interrupt(&g, 0x777);
	assert_int_equal(g.reply.error, -EAGAIN); /* not known (yet): ask again */
	assert_false(w.done);
	send_interrupt(&g, 0x888);
	assert_int_equal(g.reply.len, sizeof(struct fuse_out_header));
	join_waiter(&w);
	send_interrupt(&g, 0x888);
	assert_int_equal(g.reply.error, -EAGAIN);
	g.room = 0; /* and it needs no answer */
	guest_begin(&g, FUSE_INTERRUPT, 0);
	guest_put_record(&g, (struct fuse_interrupt_in){.unique = 1});
	assert_int_equal(guest_send(&g), 0);
	guest_close(&g);
}

/* Before the waiter's thread has said that it waits it is not busy, so that INTERRUPT does not find it,
 * rather than take it for one that ends by itself. */
static void interrupt_ahead_of_the_wait(void **state)
{
	struct waiter w;
	struct guest g;

	(void)state;
	start(&g);
	begin_waiter(&w, &g, true);
	while (w.worker->unique != 0x888)
		nap();
	for (int i = 0; i < 50; i++)
		nap();
	assert_false(w.worker->busy);
	pthread_mutex_unlock(&w.worker->lock);
	await_waiter(&g);
	send_interrupt(&g, 0x888);
	join_waiter(&w);
	guest_close(&g);
}

static void a_worker_can_be_cancelled(void **state)
{
	struct waiter w;
	struct guest g;

	(void)state;
	start(&g);
	start_waiter(&w, &g);
	while (!w.done) {
		fuse_worker_cancel(w.worker);
		nap();
	}
	join_waiter(&w);
	fuse_worker_cancel(g.worker); /* does nothing: ignored */
	guest_begin(&g, FUSE_STATFS, 1);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	guest_close(&g);
}

/* A guest that was reset does not wait for the locks of the one before. */
static void init_ends_waits(void **state)
{
	struct waiter w;
	struct guest g;

	(void)state;
	start(&g);
	start_waiter(&w, &g);
	assert_int_equal(guest_init(&g, FUSE_MINOR, UINT64_MAX, NULL), 0);
	assert_int_equal(g.fs.destroys, 1);
	join_waiter(&w);
	start_waiter(&w, &g);
	fuse_session_reset(g.session);
	assert_int_equal(g.fs.destroys, 2);
	join_waiter(&w);
	guest_close(&g);
}

struct crowd {
	struct guest *g;
	struct fuse_worker *worker;
	pthread_t thread;
	uint32_t opcode;
	int bad;
};

/* STATFS, or INIT, many times; an answer is right if it is one that a session in some state gives. */
static void *send_many(void *arg)
{
	struct crowd *c = arg;

	for (int i = 0; i < 300; i++) {
		struct {
			struct fuse_in_header h;
			struct fuse_init_in init;
		} in = {{.len = sizeof(in), .opcode = c->opcode, .unique = 1}, {.major = 7, .minor = 45}};
		struct {
			struct fuse_out_header h;
			uint8_t body[128];
		} out = {0};
		struct iovec iin = {&in, sizeof(in)}, iout = {&out, sizeof(out)};
		struct fuse_chain chain = {&iin, 1, &iout, 1, NULL};

		fuse_worker_handle(c->worker, &chain);
		if (out.h.error && !(out.h.error == -EIO && c->opcode == FUSE_GETATTR))
			c->bad++;
	}
	return NULL;
}

static void sessions_change_while_others_ask(void **state)
{
	static const uint32_t opcodes[] = {FUSE_GETATTR, FUSE_INIT, FUSE_GETATTR, FUSE_DESTROY};
	struct crowd crowd[ARRAY_LEN(opcodes)];
	struct guest g;

	(void)state;
	start(&g);
	g.fs.silent = true;
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
		crowd[i] = (struct crowd){.g = &g, .opcode = opcodes[i]};
		crowd[i].worker = fuse_worker_new(g.session, NULL, NULL);
		assert_int_equal(pthread_create(&crowd[i].thread, NULL, send_many, &crowd[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(crowd); i++) {
		pthread_join(crowd[i].thread, NULL);
		assert_int_equal(crowd[i].bad, 0);
		fuse_worker_free(crowd[i].worker);
	}
	assert_int_equal(g.fs.inits, 301);
	assert_true(g.fs.inits - g.fs.destroys <= 1);
	assert_int_equal(fuse_session_requests(g.session, FUSE_GETATTR), 600);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_fill_the_guests_pieces_in_place),
		cmocka_unit_test(reads_end_where_size_room_or_file_end),
		cmocka_unit_test(writes_take_the_guests_pieces_in_place),
		cmocka_unit_test(long_vectors_come_whole),
		cmocka_unit_test(writes_beyond_what_was_sent_or_agreed_are_refused),
		cmocka_unit_test(an_entry_carries_all_attributes),
		cmocka_unit_test(statx_carries_the_birth_time),
		cmocka_unit_test(statfs_and_locks_are_translated),
		cmocka_unit_test(locks_of_no_type_are_refused),
		cmocka_unit_test(locks_that_were_not_negotiated_are_unknown),
		cmocka_unit_test(a_batch_that_lies_is_not_believed),
		cmocka_unit_test(arguments_of_any_length_are_bounded),
		cmocka_unit_test(xattr_values_up_to_64_kib_pass),
		cmocka_unit_test(setxattr_of_older_guests_is_shorter),
		cmocka_unit_test(a_value_with_too_little_room_is_erange),
		cmocka_unit_test(readlink_is_whole_or_an_error),
		cmocka_unit_test(times_beyond_a_second_are_refused),
		cmocka_unit_test(ioctls_are_bounded_and_never_retried),
		cmocka_unit_test(copies_with_flags_are_refused),
		cmocka_unit_test(a_request_without_a_header_is_a_bad_chain),
		cmocka_unit_test(counters_outlive_workers),
		cmocka_unit_test(the_queue_is_handed_over_once_a_request),
		cmocka_unit_test(only_quick_requests_come_unannounced),
		cmocka_unit_test(interrupt_ends_the_wait_it_names),
		cmocka_unit_test(interrupt_ahead_of_the_wait),
		cmocka_unit_test(a_worker_can_be_cancelled),
		cmocka_unit_test(init_ends_waits),
		cmocka_unit_test(sessions_change_while_others_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
