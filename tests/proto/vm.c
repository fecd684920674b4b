/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual machine without the machine; the header says how. */
#include "vm.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

#define MIB	(1ull << 20)
#define LOW_MEM (8 * MIB)

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

void vm_configure(struct vm *vm, const struct vm_config *cfg)
{
	*vm = (struct vm){.cfg = *cfg, .fe = {.sock = -1, .backend_req = -1}};
	vm->daemon = (struct spawn){.fd = -1, .share = -1, .alive = -1};
	DEFAULT(vm->cfg.features, VM_FEATURES);
	DEFAULT(vm->cfg.protocol, VM_PROTOCOL);
	DEFAULT(vm->cfg.queues, 1);
	DEFAULT(vm->cfg.size, 1024);
	DEFAULT(vm->cfg.urgent_size, vm->cfg.size);
	DEFAULT(vm->cfg.memory, 64 * MIB);
	DEFAULT(vm->cfg.client.depth, 8);
	DEFAULT(vm->cfg.client.max_data, MIB);
	DEFAULT(vm->cfg.client.timeout_ms, TEST_PATIENCE_MS);
	DEFAULT(vm->cfg.init_flags, VM_INIT_FLAGS);
	DEFAULT(vm->cfg.init_minor, 39);
}

/* To the daemon's socket, as long as there is a daemon that may open it. */
static int connect_path(struct vm *vm, int timeout)
{
	struct err why;
	int r = -ETIMEDOUT;

	for (int t = 0; r == -ETIMEDOUT && t < timeout && !spawn_check(&vm->daemon, &why); t += 100)
		r = fe_connect(&vm->fe, vm->daemon.socket_path, 100);
	vm->fe.timeout_ms = timeout;
	return r;
}

/* As QEMU does, which tells all its devices of the piece of memory that is new. */
static void tell_memory(void *arg)
{
	struct vm *vm = arg;

	(void)fe_tell_mem_table(&vm->fe, &vm->gm);
}

int vm_connect(struct vm *vm)
{
	int timeout = vm->cfg.client.timeout_ms;
	int r = 0;

	if (vm->daemon.fd >= 0)
		fe_init(&vm->fe, fd_take(&vm->daemon.fd), timeout);
	else
		r = connect_path(vm, timeout);
	if (r)
		return err_sys(&vm->err, -r, "connect to the daemon");
	r = fe_negotiate(&vm->fe, vm->cfg.features, vm->cfg.protocol);
	if (r)
		return err_sys(&vm->err, -r, "negotiation");
	if (vm->cfg.features & ~vm->fe.offered)
		return err_set(&vm->err, ENOTSUP, "features %#llx are not offered",
			(unsigned long long)(vm->cfg.features & ~vm->fe.offered));
	if (!vm->cfg.window)
		return 0;
	r = fe_set_backend_req(&vm->fe);
	if (!r)
		r = window_start(&vm->window, vm->fe.backend_req, vm->cfg.window,
			vm->cfg.quiet_window ? NULL : tell_memory, vm);
	return r ? err_sys(&vm->err, -r, "shared memory") : 0;
}

/* Low memory, more of it right behind in another file, and some above 4 GiB that begins within its file. */
static int make_memory(struct vm *vm)
{
	uint64_t size = vm->cfg.memory;
	int r = gm_add(&vm->gm, 0, LOW_MEM, 0, 0);

	if (r >= 0)
		r = gm_add(&vm->gm, LOW_MEM, size, 0, 0);
	if (r >= 0)
		r = gm_add(&vm->gm, 4096 * MIB, size, 2 * MIB, 0);
	if (r >= 0 && vm->cfg.huge_pages)
		r = gm_add(&vm->gm, 8192 * MIB, 2 * MIB * vm->cfg.huge_pages, 0, GM_HUGE);
	return r < 0 ? err_sys(&vm->err, -r, "guest memory") : 0;
}

