/* SPDX-License-Identifier: BSD-3-Clause */
/* For a process that waits for another and ends as it did. */
#ifndef BASE_ENDING_H
#define BASE_ENDING_H

/*
 * @status is as waitpid(2) gives it. The exit status to end with; a process that a signal ended is followed
 * by the same signal, without a core dump of its own, and this returns only if that does not end the caller.
 */
int ending_repeat(int status);

#endif
