/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the command with pipes or a pseudo-terminal as its standard streams, and carries their bytes as
 * frames. Frames to the host are written blocking (the host always reads); bytes for the command never block
 * us: what it does not take waits in a buffer of FRAME_WINDOW bytes, and the host sends no more than that
 * ahead.
 */
#include "init.h"

#include "base/arith.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { OUT_STDOUT, OUT_STDERR, OUT_TTY, N_OUT };

static const enum frame_type out_frame[N_OUT] = {FRAME_STDOUT, FRAME_STDERR, FRAME_TTY};

static struct {
	pid_t child;
	int status; /* of waitpid(); valid when child is 0 */
	int sigfd;
	int in;		/* to the command's standard input; -1 when closed */
	int out[N_OUT]; /* from the command; -1 when closed */
	int pty;	/* the master, or -1 */
	bool in_end;	/* the host said that no more follows */
	bool in_is_pty;
	size_t in_len;
	uint8_t in_buf[FRAME_WINDOW];
	size_t rx_len;
	uint8_t rx[FRAME_HEAD + FRAME_PAYLOAD];
} r = {.sigfd = -1, .in = -1, .out = {-1, -1, -1}, .pty = -1};

static void set_winsize(uint16_t rows, uint16_t columns)
{
	struct winsize w = {.ws_row = rows, .ws_col = columns};

	if (r.pty >= 0 && rows && columns)
		ioctl(r.pty, TIOCSWINSZ, &w);
}

/* The host's terminal is only raw when it is the input too; else it adds the carriage returns itself. */
static void plain_output(int slave)
{
	struct termios t;

	if (tcgetattr(slave, &t) < 0)
		return;
	t.c_oflag &= ~(tcflag_t)OPOST;
	t.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(slave, TCSANOW, &t);
}

static void open_pty(const struct init_config *c, int *slave)
{
	if (openpty(&r.pty, slave, NULL, NULL, NULL) < 0)
		fail("a pseudo-terminal: %s", strerror(errno));
	fcntl(r.pty, F_SETFD, FD_CLOEXEC);
	fcntl(*slave, F_SETFD, FD_CLOEXEC);
	set_winsize(c->rows, c->columns);
	if (!c->tty[0])
		plain_output(*slave);
	r.out[OUT_TTY] = r.pty;
}

/* Makes the command's three streams; @theirs is what becomes its 0, 1 and 2. Returns the terminal or -1. */
static int open_streams(const struct init_config *c, int theirs[3])
{
	int slave = -1;

	if (c->tty[0] || c->tty[1] || c->tty[2])
		open_pty(c, &slave);
	r.in_is_pty = c->tty[0];
	for (int i = 0; i < 3; i++) {
		int p[2];

		if (c->tty[i]) {
			theirs[i] = slave;
			continue;
		}
		if (pipe2(p, O_CLOEXEC) < 0)
			fail("a pipe: %s", strerror(errno));
		theirs[i] = i ? p[1] : p[0];
		if (i)
			r.out[i - 1] = p[0];
		else
			r.in = p[1];
	}
	if (r.in_is_pty)
		r.in = r.pty;
	fcntl(r.in, F_SETFL, O_RDWR | O_NONBLOCK);
	return slave;
}

