/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory that comes, goes and is logged, with the device running. */
#include "test.h"

#include <sys/file.h>
#include <sys/mman.h>

#define GIB	  (1ull << 30)
#define LOG_BYTES (16 * GIB / VU_LOG_PAGE / 8)

static const struct vm_config no_slots = {.protocol = VM_PROTOCOL & ~VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)};

static void each_region_works(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->gm.count; i++) {
		struct raw r;

		raw_make(vm, &r, (int)i);
		raw_expect_reply(vm, 1, &r);
	}
}

static void several_regions(void **state)
{
	struct vm *vm = *state;

	test_boot(vm, NULL, NULL);
	assert_int_equal(vm->gm.count, 3);
	each_region_works(vm);
}

static void huge_pages(void **state)
{
	static const struct vm_config cfg = {.huge_pages = 1};
	struct guestmem probe = {0};
	struct vm *vm = *state;
	int r = gm_add(&probe, 0, 2 << 20, 0, GM_HUGE);

	gm_free(&probe);
	if (r < 0)
		skip(); /* the machine gives none */
	test_boot(vm, &cfg, NULL);
	assert_int_equal(vm->gm.count, 4);
	each_region_works(vm);
}

/* A piece that begins in one region and ends in the next, which lies elsewhere in the daemon. */
static void crossing_regions(void **state)
{
	struct vm *vm = *state;
	struct gm_region *low, *next;
	struct fuse_out_header h;
	struct raw r;

	test_boot(vm, NULL, NULL);
	low = &vm->gm.region[0];
	next = &vm->gm.region[1];
	assert_int_equal(low->gpa + low->size, next->gpa);
	raw_make(vm, &r, -1);
	r.seg[1].gpa = next->gpa - 10;
	LEN(raw_send(vm, 1, &r, TEST_PATIENCE_MS), RAW_OUT);
	memcpy(&h, low->host + low->size - 10, 10);
	memcpy((uint8_t *)&h + 10, next->host, sizeof(h) - 10);
	assert_int_equal(h.len, RAW_OUT);
	assert_int_equal(h.unique, 77);
}

static void add_and_remove(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, NULL, NULL);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 20; i++) {
			int n = gm_add(&vm->gm, (16 + i) * GIB, 1 << 20, 0, 0);

			assert_true(n >= 0);
			OK(fe_add_mem(&vm->fe, &vm->gm.region[n]));
			raw_make(vm, &r, n);
			raw_expect_reply(vm, 1, &r);
		}
		while (vm->gm.count > 3) {
			OK(fe_remove_mem(&vm->fe, &vm->gm.region[3]));
			gm_remove(&vm->gm, 3);
			raw_make(vm, &r, 2);
			raw_expect_reply(vm, 1, &r);
		}
	}
}

/* Refused, and told so; everything stays as it was. */
static void refused_regions(void **state)
{
	struct vm *vm = *state;
	struct gm_region bad;
	struct raw r;

	test_boot(vm, NULL, NULL);
	bad = vm->gm.region[1];
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO); /* overlaps itself */
	bad.gpa = 100 * GIB;
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO); /* by front-end address */
	bad.host -= 1ull << 40;
	bad.size = 1ull << 40;
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO); /* the file is shorter */
	bad.size = 0;
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO);
	bad.size = 1 << 20;
	bad.gpa = ~0ull - 4095;
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO); /* wraps */
	bad.gpa = 100 * GIB;
	bad.offset = ~0ull - 4095;
	ERR(fe_add_mem(&vm->fe, &bad), EREMOTEIO);
	ERR(fe_remove_mem(&vm->fe, &bad), EREMOTEIO);
	raw_make(vm, &r, 1);
	raw_expect_reply(vm, 1, &r);
}

static void new_table_while_running(void **state)
{
	struct vm *vm = *state;
	struct raw r;

	test_boot(vm, &no_slots, NULL);
	assert_false(fe_has_protocol(&vm->fe, VU_P_CONFIGURE_MEM_SLOTS));
	for (unsigned int i = 0; i < 5; i++) {
		int n = gm_add(&vm->gm, (16 + i) * GIB, 1 << 20, 0, 0);

		assert_true(n >= 0);
		OK(fe_set_mem_table(&vm->fe, &vm->gm));
		raw_make(vm, &r, n);
		raw_expect_reply(vm, 1, &r);
	}
	while (vm->gm.count > 3) {
		gm_remove(&vm->gm, 3);
		OK(fe_set_mem_table(&vm->fe, &vm->gm));
		raw_make(vm, &r, 1);
		raw_expect_reply(vm, 1, &r);
	}
}

