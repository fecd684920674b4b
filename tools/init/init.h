/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The init of a guest that `colofs run` boots: a static program, alone in the initramfs with the kernel's
 * modules. It builds the root file system, mounts the shares, runs one command and relays its standard
 * streams. One thread. It trusts its configuration, which colofs wrote; it never returns.
 */
#ifndef INIT_INIT_H
#define INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define INIT_CONFIG "/config" /* NUL-terminated strings KEY=VALUE, see config.c */

struct init_share {
	const char *tag;
	const char *at; /* mount point, absolute */
	bool readonly;
};

struct init_config {
	const char *channel; /* device that carries the frames */
	const char *root;    /* "hostfs", or the tag of the share that holds the root file system */
	const char *cwd;
	bool tty[3]; /* which standard streams are the terminal */
	uint16_t rows;
	uint16_t columns;
	char **modules; /* paths, in the order of loading */
	size_t n_modules;
	struct init_share *shares;
	size_t n_shares;
	char **argv; /* NULL-terminated; empty: a shell */
	size_t n_argv;
	char **envp; /* NULL-terminated */
	size_t n_envp;
};

/* Reads INIT_CONFIG. The strings live as long as the program. */
void config_read(struct init_config *c);

/* Loads the modules. */
void root_load_modules(const struct init_config *c);

/* Mounts proc, sys and dev of the initramfs, which modules and the channel need. */
void root_mount_early(void);

/* Makes the root file system: the host's, read-only beneath a tmpfs that takes the writes; and goes there. */
void root_enter(const struct init_config *c);

/* Mounts the shares, making their mount points. */
void root_mount_shares(const struct init_config *c);

/* Unmounts the shares, so that all that the command wrote has reached the host. */
void root_unmount_shares(const struct init_config *c);

/* Opens the channel and makes it raw; waits for the device to appear. */
void channel_open(const char *path);
int channel_fd(void);

/* Sends one frame; blocks while the host does not read. @len <= FRAME_PAYLOAD. */
void channel_send(enum frame_type type, const void *payload, size_t len);

/* Runs the command to its end, relaying. All processes but this one are gone then. Returns its exit status.
 */
int relay_run(const struct init_config *c);

/* Says why on the channel (or the console while there is none), and powers the guest off. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

void power_off(void) __attribute__((noreturn));

#endif
