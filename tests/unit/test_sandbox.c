/* SPDX-License-Identifier: BSD-3-Clause */
/* What a locked process can still do, each asked of a child. Entering namespaces is tested in tests/cli. */
#include "base/arith.h"
#include "base/cleanup.h"
#include "sandbox/caps.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LOCK_FAILED 99

/* A sanitizer's library makes system calls of its own, which the filter does not allow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

/* Runs @body in a child that is locked with @cfg. Returns waitpid()'s status. */
static int run_locked(const struct sandbox_config *cfg, int (*body)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct err err;

		alarm(10);
		signal(SIGSYS, SIG_DFL); /* cmocka's handler would go on in the child */
		if (sandbox_lock(cfg, SANDBOX_ALONE, NULL, &err))
			_exit(LOCK_FAILED);
		_exit(body());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int locked(enum sandbox_seccomp seccomp, int (*body)(void))
{
	const struct sandbox_config cfg = {.seccomp = seccomp};

	return run_locked(&cfg, body);
}

static void *thread(void *arg)
{
	*(int *)arg = (int)syscall(SYS_unshare, CLONE_FS);
	return NULL;
}

static int what_is_needed(void)
{
	autofd int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	pthread_t t;
	int r = 1;

	if (file < 0 || pthread_create(&t, NULL, thread, &r) || pthread_join(t, NULL) || r)
		return 1;
	if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 2;
	if (socket(AF_UNIX, SOCK_STREAM, 0) != -1 || errno != EACCES)
		return 3;
	if (pthread_kill(pthread_self(), 0) || raise(SIGCONT) || prlimit(0, RLIMIT_CORE, NULL, NULL))
		return 5;
	if (ioctl(file, FS_IOC_GETFLAGS, &r) != -1 || (errno != ENOTTY && errno != EPERM))
		return 4;
	return 0;
}

static int call_execve(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int call_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0;
}

static int call_mount_namespace(void)
{
	return (int)syscall(SYS_unshare, CLONE_NEWNS);
}

static int call_fs_and_more(void)
{
	return (int)syscall(SYS_unshare, CLONE_FS | CLONE_NEWUSER);
}

static int call_ptrace(void)
{
	return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static int call_other_ioctl(void)
{
	return ioctl(0, TCGETS, 0);
}

static int call_mount(void)
{
	return (int)syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static int call_chroot(void)
{
	return (int)syscall(SYS_chroot, "/");
}

static int call_kill(void)
{
	return (int)syscall(SYS_kill, getppid(), 0);
}

static int call_tgkill(void)
{
	return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static int call_set_owner(void)
{
	return fcntl(0, F_SETOWN, getppid());
}

static int call_limit_another(void)
{
	return prlimit(getppid(), RLIMIT_CPU, NULL, NULL);
}

static int call_mmap_to_execute(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int call_mprotect_to_execute(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static void test_needed(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(locked(SANDBOX_SECCOMP_KILL, what_is_needed), 0);
	assert_int_equal(locked(SANDBOX_SECCOMP_TRAP, what_is_needed), 0);
}

static void test_not_needed(void **state)
{
	static int (*const calls[])(void) = {
		call_execve,
		call_fork,
		call_mount_namespace,
		call_fs_and_more,
		call_ptrace,
		call_other_ioctl,
		call_mount,
		call_chroot,
		call_kill,
		call_tgkill,
		call_set_owner,
		call_limit_another,
		call_mmap_to_execute,
		call_mprotect_to_execute,
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(calls); i++) {
		int kill = locked(SANDBOX_SECCOMP_KILL, calls[i]);
		int trap = locked(SANDBOX_SECCOMP_TRAP, calls[i]);

		if (!WIFSIGNALED(kill) || WTERMSIG(kill) != SIGSYS)
			fail_msg("call %u ended with status %#x", i, (unsigned int)kill);
		if (!WIFSIGNALED(trap) || WTERMSIG(trap) != SIGSYS)
			fail_msg("call %u, trapped, ended with status %#x", i, (unsigned int)trap);
	}
	assert_true(WIFEXITED(locked(SANDBOX_SECCOMP_LOG, call_ptrace)));
	assert_int_equal(locked(SANDBOX_SECCOMP_NONE, call_fork), 0);
}

static int signals_itself(void)
{
	return pthread_kill(pthread_self(), 0) || raise(SIGCONT) ? 1 : 0;
}

/* @body in a worker of a supervisor, which may do what its worker may not. */
static int in_worker(int (*body)(void), pid_t above)
{
	const struct sandbox_config cfg = {.seccomp = SANDBOX_SECCOMP_KILL};
	pid_t child;
	int status;
	struct err err;

	if (sandbox_lock(&cfg, SANDBOX_SUPERVISOR, NULL, &err))
		return LOCK_FAILED;
	if (syscall(SYS_tgkill, above, above, 0))
		return 1;
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (!child)
		_exit(sandbox_lock(&cfg, SANDBOX_WORKER, NULL, &err) ? LOCK_FAILED : body());
	if (waitpid(child, &status, 0) != child)
		return 2;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 100 + WEXITSTATUS(status);
}

static int worker_ended(int (*body)(void))
{
	pid_t above = getpid(), child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		alarm(10);
		signal(SIGSYS, SIG_DFL);
		_exit(in_worker(body, above));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static pid_t other; /* which a worker cannot ask for */

static int call_tgkill_other(void)
{
	return (int)syscall(SYS_tgkill, other, other, 0);
}

static int call_tgkill_elsewhere(void)
{
	return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static void test_worker(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	other = getpid();
	assert_int_equal(worker_ended(signals_itself), 100);
	assert_int_equal(worker_ended(call_tgkill_other), SIGSYS);
	assert_int_equal(worker_ended(call_tgkill_elsewhere), SIGSYS);
	assert_int_equal(worker_ended(call_fork), SIGSYS);
}

/* The capabilities that are in effect: as many of those listed as we had. */
static int only_listed(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	uint64_t got;

	if (syscall(SYS_capget, &h, d))
		return 1;
	got = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	if (got & ~UINT64_C(0x880000db) || d[0].inheritable || d[1].inheritable)
		return 2;
	return 0;
}

static void test_caps(void **state)
{
	struct sandbox_config cfg = {.seccomp = SANDBOX_SECCOMP_NONE};

	(void)state;
	assert_int_equal(run_locked(&cfg, only_listed), 0);
	cfg.modcaps = "-chown:-CAP_MKNOD";
	assert_int_equal(run_locked(&cfg, only_listed), 0);
	assert_false(caps_will_keep(&cfg, CAP_CHOWN));
	assert_false(caps_will_keep(&cfg, CAP_SYS_ADMIN));
	assert_false(caps_will_keep(&cfg, CAP_DAC_READ_SEARCH));
	cfg.file_handles = true;
	assert_int_equal(caps_will_keep(&cfg, CAP_DAC_READ_SEARCH), !geteuid());
	cfg.modcaps = "-chown:+chown";
	assert_int_equal(caps_will_keep(&cfg, CAP_CHOWN), !geteuid());
}

/* Landlock, in a child with a share of its own beside which there is a file. */
static char share[] = "/tmp/test-sandbox-XXXXXX";

static struct sandbox_root share_root(void)
{
	char inside[64];

	snprintf(inside, sizeof(inside), "%s/share", share);
	return (struct sandbox_root){.root = open(inside, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.proc_self_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.parent = -1};
}

static int make_share(void **state)
{
	struct sandbox_root r;
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(share));
	snprintf(path, sizeof(path), "%s/share", share);
	assert_int_equal(mkdir(path, 0755), 0);
	r = share_root();
	assert_int_equal(mkdirat(r.root, "a", 0755) || mkdirat(r.root, "b", 0755), 0);
	close(openat(r.root, "a/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	close(openat(r.root, "../secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	close(r.root);
	close(r.proc_self_fd);
	return 0;
}

static int remove_share(void **state)
{
	static const char *const names[] = {
		"share/b/g", "share/a/f", "share/a/t", "share/a", "share/b", "share", "secret"};
	int dir = open(share, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(dir, names[i], 0))
			unlinkat(dir, names[i], AT_REMOVEDIR);
	close(dir);
	return rmdir(share);
}

static int inside_works(int root, int proc)
{
	char name[16];
	int path = openat(root, "a/f", O_PATH | O_CLOEXEC);
	int fd;

	snprintf(name, sizeof(name), "%d", path);
	fd = openat(proc, name, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0))
		return 10;
	if (renameat(root, "a/f", root, "b/g") || linkat(root, "b/g", root, "a/f", 0))
		return 11;
	if (symlinkat("x", root, "a/t") || unlinkat(root, "a/t", 0) || mkdirat(root, "a/t", 0755) ||
		unlinkat(root, "a/t", AT_REMOVEDIR))
		return 12;
	if (mknodat(root, "a/t", S_IFIFO | 0600, 0) || unlinkat(root, "a/t", 0))
		return 13;
	return openat(proc, "../mountinfo", O_RDONLY | O_CLOEXEC) < 0 ? 14 : 0;
}

static int outside_does_not(int root)
{
	if (openat(root, "../secret", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return 20;
	if (openat(root, "../new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
		return 21;
	if (!unlinkat(root, "../secret", 0) || !mkdirat(root, "../dir", 0700))
		return 22;
	if (!linkat(root, "../secret", root, "a/t", 0) || !renameat(root, "a/f", root, "../f"))
		return 23;
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 24 : 0;
}

static int in_landlock(bool readonly, bool handles)
{
	const struct sandbox_config cfg = {
		.seccomp = SANDBOX_SECCOMP_NONE, .readonly = readonly, .file_handles = handles};
	struct sandbox_root root = share_root();
	struct err err;
	int r;

	if (sandbox_lock(&cfg, SANDBOX_ALONE, &root, &err))
		return LOCK_FAILED;
	if (handles)
		return openat(root.root, "../secret", O_RDONLY | O_CLOEXEC) < 0;
	if (readonly && (openat(root.root, "a/f", O_RDONLY | O_CLOEXEC) < 0 ||
				openat(root.root, "a/f", O_WRONLY | O_CLOEXEC) >= 0))
		return 30;
	r = readonly ? 0 : inside_works(root.root, root.proc_self_fd);
	return r ? r : outside_does_not(root.root);
}

static int child_status(bool readonly, bool handles)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(in_landlock(readonly, handles));
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void test_landlock(void **state)
{
	(void)state;
	if (syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1) < 2)
		skip();
	assert_int_equal(child_status(false, false), 0);
	assert_int_equal(child_status(true, false), 0);
	assert_int_equal(child_status(false, true), 0);
}

/* A capability that is asked for by name and is not there is an error, not left out. */
static void test_caps_missing(void **state)
{
	const struct sandbox_config cfg = {.seccomp = SANDBOX_SECCOMP_NONE, .modcaps = "+sys_module"};
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		struct sandbox_config first = {.seccomp = SANDBOX_SECCOMP_NONE};
		struct err err;

		if (sandbox_lock(&first, SANDBOX_ALONE, NULL, &err))
			_exit(1);
		_exit(sandbox_lock(&cfg, SANDBOX_ALONE, NULL, &err) == -EPERM &&
					strstr(err.text, "--modcaps=+sys_module")
				? 0
				: 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_modcaps(void **state)
{
	static const char *const good[] = {
		"+sys_admin", "-chown", "+SYS_ADMIN:-cap_chown", "+cap_Setuid:-setuid"};
	static const char *const bad[] = {"", "+", ":", "chown", "+chown:", "+nosuch", "=chown",
		"+chown,-mknod", "+1", "+capchown", "++chown",
		"+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct err err;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(caps_check(good[i], &err), 0);
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
		if (caps_check(bad[i], &err) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needed),
		cmocka_unit_test(test_not_needed),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_caps_missing),
		cmocka_unit_test(test_modcaps),
		cmocka_unit_test_setup_teardown(test_landlock, make_share, remove_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
