/* SPDX-License-Identifier: BSD-3-Clause */
/* Handlers of the device as a whole: features, queue number, configuration space, status and reset. */
#include "vhost/save.h"

#include "base/log.h"

#include <endian.h>
#include <errno.h>

HANDLER(handle_nothing)
{
	(void)d, (void)m, (void)reply, (void)err;
	return 0;
}

HANDLER(handle_get_features)
{
	(void)m, (void)err;
	reply_u64(reply, d->offered);
	return 0;
}

/* Dirty logging goes on and off with the rings running (live migration); the rest says what rings look like.
 */
HANDLER(handle_set_features)
{
	uint64_t features = message_u64(m);
	uint64_t changed = features ^ d->features;

	(void)reply;
	if (features & ~d->offered)
		return err_set(err, EINVAL, "features 0x%llx were not offered",
			(unsigned long long)(features & ~d->offered));
	if ((changed & ~WIRE_F_LOG_ALL) && rings_any_running(d))
		return err_set(err, EBUSY, "features other than dirty logging change under a running ring");
	d->features = features;
	if (changed)
		rings_settle(d);
	if (changed & WIRE_F_LOG_ALL && d->ops->logging)
		d->ops->logging(d->arg, features & WIRE_F_LOG_ALL);
	return 0;
}

/* Front-ends that follow an early draft know SHMEM by another bit. */
static uint64_t to_front_end(const struct vhost_device *d, uint64_t protocol)
{
	if (!(protocol & WIRE_P_SHMEM) || !d->cfg.shmem_bit)
		return protocol;
	return (protocol & ~WIRE_P_SHMEM) | WIRE_BIT(d->cfg.shmem_bit);
}

HANDLER(handle_get_protocol_features)
{
	(void)m, (void)err;
	reply_u64(reply, to_front_end(d, d->offered_protocol));
	return 0;
}

HANDLER(handle_set_protocol_features)
{
	uint64_t features = message_u64(m);
	uint64_t offered = to_front_end(d, d->offered_protocol);
	uint64_t shmem = offered & ~d->offered_protocol; /* its other bit, if it has one */

	(void)reply;
	if (features & ~offered)
		return err_set(err, EINVAL, "protocol features 0x%llx were not offered",
			(unsigned long long)(features & ~offered));
	atomic_store(&d->protocol, features & shmem ? (features & ~shmem) | WIRE_P_SHMEM : features);
	return 0;
}

HANDLER(handle_get_queue_num)
{
	(void)m, (void)err;
	reply_u64(reply, d->queues);
	return 0;
}

HANDLER(handle_set_backend_req_fd)
{
	(void)reply, (void)err;
	save_close(d, channel_take(&d->channel, message_take_fd(m, 0)));
	return 0;
}

HANDLER(handle_get_shmem_config)
{
	struct wire_shmem_config c = {0};

	(void)m, (void)err;
	for (unsigned int i = 0; i < VHOST_MAX_SHMEM; i++) {
		c.size[i] = d->cfg.shmem[i];
		c.count += c.size[i] != 0;
	}
	reply_set(reply, &c, sizeof(c));
	return 0;
}

/*
 * Front-ends ask for as much as they like; what lies behind the structure is zero. The reply is as long as
 * the request, or has no contents, which says that it was refused.
 */
HANDLER(handle_get_config)
{
	struct {
		struct wire_config head;
		uint8_t space[WIRE_CONFIG_MAX];
	} out = {0};
	struct wire_fs_config fs = {.request_queues = htole32(d->cfg.request_queues)};

	(void)err;
	memcpy(fs.tag, d->cfg.tag, strnlen(d->cfg.tag, sizeof(fs.tag)));
	memcpy(&out.head, m->payload, sizeof(out.head));
	if (out.head.size != m->header.size - sizeof(out.head) ||
		out.head.offset > WIRE_CONFIG_MAX - out.head.size) {
		log_limited("vhost-user: GET_CONFIG refused: %u bytes at %u in a message of %u bytes",
			out.head.size, out.head.offset, m->header.size);
		out.head.size = 0;
	} else if (out.head.offset < sizeof(fs)) {
		memcpy(out.space, (const uint8_t *)&fs + out.head.offset, sizeof(fs) - out.head.offset);
	}
	reply_set(reply, &out, sizeof(out.head) + out.head.size);
	return 0;
}

/* Nothing there can be written. A guest may try, so it costs nothing where nobody asked for an answer. */
HANDLER(handle_set_config)
{
	(void)reply;
	if (!(d->protocol & WIRE_P_REPLY_ACK) || !(m->header.flags & WIRE_NEED_REPLY)) {
		log_limited("vhost-user: the guest writes to its configuration space: ignored");
		return 0;
	}
	return err_set(err, EPERM, "the configuration space cannot be written");
}

/*
 * The guest starts afresh. The front-end does not repeat what is its own and not the guest's: memory,
 * protocol features, the back-end channel and descriptors for calls stay.
 */
HANDLER(handle_reset_device)
{
	(void)m, (void)reply, (void)err;
	rings_reset(d);
	d->status = 0;
	d->ops->reset(d->arg);
	return 0;
}

HANDLER(handle_get_status)
{
	(void)m, (void)err;
	reply_u64(reply, d->status);
	return 0;
}

/* Status 0 is no reset: QEMU says it also when a virtual machine is paused, and goes on afterwards. */
HANDLER(handle_set_status)
{
	uint64_t status = message_u64(m);

	(void)reply;
	if (status > UINT8_MAX)
		return err_set(err, EINVAL, "status 0x%llx", (unsigned long long)status);
	d->status = (uint8_t)status;
	return 0;
}
