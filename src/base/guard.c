/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handler may run at any instruction, so it looks mappings up in an array that never moves, without a
 * lock. It can trust the entry that it finds: the access that faulted is by somebody who uses the mapping,
 * and guard_drop() comes when nobody does. Only the page at hand is replaced: what a system call finds gone
 * beside it stays an error, and no file gets empty pages for its contents.
 */
#include "base/guard.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

struct guard {
	_Atomic uintptr_t start; /* 0: free. Set last */
	size_t len, page;
	_Atomic bool hit;
};

static struct guard guards[GUARD_MAX];
static atomic_uint high;				 /* no entry beyond was ever used */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of guard_add() and guard_drop() */
static int event = -1;

static struct guard *find(uintptr_t addr)
{
	for (unsigned int i = 0; i < atomic_load(&high); i++) {
		uintptr_t start = atomic_load(&guards[i].start);

		if (start && addr >= start && addr - start < guards[i].len)
			return &guards[i];
	}
	return NULL;
}

static bool replace_page(struct guard *g, uintptr_t addr)
{
	uintptr_t start = atomic_load(&g->start);
	uintptr_t page = addr - (addr - start) % g->page;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

	return mmap((void *)page, g->page, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct guard *g = info->si_code > 0 ? find((uintptr_t)info->si_addr) : NULL;
	int saved = errno;
	ssize_t r;

	(void)context;
	if (!g || !replace_page(g, (uintptr_t)info->si_addr)) {
		signal(sig, SIG_DFL); /* the access is made again, or the sender's signal lost but once */
		if (info->si_code <= 0)
			raise(sig);
		return;
	}
	atomic_store(&g->hit, true);
	r = write(event, &(uint64_t){1}, sizeof(uint64_t));
	(void)r; /* the counter is full: it is readable */
	errno = saved;
}

int guard_setup(struct err *err)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_RESTART};

	if (event < 0)
		event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return err_sys(err, errno, "no event descriptor");
	return sigaction(SIGBUS, &sa, NULL) ? err_sys(err, errno, "SIGBUS cannot be handled") : 0;
}

int guard_fd(void)
{
	return event;
}

int guard_add(void *start, size_t len, size_t page)
{
	unsigned int i = 0;

	autolock(&lock);
	while (i < GUARD_MAX && atomic_load(&guards[i].start))
		i++;
	if (i == GUARD_MAX)
		return -ENOSPC;
	guards[i].len = len;
	guards[i].page = page;
	atomic_store(&guards[i].hit, false);
	atomic_store(&guards[i].start, (uintptr_t)start);
	if (i >= atomic_load(&high))
		atomic_store(&high, i + 1);
	return (int)i;
}

void guard_drop(int guard)
{
	autolock(&lock);
	atomic_store(&guards[guard].start, 0);
}

bool guard_hit(int guard)
{
	return atomic_load(&guards[guard].hit);
}

/* Small pages: more of them than there may be, never fewer. */
void guard_touch(const struct iovec *iov, unsigned int n)
{
	const size_t page = 4096;

	for (unsigned int i = 0; i < n; i++) {
		const volatile char *p = iov[i].iov_base;

		if (!find((uintptr_t)p))
			continue;
		for (size_t at = 0; at < iov[i].iov_len; at += page - ((uintptr_t)(p + at) & (page - 1)))
			(void)p[at];
	}
}
