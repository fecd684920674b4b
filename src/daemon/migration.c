/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread at a time does one job. Its result is the control thread's once it was joined.
 */
#include "daemon/migration.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/flight.h"

#include <string.h>
#include <sys/eventfd.h>

#define MAGIC		  0x74617453666f6c63ULL /* "clofStat" in little-endian order */
#define MIGRATION_VERSION 3

enum { RECORD_SESSION = 1, RECORD_FLIGHT };

enum job { JOB_NONE, JOB_GATHER, JOB_SAVE, JOB_LOAD };

struct migration {
	struct fuse_session *session;
	struct fs *fs;
	struct vhost_device *device;
	struct flight flight;	  /* of a ring each */
	struct path_table *paths; /* the job's while there is one */
	enum job job;		  /* which the thread does, or did: it was not joined */
	pthread_t thread;
	int fd;
	int hurry; /* eventfd: nobody shall wait long any more */
	_Atomic bool stop;
	bool saved;  /* the locks were given away */
	bool doubt;  /* ... or perhaps: by an earlier process */
	bool loaded; /* the state came from elsewhere, where the guest still may go on */
	int result;
	struct err err;
	struct stream stream;
};

struct migration *migration_new(
	struct fuse_session *session, struct fs *fs, struct vhost_device *device, bool adopt)
{
	struct migration *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	*m = (struct migration){.session = session, .fs = fs, .device = device, .fd = -1};
	m->hurry = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->hurry < 0) {
		free(m);
		return NULL;
	}
	m->saved = m->doubt = adopt;
	if (adopt)
		fs_save_doubt(fs);
	return m;
}

static int save(struct migration *m)
{
	const struct stream_head head = {.magic = MAGIC, .version = MIGRATION_VERSION};
	struct fuse_session_state state;

	fuse_session_get_state(m->session, &state);
	stream_start(&m->stream, m->fd, m->hurry, &head);
	stream_put(&m->stream, RECORD_SESSION, &(struct iovec){&state, sizeof(state)}, 1);
	flight_save(&m->flight, &m->stream, RECORD_FLIGHT);
	if (state.live)
		fs_save(m->fs, &m->paths, &m->stream, &m->stop);
	m->saved = state.live;
	m->doubt = false;
	return stream_finish(&m->stream, &m->err);
}

static int load_session(struct migration *m, struct cursor *c)
{
	const void *p = cursor_take(c, sizeof(struct fuse_session_state));
	struct fuse_session_state state;

	if (!p || cursor_left(c))
		return err_set(&m->err, EPROTO, "the state has a session that cannot be right");
	memcpy(&state, p, sizeof(state));
	return fuse_session_set_state(m->session, &state, &m->err);
}

/* The session comes first, and once. */
static int load_first(struct migration *m, bool *live)
{
	struct fuse_session_state state;
	struct cursor payload;
	uint32_t kind;
	int r = stream_get(&m->stream, &kind, &payload, &m->err);

	if (r <= 0)
		return r ? r : err_set(&m->err, EPROTO, "the state is empty");
	if (kind != RECORD_SESSION)
		return err_set(&m->err, EPROTO, "the state does not begin with a session");
	r = load_session(m, &payload);
	fuse_session_get_state(m->session, &state);
	*live = state.live;
	return r;
}

static int load_records(struct migration *m, struct fs_load *l)
{
	struct cursor payload;
	bool live = false;
	uint32_t kind;
	int r = load_first(m, &live);

	while (!r) {
		r = stream_get(&m->stream, &kind, &payload, &m->err);
		if (r <= 0)
			return r;
		if (atomic_load(&m->stop))
			r = err_set(&m->err, ECANCELED, "the migration was ended");
		else if (!live)
			r = err_set(&m->err, EPROTO, "the state has files, but no session");
		else if (kind == RECORD_FLIGHT)
			r = flight_load(&m->flight, payload, &m->err);
		else
			r = fs_load(l, kind, payload, &m->err);
	}
	return r;
}

