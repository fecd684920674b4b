/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differential suite's program: runs families in a directory and prints what can be observed. What it
 * prints on a local directory has to be what it prints on a share of the same file system; compare.py says
 * whether it is.
 */
#include "sem.h"
#include "out.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAMILY(f) extern void family_##f(void);
#include "families.h"
#undef FAMILY

static const struct family families[] = {
#define FAMILY(f) {#f, family_##f},
#include "families.h"
#undef FAMILY
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

static const char usage_text[] =
	"usage: semantics DIR [FAMILY...]                      all families, or these\n"
	"       semantics --random DIR [--seed=N] [--steps=N] [--procs=N] [--only=FILE]\n"
	"       semantics --fsx DIR [--seed=N] [--steps=N] [--direct]\n"
	"DIR shall be empty. --only: a file with the numbers of the steps to make, one a line.\n";

enum mode { MODE_FAMILIES, MODE_RANDOM, MODE_FSX };

struct args {
	enum mode mode;
	struct sem_random random;
	bool direct;
};

static const struct option options[] = {
	{"random", no_argument, NULL, 'r'},
	{"fsx", no_argument, NULL, 'f'},
	{"seed", required_argument, NULL, 's'},
	{"steps", required_argument, NULL, 'n'},
	{"procs", required_argument, NULL, 'p'},
	{"only", required_argument, NULL, 'o'},
	{"direct", no_argument, NULL, 'd'},
	{0},
};

static void parse(struct args *a, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			a->mode = MODE_RANDOM;
			break;
		case 'f':
			a->mode = MODE_FSX;
			break;
		case 's':
			a->random.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			a->random.steps = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'p':
			a->random.procs = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'o':
			a->random.only = optarg;
			break;
		case 'd':
			a->direct = true;
			break;
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind == argc) {
		fputs(usage_text, stderr);
		exit(2);
	}
}

static const struct family *find(const char *name)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (!strcmp(families[i].name, name))
			return &families[i];
	fprintf(stderr, "semantics: there is no family %s\n", name);
	exit(2);
}

static void run_family(const char *dir, const struct family *f)
{
	sem_begin(dir, f->name);
	f->run();
	if (chdir("/"))
		sem_die("/");
}

static int run_families(const char *dir, char **names)
{
	if (!*names)
		for (size_t i = 0; i < FAMILIES; i++)
			run_family(dir, &families[i]);
	for (; *names; names++)
		run_family(dir, find(*names));
	return 0;
}

int main(int argc, char **argv)
{
	struct args a = {.random = {.seed = 1, .steps = 1000, .procs = 3}};
	const char *dir;

	parse(&a, argc, argv);
	dir = realpath(argv[optind], NULL); /* families go elsewhere */
	if (!dir)
		sem_die("%s", argv[optind]);
	if (a.mode == MODE_FAMILIES)
		return run_families(dir, argv + optind + 1);
	sem_begin(dir, a.mode == MODE_RANDOM ? "random" : "fsx");
	sem_case("seeded");
	return a.mode == MODE_RANDOM ? random_run(&a.random)
				     : fsx_run(a.random.seed, a.random.steps, a.direct);
}
