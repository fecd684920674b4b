/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT: versions, flags, what the cache modes mean, and sessions that end and begin again. */
#include "fuse_fake.h"

#include "base/arith.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERYTHING UINT64_MAX

static uint64_t reply_flags(const struct fuse_init_out *out)
{
	return out->flags | (uint64_t)out->flags2 << 32;
}

/* The flags that a guest which knows @guest and this configuration agree on. */
static uint64_t negotiate(const struct fuse_session_config *cfg, uint64_t guest, struct op_features *features)
{
	struct fuse_init_out out = {0};
	struct guest g;

	guest_open(&g, cfg);
	assert_int_equal(guest_init(&g, FUSE_MINOR, guest, &out), 0);
	if (features)
		*features = g.fs.features;
	guest_close(&g);
	return reply_flags(&out);
}

static void each_minor_from_27_is_served(void **state)
{
	static const uint32_t minors[][2] = {{27, 27}, {31, 31}, {36, 36}, {38, 38}, {FUSE_MINOR, FUSE_MINOR},
		{FUSE_MINOR + 1, FUSE_MINOR}, {UINT32_MAX, FUSE_MINOR}};
	struct fuse_session_config cfg = guest_config();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(minors); i++) {
		uint64_t flags = minors[i][0] >= 36 ? EVERYTHING : 0x3fffffff;
		struct fuse_init_out out = {0};
		struct guest g;

		guest_open(&g, &cfg);
		assert_int_equal(guest_init(&g, minors[i][0], flags, &out), 0);
		assert_int_equal(out.major, 7);
		assert_int_equal(out.minor, minors[i][1]);
		assert_int_equal(reply_flags(&out) & ~flags, 0);
		assert_int_equal(!out.flags2, minors[i][0] < 36);
		assert_int_equal(out.max_readahead, 131072);
		assert_int_equal(out.max_write, 1024 * 1024);
		assert_int_equal(out.max_pages, 256);
		assert_int_equal(out.time_gran, 1);
		assert_true(out.congestion_threshold <= out.max_background && out.congestion_threshold);
		assert_int_equal(g.fs.inits, 1);
		guest_close(&g);
	}
}

/* A window in which the front-end maps nothing: only who asks which files to map can be told. */
static void a_window_is_tried(void **state)
{
	static const struct {
		uint64_t asked;
		bool works;
		uint64_t agreed;
	} cases[] = {
		{FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX, true,
			FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX},
		{FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX, false, FUSE_INIT_EXT},
		{FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT, true, FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT},
		{FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT, false, FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT},
		{FUSE_INIT_EXT | FUSE_HAS_INODE_DAX, true, FUSE_INIT_EXT},
	};
	struct fuse_session_config cfg = guest_config();

	(void)state;
	cfg.dax_align = 21;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fuse_init_out out = {0};
		struct guest g;

		guest_open(&g, &cfg);
		g.fs.window_works = cases[i].works;
		assert_int_equal(guest_init(&g, FUSE_MINOR, cases[i].asked, &out), 0);
		assert_int_equal(reply_flags(&out), cases[i].agreed);
		assert_int_equal(g.fs.features.dax, !!(cases[i].agreed & FUSE_MAP_ALIGNMENT));
		assert_int_equal(out.map_alignment, g.fs.features.dax ? 21 : 0);
		guest_close(&g);
	}
}

static void a_windows_guest_gets_what_it_asks(void **state)
{
	struct fuse_session_config cfg = guest_config();
	uint64_t asked = FUSE_DO_READDIRPLUS | FUSE_MAX_PAGES;

	(void)state;
	assert_int_equal(negotiate(&cfg, asked, NULL), asked);
}

static void older_minors_are_refused(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	assert_int_equal(guest_init(&g, 26, EVERYTHING, NULL), -EPROTO);
	assert_int_equal(guest_init(&g, 0, EVERYTHING, NULL), -EPROTO);
	assert_string_equal(g.fs.log, "");
	guest_begin(&g, FUSE_STATFS, 1);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EIO);
	guest_close(&g);
}

