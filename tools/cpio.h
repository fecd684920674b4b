/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes an initramfs: a cpio archive in "newc" format (linux:
 * Documentation/driver-api/early-userspace/buffer-format). */
#ifndef TOOLS_CPIO_H
#define TOOLS_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct cpio {
	FILE *f; /* the caller's */
	size_t off;
	uint32_t ino;
};

/* Each writes one entry; @name without a leading slash. Errors stay in the stream: ask ferror() or fclose().
 */
void cpio_dir(struct cpio *c, const char *name);
void cpio_char_device(struct cpio *c, const char *name, unsigned int major, unsigned int minor);
void cpio_file(struct cpio *c, const char *name, mode_t permissions, const void *data, size_t len);

/* Ends the archive. */
void cpio_end(struct cpio *c);

#endif
