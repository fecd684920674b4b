/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of colofs-bench: one table makes the parser's list and the help. */
#include "bench.h"

#include "base/arith.h"
#include "base/number.h"
#include "opt_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum opt { /* as in rows[] */
	OPT_DEPTH = 256,
	OPT_QUEUES,
	OPT_RING,
	OPT_RING_SIZE,
	OPT_COMPLETION,
	OPT_SECONDS,
	OPT_WARMUP,
	OPT_OPS,
	OPT_DRIVER_CPUS,
	OPT_DAEMON_CPUS,
	OPT_PID,
	OPT_THREADS,
	OPT_PAGE_RUN,
	OPT_FILE_SIZE,
	OPT_ENTRIES,
	OPT_READDIR_SIZE,
	OPT_HOST_DIR,
	OPT_VERIFY,
	OPT_JSON,
	OPT_VERSION,
	OPT_HELP,
};

static const struct opt_row rows[] = {
	{OPT_DEPTH, "depth", "N", "requests in flight on each queue [16]"},
	{OPT_QUEUES, "queues", "N", "request queues, a thread drives each [1]"},
	{OPT_RING, "ring", "split|packed", "form of the rings [split]"},
	{OPT_RING_SIZE, "ring-size", "N", "descriptors of a ring, a power of two [1024]"},
	{OPT_COMPLETION, "completion", "sleep|poll", "how the driver awaits replies [sleep]"},
	{OPT_SECONDS, "seconds", "S", "how long each load runs, with decimals [1]; 0: --ops alone ends it"},
	{OPT_WARMUP, "warmup", "S", "how long it runs ahead of that, unmeasured [0.2]"},
	{OPT_OPS, "ops", "N", "end a load after so many operations"},
	{OPT_DRIVER_CPUS, "driver-cpus", "LIST", "CPUs of the driving threads, one each in turn: 0,2-3"},
	{OPT_DAEMON_CPUS, "daemon-cpus", "LIST", "CPUs that all of the daemon's threads may use"},
	{OPT_PID, "pid", "PID", "the daemon, with its descendants [who listens at SOCKET]"},
	{OPT_THREADS, "threads", "N", "local: so many threads [2]"},
	{OPT_PAGE_RUN, "page-run", "N",
		"so many pages of a request's data are neighbours in the guest's memory [16]"},
	{OPT_FILE_SIZE, "file-size", "SIZE", "size of the file that is read and written, with K, M, G [64M]"},
	{OPT_ENTRIES, "entries", "N", "entries of the directory that is listed [1000]"},
	{OPT_READDIR_SIZE, "readdir-size", "SIZE",
		"bytes that a READDIRPLUS asks for [4K, as Linux up to 6.14]"},
	{OPT_HOST_DIR, "host-dir", "DIR",
		"the shared directory; cold reads of the loads blocking and beside need it"},
	{OPT_VERIFY, "verify", NULL, "compare all data, what was written too, with what it must be"},
	{OPT_JSON, "json", NULL, "print one JSON object"},
	{OPT_VERSION, "version", NULL, "print the version"},
	{OPT_HELP, "help", NULL, "this text"},
};

static const struct opt_table table = {rows, ARRAY_LEN(rows), "h", "colofs-bench"};

static void show_help(void)
{
	printf("usage: colofs-bench [OPTION ...] SOCKET [LOAD ...]\n"
	       "       colofs-bench [OPTION ...] local DIR [LOAD ...]\n"
	       "Drives the vhost-user-fs daemon at SOCKET through its virtqueues, as a Linux guest would, or "
	       "does\n"
	       "the same work in DIR by direct system calls. The files for it are made and "
	       "removed.\n\nLoads:\n");
	for (unsigned int i = 0; i < LOAD_COUNT; i++)
		printf("  %-24s %s\n", bench_load_name[i], bench_load_help[i]);
	printf("\nOptions:\n");
	opt_table_show(&table);
}

static int bad(struct err *err, const char *name, const char *value)
{
	return err_set(err, EINVAL, "--%s=%s: no such value", name, value);
}

/* A number, with K, M or G if it is a size, in the range. */
static int number(const char *s, uint64_t low, uint64_t high, uint64_t *out)
{
	return number_parse_size(s, 0, out) || *out < low || *out > high ? -EINVAL : 0;
}

static int count(const char *s, unsigned int low, unsigned int high, unsigned int *out)
{
	uint64_t v;
	int r = number(s, low, high, &v);

	if (!r)
		*out = (unsigned int)v;
	return r;
}

static int seconds(const char *s, double *out)
{
	char *end;

	*out = strtod(s, &end);
	return end == s || *end || !(*out >= 0) || *out > 86400 ? -EINVAL : 0;
}

static int cpu_list(const char *s, struct cpu_list *l)
{
	char *end;

	l->count = 0;
	for (;;) {
		long low = strtol(s, &end, 10), high = low;

		if (end == s || low < 0)
			return -EINVAL;
		if (*end == '-') {
			s = end + 1;
			high = strtol(s, &end, 10);
			if (end == s)
				return -EINVAL;
		}
		for (; low <= high && low < 1024 && l->count < BENCH_MAX_CPUS; low++)
			l->cpu[l->count++] = (int)low;
		if (!*end)
			return l->count ? 0 : -EINVAL;
		if (*end != ',')
			return -EINVAL;
		s = end + 1;
	}
}

