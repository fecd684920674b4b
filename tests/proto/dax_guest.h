/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest with a window does: boots, learns of a file, maps ranges of it. Each fails the test if it does
 * not work, but for what returns int.
 */
#ifndef PROTO_DAX_GUEST_H
#define PROTO_DAX_GUEST_H

#include "test.h"

#define RANGE  (2u << 20)
#define PAGE   4096u
#define WINDOW (8u * RANGE)
#define READ   FUSE_SETUPMAPPING_FLAG_READ
#define WRITE  (FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE)
#define AT(i)  ((uint64_t)(i)*RANGE)

/* What the window has at @at. */
#define SEES(vm, at, what, len) assert_memory_equal(window_memory(&(vm)->window) + (at), what, len)

#define DAX_PROTOCOL                                                                    \
	((VM_PROTOCOL & ~VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)) | VU_BIT(VU_P_BACKEND_REQ) | \
		VU_BIT(VU_P_BACKEND_SEND_FD) | VU_BIT(VU_P_SHMEM))
#define DAX_INIT_FLAGS (VM_INIT_FLAGS | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX)

extern const struct vm_config dax_vm; /* a front-end with a window, as QEMU is one */
extern const char *const dax_args[];  /* a daemon with a window; with --dax=always; with --dax-trust-peers */
extern const char *const dax_args_all[];
extern const char *const dax_args_trust[];

extern uint8_t dax_data[3 * RANGE]; /* a pattern */

void dax_boot(struct vm *vm, const char *const *with);
uint64_t dax_look_up(struct vm *vm, const char *name, struct fuse_entry_out *e);
/* A file of the host's, of the pattern, known to the guest. Marked: likewise, whether the guest shall map it.
 */
uint64_t dax_file(struct vm *vm, const char *name, size_t size);
bool dax_marked(struct vm *vm, const char *name, size_t size);
struct fc_file dax_open(struct vm *vm, uint64_t node); /* to read and write */
void dax_truncate(struct vm *vm, uint64_t node, uint64_t size);
void dax_host_cuts(struct vm *vm, const char *name, off_t size);

/* Range @range of the window. 0 or -errno. */
int dax_map(struct vm *vm, uint64_t node, uint64_t off, unsigned int range, uint64_t flags);
int dax_unmap(struct vm *vm, unsigned int range);

#endif
