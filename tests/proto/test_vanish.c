/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end that truncates the files of guest memory under a running device: it loses its connection, and
 * the next one is served. */
#include "test.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define GONE 2u /* the region that goes; requests lie in region 1, rings in region 0 */
#define PAGE 4096u

static void *take(struct vm *vm, unsigned int region, size_t size)
{
	void *p = gm_alloc_at(&vm->gm, region, size, PAGE);

	assert_non_null(p);
	return p;
}

static void cut(struct vm *vm, unsigned int region)
{
	assert_int_equal(ftruncate(vm->gm.region[region].fd, 0), 0);
}

/* A daemon that looks at the ring while it waits may take a request ahead of the cut, and then misses
 * nothing. */
static const char *const asleep[] = {"--poll=0", NULL};

/* Without a look at rings that may be gone. */
static void kick(struct vm *vm, unsigned int queue)
{
	assert_int_equal(eventfd_write(vm->queue[queue].kick, 1), 0);
}

static void expect_hang_up(struct vm *vm)
{
	struct pollfd p = {.fd = vm->fe.sock, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&p, 1, TEST_PATIENCE_MS), 1);
	/* A reset: it did not even read our last messages. */
	assert_true(recv(vm->fe.sock, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
	memset(vm->started, 0, sizeof(vm->started));
}

static void expect_next_served(struct vm *vm)
{
	struct raw r;

	vm_disconnect(vm);
	if (spawn_check(&vm->daemon, &vm->err))
		fail_msg("%s", vm->err.text);
	test_come_back(vm);
	raw_make(vm, &r, -1);
	raw_expect_reply(vm, 1, &r);
}

/* Sends @r, of which a part lies in what goes ahead of the kick. */
static void send_and_cut(struct vm *vm, struct raw *r, const struct drv_table *table)
{
	OK(drv_add(&vm->queue[1], r->seg, r->nin, r->nout, table, r));
	cut(vm, GONE);
	kick(vm, 1);
	expect_hang_up(vm);
	expect_next_served(vm);
}

static void request_header(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, NULL, asleep);
	raw_make(vm, &r, GONE);
	send_and_cut(vm, &r, NULL);
}

static void reply_header(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, NULL, asleep);
	raw_make(vm, &r, 1);
	r.seg[1].gpa = gm_gpa(&vm->gm, take(vm, GONE, PAGE));
	send_and_cut(vm, &r, NULL);
}

static void indirect_table(void **state)
{
	struct vm *vm = *state;
	struct drv_table table = {.cap = 16};
	struct raw r;

	test_boot(vm, NULL, asleep);
	raw_make(vm, &r, 1);
	table.host = take(vm, GONE, PAGE);
	table.gpa = gm_gpa(&vm->gm, table.host);
	send_and_cut(vm, &r, &table);
}

static struct fc_file make_file(struct vm *vm, const char *name, size_t len)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	char data[2 * PAGE] = "before";
	struct fc_created made;
	struct fc_file f;

	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, name, &in, &made));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	LEN(fc_write(&vm->client[1], f, data, len, 0), len);
	return f;
}

/* A request with fixed arguments in region 1. */
static void make_request(struct vm *vm, struct raw *r, struct fuse_in_header h, const void *arg, size_t len)
{
	raw_make(vm, r, 1);
	h.unique = 78;
	h.len = (uint32_t)(sizeof(h) + len) + h.len;
	memcpy(r->in, &h, sizeof(h));
	memcpy(r->in + sizeof(h), arg, len);
	r->seg[0].len = (uint32_t)(sizeof(h) + len);
}

/* What is gone is not written as zeros. */
static void data_to_write(void **state)
{
	struct vm *vm = *state;
	struct fuse_write_in in = {.size = 2 * PAGE};
	struct fc_file f;
	struct raw r;

	test_boot(vm, NULL, asleep);
	f = make_file(vm, "kept", 6);
	in.fh = f.fh;
	make_request(vm, &r, (struct fuse_in_header){.opcode = FUSE_WRITE, .nodeid = f.node, .len = 2 * PAGE},
		&in, sizeof(in));
	r.seg[2] = (struct drv_seg){gm_gpa(&vm->gm, r.out), 24};
	r.seg[1] = (struct drv_seg){gm_gpa(&vm->gm, take(vm, GONE, 2 * PAGE)), 2 * PAGE};
	r.nin = 2;
	send_and_cut(vm, &r, NULL);
	host_expect_file(vm->daemon.share, "kept", "before", 6);
}

