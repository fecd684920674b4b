/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the parts of the window fit together: dax.c has what is done when; range.c does it with one range of
 * the window; file.c has the files that they are of; copy.c the pages that stand in for a file's own where
 * these cannot be mapped; claim.c says which daemon maps a file; adopt.c takes over from a process that is
 * gone.
 */
#ifndef DAX_INTERNAL_H
#define DAX_INTERNAL_H

#include "dax/dax.h"

#include <pthread.h>
#include <stdatomic.h>

#define DAX_PAGE   4096u /* front-ends map whole pages, and never past a file's end */
#define CLAIM_CUTS 1024u /* files that are cut share so many bytes of the claims */

/*
 * A range of the window, in the state segment. Up to @direct it shows the file's own pages. From @copy on to
 * its end it shows pages of our own: where a file ends within a page, or has grown since. A page of the
 * guest's is never without something behind it below the file's end.
 */
struct dax_range {
	uint64_t node; /* 0: free, and the rest means nothing; written last */
	uint64_t file_off;
	uint32_t direct; /* bytes, whole pages */
	uint32_t copy;	 /* bytes, whole pages; DAX_RANGE: nothing is copied */
	uint32_t known;	 /* the file's end within the range when the copy was last made to follow it */
	uint32_t writes; /* 1: the guest said that it writes */
};

/* A file of which something is mapped. In the state segment, too. */
struct dax_file {
	uint64_t node; /* 0: free, and the rest means nothing; written last */
	uint64_t size; /* when its ranges last followed it */
	uint64_t claim;
	int64_t mtime_ns; /* like @size; 0: it may have changed since without another time */
	uint32_t ranges;
	int32_t fd;
	bool claimed;	/* else only copies of it are shown */
	bool read_only; /* @fd is: what the guest stores in copies of it is nobody's */
	bool copied;	/* copies of it may be among its ranges */
	bool behind;	/* a range could not be made to follow it; seen() tries again */
	bool pad[4];
};

/* What the front-end was asked to map or to unmap, before the records say so: a process that takes over
 * cannot know whether it was done. In the state segment. */
struct dax_asked {
	uint64_t file_off, at;
	uint32_t len; /* 0: nothing; written last */
	uint32_t pad;
};

/* copy.c: a memfd as long as the window, and what it held when it last agreed with the file. */
struct dax_copy {
	int fd;
	char *now;  /* of the memfd */
	char *then; /* in the state segment */
	uint64_t len;
};

struct dax {
	struct dax_config cfg;
	struct op_window window;
	struct dax_range *ranges; /* @nranges, in the segment, like @files and @asked */
	uint32_t nranges;
	struct dax_copy copy;

	pthread_mutex_t lock; /* held while the front-end is asked; guards all records and copies */
	struct dax_asked *asked;
	bool settling; /* @settler is there */
	pthread_t settler;
	_Atomic bool refused;	/* what the guest wanted last: nothing new is marked until something works */
	_Atomic bool unsettled; /* the records are of a process that is gone, and not compared with the window
				   yet */

	pthread_mutex_t index; /* guards @files and @nfiles for those who only look; changed with both held */
	struct dax_file *files; /* @nranges + 1 entries, the first @nfiles may be used */
	uint32_t nfiles;

	pthread_mutex_t cutting;   /* guards @cuts; taken last */
	uint32_t cuts[CLAIM_CUTS]; /* how many go on, by the byte that is locked meanwhile */
};

/*
 * range.c, lock held: 0 or -errno, with which what the guest sees has not changed. Fill: of a range that is
 * empty in the window. Empty: what the guest stored in copies is the file's. Refill: both, of what was cut
 * behind our back. Forget: the window has it not any more; @f may be NULL. Sync: what the guest stored in
 * copies of @change's part goes to the file. Reach: the file is about to get contents there, for which there
 * must be room. Follow: the file got other contents there, grew, or was cut. Settle: whatever the front-end
 * was last asked is undone. Probe: of a window in which nothing is mapped, whether something can be.
 */
int range_fill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c);
int range_empty(struct dax *d, struct dax_range *r, const struct dax_file *f, struct op_ctx *c);
int range_refill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c);
void range_forget(struct dax *d, struct dax_range *r, const struct dax_file *f);
int range_sync(
	struct dax *d, const struct dax_range *r, const struct dax_file *f, const struct op_change *change);
int range_follow(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c);
int range_reach(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c);
int range_settle(struct dax *d);
int range_probe(struct dax *d);
bool range_is_empty(const struct dax_range *r);
bool range_is_cut(
	const struct dax_range *r, const struct dax_file *f); /* it shows what the file has no more */

/* adopt.c: at the start, on records that an earlier process has left; and with the lock held, ahead of
 * everything that is done with them later. */
void adopt_records(struct dax *d);
void adopt_settle(struct dax *d);
void adopt_end(struct dax *d); /* waits for dax_resume()'s thread */

/* file.c: lock held, and index where it is said. The entry, or NULL. */
struct dax_file *file_find(struct dax *d, struct nodeid node); /* the index is enough */
struct dax_file *file_of(struct dax *d, const struct dax_range *r);
/* What file_differs() wants to know, for those who do not hold the lock. False: nothing of it is mapped. */
bool file_peek(struct dax *d, struct nodeid node, struct dax_file *out);
/* The file's entry, made with a descriptor like @fd if it has none, and given one to write with if it had
 * none such. 0 or -errno. */
int file_take(struct dax *d, struct nodeid node, int fd, struct dax_file **out);
/* The entry goes if no range is of it. */
void file_drop(struct dax *d, struct dax_file *f);
/* Copies of it are among its ranges from now on. */
void file_copied(struct dax *d, struct dax_file *f);
/* Notes its size and time. */
void file_look(struct dax *d, struct dax_file *f);
void file_behind(struct dax *d, struct dax_file *f, bool behind);
/* Whether its ranges have something to follow. */
bool file_differs(const struct dax_file *f, const struct statx *st);

/* @fd becomes its own; @then is @len bytes. */
int copy_setup(struct dax_copy *c, int fd, char *then, uint64_t len, struct err *err);
void copy_free(struct dax_copy *c);
/* [off, off + len) of the window gets what @fd holds at @file_off: bytes that the guest has not changed. */
int copy_refresh(struct dax_copy *c, uint64_t off, uint64_t len, int fd, uint64_t file_off);
/* What the guest has changed there goes to the file. */
int copy_sync(struct dax_copy *c, uint64_t off, uint64_t len, int fd, uint64_t file_off);
/* The pages are given back. */
void copy_drop(struct dax_copy *c, uint64_t off, uint64_t len);

/* claim.c: the number of a file among claims; whether it could be claimed, or somebody else has it. Without
 * @claims (-1) all is ours. */
uint64_t claim_of(uint64_t dev, uint64_t ino);
bool claim_take(int claims, uint64_t claim);
void claim_give(int claims, uint64_t claim);
bool claim_is_foreign(int claims, uint64_t claim);
/*
 * Around a cut of @fd's file: what claim_cut_end() wants (0: nothing), or -errno, ETXTBSY if another daemon
 * has it mapped. Is cut: another daemon is about to, or one of few other files; a claim that was taken then
 * is void. Forget: those of a process that is gone.
 */
int claim_cut_begin(struct dax *d, int fd);
void claim_cut_end(struct dax *d, int cut);
bool claim_is_cut(int claims, uint64_t claim);
void claim_forget_cuts(int claims);

#endif
