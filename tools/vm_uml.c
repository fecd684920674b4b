/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * User-Mode Linux: a kernel that runs as an ordinary process. It speaks vhost-user itself, and its hostfs
 * shows the host's files; so that nothing in the guest can change those, the whole process sees them
 * read-only.
 */
#include "vm.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XSTATE_LIBRARY "uml-xstate.so"
#define MEMORY	       "memory" /* directory of the file that is the guest's memory */
#define XSTATE_MAX     2696	/* what User-Mode Linux holds of a processor's register state, up to 6.12 */

extern const unsigned char uml_xstate[];
extern const size_t uml_xstate_len;

static const char *const modules[] = {"fuse", "virtiofs", "overlay", NULL};

static int find_uml(const struct run_opts *o, struct vm_kernel *k, struct err *e)
{
	const char *root = o->kernel_root ? o->kernel_root : "";
	autofree char *dir = str_format("%s/usr/lib/uml/modules", root);
	autofree char *program = str_format("%s/usr/bin/linux.uml", root);

	k->kernel = vm_find_program(o->kernel ? o->kernel : program);
	if (!k->kernel)
		return err_set(e, ENOENT,
			"%s: not found or not a program: apt-get install user-mode-linux, or use --vm=qemu",
			o->kernel ? o->kernel : program);
	k->modules = o->modules ? str_format("%s", o->modules) : vm_newest_modules(dir);
	if (!k->modules)
		return err_set(
			e, ENOENT, "%s: no kernel modules there: apt-get install user-mode-linux", dir);
	return 0;
}

/* True if the registers that the host's kernel switches are more than User-Mode Linux holds: see
 * uml-xstate.c. */
static bool large_registers(void)
{
	unsigned int a, size, c, d;

	return __get_cpuid_count(0xd, 0, &a, &size, &c, &d) && size > XSTATE_MAX;
}

/*
 * For all of the session. The kernel has one CPU, and traces the processes of its programs: across CPUs of
 * the host each of their system calls takes ten times as long. It waits for the daemon in turn, and a wake
 * across CPUs takes longer than most requests. Which CPU is left to chance, so that several guests seldom
 * share one.
 */
static void stay_on_one_cpu(void)
{
	cpu_set_t mine, one;
	int skip;

	if (sched_getaffinity(0, sizeof(mine), &mine) || !CPU_COUNT(&mine))
		return;
	skip = (int)getpid() % CPU_COUNT(&mine);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &mine) && !skip--)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static int prepare_uml(const char *dir, struct err *e)
{
	autofree char *path = str_format("%s/" XSTATE_LIBRARY, dir);
	autofree char *memory = str_format("%s/" MEMORY, dir);
	autofd int fd = -1;
	int ret;

	if (mkdir(memory, 0700) < 0)
		return err_sys(e, errno, "%s", memory);
	stay_on_one_cpu();
	if (!large_registers())
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ret = fd < 0 ? -errno : io_write_all(fd, uml_xstate, uml_xstate_len);
	return ret < 0 ? err_sys(e, -ret, "%s", path) : 0;
}

static void command_uml(
	const struct vm_start *v, const struct vm_kernel *k, struct strv *argv, struct strv *envp)
{
	strv_add(argv, "%s", k->kernel);
	strv_add(argv, "mem=%lluM", (unsigned long long)(v->opts->mem >> 20));
	strv_add(argv, "initrd=%s", v->initrd);
	strv_add(argv, "uml_dir=%s/", v->dir);
	for (size_t i = 0; i < v->n_sockets; i++)
		strv_add(argv, "virtio_uml.device=%s:26", v->sockets[i]);
	strv_add(argv, "con=null");
	strv_add(argv, "ssl=null");
	strv_add(argv, "con0=null,fd:1");
	strv_add(argv, "con1=fd:%d", v->channel);
	strv_add(argv, "panic=-1");
	if (!v->opts->verbose)
		strv_add(argv, "quiet");
	if (large_registers())
		strv_add(envp, "LD_PRELOAD=%s/" XSTATE_LIBRARY, v->dir);
	strv_add(envp, "TMPDIR=%s/" MEMORY, v->dir);
	strv_add(envp, "HOME=%s", v->dir);
	strv_add(envp, "PATH=/usr/bin:/bin");
}

static int read_only(const char *path, bool on)
{
	struct mount_attr attr = {
		.attr_set = on ? MOUNT_ATTR_RDONLY : 0, .attr_clr = on ? 0 : MOUNT_ATTR_RDONLY};

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, on ? AT_RECURSIVE : 0, &attr, sizeof(attr));
}

/*
 * In the child. Only where our rights allow it (containers often do not): hostfs is mounted read-only in any
 * case, so this guards against a command that mounts it anew. The guest's memory is a file, which no disk is
 * to hold.
 */
static int enter_uml(const void *dir)
{
	autofree char *memory = str_format("%s/" MEMORY, (const char *)dir);
	bool mounted;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(dir, dir, NULL, MS_BIND, NULL) < 0)
		return 0;
	mounted = !mount("memory", memory, "tmpfs", 0, "size=0,mode=0700");
	if (read_only("/", true) < 0)
		return 0;
	return read_only(dir, false) < 0 || (mounted && read_only(memory, false) < 0) ? -errno : 0;
}

const struct vm_ops vm_uml = {
	.name = "User-Mode Linux",
	.channel = "/dev/tty1",
	.modules = modules,
	.daemon_tag = true,
	.find = find_uml,
	.prepare = prepare_uml,
	.command = command_uml,
	.enter = enter_uml,
};