static void room_to_read(void **state)
{
	struct vm *vm = *state;
	struct fuse_read_in in = {.size = 2 * PAGE};
	struct fc_file f;
	struct raw r;

	test_boot(vm, NULL, asleep);
	f = make_file(vm, "long", 2 * PAGE);
	in.fh = f.fh;
	make_request(vm, &r, (struct fuse_in_header){.opcode = FUSE_READ, .nodeid = f.node}, &in, sizeof(in));
	r.seg[1].len = 16;
	r.seg[2] = (struct drv_seg){gm_gpa(&vm->gm, take(vm, GONE, 2 * PAGE)), 2 * PAGE};
	r.nout = 2;
	send_and_cut(vm, &r, NULL);
}

static void rings(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, NULL, asleep);
	raw_make(vm, &r, 1);
	OK(drv_add(&vm->queue[1], r.seg, r.nin, r.nout, NULL, &r));
	cut(vm, 0);
	kick(vm, 1);
	expect_hang_up(vm);
	expect_next_served(vm);
}

/* The control thread finds it when it starts a queue. */
static void rings_at_start(void **state)
{
	struct vm *vm = *state;
	uint32_t base;

	test_boot(vm, NULL, asleep);
	OK(vm_stop_queue(vm, 1, &base));
	vm->fe.ack = false;
	cut(vm, 0);
	vm_start_queue(vm, 1, base);
	kick(vm, 1);
	expect_hang_up(vm);
	expect_next_served(vm);
}

static void everything_while_idle(void **state)
{
	struct vm *vm = *state;

	test_boot(vm, NULL, asleep);
	for (unsigned int i = 0; i < vm->gm.count; i++)
		cut(vm, i);
	expect_next_served(vm);
}

static void dirty_log(void **state)
{
	struct vm *vm = *state;
	autofd int log = memfd_create("log", MFD_CLOEXEC);
	struct raw r;

	test_boot(vm, NULL, asleep);
	raw_make(vm, &r, 1);
	assert_int_equal(ftruncate(log, 1 << 20), 0);
	OK(fe_set_log(&vm->fe, log, 1 << 20, 0));
	OK(fe_set_features(&vm->fe, vm->fe.features | VU_BIT(VU_F_LOG_ALL)));
	assert_int_equal(ftruncate(log, 0), 0);
	OK(drv_add(&vm->queue[1], r.seg, r.nin, r.nout, NULL, &r));
	kick(vm, 1);
	expect_hang_up(vm);
	expect_next_served(vm);
}

/* Several queues busy with it. */
static void under_load(void **state)
{
	struct vm *vm = *state;
	struct raw r[4][8];

	test_boot(vm, &(struct vm_config){.queues = 4}, (const char *[]){"--queues=4", NULL});
	for (unsigned int q = 0; q < 4; q++)
		for (unsigned int i = 0; i < 8; i++) {
			raw_make(vm, &r[q][i], GONE);
			OK(drv_add(&vm->queue[q + 1], r[q][i].seg, 1, 1, NULL, &r[q][i]));
		}
	cut(vm, GONE);
	for (unsigned int q = 0; q < 4; q++)
		kick(vm, q + 1);
	expect_hang_up(vm);
	expect_next_served(vm);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(request_header),
		TEST_OWN(reply_header),
		TEST_OWN(indirect_table),
		TEST_OWN(data_to_write),
		TEST_OWN(room_to_read),
		TEST_OWN(rings),
		TEST_OWN(rings_at_start),
		TEST_OWN(everything_while_idle),
		TEST_OWN(dirty_log),
		TEST_OWN(under_load),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
