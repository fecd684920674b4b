/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table: every row in every spelling, the rules between options, and the command lines of others.
 */
#include "base/arith.h"
#include "daemon/help.h"
#include "daemon/options.h"
#include "daemon/options_table.h"
#include "fs/idmap.h"
#include "fs/xattrmap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_ARGS 32

/* Parses one line of arguments, separated by blanks. */
static int parse(struct options *o, char *line, struct err *err)
{
	static char program[] = "colofsd";
	char *argv[MAX_ARGS + 2] = {program};
	int argc = 1;

	for (char *s = strtok(line, " "); s && argc <= MAX_ARGS; s = strtok(NULL, " "))
		argv[argc++] = s;
	err->text[0] = '\0';
	return options_parse(o, argc, argv, err);
}

#define BASE "--shared-dir=/d --socket-path=/s "

/* @args, behind what every start needs, are taken, and @expr is true of what comes of them. */
#define ACCEPTS(args, expr)                                  \
	do {                                                 \
		char line_[1024] = BASE args;                \
		struct err err_;                             \
		struct options o;                            \
		if (parse(&o, line_, &err_))                 \
			fail_msg("%s: %s", args, err_.text); \
		if (!(expr))                                 \
			fail_msg("%s: not %s", args, #expr); \
		options_free(&o);                            \
	} while (0)

/* The whole line is refused with a message of one line that has both parts in it. */
static void refuses_line(const char *text, const char *names, const char *remedy)
{
	char line[4096];
	struct options o;
	struct err err;

	snprintf(line, sizeof(line), "%s", text);
	if (parse(&o, line, &err) != -EINVAL)
		fail_msg("%s: taken", text);
	if (!strstr(err.text, names) || !strstr(err.text, remedy) || strchr(err.text, '\n'))
		fail_msg("%s: says: %s", text, err.text);
	options_free(&o);
}

#define REFUSES(text, names, remedy) refuses_line(BASE text, names, remedy)

static void test_defaults(void **state)
{
	(void)state;
	ACCEPTS("", o.action == OPTIONS_RUN);
	ACCEPTS("", !strcmp(o.sandbox.shared_dir, "/d") && !strcmp(o.socket_path, "/s"));
	ACCEPTS("", o.fd == OPTIONS_NO_FD && !o.socket_group && !o.pid_file && !o.tag);
	ACCEPTS("", o.fuse.cache == FUSE_CACHE_AUTO && o.fuse.attr_timeout < 0 && o.fuse.entry_timeout < 0);
	ACCEPTS("",
		o.fuse.posix_locks && o.fuse.flock_locks && o.fuse.readdirplus && o.fuse.announce_submounts);
	ACCEPTS("", !o.fuse.xattr && !o.fuse.writeback && !o.fuse.allow_mmap && !o.fuse.killpriv_v2);
	ACCEPTS("",
		!o.fuse.posix_acl && !o.fuse.security_label && !o.fuse.readonly && !o.fuse.zero_message_open);
	ACCEPTS("", o.fuse.max_write == 1 << 20);
	ACCEPTS("",
		o.fs.handles == FS_HANDLES_PREFER && !o.fs.allow_direct_io && !o.fs.xattr && !o.fs.readonly);
	ACCEPTS("", o.fs.max_inodes == 4194304 && o.fs.max_handles == 262144 && o.fs.max_lock_owners);
	ACCEPTS("", o.vhost.packed && o.vhost.request_queues >= 1 && o.vhost.request_queues <= 8);
	ACCEPTS("", !o.vhost.tag[0] && !o.queue.threads && !o.exit_on_disconnect && !o.daemonize);
	ACCEPTS("", o.sandbox.mode == SANDBOX_NAMESPACE && o.sandbox.seccomp == SANDBOX_SECCOMP_KILL);
	ACCEPTS("", o.sandbox.rlimit_nofile == SANDBOX_RLIMIT_DEFAULT && !o.sandbox.modcaps);
	ACCEPTS("", o.log_level == LOG_LEVEL_INFO && !o.syslog);
}

/* Every flag of the table: its four spellings, by the byte that it sets. */
static void check_flag(const struct option_row *row)
{
	static const char *const forms[] = {"--", "--no-", "-o ", "-o no_"};

	for (unsigned int i = 0; i < ARRAY_LEN(forms); i++) {
		char name[64], word[96], line[256];
		const char *got;
		struct options o;
		struct err err;

		snprintf(name, sizeof(name), "%s", row->name);
		for (char *s = name; i >= 2 && *s; s++)
			*s = *s == '-' ? '_' : *s;
		snprintf(word, sizeof(word), "%s%s", forms[i], name);
		snprintf(line, sizeof(line), BASE "%s --cache=always", word);
		if (parse(&o, line, &err))
			fail_msg("%s: %s", word, err.text);
		got = (const char *)&o + row->offset;
		if (!strcmp(row->name, "zero-message-open") && *got)
			assert_false(o.fuse.posix_locks || o.fuse.flock_locks);
		if (*got != !(i & 1))
			fail_msg("%s: %d", word, *got);
		options_free(&o);
	}
}

static void test_every_flag(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < option_rows_count; i++) {
		if (option_rows[i].kind != OPTION_FLAG)
			continue;
		check_flag(&option_rows[i]);
		n++;
	}
	assert_true(n >= 15);
}

