/* SPDX-License-Identifier: BSD-3-Clause */
/* Record locks, open-file-description locks and flock, between processes that wait and die; the family lock.
 */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

void family_lock(void);

static int files[4];

/* arg: slot, flags. */
static long do_open(const struct proc_call *c, char text[256])
{
	(void)text;
	files[c->arg[0]] = open(c->str, (int)c->arg[1]);
	return files[c->arg[0]] < 0 ? -1 : 0;
}

static long do_close(const struct proc_call *c, char text[256])
{
	(void)text;
	return close(files[c->arg[0]]);
}

/* arg: slot, command, type, start, length. */
static long do_fcntl(const struct proc_call *c, char text[256])
{
	struct flock l = {.l_type = (short)c->arg[2], .l_start = c->arg[3], .l_len = c->arg[4]};
	long r = fcntl(files[c->arg[0]], (int)c->arg[1], &l);

	if (!r && (c->arg[1] == F_GETLK || c->arg[1] == F_OFD_GETLK))
		snprintf(text, 256, "type %d start %lld len %lld pid %s", l.l_type, (long long)l.l_start,
			(long long)l.l_len,
			l.l_pid == -1	      ? "-1"
			: l.l_pid == 0	      ? "0"
			: l.l_pid == getpid() ? "mine"
					      : "other");
	return r;
}

/* The same on the slot 1. */
static long do_fcntl_again(const struct proc_call *c, char text[256])
{
	int first = files[0];
	long r;

	files[0] = files[1];
	r = do_fcntl(c, text);
	files[0] = first;
	return r;
}

/* A child inherits the description, and with it the locks; it gives the byte up. arg: start. */
static long do_inherit(const struct proc_call *c, char text[256])
{
	struct flock l = {.l_type = F_UNLCK, .l_start = c->arg[0], .l_len = 1};
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(fcntl(files[0], F_OFD_SETLK, &l) ? 1 : 0);
	waitpid(pid, &status, 0);
	snprintf(text, 256, "child %d", status);
	return 0;
}

static long do_flock(const struct proc_call *c, char text[256])
{
	(void)text;
	return flock(files[c->arg[0]], (int)c->arg[1]);
}

static struct proc *p[3];

static void start(const char *name, int n)
{
	struct proc_call c = {.fn = do_open, .arg = {0, O_RDWR}, .str = "f"};

	sem_case(name);
	sem_file("f", "lock me", 0644);
	for (int i = 0; i < n; i++) {
		p[i] = proc_start();
		proc_do(p[i], "open", &c);
	}
}

static void stop(int n)
{
	for (int i = 0; i < n; i++)
		proc_end(p[i]);
}

static struct proc_call lock_call(int cmd, int type, long off, long len)
{
	return (struct proc_call){.fn = do_fcntl, .arg = {0, cmd, type, off, len}};
}

static long lock(int who, int cmd, int type, long off, long len)
{
	static const char *const types[] = {[F_RDLCK] = "read", [F_WRLCK] = "write", [F_UNLCK] = "un"};
	struct proc_call c = lock_call(cmd, type, off, len);
	char what[100];

	snprintf(what, sizeof(what), "process %d command %d %slock %ld+%ld", who, cmd, types[type], off, len);
	return proc_do(p[who], what, &c);
}

/* Sends a waiting lock and says that it waits. */
static void waits(int who, const struct proc_call *c)
{
	struct proc_reply r;

	proc_send(p[who], c);
	if (proc_wait(p[who], 150, &r))
		sem_say("process %d does not wait = %s", who, r.ret ? sem_errname(r.err) : "0");
	else
		sem_say("process %d waits", who);
}

static void gets(int who)
{
	struct proc_reply r;

	if (proc_wait(p[who], 5000, &r))
		sem_say("process %d gets = %s", who, r.ret ? sem_errname(r.err) : "0");
	else
		sem_say("process %d still waits", who);
}

static void close_slot(int who, int slot)
{
	struct proc_call c = {.fn = do_close, .arg = {slot}};

	proc_do(p[who], "close", &c);
}

static void open_slot(int who, int slot, int flags)
{
	struct proc_call c = {.fn = do_open, .arg = {slot, flags}, .str = "f"};

	proc_do(p[who], "open", &c);
}

