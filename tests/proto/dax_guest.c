/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest with a window: see dax_guest.h. */
#include "dax_guest.h"

#include <unistd.h>

const struct vm_config dax_vm = {
	.window = WINDOW,
	.queues = 2,
	.protocol = DAX_PROTOCOL,
	.init_flags = DAX_INIT_FLAGS,
	.client = {.timeout_ms = TEST_PATIENCE_MS},
};
const char *const dax_args[] = {"--dax-window=16M", "--dax-max-mappings=0", NULL};
const char *const dax_args_all[] = {"--dax-window=16M", "--dax-max-mappings=0", "--dax=always", NULL};
const char *const dax_args_trust[] = {"--dax-window=16M", "--dax-max-mappings=0", "--dax-trust-peers", NULL};

uint8_t dax_data[3 * RANGE];

void dax_boot(struct vm *vm, const char *const *with)
{
	test_pattern(dax_data, sizeof(dax_data), 7);
	test_boot(vm, &dax_vm, with);
}

uint64_t dax_look_up(struct vm *vm, const char *name, struct fuse_entry_out *e)
{
	OK(fc_lookup(&vm->client[1], 1, name, e));
	return e->nodeid;
}

uint64_t dax_file(struct vm *vm, const char *name, size_t size)
{
	struct fuse_entry_out e;

	host_write_file(vm->daemon.share, name, dax_data, size);
	return dax_look_up(vm, name, &e);
}

bool dax_marked(struct vm *vm, const char *name, size_t size)
{
	struct fuse_entry_out e;

	host_write_file(vm->daemon.share, name, dax_data, size);
	dax_look_up(vm, name, &e);
	return e.attr.flags & FUSE_ATTR_DAX;
}

int dax_map(struct vm *vm, uint64_t node, uint64_t off, unsigned int range, uint64_t flags)
{
	return fc_setupmapping(&vm->client[1], node, off, RANGE, AT(range), flags);
}

int dax_unmap(struct vm *vm, unsigned int range)
{
	struct fuse_removemapping_one one = {AT(range), RANGE};

	return fc_removemapping(&vm->client[1], 1, &one, 1);
}

void dax_truncate(struct vm *vm, uint64_t node, uint64_t size)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = size};
	struct fuse_attr_out out;

	OK(fc_setattr(&vm->client[1], node, &in, &out));
	assert_int_equal(out.attr.size, size);
}

struct fc_file dax_open(struct vm *vm, uint64_t node)
{
	struct fuse_open_out out;

	OK(fc_open(&vm->client[1], node, O_RDWR, &out));
	return (struct fc_file){node, out.fh};
}

void dax_host_cuts(struct vm *vm, const char *name, off_t size)
{
	autofd int fd = openat(vm->daemon.share, name, O_WRONLY | O_CLOEXEC);

	OK(ftruncate(fd, size));
}