/* The window's thread will tell of it. */
int vm_make_memory(struct vm *vm)
{
	int r;

	if (!vm->window.base)
		return make_memory(vm);
	pthread_mutex_lock(&vm->window.lock);
	r = make_memory(vm);
	pthread_mutex_unlock(&vm->window.lock);
	return r;
}

static int make_queue(struct vm *vm, unsigned int i)
{
	struct drv_config dc = attach_config(&vm->fe, i ? vm->cfg.size : vm->cfg.urgent_size);
	struct fc_config cc = vm->cfg.client;
	int r;

	if (vm->cfg.base)
		dc.base = vm->cfg.base;
	if (i == 0)
		cc.max_data = 4096;
	r = drv_init(&vm->queue[i], &vm->gm, &dc);
	vm->queues = i + 1;
	if (!r)
		r = fc_init(&vm->client[i], &vm->gm, &vm->queue[i], &cc);
	return r;
}

int vm_make_queues(struct vm *vm)
{
	int r = 0;

	for (unsigned int i = 0; i <= vm->cfg.queues && !r; i++)
		r = make_queue(vm, i);
	return r ? err_sys(&vm->err, -r, "queues") : 0;
}

int vm_start_queue(struct vm *vm, unsigned int i, uint32_t base)
{
	int r = attach_queue(&vm->fe, &vm->gm, &vm->queue[i], i, base);

	vm->started[i] = !r;
	return r;
}

int vm_stop_queue(struct vm *vm, unsigned int i, uint32_t *base)
{
	vm->started[i] = false;
	return fe_get_vring_base(&vm->fe, i, base);
}

int vm_start(struct vm *vm)
{
	int r = fe_set_features(&vm->fe, vm->fe.features);

	if (!r)
		r = fe_share_mem(&vm->fe, &vm->gm);
	if (r)
		return err_sys(&vm->err, -r, "features and memory");
	for (unsigned int i = 0; i < vm->queues && !r; i++)
		r = vm_start_queue(vm, i, vm->queue[i].cfg.base);
	if (!r && fe_has_protocol(&vm->fe, VU_P_STATUS))
		r = fe_tell_u64(&vm->fe, VU_SET_STATUS, VU_STATUS_DRIVER_OK);
	return r ? err_sys(&vm->err, -r, "start of the queues") : 0;
}

int vm_mount(struct vm *vm)
{
	int r = fc_init_session(&vm->client[1], vm->cfg.init_flags, vm->cfg.init_minor, &vm->init);

	return r ? err_sys(&vm->err, -r, "FUSE_INIT") : 0;
}

int vm_boot(struct vm *vm, const struct vm_config *cfg, const struct spawn_config *spawn)
{
	int r;

	vm_configure(vm, cfg);
	r = spawn_start(&vm->daemon, spawn, &vm->err);
	if (!r)
		r = vm_connect(vm);
	if (!r)
		r = vm_make_memory(vm);
	if (!r)
		r = vm_make_queues(vm);
	if (!r)
		r = vm_start(vm);
	return r ? r : vm_mount(vm);
}

void vm_disconnect(struct vm *vm)
{
	window_stop(&vm->window);
	fe_close(&vm->fe);
	for (unsigned int i = 0; i < vm->queues; i++) {
		fc_free(&vm->client[i]);
		drv_free(&vm->queue[i]);
	}
	vm->queues = 0;
	memset(vm->started, 0, sizeof(vm->started));
	gm_free(&vm->gm);
}

int vm_end(struct vm *vm)
{
	struct err why;
	uint32_t base;
	int r = 0;

	for (unsigned int i = 0; i < vm->queues && !r; i++)
		if (vm->started[i])
			r = vm_stop_queue(vm, i, &base);
	if (r)
		err_sys(&vm->err, -r, "stop of a queue");
	vm_disconnect(vm);
	if (spawn_end(&vm->daemon, &why)) {
		r = -ECHILD;
		vm->err = why;
	}
	return r;
}
