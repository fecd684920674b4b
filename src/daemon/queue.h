/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtqueue and the threads that serve it, as leader and followers: the leader pops a chain and handles
 * it; ahead of an op that may sleep long it hands the lead to a follower, finishes, and joins the followers.
 * So nothing queues behind a slow request; who sleeps unexpectedly has the lead taken away (watch.h). Called
 * by the control thread only. Requests are handled on the queue's own threads.
 */
#ifndef DAEMON_QUEUE_H
#define DAEMON_QUEUE_H

#include "fuse/session.h"
#include "vhost/device.h"

/* Most threads of a queue where the options say nothing. */
#define QUEUE_DEFAULT_THREADS 64

struct queue;

struct queue_config {
	uint32_t lock_waiters;	  /* the most that may wait for locks at a time; 0: the default */
	uint32_t threads;	  /* the most it may use, at least 2 are; 0: the default */
	_Atomic uint32_t *served; /* set once something was answered; NULL: nobody asks */
	/* VRING_MAX_SIZE records that outlive the process, or NULL. @crashed: an earlier one ended by itself.
	 */
	struct op_intent *intents;
	bool crashed;
	/* Started or not: this one's leader, while it is awake, serves that one's FORGETs too. NULL: none. It
	 * must outlive this one. */
	struct queue *urgent;
	uint32_t poll_us; /* how long its thread looks for the next chain before it sleeps, where that pays */
};

struct watch;

/* @watch hears of its requests; NULL: nobody does. NULL if memory or descriptors are short. Session and watch
 * must outlive it. */
struct queue *queue_new(struct fuse_session *session, unsigned int index, const struct queue_config *cfg,
	struct watch *watch);
void queue_free(struct queue *q); /* stops it; NULL is allowed */

/* As struct vhost_ops says for vq_start, vq_stop, vq_remap and vq_set_call. */
int queue_start(struct queue *q, const struct vhost_vq *vq, struct mem_map *mem, struct mem_log *log,
	struct err *err);
uint32_t queue_stop(struct queue *q);
/*
 * Requests that wait for a lock survive a stop: they go on waiting, and are answered when the queue runs
 * again on the ring as it was. Of a stopped queue: they end now, unanswered; the session is about to end.
 */
void queue_abandon(struct queue *q);
int queue_remap(
	struct queue *q, struct mem_map *mem, struct mem_log *log, struct gpa log_addr, struct err *err);
/*
 * By struct watch alone, again and again: a request that the leader is still at since the last time sleeps,
 * and has not said so; the lead goes to another thread. A chain without a kick is one that the guest
 * overlooked to make, and is served. False: there is no request.
 */
bool queue_look(struct queue *q);
void queue_set_call(struct queue *q, int call);

#endif
