/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a first touch of 2 MiB costs by the window, and 1 MiB by READ, with a front-end of our own in place of
 * a virtual machine; taken in turns, medians. usage: latency (environment: COLOFSD)
 */
#include "base/arith.h"
#include "vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RANGE  (2u << 20)
#define MIB    (1u << 20)
#define ROUNDS 201

static const struct vm_config with_window = {
	.window = 8u * RANGE,
	.protocol = (VM_PROTOCOL & ~VU_BIT(VU_P_CONFIGURE_MEM_SLOTS)) | VU_BIT(VU_P_BACKEND_REQ) |
		    VU_BIT(VU_P_BACKEND_SEND_FD) | VU_BIT(VU_P_SHMEM),
	.init_flags = VM_INIT_FLAGS | FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX,
	.client = {.timeout_ms = 20000, .max_data = MIB},
};
static const char *const args[] = {"--dax-window=16M", "--dax-max-mappings=0", NULL};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(ssize_t r, ssize_t want, const char *what)
{
	if (r == want)
		return;
	fprintf(stderr, "%s: %zd\n", what, r);
	exit(EXIT_FAILURE);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v)
{
	qsort(v, ROUNDS, sizeof(*v), compare);
	return v[ROUNDS / 2];
}

static void make_file(int dir)
{
	static char block[RANGE];
	int fd = openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	memset(block, 'x', sizeof(block));
	check(write(fd, block, sizeof(block)), sizeof(block), "write");
	close(fd);
}

static volatile char seen;

static void measure(struct vm *vm)
{
	static double mapped[ROUNDS], touched[ROUNDS], asked[ROUNDS];
	static char buf[MIB];
	struct fuse_client *c = &vm->client[1];
	struct fuse_removemapping_one one = {0, RANGE};
	struct fuse_entry_out e;
	struct fuse_open_out o;

	check(fc_lookup(c, 1, "file", &e), 0, "LOOKUP");
	check(fc_open(c, e.nodeid, O_RDONLY, &o), 0, "OPEN");
	for (int i = -5; i < ROUNDS; i++) { /* the first ones learn how long this front-end takes */
		double t[4] = {now_us()};

		check(fc_setupmapping(c, e.nodeid, 0, RANGE, 0, FUSE_SETUPMAPPING_FLAG_READ), 0,
			"SETUPMAPPING");
		t[1] = now_us();
		for (unsigned int at = 0; at < RANGE; at += 4096)
			seen = (char)vm->window.base[at];
		t[2] = now_us();
		check(fc_removemapping(c, e.nodeid, &one, 1), 0, "REMOVEMAPPING");
		t[3] = now_us();
		check(fc_read(c, (struct fc_file){e.nodeid, o.fh}, buf, MIB, 0), MIB, "READ");
		if (i < 0)
			continue;
		mapped[i] = t[1] - t[0];
		touched[i] = t[2] - t[0];
		asked[i] = now_us() - t[3];
	}
	printf("SETUPMAPPING of 2 MiB %.0f us, and a load of each page %.0f us; READ of 1 MiB %.0f us\n",
		median(mapped), median(touched), median(asked));
}

int main(void)
{
	struct vm vm = {0};
	int r;

	if (!getenv("COLOFSD")) {
		fputs("COLOFSD is not set\n", stderr);
		return 2;
	}
	r = vm_boot(&vm, &with_window, &(struct spawn_config){.args = args});
	if (!r) {
		make_file(vm.daemon.share);
		measure(&vm);
	}
	if (r || vm_end(&vm)) {
		fprintf(stderr, "%s\n", vm.err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
