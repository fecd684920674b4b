/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mounts beneath the share, and the file handles that work on them: how an inode is opened again without
 * a name. Private to the inode table. Threads: any.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "base/fdmap.h"
#include "fs/inode.h"

#include <limits.h>

#define MOUNT_MAX  1024 /* records in SEGMENT_MOUNTS; index 0 is none */
#define MOUNT_ROOT 1	/* the root's, if it can be examined */

/*
 * All but the root's mount can be unmounted by the host, so their descriptors are given up when they are not
 * used, and had again by their place: a name in a directory of another mount.
 */
struct mount {
	uint64_t mnt_id;
	uint32_t refs;	/* inode records on it; 0: free. The table's lock */
	int32_t why;	/* 0, or -errno: why file handles don't work */
	uint64_t place; /* nodeid of that directory, to whose record this is a reference; 0: not known. The
			   table's lock */
	_Atomic uint64_t
		fd; /* fd_slot.h: what open_by_handle_at() knows the mount by (O_PATH is not enough) */
	_Atomic uint32_t used;	 /* 1: @fd was used since the last round */
	_Atomic uint32_t traits; /* INODE_FS_*; 0: not asked yet */
	char name[NAME_MAX + 1]; /* in @place; the table's lock */
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

/* What the root's mount has by this file handle, wherever that lies: an O_PATH descriptor or -errno. */
int mount_open_any(struct mount_table *t, const struct file_id *id);

/* @inodes gets the mounts' places back when they are needed. */
struct mount_table *mount_table_new(
	const struct fs_config *cfg, const struct segment *seg, struct inode_table *inodes);
/* Closes every descriptor; the records stay in the segment. For both NULL is allowed. */
void mount_close_all(struct mount_table *t);
void mount_table_free(struct mount_table *t);

/*
 * Where @seg was adopted no mount has references at first. mount_adopt_places() says how many references
 * mounts have to a directory; mount_adopt() counts an inode that was kept, false if there is no such mount;
 * mount_adopt_end() lets go of mounts without inodes.
 */
uint32_t mount_adopt_places(const struct mount_table *t, struct nodeid dir);
void mount_adopt_end(struct mount_table *t);
bool mount_adopt(struct mount_table *t, uint16_t index);
int mount_keep_fds(struct mount_table *t, struct fdmap *map); /* as fs_keep_fds() */

/*
 * A reference to the mount of the inode with @key, which @fd (O_PATH) refers to. *index is 0 if the mount
 * cannot be examined or the table is full. 0 if its inodes can be opened by handle, else -errno: what is in
 * the way. Probes a mount that is new.
 */
int mount_ref(struct mount_table *t, const struct inode_key *key, int fd, uint16_t *index);
void mount_put(struct mount_table *t, uint16_t index); /* 0 is allowed */

/* INODE_FS_* of the mount, of which the caller holds a reference; asked by @fd, which is on it, the first
 * time, without @keep each time. -1: what is known already, perhaps 0. Index 0 keeps those of one device.
 */
uint32_t mount_traits(struct mount_table *t, uint16_t index, bool keep, int fd);

/*
 * Where the mount, of which the caller holds a reference, is: at @name in @dir, which is on another one.
 * Until that is known its descriptor is kept. 0 is allowed as index.
 */
void mount_place(struct mount_table *t, uint16_t index, struct inode *dir, const char *name);

/* Closes the descriptors that were not used since the last call; true if some are left. */
bool mount_give_up(struct mount_table *t);

/* An O_PATH descriptor of the inode that has this handle and key on the mount, of which the caller holds a
 * reference. -ESTALE if it is gone, or the mount is no longer where it was. */
int mount_open(struct mount_table *t, uint16_t index, const struct file_id *id, const struct inode_key *key);

#endif
