/* SPDX-License-Identifier: BSD-3-Clause */
/* How a driver's queue becomes a ring of the back-end; the header says more. */
#include "attach.h"

struct drv_config attach_config(const struct frontend *fe, unsigned int size)
{
	struct drv_config dc = {.size = size, .region = -1};

	dc.packed = fe->features & VU_BIT(VU_F_RING_PACKED);
	dc.event_idx = fe->features & VU_BIT(VU_F_EVENT_IDX);
	if (dc.packed)
		dc.base = DRV_PACKED_BASE;
	return dc;
}

int attach_queue(struct frontend *fe, const struct guestmem *gm, const struct drv_queue *q,
	unsigned int index, uint32_t base)
{
	struct vu_vring_addr a = {.index = index,
		.desc = (uintptr_t)q->desc,
		.used = (uintptr_t)q->used,
		.avail = (uintptr_t)q->avail,
		.log = gm_gpa(gm, q->used)}; /* said also where nothing is logged, as QEMU does */
	int r = fe_set_vring(fe, VU_SET_VRING_NUM, index, q->cfg.size);

	if (!r)
		r = fe_set_vring(fe, VU_SET_VRING_BASE, index, base);
	if (!r)
		r = fe_tell(fe, VU_SET_VRING_ADDR, &a, sizeof(a), -1);
	if (!r)
		r = fe_set_vring_fd(fe, VU_SET_VRING_ERR, index, q->err);
	if (!r)
		r = fe_set_vring_fd(fe, VU_SET_VRING_CALL, index, q->call);
	if (!r)
		r = fe_set_vring_fd(fe, VU_SET_VRING_KICK, index, q->kick);
	if (!r && fe->features & VU_BIT(VU_F_PROTOCOL_FEATURES))
		r = fe_set_vring(fe, VU_SET_VRING_ENABLE, index, 1);
	return r;
}
