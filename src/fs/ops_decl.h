/* SPDX-License-Identifier: BSD-3-Clause */
/* The ops' prototypes, taken from struct fuse_ops so that they cannot differ. Included by fs/internal.h only.
 */
#ifndef FS_OPS_DECL_H
#define FS_OPS_DECL_H

#include "fuse/ops.h"

#define FS_OP(name) __typeof__(*((struct fuse_ops *)0)->name) fs_op_##name
FS_OP(lookup);
FS_OP(forget);
FS_OP(symlink);
FS_OP(mknod);
FS_OP(mkdir);
FS_OP(unlink);
FS_OP(rmdir);
FS_OP(rename);
FS_OP(link);
FS_OP(readlink);
FS_OP(getattr);
FS_OP(setattr);
FS_OP(statfs);
FS_OP(access);
FS_OP(open);
FS_OP(create);
FS_OP(tmpfile);
FS_OP(read);
FS_OP(write);
FS_OP(flush);
FS_OP(release);
FS_OP(fsync);
FS_OP(fallocate);
FS_OP(lseek);
FS_OP(copy_file_range);
FS_OP(ioctl);
FS_OP(syncfs);
FS_OP(window_works);
FS_OP(setupmapping);
FS_OP(removemapping);
FS_OP(opendir);
FS_OP(dir_lock);
FS_OP(dir_unlock);
FS_OP(readdir);
FS_OP(lookup_listed);
FS_OP(releasedir);
FS_OP(fsyncdir);
FS_OP(setxattr);
FS_OP(getxattr);
FS_OP(listxattr);
FS_OP(removexattr);
FS_OP(getlk);
FS_OP(setlk);
FS_OP(flock);
#undef FS_OP

#endif
