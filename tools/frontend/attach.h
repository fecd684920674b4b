/* SPDX-License-Identifier: BSD-3-Clause */
/* How a driver's queue becomes a ring of the back-end. One thread at a time uses a struct frontend. */
#ifndef FRONTEND_ATTACH_H
#define FRONTEND_ATTACH_H

#include "driver.h"
#include "frontend.h"

/* What @q's ring has to be like after features were negotiated: its format, event indices, base 0, any
 * region. */
struct drv_config attach_config(const struct frontend *fe, unsigned int size);

/* Tells the back-end of ring @index: its size, where it is and starts (@base), its eventfds, and that it is
 * on.
 */
int attach_queue(struct frontend *fe, const struct guestmem *gm, const struct drv_queue *q,
	unsigned int index, uint32_t base);

#endif
