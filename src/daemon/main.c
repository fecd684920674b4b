/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * colofsd: from the command line to serving, in stages. Exit status: 0 after a clean end, 2 for what the user
 * can put right on the command line (nothing has been made then), 1 for everything else.
 */
#include "base/arith.h"
#include "base/cleanup.h"
#include "daemon/help.h"
#include "daemon/outside.h"
#include "daemon/serve.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>

#define USAGE	       2
#define CACHED_FDS_MAX 65536

struct daemon {
	struct options opt;
	struct outside outside;
	struct sandbox_root root;
};

/* One line, whatever stood in the argument that it quotes. */
static int fail(const struct options *o, int status, struct err *err)
{
	for (char *s = err->text; *s; s++)
		if (iscntrl((unsigned char)*s))
			*s = '?';
	fprintf(stderr, "colofsd: %s\n", err->text);
	if (o->syslog)
		log_error("%s", err->text);
	return status;
}

/* Inherited descriptors but the one that is meant for us: they would be ways out of the sandbox. */
static void close_inherited(uint32_t keep)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
	if (keep > STDERR_FILENO && keep != OPTIONS_NO_FD) {
		if (keep > STDERR_FILENO + 1)
			close_range(STDERR_FILENO + 1, keep - 1, 0);
		close_range(keep + 1, ~0U, 0);
	} else {
		close_range(STDERR_FILENO + 1, ~0U, 0);
	}
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* Ends are asked for by descriptor; SIGUSR1 interrupts a queue's thread in a system call, and does nothing.
 */
static void set_up_signals(void)
{
	sigset_t stop;

	stop_signals(&stop);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static int open_stop(struct err *err)
{
	sigset_t stop;
	int fd;

	stop_signals(&stop);
	fd = signalfd(-1, &stop, SFD_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "no signal descriptor") : fd;
}

static uint32_t cached_fds(const struct options *o)
{
	struct rlimit limit = {1024, 1024};

	if (o->max_cached_fds)
		return (uint32_t)o->max_cached_fds;
	getrlimit(RLIMIT_NOFILE, &limit);
	return (uint32_t)MAX(MIN(limit.rlim_cur / 4, CACHED_FDS_MAX), 16);
}

static struct serve_config serve_config(const struct daemon *d, int stop)
{
	struct serve_config cfg = {
		.vhost = d->opt.vhost,
		.fuse = d->opt.fuse,
		.fs = d->opt.fs,
		.socket = d->outside.socket,
		.stop = stop,
		.exit_on_disconnect = d->opt.exit_on_disconnect,
		.queue_threads = d->opt.queue_threads,
	};

	cfg.fs.root = d->root.root;
	cfg.fs.proc_self_fd = d->root.proc_self_fd;
	cfg.fs.change_creds = d->root.change_creds;
	cfg.fs.max_fds = cached_fds(&d->opt);
	return cfg;
}

/* To the parent if there is one; else what the parent would do is done here. */
static void tell(struct daemon *d, char word)
{
	if (d->root.parent < 0)
		outside_told(&d->outside, word);
	else if (write(d->root.parent, &word, 1) != 1)
		log_debug("the waiting process is not there");
}

static int serve(struct daemon *d, struct err *err)
{
	autofd int stop = open_stop(err);
	struct serve_config cfg = serve_config(d, stop);
	struct serve *s;
	int r;

	if (stop < 0)
		return stop;
	r = serve_new(&cfg, &s, err);
	if (r)
		return r;
	r = sandbox_lock(&d->opt.sandbox, err);
	if (!r) {
		tell(d, OUTSIDE_READY);
		if (d->root.parent >= 0)
			detach_streams(&d->outside.detach);
		log_info("serving %s", d->opt.sandbox.shared_dir);
		r = serve_run(s, err);
		tell(d, OUTSIDE_STOPPING);
	}
	serve_free(s);
	return r;
}

static int run(struct daemon *d)
{
	struct options *o = &d->opt;
	struct err err;
	int r;

	set_up_signals();
	close_inherited(o->fd);
	tzset(); /* the sandbox has another /etc/localtime, perhaps the guest's */
	log_setup(o->log_level, o->syslog, "colofsd");
	if (o->remark)
		log_warn("%s", o->remark);
	if (outside_check(o, &err) || sandbox_prepare(&o->sandbox, &err) ||
		outside_make(&d->outside, o, &err))
		return fail(o, USAGE, &err);
	o->sandbox.file_handles = o->fs.handles != FS_HANDLES_NEVER;
	o->sandbox.parent = (struct sandbox_parent){outside_told, outside_remove, &d->outside};
	r = sandbox_enter(&o->sandbox, &d->root, &err);
	if (d->root.parent >= 0)
		outside_leave(&d->outside);
	if (!r)
		r = serve(d, &err);
	outside_remove(&d->outside);
	return r ? fail(o, EXIT_FAILURE, &err) : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct daemon d = {0};
	int status = EXIT_SUCCESS;
	struct err err;

	if (options_parse(&d.opt, argc, argv, &err)) {
		status = fail(&d.opt, USAGE, &err);
		options_free(&d.opt);
		return status;
	}
	switch (d.opt.action) {
	case OPTIONS_RUN:
		status = run(&d);
		break;
	case OPTIONS_HELP:
		help_print(stdout);
		break;
	case OPTIONS_VERSION:
		puts("colofsd " COLOFS_VERSION);
		break;
	case OPTIONS_CAPABILITIES:
		help_print_capabilities(stdout);
		break;
	}
	options_free(&d.opt);
	return status;
}
