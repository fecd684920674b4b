/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which socket listens at a path. The kernel is asked for the file that each socket was bound to (unix_diag),
 * which is exact. What /proc/net/unix has is the path that was given to bind(2), which is not: it may be
 * relative, or of a file that is gone; so that is for kernels without unix_diag, and refuses what is in
 * doubt.
 */
#include "listener.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LISTENS	 0x10000 /* flag of a socket in /proc/net/unix */
#define GIVE_PID "give the daemon's process id"

struct search {
	const char *path;
	struct stat st;
	dev_t mounted; /* the file system's number, of which a file's may differ (btrfs, overlay) */
	unsigned long number;
	unsigned int n; /* that fit */
	bool doubt;	/* something may fit, or not */
};

/* What the kernel's structures have, of a number as user space sees it. */
static uint32_t kernel_dev(dev_t dev)
{
	return major(dev) << 20 | minor(dev);
}

static dev_t mounted_dev(const char *path, dev_t otherwise)
{
	unsigned int id, ma, mi;
	struct statx stx;
	char line[4096];
	bool found = false;
	FILE *f;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &stx) || !(stx.stx_mask & STATX_MNT_ID))
		return otherwise;
	f = fopen("/proc/self/mountinfo", "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%u %*u %u:%u", &id, &ma, &mi) == 3 && id == stx.stx_mnt_id;
	if (f)
		fclose(f);
	return found ? makedev(ma, mi) : otherwise;
}

static bool is_file(const struct search *s, const struct unix_diag_vfs *v)
{
	return v->udiag_vfs_ino == (uint32_t)s->st.st_ino &&
	       (v->udiag_vfs_dev == kernel_dev(s->st.st_dev) || v->udiag_vfs_dev == kernel_dev(s->mounted));
}

/* What the kernel says of one socket: @len bytes. */
static void take_socket(struct search *s, const char *said, size_t len)
{
	struct unix_diag_msg m;
	struct unix_diag_vfs v;
	struct rtattr a;

	if (len < sizeof(m))
		return;
	memcpy(&m, said, sizeof(m));
	for (size_t at = NLMSG_ALIGN(sizeof(m)); at + sizeof(a) <= len; at += RTA_ALIGN(a.rta_len)) {
		memcpy(&a, said + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > len - at)
			return;
		if (a.rta_type != UNIX_DIAG_VFS || a.rta_len < RTA_LENGTH(sizeof(v)))
			continue;
		memcpy(&v, said + at + RTA_LENGTH(0), sizeof(v));
		if (is_file(s, &v)) {
			s->number = m.udiag_ino;
			s->n++;
		}
	}
}

/* 1: there is more to come; 0 at the end, or -errno. */
static int take_part(struct search *s, int fd)
{
	char part[32768];
	ssize_t n = TEMP_FAILURE_RETRY(recv(fd, part, sizeof(part), 0));
	struct nlmsghdr h;

	if (n <= 0)
		return n ? -errno : -EPROTO;
	for (size_t at = 0; at + sizeof(h) <= (size_t)n; at += NLMSG_ALIGN(h.nlmsg_len)) {
		int error = 0; /* with which both kinds of end begin */

		memcpy(&h, part + at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > (size_t)n - at)
			return -EPROTO;
		if (h.nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
			memcpy(&error, part + at + NLMSG_HDRLEN, sizeof(error));
		if (h.nlmsg_type == NLMSG_DONE)
			return error < 0 ? error : 0;
		if (h.nlmsg_type == NLMSG_ERROR)
			return error < 0 ? error : -EPROTO;
		if (h.nlmsg_type == SOCK_DIAG_BY_FAMILY)
			take_socket(s, part + at + NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN);
	}
	return 1;
}

/* 0, or -errno where the kernel does not answer. */
static int ask_kernel(struct search *s)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} m = {{.nlmsg_len = sizeof(m),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		{.sdiag_family = AF_UNIX, .udiag_states = 1u << TCP_LISTEN, .udiag_show = UDIAG_SHOW_VFS}};
	autofd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	int r = 1;

	if (fd < 0 || send(fd, &m, sizeof(m), 0) < 0)
		return -errno;
	while (r > 0)
		r = take_part(s, fd);
	return r;
}

/* Whether a relative path, from a directory that is not known, may lead to what is at @path. */
static bool may_lead_to(const char *bound, const char *path)
{
	const char *name = strrchr(bound, '/');
	char real[PATH_MAX];

	return realpath(path, real) && !strcmp(name ? name + 1 : bound, strrchr(real, '/') + 1);
}

static void compare_path(struct search *s, const char *bound, unsigned long number)
{
	struct stat st;

	if (*bound != '/') {
		s->doubt |= may_lead_to(bound, s->path);
	} else if (!stat(bound, &st) && st.st_dev == s->st.st_dev && st.st_ino == s->st.st_ino) {
		s->number = number;
		s->n++;
	}
}

static void compare_paths(struct search *s)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512], bound[256];
	unsigned long number;
	unsigned int flags;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %255[^\n]", &flags, &number, bound) == 3 &&
			flags & LISTENS)
			compare_path(s, bound, number);
	if (f)
		fclose(f);
}

int listener_find(const char *path, unsigned long *number, struct err *err)
{
	struct search s = {.path = path};

	if (stat(path, &s.st))
		return err_sys(err, errno, "%s cannot be found; name the daemon's --socket-path", path);
	if (!S_ISSOCK(s.st.st_mode))
		return err_set(err, ENOTSOCK, "%s is no socket; name the daemon's --socket-path", path);
	s.mounted = mounted_dev(path, s.st.st_dev);
	if (ask_kernel(&s)) {
		s.n = 0;
		compare_paths(&s);
	}
	*number = s.number;
	if (s.doubt)
		return err_set(err, EOPNOTSUPP,
			"%s: this kernel (without unix_diag) does not tell whose it is, as a socket was "
			"bound by a "
			"relative path; " GIVE_PID,
			path);
	if (s.n > 1)
		return err_set(err, EEXIST, "%s: %u sockets listen there; " GIVE_PID, path, s.n);
	return s.n ? 0
		   : err_set(err, ENOENT,
			     "%s: nobody listens there; start colofsd, or " GIVE_PID
			     " if it was started in a container",
			     path);
}
