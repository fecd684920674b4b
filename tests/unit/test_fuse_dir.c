/* SPDX-License-Identifier: BSD-3-Clause */
/* Listings: how entries are packed, where they stop, and that every lookup in them reaches the guest. */
#include "fuse_fake.h"

#include "base/arith.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names of 1, 2, 8 and 9 bytes: records of 24 + 8, 8, 8 and 16 bytes. */
static const char *const plain[] = {".", "..", "12345678", "123456789", NULL};
static const size_t plain_sizes[] = {32, 32, 32, 40};

static void start(struct guest *g, const char *const *names)
{
	struct fuse_session_config cfg = guest_config();

	guest_open(g, &cfg);
	guest_init(g, FUSE_MINOR, UINT64_MAX, NULL);
	g->fs.names = names;
	fake_clear(&g->fs);
}

static void finish(struct guest *g)
{
	assert_int_equal(g->fs.dir_locks, 0);
	guest_close(g);
}

static void send_read(struct guest *g, uint32_t opcode, uint32_t size, uint64_t off)
{
	struct fuse_read_in in = {.fh = FAKE_FH, .offset = off, .size = size};

	guest_begin(g, opcode, 7);
	guest_put_record(g, in);
	guest_send(g);
}

/* Checks the listing's entries against names[first...]; returns how many there are. */
static size_t check_listing(const struct guest *g, bool plus, const char *const *names, size_t first)
{
	size_t head = plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
	size_t at = 0, n = 0;

	while (at < g->nbody) {
		const char *want = names[first + n];
		struct fuse_dirent d;

		assert_true(at + head <= g->nbody);
		memcpy(&d, g->body + at + head - sizeof(d), sizeof(d));
		assert_int_equal(d.namelen, strlen(want));
		assert_memory_equal(g->body + at + head, want, d.namelen);
		assert_int_equal(d.off, first + n + 1);
		assert_int_equal(d.ino, first + n + 10);
		assert_int_equal(d.type, 8);
		for (at += head + d.namelen; at % 8; at++)
			assert_int_equal(g->body[at], 0);
		n++;
	}
	assert_int_equal(at, g->nbody);
	return n;
}

static void entries_are_packed_up_to_the_size(void **state)
{
	struct guest g;

	(void)state;
	start(&g, plain);
	for (uint32_t size = 32; size <= 200; size++) {
		size_t fit = 0, sum = 0;

		send_read(&g, FUSE_READDIR, size, 0);
		assert_int_equal(g.reply.error, 0);
		while (fit < 4 && sum + plain_sizes[fit] <= size)
			sum += plain_sizes[fit++];
		assert_int_equal(check_listing(&g, false, plain, 0), fit);
		assert_int_equal(g.nbody, sum);
	}
	finish(&g);
}

static void the_guests_room_bounds_a_listing_too(void **state)
{
	struct guest g;

	(void)state;
	start(&g, plain);
	g.room = sizeof(struct fuse_out_header) + 70;
	send_read(&g, FUSE_READDIR, UINT32_MAX, 0);
	assert_int_equal(check_listing(&g, false, plain, 0), 2);
	finish(&g);
}

static void a_size_without_room_for_one_entry_is_invalid(void **state)
{
	struct guest g;

	(void)state;
	start(&g, plain);
	for (uint32_t size = 0; size < 32; size++) {
		send_read(&g, FUSE_READDIR, size, 0);
		assert_int_equal(g.reply.error, -EINVAL);
	}
	for (uint32_t size = 0; size < 160; size++) {
		send_read(&g, FUSE_READDIRPLUS, size, 2);
		assert_int_equal(g.reply.error, -EINVAL);
	}
	assert_string_equal(g.fs.log, "");
	send_read(&g, FUSE_READDIR, 0, 4); /* the end needs no room */
	assert_int_equal(g.reply.error, 0);
	assert_int_equal(g.nbody, 0);
	finish(&g);
}

static void positions_go_on_where_they_ended(void **state)
{
	uint64_t off = 0;
	struct guest g;

	(void)state;
	start(&g, plain);
	for (;;) {
		send_read(&g, FUSE_READDIR, 64, off);
		assert_int_equal(g.reply.error, 0);
		if (!g.nbody)
			break;
		off += check_listing(&g, false, plain, off);
	}
	assert_int_equal(off, 4);
	finish(&g);
}

static uint64_t entry_node(const struct guest *g, size_t at)
{
	struct fuse_entry_out e;

	memcpy(&e, g->body + at, sizeof(e));
	return e.nodeid;
}

