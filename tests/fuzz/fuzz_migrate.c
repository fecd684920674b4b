/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile state of another host: the input is a stream, after one byte of options. What it brought is then
 * used as a guest would, though its checksum may be wrong. After it: what lies beside the share is as it
 * was, and when all was given back no record and no descriptor is left.
 *
 * A file handle of one byte is replaced by a real one: of the secret, of a file or of a directory of the
 * share.
 */
#include "fuzz.h"

#include "base/cleanup.h"
#include "fs/handle.h"
#include "fs/internal.h"
#include "fs/migrate_records.h"
#include "fs/mount.h"
#include "fuse/session.h"
#include "outside.h"

#include <sys/mman.h>

#define MAGIC 0x74617453666f6c63ULL /* as the daemon's */
#define USED  40		    /* so many nodeids and handles are tried */

static struct {
	struct segment seg;
	struct fuse_session *session;
	struct fs *fs;
	struct stream in;
} run;

static struct fs_config config(unsigned int options)
{
	struct fs_config cfg = {.handles = options & 1 ? FS_HANDLES_PREFER : FS_HANDLES_NEVER,
		.max_inodes = 64,
		.max_handles = 32,
		.max_fds = 64,
		.max_lock_owners = 16,
		.change_creds = true,
		.readonly = options & 2,
		.migration.on_error = options & 4 ? FS_ABORT : FS_GUEST_ERROR};
	char path[128];

	snprintf(path, sizeof(path), "%s/share", outside_dir);
	cfg.root = open(path, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/share/fifo", outside_dir);
	fuzz_require(!mkfifo(path, 0666));
	return cfg;
}

static void start(unsigned int options)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};
	struct fs_config cfg = config(options);
	struct fuse_session_config scfg = {.cache = FUSE_CACHE_AUTO,
		.posix_locks = true,
		.flock_locks = true,
		.readonly = cfg.readonly,
		.max_write = 1 << 20};

	plan[SEGMENT_CONN] = fuse_session_plan();
	fs_plan(&cfg, plan);
	fuzz_require(!segment_create(&run.seg, plan, NULL) && !fs_new(&cfg, &run.seg, &run.fs, NULL));
	fuzz_require(!fuse_session_new(&scfg, &fs_ops, run.fs, &run.seg, &run.session, NULL));
}

static int load_session(struct cursor *c)
{
	const void *p = cursor_take(c, sizeof(struct fuse_session_state));
	struct fuse_session_state state;
	struct err err;

	if (!p)
		return -EPROTO;
	memcpy(&state, p, sizeof(state));
	return fuse_session_set_state(run.session, &state, &err);
}

/* The record with a real file handle, if it asks for one. */
static struct cursor with_handle(struct cursor c, uint8_t *record)
{
	static const char *const names[] = {"secret", "share/file", "share/dir", "share"};
	size_t len = cursor_left(&c);
	const uint8_t *p = cursor_take(&c, len);
	struct saved_inode s;
	struct file_id id;
	char path[128];

	if (len >= sizeof(s))
		memcpy(&s, p, sizeof(s));
	if (len < sizeof(s) || s.way != SAVED_HANDLE || s.handle_len != 1 ||
		len != sizeof(s) + s.path_len + 1)
		return cursor_over(p, len);
	snprintf(path, sizeof(path), "%s/%s", outside_dir, names[p[len - 1] % ARRAY_LEN(names)]);
	if (file_id_get(AT_FDCWD, path, &id))
		return cursor_over(p, len);
	s.handle_len = (uint16_t)id.len;
	s.handle_type = id.type;
	memcpy(record, &s, sizeof(s));
	memcpy(record + sizeof(s), p + sizeof(s), s.path_len);
	memcpy(record + sizeof(s) + s.path_len, id.bytes, id.len);
	return cursor_over(record, sizeof(s) + s.path_len + id.len);
}

/* False: a record was refused. */
static bool load(int fd, int hurry)
{
	static uint8_t record[STREAM_RECORD_MAX + INODE_HANDLE_MAX];
	struct stream_head want = {.magic = MAGIC, .version = 2};
	struct fs_load *l = fs_load_begin(run.fs);
	struct cursor payload;
	struct err err = {0};
	uint32_t kind;
	int r = stream_open(&run.in, fd, hurry, &want, &err);

	fuzz_require(l != NULL);
	while (!r && stream_get(&run.in, &kind, &payload, &err) > 0) {
		if (kind == FS_RECORD_INODE)
			payload = with_handle(payload, record);
		r = kind < FS_RECORD_FIRST ? load_session(&payload) : fs_load(l, kind, payload, &err);
		fuzz_require(!r || kind < FS_RECORD_FIRST || err.text[0]);
	}
	if (r)
		fs_ops.destroy(run.fs);
	fs_load_end(l);
	return !r;
}

/* As a guest would that knows no better. */
static void use_all(void)
{
	struct op_ctx c = {0};
	char buf[256];

	for (uint64_t n = 1; n < USED; n++) {
		struct op_entry e;
		struct op_dirent d;

		fs_op_getattr(run.fs, &c, (struct nodeid){n}, OP_NO_HANDLE, 0, &e);
		fs_op_lookup(run.fs, &c, (struct nodeid){n}, "file", &e);
		for (uint64_t fh = 1; fh < 4; fh++) {
			fs_op_read(run.fs, &c, (struct nodeid){n}, (struct op_fh){fh},
				&(struct iovec){buf, sizeof(buf)}, 1, 0, 0);
			fs_op_write(run.fs, &c, (struct nodeid){n}, (struct op_fh){fh},
				&(struct iovec){buf, 1}, 1, 0, 0, 0);
			if (fs_op_dir_lock(run.fs, (struct nodeid){n}, (struct op_fh){fh}))
				continue;
			fs_op_readdir(run.fs, &c, (struct op_fh){fh}, 0, &d);
			fs_op_dir_unlock(run.fs, (struct op_fh){fh});
		}
	}
}

static void finish(void)
{
	struct fs_counts n;

	fs_ops.destroy(run.fs);
	fs_count(run.fs, &n);
	fuzz_require(n.inodes == 1 && n.handles == 0 && n.lock_owners == 0);
	fuse_session_free(run.session);
	fs_free(run.fs);
	segment_close(&run.seg);
}

static int memfd_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size && !lseek(fd, 0, SEEK_SET));
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int fds;

	if (geteuid() || !size)
		return 0;
	if (!outside_dir[0])
		outside_prepare();
	outside_make_share();
	fds = outside_fds();
	start(data[0]);
	{
		autofd int fd = memfd_of(data + 1, size - 1), hurry = memfd_of(data, 0);

		if (load(fd, hurry))
			use_all();
	}
	finish();
	fuzz_require(outside_fds() == fds);
	outside_empty("share");
	outside_check();
	return 0;
}
