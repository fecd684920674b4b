/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Switches of the tricks that make the daemon quick (--tune), so that the worth of each can be measured:
 * docs/performance.md has a section for each. With every one off the daemon does the same, slower.
 * Set by the control thread ahead of all others, only read from then on.
 */
#ifndef BASE_TUNE_H
#define BASE_TUNE_H

#include "base/err.h"

#include <stdint.h>

/* Field, name, default, least, most, and what it does: it stands in the help so. */
#define TUNE_ROWS(X)                                                                                         \
	X(lookup_guess, "lookup-guess", 1, 0, 1,                                                             \
		"open a name first in a directory where the last one was new to the guest")                  \
	X(fs_traits, "fs-traits", 1, 0, 1, "ask a host mount once what its file system is like")             \
	X(call_batch, "call-batch", 4, 1, 1024,                                                              \
		"most answers to quick requests that one call of the guest is for")                          \
	X(brief, "brief", 100, 0, 1000000,                                                                   \
		"most microseconds of a request that changes names or attributes, for it to be a quick one") \
	X(share_forgets, "share-forgets", 1, 0, 1,                                                           \
		"a request queue's thread that is awake does what the guest forgets, too")                   \
	X(look_ahead, "look-ahead", 1, 0, 1,                                                                 \
		"fetch what the next requests are written in while one is handled")                          \
	X(keep_open, "keep-open", 1, 0, 1, "keep files open for a while with --zero-message-open")           \
	X(close_batch, "close-batch", 64, 0, 256,                                                            \
		"so many descriptors are closed together, sooner if a queue has nothing else to do")         \
	X(close_long, "close-long", 20, 0, 1000000,                                                          \
		"threads of their own close while that takes more microseconds a descriptor; 0: never")      \
	X(copy_share, "copy-share", 1, 0, 1, "several threads copy for a queue if there are CPUs for them")

#define TUNE_FIELD(field, name, def, min, max, help) uint32_t field;
struct tune {
	TUNE_ROWS(TUNE_FIELD)
};
#undef TUNE_FIELD

extern struct tune tune;

#define TUNE_HELP_ROW(field, name, def, min, max, help) "; " name ", " #min " to " #max " [" #def "]: " help
#define TUNE_HELP					TUNE_ROWS(TUNE_HELP_ROW)

/* Sets what a list of NAME=VALUE, separated by commas, says. 0 or -EINVAL with @err. */
int tune_parse(const char *list, struct err *err);

#endif
