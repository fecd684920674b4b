/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One vhost-user message off a stream socket, with its descriptors, and replies onto it. Knows the framing,
 * not what messages mean. Never waits for the front-end to finish a message: what has come is kept.
 * Control thread only.
 */
#ifndef VHOST_MESSAGE_H
#define VHOST_MESSAGE_H

#include "base/err.h"
#include "vhost/wire.h"

#include <stddef.h>

#define MESSAGE_PAYLOAD_MAX 4096
#define MESSAGE_REPLY_MAX   sizeof(struct wire_shmem_config) /* the longest of our replies */
/* The specification's front-ends send up to 8, those of the rust-vmm family up to 32 memory regions at once.
 */
#define MESSAGE_FDS_MAX 32

struct message {
	struct wire_header header;
	size_t have; /* bytes of header and payload that have come */
	uint8_t payload[MESSAGE_PAYLOAD_MAX] __attribute__((aligned(8)));
	int fds[MESSAGE_FDS_MAX]; /* the message's own, -1 where taken */
	unsigned int nfds;
};

/*
 * Reads on, without waiting, and never past the end of this message.
 * 1: it is whole; -EAGAIN: more has to come; 0: the front-end has closed between two messages; another -errno
 * with @err: it broke the framing (version, size, too many or truncated descriptors) or went in the middle.
 */
int message_receive(struct message *m, int sock, struct err *err);

/* Closes the descriptors that nobody took, and makes ready for the next message. */
void message_clear(struct message *m);

/* Descriptor @i becomes the caller's. -1 if there is none. */
int message_take_fd(struct message *m, unsigned int i);

/*
 * Sends a reply to @request. Waits at most a second for a front-end that does not read.
 * 0 or -errno with @err; after an error the stream is of no use.
 */
int message_reply(int sock, uint32_t request, const void *payload, uint32_t size, struct err *err);

#endif
