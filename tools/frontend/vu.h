/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user as a front-end writes it: message numbers, feature bits and payloads, from the vhost-user
 * specification and not from src/vhost, so that a slip there is found here.
 */
#ifndef FRONTEND_VU_H
#define FRONTEND_VU_H

#include <stdint.h>

enum {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_SET_DEVICE_STATE_FD = 42,
	VU_CHECK_DEVICE_STATE = 43,
	VU_GET_SHMEM_CONFIG = 44,
};

/* Requests of the back-end. */
enum {
	VU_BACKEND_SHMEM_MAP = 9,
	VU_BACKEND_SHMEM_UNMAP = 10,
};

/* Flags of a message's header: the version in bits 0-1. */
#define VU_VERSION    1u
#define VU_REPLY      (1u << 2)
#define VU_NEED_REPLY (1u << 3)

/* Protocol features, by bit. */
enum {
	VU_P_MQ = 0,
	VU_P_LOG_SHMFD = 1,
	VU_P_REPLY_ACK = 3,
	VU_P_BACKEND_REQ = 5,
	VU_P_CONFIG = 9,
	VU_P_BACKEND_SEND_FD = 10,
	VU_P_INFLIGHT_SHMFD = 12,
	VU_P_RESET_DEVICE = 13,
	VU_P_CONFIGURE_MEM_SLOTS = 15,
	VU_P_STATUS = 16,
	VU_P_DEVICE_STATE = 19,
	VU_P_SHMEM = 22,
};

/* Feature bits of the device. */
enum {
	VU_F_LOG_ALL = 26,
	VU_F_INDIRECT_DESC = 28,
	VU_F_EVENT_IDX = 29,
	VU_F_PROTOCOL_FEATURES = 30,
	VU_F_VERSION_1 = 32,
	VU_F_RING_PACKED = 34,
};

#define VU_BIT(n) (1ull << (n))

/* What a device's status register holds when the driver is done with it (virtio 1.2, 2.1). */
#define VU_STATUS_DRIVER_OK 15u

#define VU_VRING_NOFD	  (1u << 8) /* in the index of SET_VRING_KICK, _CALL, _ERR */
#define VU_VRING_F_LOG	  1u	    /* in vu_vring_addr.flags */
#define VU_CONFIG_MAX	  256
#define VU_TABLE_REGIONS  8
#define VU_LOG_PAGE	  4096u
#define VU_FS_TAG	  36 /* bytes of the tag in the config space; num_request_queues follows */
#define VU_FS_CONFIG_SIZE 40

struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t fva;
	uint64_t offset;
};

struct vu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vu_region region[VU_TABLE_REGIONS];
};

struct vu_mem_region {
	uint64_t padding;
	struct vu_region region;
};

struct vu_device_state {
	uint32_t direction; /* VU_STATE_SAVE, VU_STATE_LOAD */
	uint32_t phase;	    /* 0: all rings are stopped */
};
enum { VU_STATE_SAVE, VU_STATE_LOAD };
#define VU_STATE_NO_FD 0x100u /* in the reply: no other descriptor comes */

struct vu_log {
	uint64_t size;
	uint64_t offset;
};

struct vu_inflight {
	uint64_t size;
	uint64_t offset;
	uint16_t queues;
	uint16_t queue_size;
	uint32_t padding;
};

struct vu_shmem_config {
	uint32_t count;
	uint32_t padding;
	uint64_t size[256];
};

#define VU_MMAP_RW 1u

struct vu_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

struct vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VU_CONFIG_MAX];
};

#endif
