/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dir-reader DIR READY DONE: reads a directory to its end; a third through it makes the file READY and waits
 * for DONE, while somebody changes the directory. Names that begin with "s" stay: prints how many there are,
 * were missing from 0 on, and came twice. Then goes back to places that telldir() gave, and prints at how
 * many another "s" follows.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAMES_MAX  1000000
#define PLACES_MAX 10000
#define STRIDE	   97

struct place {
	long pos;
	int next; /* the number of the first "s" behind it */
};

static struct place places[PLACES_MAX];
static unsigned char seen[NAMES_MAX];

static int number(const struct dirent *e)
{
	int n = e->d_name[0] == 's' ? atoi(e->d_name + 1) : -1;

	return n < NAMES_MAX ? n : -1;
}

static void wait_for(const char *ready, const char *done)
{
	close(open(ready, O_CREAT | O_WRONLY, 0644));
	for (int i = 0; access(done, F_OK) && i < 600; i++)
		usleep(100000);
}

/* Reads all; returns the number of places. */
static int read_all(DIR *d, int pause_at, char **names)
{
	int n = 0, entries = 0;
	struct dirent *e;
	long pos;

	while (pos = telldir(d), (e = readdir(d))) {
		int i = number(e);

		if (i >= 0) {
			seen[i] += seen[i] < 255;
			if (i % STRIDE == 0 && n < PLACES_MAX)
				places[n++] = (struct place){pos, i};
		}
		if (++entries == pause_at)
			wait_for(names[0], names[1]);
	}
	return n;
}

static int wrong_places(DIR *d, int n)
{
	int wrong = 0;

	while (n-- > 0) {
		struct dirent *e;

		seekdir(d, places[n].pos);
		do
			e = readdir(d);
		while (e && number(e) < 0);
		wrong += !e || number(e) != places[n].next;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	int last = 0, missing = 0, twice = 0, n;
	DIR *d;

	if (argc != 4 || !(d = opendir(argv[1])))
		return 2;
	n = read_all(d, 60000, argv + 2);
	for (int i = 0; i < NAMES_MAX; i++)
		last = seen[i] ? i : last;
	for (int i = 0; i <= last; i++) {
		missing += !seen[i];
		twice += seen[i] > 1;
	}
	printf("%d stay, %d missing, %d twice; ", last + 1, missing, twice);
	printf("%d wrong of %s places\n", wrong_places(d, n), n > 500 ? "many" : "few");
	closedir(d);
	return 0;
}
