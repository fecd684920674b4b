/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile guest's rings and chains, each a case with a name: the ring breaks, which the front-end is told,
 * or the chain comes back unanswered; the other queue is served all the while, and the attacked one once it
 * is set up again.
 */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define SIZE	  256
#define NEXT	  VRING_DESC_F_NEXT
#define WR	  VRING_DESC_F_WRITE
#define IND	  VRING_DESC_F_INDIRECT
#define NOWHERE	  0x7000000000ull
#define SOMEWHERE 0x100000000ull	/* in the region above 4 GiB */
#define REGION	  (4u << 20)		/* of which there are so many bytes */
#define TABLE	  0x7ab1000000000000ull /* the table's own address, */
#define RING	  0x7219000000000000ull /* the descriptors', */
#define USED	  0x75ed000000000000ull /* and those of the other two areas */
#define AVAIL	  0x7a7a000000000000ull
#define REQUEST	  0x7e00000000000000ull /* a good request's */

/* A descriptor of either format. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next; /* split */
};

enum end { BROKEN, BACK, EITHER };
enum { SPLIT = 1, PACKED = 2 };

struct bad_chain {
	const char *what;
	enum end end;
	struct desc d[4];     /* of the ring */
	struct desc table[3]; /* of the table */
	unsigned int repeat;  /* the table's first entry, so often */
	unsigned int jump;    /* split: how far the available index moves, 0: by one */
	uint16_t head;
	unsigned int only; /* 0: both formats */
};

