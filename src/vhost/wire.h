/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What vhost-user looks like on the socket: requests, feature bits and structures of the vhost-user protocol
 * specification (QEMU, docs/interop/vhost-user). All numbers are in the machine's byte order.
 * Only what this back-end speaks.
 */
#ifndef VHOST_WIRE_H
#define VHOST_WIRE_H

#include <stdint.h>

#define WIRE_BIT(n) (UINT64_C(1) << (n))

/* struct wire_header.flags */
#define WIRE_VERSION_MASK 0x3u
#define WIRE_VERSION	  0x1u
#define WIRE_REPLY	  0x4u
#define WIRE_NEED_REPLY	  0x8u

/* Virtio and vhost feature bits (GET_FEATURES) */
#define WIRE_F_LOG_ALL		 WIRE_BIT(26)
#define WIRE_F_RING_INDIRECT	 WIRE_BIT(28)
#define WIRE_F_RING_EVENT_IDX	 WIRE_BIT(29)
#define WIRE_F_PROTOCOL_FEATURES WIRE_BIT(30)
#define WIRE_F_VERSION_1	 WIRE_BIT(32)
#define WIRE_F_RING_PACKED	 WIRE_BIT(34)

/* Protocol feature bits (GET_PROTOCOL_FEATURES) */
#define WIRE_P_MQ		   WIRE_BIT(0)
#define WIRE_P_LOG_SHMFD	   WIRE_BIT(1)
#define WIRE_P_REPLY_ACK	   WIRE_BIT(3)
#define WIRE_P_BACKEND_REQ	   WIRE_BIT(5)
#define WIRE_P_CONFIG		   WIRE_BIT(9)
#define WIRE_P_BACKEND_SEND_FD	   WIRE_BIT(10)
#define WIRE_P_INFLIGHT_SHMFD	   WIRE_BIT(12)
#define WIRE_P_RESET_DEVICE	   WIRE_BIT(13)
#define WIRE_P_CONFIGURE_MEM_SLOTS WIRE_BIT(15)
#define WIRE_P_STATUS		   WIRE_BIT(16)
#define WIRE_P_DEVICE_STATE	   WIRE_BIT(19)
#define WIRE_P_SHMEM		   WIRE_BIT(22) /* the specification's; some front-ends use another bit */

enum wire_request {
	WIRE_GET_FEATURES = 1,
	WIRE_SET_FEATURES = 2,
	WIRE_SET_OWNER = 3,
	WIRE_RESET_OWNER = 4,
	WIRE_SET_MEM_TABLE = 5,
	WIRE_SET_LOG_BASE = 6,
	WIRE_SET_LOG_FD = 7,
	WIRE_SET_VRING_NUM = 8,
	WIRE_SET_VRING_ADDR = 9,
	WIRE_SET_VRING_BASE = 10,
	WIRE_GET_VRING_BASE = 11,
	WIRE_SET_VRING_KICK = 12,
	WIRE_SET_VRING_CALL = 13,
	WIRE_SET_VRING_ERR = 14,
	WIRE_GET_PROTOCOL_FEATURES = 15,
	WIRE_SET_PROTOCOL_FEATURES = 16,
	WIRE_GET_QUEUE_NUM = 17,
	WIRE_SET_VRING_ENABLE = 18,
	WIRE_SET_BACKEND_REQ_FD = 21,
	WIRE_GET_CONFIG = 24,
	WIRE_SET_CONFIG = 25,
	WIRE_GET_INFLIGHT_FD = 31,
	WIRE_SET_INFLIGHT_FD = 32,
	WIRE_RESET_DEVICE = 34,
	WIRE_GET_MAX_MEM_SLOTS = 36,
	WIRE_ADD_MEM_REG = 37,
	WIRE_REM_MEM_REG = 38,
	WIRE_SET_STATUS = 39,
	WIRE_GET_STATUS = 40,
	WIRE_SET_DEVICE_STATE_FD = 42,
	WIRE_CHECK_DEVICE_STATE = 43,
	WIRE_GET_SHMEM_CONFIG = 44,
	WIRE_REQUESTS /* one more than the highest */
};

/* Our own requests, on the back-end's channel. */
enum wire_backend_request {
	WIRE_BACKEND_SHMEM_MAP = 9, /* with a descriptor */
	WIRE_BACKEND_SHMEM_UNMAP = 10,
};

struct wire_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload that follows */
};

/* Payload of SET_VRING_KICK, _CALL and _ERR: the index, and whether no descriptor comes along. */
#define WIRE_VRING_INDEX 0xffu
#define WIRE_VRING_NO_FD 0x100u

struct wire_vring_state {
	uint32_t index;
	uint32_t num;
};

struct wire_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct wire_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t fva;
	uint64_t mmap_offset;
};

struct wire_regions {
	uint32_t count;
	uint32_t padding;
	/* struct wire_region follow */
};

struct wire_one_region {
	uint64_t padding;
	struct wire_region region;
};

struct wire_device_state {
	uint32_t direction; /* WIRE_STATE_SAVE, WIRE_STATE_LOAD */
	uint32_t phase;	    /* WIRE_STATE_STOPPED */
};
#define WIRE_STATE_SAVE	   0
#define WIRE_STATE_LOAD	   1
#define WIRE_STATE_STOPPED 0
#define WIRE_STATE_NO_FD   0x100 /* in the reply: the front-end's own descriptor is used */

struct wire_log {
	uint64_t size;
	uint64_t offset;
};

struct wire_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
};

#define WIRE_CONFIG_MAX 256

struct wire_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	/* size bytes follow */
};

#define WIRE_SHMEM_MAX 256

/* Shared memory regions: the index is the id, those of size 0 are none. */
struct wire_shmem_config {
	uint32_t count; /* of regions that are some */
	uint32_t padding;
	uint64_t size[WIRE_SHMEM_MAX];
};

#define WIRE_SHMEM_RW 1u

struct wire_shmem {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

/* The virtio-fs configuration space (virtio 1.2, 5.11.4), little-endian. */
struct wire_fs_config {
	char tag[36];
	uint32_t request_queues;
	uint32_t notify_buf_size;
};

_Static_assert(sizeof(struct wire_header) == 12, "header");
_Static_assert(sizeof(struct wire_vring_state) == 8, "vring state");
_Static_assert(sizeof(struct wire_vring_addr) == 40, "vring addresses");
_Static_assert(sizeof(struct wire_region) == 32, "memory region");
_Static_assert(sizeof(struct wire_regions) == 8, "memory table");
_Static_assert(sizeof(struct wire_one_region) == 40, "single region");
_Static_assert(sizeof(struct wire_log) == 16, "log");
_Static_assert(sizeof(struct wire_inflight) == 24, "inflight");
_Static_assert(sizeof(struct wire_config) == 12, "config");
_Static_assert(sizeof(struct wire_shmem_config) == 2056, "shared memory regions");
_Static_assert(sizeof(struct wire_shmem) == 40, "shared memory mapping");
_Static_assert(sizeof(struct wire_fs_config) == 44, "configuration space");

#endif
