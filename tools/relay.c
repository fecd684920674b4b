/* SPDX-License-Identifier: BSD-3-Clause */
#include "relay.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define GRACE_MS    5000 /* for the command to end after a signal of ours */
#define ESCAPE	    0x1d /* Ctrl-] */
#define ESCAPES	    3
#define PIPE_CHUNK  4096 /* POLLOUT promises that so much can be written to a pipe */
#define CONTROL_MAX 256	 /* room in the transmit buffer for frames other than input */

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct {
	const struct session *session;
	struct err *err;
	struct relay_terminal term;
	struct termios saved;
	bool raw;
	int channel, sigfd, parentfd;
	bool booted;
	bool ended;
	int result;
	int ended_by;	     /* a signal of ours, or 0 */
	int64_t deadline_ms; /* CLOCK_MONOTONIC; 0: none */
	bool in_open;
	size_t credit; /* bytes of input that the guest would take now */
	unsigned int escapes;
	int out_fd; /* where the rest of the present frame goes, or -1: no frame is half written */
	size_t out_pos, out_end; /* that rest, in rx */
	bool shut[3];
	size_t rx_len;
	uint8_t rx[FRAME_HEAD + FRAME_PAYLOAD];
	size_t tx_len;
	uint8_t tx[FRAME_HEAD + FRAME_PAYLOAD + CONTROL_MAX];
} r;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool terminal_size(uint16_t *rows, uint16_t *columns)
{
	struct winsize w;

	for (int fd = 0; fd < 3; fd++)
		if (ioctl(fd, TIOCGWINSZ, &w) == 0) {
			*rows = w.ws_row;
			*columns = w.ws_col;
			return true;
		}
	return false;
}

void relay_look_at_terminal(struct relay_terminal *t)
{
	*t = (struct relay_terminal){0};
	for (int fd = 0; fd < 3; fd++)
		t->tty[fd] = isatty(fd);
	terminal_size(&t->rows, &t->columns);
}

/* Ignored from the start, by nohup or a shell's `&`: it stays so. */
static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGWINCH);
	for (size_t i = 0; i < ARRAY_LEN(ending_signals); i++)
		if (!is_ignored(ending_signals[i]))
			sigaddset(set, ending_signals[i]);
}

void relay_block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void finish(int result)
{
	if (!r.ended)
		r.result = result;
	r.ended = true;
}

static void flush_tx(void)
{
	ssize_t n = send(r.channel, r.tx, r.tx_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n <= 0)
		return; /* full; or gone, which reading will tell */
	r.tx_len -= (size_t)n;
	memmove(r.tx, r.tx + n, r.tx_len);
}

/* Drops the frame when the guest does not read: only control frames can come to that. */
static void queue_frame(enum frame_type type, const void *payload, size_t len)
{
	if (r.tx_len + FRAME_HEAD + len > sizeof(r.tx))
		return;
	frame_head_put(r.tx + r.tx_len, type, (uint32_t)len);
	if (len)
		memcpy(r.tx + r.tx_len + FRAME_HEAD, payload, len);
	r.tx_len += FRAME_HEAD + len;
	flush_tx();
}

static void make_raw(void)
{
	struct termios t;

	if (!r.term.tty[0] || tcgetattr(0, &r.saved) < 0)
		return;
	t = r.saved;
	cfmakeraw(&t);
	r.raw = tcsetattr(0, TCSADRAIN, &t) == 0;
}

static void send_winsize(void)
{
	uint16_t rows, columns;

	if (r.booted && terminal_size(&rows, &columns))
		queue_frame(FRAME_WINSIZE,
			(uint8_t[]){(uint8_t)rows, (uint8_t)(rows >> 8), (uint8_t)columns,
				(uint8_t)(columns >> 8)},
			4);
}

static void input_end(void)
{
	r.in_open = false;
	queue_frame(FRAME_STDIN_END, NULL, 0);
}

/* True when the user typed the escape: three Ctrl-] in a row. */
static bool escaped(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		r.escapes = p[i] == ESCAPE ? r.escapes + 1 : 0;
		if (r.escapes == ESCAPES)
			return true;
	}
	return false;
}

static void take_input(void)
{
	uint8_t buf[FRAME_PAYLOAD];
	ssize_t n = read(0, buf, MIN(sizeof(buf), r.credit));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		if (r.raw)
			finish(128 + SIGHUP); /* the terminal has gone */
		input_end();
		return;
	}
	if (r.raw && escaped(buf, (size_t)n)) {
		finish(128 + SIGINT);
		return;
	}
	r.credit -= (size_t)n;
	queue_frame(FRAME_STDIN, buf, (size_t)n);
}

