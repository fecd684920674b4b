/* SPDX-License-Identifier: BSD-3-Clause */
/* The two ring formats below driver.c; nobody else includes this. */
#ifndef FRONTEND_DRIVER_RING_H
#define FRONTEND_DRIVER_RING_H

#include "driver.h"

struct chain {
	const struct drv_seg *seg;
	unsigned int nin, total;
	const struct drv_table *table;
};

void split_reset(struct drv_queue *q, uint32_t base);
void split_add(struct drv_queue *q, const struct chain *c, void *cookie);
void split_publish(struct drv_queue *q);
bool split_kick_wanted(struct drv_queue *q);
int split_get(struct drv_queue *q, void **cookie, uint32_t *len);
bool split_ready(const struct drv_queue *q);
void split_want_call(struct drv_queue *q);
void split_no_call(struct drv_queue *q);

void packed_reset(struct drv_queue *q, uint32_t base);
void packed_add(struct drv_queue *q, const struct chain *c, void *cookie);
void packed_publish(struct drv_queue *q);
bool packed_kick_wanted(struct drv_queue *q);
int packed_get(struct drv_queue *q, void **cookie, uint32_t *len);
bool packed_ready(const struct drv_queue *q);
void packed_want_call(struct drv_queue *q);
void packed_no_call(struct drv_queue *q);

#endif