static int choice(const char *s, const char *no, const char *yes, bool *out)
{
	*out = !strcmp(s, yes);
	return *out || !strcmp(s, no) ? 0 : -EINVAL;
}

static int set_sizes(struct options *o, enum opt id, const char *arg)
{
	int r;

	switch (id) {
	case OPT_FILE_SIZE:
		r = number(arg, 2 * BENCH_BIG, 1ull << 40, &o->file_size);
		return r ? r : o->file_size % BENCH_BIG ? -EINVAL : 0;
	case OPT_ENTRIES:
		return count(arg, 1, 100000, &o->entries);
	case OPT_READDIR_SIZE:
		return count(arg, 4096, BENCH_BIG, &o->readdir_size);
	case OPT_PAGE_RUN:
		r = count(arg, 1, BENCH_BIG / 4096, &o->page_run);
		return r ? r : arith_is_pow2(o->page_run) ? 0 : -EINVAL;
	case OPT_RING_SIZE:
		r = count(arg, 16, 32768, &o->ring_size);
		return r ? r : arith_is_pow2(o->ring_size) ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int set_value(struct options *o, enum opt id, const char *arg)
{
	unsigned int pid;
	int r;

	switch (id) {
	case OPT_DEPTH:
		return count(arg, 1, 512, &o->depth);
	case OPT_QUEUES:
		return count(arg, 1, BENCH_MAX_QUEUES, &o->queues);
	case OPT_RING:
		return choice(arg, "split", "packed", &o->packed);
	case OPT_COMPLETION:
		return choice(arg, "sleep", "poll", &o->poll);
	case OPT_SECONDS:
		return seconds(arg, &o->seconds);
	case OPT_WARMUP:
		return seconds(arg, &o->warmup);
	case OPT_OPS:
		return number(arg, 1, UINT64_MAX, &o->ops);
	case OPT_DRIVER_CPUS:
		return cpu_list(arg, &o->driver_cpus);
	case OPT_DAEMON_CPUS:
		return cpu_list(arg, &o->daemon_cpus);
	case OPT_PID:
		r = count(arg, 1, 1u << 30, &pid);
		o->pid = r ? 0 : (pid_t)pid;
		return r;
	case OPT_THREADS:
		return count(arg, 1, 256, &o->threads);
	default:
		return set_sizes(o, id, arg);
	}
}

static int set_option(struct options *o, enum opt id, const char *arg, struct err *err)
{
	switch (id) {
	case OPT_HELP:
		show_help();
		return 1;
	case OPT_VERSION:
		printf("colofs-bench " COLOFS_VERSION "\n");
		return 1;
	case OPT_VERIFY:
		o->verify = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HOST_DIR:
		o->host_dir = arg;
		return 0;
	default:
		return set_value(o, id, arg) ? bad(err, rows[id - OPT_DEPTH].name, arg) : 0;
	}
}

static int set_loads(struct options *o, char **name, struct err *err)
{
	if (!*name) /* all that can be done */
		for (unsigned int i = 0; i < LOAD_COUNT; i++)
			o->load[i] = i < LOAD_BLOCKING || (!o->local && (i != LOAD_BESIDE || o->host_dir));
	for (; *name; name++) {
		unsigned int i = 0;

		while (i < LOAD_COUNT && strcmp(*name, bench_load_name[i]))
			i++;
		if (i == LOAD_COUNT)
			return err_set(err, EINVAL, "%s: no such load; --help lists them", *name);
		o->load[i] = true;
	}
	if (o->load[LOAD_BESIDE] && !o->local && !o->host_dir)
		return err_set(err, EINVAL, "%s: needs --host-dir", bench_load_name[LOAD_BESIDE]);
	return 0;
}

static int set_where(struct options *o, char **word, struct err *err)
{
	o->local = word[0] && !strcmp(word[0], "local");
	word += o->local;
	o->where = word[0];
	if (!o->where)
		return err_set(err, EINVAL, "no %s is given; see --help", o->local ? "directory" : "socket");
	if (!o->ops && o->seconds <= 0)
		return err_set(err, EINVAL, "--seconds=0 needs --ops");
	if (!o->local && o->depth + 8 > o->ring_size)
		return err_set(err, EINVAL, "--depth=%u: too much for a ring of %u", o->depth, o->ring_size);
	return set_loads(o, word + 1, err);
}

int options_parse(struct options *o, int argc, char **argv, struct err *err)
{
	const char *arg;
	int id, r;

	*o = (struct options){
		.depth = 16, .queues = 1, .ring_size = 1024, .page_run = 16, .threads = 2, .entries = 1000};
	o->readdir_size = 4096;
	o->seconds = 1;
	o->warmup = 0.2;
	o->file_size = 64ull * BENCH_BIG;
	while ((id = opt_table_next(&table, argc, argv, &arg, err)) != OPT_TABLE_END) {
		r = id < 0 ? id : set_option(o, id == 'h' ? OPT_HELP : (enum opt)id, arg, err);
		if (r)
			return r;
	}
	return set_where(o, argv + optind, err);
}