static bool wants_input(void)
{
	return r.booted && r.in_open && r.credit && !r.tx_len;
}

static int terminal_fd(void)
{
	return r.term.tty[1] ? 1 : r.term.tty[2] ? 2 : 0;
}

static void set_fail(int errnum, const char *text)
{
	err_set(r.err, errnum, "%s", text);
	finish(-errnum);
}

/* The frame at the beginning of rx, of @len payload bytes. Output frames stay there until they are written.
 */
static void take_frame(enum frame_type type, uint32_t len)
{
	const uint8_t *p = r.rx + FRAME_HEAD;

	r.out_pos = FRAME_HEAD;
	r.out_end = FRAME_HEAD;
	switch (type) {
	case FRAME_READY:
		r.booted = true;
		r.deadline_ms = 0;
		make_raw();
		send_winsize();
		break;
	case FRAME_STDOUT:
	case FRAME_STDERR:
	case FRAME_TTY:
		r.out_fd = type == FRAME_TTY ? terminal_fd() : type == FRAME_STDOUT ? 1 : 2;
		r.out_end += r.shut[r.out_fd] ? 0 : len;
		break;
	case FRAME_TAKEN:
		if (len == 4)
			r.credit += MIN(
				p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16, FRAME_WINDOW - r.credit);
		break;
	case FRAME_EXIT:
		finish(len == 1 ? p[0] : -EPROTO);
		break;
	case FRAME_FAIL:
		err_set(r.err, EIO, "the guest: %.*s", (int)len, (const char *)p);
		finish(-EIO);
		break;
	default:
		set_fail(EPROTO, "the guest sends what is no frame");
	}
}

static void drop_frame(void)
{
	size_t used = FRAME_HEAD + frame_head_len(r.rx);

	r.out_fd = -1;
	r.rx_len -= used;
	memmove(r.rx, r.rx + used, r.rx_len);
}

/* Takes the frames that are complete, up to one whose output cannot be written yet. */
static void take_frames(void)
{
	while (!r.ended && r.out_fd < 0 && r.rx_len >= FRAME_HEAD) {
		uint32_t len = frame_head_len(r.rx);

		if (len > FRAME_PAYLOAD)
			set_fail(EPROTO, "the guest sends what is no frame");
		if (len > FRAME_PAYLOAD || r.rx_len < FRAME_HEAD + len)
			return;
		take_frame(r.rx[0], len);
		if (r.out_pos == r.out_end)
			drop_frame();
	}
}

static void take_channel(void)
{
	ssize_t n = recv(r.channel, r.rx + r.rx_len, sizeof(r.rx) - r.rx_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		set_fail(EIO, r.booted ? "the guest ended unexpectedly" : "the guest did not boot");
		return;
	}
	r.rx_len += (size_t)n;
	take_frames();
}

/* Nobody reads this output any more: the command shall get its SIGPIPE, as without a guest. */
static void shut_output(int fd)
{
	r.shut[fd] = true;
	r.out_pos = r.out_end;
	queue_frame(FRAME_SHUT, (uint8_t[]){(uint8_t)fd}, 1);
}

static void write_output(void)
{
	ssize_t n = write(r.out_fd, r.rx + r.out_pos, MIN(r.out_end - r.out_pos, (size_t)PIPE_CHUNK));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n >= 0) {
		r.out_pos += (size_t)n;
	} else if (errno == EPIPE || errno == EIO) {
		shut_output(r.out_fd);
	} else {
		err_sys(r.err, errno, "standard %s", r.out_fd == 2 ? "error" : "output");
		finish(-EPIPE);
	}
	if (r.out_pos == r.out_end) {
		drop_frame();
		take_frames();
	}
}

/* The first signal goes to the command, which gets some time; the second ends the guest at once. */
static void take_end(int sig)
{
	if (!r.booted || r.ended_by) {
		finish(128 + sig);
		return;
	}
	r.ended_by = sig;
	r.deadline_ms = now_ms() + GRACE_MS;
	queue_frame(FRAME_SIGNAL, (uint8_t[]){(uint8_t)sig}, 1);
}

