/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_check.h"

#include "base/arith.h"
#include "base/tune.h"
#include "daemon/notify.h"
#include "fs/idmap.h"
#include "fs/xattrmap.h"
#include "sandbox/caps.h"
#include "sandbox/userns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_QUEUES 8

#define ACCESS_ACL "system.posix_acl_access"

static int err_rule(int r, const char *name, const char *rule, struct err *err)
{
	return r ? err_prefix(err, r, "--%s=%.64s", name, rule) : 0;
}

static bool on_locks(const struct options *o)
{
	return o->fuse.posix_locks || o->fuse.flock_locks;
}

/* What excludes what. A rule that holds ends the start with its message. */
static const char *broken_rule(const struct options_parse *p)
{
	const struct options *o = p->o;
	const bool *given = p->given;

	if (!o->sandbox.shared_dir)
		return "--shared-dir is missing; name the directory to share: --shared-dir=DIR";
	if (o->socket_path && o->fd != OPTIONS_NO_FD)
		return "--fd excludes --socket-path; give one of them";
	if (!o->socket_path && o->fd == OPTIONS_NO_FD)
		return "--socket-path is missing; name the socket to listen on: --socket-path=PATH, or "
		       "--fd=N";
	if (o->socket_group && !o->socket_path)
		return "--socket-group needs --socket-path; with --fd whoever made the socket sets its group";
	if (o->fuse.zero_message_open && o->fuse.cache != FUSE_CACHE_ALWAYS)
		return "--zero-message-open needs --cache=always; add that, or leave it out";
	if (o->fuse.zero_message_open &&
		((given[OPT_POSIX_LOCK] && o->fuse.posix_locks) || (given[OPT_FLOCK] && o->fuse.flock_locks)))
		return "--zero-message-open excludes --posix-lock and --flock; leave out one or the other";
	if (given[OPT_XATTR] && !o->fuse.xattr && o->posix_acl != OPTIONS_OFFER_NEVER)
		return "--posix-acl needs extended attributes; leave out --no-xattr";
	if (given[OPT_XATTR] && !o->fuse.xattr && o->security_label != OPTIONS_OFFER_NEVER)
		return "--security-label needs extended attributes; leave out --no-xattr";
	if (given[OPT_XATTR] && !o->fuse.xattr && given[OPT_XATTRMAP])
		return "--xattrmap needs extended attributes; leave out --no-xattr";
	if ((given[OPT_UID_MAP] || given[OPT_GID_MAP]) && o->sandbox.mode != SANDBOX_NAMESPACE)
		return "--uid-map and --gid-map need --sandbox=namespace; add that, or start the daemon in a "
		       "user namespace (unshare --map-auto -r)";
	if (o->dax.window && (!arith_is_pow2(o->dax.window) || o->dax.window < DAX_RANGE))
		return "--dax-window must be a power of two, 2M at least; give such a size";
	if (o->dax.window && o->sandbox.readonly)
		return "--dax-window excludes --readonly: front-ends let a guest write to what it maps; "
		       "leave "
		       "out one of them";
	if (o->dax.window && o->fuse.zero_message_open)
		return "--dax-window excludes --zero-message-open; leave out one of them";
	if (o->dax.window && o->vhost.persistent)
		return "--dax-window excludes --persistent: what is mapped goes with the front-end; leave "
		       "out "
		       "one of them";
	if (o->exit_on_disconnect && o->vhost.persistent)
		return "--exit-on-disconnect excludes --persistent; leave out one of them";
	if (o->fd != OPTIONS_NO_FD && o->fd <= STDERR_FILENO && o->daemonize)
		return "--fd names a standard stream, which --daemonize gives up; use another descriptor";
	return NULL;
}

static uint32_t default_queues(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : MIN((uint32_t)cpus, DEFAULT_QUEUES);
}

static void derive_fuse(struct options *o)
{
	o->fuse.attr_timeout = o->timeout;
	o->fuse.entry_timeout = o->timeout;
	o->fuse.posix_acl = o->posix_acl != OPTIONS_OFFER_NEVER;
	o->fuse.security_label = o->security_label != OPTIONS_OFFER_NEVER;
	o->fuse.posix_acl_required = o->posix_acl == OPTIONS_OFFER_ALWAYS;
	o->fuse.security_label_required = o->security_label == OPTIONS_OFFER_ALWAYS;
	o->fuse.xattr |= o->fuse.posix_acl || o->fuse.security_label || o->xattrmap;
	o->fuse.readonly = o->sandbox.readonly;
	if (o->fuse.writeback && (o->fuse.cache == FUSE_CACHE_NEVER || o->fuse.cache == FUSE_CACHE_METADATA))
		o->remark = "--writeback has no effect with --cache=never or metadata, which cache no data";
	if (o->fuse.zero_message_open && on_locks(o)) {
		o->fuse.posix_locks = false;
		o->fuse.flock_locks = false;
	}
}

