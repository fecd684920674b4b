/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules for ids, each ended by NUL. Those that are taken are noted, and what a plain walk through the notes
 * says of an id is what the map says; what is refused changes nothing.
 */
#include "fuzz.h"

#include "base/cursor.h"
#include "fs/idmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define RULES_MAX 64

struct note {
	char word[16];
	unsigned int from, to, count;
};

static bool is(const struct note *n, const char *word)
{
	return !strcmp(n->word, word);
}

static struct note read_note(const char *rule)
{
	struct note n = {0};

	fuzz_require(sscanf(rule, "%15[^:]:", n.word) == 1);
	rule += strlen(n.word) + 1;
	if (is(&n, "forbid-guest"))
		fuzz_require(sscanf(rule, "%u:%u", &n.from, &n.count) == 2);
	else
		fuzz_require(sscanf(rule, "%u:%u:%u", &n.from, &n.to, &n.count) == 3);
	return n;
}

static bool within(uint32_t id, unsigned int from, unsigned int count)
{
	return id >= from && id - from < count;
}

static void check_host(const struct idmap *m, const struct note *notes, unsigned int n, uint32_t id)
{
	uint32_t want = id, got;
	bool forbidden = false;
	int r;

	for (unsigned int i = 0; i < n; i++) {
		const struct note *o = &notes[i];

		if (is(o, "host") || is(o, "squash-host") || !within(id, o->from, o->count))
			continue;
		forbidden = is(o, "forbid-guest");
		want = is(o, "squash-guest") ? o->to : o->to + (id - o->from);
	}
	r = idmap_to_host(m, id, &got);
	fuzz_require(r == (forbidden ? -EPERM : 0));
	fuzz_require(r || (got == want && (got != IDMAP_NONE || id == IDMAP_NONE)));
}

static void check_guest(const struct idmap *m, const struct note *notes, unsigned int n, uint32_t id)
{
	uint32_t want = id;

	for (unsigned int i = 0; i < n; i++) {
		const struct note *o = &notes[i];

		if (is(o, "map") && within(id, o->to, o->count))
			want = o->from + (id - o->to);
		else if (is(o, "host") && within(id, o->from, o->count))
			want = o->to + (id - o->from);
		else if (is(o, "squash-host") && within(id, o->from, o->count))
			want = o->to;
	}
	fuzz_require(idmap_to_guest(m, id) == want);
	fuzz_require(want != IDMAP_NONE || id == IDMAP_NONE);
}

static void check(const struct idmap *m, const struct note *notes, unsigned int n, uint32_t id)
{
	for (uint32_t i = id - 1; i != id + 2; i++) {
		check_host(m, notes, n, i);
		check_guest(m, notes, n, i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	struct note notes[RULES_MAX];
	struct idmap *m = idmap_new();
	unsigned int n = 0;
	const char *rule;

	fuzz_require(m);
	while (n < RULES_MAX && (rule = cursor_string(&c))) {
		struct err err = {0};

		if (!idmap_add(m, rule, &err))
			notes[n++] = read_note(rule);
		else
			fuzz_require(err.text[0]);
	}
	check(m, notes, n, 0);
	for (unsigned int i = 0; i < n; i++) {
		check(m, notes, n, notes[i].from);
		check(m, notes, n, notes[i].from + notes[i].count);
		check(m, notes, n, notes[i].to);
		check(m, notes, n, notes[i].to + notes[i].count);
	}
	idmap_free(m);
	return 0;
}
