/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * colofsd: from the command line to serving, in stages. Exit status: 0 after a clean end, 2 for what the user
 * can put right on the command line (nothing has been made then), 1 for everything else.
 */
#include "base/arith.h"
#include "base/cleanup.h"
#include "base/ending.h"
#include "daemon/help.h"
#include "daemon/claims.h"
#include "daemon/launch.h"
#include "daemon/line.h"
#include "daemon/outside.h"
#include "daemon/serve.h"
#include "daemon/store.h"
#include "daemon/supervise.h"
#include "daemon/upgrade.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#define USAGE		    2
#define CACHED_FDS_MAX	    65536
#define INHERITED_FILES_MAX 8
#define FIRST_FDS	    4096 /* the descriptors of the start lie below */

struct daemon {
	struct options opt;
	struct outside outside;
	int claims; /* which daemon maps which file; -1: nobody asks */
	int copies; /* the window's; -1: there is none */
	int line;   /* to the process that was started (launch.h); -1: this is it */
	int from;   /* of whom this one takes over (upgrade.h); -1: nobody */
	struct sandbox_root root;
	int file[INHERITED_FILES_MAX]; /* regular files that were open at the start */
	unsigned int nfiles;
	struct segment segment;
	int proc;	      /* O_PATH: /proc, for workers */
	bool worker;	      /* this process is one, of a supervisor */
	int worker_status;    /* in the supervisor: how its last worker ended */
	struct store store;   /* what the next start shall have */
	bool keep;	      /* in the supervisor: it shall */
	struct stored stored; /* what this start had from the last one */
	uint32_t restarts;    /* workers that there were before this process */
};

/* One line, whatever stood in the argument that it quotes. */
static int fail(const struct options *o, int status, struct err *err)
{
	struct line_message m = {.word = LINE_REFUSED};

	for (char *s = err->text; *s; s++)
		if (iscntrl((unsigned char)*s))
			*s = '?';
	if (o->line != OPTIONS_NO_FD) {
		snprintf(m.text, sizeof(m.text), "%s", err->text);
		line_send((int)o->line, &m, NULL, 0);
	}
	fprintf(stderr, "colofsd: %s\n", err->text);
	if (o->syslog)
		log_error("%s", err->text);
	return status;
}

/*
 * Inherited descriptors, but those that are meant for us, would be ways out of the sandbox.
 * Regular files stay open in the process that was started, and only there: libvirt takes a lock on its PID
 * file that is gone with the descriptor, and by which it knows that there is somebody to end with the domain.
 */
static void close_inherited(struct daemon *d)
{
	const struct options *o = &d->opt;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir))) {
		int fd = atoi(e->d_name);

		if (fd <= STDERR_FILENO || (uint32_t)fd == o->fd || (uint32_t)fd == o->store ||
			(uint32_t)fd == o->line || fd == dirfd(dir))
			continue;
		if (d->nfiles < INHERITED_FILES_MAX && !fstat(fd, &st) && S_ISREG(st.st_mode))
			d->file[d->nfiles++] = fd;
		else
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static void close_inherited_files(struct daemon *d)
{
	while (d->nfiles)
		close(d->file[--d->nfiles]);
}

static void open_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
}

/* Somebody asks for another program to take over; the process that was started, and supervisors, wait for it.
 */
static void await_upgrades(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR2, SIG_DFL);
}

/* Ends are asked for by descriptor; SIGUSR1 interrupts a queue's thread in a system call, and does nothing.
 */
static void set_up_signals(void)
{
	sigset_t stop;

	ending_signals(&stop);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, children's ends would be lost; whoever started us may do that */
	signal(SIGUSR2, SIG_IGN); /* without supervisors: nobody could take over */
}

