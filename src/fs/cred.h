/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose rights the calling thread has. Switched lazily: only what differs from what the thread has costs a
 * system call. By fsuid, fsgid and groups of the thread alone; effective capabilities stay
 * (SECBIT_NO_SETUID_FIXUP), as the guest's kernel has checked permissions, except CAP_FSETID, which is given
 * up where SUID and SGID bits must go as they do for a user.
 */
#ifndef FS_CRED_H
#define FS_CRED_H

#include "fs/fs.h"

/* Once for the process, before threads: keeps capabilities over fsuid changes, umask 0. 0 or -errno with
 * @err. */
int cred_setup(const struct fs_config *cfg, struct err *err);

/* The thread acts as the daemon (all capabilities it has). */
int cred_daemon(struct fs *fs);
/* The thread acts as the daemon, and SUID and SGID bits go as for a user without CAP_FSETID. */
int cred_daemon_kill_priv(struct fs *fs);
/* The thread acts as the caller in the guest: what it creates belongs to him. -EPERM if an id cannot be taken
 * on here. */
int cred_caller(struct fs *fs, const struct op_ctx *c);

#endif