static void check_choice_word(const struct option_row *row, const char *word, int value)
{
	static const char *const forms[] = {"=", " ", "-o"};

	for (unsigned int i = 0; i < ARRAY_LEN(forms); i++) {
		char line[256], name[64];
		struct options o;
		struct err err;
		int got;

		snprintf(name, sizeof(name), "%s", row->name);
		for (char *s = name; i == 2 && *s; s++)
			*s = *s == '-' ? '_' : *s;
		if (i == 1 && row->implied)
			continue;
		snprintf(line, sizeof(line), BASE "%s%s%s%s", i == 2 ? "-o " : "--", name, i == 1 ? " " : "=",
			word);
		if (parse(&o, line, &err))
			fail_msg("--%s %s: %s", row->name, word, err.text);
		memcpy(&got, (const char *)&o + row->offset, sizeof(got));
		if (got != value)
			fail_msg("--%s %s: %d, not %d", row->name, word, got, value);
		options_free(&o);
	}
}

static void test_every_choice(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < option_rows_count; i++) {
		for (const struct option_choice *c = option_rows[i].choices; c && c->words; c++) {
			char words[64];

			snprintf(words, sizeof(words), "%s", c->words);
			for (char *rest = words, *w; (w = strsep(&rest, " "));)
				check_choice_word(&option_rows[i], w, c->value);
		}
		if (option_rows[i].choices) {
			char line[128];

			snprintf(line, sizeof(line), BASE "--%s=sometimes", option_rows[i].name);
			refuses_line(line, option_rows[i].name, "; give one of ");
		}
	}
}

/* The ends of each range, and what lies beyond. */
static void check_range(const struct option_row *row)
{
	const uint64_t in[] = {row->min, row->max};
	char line[256];

	for (unsigned int i = 0; i < 2; i++) {
		uint64_t wide = 0;
		struct options o;
		struct err err;

		snprintf(line, sizeof(line), "%s --%s=%llu",
			strcmp(row->name, "fd") ? BASE : "--shared-dir=/d", row->name,
			(unsigned long long)in[i]);
		if (parse(&o, line, &err))
			fail_msg("%s", err.text);
		memcpy(&wide, (const char *)&o + row->offset, row->size);
		if (row->kind == OPTION_NUMBER)
			assert_int_equal(wide, in[i]);
		options_free(&o);
	}
	snprintf(line, sizeof(line), BASE "--%s=%llu", row->name, (unsigned long long)row->max + 1);
	refuses_line(line, row->name, "in that range");
	snprintf(line, sizeof(line), BASE "--%s=-1", row->name);
	refuses_line(line, row->name, "in that range");
	if (row->min) {
		snprintf(line, sizeof(line), BASE "--%s=%llu", row->name, (unsigned long long)row->min - 1);
		refuses_line(line, row->name, "in that range");
	}
}

static void test_every_number(void **state)
{
	static const char *const wrong[] = {"", "x", "1x", "+1", "0x10", "99999999999999999999", "1,"};
	char line[256];

	(void)state;
	for (unsigned int i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->kind != OPTION_NUMBER && !(row->kind == OPTION_NOTHING && row->value))
			continue;
		check_range(row);
		for (unsigned int j = 0; j < ARRAY_LEN(wrong); j++) {
			snprintf(line, sizeof(line), BASE "--%s=%s", row->name, wrong[j]);
			refuses_line(line, row->name, "not a number from");
		}
	}
}

