/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which daemon has a file mapped: one byte a file is locked in a file that all daemons of a user share. The
 * locks belong to the open file description, so they end with the process, and never meet its own.
 */
#include "dax/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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

bool claim_is_foreign(int claims, uint64_t claim)
{
	struct flock l = byte_lock(claim, F_WRLCK);

	return claims >= 0 && (TEMP_FAILURE_RETRY(fcntl(claims, F_OFD_GETLK, &l)) || l.l_type != F_UNLCK);
}