static const struct bad_chain bad[] = {
	{"an address that is not memory", BROKEN, {{NOWHERE, 64, 0, 0}}},
	{"an address that wraps", BROKEN, {{~0ull - 10, 64, 0, 0}}},
	{"address 0 to the end of all", BROKEN, {{0, 0xffffffff, 0, 0}}},
	{"a length to the end of everything", BROKEN, {{SOMEWHERE, 0xffffffff, 0, 0}}},
	{"a length that ends a byte behind memory", BROKEN, {{SOMEWHERE, REGION + 1, 0, 0}}},
	{"a second piece that is not memory", BROKEN, {{SOMEWHERE, 64, NEXT, 1}, {NOWHERE, 64, WR, 0}}},
	{"nothing at all", BACK, {{SOMEWHERE, 0, 0, 0}}},
	{"nothing, and nowhere", EITHER, {{NOWHERE, 0, 0, 0}}},
	{"a request of one byte", BACK, {{SOMEWHERE, 1, NEXT, 1}, {SOMEWHERE, 64, WR, 0}}},
	{"only room", BACK, {{SOMEWHERE, 4096, WR, 0}}},
	{"a request without room", BACK, {{REQUEST, RAW_IN, 0, 0}}},
	{"room of 15 bytes", BACK, {{REQUEST, RAW_IN, NEXT, 1}, {SOMEWHERE, 15, WR, 0}}},
	{"readable behind writable", BROKEN, {{SOMEWHERE, 64, NEXT | WR, 1}, {SOMEWHERE, 64, 0, 0}}},
	{"flags that nobody knows", EITHER, {{SOMEWHERE, 64, 0x7e78 & ~NEXT, 0}}},
	{"a table that is not memory", BROKEN, {{NOWHERE, 32, IND, 0}}},
	{"a table of no length", BROKEN, {{SOMEWHERE, 0, IND, 0}}},
	{"a table of an odd length", BROKEN, {{SOMEWHERE, 33, IND, 0}}},
	{"a table of 4 gigabytes", BROKEN, {{SOMEWHERE, 0xfffffff0, IND, 0}}},
	{"a table that wraps", BROKEN, {{~0ull - 31, 64, IND, 0}}},
	{"a table of 32769 entries", BROKEN, {{SOMEWHERE, 32769 * 16, IND, 0}}},
	{"a table with another behind it", BROKEN, {{TABLE, 16, IND | NEXT, 1}, {SOMEWHERE, 64, 0, 0}},
		{{SOMEWHERE, 64, 0, 0}}},
	{"a table behind a piece", EITHER, {{SOMEWHERE, 64, NEXT, 1}, {TABLE, 16, IND, 0}},
		{{SOMEWHERE, 64, WR, 0}}},
	{"a table in a table", BROKEN, {{TABLE, 16, IND, 0}}, {{SOMEWHERE, 16, IND, 0}}},
	{"a table in itself", BROKEN, {{TABLE, 16, IND, 0}}, {{TABLE, 16, IND, 0}}},
	{"a table that can be written", EITHER, {{TABLE, 16, IND | WR, 0}}, {{SOMEWHERE, 64, WR, 0}}},
	{"a table in the ring", EITHER, {{RING, 32, IND, 0}}},
	{"a table entry that is not memory", BROKEN, {{TABLE, 32, IND, 0}},
		{{SOMEWHERE, 64, NEXT, 1}, {NOWHERE, 64, WR, 0}}},
	{"a table of 2048 times nothing", EITHER, {{TABLE, 2048 * 16, IND, 0}}, {{SOMEWHERE, 0, NEXT, 0}},
		2048},
	{"a table of 2048 bytes", EITHER, {{TABLE, 2048 * 16, IND, 0}}, {{SOMEWHERE, 1, NEXT, 0}}, 2048},
	{"a table of more than 4 gigabytes", BROKEN, {{TABLE, 2048 * 16, IND, 0}},
		{{SOMEWHERE, REGION, NEXT, 0}}, 2048},
	{"the answer over the descriptors", EITHER, {{REQUEST, RAW_IN, NEXT, 1}, {RING, 4096, WR, 0}}},
	{"the answer over what is used", EITHER, {{REQUEST, RAW_IN, NEXT, 1}, {USED, 512, WR, 0}}},
	{"the answer over what is available", EITHER, {{REQUEST, RAW_IN, NEXT, 1}, {AVAIL, 512, WR, 0}}},
	{"the answer over the request", BACK, {{REQUEST, RAW_IN, NEXT, 1}, {REQUEST, 512, WR, 0}}},
	{"the answer over its own table", EITHER, {{TABLE, 32, IND, 0}},
		{{REQUEST, RAW_IN, NEXT, 1}, {TABLE, 512, WR, 0}}},
	{"a head beyond the ring", BROKEN, {{SOMEWHERE, 64, 0, 0}}, .head = 60000, .only = SPLIT},
	{"a head just beyond the ring", BROKEN, {{SOMEWHERE, 64, 0, 0}}, .head = SIZE, .only = SPLIT},
	{"a next beyond the ring", BROKEN, {{SOMEWHERE, 64, NEXT, 60000}}, .only = SPLIT},
	{"a loop of one", BROKEN, {{SOMEWHERE, 64, NEXT, 0}}, .only = SPLIT},
	{"a loop of two", BROKEN, {{SOMEWHERE, 64, NEXT, 1}, {SOMEWHERE, 64, NEXT, 0}}, .only = SPLIT},
	{"a loop of nothing", BROKEN, {{SOMEWHERE, 0, NEXT, 0}}, .only = SPLIT},
	{"a loop in a table", BROKEN, {{TABLE, 32, IND, 0}},
		{{SOMEWHERE, 64, NEXT, 1}, {SOMEWHERE, 64, NEXT, 0}}, .only = SPLIT},
	{"a next beyond the table", BROKEN, {{TABLE, 16, IND, 0}}, {{SOMEWHERE, 64, NEXT, 1}}, .only = SPLIT},
	{"more chains than descriptors", BROKEN, {{SOMEWHERE, 64, 0, 0}}, .jump = SIZE + 1, .only = SPLIT},
	{"32768 chains", BROKEN, {{SOMEWHERE, 64, 0, 0}}, .jump = 32768, .only = SPLIT},
	{"an available index that goes back", BROKEN, {{SOMEWHERE, 64, 0, 0}}, .jump = 65535, .only = SPLIT},
	{"as many chains as descriptors, all the same", BACK,
		{{REQUEST, RAW_IN, NEXT, 1}, {SOMEWHERE, 512, WR, 0}}, .jump = SIZE, .only = SPLIT},
	{"a buffer number of all ones", BACK, {{REQUEST, RAW_IN, 0, 0xffff}}, .only = PACKED},
};

