/* SPDX-License-Identifier: BSD-3-Clause */
#include "sandbox/stages.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <sys/resource.h>

#define DEFAULT_NOFILE 1000000

/* The most descriptors that the kernel gives any process. */
static uint64_t nr_open(void)
{
	autofd int fd = open("/proc/sys/fs/nr_open", O_RDONLY | O_CLOEXEC);
	char text[32] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return DEFAULT_NOFILE;
	return strtoull(text, NULL, 10);
}

/* As many as may be, up to a million: without privilege the hard limit is the end. */
static int raise_as_far_as_allowed(const struct rlimit *now, struct err *err)
{
	uint64_t most = MIN(DEFAULT_NOFILE, nr_open());
	struct rlimit want = {most, most};

	if (now->rlim_cur >= most || !setrlimit(RLIMIT_NOFILE, &want))
		return 0;
	want = (struct rlimit){now->rlim_max, now->rlim_max};
	log_debug("at most %llu descriptors may be had, not %llu", (unsigned long long)now->rlim_max,
		(unsigned long long)most);
	if (setrlimit(RLIMIT_NOFILE, &want))
		return err_sys(err, errno, "the limit of descriptors cannot be raised");
	return 0;
}

int stage_limits(const struct sandbox_config *cfg, struct err *err)
{
	struct rlimit want = {cfg->rlimit_nofile, cfg->rlimit_nofile};
	struct rlimit now;

	if (!cfg->rlimit_nofile)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &now))
		return err_sys(err, errno, "the limit of descriptors cannot be read");
	if (cfg->rlimit_nofile == SANDBOX_RLIMIT_DEFAULT)
		return raise_as_far_as_allowed(&now, err);
	if (setrlimit(RLIMIT_NOFILE, &want)) {
		uint64_t most = cfg->rlimit_nofile > nr_open() ? nr_open() : now.rlim_max;

		return err_sys(err, errno, "--rlimit-nofile=%llu cannot be set; at most %llu may be had here",
			(unsigned long long)cfg->rlimit_nofile, (unsigned long long)most);
	}
	return 0;
}
