/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser: finds rows of the table and sets what they say. What options mean together: options_check.c. */
#include "daemon/options.h"

#include "base/number.h"
#include "daemon/options_check.h"
#include "daemon/options_table.h"
#include "fs/idmap.h"
#include "fs/xattrmap.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEE_HELP "colofsd --help lists all options"

/* One option as it was met. */
struct met {
	const struct option_row *row;
	bool negated;
	const char *value; /* NULL: none */
	const char *shown; /* how it was written, for messages */
};

static bool takes_value(const struct met *m)
{
	return m->row->value && !m->negated;
}

static int set_number(struct options_parse *p, const struct met *m)
{
	void *at = (char *)p->o + m->row->offset;
	uint32_t narrow;
	uint64_t v;

	if (number_parse(m->value, &v) || v < m->row->min || v > m->row->max)
		return err_set(p->err, EINVAL, "%s: not a number from %llu to %llu; give one in that range",
			m->shown, (unsigned long long)m->row->min, (unsigned long long)m->row->max);
	narrow = (uint32_t)v;
	if (m->row->size == sizeof(narrow))
		memcpy(at, &narrow, sizeof(narrow));
	else if (m->row->size == sizeof(v))
		memcpy(at, &v, sizeof(v));
	return 0;
}

static int set_seconds(struct options_parse *p, const struct met *m)
{
	char *end;
	double v = strtod(m->value, &end);

	if (end == m->value || *end || !isfinite(v) || v < 0 || v > UINT32_MAX)
		return err_set(
			p->err, EINVAL, "%s: not a number of seconds; give 0 or more, such as 1.5", m->shown);
	memcpy((char *)p->o + m->row->offset, &v, sizeof(v));
	return 0;
}

static int set_bytes(struct options_parse *p, const struct met *m)
{
	uint64_t v;

	if (number_parse_size(m->value, 0, &v) || v > m->row->max)
		return err_set(p->err, EINVAL,
			"%s: not a size; give bytes, or a number with K, M or G, %llu at "
			"most",
			m->shown, (unsigned long long)m->row->max);
	memcpy((char *)p->o + m->row->offset, &v, sizeof(v));
	return 0;
}

static void set_enum(struct options_parse *p, const struct option_row *row, int value)
{
	memcpy((char *)p->o + row->offset, &value, sizeof(value));
}

static int set_choice(struct options_parse *p, const struct met *m)
{
	char all[128] = "";
	size_t n = 0;

	if (m->negated) {
		set_enum(p, m->row, m->row->choices[0].value);
		return 0;
	}
	for (const struct option_choice *c = m->row->choices; c->words; c++) {
		if (option_word_in(c->words, m->value, strlen(m->value))) {
			set_enum(p, m->row, c->value);
			return 0;
		}
		n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%.*s", n ? ", " : "",
			(int)strcspn(c->words, " "), c->words);
	}
	return err_set(p->err, EINVAL, "%s: not a choice of this option; give one of %s", m->shown, all);
}

static int set_text(struct options_parse *p, const struct met *m)
{
	size_t len = strlen(m->value);

	if (len < m->row->min || len > m->row->max)
		return err_set(p->err, EINVAL, "%.160s: the value has %zu bytes; give one of %llu to %llu",
			m->shown, len, (unsigned long long)m->row->min, (unsigned long long)m->row->max);
	memcpy((char *)p->o + m->row->offset, &m->value, sizeof(m->value));
	return 0;
}

static int set_rule(struct options_parse *p, const struct met *m)
{
	struct options_rules *rules = (void *)((char *)p->o + m->row->offset);

	if (rules->n == OPTIONS_RULES_MAX)
		return err_set(p->err, EINVAL, "%.160s: more than %d rules; put ranges together", m->shown,
			OPTIONS_RULES_MAX);
	rules->rule[rules->n++] = m->value;
	return 0;
}

static int set_flag(struct options_parse *p, const struct met *m)
{
	bool on = !m->negated;

	memcpy((char *)p->o + m->row->offset, &on, sizeof(on));
	return 0;
}

