/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two kinds of virtual machine: which kernel they boot, what their initramfs needs, how they are started.
 * Not here: the daemons and the relay, which are the same for both.
 */
#ifndef TOOLS_VM_H
#define TOOLS_VM_H

#include "colofs.h"
#include "session.h"

struct vm_start {
	const struct run_opts *opts;
	const char *dir;    /* the session's directory */
	const char *initrd; /* path of the initramfs */
	int channel;	    /* our guest's end of the frames' socket */
	const char *const
		*sockets; /* of the daemons, in the order of the shares, then the root's (root_share) */
	const char *const *tags;
	size_t n_sockets;
	bool kvm;
};

struct vm_kernel {
	char *kernel;  /* path */
	char *modules; /* directory of its modules */
};

struct vm_ops {
	const char *name;
	const char *channel;	    /* the device in the guest */
	const char *const *modules; /* NULL-terminated; overlay is optional */
	bool daemon_tag;	    /* the guest learns the tag from the daemon */
	bool root_share;	    /* the root comes by virtio-fs, not by hostfs */
	int (*find)(const struct run_opts *o, struct vm_kernel *k, struct err *e);
	void (*command)(
		const struct vm_start *v, const struct vm_kernel *k, struct strv *argv, struct strv *envp);
	/* Puts further files into the session's directory, sets what daemons and guest inherit; or NULL. */
	int (*prepare)(const char *dir, struct err *e);
	int (*enter)(const void *dir); /* for struct spawn, with the session's directory */
};

extern const struct vm_ops vm_uml;
extern const struct vm_ops vm_qemu;

/* The path of @program in $PATH (or itself, if it has a slash and can be run), for the caller to free; or
 * NULL. */
char *vm_find_program(const char *program);

/* The newest directory of modules beneath @dir (by version), for the caller to free; or NULL. */
char *vm_newest_modules(const char *dir);

#endif
