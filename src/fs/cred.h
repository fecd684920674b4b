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

struct handle;
struct inode_use;

/* By fs_new(), while the process has one thread: keeps capabilities over fsuid changes, drops the
 * supplementary groups, umask 0. Does nothing but the umask without cfg->change_creds. 0 or -errno with @err.
 */
int cred_setup(const struct fs_config *cfg, struct err *err);

/* The thread acts as the daemon (all capabilities it has). */
int cred_daemon(struct fs *fs);
/*
 * The same ahead of what the daemon's capabilities allow, whoever the thread still is from its last request:
 * only on file systems that are not known to be local, where a server may judge. By an inode or a handle.
 */
int cred_daemon_at(struct fs *fs, const struct inode_use *u);
int cred_daemon_by(struct fs *fs, struct handle *h);
/*
 * The thread acts as the daemon, and SUID and SGID bits go as they do for a user without CAP_FSETID. It takes
 * the caller's group: the host's kernel leaves SGID on a file without group execution to members of its
 * group.
 */
int cred_daemon_kill_priv(struct fs *fs, const struct op_ctx *c);
/* The same as a member of the host's group @gid besides, (gid_t)-1: of none. */
int cred_daemon_kill_priv_of(struct fs *fs, const struct op_ctx *c, gid_t gid);
/*
 * The thread acts as the caller in the guest, his ids translated: what it creates belongs to him. -EPERM if
 * an id is forbidden or cannot be taken on here.
 */
int cred_caller(struct fs *fs, const struct op_ctx *c);
/* As cred_caller(), and the host checks permissions as for that user (root keeps his capabilities). Only for
 * ACCESS: cred_daemon() follows. */
int cred_caller_checked(struct fs *fs, const struct op_ctx *c);

/*
 * Around the system call that creates an inode: cred_caller(), and what else decides how the new inode looks:
 * the caller's umask (only features.posix_acl; the kernel applies it where no default ACL does) and its
 * security label (only features.security_ctx). If the kernel does not label new inodes by itself, *label_left
 * says that the op sets m->secctx as extended attribute afterwards. cred_create_end() in every case, errors
 * included.
 */
int cred_create_begin(struct fs *fs, const struct op_ctx *c, const struct op_mode *m, bool *label_left);
void cred_create_end(struct fs *fs, const struct op_mode *m);

/* Whether the calling thread has the capability, as it is now. */
bool cred_has(unsigned int cap);

#endif
