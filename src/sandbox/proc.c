/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /proc for a sandbox: a mount of its own that is attached nowhere, so that .. ends at its root. A descriptor
 * of the usual one would lead by .. to /proc/sys, where root needs no capability to write, and in a chroot to
 * the whole host. It shows processes only, and of these none that we could not ptrace, which are ours alone.
 */
#include "sandbox/stages.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

static int set(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

/*
 * A descriptor of its root, or -errno. Nothing of it can be written, as code can be by /proc/self/mem, unless
 * @labels for new files are; before Linux 5.8, where it cannot show less, not even these.
 */
static int mount_proc(bool labels)
{
	unsigned int attr =
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (labels ? 0 : MOUNT_ATTR_RDONLY);
	autofd int fs = fsopen("proc", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return -errno;
	if (set(fs, "subset", "pid") || set(fs, "hidepid", "ptraceable"))
		attr |= MOUNT_ATTR_RDONLY;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	return fd < 0 ? -errno : fd;
}

int stage_proc(const struct sandbox_config *cfg, int *proc_self_fd, struct err *err)
{
	bool may_be_hosts = cfg->mode == SANDBOX_CHROOT;
	autofd int root = mount_proc(cfg->labels);

	if (root < 0 && !may_be_hosts)
		return err_sys(err, -root,
			"/proc cannot be mounted; give --sandbox=chroot or none where namespaces cannot be "
			"had");
	if (root < 0) {
		log_info("the host's /proc stays within reach: no other can be mounted (%s)",
			strerrordesc_np(-root));
		*proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else {
		*proc_self_fd = openat(root, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return *proc_self_fd < 0 ? err_sys(err, errno, "/proc/self/fd") : 0;
}
