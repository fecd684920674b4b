/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command line: arguments, each ended by NUL. Whatever it is, it is taken whole or refused in one line;
 * what is taken has numbers within their limits and names what every start needs.
 */
#include "fuzz.h"

#include "base/cursor.h"
#include "daemon/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 64

static void check_taken(const struct options *o)
{
	if (o->action != OPTIONS_RUN)
		return;
	fuzz_require(o->sandbox.shared_dir != NULL);
	fuzz_require(o->socket_path || o->fd != OPTIONS_NO_FD);
	fuzz_require(!o->tag || strlen(o->tag) <= 36);
	fuzz_require(o->fs.max_inodes >= 1024 && o->fs.max_handles >= 16);
	fuzz_require(o->uid_map.n <= OPTIONS_RULES_MAX && o->translate_gid.n <= OPTIONS_RULES_MAX);
	fuzz_require(o->fs.uids == o->uids && o->fs.gids == o->gids && o->fs.xattrmap == o->xattrmap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	char program[] = "colofsd";
	char *argv[MAX_ARGS + 2] = {program};
	struct err err = {0};
	struct options o;
	const char *arg;
	int argc = 1, r;

	while (argc <= MAX_ARGS && (arg = cursor_string(&c)))
		argv[argc++] = (char *)(uintptr_t)arg;
	r = options_parse(&o, argc, argv, &err);
	if (r)
		fuzz_require(r == -EINVAL && err.text[0] && !strpbrk(err.text, "\r\n"));
	else
		check_taken(&o);
	options_free(&o);
	return 0;
}
