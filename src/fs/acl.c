/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/acl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

bool acl_is_name(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default");
}

static int check(const uint8_t *value, size_t len)
{
	struct posix_acl_xattr_header h;

	if (len < sizeof(h) || (len - sizeof(h)) % sizeof(struct posix_acl_xattr_entry))
		return -EINVAL;
	memcpy(&h, value, sizeof(h));
	return le32toh(h.a_version) == POSIX_ACL_XATTR_VERSION ? 0 : -EOPNOTSUPP;
}

/* What translates: both maps, and the direction. */
struct way {
	const struct idmap *uids, *gids;
	bool to_host;
};

/* One entry, wherever it came to lie. */
static int translate_entry(uint8_t *at, const struct way *w)
{
	struct posix_acl_xattr_entry e;
	const struct idmap *map;
	uint32_t id;
	int r = 0;

	memcpy(&e, at, sizeof(e));
	if (le16toh(e.e_tag) != ACL_USER && le16toh(e.e_tag) != ACL_GROUP)
		return 0; /* no id, or nothing that the kernel takes */
	map = le16toh(e.e_tag) == ACL_USER ? w->uids : w->gids;
	id = le32toh(e.e_id);
	if (w->to_host)
		r = idmap_to_host(map, id, &id);
	else
		id = idmap_to_guest(map, id);
	e.e_id = htole32(id);
	memcpy(at, &e, sizeof(e));
	return r;
}

static int translate(uint8_t *value, size_t len, const struct way *w)
{
	int r = len ? check(value, len) : 0;

	for (size_t at = sizeof(struct posix_acl_xattr_header); at < len && !r;
		at += sizeof(struct posix_acl_xattr_entry))
		r = translate_entry(value + at, w);
	return r;
}

int acl_to_host(void *value, size_t len, const struct idmap *uids, const struct idmap *gids)
{
	return translate(value, len, &(struct way){uids, gids, true});
}

int acl_to_guest(void *value, size_t len, const struct idmap *uids, const struct idmap *gids)
{
	return translate(value, len, &(struct way){uids, gids, false});
}