static void test_every_text(void **state)
{
	char words[][32] = {"colofsd", "--shared-dir", "a b,c", "--socket", "x", "-omodcaps=-mknod"};
	char *shared[] = {words[0], words[1], words[2], words[3], words[4], words[5], NULL};
	struct options spaced;
	struct err err;

	(void)state;
	ACCEPTS("--shared-dir /e", !strcmp(o.sandbox.shared_dir, "/e"));
	ACCEPTS("-o source=/e", !strcmp(o.sandbox.shared_dir, "/e"));
	ACCEPTS("-o shared_dir=/e", !strcmp(o.sandbox.shared_dir, "/e"));
	ACCEPTS("--socket /e", !strcmp(o.socket_path, "/e"));
	ACCEPTS("--socket-path /e", !strcmp(o.socket_path, "/e"));
	ACCEPTS("--socket-group kvm", !strcmp(o.socket_group, "kvm"));
	ACCEPTS("--pid-file=/p", !strcmp(o.pid_file, "/p"));
	ACCEPTS("--tag=abc", !strcmp(o.vhost.tag, "abc"));
	ACCEPTS("--tag=012345678901234567890123456789012345", strlen(o.vhost.tag) == 36);
	ACCEPTS("--modcaps=+sys_admin:-CAP_CHOWN", !strcmp(o.sandbox.modcaps, "+sys_admin:-CAP_CHOWN"));
	REFUSES("--tag=0123456789012345678901234567890123456", "--tag=", "give one of 1 to 36");
	REFUSES("--tag=", "--tag=", "give one of 1 to 36");
	REFUSES("--shared-dir=", "--shared-dir=", "give one of 1 to");
	REFUSES("--tune=lookup-gues=1", "--tune: lookup-gues", "--help");
	REFUSES("--tune=lookup-guess", "--tune: lookup-guess", "give it as lookup-guess=1");
	REFUSES("--tune=,lookup-guess=2", "--tune: lookup-guess=2", "from 0 to 1");
	REFUSES("--tune=lookup-guess=1x", "--tune: lookup-guess=1x", "from 0 to 1");
	REFUSES("--modcaps=+sys_adm", "sys_adm", "capabilities(7)");
	REFUSES("--modcaps=chown", "--modcaps=chown", "write it as");
	REFUSES("--modcaps=+chown::-mknod", "--modcaps=", "write it as");
	assert_int_equal(options_parse(&spaced, 6, shared, &err), 0);
	assert_string_equal(spaced.sandbox.shared_dir, "a b,c");
	assert_string_equal(spaced.sandbox.modcaps, "-mknod");
	options_free(&spaced);
}

static void test_socket_path_length(void **state)
{
	char line[512], path[110];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[108] = '\0';
	snprintf(line, sizeof(line), "--shared-dir=/d --socket-path=%s", path);
	refuses_line(line, "--socket-path=", "1 to 107");
}

static void test_lists(void **state)
{
	(void)state;
	ACCEPTS("-o cache=none,no_flock,xattr",
		o.fuse.cache == FUSE_CACHE_NEVER && !o.fuse.flock_locks && o.fuse.xattr);
	ACCEPTS("-ocache=always -o writeback", o.fuse.cache == FUSE_CACHE_ALWAYS && o.fuse.writeback);
	ACCEPTS("-o source=/a,,b,xattr", !strcmp(o.sandbox.shared_dir, "/a,b") && o.fuse.xattr);
	ACCEPTS("-o source=/a\\,b\\\\c\\d", !strcmp(o.sandbox.shared_dir, "/a,b\\c\\d"));
	ACCEPTS("-o xattr,", o.fuse.xattr);
	ACCEPTS("-o xattr,no_xattr", !o.fuse.xattr);
	ACCEPTS("-dfo xattr", o.fuse.xattr && o.log_level == LOG_LEVEL_DEBUG);
	REFUSES("-o", "-o", "give it as -o LIST");
	REFUSES("-o cach=auto", "-o cach=auto", "did you mean --cache?");
	REFUSES("-o xattr=1", "-o xattr=1", "takes no value");
	REFUSES("-o cache", "-o cache", "-o cache=POLICY");
	REFUSES("-o no_cache", "-o no_cache", "no such option");
	REFUSES("-o default_permissions", "default_permissions", "no such option");
}

