/* SPDX-License-Identifier: BSD-3-Clause */
/* `colofs run`: finds everything, makes the initramfs, starts daemons and guest, relays, clears up. */
#include "colofs.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "cpio.h"
#include "kmod.h"
#include "relay.h"
#include "session.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KVM_PROOF_S 15 /* a guest that is not up by then does not run with this KVM */

extern const unsigned char guest_init[];
extern const size_t guest_init_len;

/* What a run needs, found before anything is made. */
struct plan {
	struct run_opts *opts;
	const struct vm_ops *vm;
	struct vm_kernel kernel;
	char *daemon;
	struct share shares[SHARES_MAX + 1]; /* the root's last; borrowed strings */
	size_t n_shares;
};

static char *beside_us(const char *relative)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	autofree char *path = NULL;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	path = str_format("%s/%s", self, relative);
	return vm_find_program(path);
}

static int find_daemon(struct plan *p, struct err *e)
{
	static const char *const places[] = {"colofsd", "../src/daemon/colofsd", "../libexec/colofsd"};
	const char *given = p->opts->daemon ? p->opts->daemon : getenv("COLOFSD");

	if (given && *given) {
		p->daemon = vm_find_program(given);
		return p->daemon ? 0
				 : err_set(e, ENOENT, "%s '%s': not found or not a program",
					   p->opts->daemon ? "--daemon" : "COLOFSD", given);
	}
	for (size_t i = 0; i < ARRAY_LEN(places) && !p->daemon; i++)
		p->daemon = beside_us(places[i]);
	if (!p->daemon)
		p->daemon = vm_find_program("colofsd");
	return p->daemon ? 0
			 : err_set(e, ENOENT,
				   "colofsd: not found beside colofs or in $PATH; name it with --daemon");
}

static int plan_make(struct plan *p, struct run_opts *o, struct err *e)
{
	static char root_dir[] = "/";
	int ret;

	*p = (struct plan){.opts = o, .vm = o->qemu_guest ? &vm_qemu : &vm_uml};
	ret = p->vm->find(o, &p->kernel, e);
	if (!ret)
		ret = find_daemon(p, e);
	if (ret < 0)
		return ret;
	memcpy(p->shares, o->shares, o->n_shares * sizeof(p->shares[0]));
	p->n_shares = o->n_shares;
	if (p->vm->root_share)
		p->shares[p->n_shares++] =
			(struct share){.dir = root_dir, .tag = SHARE_ROOT, .readonly = true};
	return 0;
}

static void plan_free(struct plan *p)
{
	free(p->kernel.kernel);
	free(p->kernel.modules);
	free(p->daemon);
}

