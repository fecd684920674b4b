/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user namespace with mapped ids. The maps are set from outside, by whoever has the right there: root
 * writes them, others ask newuidmap(1) and newgidmap(1), which look at subuid(5) and subgid(5). As there is
 * no way back out, a process for that is forked ahead. What only maps the caller himself needs neither.
 */
#include "sandbox/userns.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "sandbox/stages.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define NO_ID	  UINT32_MAX
#define MAP_BYTES ((size_t)SANDBOX_IDS_MAX * 36) /* three numbers and what separates them */

/* The two kinds of ids. */
struct kind {
	const char *option, *file, *helper, *allowed;
};
static const struct kind users = {"--uid-map", "uid_map", "newuidmap", "subuid(5)"};
static const struct kind groups = {"--gid-map", "gid_map", "newgidmap", "subgid(5)"};

/* A number, which the separator must end. */
static bool take_number(const char **at, char sep, uint32_t *out)
{
	unsigned long long v;
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	v = strtoull(*at, &end, 10);
	if (errno || v > UINT32_MAX || *end != sep)
		return false;
	*out = (uint32_t)v;
	*at = end + 1;
	return true;
}

static bool parse(const char *rule, struct sandbox_id_range *out)
{
	const char *at = rule + 1;
	char sep = *rule;

	if (!ispunct((unsigned char)sep))
		return false;
	return take_number(&at, sep, &out->inside) && take_number(&at, sep, &out->outside) &&
	       take_number(&at, sep, &out->count) && !*at && out->count;
}

/* Both end at the last id at most. */
static bool meet(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
	return a < b + nb && b < a + na;
}

int userns_add(struct sandbox_ids *ids, const char *rule, struct err *err)
{
	struct sandbox_id_range r;

	if (!parse(rule, &r))
		return err_set(err, EINVAL,
			"it is not of its form; write it as :INSIDE:OUTSIDE:COUNT:, for "
			"example :0:100000:65536:");
	if (!arith_within(r.inside, r.count, NO_ID) || !arith_within(r.outside, r.count, NO_ID))
		return err_set(
			err, EINVAL, "it reaches past the last id, %u; give a smaller count", NO_ID - 1);
	for (unsigned int i = 0; i < ids->n; i++)
		if (meet(r.inside, r.count, ids->range[i].inside, ids->range[i].count) ||
			meet(r.outside, r.count, ids->range[i].outside, ids->range[i].count))
			return err_set(
				err, EINVAL, "a rule ahead of it has some of its ids; give each id one rule");
	if (ids->n == SANDBOX_IDS_MAX)
		return err_set(err, EINVAL, "more than %d rules; put ranges together", SANDBOX_IDS_MAX);
	ids->range[ids->n++] = r;
	return 0;
}

bool stage_ids_wanted(const struct sandbox_config *cfg)
{
	return cfg->uids.n || cfg->gids.n;
}

/* What is not mapped by rules: the caller, as what he is. */
static struct sandbox_ids or_own(const struct sandbox_ids *ids, uint32_t own)
{
	return ids->n ? *ids : (struct sandbox_ids){.n = 1, .range = {{own, own, 1}}};
}

static bool only_own(const struct sandbox_ids *ids, uint32_t own)
{
	return ids->n == 1 && ids->range[0].count == 1 && ids->range[0].outside == own;
}

static int write_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
}

static int write_map(pid_t pid, const struct kind *k, const struct sandbox_ids *ids, struct err *err)
{
	char text[MAP_BYTES] = "";
	size_t n = 0;
	int r;

	for (unsigned int i = 0; i < ids->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u %u %u\n", ids->range[i].inside,
			ids->range[i].outside, ids->range[i].count);
	r = write_proc(pid, k->file, text);
	return r ? err_sys(err, -r, "%s: the user namespace does not take the map; map ids that exist here",
			   k->option)
		 : 0;
}

/* argv of the helper: its name, the process, three numbers for each range. */
struct words {
	char text[2 + 3 * SANDBOX_IDS_MAX][12];
	char *argv[3 + 3 * SANDBOX_IDS_MAX];
	unsigned int n;
};

static void add_word(struct words *w, uint32_t number)
{
	snprintf(w->text[w->n], sizeof(w->text[w->n]), "%u", number);
	w->argv[w->n] = w->text[w->n];
	w->n++;
}

