/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DAX window: a piece of the guest's address space in which it sees files of the share without asking for
 * their contents. The guest says which 2 MiB of which file it wants in which range of the window; the
 * front-end maps them there. Here are the records of what is mapped, the rules of which files may be, and
 * what is done when a mapped file changes its size. Knows no rings, no sockets and no names: the front-end is
 * reached by struct dax_vmm, and the file system reaches the window by struct op_window.
 */
#ifndef DAX_DAX_H
#define DAX_DAX_H

#include "base/err.h"
#include "base/fdmap.h"
#include "base/segment.h"
#include "fuse/ops.h"

#define DAX_RANGE (2u << 20) /* what Linux guests map at a time; ranges of the window begin at multiples */
#define DAX_ALIGN 21	     /* its logarithm, as INIT says it */

enum dax_policy {
	DAX_NEVER,  /* no file is marked, none is mapped */
	DAX_ALWAYS, /* every file that the daemon may write */
	DAX_INODE,  /* of these, those of a size that it suits */
};

/*
 * The front-end's side, see vhost_device_map() and _unmap(): a free range gets [@file_off, + @len) of @fd, or
 * loses what it got by one mapping. @cancelled may be NULL. Both return when the guest sees it done.
 */
struct dax_vmm {
	void *arg;
	int (*map)(void *arg, int fd, uint64_t file_off, uint64_t window_off, uint64_t len,
		const _Atomic bool *cancelled);
	int (*unmap)(void *arg, uint64_t file_off, uint64_t window_off, uint64_t len,
		const _Atomic bool *cancelled);
};

struct dax_config {
	uint64_t window; /* bytes, a multiple of DAX_RANGE; 0: none */
	enum dax_policy policy;
	uint32_t max_mappings; /* of the front-end; 0: as many as the window has ranges */
	bool any_owner;	       /* the daemon may write every file, whoever owns it */
	uid_t uid;	       /* the daemon's */
	/*
	 * A file in which a byte is locked for each file that some daemon has mapped, or is about to cut; the
	 * window's from dax_new() on. -1: nobody else is asked, and others may map what we map
	 * (--dax-trust-peers).
	 */
	int claims;
	int copies; /* of dax_copies(); the window's from dax_new() on */
	struct dax_vmm vmm;
};

struct dax;

/* Size of the window that @window and @max_mappings make: a power of two, or 0. */
uint64_t dax_window_size(uint64_t window, uint32_t max_mappings);

/* Memory for a window of so many bytes: a descriptor, the caller's, or -errno with @err. */
int dax_copies(uint64_t window, struct err *err);

/* What the window wants of the segment. Fills plan[SEGMENT_DAX ... SEGMENT_DAX_ASKED]. */
void dax_plan(const struct dax_config *cfg, struct segment_plan plan[SEGMENT_SECTIONS]);

/* Before other threads exist. 0 or -errno with @err. @seg must outlive it. */
int dax_new(const struct dax_config *cfg, const struct segment *seg, struct dax **out, struct err *err);
void dax_free(struct dax *d); /* NULL is allowed. As dax_forget() first */

/*
 * For a process that takes over (seg->adopt): dax_keep_fds() names the descriptors that the window holds, 0
 * or -errno. dax_resume() compares the records with the window; by a thread of its own, as the front-end is
 * asked, which has to be connected again.
 */
int dax_keep_fds(const struct dax *d, struct fdmap *map);
void dax_resume(struct dax *d);

/* What the file system calls; valid until dax_free(). */
const struct op_window *dax_window(struct dax *d);

/* The front-end has gone or was reset, and with it all mappings: no request is in flight. Asks it nothing,
 * so any thread may call it. */
void dax_forget(struct dax *d);

/* Ranges that are mapped, files that they are of, bytes that are copies. Any thread. */
struct dax_counts {
	uint32_t ranges, files, copies;
};
void dax_count(struct dax *d, struct dax_counts *out);

#endif
