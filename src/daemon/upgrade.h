/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing over to another program's supervisor: the state segment is offered first, while the worker serves;
 * when the other can use it, the worker is killed, the descriptors follow, each with its number, and when the
 * other's worker is about to serve it says so. Until then the end of the socket between the two means that
 * nobody else can be serving: then the giver goes on. Supervisors: one thread.
 */
#ifndef DAEMON_UPGRADE_H
#define DAEMON_UPGRADE_H

#include "base/err.h"
#include "base/fdmap.h"
#include "base/segment.h"

#include <stdbool.h>

/* Numbers below are for what a supervisor itself has: those of its workers mean the same in every process. */
#define UPGRADE_LOW_FDS 32
/* Takes the numbers below that are free, with copies of @any. 0 or -errno with @err. */
int upgrade_fill_low(int any, struct err *err);

struct upgrade_giver {
	int line;		  /* where LINE_GIVE comes from */
	int proc;		  /* O_PATH: /proc */
	int mounts;		  /* as of struct store */
	const struct fdmap *base; /* descriptors that are no worker's */
	const struct segment *segment;
	int to;	      /* -1: nobody is there to take over */
	void *device; /* SEGMENT_DEVICE as it was */
};

/* Somebody may wish to take over: true if he is there and can; now the worker is to be stopped. */
bool upgrade_offer(struct upgrade_giver *g);
/* The worker has been: true if the other serves. Else everything is as it was. */
bool upgrade_give(struct upgrade_giver *g);
/* The worker has ended by itself: nothing is given. */
void upgrade_withdraw(struct upgrade_giver *g);

/* Waits for an offer: the segment's descriptor and the mounts' (-1: none) are the caller's. 0 or -errno with
 * @err. */
int upgrade_await(int from, int *state, int *mounts, struct err *err);
/* Accepts it, and gets the descriptors. 0 or -errno with @err. */
int upgrade_take(int from, struct err *err);
/* The worker: from now on it is this one that serves. The number stays taken, by a copy of @any. */
void upgrade_serving(int from, int any);

#endif
