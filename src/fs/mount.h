/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mounts beneath the share, and the file handles that work on them: how an inode is opened again without
 * a name. Private to the inode table. Threads: any.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "fs/inode.h"

#define MOUNT_MAX 1024 /* records in SEGMENT_MOUNTS; index 0 is none */

struct mount {
	uint64_t mnt_id;
	uint32_t refs; /* inode records on it; 0: free. The table's lock */
	int32_t fd; /* what open_by_handle_at() knows the mount by (O_PATH is not enough); -errno: why handles
		       don't work */
};

/* A host file handle. Length 0 equals no other. */
struct file_id {
	int32_t type;
	uint32_t len;
	uint8_t bytes[INODE_HANDLE_MAX];
};

/* The file handle of @name beneath @dir, or of the descriptor itself with the empty name. 0 or -errno. */
int file_id_get(int dir, const char *name, struct file_id *out);

struct mount_table;

struct mount_table *mount_table_new(const struct fs_config *cfg, const struct segment *seg);
void mount_table_free(struct mount_table *t);

/*
 * A reference to the mount of the inode with @key, which @fd (O_PATH) refers to. *index is 0 if the mount
 * cannot be examined or the table is full. 0 if its inodes can be opened by handle, else -errno: what is in
 * the way. Probes a mount that is new.
 */
int mount_ref(struct mount_table *t, const struct inode_key *key, int fd, uint16_t *index);
void mount_put(struct mount_table *t, uint16_t index); /* 0 is allowed */

/* An O_PATH descriptor of the inode that has this handle and key on the mount, of which the caller holds a
 * reference. -ESTALE if it is gone. */
int mount_open(struct mount_table *t, uint16_t index, const struct file_id *id, const struct inode_key *key);

#endif
