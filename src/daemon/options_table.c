/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_table.h"

#include "base/arith.h"
#include "base/tune.h"
#include "daemon/options.h"

#include <string.h>

#define AT(field) .offset = offsetof(struct options, field), .size = sizeof(((struct options *)0)->field)

const char *const option_group_titles[OPTION_GROUPS] = {
	[OPTION_CONNECTION] = "Connection",
	[OPTION_SHARE] = "What the guest sees",
	[OPTION_CACHE] = "Caching",
	[OPTION_DAX] = "Files mapped by the guest (DAX)",
	[OPTION_LIMITS] = "Threads and limits",
	[OPTION_ISOLATION] = "Isolation",
	[OPTION_MESSAGES] = "Messages and information",
	[OPTION_OLD] = "Accepted from older command lines",
	[OPTION_MIGRATION] = "Live migration",
	[OPTION_NOT_YET] = "Known but refused",
};

static const struct option_choice caches[] = {
	{"never none", FUSE_CACHE_NEVER},
	{"metadata", FUSE_CACHE_METADATA},
	{"auto", FUSE_CACHE_AUTO},
	{"always", FUSE_CACHE_ALWAYS},
	{0},
};
static const struct option_choice handles[] = {
	{"never", FS_HANDLES_NEVER},
	{"prefer fallback", FS_HANDLES_PREFER},
	{"mandatory", FS_HANDLES_MANDATORY},
	{0},
};
static const struct option_choice sandboxes[] = {
	{"namespace", SANDBOX_NAMESPACE},
	{"chroot", SANDBOX_CHROOT},
	{"none", SANDBOX_NONE},
	{0},
};
static const struct option_choice seccomps[] = {
	{"none", SANDBOX_SECCOMP_NONE},
	{"kill", SANDBOX_SECCOMP_KILL},
	{"log", SANDBOX_SECCOMP_LOG},
	{"trap", SANDBOX_SECCOMP_TRAP},
	{0},
};
static const struct option_choice levels[] = {
	{"off", LOG_LEVEL_OFF},
	{"error err", LOG_LEVEL_ERROR},
	{"warn warning", LOG_LEVEL_WARN},
	{"info", LOG_LEVEL_INFO},
	{"debug", LOG_LEVEL_DEBUG},
	{"trace", LOG_LEVEL_TRACE},
	{0},
};
static const struct option_choice dax_policies[] = {
	{"never", DAX_NEVER},
	{"always", DAX_ALWAYS},
	{"inode", DAX_INODE},
	{0},
};
static const struct option_choice offers[] = {
	{"never", OPTIONS_OFFER_NEVER},
	{"auto", OPTIONS_OFFER_AUTO},
	{"always", OPTIONS_OFFER_ALWAYS},
	{0},
};

static const struct option_choice migration_modes[] = {
	{"find-paths", FS_FIND_PATHS},
	{"file-handles", FS_FILE_HANDLES},
	{0},
};
static const struct option_choice migration_errors[] = {
	{"abort", FS_ABORT},
	{"guest-error", FS_GUEST_ERROR},
	{0},
};

