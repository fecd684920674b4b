/* SPDX-License-Identifier: BSD-3-Clause */
/* Polling as long as it pays (poller.h). */
#include "daemon/poller.h"

#include "base/arith.h"
#include "base/clock.h"

#define LOOKS_PER_CLOCK 8

uint32_t poller_budget(const struct poller *p)
{
	return p->skip ? 0 : p->max_ns;
}

void poller_hit(struct poller *p)
{
	p->backoff /= 2;
}

void poller_miss(struct poller *p)
{
	p->skip = p->backoff;
	p->backoff = MIN(2 * p->backoff + 1, POLLER_BACKOFF_MAX);
}

/* Long sleeps say nothing for a try: an idle guest shall not cost one again and again. */
void poller_slept(struct poller *p, uint64_t ns)
{
	if (p->skip && ns < (uint64_t)p->max_ns + POLLER_WAKE_NS)
		p->skip--;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* A chain that came while the thread had lost its CPU came too late: then somebody else needs that. */
bool poller_look(const struct vring_watch *w, uint32_t ns)
{
	uint64_t until = clock_ns() + ns;
	bool ready;

	do {
		for (unsigned int i = 0; i < LOOKS_PER_CLOCK && !vring_watch_ready(w); i++)
			relax();
		ready = vring_watch_ready(w);
	} while (!ready && clock_ns() < until);
	return ready && clock_ns() < until;
}
