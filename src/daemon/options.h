/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the command line asks for, as the configurations of the layers that do it. One table
 * (options_table.c) drives parsing, --help, the man page and shell completion. Control thread, at start.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/err.h"
#include "base/log.h"
#include "daemon/queue.h"
#include "dax/dax.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "sandbox/sandbox.h"
#include "vhost/device.h"

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_CAPABILITIES };

/* What is said of a feature that a guest may or may not have. */
enum options_offer { OPTIONS_OFFER_NEVER, OPTIONS_OFFER_AUTO, OPTIONS_OFFER_ALWAYS };

#define OPTIONS_RULES_MAX 64

/* The values of an option that may be repeated, in their order. */
struct options_rules {
	const char *rule[OPTIONS_RULES_MAX];
	unsigned int n;
};

struct options {
	enum options_action action;
	const char *socket_path, *socket_group, *pid_file;
	uint32_t fd;	/* OPTIONS_NO_FD: none was named */
	uint32_t store; /* what the service manager kept (daemon/store.h); OPTIONS_NO_FD: nothing */
	uint32_t line;	/* OPTIONS_NO_FD: started by its user; else to take over, and @fd is the socket
			   whatever the command line names (daemon/launch.h) */
	const char *tag;
	enum log_level log_level;
	bool syslog, daemonize, exit_on_disconnect, recover;
	enum options_offer posix_acl, security_label;
	struct queue_config queue;
	uint32_t queues;
	double timeout;		 /* seconds; negative: as the cache mode says */
	uint64_t max_cached_fds; /* 0: a share of the descriptors that the process may have */
	struct sandbox_config sandbox;
	struct fuse_session_config fuse;
	struct fs_config fs; /* without its descriptors and change_creds */
	struct vhost_config vhost;
	struct dax_config dax; /* its first part: what the options say */
	bool dax_trust_peers;
	const char *xattrmap_text;
	struct options_rules uid_map, gid_map, translate_uid, translate_gid, tune;
	struct xattrmap *xattrmap; /* compiled, as fs and sandbox point to them */
	struct idmap *uids, *gids;
	const char *remark; /* a warning for the log, NULL if there is nothing to say */
	char **texts;	    /* copies of -o lists, into which strings above may point */
	unsigned int ntexts;
};

#define OPTIONS_NO_FD UINT32_MAX

/*
 * Reads the command line. Touches no file. Strings point into @argv or belong to @o: valid until
 * options_free(), which is due in every case. 0 or -EINVAL with @err: one line that names the option, the
 * value and the remedy.
 */
int options_parse(struct options *o, int argc, char *const argv[], struct err *err);
void options_free(struct options *o);

#endif
