/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the daemon as if on an old kernel: what is newer than Linux 5.4 answers ENOSYS, and so do calls that a
 * host may lack for other reasons, each as such a host would answer. Takes the daemon's place and its
 * arguments; the environment's OLD_KERNEL_PROGRAM is the daemon itself. With OLD_KERNEL_MORE, calls are
 * missing too that guests do without in a way of their own.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By number where the library is older than the call. Numbers from 424 on are the same everywhere. */
static const struct missing {
	int number, error;
} missing[] = {
	/* Linux 5.6 to 5.14 */
	{SCMP_SYS(clone3), ENOSYS},
	{SCMP_SYS(close_range), ENOSYS},
	{SCMP_SYS(openat2), ENOSYS},
	{SCMP_SYS(pidfd_getfd), ENOSYS},
	{SCMP_SYS(faccessat2), ENOSYS},
	{SCMP_SYS(process_madvise), ENOSYS},
	{SCMP_SYS(epoll_pwait2), ENOSYS},
	{SCMP_SYS(mount_setattr), ENOSYS},
	{444, ENOSYS}, /* landlock_create_ruleset */
	{445, ENOSYS},
	{446, ENOSYS},
	{447, ENOSYS}, /* memfd_secret */
	{448, ENOSYS}, /* process_mrelease */
	/* later */
	{449, ENOSYS}, /* futex_waitv */
	{450, ENOSYS},
	{451, ENOSYS}, /* cachestat */
	{452, ENOSYS}, /* fchmodat2 */
	{453, ENOSYS},
	{457, ENOSYS}, /* statmount */
	{458, ENOSYS}, /* listmount */
	{463, ENOSYS}, /* setxattrat */
	{464, ENOSYS},
	{465, ENOSYS},
	{466, ENOSYS}, /* removexattrat */
	{468, ENOSYS}, /* file_getattr */
	{469, ENOSYS}, /* file_setattr */
	/* not on every file system, nor in every container */
	{SCMP_SYS(name_to_handle_at), EOPNOTSUPP},
	{SCMP_SYS(userfaultfd), ENOSYS},
};

static const struct missing more[] = {
	{SCMP_SYS(renameat2), ENOSYS},
	{SCMP_SYS(copy_file_range), ENOSYS},
	{SCMP_SYS(fallocate), EOPNOTSUPP},
};

static int add(scmp_filter_ctx ctx, const struct missing *m, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((uint32_t)m[i].error), m[i].number, 0);
	return r;
}

static int add_all(scmp_filter_ctx ctx)
{
	int r = add(ctx, missing, sizeof(missing) / sizeof(*missing));

	if (!r && getenv("OLD_KERNEL_MORE"))
		r = add(ctx, more, sizeof(more) / sizeof(*more));
	/* Reading without waiting is the file system's to offer. */
	if (!r)
		r = seccomp_rule_add(
			ctx, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(preadv2), 1, SCMP_A5(SCMP_CMP_NE, 0));
	return r;
}

static int install(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? add_all(ctx) : -ENOMEM;

	/* Root may do without no_new_privs, which would keep the daemon from starting newuidmap(1). */
	if (!r && !geteuid())
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int main(int argc, char **argv)
{
	char *program = getenv("OLD_KERNEL_PROGRAM");
	int r;

	(void)argc;
	if (!program) {
		fprintf(stderr, "OLD_KERNEL_PROGRAM names no program\n");
		return 2;
	}
	r = install();
	if (r) {
		fprintf(stderr, "no filter: %s\n", strerrordesc_np(-r));
		return 1;
	}
	execv(program, argv);
	perror(program);
	return 127;
}
