/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration: strings KEY=VALUE, each with its NUL, so that arguments need no quoting.
 *   channel=DEVICE  root=hostfs|TAG  cwd=DIR  tty=[ioe]  winsize=ROWSxCOLUMNS
 *   module=PATH  share=ro|rw:TAG:MOUNTPOINT  arg=STRING  env=NAME=VALUE      (each any number of times, in
 * order)
 */
#include "init.h"

#include "base/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	struct stat st;
	char *buf;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail("%s: %s", path, strerror(errno));
	*len = (size_t)st.st_size;
	buf = malloc(*len + 1);
	if (!buf)
		fail("%s: out of memory", path);
	while (done < *len) {
		ssize_t r = read(fd, buf + done, *len - done);

		if (r <= 0)
			fail("%s: cannot be read", path);
		done += (size_t)r;
	}
	close(fd);
	return buf;
}

static void append(char ***list, size_t *n, const char *value)
{
	char **grown = realloc(*list, (*n + 2) * sizeof(**list));

	if (!grown)
		fail("out of memory");
	grown[*n] = (char *)(uintptr_t)value;
	grown[*n + 1] = NULL;
	*list = grown;
	(*n)++;
}

static void add_share(struct init_config *c, const char *value)
{
	struct init_share *grown = realloc(c->shares, (c->n_shares + 1) * sizeof(*grown));
	char *tag = strdup(value);
	char *colon;

	if (!grown || !tag)
		fail("out of memory");
	c->shares = grown;
	colon = strlen(tag) > 3 ? strchr(tag + 3, ':') : NULL;
	if (!colon)
		fail("share %s: not understood", value);
	*colon = '\0';
	grown[c->n_shares++] =
		(struct init_share){.tag = tag + 3, .at = colon + 1, .readonly = !strncmp(tag, "ro", 2)};
}

static const char *value_of(const char *s, const char *key)
{
	size_t n = strlen(key);

	return strncmp(s, key, n) ? NULL : s + n;
}

static void parse_string(struct init_config *c, const char *s)
{
	const char *v;

	if ((v = value_of(s, "arg=")))
		append(&c->argv, &c->n_argv, v);
	else if ((v = value_of(s, "env=")))
		append(&c->envp, &c->n_envp, v);
	else if ((v = value_of(s, "module=")))
		append(&c->modules, &c->n_modules, v);
	else if ((v = value_of(s, "share=")))
		add_share(c, v);
	else if ((v = value_of(s, "channel=")))
		c->channel = v;
	else if ((v = value_of(s, "root=")))
		c->root = v;
	else if ((v = value_of(s, "cwd=")))
		c->cwd = v;
	else if ((v = value_of(s, "tty=")))
		for (int i = 0; i < 3; i++)
			c->tty[i] = strchr(v, "ioe"[i]) != NULL;
	else if ((v = value_of(s, "winsize=")))
		sscanf(v, "%hux%hu", &c->rows, &c->columns);
	else
		fail("%s: %s: not understood", INIT_CONFIG, s);
}

void config_read(struct init_config *c)
{
	size_t len;
	const char *text = read_file(INIT_CONFIG, &len);
	struct cursor cur = cursor_over(text, len);
	const char *s;

	while ((s = cursor_string(&cur)))
		parse_string(c, s);
	if (!c->channel || !c->root || !c->cwd)
		fail("%s: incomplete", INIT_CONFIG);
}