static struct vm vm;
static struct drv_queue *const q = &vm.queue[2];
static void *table;
static pid_t server; /* that serves, and shall not be another one's heir */
static struct raw request;

static uint64_t resolve(uint64_t addr)
{
	const uint64_t mask = 0xffff000000000000ull;

	switch (addr & mask) {
	case TABLE:
		return gm_gpa(&vm.gm, table);
	case RING:
		return gm_gpa(&vm.gm, q->desc);
	case USED:
		return gm_gpa(&vm.gm, q->used);
	case AVAIL:
		return gm_gpa(&vm.gm, q->avail);
	case REQUEST:
		return gm_gpa(&vm.gm, request.in);
	default:
		return addr;
	}
}

static void put_split(const struct bad_chain *b)
{
	struct vring_desc *d = q->desc;
	struct vring_avail *a = q->avail;
	unsigned int jump = MAX(b->jump, 1u);

	for (unsigned int i = 0; i < ARRAY_LEN(b->d); i++)
		d[i] = (struct vring_desc){resolve(b->d[i].addr), b->d[i].len, b->d[i].flags, b->d[i].next};
	for (unsigned int i = 0; i < MIN(jump, (unsigned int)SIZE); i++)
		a->ring[i] = b->head;
	__atomic_store_n(&a->idx, (uint16_t)jump, __ATOMIC_RELEASE);
}

/* The ring is new: position 0, wrap counters 1. */
static void put_packed(const struct bad_chain *b)
{
	struct vring_packed_desc *d = q->desc;

	for (unsigned int i = ARRAY_LEN(b->d); i--;) {
		uint16_t flags = b->d[i].flags;

		if (i == 0 || b->d[i - 1].flags & NEXT)
			flags |= 1u << VRING_PACKED_DESC_F_AVAIL;
		d[i].addr = resolve(b->d[i].addr);
		d[i].len = b->d[i].len;
		d[i].id = b->d[i].next;
		__atomic_store_n(&d[i].flags, flags, __ATOMIC_RELEASE);
	}
}

static void put_entry(unsigned int i, const struct desc *t, uint16_t next)
{
	uint64_t addr = resolve(t->addr);

	if (test_packed())
		((struct vring_packed_desc *)table)[i] =
			(struct vring_packed_desc){addr, t->len, 0, t->flags & (uint16_t)~NEXT};
	else
		((struct vring_desc *)table)[i] = (struct vring_desc){addr, t->len, t->flags, next};
}

static void put_table(const struct bad_chain *b)
{
	for (unsigned int i = 0; i < ARRAY_LEN(b->table); i++)
		put_entry(i, &b->table[i], b->table[i].next);
	for (unsigned int i = 0; i < b->repeat; i++)
		put_entry(i, &b->table[0], (uint16_t)(i + 1));
}

static bool came_back(void)
{
	const uint16_t *word = test_packed() ? &((struct vring_packed_desc *)q->desc)->flags
					     : &((struct vring_used *)q->used)->idx;
	uint16_t v = __atomic_load_n(word, __ATOMIC_ACQUIRE);

	return test_packed() ? v >> VRING_PACKED_DESC_F_USED & 1 : v != 0;
}

static enum end what_became(void)
{
	for (int64_t end = test_ms() + TEST_PATIENCE_MS; test_ms() < end;) {
		if (drv_signalled(q->err, 1))
			return BROKEN;
		if (came_back())
			return BACK;
	}
	return EITHER;
}

static void restart(void)
{
	uint32_t base;

	OK(vm_stop_queue(&vm, 2, &base));
	drv_reset(q, q->cfg.base);
	OK(vm_start_queue(&vm, 2, q->cfg.base));
}

