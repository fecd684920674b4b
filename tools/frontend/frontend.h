/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end's side of a vhost-user connection: it sends messages and waits for replies, never longer than
 * its time limit. Every function returns 0 or -errno: -ETIMEDOUT if the back-end let us wait, -ECONNRESET if
 * it closed the connection, -EPROTO if a reply has the wrong form, -EREMOTEIO if an acknowledgement says
 * failure. One thread at a time.
 */
#ifndef FRONTEND_FRONTEND_H
#define FRONTEND_FRONTEND_H

#include "guestmem.h"
#include "vu.h"

#include <stdbool.h>

struct frontend {
	int sock;
	int backend_req; /* our end of the back-end's request channel, -1: none */
	int timeout_ms;
	bool ack; /* REPLY_ACK was negotiated: every message that may asks for one */
	uint64_t offered, features;
	uint64_t protocol_offered, protocol;
};

/* Takes @sock, which is connected to a back-end. */
void fe_init(struct frontend *fe, int sock, int timeout_ms);
/* Connects to a socket at @path, again and again until somebody listens or the time is up. */
int fe_connect(struct frontend *fe, const char *path, int timeout_ms);
void fe_close(struct frontend *fe);

/* One message as it stands, with @nfds descriptors, which stay the caller's. */
int fe_send(struct frontend *fe, const struct vu_header *h, const void *payload, const int *fds,
	unsigned int nfds);
/* The next message must be the reply to @request. *size: room in, bytes out. @fd: NULL, or where a descriptor
 * that comes with it goes (-1: none). */
int fe_receive(struct frontend *fe, uint32_t request, void *payload, uint32_t *size, int *fd);

/* A message without an answer of its own: if REPLY_ACK was negotiated it asks for one and waits for it. */
int fe_tell(struct frontend *fe, uint32_t request, const void *payload, uint32_t size, int fd);
int fe_tell_u64(struct frontend *fe, uint32_t request, uint64_t value);
/* A message that is answered by exactly @reply_size bytes. */
int fe_ask(struct frontend *fe, uint32_t request, const void *payload, uint32_t size, void *reply,
	uint32_t reply_size);
int fe_ask_u64(struct frontend *fe, uint32_t request, uint64_t *value);

/*
 * Owner, features and protocol features: takes what is offered of @features and @protocol (VU_BIT()s). The
 * features are only sent by fe_set_features(), as front-ends do at the start of the device.
 */
int fe_negotiate(struct frontend *fe, uint64_t features, uint64_t protocol);
int fe_set_features(struct frontend *fe, uint64_t features);
bool fe_has_protocol(const struct frontend *fe, unsigned int bit);

int fe_set_mem_table(struct frontend *fe, const struct guestmem *gm);
/* Without asking for an answer: by any thread, beside another one that sends. */
int fe_tell_mem_table(struct frontend *fe, const struct guestmem *gm);
int fe_add_mem(struct frontend *fe, const struct gm_region *r);
int fe_remove_mem(struct frontend *fe, const struct gm_region *r);
/* All of @gm, by the messages that were negotiated. */
int fe_share_mem(struct frontend *fe, const struct guestmem *gm);

int fe_set_log(struct frontend *fe, int fd, uint64_t size, uint64_t offset);
/* Begins to transfer the back-end's state to or from @fd, and asks for its end. -EREMOTEIO: it says no. */
int fe_set_device_state(struct frontend *fe, uint32_t direction, int fd);
int fe_check_device_state(struct frontend *fe);
/* Memory in which the back-end keeps what is in flight on @in->queues rings of @in->queue_size: *fd is the
 * caller's. Features must have been set. Then the same for back-ends that shall go on from there. */
int fe_get_inflight(struct frontend *fe, struct vu_inflight *in, int *fd);
int fe_set_inflight(struct frontend *fe, const struct vu_inflight *in, int fd);
int fe_set_vring(struct frontend *fe, uint32_t request, uint32_t index, uint32_t num);
int fe_get_vring_base(struct frontend *fe, uint32_t index, uint32_t *base);
/* SET_VRING_KICK, _CALL or _ERR; @fd -1: none. */
int fe_set_vring_fd(struct frontend *fe, uint32_t request, uint32_t index, int fd);
int fe_get_config(struct frontend *fe, uint32_t offset, uint32_t size, void *data);
int fe_set_backend_req(struct frontend *fe);

#endif
