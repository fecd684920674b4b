/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/xattrmap.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define CAPABILITY  "security.capability"
#define MAP_RULES   4 /* what a map rule becomes at most */
#define SHOWN_MAX   64
#define EXAMPLE	    ":prefix:all:trusted.:user.virtiofs.:"
#define EXAMPLE_MAP ":map:trusted.:user.virtiofs.:"

enum action { PASS, PREFIX, REFUSE, UNSUPPORTED };
enum scope { CLIENT = 1, SERVER = 2, ALL = CLIENT | SERVER };

/* A part of the rules' text. */
struct part {
	const char *s;
	size_t len;
};

struct rule {
	enum action action;
	enum scope scope;
	struct part key, prepend;
};

struct xattrmap {
	char *text; /* into which the parts point */
	char capability[XATTR_NAME_MAX + 1];
	bool remaps_capability;
	unsigned int n;
	struct rule rules[];
};

/* Where the parser is. */
struct parse {
	struct xattrmap *m;
	const char *rule; /* the beginning of the one at hand */
	const char *at;
	char sep;
	struct err *err;
};

static const struct {
	const char *word;
	enum action action;
} types[] = {{"prefix", PREFIX}, {"ok", PASS}, {"bad", REFUSE}, {"unsupported", UNSUPPORTED}};

static const struct {
	const char *word;
	enum scope scope;
} scopes[] = {{"client", CLIENT}, {"server", SERVER}, {"all", ALL}};

static const struct part nothing = {"", 0};

/* Refuses the rule at hand, shown as far as one line takes it. */
static int refuse(const struct parse *p, const char *why)
{
	size_t len = MIN(strcspn(p->rule, "\r\n"), (size_t)SHOWN_MAX);

	return err_set(p->err, EINVAL, "the rule '%.*s' %s", (int)len, p->rule, why);
}

/* The next field, which a separator must end. */
static bool take_field(struct parse *p, struct part *out)
{
	const char *end = strchr(p->at, p->sep);

	if (!end)
		return false;
	*out = (struct part){p->at, (size_t)(end - p->at)};
	p->at = end + 1;
	return true;
}

static bool is_word(struct part part, const char *word)
{
	return part.len == strlen(word) && !memcmp(part.s, word, part.len);
}

static void add(struct parse *p, enum action action, enum scope scope, struct part key, struct part prepend)
{
	p->m->rules[p->m->n++] =
		(struct rule){.action = action, .scope = scope, .key = key, .prepend = prepend};
}

/* The short form: what it maps is hidden and kept from direct access, all else passes if there is any. */
static int parse_map(struct parse *p)
{
	struct part key, prepend;

	if (!take_field(p, &key) || !take_field(p, &prepend))
		return refuse(p, "is not complete; write it as " EXAMPLE_MAP);
	while (isspace((unsigned char)*p->at))
		p->at++;
	if (*p->at)
		return refuse(p, "is followed by others; make it the last one");
	add(p, PREFIX, ALL, key, prepend);
	if (key.len) {
		add(p, REFUSE, SERVER, nothing, key);
		add(p, REFUSE, CLIENT, prepend, nothing);
	}
	add(p, key.len ? PASS : REFUSE, ALL, nothing, nothing);
	return 0;
}

static int parse_scoped(struct parse *p, enum action action)
{
	struct part word, key, prepend;
	enum scope scope = 0;

	if (!take_field(p, &word))
		return refuse(p, "is not complete; write it as " EXAMPLE);
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		if (is_word(word, scopes[i].word))
			scope = scopes[i].scope;
	if (!scope)
		return refuse(p, "has an unknown scope; give client, server or all");
	if (!take_field(p, &key) || !take_field(p, &prepend))
		return refuse(p, "is not complete; write it as " EXAMPLE);
	add(p, action, scope, key, prepend);
	return 0;
}

