/* SPDX-License-Identifier: BSD-3-Clause */
/* Polling as long as it pays (poller.h). */
#include "daemon/poller.h"

#include "base/arith.h"
#include "base/clock.h"

#define LOOKS_PER_CLOCK 4
#define TRY_FACTOR	4 /* a try lasts so many times what a success takes */
#define TRY_WEIGHT	4 /* and the last success is this part of what is known of that */

bool poller_wants(const struct poller *p)
{
	return p->max_ns && !p->skip;
}

static uint32_t try_ns(const struct poller *p)
{
	return p->try_ns ? MIN(p->try_ns, p->max_ns) : p->max_ns;
}

void poller_hit(struct poller *p, uint64_t ns)
{
	uint64_t enough = MIN(MAX(TRY_FACTOR * ns, POLLER_TRY_MIN_NS), p->max_ns);

	p->backoff /= 2;
	p->try_ns = (uint32_t)((try_ns(p) * (TRY_WEIGHT - 1ull) + enough) / TRY_WEIGHT);
}

/* It may have come a little later. */
void poller_miss(struct poller *p)
{
	p->skip = p->backoff;
	p->backoff = MIN(4 * p->backoff + 3, POLLER_BACKOFF_MAX);
	p->try_ns = MIN(2 * try_ns(p), p->max_ns);
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

static bool look_once(const struct vring_watch *w)
{
	for (unsigned int i = 0; i < LOOKS_PER_CLOCK && !vring_watch_ready(w); i++)
		relax();
	return vring_watch_ready(w);
}

/* Time that passes between two looks is time that somebody else had the CPU: he needs it, and a chain that
 * came then is his, not ours. */
bool poller_look(struct poller *p, const struct vring_watch *w)
{
	uint64_t began, now, last;
	uint32_t most = try_ns(p);
	bool ready;

	if (vring_watch_ready(w)) /* came before we looked: says nothing for it */
		return true;
	began = now = clock_ns();
	do {
		last = now;
		ready = look_once(w);
		now = clock_ns();
	} while (!ready && now - last < POLLER_LOST_NS && now - began < most);
	if (ready && now - last < POLLER_LOST_NS)
		poller_hit(p, now - began);
	else
		poller_miss(p);
	return ready;
}
