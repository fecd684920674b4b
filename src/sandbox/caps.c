/* SPDX-License-Identifier: BSD-3-Clause */
#include "sandbox/caps.h"

#include "base/arith.h"
#include "base/log.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Each is here for an op that fails without it. No others: CAP_SYS_ADMIN (trusted.*) is the host's root. */
static const unsigned int kept[] = {
	CAP_CHOWN,	  /* SETATTR of owner and group */
	CAP_DAC_OVERRIDE, /* the guest's kernel checks permissions, and its root has all */
	CAP_FOWNER,	  /* SETATTR and xattrs of files of others */
	CAP_FSETID,	  /* SGID stays on what root of the guest changes */
	CAP_SETGID,	  /* act as the caller */
	CAP_SETUID,	  /* act as the caller */
	CAP_MKNOD,	  /* MKNOD of devices */
	CAP_SETFCAP,	  /* security.capability */
};

#define BIT(cap) (UINT64_C(1) << (cap))

struct change {
	uint64_t add, drop;
};

static int parse_one(const char *item, size_t len, struct change *c, struct err *err)
{
	char name[32] = "";
	const char *bare = item + 1;
	size_t n = len - 1;
	int cap;

	if (len < 2 || (item[0] != '+' && item[0] != '-'))
		return err_set(err, EINVAL, "'%.*s' begins with neither + nor -; write it as +mknod:-chown",
			(int)MIN(len, 40), item);
	if (n > 4 && !strncasecmp(bare, "cap_", 4)) {
		bare += 4;
		n -= 4;
	}
	for (size_t i = 0; i < n && i < sizeof(name) - 1; i++)
		name[i] = (char)tolower((unsigned char)bare[i]);
	cap = capng_name_to_capability(name);
	if (cap < 0 || cap >= 64)
		return err_set(err, EINVAL, "'%.*s' is no capability; capabilities(7) lists them",
			(int)MIN(len - 1, 40), item + 1);
	c->add = item[0] == '+' ? c->add | BIT(cap) : c->add & ~BIT(cap);
	c->drop = item[0] == '-' ? c->drop | BIT(cap) : c->drop & ~BIT(cap);
	return 0;
}

static int parse_list(const char *list, struct change *c, struct err *err)
{
	int r = 0;

	*c = (struct change){0};
	while (list && !r) {
		size_t len = strcspn(list, ":");

		r = parse_one(list, len, c, err);
		list = list[len] ? list + len + 1 : NULL;
	}
	return r;
}

int caps_check(const char *modcaps, struct err *err)
{
	struct change c;

	return parse_list(modcaps, &c, err);
}

static uint64_t wanted(const struct sandbox_config *cfg)
{
	struct change c = {0};
	uint64_t mask = cfg->file_handles ? BIT(CAP_DAC_READ_SEARCH) : 0;

	for (unsigned int i = 0; i < ARRAY_LEN(kept); i++)
		mask |= BIT(kept[i]);
	if (cfg->modcaps)
		parse_list(cfg->modcaps, &c, NULL);
	return (mask | c.add) & ~c.drop;
}

static bool permitted(unsigned int cap)
{
	return capng_have_capability(CAPNG_PERMITTED, cap);
}

bool caps_will_keep(const struct sandbox_config *cfg, unsigned int cap)
{
	capng_get_caps_process();
	return permitted(cap) && (wanted(cfg) & BIT(cap));
}

/* What was asked for by name must be there; of the rest we keep what we have. */
int caps_check_added(const struct sandbox_config *cfg, struct err *err)
{
	struct change c = {0};

	capng_get_caps_process();
	if (cfg->modcaps)
		parse_list(cfg->modcaps, &c, NULL);
	for (unsigned int cap = 0; cap < 64; cap++)
		if ((c.add & BIT(cap)) && !permitted(cap))
			return err_set(err, EPERM,
				"--modcaps=%s: the daemon does not have %s; start it with it", cfg->modcaps,
				capng_capability_to_name(cap));
	return 0;
}

static int keep_only(uint64_t want, struct err *err)
{
	uint64_t have = 0;
	bool bounds;
	int r;

	for (unsigned int cap = 0; cap < 64; cap++)
		if ((want & BIT(cap)) && permitted(cap))
			have |= BIT(cap);
	bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned int cap = 0; cap < 64; cap++)
		if (have & BIT(cap))
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
	/* Without CAP_SETPCAP the bounding set stays; nothing is executed any more, so it gives nothing. */
	r = capng_apply(bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (r)
		return err_set(err, EPERM, "capabilities cannot be reduced (step %d)", r);
	log_debug("capabilities kept: %#llx", (unsigned long long)have);
	return 0;
}

int caps_reduce(const struct sandbox_config *cfg, struct err *err)
{
	int r;

	capng_setpid(getpid()); /* libcap-ng remembers who asked it first, and that may be our parent */
	r = caps_check_added(cfg, err);
	return r ? r : keep_only(wanted(cfg), err);
}

int caps_reduce_parent(const struct sandbox_config *cfg, struct err *err)
{
	uint64_t want = cfg->parent.end ? BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) : 0;

	if (cfg->uids.n || cfg->gids.n)
		want |= BIT(CAP_KILL);
	capng_get_caps_process();
	return keep_only(want, err);
}

int caps_rest(struct err *err)
{
	uint64_t in_use = BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER);
	int r;

	capng_setpid(getpid());
	capng_get_caps_process();
	for (unsigned int cap = 0; cap < 64; cap++)
		if (!(in_use & BIT(cap)) && capng_have_capability(CAPNG_EFFECTIVE, cap))
			capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, cap);
	r = capng_apply(CAPNG_SELECT_CAPS);
	return r ? err_set(err, EPERM, "capabilities cannot be put aside (step %d)", r) : 0;
}
