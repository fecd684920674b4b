/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/serve.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/tune.h"
#include "daemon/adopt.h"
#include "daemon/migration.h"
#include "daemon/supervise.h"
#include "daemon/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ACCEPT_RETRY_MS 100

struct serve {
	struct serve_config cfg;
	bool listening;	 /* else cfg.socket is a front-end */
	struct dax *dax; /* NULL: no window */
	struct fs *fs;
	struct fuse_session *session;
	struct migration *migration;
	struct vhost_device *device;
	bool kept;   /* the session is of an earlier connection */
	bool broken; /* the connection of an earlier worker cannot go on */
	struct watch *watch;
	unsigned int nqueues;
	struct queue *queues[VHOST_MAX_QUEUES];
};

static int vq_start(void *arg, unsigned int i, const struct vhost_vq *vq, struct mem_map *mem,
	struct mem_log *log, struct err *err)
{
	struct serve *s = arg;

	s->kept = false;
	migration_resume(s->migration);
	return queue_start(s->queues[i], vq, mem, log, err);
}

static uint32_t vq_stop(void *arg, unsigned int i)
{
	struct serve *s = arg;

	return queue_stop(s->queues[i]);
}

static int vq_remap(void *arg, unsigned int i, struct mem_map *mem, struct mem_log *log, struct gpa log_addr,
	struct err *err)
{
	struct serve *s = arg;

	return queue_remap(s->queues[i], mem, log, log_addr, err);
}

static void vq_set_call(void *arg, unsigned int i, int call)
{
	struct serve *s = arg;

	queue_set_call(s->queues[i], call);
}

static void abandon_waiters(struct serve *s)
{
	for (unsigned int i = 0; i < s->nqueues; i++)
		queue_abandon(s->queues[i]);
}

static void reset(void *arg)
{
	struct serve *s = arg;

	abandon_waiters(s);
	migration_cancel(s->migration);
	if (s->dax)
		dax_forget(s->dax);
	fuse_session_reset(s->session);
}

/* The session stays as it is, unless it lives elsewhere by now. */
static void gone(void *arg)
{
	struct serve *s = arg;

	if (migration_leave(s->migration)) {
		reset(s);
		return;
	}
	abandon_waiters(s);
	s->kept = true;
}

static void logging(void *arg, bool on)
{
	struct serve *s = arg;

	migration_expect(s->migration, on);
}

static int state_begin(void *arg, bool save, int fd, struct err *err)
{
	struct serve *s = arg;

	if (!save && s->kept)
		reset(s); /* another guest comes */
	if (save)
		abandon_waiters(s);
	return migration_begin(s->migration, save, fd, err);
}

static int state_end(void *arg, struct err *err)
{
	struct serve *s = arg;

	return migration_end(s->migration, err);
}

static const struct vhost_ops device_ops = {
	.vq_start = vq_start,
	.vq_stop = vq_stop,
	.vq_remap = vq_remap,
	.vq_set_call = vq_set_call,
	.logging = logging,
	.state_begin = state_begin,
	.state_end = state_end,
	.reset = reset,
	.gone = gone,
};

static void lay_out(const struct serve_config *cfg, struct segment_plan plan[SEGMENT_SECTIONS])
{
	plan[SEGMENT_SUPERVISED] = (struct segment_plan){sizeof(struct supervised), 1};
	plan[SEGMENT_DEVICE] = (struct segment_plan){vhost_saved_size(), 1};
	plan[SEGMENT_TRACK] = (struct segment_plan){vhost_track_size(), 1 + cfg->vhost.request_queues};
	plan[SEGMENT_INTENTS] = (struct segment_plan){
		sizeof(struct op_intent), (1 + (uint64_t)cfg->vhost.request_queues) * VRING_MAX_SIZE};
	plan[SEGMENT_CONN] = fuse_session_plan();
	plan[SEGMENT_LISTINGS] = fuse_listings_plan();
	fs_plan(&cfg->fs, plan);
	dax_plan(&cfg->dax, plan);
}

int serve_segment(const struct serve_config *cfg, struct segment *out, struct err *err)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};

	lay_out(cfg, plan);
	return segment_create(out, plan, err);
}

int serve_segment_again(const struct serve_config *cfg, int fd, struct segment *out, struct err *err)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};

	lay_out(cfg, plan);
	return segment_open(out, fd, plan, err);
}

static int vmm_map(void *arg, int fd, uint64_t file_off, uint64_t window_off, uint64_t len,
	const _Atomic bool *cancelled)
{
	struct serve *s = arg;
	struct vhost_shmem m = {.fd_offset = file_off, .shm_offset = window_off, .len = len};

	return vhost_device_map(s->device, &m, fd, cancelled);
}