static void case_ranges(void)
{
	start("ranges", 2);
	lock(0, F_SETLK, F_WRLCK, 10, 20);
	lock(1, F_SETLK, F_WRLCK, 0, 10);
	lock(1, F_SETLK, F_WRLCK, 29, 5);
	lock(1, F_SETLK, F_RDLCK, 30, 5);
	lock(1, F_GETLK, F_RDLCK, 0, 0);
	lock(0, F_GETLK, F_WRLCK, 0, 0);
	lock(0, F_GETLK, F_WRLCK, 10, 5);
	lock(0, F_SETLK, F_UNLCK, 15, 5);
	lock(1, F_SETLK, F_WRLCK, 15, 5);
	lock(1, F_GETLK, F_WRLCK, 12, 1);
	lock(1, F_GETLK, F_WRLCK, 20, 0);
	lock(0, F_SETLK, F_RDLCK, 10, 5);
	lock(1, F_SETLK, F_RDLCK, 10, 5);
	lock(1, F_SETLK, F_WRLCK, 10, 5);
	lock(0, F_SETLK, F_WRLCK, 10, 5);
	lock(0, F_SETLK, F_UNLCK, 0, 0);
	lock(1, F_SETLK, F_WRLCK, 0, 0);
	lock(0, F_GETLK, F_WRLCK, 100, 1);
	lock(1, F_SETLK, F_UNLCK, 0, 0);
	lock(0, F_GETLK, F_WRLCK, 0, 0);
	lock(0, F_SETLK, F_WRLCK, 4611686018427387904, 10);
	lock(1, F_GETLK, F_RDLCK, 0, 0);
	lock(0, F_SETLK, F_WRLCK, -1, 1);
	stop(2);
}

/* Any close of the file gives up a process's record locks. */
static void case_close(void)
{
	start("close", 2);
	lock(0, F_SETLK, F_WRLCK, 0, 0);
	lock(1, F_SETLK, F_RDLCK, 0, 1);
	open_slot(0, 1, O_RDONLY);
	lock(1, F_SETLK, F_RDLCK, 0, 1);
	close_slot(0, 1);
	lock(1, F_SETLK, F_RDLCK, 0, 1);
	stop(2);
	start("modes", 2);
	open_slot(0, 1, O_RDONLY);
	lock(0, F_SETLK, F_RDLCK, 0, 1);
	close_slot(0, 0);
	open_slot(0, 0, O_RDONLY);
	lock(0, F_SETLK, F_WRLCK, 0, 1);
	lock(0, F_SETLK, F_RDLCK, 0, 1);
	close_slot(1, 0);
	open_slot(1, 0, O_WRONLY);
	lock(1, F_SETLK, F_RDLCK, 0, 1);
	lock(1, F_SETLK, F_WRLCK, 0, 1);
	lock(1, F_SETLK, F_WRLCK, 1, 1);
	stop(2);
}

static void case_wait(void)
{
	struct proc_call w = lock_call(F_SETLKW, F_WRLCK, 0, 10);
	struct proc_call rd = lock_call(F_SETLKW, F_RDLCK, 5, 1);

	start("wait", 3);
	lock(0, F_SETLK, F_WRLCK, 0, 10);
	waits(1, &w);
	waits(2, &rd);
	lock(0, F_SETLK, F_UNLCK, 0, 5);
	lock(0, F_SETLK, F_UNLCK, 0, 0);
	stop(1);
	/* Either may be first; whoever it is, the other one follows when it gives up. */
	proc_kill(p[1]);
	gets(2);
	proc_end(p[2]);
	start("wait-close", 2);
	lock(0, F_SETLK, F_WRLCK, 0, 10);
	waits(1, &w);
	close_slot(0, 0);
	gets(1);
	stop(2);
	start("wait-death", 2);
	lock(0, F_SETLK, F_WRLCK, 0, 10);
	waits(1, &w);
	proc_kill(p[0]);
	gets(1);
	proc_end(p[1]);
}

static void case_deadlock(void)
{
	struct proc_call b = lock_call(F_SETLKW, F_WRLCK, 1, 1);

	start("deadlock", 2);
	lock(0, F_SETLK, F_WRLCK, 0, 1);
	lock(1, F_SETLK, F_WRLCK, 1, 1);
	waits(0, &b);
	lock(1, F_SETLKW, F_WRLCK, 0, 1);
	lock(1, F_SETLK, F_UNLCK, 1, 1);
	gets(0);
	stop(2);
}

