/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of src/vhost: a front-end at one end of a socketpair, and an owner that runs no queues but
 * writes down what the device asks of it. Each peer counts the descriptors of the process before and after.
 */
#ifndef VHOST_PEER_H
#define VHOST_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vhost/device.h"
#include "vhost/wire.h"

#define PEER_REQUEST_QUEUES 3
#define PEER_QUEUES	    (1 + PEER_REQUEST_QUEUES)
#define PEER_MEMORY	    (256 * 1024) /* bytes in peer.memory */
#define PEER_FVA	    UINT64_C(0x700000000000)
#define PEER_MAX_FDS	    40

/* What the owner knows of one queue. */
struct peer_queue {
	bool running;
	unsigned int starts, stops, remaps, calls_set;
	struct vhost_vq vq; /* as of the last start */
	struct mem_map *mem;
	struct mem_log *log;
	uint32_t stop_base; /* what vq_stop() will say */
};

struct peer {
	struct vhost_device *device;
	int sock;   /* the front-end's end, -1 when it hung up */
	int memory; /* a memfd */
	struct peer_queue q[VHOST_MAX_QUEUES];
	unsigned int resets;
	int fail_start; /* errno */
	int fail_remap;
	struct err err; /* of the last peer_serve() */
	int open_before;
};

/* A message on its way. */
struct peer_message {
	uint32_t request;
	uint32_t flags; /* the version is added */
	const void *payload;
	uint32_t size;
	const int *fds;
	unsigned int nfds;
};

#define PEER_TAG "share"

/* Connected, nothing said. @cfg NULL: PEER_TAG, PEER_REQUEST_QUEUES, packed rings on offer. */
struct peer *peer_new(const struct vhost_config *cfg);
/* Hangs up, frees the device, and fails the test if a descriptor was left open. */
void peer_end(struct peer *p);
/* The front-end goes; what vhost_device_disconnect() does. peer_connect() comes back with a new socket. */
void peer_disconnect(struct peer *p);
void peer_connect(struct peer *p);

/* Bytes and descriptors as they are. */
void peer_write(struct peer *p, const void *buf, size_t len, const int *fds, unsigned int nfds);
void peer_send(struct peer *p, const struct peer_message *m);
/* vhost_device_serve(). */
int peer_serve(struct peer *p);

/* The message is served; nothing is answered. */
void peer_tell(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd);
void peer_tell_u64(struct peer *p, uint32_t request, uint64_t value, int fd);
void peer_tell_state(struct peer *p, uint32_t request, uint32_t index, uint32_t num);
/* The same with need_reply, answered by @ack. */
void peer_ask(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd, uint64_t ack);
/* The message costs the connection, and a reason is given. */
void peer_refused(struct peer *p, uint32_t request, const void *payload, uint32_t size, int fd);

/* The next reply is this one, byte for byte. */
void peer_expect(struct peer *p, uint32_t request, const void *payload, uint32_t size);
void peer_expect_u64(struct peer *p, uint32_t request, uint64_t value);
/* Nothing was answered. */
void peer_expect_silence(struct peer *p);

/* SET_PROTOCOL_FEATURES of what was offered, and SET_FEATURES of VERSION_1 and @features. */
void peer_negotiate(struct peer *p, uint64_t features);

/* A region at guest-physical @gpa, front-end address PEER_FVA + @gpa, @size bytes from @gpa in peer.memory.
 */
struct wire_region peer_region(uint64_t gpa, uint64_t size);
/* SET_MEM_TABLE of one region with all of peer.memory. */
void peer_tell_memory(struct peer *p);

/* Addresses of ring @i of 128 descriptors; they lie in [i * 16384, (i + 1) * 16384). */
struct wire_vring_addr peer_addr(unsigned int i);
/* Num, base, addresses, call and kick of ring @i with new eventfds; not enabled. */
void peer_tell_ring(struct peer *p, unsigned int i, uint32_t base);

/* An eventfd that ends with the message: close it after it was sent. */
int peer_eventfd(void);
unsigned int peer_open_fds(void);

#endif
