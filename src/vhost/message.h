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
#include <sys/socket.h>

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

/* A reply as it goes on the wire. */
struct message_bytes {
	uint32_t len;
	int fd; /* goes with it and stays the device's; -1: none */
	uint8_t byte[sizeof(struct wire_header) + MESSAGE_REPLY_MAX];
};

/*
 * A message on its way in. It may lie in memory that outlives the process: what the kernel has given is not
 * lost with whoever asked for it, as the kernel itself writes down how much it was (recvmmsg).
 */
struct message_in {
	struct message m;
	uint64_t number; /* of this message, from 1 */
	struct mmsghdr hdr;
	struct iovec iov;
	size_t had; /* before this receive */
	unsigned int had_fds;
	char control[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)] __attribute__((aligned(8)));
};

/* Likewise bytes on their way out: those of message @number's reply. */
struct message_out {
	uint64_t number;
	size_t before; /* that were sent before this send */
	struct mmsghdr hdr;
	struct iovec iov;
};

/*
 * Reads on, without waiting, and never past the end of this message.
 * 1: it is whole; -EAGAIN: more has to come; 0: the front-end has closed between two messages; another -errno
 * with @err: it broke the framing (version, size, too many or truncated descriptors) or went in the middle.
 */
int message_receive(struct message_in *in, int sock, struct err *err);
/* Takes up what an earlier process was receiving. 0 or -EPROTO with @err. */
int message_adopt(struct message_in *in, struct err *err);
/* The message was dealt with, and its descriptors are somebody's: ready for the next. */
void message_next(struct message_in *in);

/* Closes the descriptors that nobody took. */
void message_clear(struct message *m);

/* Descriptor @i becomes the caller's. -1 if there is none. */
int message_take_fd(struct message *m, unsigned int i);

/*
 * Sends the bytes of the reply to message @number, or what of it is left. Waits at most a second for a
 * front-end that does not read. 0 or -errno with @err; after an error the stream is of no use.
 */
int message_send(
	struct message_out *out, int sock, uint64_t number, const struct message_bytes *b, struct err *err);

#endif
