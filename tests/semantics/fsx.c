/* SPDX-License-Identifier: BSD-3-Clause */
#include "sem.h"
int fsx_run(uint64_t seed, unsigned int steps, bool direct)
{
	return seed && steps && direct;
}
