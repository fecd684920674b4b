/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a worker takes over from one that is gone: the layers go on from the state segment, and of the
 * descriptors that all workers share, those that nobody answers for are closed. Control thread, at start.
 */
#ifndef DAEMON_ADOPT_H
#define DAEMON_ADOPT_H

#include "base/fdmap.h"
#include "dax/dax.h"
#include "fs/fs.h"
#include "vhost/device.h"

/* Who holds descriptors in a worker. */
struct adopt_holders {
	const int *own; /* the worker's own, @nown of them */
	unsigned int nown;
	struct fs *fs;
	const struct vhost_device *device;
	const struct dax *dax; /* NULL: there is no window */
};

/*
 * Closes every descriptor but those in @base (the supervisor's, from before there were workers) and the
 * holders', who say which these are by their records. 0 or -errno with @err: the records cannot be right.
 */
int adopt_descriptors(const struct fdmap *base, const struct adopt_holders *holders, struct err *err);

#endif