/* The table as User-Mode Linux sends it: room for two regions, one of them there. */
static void table_with_spare_room(void **state)
{
	struct vu_header h = {VU_SET_MEM_TABLE, VU_VERSION | VU_NEED_REPLY, 72};
	struct vm *vm = *state;
	struct vu_mem_table t = {.count = 1};
	struct gm_region *m;
	uint32_t len = 8;
	uint64_t answer = 1;
	struct raw r;

	test_boot(vm, &no_slots, NULL);
	m = &vm->gm.region[0]; /* the rings lie there */
	t.region[0] = (struct vu_region){m->gpa, m->size, (uintptr_t)m->host, m->offset};
	OK(fe_send(&vm->fe, &h, &t, &m->fd, 1));
	OK(fe_receive(&vm->fe, VU_SET_MEM_TABLE, &answer, &len, NULL));
	assert_int_equal(answer, 0);
	raw_make(vm, &r, 0);
	raw_expect_reply(vm, 1, &r);
}

/* An exclusive flock that waits for the host's, as a request whose time the test chooses. */
struct waiter {
	struct fuse_lk_in lk;
	struct raw r;
	int host;
};

static void make_waiter(struct vm *vm, struct waiter *w, int region)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fuse_in_header h = {.opcode = FUSE_SETLKW, .unique = 99};
	struct fc_created cr;

	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, "f", &in, &cr));
	w->host = openat(vm->daemon.share, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(w->host, LOCK_EX), 0);
	w->lk = (struct fuse_lk_in){.fh = cr.open.fh, .owner = 1, .lk_flags = FUSE_LK_FLOCK};
	w->lk.lk = (struct fuse_file_lock){.end = FC_OFFSET_MAX, .type = F_WRLCK};
	raw_make(vm, &w->r, region);
	h.nodeid = cr.entry.nodeid;
	h.len = sizeof(h) + sizeof(w->lk);
	memcpy(w->r.in, &h, sizeof(h));
	memcpy(w->r.in + sizeof(h), &w->lk, sizeof(w->lk));
	w->r.seg[0].len = h.len;
	ERR(raw_send(vm, 1, &w->r, 50), ETIMEDOUT);
}

static void finish_waiter(struct vm *vm, struct waiter *w)
{
	uint32_t written = 0;
	void *cookie = NULL;

	assert_int_equal(close(w->host), 0);
	LEN(drv_wait(&vm->queue[1], TEST_PATIENCE_MS), 1);
	LEN(drv_get(&vm->queue[1], &cookie, &written), 1);
	assert_ptr_equal(cookie, &w->r);
	assert_int_equal(written, sizeof(struct fuse_out_header));
}

/* A request goes on in the memory it began with, also when the front-end has taken that away. */
static void remove_under_a_request(void **state)
{
	struct vm *vm = *state;
	struct waiter w;
	struct raw r;
	int n;

	test_boot(vm, NULL, NULL);
	n = gm_add(&vm->gm, 16 * GIB, 1 << 20, 0, 0);
	OK(fe_add_mem(&vm->fe, &vm->gm.region[n]));
	make_waiter(vm, &w, n);
	OK(fe_remove_mem(&vm->fe, &vm->gm.region[n]));
	finish_waiter(vm, &w);
	raw_make(vm, &r, 1);
	raw_expect_reply(vm, 1, &r);
}

/* The dirty log as a front-end keeps it, and what may and must be in it. */
struct dirty {
	uint8_t *log, *may;
	int fd;
};

static void dirty_make(struct dirty *d)
{
	d->fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(d->fd, LOG_BYTES + 4096), 0);
	d->log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 4096);
	assert_true(d->log != MAP_FAILED);
	d->may = calloc(1, LOG_BYTES);
	assert_non_null(d->may);
}

static void dirty_free(struct dirty *d)
{
	munmap(d->log, LOG_BYTES);
	free(d->may);
	close(d->fd);
}

static void may(struct dirty *d, uint64_t gpa, uint64_t len)
{
	for (uint64_t p = gpa / VU_LOG_PAGE; p <= (gpa + len - 1) / VU_LOG_PAGE; p++)
		d->may[p / 8] |= (uint8_t)(1u << p % 8);
}

static bool is_dirty(const struct dirty *d, uint64_t gpa)
{
	uint64_t p = gpa / VU_LOG_PAGE;

	return d->log[p / 8] & 1u << p % 8;
}

/* Where the device writes for the ring's own sake. */
static void may_ring(struct vm *vm, struct dirty *d, unsigned int i)
{
	const struct drv_queue *q = &vm->queue[i];
	uint64_t used = gm_gpa(&vm->gm, q->used);

	may(d, used, test_packed() ? 4 : 6 + 8ull * q->cfg.size);
	if (test_packed())
		may(d, gm_gpa(&vm->gm, q->desc), 16ull * q->cfg.size);
}

static void expect_no_more_than_may(const struct dirty *d)
{
	for (uint64_t i = 0; i < LOG_BYTES; i++)
		if (d->log[i] & ~d->may[i])
			fail_msg("pages %#llx are marked in byte %#llx of the log",
				(unsigned long long)d->log[i], (unsigned long long)i);
}