static void exec_command(const struct init_config *c)
{
	static char *no_env[] = {NULL};
	const char *shell;
	sigset_t none;
	char *fallback[2] = {NULL, NULL};
	char **argv = c->n_argv ? c->argv : fallback;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	environ = c->n_envp ? c->envp : no_env;
	if (chdir(c->cwd) < 0) {
		fprintf(stderr, "colofs: %s: %s\n", c->cwd, strerror(errno));
		_exit(126);
	}
	shell = getenv("SHELL");
	fallback[0] = (char *)(uintptr_t)(shell && !access(shell, X_OK) ? shell : "/bin/sh");
	execvp(argv[0], argv);
	fprintf(stderr, "colofs: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void start_command(const struct init_config *c)
{
	int theirs[3];
	int slave;

	slave = open_streams(c, theirs);
	r.child = fork();
	if (r.child < 0)
		fail("fork: %s", strerror(errno));
	if (!r.child) {
		setsid();
		for (int i = 0; i < 3; i++)
			dup2(theirs[i], i);
		for (int i = 0; i < 3; i++)
			if (c->tty[i] && ioctl(i, TIOCSCTTY, 0) == 0)
				break;
		exec_command(c);
	}
	for (int i = 0; i < 3; i++)
		if (theirs[i] != slave)
			close(theirs[i]);
	if (slave >= 0)
		close(slave);
}

static void close_out(int i)
{
	if (r.out[i] >= 0 && r.out[i] != r.pty)
		close(r.out[i]);
	r.out[i] = -1;
}

/* Carries what one stream has now. False at its end. */
static bool carry_out(int i)
{
	uint8_t buf[FRAME_PAYLOAD];
	ssize_t n = read(r.out[i], buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		close_out(i);
		return false;
	}
	channel_send(out_frame[i], buf, (size_t)n);
	return true;
}

static void send_taken(size_t n)
{
	uint8_t le[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};

	channel_send(FRAME_TAKEN, le, sizeof(le));
}

static void close_in(void)
{
	if (r.in >= 0 && !r.in_is_pty)
		close(r.in);
	r.in = -1;
}

/* Gives the command what waits for it. A command that closed its input loses it, as with any pipe. */
static void feed_in(void)
{
	ssize_t n = r.in_len ? (ssize_t)r.in_len : 0;

	if (r.in_len && r.in >= 0) {
		n = write(r.in, r.in_buf, r.in_len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			close_in();
			n = (ssize_t)r.in_len;
		}
	}
	if (n) {
		r.in_len -= (size_t)n;
		memmove(r.in_buf, r.in_buf + n, r.in_len);
		send_taken((size_t)n);
	}
	if (!r.in_len && r.in_end)
		close_in();
}

static void take_stdin(const uint8_t *p, size_t len)
{
	if (len > sizeof(r.in_buf) - r.in_len)
		fail("the host sends more input than it may");
	memcpy(r.in_buf + r.in_len, p, len);
	r.in_len += len;
}

static void take_frame(enum frame_type type, const uint8_t *p, size_t len)
{
	switch (type) {
	case FRAME_STDIN:
		take_stdin(p, len);
		break;
	case FRAME_STDIN_END:
		r.in_end = true;
		break;
	case FRAME_WINSIZE:
		if (len == 4)
			set_winsize((uint16_t)(p[0] | p[1] << 8), (uint16_t)(p[2] | p[3] << 8));
		break;
	case FRAME_SIGNAL:
		if (len == 1 && r.child > 0)
			kill(-r.child, p[0]);
		break;
	case FRAME_SHUT:
		if (len == 1 && (p[0] == 1 || p[0] == 2))
			close_out(p[0] - 1);
		break;
	default:
		fail("the host sends a frame of type %u", type);
	}
	feed_in();
}

static void take_channel(void)
{
	ssize_t n = read(channel_fd(), r.rx + r.rx_len, sizeof(r.rx) - r.rx_len);
	size_t used = 0;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		power_off(); /* colofs is gone */
	r.rx_len += (size_t)n;
	while (r.rx_len - used >= FRAME_HEAD) {
		uint32_t len = frame_head_len(r.rx + used);

		if (len > FRAME_PAYLOAD)
			fail("the host sends a frame of %u bytes", len);
		if (r.rx_len - used < FRAME_HEAD + len)
			break;
		take_frame(r.rx[used], r.rx + used + FRAME_HEAD, len);
		used += FRAME_HEAD + len;
	}
	r.rx_len -= used;
	memmove(r.rx, r.rx + used, r.rx_len);
}

static void reap(int flags)
{
	struct signalfd_siginfo si;
	int status;
	pid_t pid;

	while (read(r.sigfd, &si, sizeof(si)) > 0)
		;
	while ((pid = waitpid(-1, &status, flags)) > 0)
		if (pid == r.child) {
			r.status = status;
			r.child = 0;
		}
}

static void poll_once(void)
{
	struct pollfd fds[3 + N_OUT] = {
		{.fd = channel_fd(), .events = POLLIN},
		{.fd = r.sigfd, .events = POLLIN},
		{.fd = r.in_len ? r.in : -1, .events = POLLOUT},
	};

	for (int i = 0; i < N_OUT; i++)
		fds[3 + i] = (struct pollfd){.fd = r.out[i], .events = POLLIN};
	if (poll(fds, ARRAY_LEN(fds), -1) < 0)
		return;
	for (int i = 0; i < N_OUT; i++)
		if (fds[3 + i].revents && r.out[i] >= 0)
			carry_out(i);
	if (fds[0].revents)
		take_channel();
	if (fds[2].revents)
		feed_in();
	if (fds[1].revents)
		reap(WNOHANG);
}

/* With every process gone, nobody holds the other ends: each stream ends after its last byte. */
static void drain(void)
{
	kill(-1, SIGKILL);
	reap(0);
	for (int i = 0; i < N_OUT; i++) {
		if (r.out[i] >= 0)
			fcntl(r.out[i], F_SETFL, O_RDWR | O_NONBLOCK);
		while (r.out[i] >= 0) {
			struct pollfd p = {.fd = r.out[i], .events = POLLIN};

			if (poll(&p, 1, 0) <= 0 || !carry_out(i))
				break;
		}
	}
}

int relay_run(const struct init_config *c)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	r.sigfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r.sigfd < 0)
		fail("signalfd: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	start_command(c);
	while (r.child)
		poll_once();
	drain();
	return WIFSIGNALED(r.status) ? 128 + WTERMSIG(r.status) : WEXITSTATUS(r.status);
}
