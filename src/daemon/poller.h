/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a queue's thread looks for the next chain for a while before it sleeps. A wake costs both sides more
 * than a short look: microseconds and system calls. But a look in vain only burns time, all the more where
 * the guest waits for this very CPU. So it is tried as long as it pays: each try in vain doubles the number
 * of short sleeps that pass until the next one, each success halves it. Owned by whoever leads the queue.
 */
#ifndef DAEMON_POLLER_H
#define DAEMON_POLLER_H

#include "virtio/vring.h"

/* Chains that come so much later than polling would have lasted might have come in time: it took that long to
 * wake. */
#define POLLER_WAKE_NS 60000u
/* Most short sleeps between two tries. */
#define POLLER_BACKOFF_MAX 1023u

struct poller {
	uint32_t max_ns;  /* how long a try lasts; 0: none is ever made */
	uint32_t skip;	  /* short sleeps until the next try */
	uint32_t backoff; /* what skip becomes after another try in vain */
};

/* Nanoseconds to poll now, 0: sleep at once. */
uint32_t poller_budget(const struct poller *p);
/* How the try went. */
void poller_hit(struct poller *p);
void poller_miss(struct poller *p);
/* The thread slept so long until the guest kicked. */
void poller_slept(struct poller *p, uint64_t ns);

/* Looks at @w for at most @ns. True if a chain came in that time. */
bool poller_look(const struct vring_watch *w, uint32_t ns);

#endif
