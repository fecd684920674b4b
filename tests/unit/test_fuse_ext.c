/* SPDX-License-Identifier: BSD-3-Clause */
/* Extensions of creating requests: labels and groups, in every form that is wrong. */
#include "fuse_fake.h"

#include "base/arith.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MKDIR	"mkdir 7 d mode=40755 umask=0 rdev=0 uid=1000"
#define LABEL	"security.selinux"
#define CONTEXT "a:b:c"

static void start(struct guest *g, uint32_t minor, uint64_t flags)
{
	struct fuse_session_config cfg = guest_config();

	guest_open(g, &cfg);
	assert_int_equal(guest_init(g, minor, flags | FUSE_INIT_EXT, NULL), 0);
	fake_clear(&g->fs);
}

static void put_u32(struct guest *g, uint32_t v)
{
	guest_put_record(g, v);
}

/* MKDIR up to where its extensions begin; end_mkdir() makes the header fit them. */
static size_t begin_mkdir(struct guest *g)
{
	struct fuse_mkdir_in in = {.mode = 0755};

	guest_begin(g, FUSE_MKDIR, 7);
	guest_put_record(g, in);
	guest_put_string(g, "d");
	return g->len;
}

static int end_mkdir(struct guest *g, size_t from)
{
	while ((g->len - from) % 8)
		guest_put(g, "", 1);
	guest_header(g)->total_extlen = (uint16_t)((g->len - from) / 8);
	fake_clear(&g->fs);
	guest_send(g);
	return g->reply.error;
}

/* As Linux does: header, fuse_secctx, name, label, padded to 8. */
static void put_label(struct guest *g)
{
	uint32_t body = sizeof(struct fuse_secctx) + sizeof(LABEL) + sizeof(CONTEXT);
	uint32_t padded = (uint32_t)arith_align_up(body, 8);

	put_u32(g, 8 + padded);
	put_u32(g, 1);
	put_u32(g, sizeof(CONTEXT));
	put_u32(g, 0);
	guest_put_string(g, LABEL);
	guest_put_string(g, CONTEXT);
	guest_put(g, "\0\0\0\0\0\0\0", padded - body);
}

static void put_groups(struct guest *g, uint32_t n)
{
	put_u32(g, (uint32_t)arith_align_up(12 + 4 * n, 8));
	put_u32(g, FUSE_EXT_GROUPS);
	put_u32(g, n);
	for (uint32_t i = 0; i < n; i++)
		put_u32(g, 500 + i);
	if (!(n % 2))
		put_u32(g, 0);
}

static void labels_and_groups_are_read(void **state)
{
	struct guest g;
	size_t from;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP);
	from = begin_mkdir(&g);
	put_label(&g);
	put_groups(&g, 1);
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR " supp=500 label=" LABEL ":" CONTEXT ";");
	from = begin_mkdir(&g);
	put_groups(&g, 2);
	put_label(&g);
	g.pin = 1;
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR " supp=500 supp=501 label=" LABEL ":" CONTEXT ";");
	from = begin_mkdir(&g); /* nothing is left over from the request before */
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR ";");
	guest_close(&g);
}

static void what_was_not_negotiated_is_not_looked_at(void **state)
{
	struct guest g;
	size_t from;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_CREATE_SUPP_GROUP);
	from = begin_mkdir(&g);
	put_label(&g);
	put_groups(&g, 1);
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR " supp=500;");
	guest_close(&g);

	start(&g, FUSE_MINOR, 0);
	from = begin_mkdir(&g);
	guest_put(&g, "this is no extension at all!", 28);
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR ";");
	guest_close(&g);
}

/* 7.36 and 7.37 put the labels behind the last argument, with nothing in the header. */
static void labels_of_older_guests_are_read(void **state)
{
	struct guest g;

	(void)state;
	start(&g, 36, FUSE_SECURITY_CTX);
	begin_mkdir(&g);
	put_label(&g);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	assert_string_equal(g.fs.log, MKDIR " label=" LABEL ":" CONTEXT ";");
	guest_close(&g);
}

static void a_list_of_no_labels_is_allowed(void **state)
{
	struct guest g;
	size_t from;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_SECURITY_CTX);
	from = begin_mkdir(&g);
	put_u32(&g, 8);
	put_u32(&g, 0);
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR ";");
	guest_close(&g);
}

static void unknown_types_are_skipped(void **state)
{
	struct guest g;
	size_t from;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_CREATE_SUPP_GROUP);
	from = begin_mkdir(&g);
	put_u32(&g, 16);
	put_u32(&g, 33);
	guest_put(&g, "whatever", 8);
	put_groups(&g, 1);
	assert_int_equal(end_mkdir(&g, from), 0);
	assert_string_equal(g.fs.log, MKDIR " supp=500;");
	guest_close(&g);
}