const struct option_row option_rows[] = {
	[OPT_SHARED_DIR] = {.name = "shared-dir",
		.aliases = "source",
		.value = "DIR",
		.kind = OPTION_TEXT,
		.group = OPTION_SHARE,
		AT(sandbox.shared_dir),
		.min = 1,
		.max = 4095,
		.help = "The directory to share. Must exist."},
	[OPT_SOCKET_PATH] = {.name = "socket-path",
		.aliases = "socket",
		.value = "PATH",
		.kind = OPTION_TEXT,
		.group = OPTION_CONNECTION,
		AT(socket_path),
		.min = 1,
		.max = 107,
		.help = "Listen on a UNIX socket made at PATH. A socket file on which nobody listens is "
			"replaced; it is removed at the end."},
	[OPT_FD] = {.name = "fd",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_CONNECTION,
		AT(fd),
		.max = INT32_MAX,
		.help = "Use the inherited descriptor N instead of making a socket: one that listens, or one "
			"that is connected to a front-end already."},
	[OPT_SOCKET_GROUP] = {.name = "socket-group",
		.value = "GROUP",
		.kind = OPTION_TEXT,
		.group = OPTION_CONNECTION,
		AT(socket_group),
		.min = 1,
		.max = 255,
		.help = "Give the socket to GROUP, whose members may connect."},
	[OPT_TAG] = {.name = "tag",
		.value = "TAG",
		.kind = OPTION_TEXT,
		.group = OPTION_CONNECTION,
		AT(tag),
		.min = 1,
		.max = VHOST_TAG_MAX,
		.help = "The name by which the guest mounts the share, for front-ends that ask the daemon "
			"for it (User-Mode Linux, crosvm). QEMU has an option of its own for it; its "
			"versions 7.1 to 8.0 crash if the daemon has a tag too."},
	[OPT_QUEUES] = {.name = "queues",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(queues),
		.min = 1,
		.max = VHOST_MAX_QUEUES - 1,
		.def_text = "the number of CPUs, 8 at most",
		.help = "Request queues to offer. The front-end decides how many are used (QEMU: "
			"num-request-queues) and cannot use more."},
	[OPT_CACHE] = {.name = "cache",
		.value = "POLICY",
		.kind = OPTION_CHOICE,
		.group = OPTION_CACHE,
		AT(fuse.cache),
		.choices = caches,
		.def = "auto",
		.help = "What the guest may keep: never: nothing; metadata: names and attributes, no file "
			"data; auto: everything for a second, file data as long as the file did not change "
			"when it is opened; always: everything until it is told otherwise, for directories "
			"that only this guest changes."},
	[OPT_TIMEOUT] = {.name = "timeout",
		.value = "SECONDS",
		.kind = OPTION_SECONDS,
		.group = OPTION_CACHE,
		AT(timeout),
		.def_text = "as the caching policy says",
		.help = "How long the guest may trust names and attributes."},
	[OPT_WRITEBACK] = {.name = "writeback",
		.kind = OPTION_FLAG,
		.group = OPTION_CACHE,
		AT(fuse.writeback),
		.def = "no",
		.help = "Let the guest gather writes before it sends them. Only for directories that nobody "
			"else writes to."},
	[OPT_ZERO_MESSAGE_OPEN] = {.name = "zero-message-open",
		.kind = OPTION_FLAG,
		.group = OPTION_CACHE,
		AT(fuse.zero_message_open),
		.def = "no",
		.help = "Let the guest open files without asking. Gives up close-to-open consistency and "
			"locks; needs --cache=always, excludes --posix-lock and --flock."},
	[OPT_POSIX_LOCK] = {.name = "posix-lock",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(fuse.posix_locks),
		.def = "yes",
		.help = "POSIX record locks are shared with the host and other guests; else each guest has "
			"its own."},
	[OPT_FLOCK] = {.name = "flock",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(fuse.flock_locks),
		.def = "yes",
		.help = "flock(2) locks are shared with the host and other guests; else each guest has its "
			"own."},
	[OPT_XATTR] = {.name = "xattr",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(fuse.xattr),
		.def = "no",
		.help = "Extended attributes."},
	[OPT_POSIX_ACL] = {.name = "posix-acl",
		.value = "WHEN",
		.implied = "always",
		.kind = OPTION_CHOICE,
		.group = OPTION_SHARE,
		.negatable = true,
		AT(posix_acl),
		.choices = offers,
		.def = "never",
		.help = "POSIX ACLs, with extended attributes: never; auto: if the guest can; always: a "
			"guest "
			"that cannot is refused."},
	[OPT_SECURITY_LABEL] = {.name = "security-label",
		.value = "WHEN",
		.implied = "always",
		.kind = OPTION_CHOICE,
		.group = OPTION_SHARE,
		.negatable = true,
		AT(security_label),
		.choices = offers,
		.def = "never",
		.help = "Set the security label (SELinux) that the guest gives to a new file, with extended "
			"attributes: never; auto: if the guest can; always: a guest that cannot is refused."},
	[OPT_MODCAPS] = {.name = "modcaps",
		.value = "LIST",
		.kind = OPTION_TEXT,
		.group = OPTION_ISOLATION,
		AT(sandbox.modcaps),
		.min = 2,
		.max = 1023,
		.help = "Change the list of capabilities that the daemon keeps, for example "
			"+sys_admin:-mknod. See CAPABILITIES in colofsd(1)."},
	[OPT_SANDBOX] = {.name = "sandbox",
		.value = "MODE",
		.kind = OPTION_CHOICE,
		.group = OPTION_ISOLATION,
		AT(sandbox.mode),
		.choices = sandboxes,
		.def = "namespace",
		.help = "How the daemon is kept within the shared directory: namespace: namespaces of its "
			"own "
			"whose root is the share; chroot: only its root is, for containers; none: not at "
			"all."},
	[OPT_XATTRMAP] = {.name = "xattrmap",
		.value = "RULES",
		.kind = OPTION_TEXT,
		.group = OPTION_SHARE,
		AT(xattrmap_text),
		.max = 65535,
		.help = "Rename extended attributes between guest and host, and use --xattr. For example "
			":map::user.virtiofs.: keeps all that the guest sets apart from the host's own. See "
			"ATTRIBUTE NAMES in colofsd(1)."},
	[OPT_UID_MAP] = {.name = "uid-map",
		.value = ":INSIDE:OUTSIDE:COUNT:",
		.kind = OPTION_RULES,
		.group = OPTION_ISOLATION,
		AT(uid_map),
		.def_text = "the daemon's own user is the only one, in a user namespace, unless it is root",
		.help = "With --sandbox=namespace, make a user namespace in which the users INSIDE and "
			"following are OUTSIDE and following on the host. May be repeated. A user other "
			"than root needs newuidmap(1) for others than himself."},
	[OPT_GID_MAP] = {.name = "gid-map",
		.value = ":INSIDE:OUTSIDE:COUNT:",
		.kind = OPTION_RULES,
		.group = OPTION_ISOLATION,
		AT(gid_map),
		.def_text = "as for --uid-map",
		.help = "As --uid-map, for groups."},
	[OPT_RLIMIT_NOFILE] = {.name = "rlimit-nofile",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(sandbox.rlimit_nofile),
		.max = INT32_MAX,
		.def_text = "1000000, or what the system allows if that is less",
		.help = "Descriptors that the daemon may have; 0 leaves the limit as it is."},
	[OPT_MAX_HANDLES] = {.name = "max-handles",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(fs.max_handles),
		.min = 16,
		.max = 1 << 24,
		.def = "262144",
		.help = "Files and directories that the guest may have open at a time."},
	[OPT_MAX_CACHED_FDS] = {.name = "max-cached-fds",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(max_cached_fds),
		.min = 16,
		.max = 1 << 24,
		.def_text = "a quarter of the limit of descriptors, 65536 at most",
		.help = "Descriptors kept open only to save opening files again; as many again on other "
			"mounts beneath the share."},
	[OPT_DAX_WINDOW] = {.name = "dax-window",
		.value = "SIZE",
		.kind = OPTION_SIZE,
		.group = OPTION_DAX,
		AT(dax.window),
		.max = UINT64_C(1) << 40,
		.def = "0",
		.help = "Let the guest map files in a window of SIZE bytes, a power of two of 2M or more; 0: "
			"off. Needs a front-end that maps shared memory. The guest can then write to every "
			"file that it maps, and a mapped file that the host cuts may end the virtual "
			"machine: "
			"see docs/dax.md."},
	[OPT_DAX] = {.name = "dax",
		.value = "POLICY",
		.kind = OPTION_CHOICE,
		.group = OPTION_DAX,
		AT(dax.policy),
		.choices = dax_policies,
		.def = "inode",
		.help = "Which files the guest is told to map: those of 64 KiB and more that end with a page "
			"(inode), all (always), or none (never: as without a window)."},
	[OPT_DAX_MAX_MAPPINGS] = {.name = "dax-max-mappings",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_DAX,
		AT(dax.max_mappings),
		.max = 1 << 20,
		.def = "5",
		.help = "Use no more of the window than N mappings fill, one for each 2 MiB; 0: all of it. "
			"QEMU 11 cannot continue a paused guest's device that has more than 8 pieces of "
			"memory, of which the guest's own are two or three."},
	[OPT_DAX_TRUST_PEERS] = {.name = "dax-trust-peers",
		.kind = OPTION_FLAG,
		.group = OPTION_DAX,
		AT(dax_trust_peers),
		.def = "no",
		.help = "Let several guests map one file, so that they see each other's stores at once. Each "
			"of them can then end the others by cutting it. Without this the first one maps it, "
			"and it cannot be cut by others whose daemons have a window."},
	[OPT_DAX_SHMEM_BIT] = {.name = "dax-shmem-bit",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_DAX,
		AT(vhost.shmem_bit),
		.min = 21,
		.max = 22,
		.def = "22",
		.help = "Protocol feature by which the front-end knows shared memory: 22 is specified, 21 is "
			"what some older ones use."},
	[OPT_DAEMONIZE] = {.name = "daemonize",
		.kind = OPTION_FLAG,
		.group = OPTION_CONNECTION,
		AT(daemonize),
		.def = "no",
		.help = "Go on in the background once front-ends can connect. Messages are lost then without "
			"--syslog."},
	{.name = "pid-file",
		.value = "PATH",
		.kind = OPTION_TEXT,
		.group = OPTION_CONNECTION,
		AT(pid_file),
		.min = 1,
		.max = 4095,
		.def_text = "the socket's path with .pid appended; none with --fd",
		.help = "Where to write the process id. The file is locked while the daemon runs and removed "
			"at the end."},
	{.name = "exit-on-disconnect",
		.kind = OPTION_FLAG,
		.group = OPTION_CONNECTION,
		AT(exit_on_disconnect),
		.def = "no",
		.help = "End when the front-end goes, instead of waiting for it to come back. Always so with "
			"a connected socket."},
	{.name = "persistent",
		.kind = OPTION_FLAG,
		.group = OPTION_CONNECTION,
		AT(vhost.persistent),
		.def = "no",
		.help = "Keep what the guest has (inodes, open files, locks) when the front-end goes, for "
			"one "
			"that comes back with the same guest. Until another guest mounts the share, this "
			"takes memory and descriptors, and locks stay held."},
	{.name = "recover",
		.kind = OPTION_FLAG,
		.group = OPTION_CONNECTION,
		AT(recover),
		.def = "yes",
		.help = "Serve in a process of its own: if that dies another one goes on, and the guest does "
			"not notice. Without, one process does everything."},
	{.name = "packed-ring",
		.kind = OPTION_FLAG,
		.group = OPTION_CONNECTION,
		AT(vhost.packed),
		.def = "yes",
		.help = "Offer packed rings."},

	{.name = "readonly",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(sandbox.readonly),
		.def = "no",
		.help = "The guest cannot change anything."},
	{.name = "announce-submounts",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(fuse.announce_submounts),
		.def = "yes",
		.help = "Show what the host has mounted below the share as file systems of their own. "
			"Without it, files of different file systems can look like one file."},
	{.name = "killpriv-v2",
		.kind = OPTION_FLAG,
		.group = OPTION_SHARE,
		AT(fuse.killpriv_v2),
		.def = "no",
		.help = "The host clears SUID and SGID bits when a file is written, which saves the guest a "
			"request a write. Not for NFS."},
	{.name = "translate-uid",
		.value = "RULE",
		.kind = OPTION_RULES,
		.group = OPTION_SHARE,
		AT(translate_uid),
		.help = "Translate user ids between guest and host, also within ACLs: map:GUEST:HOST:COUNT "
			"both ways, guest:GUEST:HOST:COUNT or host:HOST:GUEST:COUNT one way, "
			"squash-guest:GUEST:HOST:COUNT or squash-host:HOST:GUEST:COUNT many to one, "
			"forbid-guest:GUEST:COUNT not at all. May be repeated. Other ids stay as they "
			"are."},
	{.name = "translate-gid",
		.value = "RULE",
		.kind = OPTION_RULES,
		.group = OPTION_SHARE,
		AT(translate_gid),
		.help = "As --translate-uid, for group ids."},
	{.name = "inode-file-handles",
		.value = "WHEN",
		.kind = OPTION_CHOICE,
		.group = OPTION_LIMITS,
		AT(fs.handles),
		.choices = handles,
		.def = "prefer",
		.help = "How to remember files: never: by a descriptor each; prefer: by a file handle where "
			"the file system has one, and a descriptor else; mandatory: only by file handles."},

	{.name = "readdirplus",
		.kind = OPTION_FLAG,
		.group = OPTION_CACHE,
		AT(fuse.readdirplus),
		.def = "yes",
		.help = "Send attributes along when directories are listed."},
	{.name = "allow-direct-io",
		.kind = OPTION_FLAG,
		.group = OPTION_CACHE,
		AT(fs.allow_direct_io),
		.def = "no",
		.help = "Open files with O_DIRECT on the host where the guest does."},
	{.name = "allow-mmap",
		.kind = OPTION_FLAG,
		.group = OPTION_CACHE,
		AT(fuse.allow_mmap),
		.def = "no",
		.help = "With --cache=never or metadata, let the guest map files shared all the same. Only "
			"for directories that nobody else writes to."},

	{.name = "tune",
		.value = "NAME=N,...",
		.kind = OPTION_RULES,
		.group = OPTION_LIMITS,
		AT(tune),
		.help = "Switch off what makes the daemon quick, or set how far it goes, to measure what it "
			"is worth" TUNE_HELP "."},
	{.name = "thread-pool-size",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(queue.threads),
		.max = 1024,
		.def = "0",
		.help = "Most threads that a queue may have; 0: as many as usually do well."},
	{.name = "poll",
		.value = "MICROSECONDS",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(queue.poll_us),
		.max = 10000,
		.def = "50",
		.help = "How long a queue's thread looks for the guest's next request before it sleeps: that "
			"spares both a wake. Only where it has paid lately: a guest that is idle, or that "
			"waits for the same CPU, costs no time. 0: never."},
	{.name = "max-write",
		.value = "BYTES",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(fuse.max_write),
		.min = 4096,
		.max = 16 << 20,
		.def = "1048576",
		.help = "Largest request that writes, and with it the largest that reads, as far as the "
			"guest has "
			"room for it: Linux stops at 1 MiB unless fs.fuse.max_pages_limit says more."},
	{.name = "max-inodes",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(fs.max_inodes),
		.min = 1024,
		.max = 1 << 28,
		.def = "4194304",
		.help = "Files and directories that the guest may know at a time. Beyond that, files that it "
			"has not open are forgotten, and looked up again when it needs them."},
	{.name = "max-locks",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(fs.max_lock_owners),
		.min = 16,
		.max = 1 << 20,
		.def = "65536",
		.help = "Processes of the guest that may hold record locks at a time, each file counted "
			"anew, "
			"and sixteen times as many ranges; more get ENOLCK."},
	{.name = "max-lock-waiters",
		.value = "N",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(queue.lock_waiters),
		.min = 1,
		.max = 8192,
		.def = "256",
		.help = "Requests of a queue that may wait for locks at a time, never more than a quarter of "
			"it; more get ENOLCK."},
	{.name = "max-xattr-size",
		.value = "BYTES",
		.kind = OPTION_NUMBER,
		.group = OPTION_LIMITS,
		AT(fuse.max_xattr),
		.min = 256,
		.max = 65536,
		.def = "65536",
		.help = "Longest value of an extended attribute; longer ones get E2BIG."},

	{.name = "seccomp",
		.value = "ACTION",
		.kind = OPTION_CHOICE,
		.group = OPTION_ISOLATION,
		AT(sandbox.seccomp),
		.choices = seccomps,
		.def = "kill",
		.help = "What becomes of a system call that the daemon has no use for: none: it is made; "
			"kill: the daemon ends; log: it is made and the kernel logs it; trap: the daemon "
			"gets SIGSYS."},

	{.name = "log-level",
		.aliases = "loglevel",
		.value = "LEVEL",
		.kind = OPTION_CHOICE,
		.group = OPTION_MESSAGES,
		AT(log_level),
		.choices = levels,
		.def = "info",
		.help = "Least severity of messages."},
	{.name = "syslog",
		.kind = OPTION_FLAG,
		.group = OPTION_MESSAGES,
		AT(syslog),
		.def = "no",
		.help = "Messages go to syslog instead of standard error."},
	{.name = "print-capabilities",
		.kind = OPTION_SET,
		.group = OPTION_MESSAGES,
		AT(action),
		.set = OPTIONS_CAPABILITIES,
		.help = "Print what management software wants to know, as JSON, and exit."},
	{.name = "help",
		.letter = 'h',
		.kind = OPTION_SET,
		.group = OPTION_MESSAGES,
		AT(action),
		.set = OPTIONS_HELP,
		.help = "Print this help and exit."},
	{.name = "version",
		.letter = 'V',
		.kind = OPTION_SET,
		.group = OPTION_MESSAGES,
		AT(action),
		.set = OPTIONS_VERSION,
		.help = "Print the version and exit."},

	{.letter = 'o',
		.value = "LIST",
		.kind = OPTION_LIST,
		.group = OPTION_OLD,
		.help = "Options separated by commas, each by its long name without the hyphens in front and "
			"with _ for -: source=DIR,cache=never,no_xattr. A comma within a value is written "
			"\\, or as two commas."},
	{.name = "debug",
		.letter = 'd',
		.kind = OPTION_SET,
		.group = OPTION_OLD,
		AT(log_level),
		.set = LOG_LEVEL_DEBUG,
		.help = "As --log-level=debug."},
	{.letter = 'f',
		.kind = OPTION_NOTHING,
		.group = OPTION_OLD,
		.help = "No effect: the daemon stays in the foreground unless told otherwise."},
	{.name = "max-idle-threads",
		.value = "N",
		.kind = OPTION_NOTHING,
		.group = OPTION_OLD,
		.max = UINT32_MAX,
		.help = "No effect: see --thread-pool-size."},
	{.name = "preserve-noatime",
		.kind = OPTION_NOTHING,
		.group = OPTION_OLD,
		.help = "No effect: O_NOATIME is always passed on to the host, where the daemon may use it."},

	{.name = "migration-mode",
		.value = "MODE",
		.kind = OPTION_CHOICE,
		.group = OPTION_MIGRATION,
		AT(fs.migration.mode),
		.choices = migration_modes,
		.def = "find-paths",
		.help = "How the daemon that takes the guest over finds the files that the guest knows: "
			"find-paths: by their paths, for a copy of the directory or the same one; "
			"file-handles: by file handles, for the same file system."},
	{.name = "migration-on-error",
		.value = "ACTION",
		.kind = OPTION_CHOICE,
		.group = OPTION_MIGRATION,
		AT(fs.migration.on_error),
		.choices = migration_errors,
		.def = "abort",
		.help = "What comes of a file that is not found there: abort: the migration fails, and the "
			"guest "
			"goes on where it was; guest-error: the guest gets errors for this file."},
	{.name = "migration-verify-handles",
		.kind = OPTION_FLAG,
		.group = OPTION_MIGRATION,
		AT(fs.migration.verify_handles),
		.help = "Of a file that the other daemon finds by its path, also the file handle must be "
			"the same. For the same file system on both sides."},
	{.name = "migration-confirm-paths",
		.kind = OPTION_FLAG,
		.group = OPTION_MIGRATION,
		AT(fs.migration.confirm_paths),
		.help = "Try all paths once more when the guest has stopped, for directories in which others "
			"than "
			"the guest rename files. The pause is longer then."},

	{.name = "allow-root",
		.kind = OPTION_REFUSED,
		.group = OPTION_NOT_YET,
		.why = "colofs cannot keep out the guest's other users yet; leave it out, or use the "
		       "directory's permissions",
		.help = "Only the daemon's user and root of the guest have access."},
};

