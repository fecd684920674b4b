/* SPDX-License-Identifier: BSD-3-Clause */
/* A daemon's state: see state.h. */
#include "state.h"

#include <unistd.h>

int state_save(struct vm *vm, uint8_t *state, size_t room, size_t *len)
{
	int p[2];
	ssize_t n;
	int r;

	assert_int_equal(pipe(p), 0);
	autofd int in = p[0];
	r = fe_set_device_state(&vm->fe, VU_STATE_SAVE, p[1]);
	close(p[1]);
	if (r)
		return r;
	for (*len = 0; (n = read(in, state + *len, room - *len)) > 0;)
		*len += (size_t)n;
	assert_int_equal(n, 0);
	return fe_check_device_state(&vm->fe);
}

int state_load(struct vm *vm, const uint8_t *state, size_t len)
{
	int p[2];
	int r;

	assert_int_equal(pipe(p), 0);
	r = fe_set_device_state(&vm->fe, VU_STATE_LOAD, p[0]);
	close(p[0]);
	/* The daemon may have had enough before the end. */
	for (size_t done = 0; !r && done < len;) {
		ssize_t n = write(p[1], state + done, len - done);

		if (n < 0)
			break;
		done += (size_t)n;
	}
	close(p[1]);
	return r ? r : fe_check_device_state(&vm->fe);
}
