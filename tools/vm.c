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

/* A kernel with everything built in brings itself, and no module. */
static bool holds_kernel(const char *dir, const char *version)
{
	autofree char *modules = str_format("%s/%s/kernel", dir, version);
	autofree char *image = str_format("%s/%s/vmlinuz", dir, version);

	return !access(modules, F_OK) || !access(image, F_OK);
}

char *vm_newest_modules(const char *dir)
{
	autofree char *best = NULL;
	struct dirent *d;
	DIR *list = opendir(dir);

	while (list && (d = readdir(list))) {
		if (d->d_name[0] == '.' || !holds_kernel(dir, d->d_name) ||
			(best && strverscmp(d->d_name, best) < 0))
			continue;
		free(best);
		best = str_format("%s", d->d_name);
	}
	if (list)
		closedir(list);
	return best ? str_format("%s/%s", dir, best) : NULL;
}
