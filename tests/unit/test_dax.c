/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows of several daemons over one file: who maps it keeps others from cutting it, and the other way. */
#include "dax/dax.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE ((struct nodeid){7})

/* A daemon's window, and the front-end to it, which only notes whether it got the file's own pages. */
struct peer {
	struct dax *dax;
	const struct op_window *w;
	struct segment seg;
	struct dax_config cfg;
	bool direct;
};

static int file, claims;

static ino_t inode_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static int vmm_map(void *arg, int fd, uint64_t file_off, uint64_t window_off, uint64_t len,
	const _Atomic bool *cancelled)
{
	struct peer *p = arg;

	(void)file_off, (void)window_off, (void)len, (void)cancelled;
	p->direct |= inode_of(fd) == inode_of(file);
	return 0;
}

static int vmm_unmap(
	void *arg, uint64_t file_off, uint64_t window_off, uint64_t len, const _Atomic bool *cancelled)
{
	(void)arg, (void)file_off, (void)window_off, (void)len, (void)cancelled;
	return 0;
}

static int dup_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* An open file description of its own. */
static int open_claims(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", claims);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* The process that serves; another one goes on from the same records and descriptors. */
static void serve(struct peer *p, bool adopt)
{
	struct dax_config cfg = p->cfg;
	struct err err;

	cfg.claims = dup_fd(cfg.claims);
	cfg.copies = dup_fd(cfg.copies);
	p->seg.adopt = adopt;
	assert_int_equal(dax_new(&cfg, &p->seg, &p->dax, &err), 0);
	p->w = dax_window(p->dax);
}

static void start(struct peer *p)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};
	struct err err;

	*p = (struct peer){.cfg = {.window = DAX_RANGE,
				   .policy = DAX_ALWAYS,
				   .any_owner = true,
				   .claims = open_claims(),
				   .copies = dax_copies(DAX_RANGE, &err),
				   .vmm = {.arg = p, .map = vmm_map, .unmap = vmm_unmap}}};
	assert_true(p->cfg.claims >= 0 && p->cfg.copies >= 0);
	dax_plan(&p->cfg, plan);
	assert_int_equal(segment_create(&p->seg, plan, &err), 0);
	serve(p, false);
}

static void end(struct peer *p)
{
	dax_free(p->dax);
	segment_close(&p->seg);
	close(p->cfg.claims);
	close(p->cfg.copies);
}

/* Whether it gets the file's own pages. */
static bool maps(struct peer *p)
{
	const struct op_mapping m = {.len = DAX_RANGE};

	p->direct = false;
	assert_int_equal(p->w->map(p->w->arg, NULL, NODE, &m, file), 0);
	return p->direct;
}

static void unmaps(struct peer *p)
{
	assert_int_equal(p->w->unmap(p->w->arg, NULL, 0, DAX_RANGE), 0);
}

static bool may_map(struct peer *p)
{
	bool direct = maps(p);

	unmaps(p);
	return direct;
}

static struct op_change cut(void)
{
	return (struct op_change){.node = NODE, .len = UINT64_MAX, .cuts = true, .fd = file};
}

static int begin_cut(struct peer *p)
{
	const struct op_change c = cut();

	return p->w->change_begin(p->w->arg, NULL, &c);
}

static void end_cut(struct peer *p, int held)
{
	const struct op_change c = cut();

	assert_true(held >= 0);
	assert_int_equal(p->w->change_end(p->w->arg, NULL, &c, held), 0);
}

static void who_maps_is_not_cut(void **state)
{
	struct peer a, b;

	(void)state;
	start(&a);
	start(&b);
	assert_true(maps(&b));
	assert_int_equal(begin_cut(&a), -ETXTBSY);
	end_cut(&b, begin_cut(&b));
	unmaps(&b);
	end_cut(&a, begin_cut(&a));
	end(&a);
	end(&b);
}

/* Between the decision to cut and the cut nobody else maps the file. */
static void who_cuts_is_not_mapped(void **state)
{
	struct peer a, b;
	int held;

	(void)state;
	start(&a);
	start(&b);
	held = begin_cut(&a);
	assert_false(may_map(&b));
	assert_true(may_map(&a));
	assert_false(may_map(&b));
	end_cut(&a, held);
	assert_true(may_map(&b));
	end(&a);
	end(&b);
}

static void who_cuts_lets_others_cut(void **state)
{
	struct peer a, b;
	int first, second, others;

	(void)state;
	start(&a);
	start(&b);
	first = begin_cut(&a);
	others = begin_cut(&b);
	second = begin_cut(&a);
	end_cut(&b, others);
	end_cut(&a, first);
	assert_false(may_map(&b)); /* one cut goes on */
	end_cut(&a, second);
	assert_true(may_map(&b));
	end(&a);
	end(&b);
}

/* A process ends amid a cut: the next one does not keep up others for ever. */
static void who_died_cuts_nothing(void **state)
{
	struct peer a, b;

	(void)state;
	start(&a);
	start(&b);
	assert_true(begin_cut(&a) >= 0);
	dax_free(a.dax);
	assert_false(may_map(&b));
	serve(&a, true);
	assert_true(may_map(&b));
	end(&a);
	end(&b);
}

static int set_up(void **state)
{
	(void)state;
	file = memfd_create("file", MFD_CLOEXEC);
	claims = memfd_create("claims", MFD_CLOEXEC);
	return file < 0 || claims < 0 || ftruncate(file, DAX_RANGE);
}

static int tear_down(void **state)
{
	(void)state;
	close(file);
	close(claims);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_maps_is_not_cut),
		cmocka_unit_test(who_cuts_is_not_mapped),
		cmocka_unit_test(who_cuts_lets_others_cut),
		cmocka_unit_test(who_died_cuts_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
