/* SPDX-License-Identifier: BSD-3-Clause */
/* What a running daemon holds; the header says how. */
#include "counts.h"

#include "base/cleanup.h"
#include "base/idtab.h"
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

int counts_open(struct segment *seg, const struct vm *vm)
{
	char path[128], target[64];
	struct dirent *e;
	struct err err;
	int r = -ENOENT;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", spawn_server_pid(&vm->daemon));
	d = opendir(path);
	while (d && r && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1);
		autofd int fd = -1;

		if (n <= 0)
			continue;
		target[n] = 0;
		if (strstr(target, "memfd:colofs-state"))
			fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			r = segment_view(seg, fd, &err);
	}
	if (d)
		closedir(d);
	return r;
}

/* Records are given out from the lowest index on: behind the first that was never used none is. */
static unsigned int records(const struct segment *seg, enum segment_section section)
{
	const char *at = segment_at(seg, section);
	uint32_t size = segment_record_size(seg, section);
	unsigned int n = 0;

	for (uint64_t i = 1; i < segment_count(seg, section); i++) {
		const struct idtab_rec *rec = (const void *)(at + i * size);
		uint64_t state = rec->state;

		if (!state)
			break;
		n += (uint32_t)state != 0;
	}
	return n;
}

void counts_take(const struct vm *vm, const struct segment *seg, struct counts *out)
{
	*out = (struct counts){.fds = test_server_fds(vm),
		.inodes = records(seg, SEGMENT_INODES),
		.handles = records(seg, SEGMENT_HANDLES),
		.lock_owners = records(seg, SEGMENT_LOCK_OWNERS),
		.lock_ranges = records(seg, SEGMENT_LOCK_RANGES)};
}

void counts_print(const struct counts *c, char *buf, size_t len)
{
	snprintf(buf, len, "descriptors %u, inodes %u, handles %u, lock owners %u, ranges %u", c->fds,
		c->inodes, c->handles, c->lock_owners, c->lock_ranges);
}

unsigned long counts_memory(const struct vm *vm, bool shared)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", spawn_server_pid(&vm->daemon));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8) || (shared && !strncmp(line, "RssShmem:", 9)))
			kib += strtoul(strchr(line, ':') + 1, NULL, 10);
	fclose(f);
	assert_true(kib > 0);
	return kib;
}