/* One string of the guest's configuration, its NUL included. */
static void config_put(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void config_put(FILE *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fputc('\0', f);
}

static void config_write(const struct plan *p, const struct strv *modules, FILE *f)
{
	const struct run_opts *o = p->opts;
	struct relay_terminal t;

	relay_look_at_terminal(&t);
	config_put(f, "channel=%s", p->vm->channel);
	config_put(f, "root=%s", p->vm->root_share ? SHARE_ROOT : "hostfs");
	config_put(f, "cwd=%s", o->shares[0].at);
	config_put(f, "tty=%s%s%s", t.tty[0] ? "i" : "", t.tty[1] ? "o" : "", t.tty[2] ? "e" : "");
	config_put(f, "winsize=%ux%u", t.rows, t.columns);
	for (size_t i = 0; i < modules->n; i++)
		config_put(f, "module=%s", modules->v[i]);
	for (size_t i = 0; i < o->n_shares; i++)
		config_put(f, "share=%s:%s:%s", o->shares[i].readonly ? "ro" : "rw", o->shares[i].tag,
			o->shares[i].at);
	for (size_t i = 0; i < o->env.n; i++)
		config_put(f, "env=%s", o->env.v[i]);
	for (char **a = o->command; *a; a++)
		config_put(f, "arg=%s", *a);
}

static int add_config(const struct plan *p, const struct strv *modules, struct cpio *c, struct err *e)
{
	autofree char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return err_sys(e, ENOMEM, "the guest's configuration");
	config_write(p, modules, f);
	if (fclose(f))
		return err_sys(e, ENOMEM, "the guest's configuration");
	cpio_file(c, "config", 0400, text, len);
	return 0;
}

static int add_modules(const struct plan *p, struct cpio *c, struct err *e)
{
	struct kmod_set k;
	int ret = kmod_open(&k, p->kernel.modules, c, e);

	for (const char *const *m = p->vm->modules; !ret && *m; m++)
		ret = kmod_add(&k, *m, strcmp(*m, "overlay") != 0, e);
	if (!ret)
		ret = add_config(p, &k.order, c, e);
	kmod_close(&k);
	return ret;
}

static int make_initramfs(const struct plan *p, const char *path, struct err *e)
{
	struct cpio c = {.f = fopen(path, "wxe")};
	int ret;

	if (!c.f)
		return err_sys(e, errno, "%s", path);
	cpio_dir(&c, "dev");
	cpio_char_device(&c, "dev/console", 5, 1);
	cpio_dir(&c, "modules");
	cpio_file(&c, "init", 0755, guest_init, guest_init_len);
	ret = add_modules(p, &c, e);
	cpio_end(&c);
	if (fclose(c.f) && !ret)
		ret = err_sys(e, errno, "%s", path);
	return ret;
}

/* A listening socket for the daemon, as libvirt does it: the guest can connect at once. */
static int listen_at(const char *path, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(
			e, ENAMETOOLONG, "%s: too long for a socket; set TMPDIR to a shorter path", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		return err_sys(e, errno, "socket %s", path);
	return fd_take(&fd);
}

/* The root is ours: no option of the user's, and no submounts shown, because overlayfs enters none. */
static void add_daemon_options(const struct plan *p, const struct share *sh, struct strv *argv)
{
	if (!strcmp(sh->tag, SHARE_ROOT)) {
		strv_add(argv, "--no-announce-submounts");
		return;
	}
	for (size_t i = 0; i < p->opts->daemon_options.n; i++)
		strv_add(argv, "%s", p->opts->daemon_options.v[i]);
}

static int start_daemon(const struct plan *p, struct session *s, const struct share *sh,
	const char *socket_path, struct err *e)
{
	autofd int fd = listen_at(socket_path, e);
	autofree char *name = str_format("%s for %s", strrchr(p->daemon, '/') + 1, sh->dir);
	struct strv argv = {0};
	struct proc *proc;
	int ret;

	if (fd < 0)
		return fd;
	strv_add(&argv, "%s", p->daemon);
	strv_add(&argv, "--fd=%d", fd);
	strv_add(&argv, "--shared-dir=%s", sh->dir);
	if (p->vm->daemon_tag)
		strv_add(&argv, "--tag=%s", sh->tag);
	if (sh->readonly)
		strv_add(&argv, "--readonly");
	add_daemon_options(p, sh, &argv);
	ret = session_spawn(s, &(struct spawn){.name = name, .argv = argv.v, .keep = {fd, -1}}, &proc, e);
	strv_free(&argv);
	return ret;
}

/* Adds the path at which the share's daemon listens. */
static int serve_share(
	const struct plan *p, struct session *s, const struct share *sh, struct strv *sockets, struct err *e)
{
	if (p->opts->daemon_socket && strcmp(sh->tag, SHARE_ROOT)) {
		strv_add(sockets, "%s", p->opts->daemon_socket);
		return 0;
	}
	strv_add(sockets, "%s/share%zu", s->dir, sockets->n);
	return start_daemon(p, s, sh, sockets->v[sockets->n - 1], e);
}

static int start_vm(const struct plan *p, struct session *s, const struct vm_start *v, struct err *e)
{
	struct strv argv = {0}, envp = {0};
	struct proc *proc;
	int ret;

	p->vm->command(v, &p->kernel, &argv, &envp);
	ret = session_spawn(s,
		&(struct spawn){.name = p->vm->name,
			.argv = argv.v,
			.envp = envp.v,
			.keep = {v->channel, -1},
			.enter = p->vm->enter,
			.arg = s->dir},
		&proc, e);
	strv_free(&argv);
	strv_free(&envp);
	return ret;
}

/* Starts the daemons and the guest. Returns our end of the channel. */
static int start_all(const struct plan *p, struct session *s, bool kvm, struct err *e)
{
	autofree char *initrd = str_format("%s/initrd", s->dir);
	const char *tags[SHARES_MAX + 1];
	struct strv sockets = {0};
	struct vm_start v = {.opts = p->opts, .dir = s->dir, .initrd = initrd, .tags = tags, .kvm = kvm};
	int ends[2] = {-1, -1};
	int ret = make_initramfs(p, initrd, e);

	if (!ret && p->vm->prepare)
		ret = p->vm->prepare(s->dir, e);
	for (size_t i = 0; i < p->n_shares && !ret; i++) {
		tags[i] = p->shares[i].tag;
		ret = serve_share(p, s, &p->shares[i], &sockets, e);
	}
	if (!ret && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		ret = err_sys(e, errno, "socketpair");
	if (!ret) {
		v.channel = ends[1];
		v.sockets = (const char *const *)sockets.v;
		v.n_sockets = sockets.n;
		ret = start_vm(p, s, &v, e);
		close(ends[1]);
		if (ret < 0)
			close(ends[0]);
	}
	strv_free(&sockets);
	return ret < 0 ? ret : ends[0];
}

static int run_once(const struct plan *p, bool kvm, bool proof, struct err *e)
{
	unsigned int timeout_s = p->opts->boot_timeout_s;
	struct session s;
	int ret;

	if (proof && (!timeout_s || timeout_s > KVM_PROOF_S))
		timeout_s = KVM_PROOF_S;
	ret = session_open(&s, p->opts->mem, p->opts->verbose, e);
	if (!ret)
		ret = start_all(p, &s, kvm, e);
	if (ret >= 0)
		ret = relay_run(&s, ret, timeout_s, e);
	if (ret < 0 && ret != -EPIPE && !proof)
		session_show_logs(&s);
	session_close(&s);
	return ret;
}

/* A /dev/kvm that opens says little: only a guest that comes up proves it. */
static int run_auto(const struct plan *p, struct err *e)
{
	int ret;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return run_once(p, false, false, e);
	ret = run_once(p, true, true, e);
	if (ret != -ETIMEDOUT)
		return ret;
	if (p->opts->verbose)
		fprintf(stderr, "colofs: no guest comes up with KVM here; now without (--accel=tcg saves the "
				"wait)\n");
	return run_once(p, false, false, e);
}

int run_guest(struct run_opts *o)
{
	struct plan p;
	struct err e;
	int ret;

	relay_block_signals();
	ret = plan_make(&p, o, &e);
	if (!ret && o->qemu_guest && o->accel == VM_ACCEL_AUTO)
		ret = run_auto(&p, &e);
	else if (!ret)
		ret = run_once(&p, o->accel == VM_ACCEL_KVM, false, &e);
	plan_free(&p);
	if (ret >= 0)
		return ret;
	fprintf(stderr, "colofs: %s\n", e.text);
	return EXIT_COLOFS;
}