static void set_logging(struct vm *vm, bool on)
{
	OK(fe_set_features(&vm->fe,
		on ? vm->fe.features | VU_BIT(VU_F_LOG_ALL) : vm->fe.features & ~VU_BIT(VU_F_LOG_ALL)));
	for (unsigned int i = 0; i < vm->queues; i++) {
		struct drv_queue *q = &vm->queue[i];
		struct vu_vring_addr a = {.index = i,
			.flags = on ? VU_VRING_F_LOG : 0,
			.desc = (uintptr_t)q->desc,
			.used = (uintptr_t)q->used,
			.avail = (uintptr_t)q->avail,
			.log = gm_gpa(&vm->gm, q->used)};

		OK(fe_tell(&vm->fe, VU_SET_VRING_ADDR, &a, sizeof(a), -1));
	}
}

/* A READ of @size bytes at the beginning of a file, into whole pages above 4 GiB. */
static void make_read(struct vm *vm, struct raw *r, uint32_t size)
{
	struct fuse_in_header h = {.opcode = FUSE_READ, .unique = 77};
	struct fuse_open_out o;
	struct fuse_entry_out e;
	struct fuse_read_in in = {.size = size};
	uint8_t *data = gm_alloc_at(&vm->gm, 2, size, 4096);

	assert_non_null(data);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "f", &e));
	OK(fc_open(&vm->client[1], e.nodeid, O_RDONLY, &o));
	raw_make(vm, r, 2);
	h.len = sizeof(h) + sizeof(in);
	h.nodeid = e.nodeid;
	in.fh = o.fh;
	memcpy(r->in, &h, sizeof(h));
	memcpy(r->in + sizeof(h), &in, sizeof(in));
	r->seg[0].len = h.len;
	r->seg[1].len = sizeof(struct fuse_out_header);
	r->seg[2] = (struct drv_seg){gm_gpa(&vm->gm, data), size};
	r->nout = 2;
}

static void dirty_log(void **state)
{
	static char content[5000];
	struct vm *vm = *state;
	struct dirty d;
	struct raw r;

	test_boot(vm, NULL, NULL);
	host_write_file(vm->daemon.share, "f", content, sizeof(content));
	make_read(vm, &r, 4 * VU_LOG_PAGE);
	dirty_make(&d);
	OK(fe_set_log(&vm->fe, d.fd, LOG_BYTES, 4096));
	set_logging(vm, true);
	memset(d.log, 0, LOG_BYTES);
	LEN(raw_send(vm, 1, &r, TEST_PATIENCE_MS), sizeof(struct fuse_out_header) + sizeof(content));
	assert_true(is_dirty(&d, r.seg[1].gpa));
	assert_true(is_dirty(&d, r.seg[2].gpa));
	assert_true(is_dirty(&d, r.seg[2].gpa + VU_LOG_PAGE));
	assert_true(is_dirty(&d, gm_gpa(&vm->gm, test_packed() ? vm->queue[1].desc : vm->queue[1].used)));
	may(&d, r.seg[1].gpa, 1);
	may(&d, r.seg[2].gpa, sizeof(content)); /* not the two pages behind what was read */
	may_ring(vm, &d, 0);
	may_ring(vm, &d, 1);
	expect_no_more_than_may(&d);
	set_logging(vm, false);
	memset(d.log, 0, LOG_BYTES);
	memset(d.may, 0, LOG_BYTES);
	LEN(raw_send(vm, 1, &r, TEST_PATIENCE_MS), sizeof(struct fuse_out_header) + sizeof(content));
	expect_no_more_than_may(&d);
	dirty_free(&d);
}

/* What was in flight when the log began is written after that, and so belongs in it. */
static void log_begins_under_a_request(void **state)
{
	struct vm *vm = *state;
	struct waiter w;
	struct dirty d;

	test_boot(vm, NULL, NULL);
	make_waiter(vm, &w, 2);
	dirty_make(&d);
	OK(fe_set_log(&vm->fe, d.fd, LOG_BYTES, 4096));
	set_logging(vm, true);
	memset(d.log, 0, LOG_BYTES);
	finish_waiter(vm, &w);
	assert_true(is_dirty(&d, w.r.seg[1].gpa));
	dirty_free(&d);
}

/* A log that is too small for the memory marks what it can and nothing else. */
static void small_log(void **state)
{
	struct vm *vm = *state;
	struct dirty d;
	struct raw r;

	test_boot(vm, NULL, NULL);
	dirty_make(&d);
	OK(fe_set_log(&vm->fe, d.fd, 8, 4096));
	set_logging(vm, true);
	raw_make(vm, &r, 2);
	raw_expect_reply(vm, 1, &r);
	for (uint64_t i = 8; i < LOG_BYTES; i++)
		assert_int_equal(d.log[i], 0);
	dirty_free(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(several_regions),
		TEST_OWN(huge_pages),
		TEST_OWN(crossing_regions),
		TEST_OWN(add_and_remove),
		TEST_OWN(refused_regions),
		TEST_OWN(new_table_while_running),
		TEST_OWN(table_with_spare_room),
		TEST_OWN(remove_under_a_request),
		TEST_OWN(dirty_log),
		TEST_OWN(log_begins_under_a_request),
		TEST_OWN(small_log),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
