/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target on the files of a directory and on mutations of each, the same in every run.
 * Usage: fuzz_NAME DIRECTORY [MUTATIONS], or fuzz_NAME FILE for one file as it is.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536
#define MUTATIONS 300

/* Where the input lies in a block of its own length: a read past the end is then seen by the sanitizer. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static size_t mutate(uint8_t *data, size_t size, uint32_t *random)
{
	static const uint8_t edges[] = {0, 1, 2, 7, 8, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff};
	unsigned int changes = 1 + next_random(random) % 8;

	while (changes-- && size > 1) {
		size_t at = next_random(random) % size;

		switch (next_random(random) % 5) {
		case 0:
			data[at] = (uint8_t)next_random(random);
			break;
		case 1:
			data[at] = edges[next_random(random) % sizeof(edges)];
			break;
		case 2:
			data[at] ^= (uint8_t)(1u << next_random(random) % 8);
			break;
		case 3: /* a piece goes */
			memmove(data + at, data + at + 1, size - at - 1);
			size--;
			break;
		default: /* a piece comes twice */
			if (size + (size - at) <= INPUT_MAX) {
				memmove(data + size, data + at, size - at);
				size += size - at;
			}
			break;
		}
	}
	return size;
}

static bool run_file(const char *path, unsigned int mutations)
{
	static uint8_t data[INPUT_MAX], copy[INPUT_MAX];
	FILE *f = fopen(path, "rbe");
	uint32_t random = 0x9e3779b9u;
	size_t size;

	if (!f)
		return false;
	size = fread(data, 1, sizeof(data), f);
	fclose(f);
	run(data, size);
	for (unsigned int i = 0; i < mutations; i++) {
		memcpy(copy, data, size);
		run(copy, mutate(copy, size, &random));
	}
	return true;
}

static int run_directory(const char *path, unsigned int mutations)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort);
	unsigned int ran = 0;

	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			ran += run_file(file, mutations);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	printf("%u inputs, %u mutations of each\n", ran, mutations);
	return ran ? 0 : 1;
}

int main(int argc, char **argv)
{
	DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;

	if (dir) {
		closedir(dir);
		return run_directory(argv[1], argc > 2 ? (unsigned int)atoi(argv[2]) : MUTATIONS);
	}
	if (argc == 2 && run_file(argv[1], 0))
		return 0;
	fprintf(stderr, "usage: %s DIRECTORY [MUTATIONS] | FILE\n", argv[0]);
	return 2;
}
