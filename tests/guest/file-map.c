/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file-map shared|private FILE OFFSET TEXT: maps FILE, writes TEXT into the mapping, syncs, and prints what
 * is there then. Status 1 and the reason if it cannot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct stat st;
	size_t off, len;
	char *map;
	int fd;

	if (argc != 5)
		return 2;
	off = (size_t)atol(argv[3]);
	len = strlen(argv[4]);
	fd = open(argv[2], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return complain(argv[2]);
	if (off + len > (size_t)st.st_size)
		return 2;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		strcmp(argv[1], "shared") ? MAP_PRIVATE : MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return complain("mmap");
	memcpy(map + off, argv[4], len);
	if (msync(map, (size_t)st.st_size, MS_SYNC))
		return complain("msync");
	printf("%.*s", (int)len, map + off);
	return 0;
}