static int apply(struct options_parse *p, const struct met *m)
{
	const struct option_row *row = m->row;

	p->given[row - option_rows] = true;
	switch (row->kind) {
	case OPTION_FLAG:
		return set_flag(p, m);
	case OPTION_NUMBER:
		return set_number(p, m);
	case OPTION_SIZE:
		return set_bytes(p, m);
	case OPTION_SECONDS:
		return set_seconds(p, m);
	case OPTION_CHOICE:
		return set_choice(p, m);
	case OPTION_TEXT:
		return set_text(p, m);
	case OPTION_RULES:
		return set_rule(p, m);
	case OPTION_SET:
		set_enum(p, row, row->set);
		return 0;
	case OPTION_NOTHING:
		return m->value ? set_number(p, m) : 0;
	case OPTION_REFUSED:
		return err_set(p->err, EINVAL, "%s: %s", m->shown, row->why);
	case OPTION_LIST:
		break;
	}
	return err_set(p->err, EINVAL, "%s: not possible within -o; give it by itself", m->shown);
}

static int unknown(struct options_parse *p, const char *shown, const char *name, size_t len)
{
	const char *near = option_suggest(name, len);

	if (near)
		return err_set(p->err, EINVAL, "%s: no such option; did you mean --%s?", shown, near);
	return err_set(p->err, EINVAL, "%s: no such option; " SEE_HELP, shown);
}

static int needs_value(struct options_parse *p, const struct met *m)
{
	return err_set(p->err, EINVAL, "%s: the value is missing; give it as --%s=%s", m->shown, m->row->name,
		m->row->value);
}

static int takes_none(struct options_parse *p, const char *shown)
{
	return err_set(p->err, EINVAL, "%s: this option takes no value; leave out what follows the =", shown);
}

/* One item of a list: NAME or NAME=VALUE. */
static int parse_item(struct options_parse *p, const char *item)
{
	size_t len = strcspn(item, "=");
	const char *value = item[len] ? item + len + 1 : NULL;
	char shown[OPTIONS_SHOWN];
	struct met m = {.shown = shown};

	snprintf(shown, sizeof(shown), "-o %s", item);
	m.row = option_find(item, len, true, &m.negated);
	if (!m.row)
		return unknown(p, shown, item, len);
	m.value = value;
	if (takes_value(&m) && !value)
		m.value = m.row->implied;
	if (takes_value(&m) && !m.value)
		return err_set(p->err, EINVAL, "%s: the value is missing; give it as -o %s=%s", shown, item,
			m.row->value);
	if (!takes_value(&m) && value)
		return takes_none(p, shown);
	return apply(p, &m);
}

/*
 * Ends the item that begins at @item with NUL, its escaped commas taken literally. Returns the next item,
 * NULL after the last.
 */
static char *end_item(char *item)
{
	char *to = item;

	for (char *s = item; *s; s++) {
		if (*s == '\\' && (s[1] == ',' || s[1] == '\\'))
			s++;
		else if (*s == ',' && s[1] == ',')
			s++;
		else if (*s == ',') {
			*to = '\0';
			return s + 1;
		}
		*to++ = *s;
	}
	*to = '\0';
	return NULL;
}

static int parse_list(struct options_parse *p, const char *list)
{
	char *item = strdup(list);
	int r = 0;

	if (!item)
		return err_set(p->err, ENOMEM, "no memory for the options");
	p->o->texts[p->o->ntexts++] = item;
	while (item && !r) {
		char *next = end_item(item);

		r = *item ? parse_item(p, item) : 0;
		item = next;
	}
	return r;
}

/* The next argument as a value, if it can be one. */
static const char *next_value(char *const argv[], int *i)
{
	const char *next = argv[*i + 1];

	if (!next || (next[0] == '-' && next[1]))
		return NULL;
	(*i)++;
	return next;
}