static int vmm_unmap(
	void *arg, uint64_t file_off, uint64_t window_off, uint64_t len, const _Atomic bool *cancelled)
{
	struct serve *s = arg;
	struct vhost_shmem m = {.fd_offset = file_off, .shm_offset = window_off, .len = len};

	return vhost_device_unmap(s->device, &m, cancelled);
}

/* Requests reach the front-end only once it has made its device run, when s->device is there. */
static int make_window(struct serve *s, struct err *err)
{
	int r;

	if (!s->cfg.dax.window)
		return 0;
	s->cfg.dax.vmm = (struct dax_vmm){.arg = s, .map = vmm_map, .unmap = vmm_unmap};
	r = dax_new(&s->cfg.dax, s->cfg.segment, &s->dax, err);
	if (!r)
		s->cfg.fs.window = dax_window(s->dax);
	return r;
}

static int make_queues(struct serve *s, struct err *err)
{
	struct supervised *rec = segment_at(s->cfg.segment, SEGMENT_SUPERVISED);
	struct op_intent *intents = segment_at(s->cfg.segment, SEGMENT_INTENTS);

	s->cfg.queue.served = &rec->served;
	s->cfg.queue.crashed = s->cfg.segment->adopt && supervised_crashed(rec);
	s->watch = watch_new();
	if (!s->watch)
		return err_set(err, ENOMEM, "no memory or descriptors");
	s->nqueues = MIN(1 + s->cfg.vhost.request_queues, VHOST_MAX_QUEUES);
	for (unsigned int i = 0; i < s->nqueues; i++) {
		s->cfg.queue.urgent = tune.share_forgets && i ? s->queues[0] : NULL;
		s->cfg.queue.intents = s->cfg.base_fds ? intents + (size_t)i * VRING_MAX_SIZE : NULL;
		s->queues[i] = queue_new(s->session, i, &s->cfg.queue, s->watch);
		if (!s->queues[i])
			return err_set(err, ENOMEM, "no memory or descriptors for %u queues", s->nqueues);
	}
	return 0;
}

static int make_device(struct serve *s, struct err *err)
{
	struct vhost_config cfg = s->cfg.vhost;

	cfg.saved = segment_at(s->cfg.segment, SEGMENT_DEVICE);
	cfg.track = segment_at(s->cfg.segment, SEGMENT_TRACK);
	cfg.adopt = s->cfg.segment->adopt;
	s->device = vhost_device_new(&cfg, &device_ops, s);
	return s->device ? 0 : err_set(err, ENOMEM, "no memory for the device");
}

/* Ahead of everything that this process opens for itself. A connection that cannot go on ends alone. */
static int adopt(struct serve *s, struct err *err)
{
	int own[] = {guard_fd(), s->cfg.fs.proc_self_fd};
	const struct adopt_holders holders = {
		.own = own, .nown = ARRAY_LEN(own), .fs = s->fs, .device = s->device, .dax = s->dax};
	struct err why = {0};

	s->broken = vhost_device_adopt(s->device, &why) != 0;
	if (s->broken && s->cfg.on_trial)
		return err_set(err, EINVAL, "the connection cannot go on: %s", why.text);
	if (s->broken)
		log_warn("the connection cannot go on: %s", why.text);
	return adopt_descriptors(s->cfg.base_fds, &holders, err);
}

static int make_parts(struct serve *s, struct err *err)
{
	socklen_t len = sizeof(int);
	int listening = 0;
	int r;

	if (getsockopt(s->cfg.socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len))
		return err_sys(err, errno, "the descriptor to serve on is no socket");
	s->listening = listening;
	if (s->cfg.vhost.persistent && !listening)
		return err_set(err, EINVAL, "--persistent needs a socket on which front-ends can connect");
	r = guard_setup(err);
	if (!r)
		r = make_window(s, err);
	if (!r)
		r = fs_new(&s->cfg.fs, s->cfg.segment, &s->fs, err);
	if (!r)
		r = fuse_session_new(&s->cfg.fuse, &fs_ops, s->fs, s->cfg.segment, &s->session, err);
	if (!r)
		r = make_device(s, err);
	if (!r && s->cfg.segment->adopt)
		r = adopt(s, err);
	if (!r)
		r = make_queues(s, err);
	if (r)
		return r;
	s->migration = migration_new(s->session, s->fs, s->device, s->cfg.segment->adopt);
	return s->migration ? 0 : err_set(err, ENOMEM, "no memory or descriptors");
}

