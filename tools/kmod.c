/* SPDX-License-Identifier: BSD-3-Clause */
#include "kmod.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/io.h"

#include <elf.h>
#include <fcntl.h>
#include <fts.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MODULE_MAX (64u << 20)

static const struct {
	const char *suffix;
	const char *tool;
	const char *package;
} packings[] = {
	{".ko", NULL, NULL},
	{".ko.xz", "xz", "xz-utils"},
	{".ko.zst", "zstd", "zstd"},
	{".ko.gz", "gzip", "gzip"},
};

/* The packing whose suffix ends @path, or -1. */
static int packing_of(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(packings); i++) {
		size_t s = strlen(packings[i].suffix);

		if (n > s && !strcmp(path + n - s, packings[i].suffix))
			return (int)i;
	}
	return -1;
}

/* "…/virtio-rng.ko.xz" is module virtio_rng. */
static char *module_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = str_format("%s", slash ? slash + 1 : path);
	int p = packing_of(name);

	if (p >= 0)
		name[strlen(name) - strlen(packings[p].suffix)] = '\0';
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	return name;
}

int kmod_open(struct kmod_set *k, const char *dir, struct cpio *cpio, struct err *e)
{
	autofree char *kernel = str_format("%s/kernel", dir);
	char *roots[] = {kernel, NULL};
	FTSENT *entry;
	FTS *walk;

	*k = (struct kmod_set){.dir = dir, .cpio = cpio};
	walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!walk)
		return err_sys(e, errno, "%s", kernel);
	while ((entry = fts_read(walk)))
		if (entry->fts_info == FTS_F && packing_of(entry->fts_path) >= 0)
			strv_add(&k->paths, "%s", entry->fts_path);
	fts_close(walk);
	return 0;
}

void kmod_close(struct kmod_set *k)
{
	strv_free(&k->order);
	strv_free(&k->paths);
	strv_free(&k->visited);
}

static const char *find(const struct kmod_set *k, const char *name)
{
	for (size_t i = 0; i < k->paths.n; i++) {
		autofree char *n = module_name(k->paths.v[i]);

		if (!strcmp(n, name))
			return k->paths.v[i];
	}
	return NULL;
}

/* True if modules.builtin lists it. Without such a list nobody knows, and the guest will tell. */
static bool is_builtin(const struct kmod_set *k, const char *name)
{
	autofree char *list = str_format("%s/modules.builtin", k->dir);
	FILE *f = fopen(list, "re");
	bool found = !f;
	char line[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		autofree char *n = NULL;

		line[strcspn(line, "\n")] = '\0';
		n = module_name(line);
		found = !strcmp(n, name);
	}
	if (f)
		fclose(f);
	return found;
}

static int read_fd(int fd, uint8_t **data, size_t *len)
{
	size_t room = 1 << 16;
	ssize_t n;

	*len = 0;
	*data = malloc(room);
	while (*data && (n = read(fd, *data + *len, room - *len)) != 0) {
		if (n < 0)
			return -errno;
		*len += (size_t)n;
		if (*len > MODULE_MAX)
			return -EFBIG;
		if (*len == room)
			*data = reallocarray(*data, room *= 2, 1);
	}
	return *data ? 0 : -ENOMEM;
}

