/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's end of the frames (frame.h): standard streams, terminal and signals of colofs on one side, the
 * guest on the other. One poll loop that never blocks on a descriptor.
 */
#ifndef TOOLS_RELAY_H
#define TOOLS_RELAY_H

#include "session.h"

#include <stdint.h>

struct relay_terminal {
	bool tty[3]; /* which of 0, 1, 2 are a terminal */
	uint16_t rows;
	uint16_t columns;
};

void relay_look_at_terminal(struct relay_terminal *t);

/* Blocks the signals that relay_run() handles. Called before anything is started, which then cannot be left
 * behind. */
void relay_block_signals(void);

/*
 * Relays until the command has ended, and returns its exit status; or 128 + N if signal N ended colofs or its
 * parent went. -errno if the guest or a daemon fails; -EPIPE if our own output cannot be written; -ETIMEDOUT
 * if the guest is not up within
 * @boot_timeout_s (0: no limit). Owns @channel.
 */
int relay_run(const struct session *s, int channel, unsigned int boot_timeout_s, struct err *e);

#endif
