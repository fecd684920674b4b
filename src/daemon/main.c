/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * colofsd: from the command line to serving, in stages. Exit status: 0 after a clean end, 2 for what the user
 * can put right on the command line (nothing has been made then), 1 for everything else.
 */
#include "base/arith.h"
#include "base/cleanup.h"
#include "daemon/help.h"
#include "daemon/claims.h"
#include "daemon/outside.h"
#include "daemon/serve.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#define USAGE		    2
#define CACHED_FDS_MAX	    65536
#define INHERITED_FILES_MAX 8

struct daemon {
	struct options opt;
	struct outside outside;
	int claims; /* which daemon maps which file; -1: nobody asks */
	struct sandbox_root root;
	int file[INHERITED_FILES_MAX]; /* regular files that were open at the start */
	unsigned int nfiles;
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

/*
 * Inherited descriptors, but @keep, which is meant for us, would be ways out of the sandbox. Regular files
 * stay open in the process that was started, and only there: libvirt takes a lock on its PID file that is
 * gone with the descriptor, and by which it knows that there is somebody to end with the domain.
 */
static void close_inherited(struct daemon *d, uint32_t keep)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (fd <= STDERR_FILENO || (uint32_t)fd == keep || fd == dirfd(dir))
			continue;
		if (d->nfiles < INHERITED_FILES_MAX && !fstat(fd, &st) && S_ISREG(st.st_mode))
			d->file[d->nfiles++] = fd;
		else
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static void close_inherited_files(const struct daemon *d)
{
	for (unsigned int i = 0; i < d->nfiles; i++)
		close(d->file[i]);
}

static void open_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
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

static int open_signals(struct err *err)
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

static struct serve_config serve_config(struct daemon *d, int signals)
{
	struct serve_config cfg = {
		.vhost = d->opt.vhost,
		.fuse = d->opt.fuse,
		.fs = d->opt.fs,
		.dax = d->opt.dax,
		.socket = d->outside.socket,
		.signals = signals,
		.overdue = outside_remove,
		.overdue_arg = &d->outside,
		.exit_on_disconnect = d->opt.exit_on_disconnect,
		.queue = d->opt.queue,
	};

	cfg.fs.root = d->root.root;
	cfg.fs.proc_self_fd = d->root.proc_self_fd;
	cfg.fs.change_creds = d->root.change_creds;
	cfg.dax.any_owner = d->root.change_creds;
	cfg.dax.claims = d->claims;
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
	autofd int signals = open_signals(err);
	struct serve_config cfg = serve_config(d, signals);
	struct serve *s;
	int r;

	if (signals < 0)
		return signals;
	r = serve_new(&cfg, &s, err);
	if (r)
		return r;
	d->opt.sandbox.file_handles = serve_uses_handles(s);
	r = sandbox_lock(&d->opt.sandbox, &d->root, err);
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
	open_standard_streams();
	close_inherited(d, o->fd);
	tzset(); /* the sandbox has another /etc/localtime, perhaps the guest's */
	log_setup(o->log_level, o->syslog, "colofsd");
	if (o->remark)
		log_warn("%s", o->remark);
	if (outside_check(o, &err) || sandbox_prepare(&o->sandbox, &err) ||
		outside_make(&d->outside, o, &err))
		return fail(o, USAGE, &err);
	d->claims = -1;
	if (o->dax.window && !o->dax_trust_peers && claims_open(&d->claims, &err)) {
		outside_remove(&d->outside);
		return fail(o, EXIT_FAILURE, &err);
	}
	o->sandbox.file_handles = o->fs.handles != FS_HANDLES_NEVER;
	o->sandbox.parent = (struct sandbox_parent){outside_told, outside_remove, &d->outside};
	r = sandbox_enter(&o->sandbox, &d->root, &err);
	if (d->root.parent >= 0) {
		outside_leave(&d->outside);
		close_inherited_files(d);
	}
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
