/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/adopt.h"

#include <string.h>

static int name_all(struct fdmap *map, const struct adopt_holders *h)
{
	int r = 0;

	for (unsigned int i = 0; i < h->nown && !r; i++)
		r = fdmap_add(map, h->own[i]);
	if (!r)
		r = fs_keep_fds(h->fs, map);
	if (!r && h->dax)
		r = dax_keep_fds(h->dax, map);
	return r ? r : vhost_device_keep_fds(h->device, map);
}

int adopt_descriptors(const struct fdmap *base, const struct adopt_holders *holders, struct err *err)
{
	struct fdmap map = {0};
	int r = 0;

	for (int fd = fdmap_next(base, 0); fd >= 0 && !r; fd = fdmap_next(base, fd + 1))
		r = fdmap_add(&map, fd);
	if (!r)
		r = name_all(&map, holders);
	if (!r)
		fdmap_close_others(&map);
	fdmap_free(&map);
	return r ? err_sys(err, -r, "the state's descriptors cannot be right") : 0;
}
