/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives a restart of the service: the descriptors that workers share, by their numbers, among them
 * the state segment. Packed into one socket, which the service manager keeps (FDSTORE of sd_notify(3)) and
 * passes to the next start. The supervisor packs, as it ends; the first process unpacks, ahead of opening
 * anything that stays. One thread.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "base/err.h"
#include "base/fdmap.h"

struct store {
	int in, out;   /* ends of the socket */
	int told, end; /* ends of a pipe: who closes his has heard us */
	int proc;      /* O_PATH: /proc; the caller's */
	int mounts;    /* the namespace in which the descriptors' mounts are; it lives as long as that */
};

/* 0, or -errno with @err. @proc: /proc. Mounts are the caller's to set. */
int store_prepare(struct store *s, int proc, struct err *err);

/* Gives all descriptors that are not in @base to the service manager, and the segment @state. 0 or -errno. */
int store_pack(const struct store *s, int notify, const struct fdmap *base, int state, struct err *err);
/* The service manager has them no more. */
void store_forget(int notify);

struct stored {
	struct fdmap fds;  /* all of it */
	int state, mounts; /* of these; -1: there is none */
};

/*
 * The descriptors that wait in @socket, which is closed, get the numbers that they had; *own, which is the
 * caller's, may get another. -errno with @err: there are none.
 */
int store_unpack(int socket, uint32_t *own, struct stored *out, struct err *err);
/* Closes them, and forgets. */
void store_drop(struct stored *s);

#endif