static int parse_long(struct options_parse *p, char *const argv[], int *i)
{
	const char *name = argv[*i] + 2;
	size_t len = strcspn(name, "=");
	char shown[OPTIONS_SHOWN];
	struct met m = {.shown = shown};

	snprintf(shown, sizeof(shown), "%s", argv[*i]);
	m.row = option_find(name, len, false, &m.negated);
	if (!m.row)
		return unknown(p, shown, name, len);
	if (!takes_value(&m))
		return name[len] ? takes_none(p, shown) : apply(p, &m);
	if (name[len])
		m.value = name + len + 1;
	else if (m.row->implied)
		m.value = m.row->implied;
	else
		m.value = next_value(argv, i);
	if (!m.value)
		return m.row->kind == OPTION_REFUSED ? apply(p, &m) : needs_value(p, &m);
	if (!name[len] && !m.row->implied)
		snprintf(shown, sizeof(shown), "--%.*s=%s", (int)len, name, m.value);
	return apply(p, &m);
}

static int parse_letters(struct options_parse *p, char *const argv[], int *i)
{
	const char *arg = argv[*i];

	for (const char *s = arg + 1; *s; s++) {
		struct met m = {.row = option_find_letter(*s), .shown = arg};
		const char *list;
		int r;

		if (!m.row)
			return err_set(p->err, EINVAL, "%s: no such option; " SEE_HELP, arg);
		if (m.row->kind == OPTION_LIST) {
			list = s[1] ? s + 1 : next_value(argv, i);
			return list ? parse_list(p, list)
				    : err_set(p->err, EINVAL,
					      "%s: the list of options is missing; give it as -o LIST", arg);
		}
		r = apply(p, &m);
		if (r)
			return r;
	}
	return 0;
}

static int parse_argument(struct options_parse *p, char *const argv[], int *i)
{
	const char *arg = argv[*i];

	if (!strncmp(arg, "--", 2) && arg[2])
		return parse_long(p, argv, i);
	if (arg[0] == '-' && arg[1] && arg[1] != '-')
		return parse_letters(p, argv, i);
	return err_set(
		p->err, EINVAL, "%s: not an option; the shared directory is given as --shared-dir=DIR", arg);
}

static int set_defaults(struct options_parse *p)
{
	int r = 0;

	for (unsigned int i = 0; i < option_rows_count && !r; i++) {
		const struct option_row *row = &option_rows[i];
		struct met m = {.row = row, .value = row->def, .shown = row->name};

		if (!row->def)
			continue;
		m.negated = row->kind == OPTION_FLAG && !strcmp(row->def, "no");
		r = apply(p, &m);
	}
	memset(p->given, 0, sizeof(p->given));
	return r;
}

/* What the command line holds is shown in one line, whatever it is, and moves no terminal's cursor. */
static int refuse(struct err *err)
{
	for (char *s = err ? err->text : NULL; s && *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	return -EINVAL;
}

int options_parse(struct options *o, int argc, char *const argv[], struct err *err)
{
	struct options_parse p = {.o = o, .err = err};
	int r;

	*o = (struct options){
		.fd = OPTIONS_NO_FD, .store = OPTIONS_NO_FD, .line = OPTIONS_NO_FD, .timeout = -1};
	o->texts = calloc((size_t)argc + 1, sizeof(*o->texts));
	if (!o->texts)
		return err_set(err, ENOMEM, "no memory for the options");
	o->sandbox.rlimit_nofile = SANDBOX_RLIMIT_DEFAULT;
	r = set_defaults(&p);
	for (int i = 1; i < argc && !r; i++)
		r = parse_argument(&p, argv, &i);
	if (!r)
		r = options_check(&p);
	return r ? refuse(err) : 0;
}

void options_free(struct options *o)
{
	for (unsigned int i = 0; i < o->ntexts; i++)
		free(o->texts[i]);
	free(o->texts);
	xattrmap_free(o->xattrmap);
	idmap_free(o->uids);
	idmap_free(o->gids);
	*o = (struct options){0};
}