static int load(struct migration *m)
{
	struct stream_head want = {.magic = MAGIC, .version = MIGRATION_VERSION};
	struct fs_load *l;
	int r = stream_open(&m->stream, m->fd, m->hurry, &want, &m->err);

	if (r)
		return r;
	l = fs_load_begin(m->fs);
	if (!l)
		return err_set(&m->err, ENOMEM, "no memory for the migration");
	r = load_records(m, l);
	if (r)
		fuse_session_reset(m->session);
	fs_load_end(l);
	return r;
}

static void *work(void *arg)
{
	struct migration *m = arg;

	m->result = 0;
	if (m->job == JOB_GATHER)
		fs_paths_gather(m->fs, &m->paths, &m->stop);
	else
		m->result = m->job == JOB_SAVE ? save(m) : load(m);
	m->loaded = m->job == JOB_LOAD && !m->result;
	cleanup_fd(&m->fd);
	m->fd = -1;
	return NULL;
}

/* Waits for the thread, if there is one. */
static void join(struct migration *m)
{
	uint64_t count;

	if (m->job == JOB_NONE)
		return;
	if (write(m->hurry, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_debug("migration: %s", strerrordesc_np(errno));
	pthread_join(m->thread, NULL);
	if (read(m->hurry, &count, sizeof(count)) < 0)
		log_debug("migration: %s", strerrordesc_np(errno));
	m->job = JOB_NONE;
}

static void stop(struct migration *m)
{
	atomic_store(&m->stop, true);
	join(m);
	atomic_store(&m->stop, false);
}

static int start(struct migration *m, enum job job, struct err *err)
{
	int r;

	m->job = job;
	r = pthread_create(&m->thread, NULL, work, m);
	if (!r)
		return 0;
	m->job = JOB_NONE;
	return err_sys(err, r, "no thread for the migration");
}

void migration_expect(struct migration *m, bool expected)
{
	struct err err;

	if (m->job == JOB_SAVE || m->job == JOB_LOAD)
		return;
	stop(m);
	if (!expected)
		fs_paths_drop(&m->paths);
	else if (start(m, JOB_GATHER, &err))
		log_warn("%s", err.text);
}

int migration_begin(struct migration *m, bool save, int fd, struct err *err)
{
	autofd int own = fd;
	int r;

	if (m->job == JOB_SAVE || m->job == JOB_LOAD)
		return err_set(err, EBUSY, "a transfer of the state is under way");
	stop(m);
	migration_resume(m);
	flight_drop(&m->flight);
	r = save ? flight_gather(&m->flight, m->device, err) : 0;
	if (r)
		return r;
	m->fd = own;
	r = start(m, save ? JOB_SAVE : JOB_LOAD, err);
	if (r)
		m->fd = -1;
	else
		fd_take(&own);
	return r;
}

int migration_end(struct migration *m, struct err *err)
{
	if (m->job != JOB_SAVE && m->job != JOB_LOAD)
		return err_set(err, EINVAL, "no transfer of the state was begun");
	join(m);
	*err = m->err;
	if (m->loaded) {
		m->result = flight_hand_over(&m->flight, m->device, err);
		m->loaded = !m->result;
		if (m->result)
			fuse_session_reset(m->session);
	}
	flight_drop(&m->flight);
	return m->result;
}

void migration_resume(struct migration *m)
{
	if (m->job == JOB_SAVE || m->job == JOB_LOAD)
		stop(m);
	if (m->saved)
		fs_save_undo(m->fs);
	m->saved = m->doubt = m->loaded = false;
}

bool migration_leave(struct migration *m)
{
	stop(m);
	fs_paths_drop(&m->paths);
	return m->loaded || (m->saved && !m->doubt && !m->result);
}

void migration_cancel(struct migration *m)
{
	if (!m)
		return;
	stop(m);
	m->saved = m->doubt = m->loaded = false;
	fs_paths_drop(&m->paths);
}

void migration_free(struct migration *m)
{
	if (!m)
		return;
	migration_cancel(m);
	flight_drop(&m->flight);
	cleanup_fd(&m->hurry);
	free(m);
}
