/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the parts of the window fit together: dax.c has the records and what is done with them; file.c the
 * files that they are of; copy.c the pages that stand in for a file's own where these cannot be mapped;
 * claim.c says which daemon maps a file.
 */
#ifndef DAX_INTERNAL_H
#define DAX_INTERNAL_H

#include "dax/dax.h"

#include <pthread.h>

#define DAX_PAGE 4096u /* front-ends map whole pages, and never past a file's end */

/*
 * A range of the window, in the state segment. Up to @direct it shows the file's own pages. From @copy on to
 * its end it shows pages of our own: where a file ends within a page, or has grown since. A page of the
 * guest's is never without something behind it below the file's end.
 */
struct dax_range {
	uint64_t node; /* 0: free */
	uint64_t file_off;
	uint32_t direct; /* bytes, whole pages */
	uint32_t copy;	 /* bytes, whole pages; DAX_RANGE: nothing is copied */
	uint32_t known;	 /* the file's end within the range when the copy was last made to follow it */
	uint32_t writes; /* 1: the guest said that it writes */
};

/* A file of which something is mapped. Process-local. */
struct dax_file {
	uint64_t node;
	int fd; /* -1: this entry is free */
	uint32_t ranges;
	uint64_t size;	  /* when its ranges last followed it */
	int64_t mtime_ns; /* likewise; 0: it may have changed since without another time */
	uint64_t claim;
	bool claimed;	/* else only copies of it are shown */
	bool read_only; /* @fd is: what the guest stores in copies of it is nobody's */
	bool copied;	/* copies of it may be among its ranges */
};

/* copy.c: a memfd as long as the window, and what it held when it last agreed with the file. */
struct dax_copy {
	int fd;
	char *now, *then;
	uint64_t len;
};

struct dax {
	struct dax_config cfg;
	struct op_window window;
	struct dax_range *ranges; /* @nranges, in the segment */
	uint32_t nranges;
	uid_t uid; /* the daemon's */
	struct dax_copy copy;

	pthread_mutex_t lock;  /* held while the front-end is asked; guards all records and copies */
	pthread_mutex_t index; /* guards @files and @nfiles for those who only look; changed with both held */
	struct dax_file *files; /* @nranges + 1 entries, the first @nfiles may be used */
	uint32_t nfiles;
};

/* file.c: lock held, and index where it is said. The entry, or NULL. */
struct dax_file *file_find(struct dax *d, struct nodeid node); /* the index is enough */
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
/* Whether its ranges have something to follow. */
bool file_differs(const struct dax_file *f, const struct statx *st);

int copy_setup(struct dax_copy *c, uint64_t len, struct err *err);
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

#endif
