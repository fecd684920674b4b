/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile guest on a real directory: the input is a script of requests to a session over src/fs, which name
 * nodes and handles that are alive, or any other number. After it: what lies beside the share is as it was,
 * and when the guest has given everything back no record and no descriptor is left.
 *
 * The first byte is options. A request is: opcode, form, node, second node, handle, uid, length of the
 * arguments (2), arguments. Form: bit 0 the handle is put over the arguments' first 8 bytes, 1 the second
 * node is (of RENAME and LINK), 2-5 a name behind the arguments (0: none), 6 a second name, 7 little room for
 * the reply.
 */
#include "fuzz.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "fs/fs.h"
#include "fuse_fake.h"
#include "outside.h"

#define KNOWN 64
#define STEPS 120

static const char *const names[] = {"", "a", "b", "c", ".", "..", "../secret", "a/b", "/", "out", "file",
	"dir", "\xff\xfe", "a\nb", "security.capability", "user.x"};

static struct {
	struct guest g;
	struct fs *fs;
	uint64_t nodes[KNOWN], fhs[KNOWN];
	unsigned int nnodes, nfhs;
} run;

static void start(unsigned int options)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};
	struct fuse_session_config scfg = guest_config();
	struct fs_config cfg = {.handles = options & 1 ? FS_HANDLES_PREFER : FS_HANDLES_NEVER,
		.max_inodes = 256,
		.max_handles = 32,
		.max_fds = options & 2 ? 16 : 256,
		.max_lock_owners = 16,
		.xattr = true,
		.change_creds = options & 4,
		.readonly = options & 8};
	char path[128];

	scfg.readonly = cfg.readonly;
	scfg.zero_message_open = options & 16;
	scfg.cache = options & 16 ? FUSE_CACHE_ALWAYS : FUSE_CACHE_AUTO;
	scfg.posix_locks = !(options & 16);
	scfg.writeback = options & 32;
	snprintf(path, sizeof(path), "%s/share", outside_dir);
	cfg.root = open(path, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	plan[SEGMENT_CONN] = fuse_session_plan();
	fs_plan(&cfg, plan);
	run.g = (struct guest){.room = 8192};
	fuzz_require(!segment_create(&run.g.seg, plan, NULL) && !fs_new(&cfg, &run.g.seg, &run.fs, NULL));
	fuzz_require(!fuse_session_new(&scfg, &fs_ops, run.fs, &run.g.seg, &run.g.session, NULL));
	run.g.worker = fuse_worker_new(run.g.session, NULL, NULL);
	fuzz_require(
		run.g.worker && !guest_init(&run.g, 45, UINT64_MAX & ~(uint64_t)FUSE_MAP_ALIGNMENT, NULL));
	run.nodes[0] = 1 /* the root */;
	run.nnodes = 1;
	run.nfhs = 0;
}

static void know(uint64_t *table, unsigned int *n, uint64_t value)
{
	if (*n < KNOWN)
		table[(*n)++] = value;
}

/* What the reply tells of. */
static void learn(uint32_t opcode)
{
	const struct guest *g = &run.g;
	struct fuse_entry_out e;
	uint64_t fh;

	if (!g->body || g->reply.error)
		return;
	if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) {
		memcpy(&fh, g->body, sizeof(fh));
		know(run.fhs, &run.nfhs, fh);
	} else if (opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_MKNOD ||
		   opcode == FUSE_LINK || opcode == FUSE_SYMLINK || opcode == FUSE_CREATE ||
		   opcode == FUSE_TMPFILE) {
		memcpy(&e, g->body, sizeof(e));
		know(run.nodes, &run.nnodes, e.nodeid);
		if (opcode != FUSE_CREATE && opcode != FUSE_TMPFILE)
			return;
		memcpy(&fh, g->body + sizeof(e), sizeof(fh));
		know(run.fhs, &run.nfhs, fh);
	}
}

static uint64_t pick(const uint64_t *table, unsigned int n, unsigned int which)
{
	return which == 255 || !n ? which * 0x100000001ull : table[which % n];
}

static void put_args(struct cursor *c, unsigned int form, uint64_t second, uint64_t fh)
{
	struct guest *g = &run.g;
	size_t at = g->len, len = fuzz_take(c, 2);
	const uint64_t *over = form & 1 ? &fh : form & 2 ? &second : NULL;

	len = MIN(len, cursor_left(c));
	guest_put(g, cursor_take(c, len), len);
	if (over && len >= sizeof(*over))
		memcpy(g->in + at, over, sizeof(*over));
	if (form >> 2 & 15)
		guest_put_string(g, names[form >> 2 & 15]);
	if (form & 64)
		guest_put_string(g, names[fuzz_take(c, 1) % ARRAY_LEN(names)]);
}

static void step(struct cursor *c)
{
	uint32_t opcode = fuzz_take(c, 1);
	unsigned int form = fuzz_take(c, 1);
	uint64_t node = pick(run.nodes, run.nnodes, fuzz_take(c, 1));
	uint64_t second = pick(run.nodes, run.nnodes, fuzz_take(c, 1));
	uint64_t fh = pick(run.fhs, run.nfhs, fuzz_take(c, 1));
	unsigned int uid = fuzz_take(c, 1);

	/* Waiting would be for good; after INIT or DESTROY nothing that is known is alive. */
	opcode = opcode == FUSE_SETLKW ? FUSE_SETLK : opcode;
	guest_begin(&run.g, opcode, node);
	guest_header(&run.g)->uid = uid & 1 ? 1000 : 0;
	guest_header(&run.g)->gid = uid & 2 ? 1000 : 0;
	put_args(c, form, second, fh);
	run.g.room = form & 128 ? 48 : 8192;
	fuzz_require(guest_send(&run.g) >= -EPROTO);
	learn(opcode);
}

static void finish(void)
{
	struct fs_counts n;

	guest_begin(&run.g, FUSE_DESTROY, 0);
	run.g.room = 8192;
	guest_send(&run.g);
	fs_count(run.fs, &n);
	fuzz_require(n.inodes == 1 && n.handles == 0 && n.lock_owners == 0);
	fuse_worker_free(run.g.worker);
	fuse_session_free(run.g.session);
	fs_free(run.fs);
	segment_close(&run.g.seg);
	free(run.g.in);
	free(run.g.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	unsigned int fds;

	if (geteuid())
		return 0;
	if (!outside_dir[0])
		outside_prepare();
	outside_make_share();
	fds = outside_fds();
	start(fuzz_take(&c, 1));
	for (unsigned int i = 0; cursor_left(&c) && i < STEPS; i++)
		step(&c);
	finish();
	syscall(SYS_setfsuid, 0);
	syscall(SYS_setfsgid, 0);
	fuzz_require(outside_fds() == fds);
	outside_empty("share");
	outside_check();
	return 0;
}
