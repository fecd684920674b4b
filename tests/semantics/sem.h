/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the families of the differential suite share. Each does things in the working directory and prints
 * what a program can observe, so that the same output on a local directory and on a share means the same
 * semantics. Nothing that may rightly differ is printed: no inode numbers, clock values or block counts, but
 * their relations. Single-threaded; other processes are struct proc.
 */
#ifndef SEM_H
#define SEM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct family {
	const char *name;
	void (*run)(void);
};

/* Enters a new, empty directory for the case @name of the family; lines carry the names and a number. */
void sem_case(const char *name);
void sem_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints "what = value", or the name of errno if @r is -1, and returns @r. sem_fd(): "ok" for any descriptor.
 */
long sem_ret(const char *what, long r);
int sem_fd(const char *what, int fd);
/* The same with a formatted what, for loops. errno must still be the call's. */
long sem_retf(long r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define T(e)                            \
	__extension__({                 \
		errno = 0;              \
		sem_ret(#e, (long)(e)); \
	})
#define TFD(e)                   \
	__extension__({          \
		errno = 0;       \
		sem_fd(#e, (e)); \
	})

/* Makes a file with these bytes; ends the program if it cannot. @mode is exact. */
void sem_file(const char *path, const char *bytes, mode_t mode);
/* Type, mode, owner, links and size. Not the size of a directory. */
void sem_stat(const char *path);
void sem_fstat(const char *what, int fd);
/* The names in a directory with their types, sorted. Long lists: their number and a hash. */
void sem_list(const char *path);
void sem_list_fd(const char *what, int fd);
/* Size and contents: text if short and printable, else a hash. */
void sem_data(const char *path);
void sem_fdata(const char *what, int fd);
void sem_link(const char *path);
/* Bytes as text, else as hexadecimal or a hash. Overwritten by the call after next. */
const char *sem_bytes(const void *p, size_t n);
uint64_t sem_hash(uint64_t h, const void *p, size_t n);
/* True if the names have the same inode now. */
bool sem_same(const char *a, const char *b);
const char *sem_errname(int err);

/* Effective user, group and one supplementary group (-1: none), until sem_root(). */
void sem_as(uid_t uid, gid_t gid, int group);
void sem_root(void);

/* Times before and after something: which of them moved. */
struct sem_times {
	struct stat st;
};
struct sem_times sem_before(const char *path);
void sem_moved(const char *what, const char *path, const struct sem_times *before);

void sem_sleep_ms(int ms);
__attribute__((noreturn, format(printf, 1, 2))) void sem_die(const char *fmt, ...);

/* Another process, which does what it is told, one call at a time (its pointers are the same: it was forked).
 */
struct proc;
struct proc_call {
	long (*fn)(const struct proc_call *c, char text[256]);
	long arg[5];
	char str[128];
};
struct proc_reply {
	long ret;
	int err;
	char text[256];
};
struct proc *proc_start(void);
void proc_send(struct proc *p, const struct proc_call *c);
/* False if no reply came within @ms. */
bool proc_wait(struct proc *p, int ms, struct proc_reply *r);
/* Both, and prints the result behind the words. */
long proc_do(struct proc *p, const char *what, const struct proc_call *c);
void proc_end(struct proc *p);
void proc_kill(struct proc *p);

/* random.c, fsx.c: the seeded modes. 0, or 1 after a mismatch that was printed. */
struct sem_random {
	uint64_t seed;
	unsigned int steps, procs;
	const char *only; /* file of step numbers, or NULL: all */
};
int random_run(const struct sem_random *r);
int fsx_run(uint64_t seed, unsigned int steps, bool direct);

#endif