/* Starts "TOOL -dc" on @in. Returns the descriptor of its output. */
static int start_unpack(const char *tool, int in, pid_t *pid)
{
	char *argv[] = {(char *)(uintptr_t)tool, (char *)(uintptr_t) "-dc", NULL};
	posix_spawn_file_actions_t fa;
	int p[2], ret;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	ret = posix_spawnp(pid, tool, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	if (ret) {
		close(p[0]);
		return -ret;
	}
	return p[0];
}

static int unpack(int in, int packing, const char *path, struct err *e, uint8_t **data, size_t *len)
{
	const char *tool = packings[packing].tool;
	autofd int out = -1;
	int ret, status;
	pid_t pid;

	out = start_unpack(tool, in, &pid);
	if (out < 0)
		return err_sys(e, -out, "%s is packed, and %s does not start (apt-get install %s)", path,
			tool, packings[packing].package);
	ret = read_fd(out, data, len);
	close(fd_take(&out));
	if (waitpid(pid, &status, 0) < 0 || status || ret < 0)
		return err_set(e, EIO, "%s: %s cannot unpack it", path, tool);
	return 0;
}

static int load(const char *path, uint8_t **data, size_t *len, struct err *e)
{
	int packing = packing_of(path);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (packings[packing].tool)
		return unpack(fd, packing, path, e, data, len);
	ret = read_fd(fd, data, len);
	return ret < 0 ? err_sys(e, -ret, "%s", path) : 0;
}

/* The section's bytes, or NULL: the file is the host's, yet it may be anything. */
static const char *section(const uint8_t *data, size_t len, const char *name, size_t *size)
{
	Elf64_Ehdr h;
	Elf64_Shdr s, names;
	uint64_t end;

	if (len < sizeof(h) || memcmp(data, ELFMAG "\2\1", 6))
		return NULL;
	memcpy(&h, data, sizeof(h));
	if (h.e_shentsize != sizeof(s) || h.e_shstrndx >= h.e_shnum ||
		!arith_within(h.e_shoff, (uint64_t)h.e_shnum * sizeof(s), len))
		return NULL;
	memcpy(&names, data + h.e_shoff + h.e_shstrndx * sizeof(s), sizeof(s));
	if (!arith_within(names.sh_offset, names.sh_size, len))
		return NULL;
	end = names.sh_offset + names.sh_size;
	for (unsigned int i = 0; i < h.e_shnum; i++) {
		memcpy(&s, data + h.e_shoff + i * sizeof(s), sizeof(s));
		if (s.sh_name >= names.sh_size || !arith_within(s.sh_offset, s.sh_size, len))
			continue;
		if (strncmp((const char *)data + names.sh_offset + s.sh_name, name,
			    end - names.sh_offset - s.sh_name))
			continue;
		*size = s.sh_size;
		return (const char *)data + s.sh_offset;
	}
	return NULL;
}

/* The value of "depends=" in .modinfo, for the caller to free. */
static char *dependencies(const uint8_t *data, size_t len)
{
	static const char key[] = "depends=";
	size_t size = 0;
	const char *info = section(data, len, ".modinfo", &size);

	for (size_t off = 0; info && off < size;) {
		size_t n = strnlen(info + off, size - off);

		if (n >= sizeof(key) - 1 && !memcmp(info + off, key, sizeof(key) - 1))
			return str_format("%.*s", (int)(n - (sizeof(key) - 1)), info + off + sizeof(key) - 1);
		off += n + 1;
	}
	return str_format("%s", "");
}

static int add_dependencies(struct kmod_set *k, const uint8_t *data, size_t len, struct err *e)
{
	autofree char *list = dependencies(data, len);
	char *pos = NULL;
	int ret = 0;

	for (char *d = strtok_r(list, ",", &pos); d && !ret; d = strtok_r(NULL, ",", &pos)) {
		autofree char *name = module_name(d);

		ret = kmod_add(k, name, true, e);
	}
	return ret;
}

static bool visit(struct kmod_set *k, const char *name)
{
	for (size_t i = 0; i < k->visited.n; i++)
		if (!strcmp(k->visited.v[i], name))
			return false;
	strv_add(&k->visited, "%s", name);
	return true;
}

int kmod_add(struct kmod_set *k, const char *name, bool required, struct err *e)
{
	const char *path = find(k, name);
	autofree uint8_t *data = NULL;
	autofree char *inside = NULL;
	size_t len = 0;
	int ret;

	if (!visit(k, name))
		return 0;
	if (!path)
		return !required || is_builtin(k, name)
			       ? 0
			       : err_set(e, ENOENT, "%s: the kernel has no module %s; choose another kernel",
					 k->dir, name);
	ret = load(path, &data, &len, e);
	if (ret < 0)
		return ret;
	ret = add_dependencies(k, data, len, e);
	if (ret < 0)
		return ret;
	inside = str_format("modules/%s.ko", name);
	cpio_file(k->cpio, inside, 0444, data, len);
	strv_add(&k->order, "/%s", inside);
	return 0;
}
