/* SPDX-License-Identifier: BSD-3-Clause */
/* colofs-bench: drives a vhost-user-fs daemon without a virtual machine. The man page says how to use it. */
#include "bench.h"

#include "base/cleanup.h"
#include "engine.h"
#include "local.h"
#include "usage.h"

#include <signal.h>
#include <stdio.h>

/* Adds what the daemon used from @before to @after. */
static void add_usage(struct result *r, struct usage_sample before, struct usage_sample after)
{
	r->cpu_ns = before.cpu_ns < 0 ? -1 : after.cpu_ns - before.cpu_ns;
	r->syscalls = before.syscalls < 0 ? -1 : after.syscalls - before.syscalls;
}

static int run_load(struct fixture *f, struct usage *u, enum load_id load, struct err *err)
{
	const struct options *o = f->t->opt;
	autofree struct result *warm = calloc(1, sizeof(*warm));
	autofree struct result *res = calloc(1, sizeof(*res));
	struct usage_sample before;
	int r = 0;

	if (!warm || !res)
		return err_sys(err, ENOMEM, "results");
	if (o->warmup > 0)
		r = engine_run(f, load, o->warmup, o->ops, warm, err);
	res->load = load;
	res->bytes = bench_load_bytes(load, f->t->io_max);
	before = usage_read(u);
	if (!r)
		r = engine_run(f, load, o->seconds, o->ops, res, err);
	add_usage(res, before, usage_read(u));
	if (!r && !bench_stopped())
		report_result(o, res);
	return r;
}

static int run_loads(struct fixture *f, struct err *err)
{
	const struct options *o = f->t->opt;
	pid_t pid = o->pid ? o->pid : usage_peer(f->t->fe.sock);
	struct usage u;
	int r = 0;

	usage_open(&u, pid);
	if (usage_pin(&u, &o->daemon_cpus)) {
		usage_close(&u);
		return err_set(err, EINVAL, "the daemon's threads cannot be pinned to --daemon-cpus");
	}
	report_begin(o);
	for (unsigned int i = 0; i < LOAD_COUNT && !r && !bench_stopped(); i++)
		if (o->load[i])
			r = run_load(f, &u, i, err);
	report_end(o, u.no_syscalls);
	usage_close(&u);
	return r;
}

static int run_daemon(const struct options *o, struct err *err)
{
	autofree struct target *t = calloc(1, sizeof(*t));
	autofree struct fixture *f = calloc(1, sizeof(*f));
	struct err late;
	int r;

	if (!t || !f)
		return err_sys(err, ENOMEM, "target");
	r = target_open(t, o, err);
	if (!r)
		r = fixture_make(f, t, err);
	if (!r)
		r = run_loads(f, err);
	if (fixture_remove(f, &late) && !r) {
		r = -EIO;
		*err = late;
	}
	target_close(t);
	return r;
}

static int run_local_loads(struct local *f, struct err *err)
{
	const struct options *o = f->opt;
	int r = 0;

	report_begin(o);
	for (unsigned int i = 0; i < LOAD_COUNT && !r && !bench_stopped(); i++) {
		autofree struct result *warm = calloc(1, sizeof(*warm));
		autofree struct result *res = calloc(1, sizeof(*res));

		if (!o->load[i])
			continue;
		if (!warm || !res)
			return err_sys(err, ENOMEM, "results");
		res->load = i;
		res->bytes = bench_load_bytes(i, BENCH_BIG);
		res->cpu_ns = res->syscalls = -1;
		if (o->warmup > 0)
			r = local_run(f, i, o->warmup, o->ops, warm, err);
		if (!r)
			r = local_run(f, i, o->seconds, o->ops, res, err);
		if (!r && !bench_stopped())
			report_result(o, res);
	}
	report_end(o, NULL);
	return r;
}

static int run_local(const struct options *o, struct err *err)
{
	struct local f;
	struct err late;
	int r = local_make(&f, o, err);

	if (!r)
		r = run_local_loads(&f, err);
	if (local_remove(&f, &late) && !r) {
		r = -EIO;
		*err = late;
	}
	return r;
}

int main(int argc, char **argv)
{
	struct options o;
	struct err err = {""};
	int r = options_parse(&o, argc, argv, &err);

	if (r == 1)
		return 0;
	if (r) {
		fprintf(stderr, "colofs-bench: %s\n", err.text);
		return 2;
	}
	signal(SIGINT, bench_stop);
	signal(SIGTERM, bench_stop);
	r = o.local ? run_local(&o, &err) : run_daemon(&o, &err);
	if (r)
		fprintf(stderr, "colofs-bench: %s\n", err.text);
	return r || bench_stopped();
}
