/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a worker takes over from one that is gone: the layers go on from the state segment, and of the
 * descriptors that all workers share, those that nobody answers for are closed. Control thread, at start.
 */
#ifndef DAEMON_ADOPT_H
#define DAEMON_ADOPT_H

#include "base/fdmap.h"
#include "fs/fs.h"
#include "vhost/device.h"

/*
 * Closes every descriptor but those in @base (the supervisor's, from before there were workers), the worker's
 * own, which are at most @nown in @own, and those that the records of @fs and @device hold. 0 or -errno with
 * @err: the records cannot be right.
 */
int adopt_descriptors(const struct fdmap *base, const int *own, unsigned int nown, struct fs *fs,
	const struct vhost_device *device, struct err *err);

#endif
