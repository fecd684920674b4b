/* SPDX-License-Identifier: BSD-3-Clause */
#include "sandbox/stages.h"

#include "base/arith.h"

#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>

struct rule {
	int number;
	const char *name, *user;
	int error; /* 0: allowed */
	bool conditional;
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

static int add_rule(scmp_filter_ctx ctx, const struct rule *rule)
{
	uint32_t action = rule->error ? SCMP_ACT_ERRNO((uint32_t)rule->error) : SCMP_ACT_ALLOW;
	struct scmp_arg_cmp cmp = {rule->arg, SCMP_CMP_MASKED_EQ, rule->mask, rule->value};

	return seccomp_rule_add_array(
		ctx, action, rule->number, rule->conditional, rule->conditional ? &cmp : NULL);
}

static int fill_and_load(scmp_filter_ctx ctx, struct err *err)
{
	int r;

	/* System calls of another ABI end the process too. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A tree of comparisons instead of a chain: the filter runs ahead of each system call. */
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (unsigned int i = 0; i < ARRAY_LEN(rules) && !r; i++) {
		r = add_rule(ctx, &rules[i]);
		if (r)
			return err_sys(err, -r, "seccomp: no rule for %s (%s)", rules[i].name, rules[i].user);
	}
	if (!r)
		r = seccomp_load(ctx);
	return r ? err_sys(err, -r,
			   "seccomp: the filter cannot be set; give --seccomp=none where it cannot be had")
		 : 0;
}

int stage_seccomp(const struct sandbox_config *cfg, struct err *err)
{
	scmp_filter_ctx ctx;
	int r;

	if (cfg->seccomp == SANDBOX_SECCOMP_NONE)
		return 0;
	ctx = seccomp_init(default_action(cfg->seccomp));
	if (!ctx)
		return err_set(err, ENOMEM, "seccomp: no memory for the filter");
	r = fill_and_load(ctx, err);
	seccomp_release(ctx);
	return r;
}