static void another_major_hears_ours_or_an_error(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct fuse_init_in in = {.major = 8, .minor = 1};
	struct fuse_init_out out;
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	guest_begin(&g, FUSE_INIT, 0);
	guest_put_record(&g, in);
	assert_int_equal(guest_send(&g), sizeof(struct fuse_out_header) + sizeof(out));
	memcpy(&out, g.body, sizeof(out));
	assert_int_equal(out.major, 7);
	assert_int_equal(out.minor, FUSE_MINOR);
	in.major = 6;
	guest_begin(&g, FUSE_INIT, 0);
	guest_put_record(&g, in);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EPROTO);
	assert_int_equal(g.fs.inits, 0);
	guest_close(&g);
}

static void what_is_never_offered(void **state)
{
	static const uint64_t never = FUSE_EXPORT_SUPPORT | FUSE_EXPLICIT_INVAL_DATA | FUSE_HAS_EXPIRE_ONLY |
				      FUSE_ALLOW_IDMAP | FUSE_PASSTHROUGH | FUSE_OVER_IO_URING |
				      FUSE_HANDLE_KILLPRIV | FUSE_SPLICE_READ | FUSE_HAS_RESEND | 1ULL << 31;

	(void)state;
	for (int cache = FUSE_CACHE_NEVER; cache <= FUSE_CACHE_ALWAYS; cache++) {
		struct fuse_session_config cfg = guest_config();

		cfg.cache = (enum fuse_cache)cache;
		cfg.writeback = cfg.allow_mmap = cfg.zero_message_open = true;
		assert_int_equal(negotiate(&cfg, EVERYTHING, NULL) & never, 0);
	}
}

/* Each option, the flags that hang on it alone, and the feature that the file system hears of. */
static void options_offer_flags(void **state)
{
	static const struct {
		size_t option, feature;
		uint64_t flags;
	} rows[] = {
#define OPTION(o)  offsetof(struct fuse_session_config, o)
#define FEATURE(f) offsetof(struct op_features, f)
		{OPTION(posix_locks), FEATURE(posix_locks), FUSE_POSIX_LOCKS},
		{OPTION(flock_locks), FEATURE(flock_locks), FUSE_FLOCK_LOCKS},
		{OPTION(writeback), FEATURE(writeback), FUSE_WRITEBACK_CACHE},
		{OPTION(posix_acl), FEATURE(posix_acl), FUSE_POSIX_ACL | FUSE_DONT_MASK},
		{OPTION(announce_submounts), FEATURE(submounts), FUSE_SUBMOUNTS},
		{OPTION(killpriv_v2), FEATURE(killpriv_v2), FUSE_HANDLE_KILLPRIV_V2},
		{OPTION(security_label), FEATURE(security_ctx), FUSE_SECURITY_CTX},
		{OPTION(readdirplus), SIZE_MAX, FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (int on = 0; on < 2; on++) {
			struct fuse_session_config cfg = guest_config();
			struct op_features f;

			*(bool *)((char *)&cfg + rows[i].option) = on;
			assert_int_equal(
				negotiate(&cfg, EVERYTHING, &f) & rows[i].flags, on ? rows[i].flags : 0);
			if (rows[i].feature != SIZE_MAX)
				assert_int_equal(*(bool *)((char *)&f + rows[i].feature), on);
		}
}

static void a_flag_goes_with_what_it_needs(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct op_features f;

	(void)state;
	assert_int_equal(negotiate(&cfg, FUSE_POSIX_ACL, &f), 0);
	assert_false(f.posix_acl);
	assert_int_equal(negotiate(&cfg, FUSE_DONT_MASK, NULL), 0);
	assert_int_equal(negotiate(&cfg, FUSE_READDIRPLUS_AUTO, NULL), 0);
	cfg.xattr = false;
	assert_int_equal(
		negotiate(&cfg, EVERYTHING, &f) & (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SECURITY_CTX), 0);
	assert_false(f.posix_acl || f.security_ctx);
}

/* --posix-acl and --security-label without a value: a guest without it is not served. */
static void what_the_options_insist_on_must_be_there(void **state)
{
	static const size_t options[] = {offsetof(struct fuse_session_config, posix_acl_required),
		offsetof(struct fuse_session_config, security_label_required)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		struct fuse_session_config cfg = guest_config();
		struct guest g;

		*(bool *)((char *)&cfg + options[i]) = true;
		guest_open(&g, &cfg);
		assert_int_equal(guest_init(&g, FUSE_MINOR, FUSE_INIT_EXT, NULL), -EOPNOTSUPP);
		assert_int_equal(g.fs.inits, 0);
		assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), 0);
		guest_close(&g);
	}
}

