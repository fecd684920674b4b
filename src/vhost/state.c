/* SPDX-License-Identifier: BSD-3-Clause */
/* Handlers of migration: the device's own state, which means nothing to the front-end (vhost-user, "Migrating
 * back-end state"). */
#include "vhost/internal.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>

static int begin(struct vhost_device *d, struct message *m, struct err *err)
{
	struct wire_device_state s;
	autofd int fd = message_take_fd(m, 0);

	memcpy(&s, m->payload, sizeof(s));
	if (s.phase != WIRE_STATE_STOPPED || s.direction > WIRE_STATE_LOAD)
		return err_set(
			err, EINVAL, "direction %u in phase %u is not known here", s.direction, s.phase);
	if (rings_any_running(d))
		return err_set(err, EBUSY, "rings run while the state shall be transferred");
	if (s.direction == WIRE_STATE_SAVE)
		rings_leave(d);
	channel_hurry(&d->channel, s.direction == WIRE_STATE_LOAD);
	return d->ops->state_begin(d->arg, s.direction == WIRE_STATE_SAVE, fd_take(&fd), err);
}

/* Refusals are told in the reply, not by the connection's end. */
HANDLER(handle_set_device_state_fd)
{
	int r = begin(d, m, err);

	if (r)
		log_warn("migration: %s", err->text);
	reply_u64(reply, WIRE_STATE_NO_FD | (r ? 1 : 0));
	return 0;
}

HANDLER(handle_check_device_state)
{
	int r = d->ops->state_end(d->arg, err);

	(void)m;
	channel_hurry(&d->channel, false);
	if (r)
		log_warn("migration: %s", err->text);
	reply_u64(reply, r ? 1 : 0);
	return 0;
}