static int open_signals(struct err *err)
{
	sigset_t stop;
	int fd;

	ending_signals(&stop);
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

/* To the parent if there is one; else what the parent would do is done here. */
static void tell(struct daemon *d, char word)
{
	if (d->root.parent < 0)
		outside_told(&d->outside, word);
	else if (write(d->root.parent, &word, 1) != 1)
		log_debug("the waiting process is not there");
}

static void tell_alive(void *arg)
{
	tell(arg, OUTSIDE_ALIVE);
}

static void overdue(void *arg)
{
	struct daemon *d = arg;

	outside_remove(&d->outside);
}

static void outside_told_by(void *arg, char word)
{
	struct daemon *d = arg;

	outside_told(&d->outside, word);
}

/* The child has them. */
static void forget_stored(void *arg)
{
	struct daemon *d = arg;

	store_drop(&d->stored);
}

static void forget_files(void *arg)
{
	close_inherited_files(arg);
}

/* What the process between that which was started and the sandbox is for. */
static void forward(void *arg, char word)
{
	struct daemon *d = arg;

	if (word == OUTSIDE_READY)
		detach_streams(&d->outside.detach);
	line_say(d->line, word);
}

static void begin_between(void *arg)
{
	struct daemon *d = arg;

	store_drop(&d->stored);
	cleanup_fd(&d->from);
}

static bool is_first(const struct daemon *d)
{
	const struct supervised *rec = segment_at(&d->segment, SEGMENT_SUPERVISED);

	return rec->restarts == d->restarts;
}

static void tell_ready(void *arg)
{
	struct daemon *d = arg;

	if (d->segment.adopt)
		log_warn("serving goes on");
	tell(d, OUTSIDE_READY); /* again, as an earlier worker may have ended ahead of it */
	if (d->root.parent >= 0)
		detach_streams(&d->outside.detach);
	if (is_first(d))
		log_info("serving %s", d->opt.sandbox.shared_dir);
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
		.overdue = overdue,
		.alive = tell_alive,
		.alive_ms = d->outside.watchdog,
		.ready = tell_ready,
		.arg = d,
		.exit_on_disconnect = d->opt.exit_on_disconnect,
		.queue = d->opt.queue,
	};

	cfg.fs.root = d->root.root;
	cfg.fs.proc_self_fd = d->root.proc_self_fd;
	cfg.fs.change_creds = d->root.change_creds;
	cfg.dax.any_owner = d->root.change_creds;
	cfg.dax.uid = geteuid();
	cfg.dax.claims = d->claims;
	cfg.dax.copies = d->copies;
	cfg.fs.max_fds = cached_fds(&d->opt);
	return cfg;
}

/* The one that served can no longer go on from here. */
static void take_place(struct daemon *d)
{
	struct supervised *rec = segment_at(&d->segment, SEGMENT_SUPERVISED);

	if (!atomic_load(&rec->on_trial))
		return;
	upgrade_serving(d->from, d->proc);
	atomic_store(&rec->on_trial, 0);
}

static int serve(struct daemon *d, const struct serve_config *cfg, struct err *err)
{
	struct serve *s;
	int r = serve_new(cfg, &s, err);

	if (r)
		return r;
	d->opt.sandbox.file_handles = serve_uses_handles(s);
	d->root.proc_self_fd = cfg->fs.proc_self_fd;
	r = sandbox_lock(&d->opt.sandbox, d->worker ? SANDBOX_WORKER : SANDBOX_ALONE, &d->root, err);
	if (r && cfg->on_trial)
		return r;
	if (!r) {
		if (d->from >= 0)
			take_place(d);
		r = serve_run(s, err);
		tell(d, OUTSIDE_STOPPING);
	}
	serve_free(s);
	return r;
}

/* /proc/self is another process' than the supervisor's; it is reached from there, as no path leads there. */
static int own_proc_self_fd(int proc, struct err *err)
{
	int fd = openat(proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "/proc/self/fd") : fd;
}

static int work(struct daemon *d, struct serve_config *cfg, struct err *err)
{
	const struct supervised *rec = segment_at(&d->segment, SEGMENT_SUPERVISED);
	int fd;

	d->worker = true;
	fd = own_proc_self_fd(d->proc, err);
	if (fd < 0)
		return fd;
	cfg->fs.proc_self_fd = fd;
	cfg->on_trial = atomic_load(&rec->on_trial);
	cfg->overdue = NULL; /* what is outside is the supervisor's, or its parent's */
	d->segment.adopt = rec->restarts > 0;
	return serve(d, cfg, err);
}

/* The descriptors that are no worker's: those that were open at the start, but for what earlier workers had.
 */
static int find_base(const struct daemon *d, int end, struct fdmap *base, struct err *err)
{
	if (fdmap_add_open(base, MAX(FIRST_FDS, end)))
		return err_set(err, ENOMEM, "no memory");
	for (int fd = fdmap_next(&d->stored.fds, 0); fd >= 0; fd = fdmap_next(&d->stored.fds, fd + 1))
		if (fd != d->stored.state && fd != d->stored.mounts)
			fdmap_remove(base, fd);
	return 0;
}

static void hand_over(struct daemon *d, const struct fdmap *base)
{
	struct err err;

	tell(d, OUTSIDE_STOPPING);
	if (store_pack(&d->store, d->outside.notify, base, d->segment.fd, &err))
		log_error("%s: the guest's connection ends", err.text);
}

