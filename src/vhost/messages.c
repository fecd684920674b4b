/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of messages, and what is done with a whole one: check it against its row, let its handler act,
 * answer. What is refused costs the connection, unless the front-end asked for an answer and can be told.
 */
#include "vhost/internal.h"

#include "base/arith.h"
#include "base/log.h"

#include <errno.h>

enum answer {
	ANSWER_IF_ASKED, /* a u64, 0 or not, if the front-end set need_reply (REPLY_ACK) */
	ANSWER_ALWAYS,	 /* the same, asked or not */
	ANSWER_OWN,	 /* what the handler fills in */
};

struct message_kind {
	const char *name;
	uint16_t min; /* payload, bytes */
	uint16_t max;
	uint8_t min_fds;
	uint8_t max_fds;
	enum answer answer;
	uint64_t needs; /* protocol features that must be on offer */
	int (*handle)(struct vhost_device *d, struct message *m, struct reply *reply, struct err *err);
};

#define U64	     sizeof(uint64_t)
#define VRING	     sizeof(struct wire_vring_state)
#define CONFIG	     sizeof(struct wire_config)
#define CONFIG_ALL   (sizeof(struct wire_config) + WIRE_CONFIG_MAX)
#define TABLE	     sizeof(struct wire_regions)
#define TABLE_ALL    (sizeof(struct wire_regions) + MESSAGE_FDS_MAX * sizeof(struct wire_region))
#define FDS	     MESSAGE_FDS_MAX
#define ADDR	     sizeof(struct wire_vring_addr)
#define REGION	     sizeof(struct wire_one_region)
#define LOG	     sizeof(struct wire_log)
#define INFLIGHT     (sizeof(struct wire_inflight) - sizeof(uint32_t)) /* some leave the padding out */
#define INFLIGHT_ALL sizeof(struct wire_inflight)
#define STATE	     sizeof(struct wire_device_state)
#define MSG(m)	     [WIRE_##m] = {.name = #m,
#define SIZE(a, b)   .min = (a), .max = (b)
#define FD(a, b)     .min_fds = (a), .max_fds = (b)
#define OWN	     .answer = ANSWER_OWN
#define ALWAYS	     .answer = ANSWER_ALWAYS
#define NEEDS(f)     .needs = WIRE_P_##f
#define DO(f)                \
	.handle = handle_##f \
	}

/* clang-format off */
static const struct message_kind kinds[WIRE_REQUESTS] = {
	MSG(GET_FEATURES)          SIZE(0, 0),             OWN, DO(get_features),
	MSG(SET_FEATURES)          SIZE(U64, U64),              DO(set_features),
	MSG(SET_OWNER)             SIZE(0, 0),                  DO(nothing),
	MSG(RESET_OWNER)           SIZE(0, 0),                  DO(nothing), /* deprecated; some took it for a reset */
	MSG(SET_MEM_TABLE)         SIZE(TABLE, TABLE_ALL), FD(0, FDS), DO(set_mem_table),
	MSG(SET_LOG_BASE)          SIZE(LOG, LOG),         FD(1, 1), ALWAYS, NEEDS(LOG_SHMFD), DO(set_log_base),
	MSG(SET_LOG_FD)            SIZE(0, U64),           FD(0, 1), DO(nothing), /* we need not tell: it scans */
	MSG(SET_VRING_NUM)         SIZE(VRING, VRING),          DO(set_vring_num),
	MSG(SET_VRING_ADDR)        SIZE(ADDR, ADDR),            DO(set_vring_addr),
	MSG(SET_VRING_BASE)        SIZE(VRING, VRING),          DO(set_vring_base),
	MSG(GET_VRING_BASE)        SIZE(VRING, VRING),     OWN, DO(get_vring_base),
	MSG(SET_VRING_KICK)        SIZE(U64, U64),         FD(0, 1), DO(set_vring_kick),
	MSG(SET_VRING_CALL)        SIZE(U64, U64),         FD(0, 1), DO(set_vring_call),
	MSG(SET_VRING_ERR)         SIZE(U64, U64),         FD(0, 1), DO(set_vring_err),
	MSG(GET_PROTOCOL_FEATURES) SIZE(0, 0),             OWN, DO(get_protocol_features),
	MSG(SET_PROTOCOL_FEATURES) SIZE(U64, U64),              DO(set_protocol_features),
	MSG(GET_QUEUE_NUM)         SIZE(0, 0),             OWN, NEEDS(MQ), DO(get_queue_num),
	MSG(SET_VRING_ENABLE)      SIZE(VRING, VRING),          DO(set_vring_enable),
	MSG(SET_BACKEND_REQ_FD)    SIZE(0, U64),           FD(1, 1), NEEDS(BACKEND_REQ), DO(set_backend_req_fd),
	MSG(GET_CONFIG)            SIZE(CONFIG, CONFIG_ALL), OWN, NEEDS(CONFIG), DO(get_config),
	MSG(SET_CONFIG)            SIZE(CONFIG, CONFIG_ALL), NEEDS(CONFIG), DO(set_config),
	MSG(GET_INFLIGHT_FD)       SIZE(INFLIGHT, INFLIGHT_ALL), OWN, NEEDS(INFLIGHT_SHMFD), DO(get_inflight_fd),
	MSG(SET_INFLIGHT_FD)       SIZE(INFLIGHT, INFLIGHT_ALL), FD(1, 1), NEEDS(INFLIGHT_SHMFD), DO(set_inflight_fd),
	MSG(RESET_DEVICE)          SIZE(0, 0),                  NEEDS(RESET_DEVICE), DO(reset_device),
	MSG(GET_MAX_MEM_SLOTS)     SIZE(0, 0),             OWN, NEEDS(CONFIGURE_MEM_SLOTS), DO(get_max_mem_slots),
	MSG(ADD_MEM_REG)           SIZE(REGION, REGION),   FD(1, 1), NEEDS(CONFIGURE_MEM_SLOTS), DO(add_mem_reg),
	MSG(REM_MEM_REG)           SIZE(REGION, REGION),   FD(0, 1), NEEDS(CONFIGURE_MEM_SLOTS), DO(rem_mem_reg),
	MSG(SET_STATUS)            SIZE(U64, U64),              NEEDS(STATUS), DO(set_status),
	MSG(GET_STATUS)            SIZE(0, 0),             OWN, NEEDS(STATUS), DO(get_status),
	MSG(SET_DEVICE_STATE_FD)   SIZE(STATE, STATE),     FD(1, 1), OWN, NEEDS(DEVICE_STATE), DO(set_device_state_fd),
	MSG(CHECK_DEVICE_STATE)    SIZE(0, 0),             OWN, NEEDS(DEVICE_STATE), DO(check_device_state),
	MSG(GET_SHMEM_CONFIG)      SIZE(0, 0),             OWN, NEEDS(SHMEM), DO(get_shmem_config),
};
/* clang-format on */