static void test_actions(void **state)
{
	static const struct {
		const char *args;
		enum options_action action;
	} cases[] = {
		{"--help", OPTIONS_HELP},
		{"-h", OPTIONS_HELP},
		{"--version", OPTIONS_VERSION},
		{"-V", OPTIONS_VERSION},
		{"--print-capabilities", OPTIONS_CAPABILITIES},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(cases); i++) {
		char line[64];
		struct options o;
		struct err err;

		snprintf(line, sizeof(line), "%s", cases[i].args);
		assert_int_equal(parse(&o, line, &err), 0);
		assert_int_equal(o.action, cases[i].action);
		options_free(&o);
	}
}

static void test_wrong_lines(void **state)
{
	(void)state;
	refuses_line("", "--shared-dir is missing", "--shared-dir=DIR");
	refuses_line("--shared-dir=/d", "--socket-path is missing", "--fd=N");
	refuses_line("--socket-path=/s", "--shared-dir is missing", "--shared-dir=DIR");
	refuses_line("--shared-dir=/d --fd=3 --socket-group=g", "--socket-group needs", "--socket-path");
	REFUSES("--fd=3", "--fd excludes --socket-path", "one of them");
	REFUSES("--cach=auto", "--cach=auto", "did you mean --cache?");
	REFUSES("--readdirpluss", "--readdirpluss", "did you mean --readdirplus?");
	REFUSES("--inode-file", "--inode-file", "did you mean --inode-file-handles?");
	REFUSES("--frobnicate", "--frobnicate", "--help");
	REFUSES("--xattr=yes", "--xattr=yes", "takes no value");
	REFUSES("--no-cache", "--no-cache", "no such option");
	REFUSES("--no-xattr=1", "--no-xattr=1", "takes no value");
	REFUSES("--cache", "--cache", "--cache=POLICY");
	REFUSES("--tag --xattr", "--tag", "--tag=TAG");
	REFUSES("--modcaps -mknod", "--modcaps", "--modcaps=LIST");
	REFUSES("-z", "-z", "no such option");
	REFUSES("-dz", "-dz", "no such option");
	REFUSES("/mnt", "/mnt", "--shared-dir=DIR");
	REFUSES("-", "-", "not an option");
	REFUSES("--", "--", "not an option");
	REFUSES("--timeout=-1", "--timeout=-1", "0 or more");
	REFUSES("--timeout=nan", "--timeout=nan", "0 or more");
	REFUSES("--timeout=1s", "--timeout=1s", "0 or more");
	REFUSES("--timeout=", "--timeout=", "0 or more");
}

