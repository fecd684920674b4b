/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the two halves of inject.h: what the test and the tracing process share. */
#ifndef FAULT_TRACER_H
#define FAULT_TRACER_H

#include "inject.h"

#include <stdatomic.h>

enum { TRACER_STARTS, TRACER_TRACES }; /* or -errno */

struct inject_shared {
	_Atomic int state;
	_Atomic bool armed; /* while it is not set, the plan is the test's to change */
	struct inject_plan plan;
	_Atomic unsigned int count;
	_Atomic bool fired;
	int call[INJECT_CALLS];
};

bool inject_in_scope(int number, enum inject_scope scope);

/* The tracing process, from its first step to its last. */
_Noreturn void tracer_run(struct inject_shared *shared, pid_t pid);

#endif