const unsigned int option_rows_count = ARRAY_LEN(option_rows);
_Static_assert(ARRAY_LEN(option_rows) <= OPTION_ROWS_MAX, "OPTION_ROWS_MAX");

static bool name_is(const char *name, const char *s, size_t len, bool underscores)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != s[i] && !(underscores && name[i] == '-' && s[i] == '_'))
			return false;
	return true;
}

bool option_word_in(const char *list, const char *word, size_t len)
{
	for (const char *p = list; p && *p; p += *p == ' ') {
		size_t n = strcspn(p, " ");

		if (n == len && !strncasecmp(p, word, n))
			return true;
		p += n;
	}
	return false;
}

static const struct option_row *find_plain(const char *name, size_t len, bool underscores)
{
	for (unsigned int i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->name && name_is(row->name, name, len, underscores))
			return row;
		if (option_word_in(row->aliases, name, len))
			return row;
	}
	return NULL;
}

const struct option_row *option_find(const char *name, size_t len, bool underscores, bool *negated)
{
	const struct option_row *row = find_plain(name, len, underscores);

	*negated = false;
	if (row || len < 4 || strncmp(name, "no", 2) || name[2] != (underscores ? '_' : '-'))
		return row;
	row = find_plain(name + 3, len - 3, underscores);
	*negated = true;
	return row && (row->kind == OPTION_FLAG || row->negatable) ? row : NULL;
}

const struct option_row *option_find_letter(char letter)
{
	for (unsigned int i = 0; i < option_rows_count; i++)
		if (letter && option_rows[i].letter == letter)
			return &option_rows[i];
	return NULL;
}

/* Levenshtein's distance, of names only: both are short. */
static unsigned int distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned int row[64];

	if (na >= ARRAY_LEN(row) || nb >= ARRAY_LEN(row))
		return UINT32_MAX;
	for (unsigned int j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= na; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= nb; j++) {
			unsigned int change =
				diagonal + (a[i - 1] != b[j - 1] && !(a[i - 1] == '_' && b[j - 1] == '-'));

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[nb];
}

const char *option_suggest(const char *name, size_t len)
{
	const char *best = NULL;
	unsigned int nearest = len < 4 ? 2 : 3; /* one letter wrong in a short name, two in others */

	for (unsigned int i = 0; i < option_rows_count; i++) {
		const char *n = option_rows[i].name;
		unsigned int d = n ? distance(name, len, n, strlen(n)) : UINT32_MAX;

		if (n && len >= 4 && !strncmp(n, name, len))
			d = 1; /* somebody shortened it */
		if (d < nearest) {
			nearest = d;
			best = n;
		}
	}
	return best;
}
