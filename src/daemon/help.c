/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/help.h"

#include "base/arith.h"
#include "daemon/options_table.h"

#include <stdarg.h>
#include <string.h>

#define WIDTH  80
#define INDENT 8

/* Text that is put together ahead of being wrapped. */
struct text {
	char s[4096];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, sizeof(t->s) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = MIN(t->len + (size_t)n, sizeof(t->s) - 1);
}

static bool has_no(const struct option_row *row)
{
	return row->kind == OPTION_FLAG || row->negatable;
}

/* "-h, --help", "--[no-]xattr", "--cache=POLICY", "--posix-acl[=WHEN]" */
static void add_spelling(struct text *t, const struct option_row *row)
{
	if (row->letter)
		add(t, "-%c%s", row->letter, row->name ? ", " : "");
	if (row->letter && !row->name && row->value)
		add(t, " %s", row->value);
	if (!row->name)
		return;
	add(t, "--%s%s", has_no(row) ? "[no-]" : "", row->name);
	if (row->value)
		add(t, row->implied ? "[=%s]" : "=%s", row->value);
	for (const char *p = row->aliases; p && *p; p += *p == ' ') {
		size_t n = strcspn(p, " ");

		add(t, ", --%.*s", (int)n, p);
		if (row->value)
			add(t, "=%s", row->value);
		p += n;
	}
}

static void add_choices(struct text *t, const struct option_row *row)
{
	const char *between = " One of ";

	for (const struct option_choice *c = row->choices; c && c->words; c++) {
		add(t, "%s%.*s", between, (int)strcspn(c->words, " "), c->words);
		between = ", ";
	}
	if (row->choices)
		add(t, ".");
}

static void add_default(struct text *t, const struct option_row *row)
{
	if (row->def_text)
		add(t, " Default: %s.", row->def_text);
	else if (row->kind == OPTION_FLAG && row->def)
		add(t, " Default: --%s%s.", strcmp(row->def, "yes") ? "no-" : "", row->name);
	else if (row->def)
		add(t, " Default: %s.", row->def);
	if (row->implied)
		add(t, " Without a value: %s.", row->implied);
}

static void add_meaning(struct text *t, const struct option_row *row)
{
	add(t, "%s", row->help);
	if (row->choices)
		add_choices(t, row);
	if (row->kind == OPTION_NUMBER)
		add(t, " From %llu to %llu.", (unsigned long long)row->min, (unsigned long long)row->max);
	add_default(t, row);
	if (row->why)
		add(t, " Refused: %s.", row->why);
}

static void wrap(FILE *out, const char *s)
{
	unsigned int column = 0;

	while (*s) {
		size_t n = strcspn(s, " ");

		if (column && column + 1 + n > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%*s%.*s", column ? 1 : INDENT, "", (int)n, s);
		column += (unsigned int)n + (column ? 1 : INDENT);
		s += n + (s[n] == ' ');
	}
	fputc('\n', out);
}

static void print_row(FILE *out, const struct option_row *row)
{
	struct text spelling = {0}, meaning = {0};

	add_spelling(&spelling, row);
	add_meaning(&meaning, row);
	fprintf(out, "  %s\n", spelling.s);
	wrap(out, meaning.s);
}

/* Calls @row for each row of the table, group by group, and @title ahead of each group. */
static void each(
	FILE *out, void (*title)(FILE *, const char *), void (*row)(FILE *, const struct option_row *))
{
	for (unsigned int g = 0; g < OPTION_GROUPS; g++) {
		title(out, option_group_titles[g]);
		for (unsigned int i = 0; i < option_rows_count; i++)
			if (option_rows[i].group == g)
				row(out, &option_rows[i]);
	}
}

static void print_title(FILE *out, const char *title)
{
	fprintf(out, "\n%s:\n", title);
}

void help_print(FILE *out)
{
	fprintf(out, "Usage: colofsd --shared-dir=DIR {--socket-path=PATH | --fd=N} [OPTION]...\n"
		     "Shares a directory with a virtual machine (virtio-fs, as a vhost-user back-end).\n");
	each(out, print_title, print_row);
	fprintf(out, "\nFlags are negated with --no-. colofsd(1) says more.\n");
}

/* A hyphen that is typed, and what else means something to troff. */
static void put_troff(FILE *out, const char *s)
{
	if (*s == '.' || *s == '\'')
		fputs("\\&", out);
	for (; *s; s++) {
		if (*s == '-')
			fputs("\\-", out);
		else if (*s == '\\')
			fputs("\\e", out);
		else
			fputc(*s, out);
	}
}

static void man_title(FILE *out, const char *title)
{
	fprintf(out, ".SS %s\n", title);
}

static void man_row(FILE *out, const struct option_row *row)
{
	struct text spelling = {0}, meaning = {0};

	add_spelling(&spelling, row);
	add_meaning(&meaning, row);
	fputs(".TP\n.B ", out);
	put_troff(out, spelling.s);
	fputc('\n', out);
	put_troff(out, meaning.s);
	fputc('\n', out);
}

void help_print_man(FILE *out)
{
	each(out, man_title, man_row);
}

static void bash_title(FILE *out, const char *title)
{
	(void)out;
	(void)title;
}

static void bash_names(FILE *out, const struct option_row *row)
{
	if (row->kind == OPTION_REFUSED)
		return;
	if (row->letter)
		fprintf(out, " -%c", row->letter);
	if (row->name)
		fprintf(out, " --%s%s", row->name, row->value && !row->implied ? "=" : "");
	if (row->name && has_no(row))
		fprintf(out, " --no-%s", row->name);
}

static void bash_choices(FILE *out, const struct option_row *row)
{
	if (!row->choices)
		return;
	fprintf(out, "\t--%s) list=\"", row->name);
	for (const struct option_choice *c = row->choices; c->words; c++)
		fprintf(out, "%s%.*s", c == row->choices ? "" : " ", (int)strcspn(c->words, " "), c->words);
	fprintf(out, "\" ;;\n");
}

void help_print_bash(FILE *out)
{
	fprintf(out, "# bash completion for colofsd(1), made from its option table\n"
		     "_colofsd()\n{\n"
		     "\tlocal cur prev words cword split list\n"
		     "\t_init_completion -s || return\n"
		     "\tlist=\n"
		     "\tcase $prev in\n");
	each(out, bash_title, bash_choices);
	fprintf(out, "\t--shared-dir | --source) _filedir -d; return ;;\n"
		     "\t--socket-path | --socket | --pid-file) _filedir; return ;;\n"
		     "\t--socket-group) _allowed_groups \"$cur\"; return ;;\n"
		     "\tesac\n"
		     "\tif [ -z \"$list\" ]; then\n"
		     "\t\t$split && return\n"
		     "\t\tlist=\"");
	each(out, bash_title, bash_names);
	fprintf(out, "\"\n\tfi\n"
		     "\tmapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$cur\")\n"
		     "\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
		     "} && complete -F _colofsd colofsd\n");
}

void help_print_capabilities(FILE *out)
{
	fputs("{\n  \"type\": \"fs\",\n  \"features\": [\n"
	      "    \"migrate-precopy\",\n"
	      "    \"posix-acl-negotiation-mode\",\n"
	      "    \"security-label-negotiation-mode\",\n"
	      "    \"separate-options\"\n"
	      "  ]\n}\n",
		out);
}
