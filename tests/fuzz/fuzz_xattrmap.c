/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules for names of attributes, then names, each ended by NUL. Whatever the rules say: a name for the host
 * fits, a name for the guest is a part of the host's, what is wrong is said in one line, and what is
 * remapped as file capabilities is what the guest's name becomes.
 */
#include "fuzz.h"

#include "base/cursor.h"
#include "fs/xattrmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static void to_host(const struct xattrmap *m, const char *name)
{
	char host[XATTR_NAME_MAX + 1];
	int r = xattrmap_to_host(m, name, host);

	fuzz_require(r == 0 || r == -EPERM || r == -EOPNOTSUPP || r == -ERANGE);
	if (r)
		return;
	fuzz_require(strnlen(host, sizeof(host)) < sizeof(host));
	fuzz_require(strlen(host) >= strlen(name) && !strcmp(host + strlen(host) - strlen(name), name));
}

static void to_guest(const struct xattrmap *m, const char *name)
{
	const char *guest = xattrmap_to_guest(m, name);

	fuzz_require(!guest || (guest >= name && guest < name + strlen(name)));
}

static void check_capability(const struct xattrmap *m)
{
	const char *capability = xattrmap_capability(m);
	char host[XATTR_NAME_MAX + 1];

	if (!capability)
		return;
	fuzz_require(!xattrmap_to_host(m, "security.capability", host) && !strcmp(host, capability));
	fuzz_require(strcmp(host, "security.capability") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	const char *rules = cursor_string(&c), *name;
	struct xattrmap *m = NULL;
	struct err err = {0};

	if (!rules)
		return 0;
	if (xattrmap_new(rules, &m, &err)) {
		fuzz_require(!m && err.text[0] && !strpbrk(err.text, "\r\n"));
		return 0;
	}
	check_capability(m);
	while ((name = cursor_string(&c))) {
		to_host(m, name);
		to_guest(m, name);
	}
	xattrmap_free(m);
	return 0;
}
