/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of test_attack share. */
#ifndef PROTO_ATTACK_H
#define PROTO_ATTACK_H

#include "test.h"

#define ANY_ERROR 0  /* which one does not matter */
#define ANYTHING  -1 /* success would do: only that it is answered, and harms nobody */

/* What there is to attack. */
extern struct victim {
	struct vm vm;
	struct fuse_client *c, *victim;
	struct fc_file file, dir, kept; /* open; kept is the victim's */
	uint64_t closed[2];		/* handles of the file and the directory that were released */
	uint64_t node[8];		/* by enum thing */
	unsigned int nbeside;
} a;

enum thing { FILE_, DIR_, LINK_, FIFO_, SOCK_, DEV_, GONE_ };

/* One request with up to two pieces of arguments: its error, or what else became of it. */
int attack_ask(uint32_t opcode, uint64_t node, struct iovec one, struct iovec two);
#define IN(record) ((struct iovec){&(record), sizeof(record)})
#define NOTHING	   ((struct iovec){NULL, 0})

/* With its NUL; nothing for NULL. The bytes that it took. */
size_t attack_put_name(uint8_t *to, const char *name);
extern char attack_long_name[300];

/* A case: the request's error, and the one that it should be. */
struct attack {
	const char *what;
	int (*run)(void);
	int error;
};
extern const struct attack attacks[];
extern const unsigned int attacks_count;

/* The same, of numbers that @run knows the meaning of. */
struct attack_numbers {
	const char *what;
	int error;
	int (*run)(const struct attack_numbers *n);
	uint64_t v[5];
	const char *name, *second;
};
extern const struct attack_numbers attack_numbers[];
extern const unsigned int attack_numbers_count;

#endif