/* Its own words would be a second message: they go. */
static int run_quietly(const char *program, char *const argv[], int *status)
{
	posix_spawn_file_actions_t quiet;
	pid_t child;
	int r = posix_spawn_file_actions_init(&quiet);

	if (r)
		return -r;
	r = posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawnp(&child, program, &quiet, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&quiet);
	if (r)
		return -r;
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int ask_helper(pid_t pid, const struct kind *k, const struct sandbox_ids *ids, struct err *err)
{
	struct words w = {.n = 1};
	int status, r;

	snprintf(w.text[0], sizeof(w.text[0]), "%s", k->helper);
	w.argv[0] = w.text[0];
	add_word(&w, (uint32_t)pid);
	for (unsigned int i = 0; i < ids->n; i++) {
		add_word(&w, ids->range[i].inside);
		add_word(&w, ids->range[i].outside);
		add_word(&w, ids->range[i].count);
	}
	r = run_quietly(k->helper, w.argv, &status);
	if (r)
		return err_sys(err, -r, "%s: %s cannot be run; install it (Debian's package uidmap)",
			k->option, k->helper);
	if (status)
		return err_set(err, EPERM, "%s: %s refuses the map; give ids that %s allows this user",
			k->option, k->helper, k->allowed);
	return 0;
}

static int set_map(pid_t pid, const struct kind *k, const struct sandbox_ids *ids, struct err *err)
{
	return geteuid() ? ask_helper(pid, k, ids, err) : write_map(pid, k, ids, err);
}

/* Outside, for the process @pid, which has just left: everything but what that can do itself. */
static int set_maps(const struct sandbox_config *cfg, pid_t pid, struct err *err)
{
	struct sandbox_ids uids = or_own(&cfg->uids, geteuid());
	struct sandbox_ids gids = or_own(&cfg->gids, getegid());
	int r = 0;

	if (!only_own(&uids, geteuid()))
		r = set_map(pid, &users, &uids, err);
	if (!r && !only_own(&gids, getegid()))
		r = set_map(pid, &groups, &gids, err);
	return r;
}

/* Inside; @uid and @gid are the caller's outside. The kernel wants setgroups(2) to be given up for that. */
static int set_own_maps(const struct sandbox_config *cfg, uid_t uid, gid_t gid, struct err *err)
{
	struct sandbox_ids uids = or_own(&cfg->uids, uid);
	struct sandbox_ids gids = or_own(&cfg->gids, gid);
	int r = 0;

	if (only_own(&uids, uid))
		r = write_map(getpid(), &users, &uids, err);
	if (r || !only_own(&gids, gid))
		return r;
	r = write_proc(getpid(), "setgroups", "deny");
	return r ? err_sys(err, -r, "--gid-map: setgroups cannot be given up")
		 : write_map(getpid(), &groups, &gids, err);
}

/* The process that stays: waits until the other has left, and answers with the text of what went wrong. */
__attribute__((noreturn)) static void stay(const struct sandbox_config *cfg, pid_t pid, int go, int answer)
{
	struct err err = {0};
	char word;

	if (read(go, &word, 1) != 1)
		_exit(0);
	if (set_maps(cfg, pid, &err))
		io_write_all(answer, err.text, strlen(err.text));
	_exit(0);
}

/* 0, or what the other process said. */
static int hear(int answer, struct err *err)
{
	struct err said = {0};
	size_t n = 0;
	ssize_t r;

	do {
		r = read(answer, said.text + n, sizeof(said.text) - 1 - n);
		if (r > 0)
			n += (size_t)r;
	} while (r > 0 || (r < 0 && errno == EINTR));
	return n ? err_set(err, EPERM, "%s", said.text) : 0;
}

static int leave(const struct sandbox_config *cfg, int go, int answer, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWUSER))
		return err_sys(err, errno, "no user namespace; leave out --uid-map and --gid-map");
	if (write(go, "", 1) != 1)
		return err_sys(err, errno, "no pipe to the process that maps ids");
	r = hear(answer, err);
	return r ? r : set_own_maps(cfg, uid, gid, err);
}

int stage_userns(const struct sandbox_config *cfg, struct err *err)
{
	pid_t self = getpid(), child;
	int go[2], answer[2], r;

	if (pipe2(go, O_CLOEXEC))
		return err_sys(err, errno, "no pipe");
	autofd int go_in = go[0], go_out = go[1];
	if (pipe2(answer, O_CLOEXEC))
		return err_sys(err, errno, "no pipe");
	autofd int answer_in = answer[0], answer_out = answer[1];
	child = fork();
	if (child < 0)
		return err_sys(err, errno, "fork failed");
	if (!child) {
		close(fd_take(&go_out));
		stay(cfg, self, go_in, answer_out);
	}
	close(fd_take(&go_in));
	close(fd_take(&answer_out));
	r = leave(cfg, go_out, answer_in, err);
	close(fd_take(&go_out));
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* An id that is there: what we are if that is mapped, else root, else the first. */
static uint32_t id_inside(const struct sandbox_ids *ids, uint32_t outside)
{
	for (unsigned int i = 0; i < ids->n; i++)
		if (meet(outside, 1, ids->range[i].outside, ids->range[i].count))
			return ids->range[i].inside + (outside - ids->range[i].outside);
	for (unsigned int i = 0; i < ids->n; i++)
		if (!ids->range[i].inside)
			return 0;
	return ids->n ? ids->range[0].inside : outside;
}

/* Capabilities stay, as these ids were not the namespace's root before. */
int stage_ids(const struct sandbox_config *cfg, uid_t uid, gid_t gid, struct err *err)
{
	struct sandbox_ids uids = or_own(&cfg->uids, uid);
	struct sandbox_ids gids = or_own(&cfg->gids, gid);
	uid_t new_uid = id_inside(&uids, uid);
	gid_t new_gid = id_inside(&gids, gid);

	if (setresgid(new_gid, new_gid, new_gid) || setresuid(new_uid, new_uid, new_uid))
		return err_sys(err, errno, "the ids of the user namespace cannot be taken on");
	return 0;
}
