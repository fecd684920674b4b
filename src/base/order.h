/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of stores to memory that outlives its process. A worker may be killed between any two
 * instructions, and what it has stored by then is what its successor finds: of two stores the second must not
 * be there without the first. The successor comes later, so only the compiler is to be held back. This is not
 * for threads or processes that look on meanwhile.
 */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

/* Stores happen in the order in which they stand, for whoever finds the memory after this process' end. */
static inline void in_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
