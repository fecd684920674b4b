/* SPDX-License-Identifier: BSD-3-Clause */
/* A vhost-user-fs daemon as a child process; the header says how. */
#include "spawn.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_ARGS 48

struct argv {
	char *v[MAX_ARGS + 1];
	unsigned int n;
	char share[320], socket[320], extra[1024];
};

const char *spawn_program(void)
{
	const char *p = getenv("COLOFSD");

	return p ? p : "colofsd";
}

enum spawn_dialect spawn_dialect(void)
{
	const char *p = spawn_program();

	if (strstr(p, "rust-virtiofsd"))
		return SPAWN_RUST;
	return strstr(p, "virtiofsd") ? SPAWN_C : SPAWN_COLOFS;
}

static void add_arg(struct argv *a, const char *arg)
{
	if (a->n < MAX_ARGS)
		a->v[a->n++] = (char *)(uintptr_t)arg;
}

static void add_args(struct argv *a, const char *const *args)
{
	for (; args && *args; args++)
		add_arg(a, *args);
}

static void add_environment(struct argv *a)
{
	const char *extra = getenv("COLOFSD_ARGS");

	snprintf(a->extra, sizeof(a->extra), "%s", extra ? extra : "");
	for (char *t = strtok(a->extra, " "); t; t = strtok(NULL, " "))
		add_arg(a, t);
}

static void build_args(struct argv *a, const struct spawn *s, const struct spawn_config *cfg, int child_fd)
{
	static const char *const usual[][8] = {
		[SPAWN_COLOFS] = {"--tag=proto", "--xattr", "-o", "posix_lock,flock"},
		[SPAWN_RUST] = {"--tag=proto", "--xattr", "--sandbox=none", "--seccomp=none"},
		[SPAWN_C] = {"-f", "-o", "sandbox=chroot,xattr,posix_lock,flock"},
	};
	const char *share = cfg->share ? cfg->share : s->share_path;

	add_arg(a, spawn_program());
	if (s->dialect == SPAWN_C) {
		snprintf(a->share, sizeof(a->share), "source=%s", share);
		add_arg(a, "-o");
	} else {
		snprintf(a->share, sizeof(a->share), "--shared-dir=%s", share);
	}
	add_arg(a, a->share);
	if (child_fd < 0)
		snprintf(a->socket, sizeof(a->socket), "--socket-path=%s", s->socket_path);
	else
		snprintf(a->socket, sizeof(a->socket), "--fd=%d", child_fd);
	add_arg(a, a->socket);
	if (!cfg->bare)
		add_args(a, usual[s->dialect]);
	add_args(a, cfg->args);
	add_environment(a);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 1))
		return -errno;
	return fd_take(&fd);
}

/* The descriptor that the child shall inherit, -1: none, or another -errno. */
static int child_socket(struct spawn *s, enum spawn_socket kind)
{
	int pair[2];

	if (kind == SPAWN_LISTENING_FD)
		return listen_at(s->socket_path);
	if (kind == SPAWN_PATH)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	s->fd = pair[0];
	return pair[1];
}

int spawn_prepare(struct spawn *s, struct err *err)
{
	const char *tmp = getenv("TMPDIR");

	*s = (struct spawn){.fd = -1, .share = -1, .alive = -1, .dialect = spawn_dialect()};
	snprintf(s->dir, sizeof(s->dir), "%s/colofs-proto-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(s->dir)) {
		s->dir[0] = 0;
		return err_sys(err, errno, "temporary directory");
	}
	snprintf(s->share_path, sizeof(s->share_path), "%s/share", s->dir);
	snprintf(s->socket_path, sizeof(s->socket_path), "%s/socket", s->dir);
	snprintf(s->log_path, sizeof(s->log_path), "%s/log", s->dir);
	if (mkdir(s->share_path, 0755))
		return err_sys(err, errno, "%s", s->share_path);
	s->share = open(s->share_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->share < 0 ? err_sys(err, errno, "%s", s->share_path) : 0;
}

/* As sd_listen_fds(3) wants it. */
static void pass_on(int kept)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "colofs", 1);
	if (dup2(kept, 3) == 3)
		fcntl(3, F_SETFD, 0);
}

static _Noreturn void run_child(const struct argv *a, int log, int fd)
{
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
	execvp(a->v[0], a->v);
	perror(a->v[0]);
	_exit(127);
}

