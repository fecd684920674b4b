/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of `colofs run`: one table makes the parser's list and the help. */
#include "colofs.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/number.h"
#include "opt_table.h"

#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB	    (1024ull * 1024)
#define MEM_DEFAULT (1024 * MIB)
#define MEM_MIN	    (128 * MIB)
#define MEM_MAX	    (1024 * 1024 * MIB)

enum opt {
	OPT_AT = 256,
	OPT_VM,
	OPT_MEM,
	OPT_ENV,
	OPT_DAEMON,
	OPT_DAEMON_OPTION,
	OPT_DAEMON_SOCKET,
	OPT_KERNEL,
	OPT_MODULES,
	OPT_KERNEL_ROOT,
	OPT_QEMU,
	OPT_ACCEL,
	OPT_BOOT_TIMEOUT,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct opt_row rows[] = {
	{OPT_AT, "at", "MOUNTPOINT",
		"where the share is in the guest [/mnt]; several shares: MOUNTPOINT/TAG"},
	{OPT_VM, "vm", "uml|qemu", "the virtual machine: User-Mode Linux [default], or QEMU"},
	{OPT_MEM, "mem", "SIZE", "the guest's memory, with K, M or G [1G]"},
	{OPT_ENV, "env", "NAME[=VALUE]", "set a variable for COMMAND, or pass this one on; repeatable"},
	{OPT_DAEMON, "daemon", "PATH",
		"the daemon [$COLOFSD, else the one beside colofs, else colofsd in $PATH]"},
	{OPT_DAEMON_OPTION, "daemon-option", "OPT", "give the daemons this option too; repeatable"},
	{OPT_DAEMON_SOCKET, "daemon-socket", "PATH",
		"start none: the share's daemon runs already and listens at PATH"},
	{OPT_KERNEL, "kernel", "FILE", "the guest's kernel (uml: the program linux.uml); needs --modules"},
	{OPT_MODULES, "modules", "DIR", "that kernel's modules, for example /lib/modules/6.1.0-13-amd64"},
	{OPT_KERNEL_ROOT, "kernel-root", "DIR",
		"look for kernel and modules beneath DIR [/], an unpacked package"},
	{OPT_QEMU, "qemu", "PATH", "the QEMU program [qemu-system-x86_64]"},
	{OPT_ACCEL, "accel", "auto|kvm|tcg", "QEMU: KVM, emulation, or KVM if a guest starts with it [auto]"},
	{OPT_BOOT_TIMEOUT, "boot-timeout", "SECONDS",
		"give up if the guest is not up by then [120]; 0: never"},
	{OPT_VERBOSE, "verbose", NULL, "tell what is started, and show kernel's and daemon's messages"},
	{OPT_HELP, "help", NULL, "this text"},
};

static const struct opt_table table = {rows, ARRAY_LEN(rows), "-hv", "colofs run"};

static const char help_head[] =
	"Usage: colofs run DIR[:TAG][:ro]... [OPTION]... [-- COMMAND [ARGUMENT]...]\n"
	"\n"
	"Boots a Linux guest, mounts the host directory DIR in it by virtio-fs, and runs COMMAND there, or a "
	"shell.\n"
	"The guest sees the host's programs (read-only; what it changes outside its shares vanishes with "
	"it).\n"
	"\n"
	"Examples:\n"
	"  colofs run . -- make                     build in a guest what is in this directory\n"
	"  colofs run .                             a shell in a guest, in this directory\n"
	"  colofs run src:ro out -- cp /mnt/src/a /mnt/out/     two shares, one of them read-only\n"
	"  echo hello | colofs run . -- wc -c       input, output and exit status are the command's\n"
	"  colofs run . --vm qemu --mem 2G -- uname -a          the same with QEMU and the host's Debian "
	"kernel\n"
	"\n"
	"Options:\n";

static const char help_tail[] = "\n"
				"COMMAND starts in the first share. PATH, HOME, TERM, SHELL, LANG, LC_ALL, "
				"TZ and USER are passed on.\n"
				"Ctrl-C ends guest and daemons; in a guest's terminal it goes to COMMAND, "
				"and three times Ctrl-] ends all.\n"
				"\n"
				"Exit status: COMMAND's; 128 plus the number of the signal that ended it; "
				"127 if it was not found, 126 if it\n"
				"could not be run; 125 if colofs itself failed.\n"
				"\n"
				"Packages (Debian): user-mode-linux for --vm uml; qemu-system-x86 and "
				"linux-image-amd64 for --vm qemu.\n";

void opts_help(void)
{
	fputs(help_head, stdout);
	opt_table_show(&table);
	fputs(help_tail, stdout);
}

static int parse_mem(struct run_opts *o, const char *s, struct err *e)
{
	uint64_t v;
	int r = number_parse_size(s, 20, &v); /* a bare number means MiB, as with QEMU */

	if (r == -EINVAL)
		return err_set(e, EINVAL, "--mem '%s': not a size; write it like 512M or 2G", s);
	if (r || v > MEM_MAX || v < MEM_MIN)
		return err_set(e, ERANGE, "--mem '%s': out of range; give 128M to 1024G", s);
	o->mem = v / MIB * MIB;
	return 0;
}

static int parse_timeout(struct run_opts *o, const char *s, struct err *e)
{
	uint64_t v;

	if (number_parse(s, &v) || v > 86400)
		return err_set(e, EINVAL, "--boot-timeout '%s': give seconds, 0 to 86400", s);
	o->boot_timeout_s = (unsigned int)v;
	return 0;
}

static int parse_at(struct run_opts *o, const char *s, struct err *e)
{
	autofree char *framed = str_format("%s/", s);

	if (s[0] != '/' || !s[strspn(s, "/")])
		return err_set(
			e, EINVAL, "--at '%s': give an absolute path other than /, for example /mnt", s);
	if (strstr(framed, "/../") || strstr(framed, "/./"))
		return err_set(e, EINVAL, "--at '%s': write the path without . and ..", s);
	if (strlen(s) > 1024)
		return err_set(e, ENAMETOOLONG, "--at: longer than 1024 characters");
	o->at = s;
	return 0;
}

static int parse_vm(struct run_opts *o, const char *s, struct err *e)
{
	if (strcmp(s, "uml") && strcmp(s, "qemu"))
		return err_set(e, EINVAL, "--vm '%s': choose uml or qemu", s);
	o->qemu_guest = !strcmp(s, "qemu");
	return 0;
}

static int parse_accel(struct run_opts *o, const char *s, struct err *e)
{
	static const char *const names[] = {"auto", "kvm", "tcg"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(s, names[i])) {
			o->accel = (enum vm_accel)i;
			return 0;
		}
	return err_set(e, EINVAL, "--accel '%s': choose auto, kvm or tcg", s);
}

static int add_env(struct run_opts *o, const char *s, struct err *e)
{
	const char *value = getenv(s);

	if (!*s || *s == '=')
		return err_set(
			e, EINVAL, "--env '%s': give NAME=VALUE, or the NAME of a variable that is set", s);
	if (strchr(s, '='))
		strv_add(&o->env, "%s", s);
	else if (value)
		strv_add(&o->env, "%s=%s", s, value);
	else
		return err_set(e, EINVAL, "--env '%s': no such variable is set; give NAME=VALUE", s);
	return 0;
}

static int add_share(struct run_opts *o, const char *spec, struct err *e)
{
	int ret;

	if (o->n_shares == SHARES_MAX)
		return err_set(e, E2BIG, "share '%s': at most %d shares", spec, SHARES_MAX);
	ret = share_parse(&o->shares[o->n_shares++], spec, e);
	if (ret == -ENOENT && !strchr(spec, '/') && o->n_shares > 1)
		return err_set(e, ENOENT,
			"share '%s': No such file or directory; a command comes after --: "
			"colofs run DIR -- COMMAND",
			spec);
	return ret;
}

static int take(struct run_opts *o, int id, const char *arg, struct err *e)
{
	switch (id) {
	case 1:
		return add_share(o, arg, e);
	case OPT_AT:
		return parse_at(o, arg, e);
	case OPT_VM:
		return parse_vm(o, arg, e);
	case OPT_MEM:
		return parse_mem(o, arg, e);
	case OPT_ACCEL:
		return parse_accel(o, arg, e);
	case OPT_BOOT_TIMEOUT:
		return parse_timeout(o, arg, e);
	case OPT_ENV:
		return add_env(o, arg, e);
	case OPT_DAEMON_OPTION:
		strv_add(&o->daemon_options, "%s", arg);
		return 0;
	case OPT_DAEMON_SOCKET:
		o->daemon_socket = arg;
		return 0;
	case OPT_DAEMON:
		o->daemon = arg;
		return 0;
	case OPT_KERNEL:
		o->kernel = arg;
		return 0;
	case OPT_MODULES:
		o->modules = arg;
		return 0;
	case OPT_KERNEL_ROOT:
		o->kernel_root = arg;
		return 0;
	case OPT_QEMU:
		o->qemu = arg;
		return 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

static int check(struct run_opts *o, struct err *e)
{
	if (!o->n_shares)
		return err_set(e, EINVAL, "no directory to share; write: colofs run DIR -- COMMAND");
	if (!o->kernel != !o->modules)
		return err_set(e, EINVAL, "--kernel and --modules belong together; give both");
	if (o->kernel && o->kernel_root)
		return err_set(e, EINVAL, "--kernel and --kernel-root exclude each other; give one");
	if (!o->qemu_guest && (o->qemu || o->accel != VM_ACCEL_AUTO))
		return err_set(e, EINVAL, "--qemu and --accel need --vm=qemu");
	if (o->daemon_socket && o->n_shares > 1)
		return err_set(e, EINVAL, "--daemon-socket: a daemon has one share; give one DIR");
	if (o->daemon_socket && (o->daemon || o->daemon_options.n))
		return err_set(e, EINVAL,
			"--daemon-socket: that daemon runs already, without --daemon and --daemon-option");
	return share_finish(o->shares, o->n_shares, o->at, e);
}

/* The set variables of the caller that every command expects; --env comes after them and wins. */
static void pass_env(struct run_opts *o)
{
	static const char *const names[] = {
		"PATH", "HOME", "TERM", "SHELL", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getenv(names[i]))
			strv_add(&o->env, "%s=%s", names[i], getenv(names[i]));
}

int opts_parse(struct run_opts *o, int argc, char **argv, struct err *e)
{
	const char *arg;
	int id, ret;

	*o = (struct run_opts){.at = "/mnt", .mem = MEM_DEFAULT, .boot_timeout_s = 120};
	pass_env(o);
	optind = 1;
	while ((id = opt_table_next(&table, argc, argv, &arg, e)) != OPT_TABLE_END) {
		ret = id < 0 ? id : take(o, id == 'v' ? (int)OPT_VERBOSE : id, arg, e);
		if (ret < 0 || o->help)
			return ret;
	}
	o->command = argv + optind;
	return check(o, e);
}

void opts_free(struct run_opts *o)
{
	for (size_t i = 0; i < o->n_shares; i++) {
		free(o->shares[i].dir);
		free(o->shares[i].at);
	}
	strv_free(&o->daemon_options);
	strv_free(&o->env);
}