/* A guest that promises flags2 in a record that ends ahead of it. */
static void init_ext_without_its_record_is_no_init_ext(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct fuse_init_in in = {.major = 7, .minor = 36, .flags = UINT32_MAX, .flags2 = UINT32_MAX};
	struct fuse_init_out out;
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	guest_begin(&g, FUSE_INIT, 0);
	guest_put(&g, &in, FUSE_COMPAT_INIT_IN_SIZE);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	memcpy(&out, g.body, sizeof(out));
	assert_int_equal(out.flags & FUSE_INIT_EXT, 0);
	assert_int_equal(out.flags2, 0);
	guest_close(&g);
}

/* The names of what was agreed on, and of nothing else, for the person who asks why a guest does what it
 * does. */
static void the_result_is_logged(void **state)
{
	struct fuse_session_config cfg = guest_config();
	char text[512] = "";
	int saved = dup(STDERR_FILENO), pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	log_setup(LOG_LEVEL_TRACE, false, "test");
	dup2(pipes[1], STDERR_FILENO);
	negotiate(&cfg, FUSE_MAX_PAGES | FUSE_POSIX_LOCKS | FUSE_EXPORT_SUPPORT, NULL);
	dup2(saved, STDERR_FILENO);
	log_setup(LOG_LEVEL_WARN, false, "test");
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "the guest speaks 7.45: POSIX_LOCKS MAX_PAGES\n"));
	assert_non_null(strstr(text, "opcode 26"));
	close(pipes[0]);
	close(pipes[1]);
	close(saved);
}

static void max_write_becomes_pages(void **state)
{
	static const uint32_t sizes[][2] = {{4096, 1}, {4097, 2}, {4u << 20, 1024}, {65535u * 4096, 65535}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct fuse_session_config cfg = guest_config();
		struct fuse_init_out out = {0};
		struct guest g;

		cfg.max_write = sizes[i][0];
		guest_open(&g, &cfg);
		assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, &out), 0);
		assert_int_equal(out.max_write, sizes[i][0]);
		assert_int_equal(out.max_pages, sizes[i][1]);
		assert_int_equal(guest_init(&g, FUSE_MINOR, 0, &out), 0);
		assert_int_equal(out.max_pages, 0);
		guest_close(&g);
	}
}

static void max_write_out_of_range_is_refused(void **state)
{
	static const uint32_t sizes[] = {1, 4095, 65535u * 4096 + 1, UINT32_MAX};
	struct segment_plan plan[SEGMENT_SECTIONS] = {[SEGMENT_CONN] = fuse_session_plan()};
	struct segment seg;

	(void)state;
	assert_int_equal(segment_create(&seg, plan, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct fuse_session_config cfg = guest_config();
		struct fuse_session *s;
		struct err err;

		cfg.max_write = sizes[i];
		assert_int_equal(fuse_session_new(&cfg, &fake_ops, NULL, &seg, &s, &err), -EINVAL);
		assert_non_null(strstr(err.text, "max_write"));
	}
	segment_close(&seg);
}

struct policy {
	enum fuse_cache cache;
	uint64_t timeout;
	uint32_t file, dir;
	uint64_t flags, not_flags;
};

static void cache_modes_set_timeouts_and_open_flags(void **state)
{
	static const struct policy policies[] = {
		{FUSE_CACHE_NEVER, 0, FOPEN_DIRECT_IO, 0, FUSE_DIRECT_IO_ALLOW_MMAP,
			FUSE_AUTO_INVAL_DATA | FUSE_CACHE_SYMLINKS | FUSE_WRITEBACK_CACHE},
		{FUSE_CACHE_METADATA, 86400, FOPEN_DIRECT_IO, FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE,
			FUSE_DIRECT_IO_ALLOW_MMAP, FUSE_AUTO_INVAL_DATA | FUSE_WRITEBACK_CACHE},
		{FUSE_CACHE_AUTO, 1, 0, 0, FUSE_AUTO_INVAL_DATA | FUSE_WRITEBACK_CACHE,
			FUSE_CACHE_SYMLINKS | FUSE_DIRECT_IO_ALLOW_MMAP},
		{FUSE_CACHE_ALWAYS, 86400, FOPEN_KEEP_CACHE, FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE,
			FUSE_CACHE_SYMLINKS | FUSE_WRITEBACK_CACHE, FUSE_AUTO_INVAL_DATA},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
		const struct policy *p = &policies[i];
		struct fuse_session_config cfg = guest_config();
		struct fuse_open_in open_in = {0};
		struct fuse_init_out init;
		struct fuse_open_out open;
		struct fuse_entry_out entry;
		struct guest g;

		cfg.cache = p->cache;
		cfg.writeback = cfg.allow_mmap = true;
		guest_open(&g, &cfg);
		assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, &init), 0);
		assert_int_equal(reply_flags(&init) & (p->flags | p->not_flags), p->flags);
		guest_begin(&g, FUSE_OPEN, 1);
		guest_put_record(&g, open_in);
		guest_send(&g);
		memcpy(&open, g.body, sizeof(open));
		assert_int_equal(open.open_flags, p->file);
		guest_begin(&g, FUSE_OPENDIR, 1);
		guest_put_record(&g, open_in);
		guest_send(&g);
		memcpy(&open, g.body, sizeof(open));
		assert_int_equal(open.open_flags, p->dir);
		guest_begin(&g, FUSE_LOOKUP, 1);
		guest_put_string(&g, "n");
		guest_send(&g);
		memcpy(&entry, g.body, sizeof(entry));
		assert_int_equal(entry.entry_valid, p->timeout);
		assert_int_equal(entry.attr_valid, p->timeout);
		guest_close(&g);
	}
}