static int parse_rule(struct parse *p)
{
	struct part type;

	p->rule = p->at;
	p->sep = *p->at++;
	if (!take_field(p, &type))
		return refuse(p, "is not complete; write it as " EXAMPLE);
	if (is_word(type, "map"))
		return parse_map(p);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (is_word(type, types[i].word))
			return parse_scoped(p, types[i].action);
	return refuse(p, "is of an unknown type; give prefix, ok, bad, unsupported or map");
}

static int parse_all(struct parse *p)
{
	int r = 0;

	for (;;) {
		while (isspace((unsigned char)*p->at))
			p->at++;
		if (!*p->at || r)
			break;
		r = parse_rule(p);
	}
	if (!r && !p->m->n)
		r = err_set(p->err, EINVAL, "there is no rule; give one such as " EXAMPLE_MAP);
	return r;
}

static bool matches(struct part prefix, const char *name)
{
	return !strncmp(name, prefix.s, prefix.len);
}

static const struct rule *find_client(const struct xattrmap *m, const char *name)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (m->rules[i].scope & CLIENT && matches(m->rules[i].key, name))
			return &m->rules[i];
	return NULL;
}

static int find_capability(struct xattrmap *m, struct err *err)
{
	const struct rule *rule = find_client(m, CAPABILITY);

	if (!rule)
		return err_set(err, EINVAL,
			"no rule says what becomes of names such as " CAPABILITY
			"; end the list with one for all others: :ok:all::: or :bad:all:::");
	if (rule->action != PREFIX || !rule->prepend.len)
		return 0;
	m->remaps_capability = !xattrmap_to_host(m, CAPABILITY, m->capability);
	return 0;
}

int xattrmap_new(const char *rules, struct xattrmap **out, struct err *err)
{
	/* No rule is shorter than ":ok:all:::", and only one that ends the list becomes several. */
	size_t room = strlen(rules) / strlen(":ok:all:::") + MAP_RULES;
	struct xattrmap *m = calloc(1, sizeof(*m) + room * sizeof(m->rules[0]));
	struct parse p = {.m = m, .err = err};
	int r;

	if (m)
		m->text = strdup(rules);
	if (!m || !m->text) {
		xattrmap_free(m);
		return err_set(err, ENOMEM, "no memory for the rules");
	}
	p.at = m->text;
	r = parse_all(&p);
	if (!r)
		r = find_capability(m, err);
	if (r)
		xattrmap_free(m);
	else
		*out = m;
	return r;
}

void xattrmap_free(struct xattrmap *m)
{
	if (!m)
		return;
	free(m->text);
	free(m);
}

static int join(struct part prefix, const char *name, char host[XATTR_NAME_MAX + 1])
{
	size_t len = strlen(name);

	if (len > XATTR_NAME_MAX || prefix.len > XATTR_NAME_MAX - len)
		return -ERANGE;
	memcpy(host, prefix.s, prefix.len);
	memcpy(host + prefix.len, name, len + 1);
	return 0;
}

int xattrmap_to_host(const struct xattrmap *m, const char *name, char host[XATTR_NAME_MAX + 1])
{
	const struct rule *rule;

	if (!m)
		return join(nothing, name, host);
	rule = find_client(m, name);
	if (!rule || rule->action == REFUSE)
		return -EPERM;
	if (rule->action == UNSUPPORTED)
		return -EOPNOTSUPP;
	return join(rule->action == PREFIX ? rule->prepend : nothing, name, host);
}

const char *xattrmap_to_guest(const struct xattrmap *m, const char *name)
{
	const struct rule *rule = NULL;

	if (!m)
		return name;
	for (unsigned int i = 0; i < m->n && !rule; i++)
		if (m->rules[i].scope & SERVER && matches(m->rules[i].prepend, name))
			rule = &m->rules[i];
	if (!rule || rule->action == REFUSE || rule->action == UNSUPPORTED)
		return NULL;
	if (rule->action == PREFIX)
		name += rule->prepend.len;
	return *name ? name : NULL;
}

const char *xattrmap_capability(const struct xattrmap *m)
{
	return m && m->remaps_capability ? m->capability : NULL;
}
