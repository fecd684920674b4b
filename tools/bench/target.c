/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon as a guest of it sees it; the header says more. */
#include "target.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <string.h>

#define MIB	   (1ull << 20)
#define HIGH_MEM   (4096 * MIB)
#define LOW_MEM	   (8 * MIB)
#define TIMEOUT_MS 10000

#define PROTOCOL                                                                                             \
	(VU_BIT(VU_P_MQ) | VU_BIT(VU_P_REPLY_ACK) | VU_BIT(VU_P_CONFIG) | VU_BIT(VU_P_CONFIGURE_MEM_SLOTS) | \
		VU_BIT(VU_P_STATUS))

/* What Linux 6.1 offers on virtio-fs, but for SECURITY_CTX, which would want a label with each CREATE. */
#define INIT_FLAGS                                                                                          \
	(FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES | \
		FUSE_DONT_MASK | FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_SPLICE_READ |                  \
		FUSE_FLOCK_LOCKS | FUSE_HAS_IOCTL_DIR | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |        \
		FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_WRITEBACK_CACHE | FUSE_NO_OPEN_SUPPORT |      \
		FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV | FUSE_POSIX_ACL | FUSE_ABORT_ERROR |           \
		FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT | FUSE_EXPLICIT_INVAL_DATA | \
		FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_INIT_EXT)

static int connect_and_negotiate(struct target *t, struct err *err)
{
	uint64_t features = VU_BIT(VU_F_VERSION_1) | VU_BIT(VU_F_PROTOCOL_FEATURES) |
			    VU_BIT(VU_F_INDIRECT_DESC) | VU_BIT(VU_F_EVENT_IDX) |
			    (t->opt->packed ? VU_BIT(VU_F_RING_PACKED) : 0);
	int r = fe_connect(&t->fe, t->opt->where, TIMEOUT_MS);

	if (r)
		return err_sys(err, -r, "connect to %s", t->opt->where);
	r = fe_negotiate(&t->fe, features, PROTOCOL);
	if (r)
		return err_sys(err, -r, "negotiation");
	if (t->opt->packed && !(t->fe.features & VU_BIT(VU_F_RING_PACKED)))
		return err_set(err, ENOTSUP, "the daemon does not offer packed rings");
	return 0;
}

/* How many queues the daemon can serve must not be less than what we start. */
static int check_queues(struct target *t, struct err *err)
{
	uint64_t most = 2;

	if (fe_has_protocol(&t->fe, VU_P_MQ) && fe_ask_u64(&t->fe, VU_GET_QUEUE_NUM, &most))
		return err_set(err, EPROTO, "the daemon does not say how many queues it has");
	if (most < t->opt->queues + 1)
		return err_set(err, ENOTSUP, "the daemon has %llu request queues, not %u",
			(unsigned long long)most - 1, t->opt->queues);
	return 0;
}

/* A small region for the high-priority queue and one for all the rest, as a machine's low and high memory. */
static int make_memory(struct target *t, struct err *err)
{
	uint64_t slots = (uint64_t)t->opt->queues * (t->opt->depth + TARGET_BACKGROUND);
	uint64_t size = (slots * (BENCH_BIG + 64 * 1024ull) + 4 * MIB + 2 * MIB - 1) & ~(2 * MIB - 1);
	int r = gm_add(&t->gm, 0, LOW_MEM, 0, 0);

	if (r >= 0)
		r = gm_add(&t->gm, HIGH_MEM, size, 0, 0);
	return r < 0 ? err_sys(err, -r, "guest memory") : 0;
}

static int make_queue(struct target *t, unsigned int i)
{
	struct drv_config dc = attach_config(&t->fe, t->opt->ring_size);
	struct fc_config cc = {.depth = t->opt->depth + (i == 1 ? TARGET_BACKGROUND : 0),
		.max_data = BENCH_BIG,
		.page_run = t->opt->page_run,
		.indirect = t->fe.features & VU_BIT(VU_F_INDIRECT_DESC),
		.layout = FC_PAGES,
		.timeout_ms = TIMEOUT_MS};
	int r;

	/* Linux sends FORGET as one descriptor, without a table. */
	if (i == 0)
		cc = (struct fc_config){.depth = TARGET_FORGETS,
			.max_data = 4096,
			.layout = FC_FLAT,
			.timeout_ms = TIMEOUT_MS};
	r = drv_init(&t->queue[i], &t->gm, &dc);
	t->queues = i + 1;
	return r ? r : fc_init(&t->client[i], &t->gm, &t->queue[i], &cc);
}