static void expect_alive(void)
{
	struct fuse_attr_out a;

	OK(fc_getattr(&vm.client[1], FUSE_ROOT_ID, 0, &a));
}

static void run_chain(void **state)
{
	const struct bad_chain *b = *state;
	enum end end;

	put_table(b);
	if (test_packed())
		put_packed(b);
	else
		put_split(b);
	drv_kick_always(q);
	if (b->end == EITHER) {
		usleep(2000);
		return;
	}
	end = what_became();
	if (end != b->end)
		fail_msg("%s", end == BROKEN ? "the ring broke"
			       : end == BACK ? "it came back"
					     : "nothing happened");
}

/* A packed ring whose every descriptor says that another follows. */
static void endless_packed_chain(void **state)
{
	struct vring_packed_desc *d = q->desc;

	(void)state;
	if (!test_packed())
		skip();
	for (unsigned int i = SIZE; i--;)
		d[i] = (struct vring_packed_desc){SOMEWHERE, 1, 0, NEXT | 1u << VRING_PACKED_DESC_F_AVAIL};
	drv_kick_always(q);
	assert_int_equal(what_became(), BROKEN);
}

static void kicks_without_end(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		drv_kick_always(q);
}

/* What is used, and what the guest wants to hear of, is of no meaning to the device but for calls. */
static void areas_full_of_nonsense(void **state)
{
	struct fuse_attr_out a;

	(void)state;
	memset(q->used, 0xa5, test_packed() ? 4 : 6 + 8 * SIZE);
	if (test_packed())
		memset(q->avail, 0xa5, 4);
	drv_kick_always(q);
	usleep(1000);
	restart();
	OK(fc_getattr(&vm.client[2], FUSE_ROOT_ID, 0, &a));
}

/*
 * Another CPU of the guest changes what the device is reading.
 */
struct flip {
	pthread_t thread;
	atomic_bool end;
	volatile uint32_t *at;
	uint32_t a, b;
};

/* A race is what is meant here: the thread sanitizer is not to see it. */
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
	struct flip *f = arg;

	while (!atomic_load(&f->end)) {
		*f->at = f->a;
		*f->at = f->b;
	}
	return NULL;
}

/* Requests all the while; the ring may break, and is set up again then. */
static void ask_meanwhile(uint32_t *at, uint32_t a, uint32_t b)
{
	struct flip f = {.at = at, .a = a, .b = b};

	assert_int_equal(pthread_create(&f.thread, NULL, flip, &f), 0);
	for (unsigned int i = 0; i < 400; i++) {
		if (raw_send(&vm, 2, &request, 20) >= 0)
			continue;
		if (!drv_signalled(q->err, 100))
			continue;
		restart();
	}
	atomic_store(&f.end, true);
	pthread_join(f.thread, NULL);
}

static void length_that_changes(void **state)
{
	(void)state;
	ask_meanwhile(test_packed() ? &((struct vring_packed_desc *)q->desc)->len
				    : &((struct vring_desc *)q->desc)->len,
		RAW_IN, 0xffffffff);
}

static void address_that_changes(void **state)
{
	uint32_t *high = (uint32_t *)q->desc + 1;

	(void)state;
	ask_meanwhile(high, *high, 0x70000000);
}

static void request_length_that_changes(void **state)
{
	(void)state;
	ask_meanwhile((uint32_t *)(void *)request.in, RAW_IN, 0x7fffffff);
	memcpy(request.in, &(uint32_t){RAW_IN}, 4);
}

static void opcode_that_changes(void **state)
{
	(void)state;
	ask_meanwhile((uint32_t *)(void *)request.in + 1, FUSE_GETATTR, FUSE_READDIRPLUS);
	memcpy(request.in + 4, &(uint32_t){FUSE_GETATTR}, 4);
}

static void inode_that_changes(void **state)
{
	(void)state;
	ask_meanwhile((uint32_t *)(void *)request.in + 4, FUSE_ROOT_ID, 0xfffffff0);
	memcpy(request.in + 16, &(uint32_t){FUSE_ROOT_ID}, 4);
}