static void wrong_forms_are_refused(void **state)
{
	static const struct {
		uint32_t words[6];
		int error;
	} wrong[] = {
		{{0, FUSE_EXT_GROUPS, 0, 0}, -EINVAL}, /* no room for its own header */
		{{7, FUSE_EXT_GROUPS, 0, 0}, -EINVAL},
		{{UINT32_MAX, FUSE_EXT_GROUPS, 0, 0}, -EINVAL}, /* longer than what is there */
		{{25, FUSE_EXT_GROUPS, 1, 2}, -EINVAL},
		{{8, FUSE_EXT_GROUPS, 16, 33}, -EINVAL},	 /* no number of groups; then cut */
		{{16, FUSE_EXT_GROUPS, 2, 1}, -EINVAL},		 /* more groups than bytes */
		{{24, FUSE_EXT_GROUPS, 0x40000001, 1}, -EINVAL}, /* times 4 it wraps */
		{{24, FUSE_EXT_GROUPS, UINT32_MAX, 1}, -EINVAL},
		{{24, 2, 0, 0}, -EOPNOTSUPP}, /* two labels */
		{{24, 31, 0, 0}, -EOPNOTSUPP},
		{{8, 1, 8, 0}, -EINVAL},			  /* a label without a record */
		{{24, 1, 0, 0, 0x61616161, 0x61616161}, -EINVAL}, /* its name has no end */
		{{24, 1, 9, 0, 0x61, 0}, -EINVAL},		  /* shorter than it says */
		{{24, 1, UINT32_MAX, 0, 0x61, 0}, -EINVAL},
		{{24, 1, 65537, 0, 0x61, 0}, -EINVAL},
	};
	struct guest g;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		size_t from = begin_mkdir(&g);

		guest_put_record(&g, wrong[i].words);
		assert_int_equal(end_mkdir(&g, from), wrong[i].error);
		assert_string_equal(g.fs.log, "");
	}
	guest_close(&g);
}

static void extensions_longer_than_the_request_are_refused(void **state)
{
	struct guest g;

	(void)state;
	start(&g, FUSE_MINOR, FUSE_SECURITY_CTX);
	begin_mkdir(&g);
	put_label(&g);
	guest_header(&g)->total_extlen = (uint16_t)((g.len - 40) / 8 + 1);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	guest_header(&g)->total_extlen = UINT16_MAX;
	guest_send(&g);
	assert_int_equal(g.reply.error, -EINVAL);
	assert_string_equal(g.fs.log, "");
	guest_close(&g);
}

/* Whatever the cut: nothing is read behind it, and nothing half-read is used. */
static void a_cut_at_any_byte_is_refused(void **state)
{
	struct guest g;
	size_t from, whole;

	(void)state;
	start(&g, 37, FUSE_SECURITY_CTX);
	from = begin_mkdir(&g);
	put_label(&g);
	whole = g.len;
	for (g.len = from + 1; g.len < whole; g.len++) {
		fake_clear(&g.fs);
		guest_send(&g);
		assert_int_equal(g.reply.error, -EINVAL);
		assert_string_equal(g.fs.log, "");
	}
	guest_close(&g);
}

/* The op for symlinks takes no label, so it is set afterwards. */
static void a_symlinks_label_is_set_on_it(void **state)
{
	struct guest g;

	(void)state;
	start(&g, 37, FUSE_SECURITY_CTX);
	guest_begin(&g, FUSE_SYMLINK, 7);
	guest_put(&g, "n\0to", 5);
	put_label(&g);
	guest_send(&g);
	assert_int_equal(g.reply.error, 0);
	assert_string_equal(
		g.fs.log, "symlink 7 n to;setxattr 100 " LABEL "=" CONTEXT " size=6 flags=0 kill=0;");
	guest_close(&g);
}

/* Labels that the host does not take: no link without its label stays behind. */
static void a_symlink_that_takes_no_label_goes_again(void **state)
{
	struct guest g;

	(void)state;
	start(&g, 37, FUSE_SECURITY_CTX);
	guest_begin(&g, FUSE_SYMLINK, 7);
	guest_put(&g, "n\0to", 5);
	for (size_t i = 0; i < 4; i++)
		put_u32(&g, (uint32_t[]){8 + 24, 1, 2, 0}[i]);
	guest_put(&g, "refused.label\0xy", 16);
	guest_send(&g);
	assert_int_equal(g.reply.error, -EOPNOTSUPP);
	assert_non_null(strstr(g.fs.log, "unlink 7 n;forget 100 1;"));
	assert_int_equal(g.fs.lookups, 0);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_and_groups_are_read),
		cmocka_unit_test(what_was_not_negotiated_is_not_looked_at),
		cmocka_unit_test(labels_of_older_guests_are_read),
		cmocka_unit_test(a_list_of_no_labels_is_allowed),
		cmocka_unit_test(unknown_types_are_skipped),
		cmocka_unit_test(wrong_forms_are_refused),
		cmocka_unit_test(extensions_longer_than_the_request_are_refused),
		cmocka_unit_test(a_cut_at_any_byte_is_refused),
		cmocka_unit_test(a_symlinks_label_is_set_on_it),
		cmocka_unit_test(a_symlink_that_takes_no_label_goes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
