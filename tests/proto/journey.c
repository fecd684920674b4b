/* SPDX-License-Identifier: BSD-3-Clause */
#include "journey.h"

#include <stdio.h>

int journey_begin(void **state)
{
	static struct journey j;

	vm_configure(&j.from, &(struct vm_config){0});
	vm_configure(&j.to, &(struct vm_config){0});
	*state = &j;
	return 0;
}

int journey_end(void **state)
{
	struct journey *j = *state;
	int r = vm_end(&j->to);

	if (r)
		fprintf(stderr, "the second: %s\n", j->to.err.text);
	if (vm_end(&j->from)) {
		fprintf(stderr, "the first: %s\n", j->from.err.text);
		return -1;
	}
	return r;
}

void journey_stop(struct journey *j, struct vm *vm)
{
	for (unsigned int i = 0; i < vm->queues; i++)
		OK(vm_stop_queue(vm, i, &j->base[i]));
}

void journey_start_again(struct journey *j)
{
	for (unsigned int i = 0; i < j->from.queues; i++)
		OK(vm_start_queue(&j->from, i, j->base[i]));
}

int journey_save(struct journey *j, struct vm *vm)
{
	return state_save(vm, j->state, sizeof(j->state), &j->len);
}

void journey_leave(struct journey *j, struct vm *vm)
{
	journey_stop(j, vm);
	OK(journey_save(j, vm));
}