/* A name that is good when it is looked at, and another when it is used: x.. and a path upwards. */
static void name_that_changes(void **state)
{
	static const uint32_t lens[] = {sizeof(struct fuse_in_header) + 7};
	struct fuse_in_header h = {
		.len = lens[0], .opcode = FUSE_UNLINK, .unique = 5, .nodeid = FUSE_ROOT_ID};
	struct raw kept = request;
	uint32_t good, evil;

	(void)state;
	host_write_file(vm.daemon.share, "../out", "outside", 7);
	memcpy(&good, "x.xo", 4);
	memcpy(&evil, "../o", 4);
	memcpy(request.in, &h, sizeof(h));
	memcpy(request.in + sizeof(h) + 4, "ut\0", 4);
	request.seg[0].len = lens[0];
	ask_meanwhile((uint32_t *)(void *)(request.in + sizeof(h)), good, evil);
	host_expect_file(vm.daemon.share, "../out", "outside", 7);
	request = kept;
	h = (struct fuse_in_header){
		.len = RAW_IN, .opcode = FUSE_GETATTR, .unique = 77, .nodeid = FUSE_ROOT_ID};
	memset(request.in, 0, RAW_IN);
	memcpy(request.in, &h, sizeof(h));
}

/* The other queue does not notice, and this one goes on once it is set up. */
static int check(void **state)
{
	struct fuse_attr_out a;

	(void)state;
	if (spawn_check(&vm.daemon, &vm.err)) {
		fprintf(stderr, "%s\n", vm.err.text);
		spawn_show_log(&vm.daemon);
		return -1;
	}
	assert_int_equal(spawn_server_pid(&vm.daemon), server);
	expect_alive();
	restart();
	fc_abandon(&vm.client[2]);
	drv_signalled(q->err, 0);
	raw_make(&vm, &request, 0);
	raw_expect_reply(&vm, 2, &request);
	restart();
	OK(fc_getattr(&vm.client[1], FUSE_ROOT_ID, 0, &a));
	return 0;
}

static const struct CMUnitTest others[] = {
	cmocka_unit_test(endless_packed_chain),
	cmocka_unit_test(kicks_without_end),
	cmocka_unit_test(areas_full_of_nonsense),
	cmocka_unit_test(length_that_changes),
	cmocka_unit_test(address_that_changes),
	cmocka_unit_test(request_length_that_changes),
	cmocka_unit_test(opcode_that_changes),
	cmocka_unit_test(inode_that_changes),
	cmocka_unit_test(name_that_changes),
};

static struct CMUnitTest tests[ARRAY_LEN(bad) + ARRAY_LEN(others)];
static unsigned int ntests;

static void add_all(unsigned int format)
{
	ntests = 0;
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
		if (!bad[i].only || bad[i].only == format)
			tests[ntests++] = (struct CMUnitTest){
				bad[i].what, run_chain, NULL, check, (void *)(uintptr_t)&bad[i]};
	for (unsigned int i = 0; i < ARRAY_LEN(others); i++) {
		tests[ntests] = others[i];
		tests[ntests++].teardown_func = check;
	}
}

static int set_up(void **state)
{
	static const struct vm_config cfg = {
		.queues = 2, .size = SIZE, .memory = REGION, .client = {.max_data = 4096}};

	(void)state;
	test_boot(&vm, &cfg, (const char *const[]){"--queues=2", NULL});
	table = gm_alloc(&vm.gm, 2048 * 16, 16);
	raw_make(&vm, &request, 0);
	server = spawn_server_pid(&vm.daemon);
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
	int failed;

	alarm(TEST_MOST_SECONDS);
	add_all(SPLIT);
	failed = _cmocka_run_group_tests("hostile split rings", tests, ntests, set_up, tear_down);
	test_set_packed(true);
	add_all(PACKED);
	return failed + _cmocka_run_group_tests("hostile packed rings", tests, ntests, set_up, tear_down);
}
