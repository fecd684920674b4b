/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU with a Debian kernel. The root file system is a share too: the host's tree, read-only. The frames go
 * over a virtio port. Guest memory is a memfd, because the daemons map it. QEMU tells the guest each tag
 * itself, and its versions 7.1 to 8.0 do not stand a daemon that has one too.
 */
#include "vm.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static const char *const modules[] = {"virtio_pci", "virtio_console", "fuse", "virtiofs", "overlay", NULL};

/* /boot/vmlinuz-VERSION, or vmlinuz among the modules (newer packages). */
static char *find_kernel(const char *root, const char *module_dir)
{
	const char *version = strrchr(module_dir, '/') + 1;
	autofree char *boot = str_format("%s/boot/vmlinuz-%s", root, version);
	autofree char *inside = str_format("%s/vmlinuz", module_dir);

	if (!access(boot, R_OK))
		return ptr_take(&boot);
	if (!access(inside, R_OK))
		return ptr_take(&inside);
	return NULL;
}

static int find_debian_kernel(const struct run_opts *o, struct vm_kernel *k, struct err *e)
{
	const char *root = o->kernel_root ? o->kernel_root : "";
	static const char *const dirs[] = {"lib/modules", "usr/lib/modules"};

	for (size_t i = 0; i < ARRAY_LEN(dirs) && !k->kernel; i++) {
		autofree char *dir = str_format("%s/%s", root, dirs[i]);

		free(k->modules);
		k->modules = vm_newest_modules(dir);
		if (k->modules)
			k->kernel = find_kernel(root, k->modules);
	}
	if (!k->kernel)
		return err_set(e, ENOENT,
			"no kernel /boot/vmlinuz-VERSION with its /lib/modules/VERSION%s%s: apt-get install "
			"linux-image-amd64, or name one with --kernel and --modules",
			*root ? " beneath " : "", root);
	return 0;
}

static int find_qemu(const struct run_opts *o, struct vm_kernel *k, struct err *e)
{
	autofree char *qemu = vm_find_program(o->qemu ? o->qemu : "qemu-system-x86_64");

	if (!qemu)
		return err_set(e, ENOENT, "%s: not found: apt-get install qemu-system-x86, or use --vm=uml",
			o->qemu ? o->qemu : "qemu-system-x86_64");
	if (!o->kernel)
		return find_debian_kernel(o, k, e);
	if (access(o->kernel, R_OK))
		return err_sys(e, errno, "--kernel '%s'", o->kernel);
	k->kernel = str_format("%s", o->kernel);
	k->modules = str_format("%s", o->modules);
	return 0;
}

static void add_machine(const struct vm_start *v, struct strv *argv)
{
	unsigned long long mib = v->opts->mem >> 20;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	strv_add(argv, "-nodefaults");
	strv_add(argv, "-no-user-config");
	strv_add(argv, "-no-reboot");
	strv_add(argv, "-display");
	strv_add(argv, "none");
	strv_add(argv, "-serial");
	strv_add(argv, "stdio");
	strv_add(argv, "-machine");
	strv_add(argv, "q35,memory-backend=mem,accel=%s", v->kvm ? "kvm" : "tcg");
	strv_add(argv, "-cpu");
	strv_add(argv, "%s", v->kvm ? "host" : "max");
	strv_add(argv, "-smp");
	/* Emulated without another CPU in view, memory barriers do nothing before QEMU 8.1: kicks and calls
	 * are lost. */
	strv_add(argv, "%ld,maxcpus=%ld", MIN(MAX(cpus, 1), 4), MIN(MAX(cpus, 2), 4));
	strv_add(argv, "-m");
	strv_add(argv, "%lluM", mib);
	strv_add(argv, "-object");
	strv_add(argv, "memory-backend-memfd,id=mem,size=%lluM,share=on", mib);
}

static void command_qemu(
	const struct vm_start *v, const struct vm_kernel *k, struct strv *argv, struct strv *envp)
{
	strv_add(argv, "%s", v->opts->qemu ? v->opts->qemu : "qemu-system-x86_64");
	add_machine(v, argv);
	strv_add(argv, "-device");
	strv_add(argv, "virtio-serial-pci");
	strv_add(argv, "-chardev");
	strv_add(argv, "socket,id=frames,fd=%d", v->channel);
	strv_add(argv, "-device");
	strv_add(argv, "virtserialport,chardev=frames,nr=1");
	for (size_t i = 0; i < v->n_sockets; i++) {
		strv_add(argv, "-chardev");
		strv_add(argv, "socket,id=share%zu,path=%s", i, v->sockets[i]);
		strv_add(argv, "-device");
		strv_add(argv, "vhost-user-fs-pci,chardev=share%zu,tag=%s,queue-size=1024", i, v->tags[i]);
	}
	strv_add(argv, "-kernel");
	strv_add(argv, "%s", k->kernel);
	strv_add(argv, "-initrd");
	strv_add(argv, "%s", v->initrd);
	strv_add(argv, "-append");
	strv_add(argv, "console=ttyS0 panic=-1 %s", v->opts->verbose ? "" : "quiet");
	for (char **env = environ; *env; env++)
		strv_add(envp, "%s", *env);
}

const struct vm_ops vm_qemu = {
	.name = "QEMU",
	.channel = "/dev/vport0p1",
	.modules = modules,
	.root_share = true,
	.find = find_qemu,
	.command = command_qemu,
};