static void take_signal(void)
{
	struct signalfd_siginfo si;

	if (read(r.sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		send_winsize();
	else
		take_end((int)si.ssi_signo);
}

static void take_proc_end(const struct proc *p)
{
	siginfo_t si = {0};

	if (waitid(P_PID, (id_t)p->pid, &si, WEXITED | WNOWAIT | WNOHANG) < 0)
		return;
	err_set(r.err, EIO, "%s ended %s (%s %d)", p->name,
		r.booted ? "unexpectedly" : "before the guest was up",
		si.si_code == CLD_EXITED ? "status" : "signal", si.si_status);
	finish(-EIO);
}

static void take_deadline(void)
{
	if (r.ended_by) {
		finish(128 + r.ended_by);
		return;
	}
	err_set(r.err, ETIMEDOUT,
		"the guest is not up in time; see what it does with --verbose, or wait longer "
		"with --boot-timeout");
	finish(-ETIMEDOUT);
}

static int poll_timeout(void)
{
	int64_t left = r.deadline_ms - now_ms();

	return !r.deadline_ms ? -1 : left < 0 ? 0 : (int)MIN(left, 1000000);
}

enum { P_CHANNEL, P_SIGNALS, P_PARENT, P_INPUT, P_OUTPUT, P_PROCS, N_POLL = P_PROCS + SESSION_PROCS_MAX };

static void fill(struct pollfd fds[N_POLL])
{
	short channel = (r.out_fd < 0 ? POLLIN : 0) | (r.tx_len ? POLLOUT : 0);

	fds[P_CHANNEL] = (struct pollfd){.fd = channel ? r.channel : -1, .events = channel};
	fds[P_SIGNALS] = (struct pollfd){.fd = r.sigfd, .events = POLLIN};
	fds[P_PARENT] = (struct pollfd){.fd = r.ended_by ? -1 : r.parentfd, .events = POLLIN};
	fds[P_INPUT] = (struct pollfd){.fd = wants_input() ? 0 : -1, .events = POLLIN};
	fds[P_OUTPUT] = (struct pollfd){.fd = r.out_fd, .events = POLLOUT};
	for (unsigned int i = 0; i < r.session->n_procs; i++)
		fds[P_PROCS + i] = (struct pollfd){.fd = r.session->procs[i].pidfd, .events = POLLIN};
}

static void poll_once(void)
{
	struct pollfd fds[N_POLL];

	fill(fds);
	if (poll(fds, P_PROCS + r.session->n_procs, poll_timeout()) < 0)
		return;
	if (fds[P_OUTPUT].revents)
		write_output();
	if (fds[P_CHANNEL].revents & POLLOUT)
		flush_tx();
	if (fds[P_CHANNEL].revents & (POLLIN | POLLHUP | POLLERR) && r.out_fd < 0)
		take_channel();
	if (fds[P_INPUT].revents)
		take_input();
	if (fds[P_SIGNALS].revents)
		take_signal();
	if (fds[P_PARENT].revents)
		take_end(SIGHUP);
	/* what a guest said before it ended counts: its channel is read to the end first */
	for (unsigned int i = 0; i < r.session->n_procs && !r.ended && !fds[P_CHANNEL].revents; i++)
		if (fds[P_PROCS + i].revents && r.out_fd < 0)
			take_proc_end(&r.session->procs[i]);
	if (r.deadline_ms && now_ms() >= r.deadline_ms)
		take_deadline();
}

/* With SIGHUP ignored (nohup) colofs shall outlive its parent. */
static int watch_parent(void)
{
	pid_t parent = getppid();

	if (parent <= 1 || is_ignored(SIGHUP))
		return -1;
	return (int)syscall(SYS_pidfd_open, parent, 0);
}

int relay_run(const struct session *s, int channel, unsigned int boot_timeout_s, struct err *e)
{
	autofd int owned = channel;
	sigset_t set;

	memset(&r, 0, sizeof(r));
	r.session = s;
	r.err = e;
	r.channel = owned;
	r.out_fd = -1;
	r.in_open = true;
	r.credit = FRAME_WINDOW;
	if (boot_timeout_s)
		r.deadline_ms = now_ms() + (int64_t)boot_timeout_s * 1000;
	relay_look_at_terminal(&r.term);
	signal_set(&set);
	r.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r.sigfd < 0)
		return err_sys(e, errno, "signalfd");
	r.parentfd = watch_parent();
	while (!r.ended)
		poll_once();
	if (r.raw)
		tcsetattr(0, TCSADRAIN, &r.saved);
	cleanup_fd(&r.sigfd);
	cleanup_fd(&r.parentfd);
	return r.result;
}