static int start(struct target *t, struct err *err)
{
	int r = 0;

	for (unsigned int i = 0; i <= t->opt->queues && !r; i++)
		r = make_queue(t, i);
	if (!r)
		r = fe_set_features(&t->fe, t->fe.features);
	if (!r)
		r = fe_share_mem(&t->fe, &t->gm);
	for (unsigned int i = 0; i < t->queues && !r; i++)
		r = attach_queue(&t->fe, &t->gm, &t->queue[i], i, t->queue[i].cfg.base);
	if (!r && fe_has_protocol(&t->fe, VU_P_STATUS))
		r = fe_tell_u64(&t->fe, VU_SET_STATUS, VU_STATUS_DRIVER_OK);
	return r ? err_sys(err, -r, "start of the queues") : 0;
}

static int mount_session(struct target *t, struct err *err)
{
	uint32_t pages = 32; /* what a session without MAX_PAGES has */
	int r = fc_init_session(&t->client[1], INIT_FLAGS, 36, &t->init);

	if (r)
		return err_sys(err, -r, "FUSE_INIT");
	if (t->init.flags & FUSE_MAX_PAGES)
		pages = t->init.max_pages;
	t->io_max = MIN(MIN(t->init.max_write, pages * 4096), BENCH_BIG);
	t->io_max = MIN(t->io_max, (t->opt->ring_size - 4) * 4096); /* as Linux: a request fits the ring */
	t->io_max &= ~4095u;
	return t->io_max ? 0 : err_set(err, EPROTO, "FUSE_INIT allows no data");
}

int target_open(struct target *t, const struct options *opt, struct err *err)
{
	int r;

	*t = (struct target){.opt = opt, .fe = {.sock = -1, .backend_req = -1}};
	pthread_mutex_init(&t->forget_lock, NULL);
	for (unsigned int i = 0; i < TARGET_FORGETS; i++)
		t->forget[i].done = true;
	r = connect_and_negotiate(t, err);
	if (!r)
		r = check_queues(t, err);
	if (!r)
		r = make_memory(t, err);
	if (!r)
		r = start(t, err);
	return r ? r : mount_session(t, err);
}

void target_close(struct target *t)
{
	uint32_t base;

	for (unsigned int i = 0; i < t->queues && t->fe.sock >= 0; i++)
		if (fe_get_vring_base(&t->fe, i, &base))
			break;
	fe_close(&t->fe);
	for (unsigned int i = 0; i < t->queues; i++) {
		fc_free(&t->client[i]);
		drv_free(&t->queue[i]);
	}
	gm_free(&t->gm);
	pthread_mutex_destroy(&t->forget_lock);
}

static struct fc_op *free_forget(struct target *t)
{
	for (unsigned int i = 0; i < TARGET_FORGETS; i++)
		if (t->forget[i].done)
			return &t->forget[i];
	return NULL;
}

/* Takes back what the daemon is through with; waits for one at least if told to. */
static void reap_forgets(struct target *t, bool wait)
{
	int r = fc_reap(&t->client[0], NULL, wait ? TIMEOUT_MS : 0);

	while (r > 0)
		r = fc_reap(&t->client[0], NULL, 0);
	if (r < 0 && !t->forget_error)
		t->forget_error = r;
}

void target_forget(struct target *t, uint64_t node, uint64_t nlookup)
{
	autolock(&t->forget_lock);
	struct fuse_forget_in *in;
	struct fc_op *op;

	reap_forgets(t, false);
	op = free_forget(t);
	if (!op) {
		reap_forgets(t, true);
		op = free_forget(t);
	}
	if (!op) {
		t->forget_error = t->forget_error ? t->forget_error : -ETIMEDOUT;
		return;
	}
	in = &t->forget_in[op - t->forget];
	*in = (struct fuse_forget_in){.nlookup = nlookup};
	*op = (struct fc_op){.opcode = FUSE_FORGET, .node = node, .no_reply = true, .nargs = 1, .done = true};
	op->arg[0] = (struct iovec){in, sizeof(*in)};
	if (fc_start(&t->client[0], op))
		t->forget_error = -EBUSY;
}

int target_settle(struct target *t)
{
	autolock(&t->forget_lock);

	for (unsigned int i = 0; t->client[0].in_flight && !t->forget_error && i < TARGET_FORGETS; i++)
		reap_forgets(t, true);
	if (t->client[0].in_flight && !t->forget_error)
		t->forget_error = -ETIMEDOUT;
	return t->forget_error;
}