static void mmap_of_direct_io_is_opt_in(void **state)
{
	struct fuse_session_config cfg = guest_config();

	(void)state;
	cfg.cache = FUSE_CACHE_NEVER;
	assert_int_equal(negotiate(&cfg, EVERYTHING, NULL) & FUSE_DIRECT_IO_ALLOW_MMAP, 0);
}

static void timeouts_can_be_set(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct fuse_entry_out entry;
	struct guest g;

	(void)state;
	cfg.entry_timeout = 2.5;
	cfg.attr_timeout = 1e300;
	guest_open(&g, &cfg);
	guest_init(&g, FUSE_MINOR, EVERYTHING, NULL);
	guest_begin(&g, FUSE_LOOKUP, 1);
	guest_put_string(&g, "n");
	guest_send(&g);
	memcpy(&entry, g.body, sizeof(entry));
	assert_int_equal(entry.entry_valid, 2);
	assert_int_equal(entry.entry_valid_nsec, 500000000);
	assert_int_equal(entry.attr_valid, 1000000000);
	guest_close(&g);
}

/* OPEN and OPENDIR once, to learn that they are not needed; then directories are opened for each reading. */
static void zero_message_open_answers_opens_with_enosys(void **state)
{
	static const char *const names[] = {"a", NULL};
	struct fuse_session_config cfg = guest_config();
	struct fuse_open_in open = {0};
	struct fuse_read_in read = {.size = 4096};
	struct fuse_fsync_in fsync = {0};
	struct fuse_init_out out;
	struct guest g;

	(void)state;
	cfg.cache = FUSE_CACHE_ALWAYS;
	cfg.zero_message_open = true;
	guest_open(&g, &cfg);
	g.fs.names = names;
	guest_init(&g, FUSE_MINOR, EVERYTHING, &out);
	assert_true(g.fs.features.zero_message_open);
	assert_int_equal(reply_flags(&out) & (FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT),
		FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT);
	assert_int_equal(reply_flags(&out) & (FUSE_ATOMIC_O_TRUNC | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), 0);
	fake_clear(&g.fs);
	for (int i = 0; i < 2; i++) {
		guest_begin(&g, i ? FUSE_OPENDIR : FUSE_OPEN, 1);
		guest_put_record(&g, open);
		guest_send(&g);
		assert_int_equal(g.reply.error, -ENOSYS);
	}
	assert_string_equal(g.fs.log, "");
	guest_begin(&g, FUSE_READDIR, 1);
	guest_put_record(&g, read);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	assert_int_equal(g.nbody, 32);
	assert_string_equal(g.fs.log, "opendir 1 flags=200000;releasedir 1 fh=5000;");
	fake_clear(&g.fs);
	guest_begin(&g, FUSE_FSYNCDIR, 1);
	guest_put_record(&g, fsync);
	guest_send(&g);
	assert_string_equal(
		g.fs.log, "opendir 1 flags=200000;fsyncdir 1 fh=5000 data=0;releasedir 1 fh=5000;");
	assert_int_equal(g.fs.handles, 0);
	assert_int_equal(g.fs.dir_locks, 0);
	guest_close(&g);
}

