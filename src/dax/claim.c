/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which daemon has a file mapped: one byte a file is locked in a file that all daemons of a user share. Who
 * cuts a file shares the lock of another byte meanwhile. The locks belong to the open file description, so
 * they end with the daemon, and never meet its own. Who takes one kind looks for the other afterwards: so of
 * one that maps a file and one that cuts it at least one sees the other.
 */
#include "dax/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CUTS (UINT64_C(1) << 62) /* the first of CLAIM_CUTS numbers behind those of files */

/* Files that share a number only lose the window's benefit to each other. */
uint64_t claim_of(uint64_t dev, uint64_t ino)
{
	uint64_t h = ino + dev * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ (h >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (h ^ (h >> 29)) & (UINT64_MAX >> 2);
}

static struct flock byte_lock(uint64_t claim, short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)claim, .l_len = 1};
}

bool claim_take(int claims, uint64_t claim)
{
	struct flock l = byte_lock(claim, F_WRLCK);

	return claims < 0 || !TEMP_FAILURE_RETRY(fcntl(claims, F_OFD_SETLK, &l));
}

void claim_give(int claims, uint64_t claim)
{
	struct flock l = byte_lock(claim, F_UNLCK);

	if (claims >= 0)
		(void)TEMP_FAILURE_RETRY(fcntl(claims, F_OFD_SETLK, &l));
}

/* 0, -ETXTBSY, or what kept us from finding out. */
static int look(int claims, uint64_t claim)
{
	struct flock l = byte_lock(claim, F_WRLCK);

	if (TEMP_FAILURE_RETRY(fcntl(claims, F_OFD_GETLK, &l)))
		return -errno;
	return l.l_type == F_UNLCK ? 0 : -ETXTBSY;
}

bool claim_is_foreign(int claims, uint64_t claim)
{
	return claims >= 0 && look(claims, claim);
}

bool claim_is_cut(int claims, uint64_t claim)
{
	return claim_is_foreign(claims, CUTS + claim % CLAIM_CUTS);
}

static int share_cut(struct dax *d, uint32_t i)
{
	struct flock l = byte_lock(CUTS + i, F_RDLCK);

	autolock(&d->cutting);
	if (!d->cuts[i] && TEMP_FAILURE_RETRY(fcntl(d->cfg.claims, F_OFD_SETLK, &l)))
		return -errno;
	d->cuts[i]++;
	return 0;
}

int claim_cut_begin(struct dax *d, int fd)
{
	struct stat st;
	uint64_t claim;
	int cut, r;

	if (d->cfg.claims < 0 || fstat(fd, &st))
		return 0;
	claim = claim_of(st.st_dev, st.st_ino);
	cut = (int)(claim % CLAIM_CUTS) + 1;
	r = share_cut(d, (uint32_t)cut - 1);
	if (r)
		return r;
	r = look(d->cfg.claims, claim);
	if (!r)
		return cut;
	claim_cut_end(d, cut);
	return r;
}

void claim_cut_end(struct dax *d, int cut)
{
	if (!cut)
		return;
	autolock(&d->cutting);
	if (!--d->cuts[cut - 1])
		claim_give(d->cfg.claims, CUTS + (uint64_t)cut - 1);
}

void claim_forget_cuts(int claims)
{
	struct flock l = byte_lock(CUTS, F_UNLCK);

	l.l_len = CLAIM_CUTS;
	if (claims >= 0)
		(void)TEMP_FAILURE_RETRY(fcntl(claims, F_OFD_SETLK, &l));
}
