/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile guest: the input is a script of requests to one session over a file system that only notes its
 * calls. After each: nothing was written beside the reply, the guest was told of every lookup and handle that
 * the file system gave, no directory stays claimed, and a read-only share was not changed.
 *
 * The first two bytes are options and the minor version of the INIT that opens the session. A request is:
 * opcode, form, room for the reply / 16, nodeid, length of extensions, length (2 bytes), arguments. Form:
 * bits 0-1 and 2-3 the size of the pieces of both directions, 4 the header says one byte more, 5 one less, 6
 * the op fails, 7 no room beyond a multiple of 16 but three bytes more.
 */
#include "fuzz.h"

#include "base/arith.h"
#include "base/cursor.h"
#include "base/log.h"
#include "fuse_fake.h"

#include <errno.h>
#include <stdlib.h>

static const char *const names[] = {
	".", "..", "a", "gone", "12345678", "a longer name than the others", NULL};
static const unsigned int pieces[] = {0, 1, 7, 40};

static struct fuse_session_config config_of(unsigned int bits)
{
	struct fuse_session_config cfg = guest_config();

	cfg.cache = (enum fuse_cache)(bits & 3);
	cfg.readonly = bits & 4;
	cfg.xattr = !(bits & 8);
	cfg.zero_message_open = bits & 16;
	cfg.posix_locks = !(bits & 32);
	cfg.max_write = bits & 64 ? 4096 : 0;
	return cfg;
}

static bool entry_at(const struct guest *g, size_t at)
{
	struct fuse_entry_out e;

	fuzz_require(at + sizeof(e) <= g->nbody);
	memcpy(&e, g->body + at, sizeof(e));
	return e.nodeid;
}

/* Walks a listing as a guest does. Returns its entries with an inode. */
static int64_t walk_listing(const struct guest *g, size_t head)
{
	int64_t inodes = 0;
	size_t at = 0;

	while (at < g->nbody) {
		struct fuse_dirent d;

		fuzz_require(at + head <= g->nbody);
		memcpy(&d, g->body + at + head - sizeof(d), sizeof(d));
		fuzz_require(d.namelen && d.namelen <= 255);
		inodes += head > sizeof(d) && entry_at(g, at);
		at += arith_align_up(head + d.namelen, 8);
		fuzz_require(at <= g->nbody);
	}
	return inodes;
}

/* How many lookups the last reply gives to the guest. */
static int64_t lookups_told(const struct guest *g, uint32_t opcode)
{
	if (!g->body || g->reply.error)
		return 0;
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		return entry_at(g, 0);
	case FUSE_READDIRPLUS:
		return walk_listing(g, sizeof(struct fuse_direntplus));
	case FUSE_READDIR:
		return walk_listing(g, sizeof(struct fuse_dirent));
	default:
		return 0;
	}
}

static int64_t handles_told(const struct guest *g, uint32_t opcode)
{
	if (!g->body || g->reply.error)
		return 0;
	switch (opcode) {
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		return 1;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return -1;
	default:
		return 0;
	}
}

static void check_unchanged(const struct fs *fs)
{
	static const char *const changes[] = {"setattr ", "symlink ", "mknod ", "mkdir ", "unlink ", "rmdir ",
		"rename ", "link ", "create ", "tmpfile ", "write ", "setxattr ", "removexattr ",
		"fallocate ", "copy "};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++)
		fuzz_require(strncmp(fs->log, changes[i], strlen(changes[i])) != 0);
}

static void send_and_check(struct guest *g, uint32_t opcode, bool readonly)
{
	bool drops = opcode == FUSE_INIT || opcode == FUSE_DESTROY || opcode == FUSE_FORGET ||
		     opcode == FUSE_BATCH_FORGET;
	uint64_t lookups = g->fs.lookups;
	int64_t handles = g->fs.handles;
	ssize_t r;

	fake_clear(&g->fs);
	r = guest_send(g);
	g->fs.fail = 0;
	fuzz_require(r >= 0 || r == -EPROTO);
	for (size_t i = r > 0 ? (size_t)r : 0; i < g->room; i++)
		fuzz_require(g->out[i] == 0xee);
	fuzz_require(g->fs.dir_locks == 0);
	if (!drops) {
		fuzz_require((int64_t)(g->fs.lookups - lookups) == lookups_told(g, opcode));
		fuzz_require(g->fs.handles - handles == handles_told(g, opcode));
	}
	if (readonly)
		check_unchanged(&g->fs);
}

static void step(struct guest *g, struct cursor *c, bool readonly)
{
	uint32_t opcode = fuzz_take(c, 1);
	unsigned int form = fuzz_take(c, 1);
	unsigned int room = fuzz_take(c, 1);
	size_t len;

	guest_begin(g, opcode, 0);
	guest_header(g)->nodeid = fuzz_take(c, 1);
	guest_header(g)->total_extlen = (uint16_t)fuzz_take(c, 1);
	len = fuzz_take(c, 2);
	len = MIN(len, cursor_left(c));
	guest_put(g, cursor_take(c, len), len);
	g->len_lie = (form >> 4 & 1) - (form >> 5 & 1);
	g->pin = pieces[form & 3];
	g->pout = pieces[form >> 2 & 3];
	g->room = room * 16 + (form & 128 ? 3 : 0);
	g->fs.fail = form & 64 ? EXDEV : 0;
	send_and_check(g, opcode, readonly);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct fuse_session_config cfg = config_of(fuzz_take(&c, 1));
	struct guest g;

	log_setup(LOG_LEVEL_OFF, false, "fuzz");
	guest_open(&g, &cfg);
	g.fs.names = names;
	g.fs.file_size = 3000;
	guest_init(&g, fuzz_take(&c, 1), UINT64_MAX, NULL);
	for (unsigned int steps = 0; cursor_left(&c) && steps < 400; steps++)
		step(&g, &c, cfg.readonly);
	guest_close(&g);
	return 0;
}