static void zero_message_open_needs_cache_always_and_the_guest(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct op_features f;

	(void)state;
	cfg.zero_message_open = true;
	assert_int_equal(negotiate(&cfg, EVERYTHING, &f) & FUSE_NO_OPEN_SUPPORT, 0);
	assert_false(f.zero_message_open);
	cfg.cache = FUSE_CACHE_ALWAYS;
	assert_int_equal(negotiate(&cfg, FUSE_NO_OPENDIR_SUPPORT, &f), 0);
	assert_false(f.zero_message_open);
}

static int statfs(struct guest *g)
{
	guest_begin(g, FUSE_STATFS, 1);
	guest_send(g);
	return g->reply.error;
}

static void sessions_end_and_begin_again(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), 0);
	assert_int_equal(statfs(&g), 0);
	assert_int_equal(guest_init(&g, 31, 0, NULL), 0); /* the guest was reset */
	assert_int_equal(g.fs.inits, 2);
	assert_int_equal(g.fs.destroys, 1);
	assert_false(g.fs.features.posix_locks);
	guest_begin(&g, FUSE_DESTROY, 0);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	assert_int_equal(g.fs.destroys, 2);
	assert_int_equal(statfs(&g), -EIO);
	fuse_session_reset(g.session); /* idempotent */
	assert_int_equal(g.fs.destroys, 2);
	assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), 0);
	fuse_session_reset(g.session);
	assert_int_equal(g.fs.destroys, 3);
	assert_int_equal(statfs(&g), -EIO);
	guest_close(&g);
}

static void a_file_system_that_cannot_begin_fails_init(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	(void)state;
	guest_open(&g, &cfg);
	g.fs.fail = ENOMEM;
	assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), -ENOMEM);
	assert_int_equal(statfs(&g), -EIO);
	fuse_session_reset(g.session);
	assert_int_equal(g.fs.destroys, 0);
	guest_close(&g);
}

/* Another process takes the segment over. */
static void a_session_survives_in_its_segment(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;
	struct err err;

	(void)state;
	guest_open(&g, &cfg);
	assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), 0);
	fuse_worker_free(g.worker);
	fuse_session_free(g.session);
	assert_int_equal(fuse_session_new(&cfg, &fake_ops, &g.fs, &g.seg, &g.session, &err), 0);
	g.worker = fuse_worker_new(g.session, NULL, NULL);
	assert_int_equal(statfs(&g), 0);
	guest_close(&g);
}

static void a_session_of_other_options_is_not_taken_over(void **state)
{
	struct fuse_session_config cfg = guest_config();
	struct fuse_session *s;
	struct guest g;
	struct err err;

	(void)state;
	guest_open(&g, &cfg);
	assert_int_equal(guest_init(&g, FUSE_MINOR, EVERYTHING, NULL), 0);
	cfg.posix_locks = false;
	assert_int_equal(fuse_session_new(&cfg, &fake_ops, &g.fs, &g.seg, &s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "segment"));
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_minor_from_27_is_served),
		cmocka_unit_test(a_windows_guest_gets_what_it_asks),
		cmocka_unit_test(a_window_is_tried),
		cmocka_unit_test(older_minors_are_refused),
		cmocka_unit_test(another_major_hears_ours_or_an_error),
		cmocka_unit_test(what_is_never_offered),
		cmocka_unit_test(options_offer_flags),
		cmocka_unit_test(a_flag_goes_with_what_it_needs),
		cmocka_unit_test(what_the_options_insist_on_must_be_there),
		cmocka_unit_test(the_result_is_logged),
		cmocka_unit_test(init_ext_without_its_record_is_no_init_ext),
		cmocka_unit_test(max_write_becomes_pages),
		cmocka_unit_test(max_write_out_of_range_is_refused),
		cmocka_unit_test(cache_modes_set_timeouts_and_open_flags),
		cmocka_unit_test(mmap_of_direct_io_is_opt_in),
		cmocka_unit_test(timeouts_can_be_set),
		cmocka_unit_test(zero_message_open_answers_opens_with_enosys),
		cmocka_unit_test(zero_message_open_needs_cache_always_and_the_guest),
		cmocka_unit_test(sessions_end_and_begin_again),
		cmocka_unit_test(a_file_system_that_cannot_begin_fails_init),
		cmocka_unit_test(a_session_survives_in_its_segment),
		cmocka_unit_test(a_session_of_other_options_is_not_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
