/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpio.h"

#include <string.h>
#include <sys/stat.h>

static void put(struct cpio *c, const void *data, size_t len)
{
	static const char zeros[4];

	fwrite(data, 1, len, c->f);
	fwrite(zeros, 1, -(c->off + len) & 3, c->f);
	c->off = (c->off + len + 3) & ~(size_t)3;
}

static void entry(struct cpio *c, const char *name, mode_t mode, unsigned int rdev[2], size_t len)
{
	char head[110 + 256];
	int n;

	/* ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check name */
	n = snprintf(head, sizeof(head),
		"070701%08x%08x0000000000000000"
		"0000000100000000%08zx0000000000000000"
		"%08x%08x%08zx00000000%s",
		++c->ino, mode, len, rdev[0], rdev[1], strlen(name) + 1, name);
	put(c, head, (size_t)n + 1);
}

void cpio_dir(struct cpio *c, const char *name)
{
	entry(c, name, S_IFDIR | 0755, (unsigned int[2]){0, 0}, 0);
}

void cpio_char_device(struct cpio *c, const char *name, unsigned int major, unsigned int minor)
{
	entry(c, name, S_IFCHR | 0600, (unsigned int[2]){major, minor}, 0);
}

void cpio_file(struct cpio *c, const char *name, mode_t permissions, const void *data, size_t len)
{
	entry(c, name, S_IFREG | permissions, (unsigned int[2]){0, 0}, len);
	put(c, data, len);
}

void cpio_end(struct cpio *c)
{
	entry(c, "TRAILER!!!", 0, (unsigned int[2]){0, 0}, 0);
}
