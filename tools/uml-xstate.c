/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded into User-Mode Linux on processors whose register state is larger than that kernel's buffer (up
 * to 6.12 it has room for AVX-512 and PKRU; with AMX the state is larger). The host refuses to set a part of
 * the state (EFAULT), and the guest's first program dies of it. Here the part is completed: what lies behind
 * it is AMX, which stays in its initial state, because no program in the guest can ask the host for the
 * permission to use it. One thread: only that of the kernel traces processes.
 */
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned char state[1 << 16];
static size_t state_len; /* the host's full size, or 0: not needed so far */

static long set_completed(pid_t pid, const struct iovec *part)
{
	struct iovec full = {.iov_base = state, .iov_len = state_len};

	memcpy(state, part->iov_base, part->iov_len);
	return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &full);
}

static long set_state(pid_t pid, const struct iovec *part)
{
	struct iovec full = {.iov_base = state, .iov_len = sizeof(state)};
	long ret;

	if (state_len && part->iov_len < state_len)
		return set_completed(pid, part);
	ret = syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, part);
	if (ret == 0 || errno != EFAULT)
		return ret;
	if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &full) < 0)
		return -1;
	if (full.iov_len <= part->iov_len) {
		errno = EFAULT;
		return -1;
	}
	memset(state, 0, full.iov_len);
	state_len = full.iov_len;
	return set_completed(pid, part);
}

/* The kernel's call returns what it peeks through its last argument; glibc's function returns it. */
static long peek(enum __ptrace_request request, pid_t pid, void *addr)
{
	long word = 0;

	if (syscall(SYS_ptrace, request, pid, addr, &word) < 0)
		return -1;
	errno = 0;
	return word;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	pid_t pid;
	void *addr;
	void *data;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (request == PTRACE_SETREGSET && addr == (void *)NT_X86_XSTATE)
		return set_state(pid, data);
	if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER)
		return peek(request, pid, addr);
	return syscall(SYS_ptrace, request, pid, addr, data);
}
