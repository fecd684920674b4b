/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a virtual machine is to a vhost-user-fs daemon, without the machine: a front-end, guest memory, a
 * driver for each queue and a FUSE client on it. Made in steps, so that a caller can do each step otherwise.
 * Queue 0 is the high-priority queue. One thread makes the steps; then one thread a client.
 */
#ifndef PROTO_VM_H
#define PROTO_VM_H

#include "base/err.h"
#include "frontend/attach.h"
#include "frontend/fuse_ops.h"
#include "frontend/window.h"
#include "spawn.h"

#define VM_MAX_QUEUES 17

struct vm_config {
	uint64_t features, protocol; /* what to take of what is offered; 0: VM_FEATURES, VM_PROTOCOL */
	unsigned int queues;	     /* request queues, default 1 */
	unsigned int size;	     /* of each queue, default 1024 */
	unsigned int urgent_size;    /* of the high-priority queue, default @size */
	uint32_t base;		     /* where rings start, as SET_VRING_BASE says it; 0: as new */
	unsigned int huge_pages;     /* one more region, of so many */
	uint64_t window;	     /* bytes of shared memory that the daemon may map files in; 0: none */
	bool quiet_window;	     /* no message of guest memory follows a mapping */
	uint64_t memory;	     /* bytes of each of the two large regions, default 64 MiB */
	struct fc_config
		client;	     /* depth default 8, max_data default 1 MiB, timeout default TEST_PATIENCE_MS */
	uint64_t init_flags; /* default VM_INIT_FLAGS */
	uint32_t init_minor; /* default 39 */
};

#define VM_FEATURES                                                                             \
	(VU_BIT(VU_F_VERSION_1) | VU_BIT(VU_F_PROTOCOL_FEATURES) | VU_BIT(VU_F_INDIRECT_DESC) | \
		VU_BIT(VU_F_EVENT_IDX))
#define VM_PROTOCOL                                                                                \
	(VU_BIT(VU_P_MQ) | VU_BIT(VU_P_REPLY_ACK) | VU_BIT(VU_P_CONFIG) | VU_BIT(VU_P_LOG_SHMFD) | \
		VU_BIT(VU_P_CONFIGURE_MEM_SLOTS) | VU_BIT(VU_P_RESET_DEVICE) | VU_BIT(VU_P_STATUS))
/* As Linux 7.x offers them, without what changes the meaning of requests: WRITEBACK_CACHE, SETXATTR_EXT,
 * SECURITY_CTX. */
#define VM_INIT_FLAGS                                                                                    \
	(FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_FLOCK_LOCKS | \
		FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |    \
		FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_SUBMOUNTS | FUSE_INIT_EXT | FUSE_HAS_IOCTL_DIR)

struct vm {
	struct vm_config cfg;
	struct spawn daemon;
	struct frontend fe;
	struct window window;
	struct guestmem gm;
	struct drv_queue queue[VM_MAX_QUEUES];
	struct fuse_client client[VM_MAX_QUEUES];
	bool started[VM_MAX_QUEUES];
	unsigned int queues; /* all, the high-priority queue included; 0: none made */
	struct fuse_init_out init;
	struct err err; /* what went wrong, of any step */
};

/* All steps: daemon, connection, memory, queues, FUSE_INIT. 0 or -errno with vm->err; vm_end() in any case.
 */
int vm_boot(struct vm *vm, const struct vm_config *cfg, const struct spawn_config *spawn);
/* Queues stop, connection, memory and daemon go. -errno with vm->err if the daemon did not live well so long.
 */
int vm_end(struct vm *vm);

/* The steps. vm_config() only fills in the defaults. */
void vm_configure(struct vm *vm, const struct vm_config *cfg);
int vm_connect(struct vm *vm);	   /* connects, negotiates; sets nothing else up */
int vm_make_memory(struct vm *vm); /* three regions, and shares nothing yet */
int vm_make_queues(struct vm *vm); /* rings and clients in guest memory */
int vm_start(struct vm *vm);	   /* features, memory, queues: the device runs */
int vm_mount(struct vm *vm);	   /* FUSE_INIT */
void vm_disconnect(
	struct vm *vm); /* the connection and all that belongs to the guest goes; the daemon stays */

int vm_start_queue(struct vm *vm, unsigned int i, uint32_t base);
int vm_stop_queue(struct vm *vm, unsigned int i, uint32_t *base);

#endif
