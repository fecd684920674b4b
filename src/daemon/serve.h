/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the layers meet: takes front-ends from a listening socket, one after the other, and serves each with
 * one device, one session and one file system. The control thread runs serve_run(); queues run on threads of
 * their own (queue.h).
 */
#ifndef DAEMON_SERVE_H
#define DAEMON_SERVE_H

#include "base/fdmap.h"
#include "daemon/queue.h"
#include "dax/dax.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "vhost/device.h"

struct serve_config {
	struct vhost_config vhost;
	struct fuse_session_config fuse;
	struct fs_config fs;   /* without its window */
	struct dax_config dax; /* without its front-end */
	struct queue_config queue;
	int socket;  /* listening, or already connected to a front-end; stays the caller's */
	int signals; /* readable: end cleanly, and soon (a signalfd); stays the caller's */
	/* Requests are answered from now on. */
	void (*ready)(void *arg);
	/* It takes too long: called by another thread ahead of _exit(). */
	void (*overdue)(void *arg);
	/* Called by that thread at least every @alive_ms milliseconds while we live; 0: never. */
	void (*alive)(void *arg);
	uint32_t alive_ms;
	void *arg;     /* of these */
	bool on_trial; /* an earlier worker's connection must be able to go on; until serve_run() another
			  process may go on with it, so an error undoes nothing */
	bool exit_on_disconnect; /* the first front-end's going ends the daemon; always so for a connected
				    socket */
	const struct segment *segment; /* of serve_segment(), or an earlier worker's to go on from (adopt) */
	const struct fdmap
		*base_fds; /* descriptors that are no worker's; NULL: there will be no other worker */
};

struct serve;

/* Makes the segment for @cfg->vhost, fuse and fs. The caller's; it must outlive the struct serve. 0 or -errno
 * with @err. */
int serve_segment(const struct serve_config *cfg, struct segment *out, struct err *err);
/* Opens such a segment of an earlier process's instead; @fd becomes its own on success. -EINVAL: it is of
 * other options, or of another release. */
int serve_segment_again(const struct serve_config *cfg, int fd, struct segment *out, struct err *err);

/* Makes everything that can fail, before the sandbox is locked. 0 or -errno with @err. */
int serve_new(const struct serve_config *cfg, struct serve **out, struct err *err);
/* Serves until @signals is readable or (exit_on_disconnect) the front-end went. 0 or -errno with @err. */
int serve_run(struct serve *s, struct err *err);
/* Inodes may be opened by file handle. */
bool serve_uses_handles(const struct serve *s);
void serve_free(struct serve *s);

#endif
