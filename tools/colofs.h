/* SPDX-License-Identifier: BSD-3-Clause */
/* What the command's parts share: exit status, options, shares. One thread throughout. */
#ifndef TOOLS_COLOFS_H
#define TOOLS_COLOFS_H

#include "base/err.h"
#include "strv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_COLOFS   125 /* colofs itself failed; everything else is the command's status */
#define SHARES_MAX    16
#define SHARE_TAG_MAX 36	   /* virtio-fs: the tag field's size */
#define SHARE_ROOT    "colofsroot" /* tag of the share that is a QEMU guest's root */

struct share {
	char *dir; /* absolute, no symbolic links */
	char tag[SHARE_TAG_MAX + 1];
	bool tag_given;
	bool readonly;
	char *at; /* mount point in the guest */
};

enum vm_accel { VM_ACCEL_AUTO, VM_ACCEL_KVM, VM_ACCEL_TCG };

/* Strings without a comment point into argv and may be NULL. */
struct run_opts {
	struct share shares[SHARES_MAX];
	size_t n_shares;
	const char *at;
	bool qemu_guest; /* else User-Mode Linux */
	enum vm_accel accel;
	uint64_t mem; /* bytes, whole MiB */
	unsigned int boot_timeout_s;
	const char *daemon;
	struct strv daemon_options; /* owned */
	const char *daemon_socket;  /* of the one share's, which runs already */
	const char *kernel;
	const char *modules;
	const char *kernel_root;
	const char *qemu;
	struct strv env; /* NAME=VALUE, owned */
	char **command;	 /* NULL-terminated; empty: a shell */
	bool verbose;
	bool help;
};

/* Parses the words after `run`. On an error the text names the option, the value and the remedy. */
int opts_parse(struct run_opts *o, int argc, char **argv, struct err *e);
void opts_free(struct run_opts *o);
void opts_help(void);

/*
 * Parses DIR[:TAG][:ro]. A DIR that exists as it is written wins over a tag. Makes default tags and mount
 * points only in share_finish(), when all shares are known.
 */
int share_parse(struct share *s, const char *spec, struct err *e);
int share_finish(struct share *shares, size_t n, const char *at, struct err *e);

/* `colofs run`. Returns the exit status; prints its own errors. */
int run_guest(struct run_opts *o);

/* `colofs upgrade`, with that word as @argv[0]. Likewise. */
int upgrade_daemon(int argc, char **argv);

#endif
