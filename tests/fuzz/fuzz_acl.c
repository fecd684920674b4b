/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The value of an ACL, as a guest may have written it. What is refused is no ACL, what is taken differs in
 * the ids of named users and groups alone, and comes back as it was.
 */
#include "fuzz.h"

#include "fs/acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY 8
#define FIRST 4

/* Both ways, so that each id has its way back; one is forbidden. */
static struct idmap *make_map(const char *a, const char *b)
{
	struct idmap *m = idmap_new();

	fuzz_require(m && !idmap_add(m, a, NULL) && !idmap_add(m, b, NULL));
	fuzz_require(!idmap_add(m, "forbid-guest:77:1", NULL));
	return m;
}

static bool has_id(const uint8_t *entry)
{
	return (entry[0] == 2 || entry[0] == 8) && !entry[1];
}

static void compare(const uint8_t *was, const uint8_t *is, size_t size)
{
	fuzz_require(!memcmp(was, is, FIRST));
	for (size_t at = FIRST; at < size; at += ENTRY)
		fuzz_require(!memcmp(was + at, is + at, has_id(was + at) ? ENTRY / 2 : ENTRY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct idmap *uids, *gids;
	uint8_t *value = malloc(size ? size : 1);
	bool whole = !size || (size >= FIRST && !((size - FIRST) % ENTRY));
	int r;

	if (!uids) {
		uids = make_map("map:0:1000:50", "map:1000:0:50");
		gids = make_map("map:5:4294967200:20", "map:4294967200:5:20");
	}
	fuzz_require(value);
	memcpy(value, data, size);
	r = acl_to_host(value, size, uids, gids);
	fuzz_require(r == 0 || r == -EINVAL || r == -EOPNOTSUPP || r == -EPERM);
	fuzz_require(whole == (r != -EINVAL));
	if (!r && size) {
		compare(data, value, size);
		fuzz_require(!acl_to_guest(value, size, uids, gids));
		fuzz_require(!memcmp(value, data, size));
	}
	free(value);
	return 0;
}
