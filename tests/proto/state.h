/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end that carries the state of a daemon to another one. Rings rest. */
#ifndef PROTO_STATE_H
#define PROTO_STATE_H

#include "test.h"

/* Up to @room bytes of state, *@len of them. What the daemon said: 0 or -errno. */
int state_save(struct vm *vm, uint8_t *state, size_t room, size_t *len);
int state_load(struct vm *vm, const uint8_t *state, size_t len);

#endif