/* Of @state, which an earlier process had. */
static void count_restart(struct daemon *d)
{
	struct supervised *rec = segment_at(&d->segment, SEGMENT_SUPERVISED);

	d->restarts = ++rec->restarts;
	rec->died_of = SIGKILL;
}

static int prepare(struct daemon *d, struct serve_config *cfg, bool keeps, struct err *err)
{
	int r = fs_prepare(&cfg->fs, err);

	d->proc = openat(cfg->fs.proc_self_fd, "../..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!r && d->proc < 0)
		r = err_sys(err, errno, "/proc");
	if (!r && keeps)
		r = store_prepare(&d->store, d->proc, err);
	d->store.mounts = d->stored.mounts;
	if (!r && d->from < 0 && d->store.mounts < 0)
		d->store.mounts = openat(d->proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return r ? r : sandbox_lock(&d->opt.sandbox, SANDBOX_SUPERVISOR, NULL, err);
}

/* All is ready but what another daemon has: looks at what that offers. */
static int await_offer(struct daemon *d, const struct serve_config *cfg, struct err *err)
{
	int state, r;

	tell(d, LINE_PREPARED);
	r = upgrade_await(d->from, &state, &d->store.mounts, err);
	if (r)
		return r;
	r = serve_segment_again(cfg, state, &d->segment, err);
	return r ? err_prefix(err, r, "this program cannot go on from there, restart the daemon to have it")
		 : 0;
}

static int take_over(struct daemon *d, struct err *err)
{
	struct supervised *rec = segment_at(&d->segment, SEGMENT_SUPERVISED);
	int r = upgrade_take(d->from, err);

	if (r)
		return r;
	count_restart(d);
	atomic_store(&rec->on_trial, 1);
	return 0;
}

/* In the supervisor *@status is the worker's end. */
static int serve_supervised(struct daemon *d, struct serve_config *cfg, struct err *err)
{
	bool keeps = d->outside.keeps && !geteuid() && !d->opt.dax.window;
	struct fdmap base = {0};
	struct upgrade_giver giver = {.line = d->line, .base = &base, .segment = &d->segment, .to = -1};
	struct supervise_hooks hooks = {keeps ? &d->keep : NULL, &giver};
	int r = prepare(d, cfg, keeps, err);

	if (!r && d->from >= 0)
		r = await_offer(d, cfg, err);
	if (!r)
		r = upgrade_fill_low(d->proc, err);
	if (!r)
		r = find_base(d, cfg->socket + 1, &base, err);
	cfg->base_fds = &base;
	if (!r && d->from >= 0)
		r = take_over(d, err);
	giver.proc = d->proc;
	giver.mounts = d->store.mounts;
	if (!r)
		r = supervise(segment_at(&d->segment, SEGMENT_SUPERVISED), &hooks, &d->worker_status, err);
	if (!r)
		r = work(d, cfg, err);
	else if (d->keep)
		hand_over(d, &base);
	fdmap_free(&base);
	cfg->base_fds = NULL;
	return r;
}

/* What an earlier process left where it can be used, else a new one. */
static int make_segment(struct daemon *d, const struct serve_config *cfg, struct err *err)
{
	if (d->from >= 0)
		return 0;
	if (d->stored.state < 0)
		return serve_segment(cfg, &d->segment, err);
	if (!d->opt.recover || serve_segment_again(cfg, d->stored.state, &d->segment, err)) {
		log_warn("the state of the last start cannot be used, and the guest's connection ends: %s",
			d->opt.recover ? err->text : "--no-recover");
		store_drop(&d->stored);
		return serve_segment(cfg, &d->segment, err);
	}
	count_restart(d);
	return 0;
}

static int serve_somehow(struct daemon *d, struct err *err)
{
	autofd int signals = open_signals(err);
	struct serve_config cfg = serve_config(d, signals);
	int r;

	if (signals < 0)
		return signals;
	r = make_segment(d, &cfg, err);
	if (r)
		return r;
	cfg.segment = &d->segment;
	r = d->opt.recover ? serve_supervised(d, &cfg, err) : serve(d, &cfg, err);
	segment_close(&d->segment);
	return r;
}

static int open_window(struct daemon *d, struct err *err)
{
	const struct options *o = &d->opt;
	int r = 0;

	d->claims = d->copies = -1;
	if (!o->dax.window)
		return 0;
	if (!o->dax_trust_peers)
		r = claims_open(&d->claims, err);
	if (r)
		return r;
	d->copies = dax_copies(o->dax.window, err);
	return MIN(d->copies, 0);
}

/* What belongs to the process that was started. 0, or the exit status with @err. */
static int make_outside(struct daemon *d, struct err *err)
{
	struct options *o = &d->opt;

	if (outside_check(o, err) || sandbox_prepare(&o->sandbox, err))
		return USAGE;
	if (o->store != OPTIONS_NO_FD && store_unpack((int)o->store, &o->fd, &d->stored, err))
		log_warn("%s", err->text);
	if (outside_make(&d->outside, o, err))
		return USAGE;
	if (o->store != OPTIONS_NO_FD)
		store_forget(d->outside.notify);
	if (!open_window(d, err))
		return 0;
	outside_remove(&d->outside);
	return EXIT_FAILURE;
}

/* Running a program that has capabilities of its own, or another user's rights, unties it from its parent. */
static int tie_to_launcher(const struct daemon *d, struct err *err)
{
	struct pollfd gone = {.fd = d->line};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_sys(err, errno, "the parent's death signal cannot be set");
	return poll(&gone, 1, 0) ? err_set(err, ECONNRESET, "the running daemon is gone") : 0;
}

/* The same where another daemon has it, and this one is to take over. */
static int take_outside(struct daemon *d, struct err *err)
{
	struct outside_taken taken;
	struct line_message m;
	int fds[LINE_FDS];
	uint32_t n = LINE_FDS;

	d->line = (int)d->opt.line;
	if (line_receive(d->line, &m, fds, &n) < 1 || m.word != LINE_TAKE || !(m.has & LINE_FROM) ||
		n != (uint32_t)__builtin_popcount(m.has)) {
		err_set(err, EPROTO, "the running daemon hands over in another way; restart it");
		return EXIT_FAILURE;
	}
	if (tie_to_launcher(d, err))
		return EXIT_FAILURE;
	outside_take(&d->outside, &d->opt, &m, fds, &taken);
	d->from = taken.from;
	d->claims = taken.claims;
	d->copies = taken.copies;
	return sandbox_prepare(&d->opt.sandbox, err) ? USAGE : 0;
}

/* In the child of the process that was started: it stays there, and holds what is outside. */
static int leave_launcher(struct daemon *d, char *const argv[], struct err *err)
{
	const struct launch_config cfg = {.outside = &d->outside,
		.argv = argv,
		.claims = d->claims,
		.copies = d->copies,
		.in_parent = forget_stored,
		.in_program = forget_files,
		.arg = d};
	int r = launch(&cfg, &d->line, err);

	if (r)
		return r;
	outside_leave(&d->outside);
	close_inherited_files(d);
	return 0;
}

static int enter(struct daemon *d, struct err *err)
{
	struct options *o = &d->opt;
	int r;

	o->sandbox.supervised = o->recover;
	o->sandbox.labels = o->fuse.security_label;
	o->sandbox.file_handles = o->fs.handles != FS_HANDLES_NEVER;
	o->sandbox.parent = (struct sandbox_parent){
		.told = outside_told_by, .begin = forget_stored, .end = overdue, .arg = d};
	if (d->line >= 0)
		o->sandbox.parent =
			(struct sandbox_parent){.told = forward, .begin = begin_between, .arg = d};
	r = sandbox_enter(&o->sandbox, &d->root, err);
	if (d->root.parent >= 0) {
		outside_leave(&d->outside);
		close_inherited_files(d);
	}
	return r;
}

static int run(struct daemon *d, char *const argv[])
{
	struct options *o = &d->opt;
	struct err err;
	int r;

	set_up_signals();
	if (o->recover)
		await_upgrades();
	open_standard_streams();
	close_inherited(d);
	tzset(); /* the sandbox has another /etc/localtime, perhaps the guest's */
	log_setup(o->log_level, o->syslog, "colofsd");
	if (o->remark)
		log_warn("%s", o->remark);
	d->stored = (struct stored){.state = -1, .mounts = -1};
	d->line = d->from = -1;
	r = o->line == OPTIONS_NO_FD ? make_outside(d, &err) : take_outside(d, &err);
	if (r)
		return fail(o, r, &err);
	if (o->recover && d->line < 0)
		r = leave_launcher(d, argv, &err);
	if (!r)
		r = enter(d, &err);
	if (!r)
		r = serve_somehow(d, &err);
	fdmap_free(&d->stored.fds);
	if (!d->worker)
		outside_remove(&d->outside);
	if (r > 0)
		return ending_repeat(d->worker_status); /* in the supervisor */
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
		status = run(&d, argv);
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
	fdmap_free(&d.stored.fds);
	options_free(&d.opt);
	return status;
}