static void close_all_but(unsigned int a, unsigned int b)
{
	unsigned int low = MIN(a, b), high = MAX(a, b);

	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

/* What remains to be done if this process is gone without a word. */
static _Noreturn void run_keeper(const struct spawn *s, int gone, int daemon)
{
	char word;

	close_all_but((unsigned int)gone, (unsigned int)daemon);
	if (read(gone, &word, 1) == 0) {
		pidfd_send_signal(daemon, SIGTERM, NULL, 0);
		nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
		pidfd_send_signal(daemon, SIGKILL, NULL, 0);
		spawn_remove_tree(s->dir);
	}
	_exit(0);
}

/* A parent-death signal would not do: it is forgotten when the daemon changes its credentials. */
static int start_keeper(struct spawn *s)
{
	autofd int daemon = pidfd_open(s->pid, 0);
	int pair[2];

	if (daemon < 0 || pipe2(pair, O_CLOEXEC))
		return -errno;
	s->keeper = fork();
	if (!s->keeper) {
		close(pair[1]);
		run_keeper(s, pair[0], daemon);
	}
	close(pair[0]);
	s->alive = pair[1];
	return s->keeper < 0 ? -errno : 0;
}

static void dismiss_keeper(struct spawn *s)
{
	if (s->alive < 0)
		return;
	if (write(s->alive, "", 1) == 1 && s->keeper > 0)
		waitpid(s->keeper, NULL, 0);
	close(s->alive);
	s->alive = -1;
}

int spawn_launch(struct spawn *s, const struct spawn_config *cfg, struct err *err)
{
	autofd int log = open(s->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	autofd int fd = child_socket(s, cfg->socket);
	struct argv a = {0};

	if (log < 0 || fd < -1)
		return err_set(err, EIO, "log or socket of the daemon");
	build_args(&a, s, cfg, fd);
	dismiss_keeper(s);
	s->pid = fork();
	if (s->pid < 0)
		return err_sys(err, errno, "fork");
	if (!s->pid && cfg->kept)
		pass_on(cfg->kept);
	if (!s->pid)
		run_child(&a, log, fd);
	if (start_keeper(s))
		return err_set(err, EIO, "no keeper of the daemon");
	return 0;
}

int spawn_start(struct spawn *s, const struct spawn_config *cfg, struct err *err)
{
	int r = spawn_prepare(s, err);

	return r ? r : spawn_launch(s, cfg, err);
}

int spawn_wait(struct spawn *s, int timeout_ms, int *status)
{
	for (int t = 0; waitpid(s->pid, status, WNOHANG) != s->pid; t += 2) {
		if (t >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	s->pid = 0;
	return 0;
}

static int describe_end(int status, struct err *err)
{
	if (WIFSIGNALED(status))
		return err_set(err, ECHILD, "the daemon died: %s", strsignal(WTERMSIG(status)));
	return err_set(err, ECHILD, "the daemon ended with status %d", WEXITSTATUS(status));
}

int spawn_check(struct spawn *s, struct err *err)
{
	int status;

	if (s->pid <= 0)
		return err_set(err, ECHILD, "the daemon is not running");
	if (spawn_wait(s, 0, &status))
		return 0;
	return describe_end(status, err);
}

/* Its own end in time, or a harder one. */
static int terminate(struct spawn *s, struct err *err)
{
	int status;

	kill(s->pid, SIGTERM);
	if (!spawn_wait(s, TEST_PATIENCE_MS, &status)) /* others may die of it */
		return s->dialect == SPAWN_COLOFS && status ? describe_end(status, err) : 0;
	kill(s->pid, SIGKILL);
	spawn_wait(s, TEST_PATIENCE_MS, &status);
	return err_set(err, ETIMEDOUT, "the daemon did not end on SIGTERM");
}

int spawn_end(struct spawn *s, struct err *err)
{
	int status;
	int r = 0;

	if (s->pid > 0 && spawn_wait(s, 0, &status))
		r = terminate(s, err);
	else if (s->pid > 0 && WIFSIGNALED(status))
		r = describe_end(status, err);
	if (r)
		spawn_show_log(s);
	dismiss_keeper(s);
	if (s->fd >= 0)
		close(s->fd);
	if (s->share >= 0)
		close(s->share);
	if (s->dir[0])
		spawn_remove_tree(s->dir);
	*s = (struct spawn){.fd = -1, .share = -1, .alive = -1};
	return r;
}

void spawn_show_log(const struct spawn *s)
{
	autofd int fd = open(s->log_path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return;
	n = pread(fd, buf, sizeof(buf), MAX(st.st_size - (off_t)sizeof(buf), 0));
	if (n > 0)
		fprintf(stderr, "--- the daemon's log ends with:\n%.*s---\n", (int)n, buf);
}

pid_t spawn_server_pid(const struct spawn *s)
{
	pid_t pid = s->pid;

	for (;;) {
		char path[64], buf[64];
		autofd int fd = -1;
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
		if (n <= 0)
			return pid;
		buf[n] = 0;
		pid = (pid_t)strtol(buf, NULL, 10);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path) && errno != ENOENT;
}

void spawn_remove_tree(const char *path)
{
	nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