static void readdirplus_looks_names_up_but_dots(void **state)
{
	struct guest g;
	struct fuse_entry_out e;

	(void)state;
	start(&g, plain);
	send_read(&g, FUSE_READDIRPLUS, 4096, 0);
	assert_int_equal(check_listing(&g, true, plain, 0), 4);
	assert_string_equal(g.fs.log, "lookup 7 12345678;lookup 7 123456789;");
	assert_int_equal(entry_node(&g, 0), 0);
	assert_int_equal(entry_node(&g, 160), 0);
	assert_int_equal(entry_node(&g, 320), FAKE_NODE);
	assert_int_equal(entry_node(&g, 480), FAKE_NODE + 1);
	memcpy(&e, g.body + 320, sizeof(e));
	assert_int_equal(e.attr.ino, FAKE_NODE);
	assert_int_equal(e.entry_valid, 1);
	finish(&g);
}

/* At every size: as many lookups are counted as entries with an inode are in the listing. */
static void no_lookup_is_lost_at_any_size(void **state)
{
	(void)state;
	for (uint32_t size = 0; size < 700; size++) {
		int64_t told = 0;
		struct guest g;

		start(&g, plain);
		send_read(&g, FUSE_READDIRPLUS, size, 0);
		for (size_t at = 0; at < g.nbody; at += at < 480 ? 160 : 168)
			told += entry_node(&g, at) != 0;
		assert_int_equal(g.fs.lookups, told);
		finish(&g);
	}
}

static void a_name_that_is_gone_is_listed_without_an_inode(void **state)
{
	static const char *const names[] = {"gone1", "here", "gone2", NULL};
	struct guest g;

	(void)state;
	start(&g, names);
	send_read(&g, FUSE_READDIRPLUS, 4096, 0);
	assert_int_equal(check_listing(&g, true, names, 0), 3);
	assert_int_equal(entry_node(&g, 0), 0);
	assert_int_equal(entry_node(&g, 160), FAKE_NODE);
	assert_int_equal(entry_node(&g, 320), 0);
	assert_int_equal(g.fs.lookups, 1);
	finish(&g);
}

static void a_name_beyond_name_max_is_listed_alone(void **state)
{
	static char longest[256 + 1], longer[300];
	const char *const names[] = {longest, longer, NULL};
	struct guest g;

	(void)state;
	memset(longest, 'x', 255);
	memset(longer, 'y', sizeof(longer) - 1);
	start(&g, names);
	send_read(&g, FUSE_READDIRPLUS, 4096, 0);
	assert_int_equal(check_listing(&g, true, names, 0), 2);
	assert_int_equal(g.fs.lookups, 1);
	finish(&g);
}

/* Entries ahead of an error are delivered, and the error by the next request. */
static void an_error_comes_after_the_entries_ahead_of_it(void **state)
{
	struct guest g;

	(void)state;
	start(&g, plain);
	g.fs.readdir_fails = EIO;
	send_read(&g, FUSE_READDIR, 4096, 0);
	assert_int_equal(check_listing(&g, false, plain, 0), 4);
	send_read(&g, FUSE_READDIR, 4096, 4);
	assert_int_equal(g.reply.error, -EIO);
	finish(&g);
}

static void a_handle_that_is_none_is_refused(void **state)
{
	struct fuse_read_in in = {.fh = 1, .size = 4096};
	struct guest g;

	(void)state;
	start(&g, plain);
	guest_begin(&g, FUSE_READDIR, 7);
	guest_put_record(&g, in);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EBADF);
	finish(&g);
}

static void a_listing_is_at_most_a_mebibyte(void **state)
{
	struct guest g;

	(void)state;
	start(&g, NULL);
	g.fs.repeat = 40000; /* of 32 bytes each */
	g.room = 4 << 20;
	send_read(&g, FUSE_READDIR, UINT32_MAX, 0);
	assert_int_equal(g.nbody, 1 << 20);
	finish(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_packed_up_to_the_size),
		cmocka_unit_test(the_guests_room_bounds_a_listing_too),
		cmocka_unit_test(a_size_without_room_for_one_entry_is_invalid),
		cmocka_unit_test(positions_go_on_where_they_ended),
		cmocka_unit_test(readdirplus_looks_names_up_but_dots),
		cmocka_unit_test(no_lookup_is_lost_at_any_size),
		cmocka_unit_test(a_name_that_is_gone_is_listed_without_an_inode),
		cmocka_unit_test(a_name_beyond_name_max_is_listed_alone),
		cmocka_unit_test(an_error_comes_after_the_entries_ahead_of_it),
		cmocka_unit_test(a_handle_that_is_none_is_refused),
		cmocka_unit_test(a_listing_is_at_most_a_mebibyte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