static long flock_on(int who, int slot, int op)
{
	struct proc_call c = {.fn = do_flock, .arg = {slot, op}};
	char what[64];

	snprintf(what, sizeof(what), "process %d flock %d", who, op);
	return proc_do(p[who], what, &c);
}

static void case_flock(void)
{
	struct proc_call w = {.fn = do_flock, .arg = {0, LOCK_EX}};

	start("flock", 2);
	flock_on(0, 0, LOCK_SH);
	flock_on(1, 0, LOCK_SH | LOCK_NB);
	flock_on(1, 0, LOCK_EX | LOCK_NB);
	flock_on(0, 0, LOCK_UN);
	flock_on(1, 0, LOCK_EX | LOCK_NB);
	flock_on(0, 0, LOCK_SH | LOCK_NB);
	lock(0, F_SETLK, F_WRLCK, 0, 0);
	open_slot(1, 1, O_RDONLY);
	flock_on(1, 1, LOCK_SH | LOCK_NB);
	close_slot(1, 1);
	flock_on(0, 0, LOCK_SH | LOCK_NB);
	waits(0, &w);
	close_slot(1, 0);
	gets(0);
	flock_on(0, 0, LOCK_UN);
	flock_on(0, 0, LOCK_NB);
	stop(2);
	start("flock-death", 2);
	flock_on(0, 0, LOCK_EX);
	waits(1, &w);
	proc_kill(p[0]);
	gets(1);
	proc_end(p[1]);
}

static void case_ofd(void)
{
	start("ofd", 2);
	open_slot(0, 1, O_RDWR);
	lock(0, F_OFD_SETLK, F_WRLCK, 0, 10);
	lock(1, F_OFD_SETLK, F_RDLCK, 5, 1);
	lock(1, F_OFD_GETLK, F_RDLCK, 5, 1);
	lock(1, F_GETLK, F_RDLCK, 5, 1);
	close_slot(0, 1);
	lock(1, F_OFD_SETLK, F_RDLCK, 5, 1);
	close_slot(0, 0);
	lock(1, F_OFD_SETLK, F_RDLCK, 5, 1);
	stop(2);
}

/* Two descriptions of one process are strangers to each other; a description's locks outlive a closed
 * sibling. */
static void case_ofd_descriptions(void)
{
	struct proc_call again = lock_call(F_OFD_SETLK, F_RDLCK, 0, 1);
	struct proc_call child = {.fn = do_inherit, .arg = {3}};

	start("ofd-descriptions", 2);
	open_slot(0, 1, O_RDWR);
	again.fn = do_fcntl_again;
	lock(0, F_OFD_SETLK, F_WRLCK, 0, 10);
	proc_do(p[0], "its other description, lock", &again);
	again.arg[1] = F_SETLK;
	proc_do(p[0], "its other description, as a process", &again);
	lock(0, F_SETLK, F_WRLCK, 5, 1);
	lock(0, F_SETLK, F_WRLCK, 20, 5);
	lock(0, F_OFD_SETLK, F_WRLCK, 20, 5);
	close_slot(0, 1);
	lock(1, F_OFD_SETLK, F_WRLCK, 20, 5);
	lock(1, F_OFD_SETLK, F_RDLCK, 3, 1);
	proc_do(p[0], "a child gives a byte up", &child);
	lock(1, F_OFD_SETLK, F_RDLCK, 3, 1);
	lock(1, F_OFD_SETLK, F_RDLCK, 4, 1);
	stop(2);
}

static void case_ofd_wait(void)
{
	struct proc_call w = lock_call(F_OFD_SETLKW, F_WRLCK, 0, 10);

	start("ofd-wait", 3);
	lock(0, F_OFD_SETLK, F_WRLCK, 0, 10);
	waits(1, &w);
	lock(0, F_OFD_SETLK, F_UNLCK, 0, 10);
	gets(1);
	w.arg[1] = F_SETLKW;
	waits(2, &w);
	proc_kill(p[1]);
	gets(2);
	w.arg[1] = F_OFD_SETLKW;
	waits(0, &w);
	close_slot(2, 0);
	gets(0);
	proc_end(p[0]);
	proc_end(p[2]);
}

void family_lock(void)
{
	case_ranges();
	case_close();
	case_wait();
	case_deadlock();
	case_flock();
	case_ofd();
	case_ofd_descriptions();
	case_ofd_wait();
}