int serve_new(const struct serve_config *cfg, struct serve **out, struct err *err)
{
	struct serve *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, ENOMEM, "no memory");
	s->cfg = *cfg;
	r = make_parts(s, err);
	if (!r) {
		*out = s;
		return 0;
	}
	/* What an earlier process left is not ended here: its records may lie, and another may go on with
	 * them. The process ends instead. */
	if (!cfg->segment->adopt && !cfg->on_trial)
		serve_free(s);
	return r;
}

bool serve_uses_handles(const struct serve *s)
{
	return fs_uses_handles(s->fs);
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	if (s->watch)
		watch_leave_queues(s->watch);
	if (s->device)
		vhost_device_free(s->device);
	migration_free(s->migration);
	while (s->nqueues)
		queue_free(s->queues[--s->nqueues]);
	if (s->session)
		fuse_session_free(s->session);
	if (s->fs)
		fs_free(s->fs);
	dax_free(s->dax);
	watch_free(s->watch);
	free(s);
}

/* Takes the next front-end. What the listening socket reports of one that went again is no error of ours. */
static int welcome(struct serve *s, struct err *err)
{
	int fd = accept4(s->cfg.socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		vhost_device_connect(s->device, fd);
		log_info("a front-end has connected");
		return 0;
	}
	if (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED)
		return 0;
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		log_limited("cannot accept a front-end yet: %s", strerrordesc_np(errno));
		poll(NULL, 0, ACCEPT_RETRY_MS);
		return 0;
	}
	return err_sys(err, errno, "cannot accept a front-end");
}

/* Serves what came on the connection. Returns false once the front-end is gone. */
static bool serve_message(struct serve *s)
{
	struct err why = {0};
	int r = vhost_device_serve(s->device, &why);

	if (r > 0)
		return true;
	if (r < 0)
		log_warn("the front-end broke the protocol, its connection ends: %s", why.text);
	else
		log_info("the front-end has gone");
	vhost_device_disconnect(s->device);
	return false;
}

/* Returns false if guest memory has vanished, and with it the connection. */
static bool check_memory(struct serve *s)
{
	uint64_t count;

	if (read(guard_fd(), &count, sizeof(count)) < 0 || !vhost_device_vanished(s->device))
		return true; /* it was of a connection that has ended meanwhile */
	log_warn("the front-end has taken guest memory away, its connection ends");
	vhost_device_disconnect(s->device);
	return false;
}

static int start_watch(struct serve *s, struct err *err)
{
	struct watch_config cfg = {
		.signals = s->cfg.signals,
		.queues = s->queues,
		.nqueues = s->nqueues,
		.overdue = s->cfg.overdue,
		.alive = s->cfg.alive,
		.alive_ms = s->cfg.alive_ms,
		.arg = s->cfg.arg,
	};

	return watch_start(s->watch, &cfg, err);
}

/* Goes on with the connection of an earlier worker. Returns false if there was one and it has ended. */
static bool resume(struct serve *s)
{
	struct err why = {0};

	if (vhost_device_fd(s->device) < 0)
		return s->listening;
	if (!s->broken && !vhost_device_resume(s->device, &why)) {
		if (s->dax)
			dax_resume(s->dax);
		return true;
	}
	log_warn("the connection ends: %s", why.text);
	vhost_device_disconnect(s->device);
	return false;
}

int serve_run(struct serve *s, struct err *err)
{
	int r = start_watch(s, err);

	if (r)
		return r;
	if (s->cfg.segment->adopt) {
		if (!resume(s) && (s->cfg.exit_on_disconnect || !s->listening))
			return 0;
	} else if (!s->listening) {
		vhost_device_connect(s->device, fcntl(s->cfg.socket, F_DUPFD_CLOEXEC, 0));
	}
	s->cfg.ready(s->cfg.arg);
	for (;;) {
		int fd = vhost_device_fd(s->device);
		struct pollfd p[] = {
			{.fd = watch_stop_fd(s->watch), .events = POLLIN},
			{.fd = guard_fd(), .events = POLLIN},
			{.fd = fd >= 0 ? fd : s->cfg.socket, .events = POLLIN},
		};

		if (poll(p, ARRAY_LEN(p), -1) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, errno, "cannot wait for the front-end");
		}
		if (p[0].revents)
			return 0;
		if (p[1].revents && !check_memory(s)) {
			if (s->cfg.exit_on_disconnect || !s->listening)
				return 0;
		} else if (!p[2].revents) {
			continue;
		} else if (fd < 0) {
			r = welcome(s, err);
			if (r)
				return r;
		} else if (!serve_message(s) && (s->cfg.exit_on_disconnect || !s->listening)) {
			return 0;
		}
	}
}