static void test_rules(void **state)
{
	(void)state;
	REFUSES("--zero-message-open", "--zero-message-open", "needs --cache=always");
	REFUSES("--zero-message-open --cache=always --flock", "--zero-message-open", "excludes");
	REFUSES("--zero-message-open --cache=always -o posix_lock", "--zero-message-open", "excludes");
	ACCEPTS("--zero-message-open --cache=always --no-flock", !o.fuse.flock_locks && !o.fuse.posix_locks);
	REFUSES("--posix-acl --no-xattr", "--posix-acl", "--no-xattr");
	REFUSES("-o security_label,no_xattr", "--security-label", "--no-xattr");
	refuses_line("--shared-dir=/d --fd=1 --daemonize", "--fd", "another descriptor");
	ACCEPTS("--posix-acl",
		o.posix_acl == OPTIONS_OFFER_ALWAYS && o.fuse.posix_acl && o.fuse.xattr && o.fs.xattr);
	ACCEPTS("--posix-acl=auto", o.posix_acl == OPTIONS_OFFER_AUTO && o.fuse.posix_acl && o.fuse.xattr);
	ACCEPTS("--posix-acl=never", !o.fuse.posix_acl && !o.fuse.xattr);
	ACCEPTS("-o posix_acl,no_posix_acl", !o.fuse.posix_acl && !o.fuse.xattr);
	ACCEPTS("--security-label", o.fuse.security_label && o.fuse.xattr);
	ACCEPTS("--no-security-label", !o.fuse.security_label && !o.fuse.xattr);
	REFUSES("--dax-window=16M --readonly", "--dax-window", "excludes --readonly");
	REFUSES("--dax-window=16M --zero-message-open --cache=always --no-flock", "--dax-window", "excludes");
	REFUSES("--dax-window=16M --persistent", "--dax-window", "excludes --persistent");
	REFUSES("--exit-on-disconnect --persistent", "--exit-on-disconnect", "excludes");
	REFUSES("--dax-window=3M", "--dax-window", "power of two");
	REFUSES("--dax-window=1M", "--dax-window", "power of two");
	REFUSES("--dax-window=2M --dax=some", "--dax=some", "never");
	ACCEPTS("", !o.dax.window && !o.vhost.shmem[0] && !o.fuse.dax_align);
	ACCEPTS("--dax-window=64M",
		o.dax.window == 8 << 20 && o.vhost.shmem[0] == 8 << 20 && o.fuse.dax_align == 21);
	ACCEPTS("--dax-window=64M --dax-max-mappings=0",
		o.dax.window == 64 << 20 && o.dax.policy == DAX_INODE);
	ACCEPTS("--dax-window=64M --dax=never", !o.dax.window && !o.vhost.shmem[0]);
	ACCEPTS("--readonly", o.fuse.readonly && o.fs.readonly && o.sandbox.readonly);
	ACCEPTS("--timeout=1.5", o.fuse.attr_timeout == 1.5 && o.fuse.entry_timeout == 1.5);
	ACCEPTS("--syslog", o.syslog && o.sandbox.syslog);
	ACCEPTS("--queues=3", o.vhost.request_queues == 3);
	ACCEPTS("-d", o.log_level == LOG_LEVEL_DEBUG);
	ACCEPTS("--debug", o.log_level == LOG_LEVEL_DEBUG);
	ACCEPTS("-o debug", o.log_level == LOG_LEVEL_DEBUG);
	ACCEPTS("--cache=NEVER --sandbox=Chroot",
		o.fuse.cache == FUSE_CACHE_NEVER && o.sandbox.mode == SANDBOX_CHROOT);
	ACCEPTS("--cache never --cache always", o.fuse.cache == FUSE_CACHE_ALWAYS);
}

/* What cannot be honoured is refused in every spelling, with the reason. */
static void test_refused(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];
		char line[256], name[64];

		if (row->kind != OPTION_REFUSED)
			continue;
		snprintf(line, sizeof(line), BASE "--%s%s", row->name, row->value ? "=x" : "");
		refuses_line(line, row->name, row->why);
		snprintf(name, sizeof(name), "%s", row->name);
		for (char *s = name; *s; s++)
			*s = *s == '-' ? '_' : *s;
		snprintf(line, sizeof(line), BASE "-o %s%s", name, row->value ? "=x" : "");
		refuses_line(line, name, row->why);
		n++;
	}
	assert_true(n >= 1);
}

/* Rules become what the layers work with, and a wrong one is named with its option. */
static void test_rules_of_ids(void **state)
{
	(void)state;
	ACCEPTS("", !o.fs.uids && !o.fs.gids && !o.fs.xattrmap && !o.sandbox.uids.n);
	ACCEPTS("--translate-uid squash-guest:0:1001:4294967295 --translate-uid host:1001:1000:1",
		o.fs.uids && idmap_to_guest(o.fs.uids, 1001) == 1000 && !o.fs.gids);
	ACCEPTS("-o translate_gid=map:0:100:10,translate_gid=map:50:500:10",
		o.fs.gids && idmap_to_guest(o.fs.gids, 501) == 51 && !o.fs.uids);
	ACCEPTS("--uid-map=:0:100000:65536: --uid-map=:70000:5:1: --gid-map :0:0:1:",
		o.sandbox.uids.n == 2 && o.sandbox.uids.range[1].inside == 70000 && o.sandbox.gids.n == 1);
	REFUSES("--translate-uid=map:0:1", "--translate-uid=map:0:1", "write it as map:GUEST:HOST:COUNT");
	REFUSES("--translate-gid=map:0:0:5 --translate-gid=forbid-guest:4:1",
		"--translate-gid=forbid-guest:4:1", "one rule");
	REFUSES("--uid-map=0:0:1", "--uid-map=0:0:1", "write it as :INSIDE:OUTSIDE:COUNT:");
	REFUSES("--sandbox=chroot --gid-map=:0:0:1:", "--gid-map", "--sandbox=namespace");
	REFUSES("--sandbox=none --uid-map=:0:0:1:", "--uid-map", "--sandbox=namespace");
}

