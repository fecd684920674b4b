/* SPDX-License-Identifier: BSD-3-Clause */
#include "sandbox/stages.h"

#include "base/arith.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct rule {
	int number;
	const char *name, *user;
	int error; /* 0: allowed */
	bool conditional;
	bool supervisor; /* not for a worker */
	bool own;	 /* upon itself, except for a supervisor */
	unsigned int arg;
	uint64_t mask, value;
};

#define SYSCALL(call, who)	      {.number = SCMP_SYS(call), .name = #call, .user = (who)},
#define SYSCALL_NUMBER(nr, call, who) {.number = (nr), .name = #call, .user = (who)},
#define SYSCALL_FAILS(call, err, who) \
	{.number = SCMP_SYS(call), .name = #call, .user = (who), .error = (err)},
#define SYSCALL_IF(call, a, m, v, who) \
	{.number = SCMP_SYS(call),     \
		.name = #call,         \
		.user = (who),         \
		.conditional = true,   \
		.arg = (a),            \
		.mask = (m),           \
		.value = (v)},
#define SYSCALL_SUPERVISOR(call, a, m, v, who) \
	{.number = SCMP_SYS(call),             \
		.name = #call,                 \
		.user = (who),                 \
		.conditional = (m) != 0,       \
		.supervisor = true,            \
		.arg = (a),                    \
		.mask = (m),                   \
		.value = (v)},
#define SYSCALL_OWN(call, who) {.number = SCMP_SYS(call), .name = #call, .user = (who), .own = true},
/* Where clone(2) has its flags: s390 alone has the stack first. */
#ifdef __s390__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif
static const struct rule rules[] = {
#include "sandbox/syscalls.h"
};

static uint32_t default_action(enum sandbox_seccomp mode)
{
	switch (mode) {
	case SANDBOX_SECCOMP_LOG:
		return SCMP_ACT_LOG;
	case SANDBOX_SECCOMP_TRAP:
		return SCMP_ACT_TRAP;
	case SANDBOX_SECCOMP_NONE:
	case SANDBOX_SECCOMP_KILL:
		break;
	}
	return SCMP_ACT_KILL_PROCESS;
}

/* What is compared; false: nothing, all calls are meant. */
static bool condition(const struct rule *rule, enum sandbox_role role, struct scmp_arg_cmp *cmp)
{
	uint64_t self = (uint64_t)getpid();

	*cmp = (struct scmp_arg_cmp){rule->arg, SCMP_CMP_MASKED_EQ, rule->mask, rule->value};
	if (!rule->own || role == SANDBOX_SUPERVISOR)
		return rule->conditional;
	*cmp = role == SANDBOX_WORKER ? (struct scmp_arg_cmp){0, SCMP_CMP_NE, self, 0}
				      : (struct scmp_arg_cmp){0, SCMP_CMP_MASKED_EQ, UINT32_MAX, self};
	return true;
}

static int add_rule(scmp_filter_ctx ctx, const struct rule *rule, enum sandbox_role role, uint32_t action)
{
	struct scmp_arg_cmp cmp;
	bool some = condition(rule, role, &cmp);

	return seccomp_rule_add_array(ctx, rule->error ? SCMP_ACT_ERRNO((uint32_t)rule->error) : action,
		rule->number, some, some ? &cmp : NULL);
}

/* A worker has the supervisor's filter already, and gets one that takes away what is not for it. */
static bool belongs(const struct rule *rule, enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_SUPERVISOR:
		return true;
	case SANDBOX_WORKER:
		return rule->supervisor || rule->own;
	case SANDBOX_ALONE:
		break;
	}
	return !rule->supervisor;
}

static int fill_and_load(
	scmp_filter_ctx ctx, const struct sandbox_config *cfg, enum sandbox_role role, struct err *err)
{
	uint32_t action = role == SANDBOX_WORKER ? default_action(cfg->seccomp) : SCMP_ACT_ALLOW;
	int r;

	/* System calls of another ABI end the process too. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree of comparisons instead of a chain: the filter runs ahead of each system call. */
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* A worker that goes on from another may have begun to close descriptors on a thread of its own. */
	if (!r && role == SANDBOX_WORKER)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (unsigned int i = 0; i < ARRAY_LEN(rules) && !r; i++) {
		r = belongs(&rules[i], role) ? add_rule(ctx, &rules[i], role, action) : 0;
		if (r)
			return err_sys(err, -r, "seccomp: no rule for %s (%s)", rules[i].name, rules[i].user);
	}
	if (!r)
		r = seccomp_load(ctx);
	return r ? err_sys(err, -r,
			   "seccomp: the filter cannot be set; give --seccomp=none where it cannot be had")
		 : 0;
}

int stage_seccomp(const struct sandbox_config *cfg, enum sandbox_role role, struct err *err)
{
	scmp_filter_ctx ctx;
	int r;

	if (cfg->seccomp == SANDBOX_SECCOMP_NONE)
		return 0;
	ctx = seccomp_init(role == SANDBOX_WORKER ? SCMP_ACT_ALLOW : default_action(cfg->seccomp));
	if (!ctx)
		return err_set(err, ENOMEM, "seccomp: no memory for the filter");
	r = fill_and_load(ctx, cfg, role, err);
	seccomp_release(ctx);
	return r;
}
