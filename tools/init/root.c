/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's root file system: the host's own tree, read-only, beneath a tmpfs (overlayfs) that takes every
 * write, with mounts of the guest's own on /proc, /sys, /dev, /run and /tmp. So a command finds the host's
 * programs, and changes the host nowhere but in the shares.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOWER "/lower"
#define UPPER "/upper"
#define ROOT  "/new"

static const struct {
	const char *type;
	const char *at;
	unsigned long flags;
	const char *data;
} own_mounts[] = {
	{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
	{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
	{"devtmpfs", "/dev", MS_NOSUID, ""},
	{"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
	{"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
	{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755"},
	{"tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777"},
};

static const struct {
	const char *target;
	const char *name;
} dev_links[] = {
	{"/proc/self/fd", "/dev/fd"},
	{"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"},
	{"/proc/self/fd/2", "/dev/stderr"},
};

void root_mount_early(void)
{
	for (size_t i = 0; i < 3; i++) {
		mkdir(own_mounts[i].at, 0755);
		if (mount(own_mounts[i].type, own_mounts[i].at, own_mounts[i].type, 0, "") < 0 &&
			errno != EBUSY)
			fail("mount %s: %s", own_mounts[i].at, strerror(errno));
	}
}

void root_load_modules(const struct init_config *c)
{
	for (size_t i = 0; i < c->n_modules; i++) {
		int fd = open(c->modules[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			fail("kernel module %s: %s", c->modules[i], strerror(errno));
		close(fd);
	}
}

static void mount_lower(const char *root)
{
	int ret;

	mkdir(LOWER, 0755);
	if (!strcmp(root, "hostfs"))
		ret = mount("hostfs", LOWER, "hostfs", MS_RDONLY, "/");
	else
		ret = mount(root, LOWER, "virtiofs", MS_RDONLY, "");
	if (ret < 0)
		fail("the root file system (%s): %s", root, strerror(errno));
}

/* Without overlayfs in the kernel the root stays read-only as it is: mount points must exist there. */
static void mount_overlay(void)
{
	mkdir(UPPER, 0755);
	mkdir(ROOT, 0755);
	if (mount("tmpfs", UPPER, "tmpfs", 0, "mode=755") < 0)
		fail("mount tmpfs: %s", strerror(errno));
	mkdir(UPPER "/upper", 0755);
	mkdir(UPPER "/work", 0755);
	if (mount("overlay", ROOT, "overlay", 0,
		    "lowerdir=" LOWER ",upperdir=" UPPER "/upper,workdir=" UPPER "/work") == 0)
		return;
	fprintf(stderr, "overlayfs: %s; the root is read-only\n", strerror(errno));
	if (mount(LOWER, ROOT, NULL, MS_BIND, NULL) < 0)
		fail("bind the root file system: %s", strerror(errno));
}

static void make_dir(const char *path)
{
	char part[4096];

	for (size_t i = 1; i < sizeof(part) && path[i - 1]; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		mkdir(part, 0755);
	}
}

static void mount_own(void)
{
	for (size_t i = 0; i < sizeof(own_mounts) / sizeof(own_mounts[0]); i++) {
		mkdir(own_mounts[i].at, 0755);
		if (mount(own_mounts[i].type, own_mounts[i].at, own_mounts[i].type, own_mounts[i].flags,
			    own_mounts[i].data) < 0)
			fail("mount %s on %s: %s%s", own_mounts[i].type, own_mounts[i].at, strerror(errno),
				errno == ENOENT ? "; the kernel has no overlayfs to make it" : "");
	}
	for (size_t i = 0; i < sizeof(dev_links) / sizeof(dev_links[0]); i++)
		if (symlink(dev_links[i].target, dev_links[i].name) < 0 && errno != EEXIST)
			fail("%s: %s", dev_links[i].name, strerror(errno));
}

/* The host's modules and modprobe are not this kernel's: an empty path makes the kernel ask nobody. */
static void forbid_modprobe(void)
{
	int fd = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "\n", 1) < 0)
		fprintf(stderr, "/proc/sys/kernel/modprobe: %s\n", strerror(errno));
	close(fd);
}

static void loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (fd < 0)
		return;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		fprintf(stderr, "lo: %s\n", strerror(errno));
	close(fd);
}

void root_enter(const struct init_config *c)
{
	static const char name[] = "colofs";

	forbid_modprobe();
	mount_lower(c->root);
	mount_overlay();
	if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		fail("enter the root file system: %s", strerror(errno));
	mount_own();
	loopback_up();
	if (sethostname(name, sizeof(name) - 1) < 0)
		fprintf(stderr, "sethostname: %s\n", strerror(errno));
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes a mount point. Several shares lie in one directory; where the root takes no writes, a tmpfs covers
 * that. */
static bool make_mount_point(const struct init_config *c, const char *at)
{
	char parent[4096];
	size_t n = (size_t)(strrchr(at, '/') - at);

	make_dir(at);
	if (is_dir(at) || c->n_shares == 1 || !n || n >= sizeof(parent))
		return is_dir(at);
	memcpy(parent, at, n);
	parent[n] = '\0';
	if (mount("tmpfs", parent, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return false;
	make_dir(at);
	return is_dir(at);
}

void root_mount_shares(const struct init_config *c)
{
	for (size_t i = 0; i < c->n_shares; i++) {
		const struct init_share *s = &c->shares[i];

		if (!make_mount_point(c, s->at))
			fail("mount point %s: it is no directory in the guest and cannot be made; choose "
			     "another with --at",
				s->at);
		if (mount(s->tag, s->at, "virtiofs", s->readonly ? MS_RDONLY : 0, "") < 0)
			fail("mount share %s on %s: %s", s->tag, s->at, strerror(errno));
	}
}

/* The mount beneath @at that was made last. */
static bool last_beneath(const char *at, char *out, size_t size)
{
	size_t len = strlen(at);
	struct mntent *m;
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	bool found = false;

	while (mounts && (m = getmntent(mounts))) {
		if (strncmp(m->mnt_dir, at, len) || m->mnt_dir[len] != '/')
			continue;
		found = (size_t)snprintf(out, size, "%s", m->mnt_dir) < size;
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* One after the other: Linux 6.1 crashes now and then if mounts of the host's go together with their share's.
 */
static void unmount_beneath(const char *at)
{
	char path[PATH_MAX];

	while (last_beneath(at, path, sizeof(path)) && !umount2(path, MNT_DETACH))
		continue;
}

void root_unmount_shares(const struct init_config *c)
{
	if (chdir("/") < 0)
		return;
	for (size_t i = c->n_shares; i-- > 0;) {
		int fd = open(c->shares[i].at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0) {
			syncfs(fd);
			close(fd);
		}
		unmount_beneath(c->shares[i].at);
		umount2(c->shares[i].at, MNT_DETACH);
	}
}