static void test_too_many_rules(void **state)
{
	char rules[OPTIONS_RULES_MAX + 1][48], *argv[OPTIONS_RULES_MAX + 4] = {rules[0]};
	char shared[] = "--shared-dir=/d", socket[] = "--socket-path=/s";
	struct options o;
	struct err err;

	(void)state;
	argv[1] = shared;
	argv[2] = socket;
	for (int i = 0; i <= OPTIONS_RULES_MAX; i++) {
		snprintf(rules[i], sizeof(rules[i]), "--translate-uid=map:%d:%d:1", i, i);
		argv[3 + i] = rules[i];
	}
	assert_int_equal(options_parse(&o, OPTIONS_RULES_MAX + 3, argv, &err), 0);
	options_free(&o);
	assert_int_equal(options_parse(&o, OPTIONS_RULES_MAX + 4, argv, &err), -EINVAL);
	assert_non_null(strstr(err.text, "put ranges together"));
	options_free(&o);
}

static void test_xattrmap(void **state)
{
	char host[XATTR_NAME_MAX + 1];

	(void)state;
	ACCEPTS("--xattrmap=:map::user.virtiofs.:",
		o.fuse.xattr && o.fs.xattr && !xattrmap_to_host(o.fs.xattrmap, "trusted.a", host) &&
			!strcmp(host, "user.virtiofs.trusted.a"));
	ACCEPTS("-o xattrmap=/map/trusted./user.virtiofs./", o.fs.xattrmap && !o.remark);
	ACCEPTS("--posix-acl --xattrmap=:map:trusted.:user.virtiofs.:", o.fs.xattrmap && !o.remark);
	ACCEPTS("--posix-acl --xattrmap=:map::user.virtiofs.:", o.remark != NULL);
	ACCEPTS("--posix-acl", !o.remark);
	REFUSES("--xattrmap=", "--xattrmap", "give one such as");
	REFUSES("--xattrmap=:ok:all:::x", "--xattrmap: the rule 'x'", "write it as");
	REFUSES("--no-xattr --xattrmap=:ok:all:::", "--xattrmap", "--no-xattr");
}

/* Command lines as others have them: facts about libvirt, Kata and the manuals of both older daemons. */
static void test_libvirt(void **state)
{
	char old[] = "--fd=34 -o source=/d,cache=always,xattr,flock,posix_lock --thread-pool-size=4 -d";
	char old_off[] = "--fd=34 -o source=/d,cache=none,sandbox=chroot,no_xattr,no_flock,no_posix_lock";
	char new[] = "--fd=34 --shared-dir /d --cache never --sandbox chroot --xattr --thread-pool-size=2 "
		     "--rlimit-nofile=4096 --log-level debug";
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse(&o, old, &err), 0);
	assert_true(o.fd == 34 && o.fuse.xattr && o.fuse.flock_locks && o.fuse.posix_locks &&
		    o.queue.threads == 4);
	assert_true(o.fuse.cache == FUSE_CACHE_ALWAYS && o.log_level == LOG_LEVEL_DEBUG);
	options_free(&o);
	assert_int_equal(parse(&o, old_off, &err), 0);
	assert_true(!o.fuse.xattr && !o.fuse.flock_locks && !o.fuse.posix_locks &&
		    o.sandbox.mode == SANDBOX_CHROOT);
	options_free(&o);
	assert_int_equal(parse(&o, new, &err), 0);
	assert_true(o.fuse.cache == FUSE_CACHE_NEVER && o.fuse.xattr && o.sandbox.rlimit_nofile == 4096);
	assert_true(
		o.log_level == LOG_LEVEL_DEBUG && o.queue.threads == 2 && o.sandbox.mode == SANDBOX_CHROOT);
	options_free(&o);
}

