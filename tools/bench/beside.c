/* SPDX-License-Identifier: BSD-3-Clause */
#include "beside.h"

#include "base/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define THREADS (FIXTURE_SYNCED + 2)

struct beside {
	struct fixture *f;
	unsigned int started;
	_Atomic bool ends;
	_Atomic uint64_t done;
	struct hand {
		struct beside *b;
		pthread_t thread;
		unsigned int id; /* the first FIXTURE_SYNCED write and sync, the others read */
	} hand[THREADS];
};

static bool sync_one(int fd, uint64_t round)
{
	static const uint8_t block[BENCH_BLOCK];

	return pwrite(fd, block, sizeof(block), (off_t)(round % FIXTURE_SYNCED_BLOCKS * BENCH_BLOCK)) ==
		       BENCH_BLOCK &&
	       !fsync(fd);
}

static bool read_one(struct fixture *f, void *buf, uint64_t *random)
{
	uint32_t len = f->t->io_max;
	uint64_t off = bench_random_part(random, f->t->opt->file_size, len);
	bool got = pread(f->cold_host.fd, buf, len, (off_t)off) == (ssize_t)len;

	cold_drop(&f->cold_host, off, len);
	return got;
}

static void *work(void *arg)
{
	struct hand *h = arg;
	struct fixture *f = h->b->f;
	uint64_t random = bench_now() | 1;
	autofree void *buf = malloc(f->t->io_max);
	bool well = buf;

	bench_pin(&f->t->opt->daemon_cpus, h->id);
	for (uint64_t round = 0; well && !h->b->ends; round++) {
		well = h->id < FIXTURE_SYNCED ? sync_one(f->synced_host[h->id], round)
					      : read_one(f, buf, &random);
		h->b->done += well;
	}
	return NULL;
}

int beside_start(struct beside **b, struct fixture *f)
{
	struct beside *new = *b = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->f = f;
	for (; new->started < THREADS; new->started++) {
		struct hand *h = &new->hand[new->started];

		*h = (struct hand){.b = new, .id = new->started};
		if (pthread_create(&h->thread, NULL, work, h))
			return -EAGAIN;
	}
	return 0;
}

uint64_t beside_stop(struct beside *b)
{
	uint64_t done;

	b->ends = true;
	for (unsigned int i = 0; i < b->started; i++)
		pthread_join(b->hand[i].thread, NULL);
	done = b->done;
	free(b);
	return done;
}
