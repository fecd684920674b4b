/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two files of test_hostile share. */
#ifndef PROTO_HOSTILE_H
#define PROTO_HOSTILE_H

#include "test.h"

/* What a descriptor that comes with a message may be. */
enum hostile_fd {
	FD_NONE,
	FD_EVENT,
	FD_DIR,
	FD_FILE,      /* regular, of a page */
	FD_FILE_READ, /* the same, but only to read */
	FD_PATH,      /* O_PATH: it can do nothing */
	FD_EMPTY,     /* memory of no length */
	FD_MEM,	      /* memory of a megabyte */
	FD_SEALED,    /* memory that nobody may write */
	FD_VAST,      /* memory of 2^62 bytes, none of which is there */
	FD_PIPE_IN,   /* to read from, nobody writes any more */
	FD_PIPE_OUT,  /* to write to, nobody reads any more */
	FD_PIPE_FULL, /* to write to, without room */
	FD_SOCKET,    /* whose peer is gone */
	FD_SELF,      /* the very connection */
	FD_EPOLL,
	FD_NULL, /* character devices */
	FD_ZERO,
	FD_FULL,
};

/* When the message comes: as the first of all, after negotiation, or when the device runs. */
enum hostile_when { FIRST, EARLY, LATE };

/* What becomes of it; ANY: that does not matter, as long as nobody is harmed. */
enum hostile_end { ANY, CLOSED, ANSWERED, SILENT };

struct hostile_message {
	const char *what;
	enum hostile_when when;
	enum hostile_end end;
	uint32_t request;
	uint32_t size;
	uint32_t flags; /* 0: VU_VERSION */
	enum hostile_fd fd;
	unsigned int fds; /* copies of it; 0: one, if there is a kind */
	uint64_t payload[40];
};

/* Addresses of the running queue's areas, and of the guest's memory, with an offset: in payloads. */
#define AT_DESC	 0x7d5c000000000000ull
#define AT_AVAIL 0x7a5a000000000000ull
#define AT_USED	 0x705e000000000000ull
#define AT_LOW	 0x710a000000000000ull
#define AT_MASK	 0xffff000000000000ull

extern const struct hostile_message hostile_messages[];
extern const unsigned int hostile_messages_count;

/* The kind of ring that the group runs with. The daemon is there, and served a front-end before. */
extern struct vm hostile;
/* Front-ends that do more than one bad thing. */
extern const struct CMUnitTest hostile_habits[];
extern const unsigned int hostile_habits_count;
/* A descriptor of the kind, or -1. */
int hostile_open(enum hostile_fd kind);
/* Sends the message as it is. 0 or -errno. */
int hostile_send(const struct hostile_message *m, bool ask);
/* Makes the device do something with what it was told. */
void hostile_poke(void);

#endif