static void test_kata(void **state)
{
	char go[] = "--syslog --cache=auto --shared-dir=/d --fd=3 --thread-pool-size=1 --announce-submounts";
	char rust[] = "--socket-path /s --shared-dir /d --cache always --thread-pool-size=1 -o "
		      "announce_submounts --xattr";
	struct options o;
	struct err err;

	(void)state;
	assert_int_equal(parse(&o, go, &err), 0);
	assert_true(o.syslog && o.fd == 3 && o.queue.threads == 1 && o.fuse.announce_submounts);
	options_free(&o);
	assert_int_equal(parse(&o, rust, &err), 0);
	assert_true(!strcmp(o.socket_path, "/s") && o.fuse.cache == FUSE_CACHE_ALWAYS && o.fuse.xattr);
	options_free(&o);
}

static void test_manuals(void **state)
{
	static const char *const lines[] = {
		"--socket-path=/var/run/vm001-vhost-fs.sock -o source=/var/lib/fs/vm001",
		"--socket-path=/tmp/vfsd.sock --shared-dir /mnt --inode-file-handles=mandatory",
		"--socket-path=/tmp/vfsd.sock --shared-dir /mnt --sandbox chroot",
		"--socket-path=/tmp/vfsd.sock --shared-dir share --readonly",
		"--socket-path=/s -o source=/d -o cache=none -o max_idle_threads=10 -o timeout=2.5 -f",
		"--socket-path=/s -o "
		"source=/d,log_level=warn,modcaps=+sys_admin:-chown,killpriv_v2,readdirplus",
		"--socket-path=/s --shared-dir=/d --inode-file-handles=fallback --no-killpriv-v2 "
		"--allow-mmap",
		"--socket-path=/s --shared-dir=/d --security-label --modcaps=+sys_admin --no-readdirplus",
		"--socket=/s --shared-dir=/d --announce-submounts --no-announce-submounts --allow-direct-io",
		"--socket-path=/s --socket-group=kvm -o "
		"source=/d,allow_direct_io,no_allow_direct_io,loglevel=err",
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_LEN(lines); i++) {
		char line[256];
		struct options o;
		struct err err;

		snprintf(line, sizeof(line), "%s", lines[i]);
		if (parse(&o, line, &err))
			fail_msg("%s: %s", lines[i], err.text);
		options_free(&o);
	}
}

/* The output of a printer as a string, the caller's. */
static char *text_of(void (*print)(FILE *))
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	print(f);
	fclose(f);
	assert_non_null(text);
	return text;
}

static void test_help(void **state)
{
	char *help = text_of(help_print);

	(void)state;
	for (unsigned int i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];
		char name[96];

		assert_non_null(row->help);
		snprintf(name, sizeof(name), "%s%s",
			row->kind == OPTION_FLAG || row->negatable ? "--[no-]" : "--",
			row->name ? row->name : "");
		if (row->name && !strstr(help, name))
			fail_msg("--help says nothing of %s", name);
		snprintf(name, sizeof(name), "  -%c", row->letter);
		if (row->letter && !strstr(help, name))
			fail_msg("--help says nothing of -%c", row->letter);
	}
	for (char *rest = help, *l; (l = strsep(&rest, "\n"));)
		if (strlen(l) > 80)
			fail_msg("a line of --help has %zu characters: %s", strlen(l), l);
	free(help);
}

static void test_other_texts(void **state)
{
	char *man = text_of(help_print_man);
	char *bash = text_of(help_print_bash);
	char *json = text_of(help_print_capabilities);

	(void)state;
	assert_non_null(strstr(man, ".B \\-\\-cache=POLICY\n"));
	assert_non_null(strstr(man, "A comma within a value is written \\e,"));
	assert_non_null(strstr(bash, " --no-xattr"));
	assert_non_null(strstr(bash, "--cache) list=\"never metadata auto always\""));
	assert_non_null(strstr(bash, " --xattrmap="));
	assert_null(strstr(bash, "allow-root"));
	assert_non_null(strstr(json, "\"type\": \"fs\""));
	assert_non_null(strstr(json, "\"separate-options\""));
	free(man);
	free(bash);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_flag),
		cmocka_unit_test(test_every_choice),
		cmocka_unit_test(test_every_number),
		cmocka_unit_test(test_every_text),
		cmocka_unit_test(test_socket_path_length),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_rules_of_ids),
		cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_xattrmap),
		cmocka_unit_test(test_libvirt),
		cmocka_unit_test(test_kata),
		cmocka_unit_test(test_manuals),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_other_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
