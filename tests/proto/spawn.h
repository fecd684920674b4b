/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user-fs daemon as a child process, with a directory of its own under TMPDIR: share/ is what it
 * shares, beside it lie its socket and its log. Which program: the environment's COLOFSD; further arguments
 * for it: COLOFSD_ARGS, split at blanks. It dies with its parent.
 */
#ifndef PROTO_SPAWN_H
#define PROTO_SPAWN_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Built with a sanitizer of memory or threads: their runtimes have needs of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SANITIZED true
#elif defined(__has_feature)
#define TEST_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define TEST_SANITIZED false
#endif

/* How long to wait for what must come: longer than the slowest machine takes. Only a failure waits it out. */
#define TEST_PATIENCE_MS 30000
/* A program of tests is ended after so long. */
#define TEST_MOST_SECONDS (TEST_SANITIZED ? 590 : 115)

/* Whose option names to use: programs that others ship can be driven by the same tests. */
enum spawn_dialect { SPAWN_COLOFS, SPAWN_RUST, SPAWN_C };

enum spawn_socket {
	SPAWN_PATH,	    /* --socket-path */
	SPAWN_LISTENING_FD, /* --fd=N, a listening socket */
	SPAWN_CONNECTED_FD, /* --fd=N, one end of a socket pair */
};

struct spawn_config {
	enum spawn_socket socket;
	const char *share;	 /* NULL: share/ of its own directory */
	const char *const *args; /* more arguments, NULL-terminated; NULL: none */
	int kept;		 /* 0: none; else what a service manager kept and passes on (LISTEN_FDS) */
	bool bare; /* only the share, the socket and @args: none of the dialect's usual options */
};

struct spawn {
	enum spawn_dialect dialect;
	pid_t pid;
	pid_t keeper; /* ends the daemon and removes the directory if this process dies */
	int alive;    /* what the keeper listens at */
	int fd;	      /* SPAWN_CONNECTED_FD: the front-end's end, until somebody takes it; else -1 */
	int share;    /* descriptor of the shared directory */
	char dir[256], share_path[272], socket_path[272], log_path[272];
};

/* The program that the environment names. */
const char *spawn_program(void);
enum spawn_dialect spawn_dialect(void);

/* Makes the directory and starts the daemon. 0 or -errno with @err; spawn_end() in either case. */
int spawn_start(struct spawn *s, const struct spawn_config *cfg, struct err *err);
/* Makes the directory only; then starts the daemon in it. spawn_start() is both. */
int spawn_prepare(struct spawn *s, struct err *err);
int spawn_launch(struct spawn *s, const struct spawn_config *cfg, struct err *err);

/* 0 while it runs; -ECHILD with @err if it ended. */
int spawn_check(struct spawn *s, struct err *err);
/* Waits until it ends by itself; *status as waitpid(2) gives it. -ETIMEDOUT. */
int spawn_wait(struct spawn *s, int timeout_ms, int *status);
/* Ends it with SIGTERM and removes its directory. -ECHILD with @err if a signal had ended it before that, or
 * if colofsd does not end with status 0. */
int spawn_end(struct spawn *s, struct err *err);
/* The last lines of its log to stderr. */
void spawn_show_log(const struct spawn *s);
/* The process that serves: the daemon may have put itself between. */
pid_t spawn_server_pid(const struct spawn *s);

/* Removes a directory and all in it. */
void spawn_remove_tree(const char *path);

#endif