/* The row of a message; NULL if we do not speak it. */
static const struct message_kind *kind_of(uint32_t request)
{
	return request < ARRAY_LEN(kinds) && kinds[request].handle ? &kinds[request] : NULL;
}

static int check(
	const struct vhost_device *d, const struct message_kind *k, const struct message *m, struct err *err)
{
	if (!k || (k->needs & ~d->offered_protocol))
		return err_set(err, EOPNOTSUPP, "not a message that was offered");
	if (m->header.size < k->min || m->header.size > k->max)
		return err_set(
			err, EPROTO, "%u bytes, where %u to %u belong", m->header.size, k->min, k->max);
	if (m->nfds < k->min_fds || m->nfds > k->max_fds)
		return err_set(err, EPROTO, "%u descriptors, where %u to %u belong", m->nfds, k->min_fds,
			k->max_fds);
	return 0;
}

/* True if the front-end waits for a u64 that says whether the message was done. */
static bool wants_ack(const struct vhost_device *d, const struct message_kind *k)
{
	if (k && k->answer == ANSWER_ALWAYS && (d->protocol & k->needs) == k->needs)
		return true;
	if (k && k->answer == ANSWER_OWN)
		return false;
	return (d->protocol & WIRE_P_REPLY_ACK) && (d->in.header.flags & WIRE_NEED_REPLY);
}

static const char *name_of(const struct message_kind *k)
{
	return k ? k->name : "unknown";
}

/* A refusal that nobody asked to hear of ends the connection, also where the front-end waits for something
 * else. */
static bool may_be_told(const struct vhost_device *d, const struct message_kind *k)
{
	return wants_ack(d, k) && (d->protocol & WIRE_P_REPLY_ACK) && (d->in.header.flags & WIRE_NEED_REPLY);
}

static void note_reply(struct vhost_device *d, uint32_t request, const struct reply *reply)
{
	struct wire_header head = {
		.request = request, .flags = WIRE_VERSION | WIRE_REPLY, .size = reply->size};

	d->reply.len = (uint32_t)sizeof(head) + reply->size;
	d->reply.fd = reply->fd;
	memcpy(d->reply.byte, &head, sizeof(head));
	memcpy(d->reply.byte + sizeof(head), reply->payload, reply->size);
}

int messages_dispatch(struct vhost_device *d, struct err *err)
{
	uint32_t request = d->in.header.request;
	const struct message_kind *k = kind_of(request);
	struct reply reply = {.fd = -1};
	int r;

	log_debug("vhost-user: %s (%u), %u bytes, %u descriptors", name_of(k), request, d->in.header.size,
		d->in.nfds);
	r = check(d, k, &d->in, err);
	if (!r)
		r = k->handle(d, &d->in, &reply, err);
	if (r && !may_be_told(d, k))
		return err_prefix(err, r, "message %u (%s)", request, name_of(k));
	if (r)
		log_limited("vhost-user: %s refused: %s", name_of(k), err->text);
	if (wants_ack(d, k))
		reply_u64(&reply, r ? 1 : 0);
	else if (k->answer != ANSWER_OWN)
		return 0;
	note_reply(d, request, &reply);
	return 0;
}
