/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the lanes of each queue busy. A lane that is through with an operation begins the next as long as
 * there is time; then what is in flight comes to its end. Each queue has a thread of its own.
 */
#include "engine.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "beside.h"

#include <fcntl.h>
#include <string.h>

#define GIVE_UP_NS 10000000000ull /* without any reply */

static void fail(struct engine *e, int error)
{
	if (!e->error)
		e->error = error;
}

/* A load that gets no CPU for all of its time does one operation all the same. */
static bool may_begin(struct engine *e, const struct lane *l, uint64_t now)
{
	if (e->error || bench_stopped() || (now >= e->end && e->hist.count))
		return false;
	if (l->role == ROLE_WAITER && l->round)
		return false;
	if (l->role != ROLE_LOAD)
		return e->ops_left > 0;
	if (!e->ops_left)
		return false;
	e->ops_left--;
	return true;
}

/* One operation has its last reply. */
static void count(struct lane *l, uint64_t now)
{
	struct engine *e = l->engine;

	if (l->role == ROLE_LOAD) {
		hist_add(&e->hist, now - l->began);
		e->last = now;
	} else {
		e->background++;
	}
	l->round++;
}

static void move(struct lane *l, bool answered)
{
	struct engine *e = l->engine;
	uint64_t now = bench_now();
	int r = STEP_DONE;

	for (unsigned int turns = 0; turns < 2; turns++) {
		if (!answered) {
			if (!may_begin(e, l, now))
				return;
			l->step = 0;
			l->began = now;
		}
		r = lane_step(l);
		if (r != STEP_DONE)
			break;
		count(l, now);
		answered = false;
	}
	if (r == STEP_ASK) {
		r = fc_start(e->c, &l->op);
		if (r < 0)
			err_set(&e->err, -r, "%s: a request could not be made", bench_load_name[l->load]);
	}
	if (r < 0)
		fail(e, r);
}

static bool tolerated(const struct fc_op *op)
{
	return op->error == -ENOSYS &&
	       (op->opcode == FUSE_OPEN || op->opcode == FUSE_OPENDIR || op->opcode == FUSE_FLUSH);
}

static void answered(struct engine *e, struct fc_op *op)
{
	struct lane *l = (struct lane *)op;

	if (op->error && !tolerated(op)) {
		if (l->role == ROLE_WAITER) {
			e->refused++;
			return;
		}
		fail(e, err_sys(&e->err, -op->error, "%s: request with opcode %u", bench_load_name[l->load],
				op->opcode));
		return;
	}
	l->step++;
	move(l, true);
}

/* Polls for a reply, and gives up in time. As fc_reap(). */
static int poll_reply(struct engine *e, struct fc_op **op)
{
	uint64_t until = 0;

	for (unsigned int spins = 0;; spins++) {
		int r = fc_reap(e->c, op, 0);

		if (r)
			return r;
		__builtin_ia32_pause();
		if (spins % 4096)
			continue;
		until = until ? until : bench_now() + GIVE_UP_NS;
		if (bench_now() > until)
			return 0;
	}
}

static int next_reply(struct engine *e, struct fc_op **op)
{
	int r = fc_reap(e->c, op, 0);

	if (r)
		return r;
	return e->t->opt->poll ? poll_reply(e, op) : fc_reap(e->c, op, (int)(GIVE_UP_NS / 1000000));
}

/* How many lanes have a request that ends only when the lock is let go. */
static unsigned int waiting(const struct engine *e)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->lanes; i++)
		n += e->lane[i].role == ROLE_WAITER && e->lane[i].op.opcode == FUSE_SETLKW &&
		     !e->lane[i].op.done;
	return n;
}

static int set_lock(struct fuse_client *c, const struct fixture *f, uint32_t type)
{
	struct fuse_lk_in in = {.fh = f->blocks.fh, .owner = ENGINE_HOLDER};

	in.lk = (struct fuse_file_lock){.end = FC_OFFSET_MAX, .type = type, .pid = 1};
	return fc_setlk(c, f->blocks.node, &in);
}

static void start_unlock(struct engine *e, struct lane *l)
{
	l->in.lock = (struct fuse_lk_in){.fh = e->f->blocks.fh, .owner = ENGINE_HOLDER};
	l->in.lock.lk = (struct fuse_file_lock){.end = FC_OFFSET_MAX, .type = F_UNLCK, .pid = 1};
	l->op = (struct fc_op){.opcode = FUSE_SETLK, .node = e->f->blocks.node, .nargs = 1};
	l->op.arg[0] = (struct iovec){&l->in.lock, sizeof(l->in.lock)};
	if (fc_start(e->c, &l->op))
		fail(e, -EBUSY);
}

static void *run_queue(void *arg)
{
	struct engine *e = arg;
	struct lane unlock = {.engine = e};
	struct fc_op *op;

	bench_pin(&e->t->opt->driver_cpus, (unsigned int)(e->c - &e->t->client[1]));
	for (unsigned int i = 0; i < e->lanes; i++)
		move(&e->lane[i], false);
	while (e->c->in_flight) {
		int r;

		if (!unlock.op.opcode && e->c->in_flight == waiting(e))
			start_unlock(e, &unlock);
		r = next_reply(e, &op);
		if (r <= 0) {
			fail(e, err_set(&e->err, r ? EPROTO : ETIMEDOUT, "%s",
					r ? "a broken ring" : "no reply for ten seconds"));
			fc_abandon(e->c);
			break;
		}
		if (op == &unlock.op && !op->error)
			continue;
		answered(e, op);
	}
	return NULL;
}

