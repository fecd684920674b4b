/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a queue's thread looks for the next chain for a while before it sleeps. A wake costs both sides more
 * than a short look: microseconds and system calls. But a look in vain only burns time, all the more where
 * the guest waits for this very CPU. So it is tried as long as it pays, which takes two successes for one in
 * vain: each try in vain makes the number of short sleeps that pass until the next one four times what it
 * was, each success halves it. And a try lasts no longer than a few times what those that succeeded took.
 * Owned by whoever leads the queue.
 */
#ifndef DAEMON_POLLER_H
#define DAEMON_POLLER_H

#include "virtio/vring.h"

/* Chains that come so much later than polling would have lasted might have come in time: it took that long to
 * wake. */
#define POLLER_WAKE_NS 60000u
/* A look takes a quarter of a microsecond; so long, and the thread has lost its CPU meanwhile. */
#define POLLER_LOST_NS 1200u
/* No try is shorter, whatever the others took. */
#define POLLER_TRY_MIN_NS 5000u
/* Most short sleeps between two tries. */
#define POLLER_BACKOFF_MAX 1023u

struct poller {
	uint32_t max_ns;  /* how long a try lasts at most; 0: none is ever made */
	uint32_t try_ns;  /* how long the next one lasts; 0: as max_ns */
	uint32_t skip;	  /* short sleeps until the next try */
	uint32_t backoff; /* what skip becomes after another try in vain */
};

/* Whether to look now; false: sleep at once. */
bool poller_wants(const struct poller *p);
/* How the try went: it found a chain after @ns, or none. */
void poller_hit(struct poller *p, uint64_t ns);
void poller_miss(struct poller *p);
/* The thread slept so long until the guest kicked. */
void poller_slept(struct poller *p, uint64_t ns);

/* Looks at @w as long as a try lasts, or until somebody else gets the CPU, and notes how it went. True if a
 * chain is there. */
bool poller_look(struct poller *p, const struct vring_watch *w);

#endif