/* The rules that the layers work with, from the words of the command line. */
static int compile_ids(
	const char *name, const struct options_rules *rules, struct idmap **out, struct err *err)
{
	int r = 0;

	if (!rules->n)
		return 0;
	*out = idmap_new();
	if (!*out)
		return err_set(err, ENOMEM, "no memory for the rules");
	for (unsigned int i = 0; i < rules->n && !r; i++)
		r = err_rule(idmap_add(*out, rules->rule[i], err), name, rules->rule[i], err);
	return r;
}

static int compile_map(
	const char *name, const struct options_rules *rules, struct sandbox_ids *out, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < rules->n && !r; i++)
		r = err_rule(userns_add(out, rules->rule[i], err), name, rules->rule[i], err);
	return r;
}

static int set_tune(const struct options_rules *rules, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i < rules->n && !r; i++)
		r = tune_parse(rules->rule[i], err);
	return r ? err_prefix(err, r, "--tune") : 0;
}

static int compile(struct options *o, struct err *err)
{
	int r = 0;

	if (o->xattrmap_text)
		r = xattrmap_new(o->xattrmap_text, &o->xattrmap, err);
	if (r)
		return err_prefix(err, r, "--xattrmap");
	r = compile_ids("translate-uid", &o->translate_uid, &o->uids, err);
	if (!r)
		r = compile_ids("translate-gid", &o->translate_gid, &o->gids, err);
	if (!r)
		r = compile_map("uid-map", &o->uid_map, &o->sandbox.uids, err);
	if (!r)
		r = compile_map("gid-map", &o->gid_map, &o->sandbox.gids, err);
	if (!r)
		r = set_tune(&o->tune, err);
	return r;
}

/* The host neither enforces nor inherits what it does not know as an ACL. */
static bool hides_acls(const struct options *o)
{
	char host[XATTR_NAME_MAX + 1];

	return o->posix_acl != OPTIONS_OFFER_NEVER &&
	       (xattrmap_to_host(o->xattrmap, ACCESS_ACL, host) || strcmp(host, ACCESS_ACL));
}

static void derive_dax(struct options *o)
{
	if (!o->dax.window && (o->dax.policy == DAX_ALWAYS || o->dax_trust_peers))
		o->remark = "--dax and --dax-trust-peers have no effect without "
			    "--dax-window";
	if (o->dax.policy == DAX_NEVER)
		o->dax.window = 0;
	o->dax.window = dax_window_size(o->dax.window, o->dax.max_mappings);
	o->dax.claims = -1;
	o->vhost.shmem[0] = o->dax.window;
	o->fuse.dax_align = o->dax.window ? DAX_ALIGN : 0;
	if (o->dax.window && o->dax.policy == DAX_ALWAYS)
		o->remark =
			"--dax=always also maps files that end within a page: their ends are copies, which "
			"reach the host when the guest syncs or closes them";
}

static void derive(struct options *o)
{
	derive_fuse(o);
	o->fs.readonly = o->sandbox.readonly;
	o->fs.xattr = o->fuse.xattr;
	o->fs.xattrmap = o->xattrmap;
	o->fs.uids = o->uids;
	o->fs.gids = o->gids;
	if (hides_acls(o))
		o->remark = "--xattrmap gives ACLs another name: they are kept for the guest, but new files "
			    "do not inherit them, and modes do not follow them";
	o->fs.sync_on_syncfs = true;
	derive_dax(o);
	o->sandbox.syslog = o->syslog;
	o->vhost.request_queues = o->queues ? o->queues : default_queues();
	if (o->tag)
		snprintf(o->vhost.tag, sizeof(o->vhost.tag), "%s", o->tag);
}

/* Where the command line names no socket, the service manager may have one for us. */
static int find_socket(struct options *o, struct err *err)
{
	struct notify_passed passed;
	int r = notify_passed(&passed, err);

	if (r && (o->socket_path || o->fd != OPTIONS_NO_FD))
		r = 0;
	else if (passed.socket && !o->socket_path && o->fd == OPTIONS_NO_FD)
		o->fd = (uint32_t)passed.socket;
	if (passed.store)
		o->store = (uint32_t)passed.store;
	if (passed.line && passed.socket) {
		o->line = (uint32_t)passed.line;
		o->fd = (uint32_t)passed.socket;
		o->socket_path = o->pid_file = o->socket_group = NULL;
		o->daemonize = false;
	}
	return r;
}

int options_check(struct options_parse *p)
{
	const char *broken;
	int r = 0;

	if (p->o->action != OPTIONS_RUN)
		return 0;
	r = find_socket(p->o, p->err);
	if (r)
		return r;
	broken = broken_rule(p);
	if (broken)
		return err_set(p->err, EINVAL, "%s", broken);
	if (p->o->sandbox.modcaps)
		r = caps_check(p->o->sandbox.modcaps, p->err);
	if (r)
		return err_prefix(p->err, r, "--modcaps=%s", p->o->sandbox.modcaps);
	r = compile(p->o, p->err);
	if (r)
		return r;
	derive(p->o);
	return 0;
}
