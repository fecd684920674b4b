/* SPDX-License-Identifier: BSD-3-Clause */
/* Shares as the user writes them: DIR[:TAG][:ro]. */
#include "colofs.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool tag_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._-", c));
}

static int set_tag(struct share *s, const char *tag, const char *spec, struct err *e)
{
	size_t n = strlen(tag);

	if (!n || n > SHARE_TAG_MAX)
		return err_set(e, EINVAL, "share '%s': a tag has 1 to %d characters", spec, SHARE_TAG_MAX);
	for (size_t i = 0; i < n; i++)
		if (!tag_char(tag[i]))
			return err_set(e, EINVAL,
				"share '%s': a tag consists of letters, digits, '.', '_' and '-'", spec);
	if (!strcmp(tag, ".") || !strcmp(tag, "..") || !strcmp(tag, SHARE_ROOT))
		return err_set(
			e, EINVAL, "share '%s': the tag '%s' cannot be used; choose another", spec, tag);
	memcpy(s->tag, tag, n + 1);
	s->tag_given = true;
	return 0;
}

static int set_dir(struct share *s, const char *dir, struct err *e)
{
	s->dir = realpath(dir, NULL);
	if (!s->dir)
		return err_sys(e, errno, "share '%s'", dir);
	if (!is_dir(s->dir))
		return err_set(
			e, ENOTDIR, "share '%s': not a directory; share the directory that holds it", dir);
	return 0;
}

int share_parse(struct share *s, const char *spec, struct err *e)
{
	autofree char *text = str_format("%s", spec);
	size_t n = strlen(text);
	char *colon;
	int ret;

	*s = (struct share){0};
	if (n > 3 && !strcmp(text + n - 3, ":ro") && !is_dir(text)) {
		s->readonly = true;
		text[n - 3] = '\0';
	}
	colon = is_dir(text) ? NULL : strrchr(text, ':');
	if (colon) {
		*colon = '\0';
		ret = set_tag(s, colon + 1, spec, e);
		if (ret < 0)
			return ret;
	}
	return set_dir(s, text, e);
}

static bool tag_taken(const struct share *shares, size_t n, const char *tag)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(shares[i].tag, tag))
			return true;
	return !strcmp(tag, SHARE_ROOT);
}

/* The directory's name, with '_' for what a tag cannot hold, and a number if it is taken. */
static void default_tag(struct share *s, const struct share *shares, size_t n)
{
	const char *base = strrchr(s->dir, '/') + 1;
	char stem[SHARE_TAG_MAX - 3];
	size_t len = 0;

	for (; len < sizeof(stem) - 1 && base[len]; len++)
		stem[len] = tag_char(base[len]) ? base[len] : '_';
	stem[len] = '\0';
	if (!len || !strcmp(stem, ".") || !strcmp(stem, ".."))
		memcpy(stem, "root", sizeof("root"));
	for (unsigned int i = 1; i <= SHARES_MAX + 2; i++) {
		autofree char *tag = i == 1 ? str_format("%s", stem) : str_format("%s-%u", stem, i);

		if (tag_taken(shares, n, tag))
			continue;
		memcpy(s->tag, tag, strlen(tag) + 1);
		return;
	}
}

int share_finish(struct share *shares, size_t n, const char *at, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (shares[i].tag_given && tag_taken(shares, i, shares[i].tag))
			return err_set(e, EINVAL,
				"two shares have the tag '%s'; write DIR:TAG to tell them apart",
				shares[i].tag);
	}
	for (size_t i = 0; i < n; i++)
		if (!shares[i].tag_given)
			default_tag(&shares[i], shares, n);
	for (size_t i = 0; i < n; i++)
		shares[i].at = n == 1 ? str_format("%s", at) : str_format("%s/%s", at, shares[i].tag);
	return 0;
}