static const enum lane_role background[TARGET_BACKGROUND] = {
	ROLE_FSYNC, ROLE_FSYNC, ROLE_COLD, ROLE_COLD, ROLE_WAITER, ROLE_WAITER};

static bool has_background(const struct engine *e, enum lane_role role)
{
	if (role == ROLE_COLD)
		return e->f->cold_host.fd >= 0;
	if (role == ROLE_WAITER)
		return e->t->init.flags & FUSE_POSIX_LOCKS;
	return true;
}

static int add_lane(struct engine *e, enum lane_role role, enum load_id load, unsigned int id)
{
	struct lane *l = &e->lane[e->lanes];

	*l = (struct lane){.engine = e, .role = role, .load = load, .now = load, .id = id};
	l->op.done = true;
	if (e->t->opt->verify || load == LOAD_LIST)
		l->buf = malloc(BENCH_BIG);
	if ((e->t->opt->verify || load == LOAD_LIST) && !l->buf)
		return -ENOMEM;
	e->lanes++;
	return 0;
}

static int engine_init(struct engine *e, struct fixture *f, enum load_id load, unsigned int queue)
{
	unsigned int depth = f->t->opt->depth;
	int r = 0;

	*e = (struct engine){.t = f->t, .f = f, .c = &f->t->client[queue + 1], .random = bench_now() | 1};
	e->total = depth * f->t->opt->queues;
	e->lane = calloc(depth + TARGET_BACKGROUND, sizeof(*e->lane));
	if (!e->lane)
		return -ENOMEM;
	for (unsigned int i = 0; i < depth && !r; i++)
		r = add_lane(e, ROLE_LOAD, load, queue * depth + i);
	if (load != LOAD_BLOCKING || queue)
		return r;
	for (unsigned int i = 0; i < TARGET_BACKGROUND && !r; i++)
		if (has_background(e, background[i]))
			r = add_lane(e, background[i], load, i);
	return r;
}

static void engine_free(struct engine *e)
{
	for (unsigned int i = 0; i < e->lanes; i++)
		free(e->lane[i].buf);
	free(e->lane);
}

static int run_threads(struct engine *e, unsigned int n, double seconds, uint64_t ops)
{
	pthread_t thread[BENCH_MAX_QUEUES];
	unsigned int started = 0;
	uint64_t end = seconds > 0 ? bench_now() + (uint64_t)(seconds * 1e9) : UINT64_MAX;

	for (; started < n; started++) {
		e[started].end = end;
		e[started].ops_left = ops ? ops / n + (started < ops % n) : UINT64_MAX;
		if (pthread_create(&thread[started], NULL, run_queue, &e[started]))
			break;
	}
	for (unsigned int i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	return started == n ? 0 : -EAGAIN;
}

/* What a background needs to come to its end is not the load's time. */
static int gather(const struct engine *e, unsigned int n, uint64_t began, struct result *res, struct err *err)
{
	uint64_t last = began;

	for (unsigned int i = 0; i < n; i++) {
		last = MAX(last, e[i].last);
		hist_merge(&res->hist, &e[i].hist);
		res->background += e[i].background;
		res->refused += e[i].refused;
	}
	res->seconds += (double)(last - began) / 1e9;
	for (unsigned int i = 0; i < n; i++)
		if (e[i].error)
			return err_set(err, -e[i].error, "%s", e[i].err.text);
	return 0;
}

int engine_run(struct fixture *f, enum load_id load, double seconds, uint64_t ops, struct result *res,
	struct err *err)
{
	unsigned int n = f->t->opt->queues;
	bool locked = load == LOAD_BLOCKING && f->t->init.flags & FUSE_POSIX_LOCKS;
	autofree struct engine *e = calloc(n, sizeof(*e));
	struct beside *beside = NULL;
	uint64_t began;
	int r = e ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < n && !r; i++)
		r = engine_init(&e[i], f, load, i);
	if (!r && locked)
		r = set_lock(&f->t->client[1], f, F_WRLCK);
	if (!r && load == LOAD_BESIDE)
		r = beside_start(&beside, f);
	began = bench_now();
	if (!r)
		r = run_threads(e, n, seconds, ops);
	if (beside)
		res->background += beside_stop(beside);
	if (r)
		err_sys(err, -r, "%s: setting up", bench_load_name[load]);
	else
		r = gather(e, n, began, res, err);
	if (!r)
		r = target_settle(f->t) ? err_set(err, EIO, "the high-priority queue is stuck") : 0;
	if (!r && locked) /* no waiter may have been there to make the last of them ask for it */
		set_lock(&f->t->client[1], f, F_UNLCK);
	for (unsigned int i = 0; e && i < n; i++)
		engine_free(&e[i]);
	return r;
}
