/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/idmap.h"

#include "base/arith.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum kind { SHIFT, SQUASH, FORBID };

struct range {
	uint32_t from, count; /* from + count <= IDMAP_NONE */
	uint32_t to;
	enum kind kind;
};

/* One direction: ranges by @from, none of which meets another. */
struct table {
	struct range *ranges;
	size_t n;
};

struct idmap {
	struct table to_host, to_guest;
};

static const struct form {
	const char *word;
	enum kind kind;
	bool to_host, to_guest;
	const char *shown;
} forms[] = {
	{"guest", SHIFT, true, false, "guest:GUEST:HOST:COUNT"},
	{"host", SHIFT, false, true, "host:HOST:GUEST:COUNT"},
	{"squash-guest", SQUASH, true, false, "squash-guest:GUEST:HOST:COUNT"},
	{"squash-host", SQUASH, false, true, "squash-host:HOST:GUEST:COUNT"},
	{"forbid-guest", FORBID, true, false, "forbid-guest:GUEST:COUNT"},
	{"map", SHIFT, true, true, "map:GUEST:HOST:COUNT"},
};

struct idmap *idmap_new(void)
{
	return calloc(1, sizeof(struct idmap));
}

void idmap_free(struct idmap *m)
{
	if (!m)
		return;
	free(m->to_host.ranges);
	free(m->to_guest.ranges);
	free(m);
}

static const struct form *find_form(const char *rule)
{
	size_t len = strcspn(rule, ":");

	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (strlen(forms[i].word) == len && !memcmp(forms[i].word, rule, len))
			return &forms[i];
	return NULL;
}

/* ":N", which another or the end follows. */
static bool take_number(const char **at, uint32_t *out)
{
	unsigned long long v;
	char *end;

	if (**at != ':' || !isdigit((unsigned char)(*at)[1]))
		return false;
	errno = 0;
	v = strtoull(*at + 1, &end, 10);
	if (errno || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	*at = end;
	return true;
}

static bool parse_numbers(const struct form *f, const char *rule, struct range *out)
{
	const char *at = rule + strlen(f->word);

	*out = (struct range){.kind = f->kind};
	return take_number(&at, &out->from) && (f->kind == FORBID || take_number(&at, &out->to)) &&
	       take_number(&at, &out->count) && !*at;
}

/* A range of ids, of which IDMAP_NONE is none. */
static bool fits(uint32_t first, uint32_t count)
{
	return arith_within(first, count, IDMAP_NONE);
}

/* The first range that ends behind @id. */
static size_t position(const struct table *t, uint32_t id)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (id < t->ranges[mid].from + t->ranges[mid].count)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static const struct range *find(const struct table *t, uint32_t id)
{
	size_t i = position(t, id);

	return i < t->n && id >= t->ranges[i].from ? &t->ranges[i] : NULL;
}

static bool is_free(const struct table *t, const struct range *r)
{
	size_t i = position(t, r->from);

	return i == t->n || r->from + r->count <= t->ranges[i].from;
}

static int insert(struct table *t, const struct range *r)
{
	size_t i = position(t, r->from);
	struct range *grown = reallocarray(t->ranges, t->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	memmove(grown + i + 1, grown + i, (t->n - i) * sizeof(*grown));
	grown[i] = *r;
	t->ranges = grown;
	t->n++;
	return 0;
}

static int taken(const struct range *r, struct err *err)
{
	return err_set(err, EINVAL,
		"a rule ahead of it has some of the ids from %u to %u; give each id one rule a direction",
		r->from, r->from + r->count - 1);
}

/* What is refused leaves the map as it was. */
static int insert_both(struct idmap *m, const struct range *host, const struct range *guest, struct err *err)
{
	int r = 0;

	if (host && !is_free(&m->to_host, host))
		return taken(host, err);
	if (guest && !is_free(&m->to_guest, guest))
		return taken(guest, err);
	if (host)
		r = insert(&m->to_host, host);
	if (!r && guest)
		r = insert(&m->to_guest, guest);
	return r ? err_set(err, ENOMEM, "no memory for the rule") : 0;
}

int idmap_add(struct idmap *m, const char *rule, struct err *err)
{
	const struct form *f = find_form(rule);
	struct range r, back;

	if (!f)
		return err_set(err, EINVAL,
			"it begins with none of guest:, host:, squash-guest:, squash-host:, forbid-guest: "
			"and map:; write it as map:GUEST:HOST:COUNT");
	if (!parse_numbers(f, rule, &r))
		return err_set(err, EINVAL,
			"it is not of its form; write it as %s, with numbers from 0 to %u", f->shown,
			UINT32_MAX);
	if (!fits(r.from, r.count) || !fits(r.to, r.kind == SHIFT ? r.count : 1))
		return err_set(
			err, EINVAL, "it reaches past the last id, %u; give a smaller count", IDMAP_NONE - 1);
	if (!r.count)
		return 0;
	back = (struct range){.from = r.to, .to = r.from, .count = r.count, .kind = r.kind};
	if (f->to_host && f->to_guest)
		return insert_both(m, &r, &back, err);
	return insert_both(m, f->to_host ? &r : NULL, f->to_guest ? &r : NULL, err);
}

static uint32_t apply(const struct range *r, uint32_t id)
{
	return r->kind == SQUASH ? r->to : r->to + (id - r->from);
}

int idmap_to_host(const struct idmap *m, uint32_t id, uint32_t *out)
{
	const struct range *r = m ? find(&m->to_host, id) : NULL;

	*out = r ? apply(r, id) : id;
	return r && r->kind == FORBID ? -EPERM : 0;
}

uint32_t idmap_to_guest(const struct idmap *m, uint32_t id)
{
	const struct range *r = m ? find(&m->to_guest, id) : NULL;

	return r ? apply(r, id) : id;
}
