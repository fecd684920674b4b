/* SPDX-License-Identifier: BSD-3-Clause */
/* What both kinds of guests need to find on the host. */
#include "vm.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static bool can_run(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !access(path, X_OK);
}

char *vm_find_program(const char *program)
{
	const char *path = getenv("PATH");
	autofree char *list = str_format("%s", path ? path : "/usr/bin:/bin");
	char *pos = NULL;

	if (strchr(program, '/'))
		return can_run(program) ? str_format("%s", program) : NULL;
	for (char *dir = strtok_r(list, ":", &pos); dir; dir = strtok_r(NULL, ":", &pos)) {
		autofree char *full = str_format("%s/%s", dir, program);

		if (can_run(full))
			return ptr_take(&full);
	}
	return NULL;
}

char *vm_newest_modules(const char *dir)
{
	autofree char *best = NULL;
	struct dirent *d;
	DIR *list = opendir(dir);

	while (list && (d = readdir(list))) {
		autofree char *builtin = str_format("%s/%s/modules.builtin", dir, d->d_name);

		if (d->d_name[0] == '.' || access(builtin, F_OK) || (best && strverscmp(d->d_name, best) < 0))
			continue;
		free(best);
		best = str_format("%s", d->d_name);
	}
	if (list)
		closedir(list);
	return best ? str_format("%s/%s", dir, best) : NULL;
}
