/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile driver: the input is a ring's kind and size, then a script of writes to guest memory and of what
 * the device does. Whatever stands in the ring, a chain that comes out of it lies in guest memory, fits the
 * caller's array, and nothing is written but what is the device's to write.
 */
#include "fuzz.h"

#include "base/arith.h"
#include "base/cursor.h"
#include "base/log.h"
#include "virtio/vring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The input begins with these flags, a size (1 byte) and a base (4). */
enum { IN_PACKED = 1, IN_EVENT_IDX = 2, IN_INDIRECT = 4, IN_LOG = 8, IN_FEW_PIECES = 16 };

/* Then come steps: one byte, modulo STEPS, and what stands beside it. */
enum {
	STEP_WRITE, /* offset / 4 (2), length (1), bytes */
	STEP_DESC,  /* slot (1), address (2), length (2), its two words (4) */
	STEP_POP,
	STEP_PUSH, /* which of those held (1), length (2) */
	STEP_CALL,
	STEP_KICK,
	STEP_NO_KICK,
	STEP_RESTART, /* from where it is */
	STEP_REMAP,
	STEP_PUBLISH, /* head (1); on a split ring */
	STEPS
};

#define FILE_SIZE 0x3000
#define SLOTS_MAX 16
#define PIECES	  24
#define AVAIL_OFF 0x100 /* of the ring's parts in the first region; the descriptors are at 0 */
#define USED_OFF  0x140
#define RING_GPA  0x1000

/* The first two touch each other as the guest sees them, the third is by itself. */
static const struct mem_desc layout[] = {
	{.gpa = {0x1000}, .fva = {0x71000}, .size = 0x1000, .mmap_offset = 0},
	{.gpa = {0x2000}, .fva = {0x95000}, .size = 0x800, .mmap_offset = 0x1000},
	{.gpa = {0x4000}, .fva = {0x53000}, .size = 0x1000, .mmap_offset = 0x2000},
};

static struct {
	struct mem_map *map[2]; /* of the same memory */
	struct mem_log *log;
	uint8_t *ram, *bits;
} guest;

struct run {
	struct vring_config cfg;
	struct vring *vr;
	unsigned int max; /* pieces a chain may have */
	unsigned int map; /* which one is in use */
	bool broken;
	struct vring_chain held[SLOTS_MAX];
	struct iovec iov[SLOTS_MAX][PIECES];
	unsigned int nheld, slots; /* slots: what they take of the ring */
	uint8_t shadow[FILE_SIZE]; /* what the driver wrote */
};

static int make_memory(size_t size, uint8_t **out)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	fuzz_require(fd >= 0 && !ftruncate(fd, (off_t)size));
	*out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fuzz_require(*out != MAP_FAILED);
	return fd;
}

static void make_guest(void)
{
	int fd = make_memory(FILE_SIZE, &guest.ram);
	int bits = make_memory(8, &guest.bits);

	log_setup(LOG_LEVEL_OFF, false, "fuzz");
	for (size_t m = 0; m < ARRAY_LEN(guest.map); m++) {
		guest.map[m] = mem_new();
		for (size_t i = 0; i < ARRAY_LEN(layout); i++) {
			struct mem_map *old = guest.map[m];

			fuzz_require(!mem_with(old, &layout[i], fd, &guest.map[m], NULL));
			mem_unref(old);
		}
	}
	guest.log = mem_log_new(bits, 0, 8, NULL);
	fuzz_require(guest.log);
	close(fd);
	close(bits);
}

/* The driver's write; the end of memory cuts it. */
static void drive(struct run *r, size_t off, const void *bytes, size_t len)
{
	if (!bytes || off >= FILE_SIZE)
		return;
	len = MIN(len, FILE_SIZE - off);
	memcpy(guest.ram + off, bytes, len);
	memcpy(r->shadow + off, bytes, len);
}

static void put_desc(struct run *r, struct cursor *c)
{
	uint32_t slot = fuzz_take(c, 1) % SLOTS_MAX;
	uint64_t addr = fuzz_take(c, 2);
	uint32_t len = fuzz_take(c, 2);
	uint32_t words = fuzz_take(c, 4);

	drive(r, slot * 16, &addr, 8);
	drive(r, slot * 16 + 8, &len, 4);
	drive(r, slot * 16 + 12, &words, 4);
}

static void publish(struct run *r, struct cursor *c)
{
	uint16_t head = (uint16_t)fuzz_take(c, 1), idx;

	memcpy(&idx, guest.ram + AVAIL_OFF + 2, 2);
	if (r->cfg.packed)
		return;
	drive(r, AVAIL_OFF + 4 + 2 * (idx % r->cfg.size), &head, 2);
	idx++;
	drive(r, AVAIL_OFF + 2, &idx, 2);
}

/* What the device wrote is in what belongs to it, and in the log if that is on. */
static void check_writes(struct run *r)
{
	size_t used_len = r->cfg.packed ? 4 : 4 + 8 * r->cfg.size + (r->cfg.event_idx ? 2 : 0);
	size_t desc_len = r->cfg.packed ? 16 * r->cfg.size : 0;
	static const uint8_t none[8];

	fuzz_require(r->cfg.log || !memcmp(guest.bits, none, 8));
	fuzz_require(!(guest.bits[0] & ~2) && !memcmp(guest.bits + 1, none, 7));
	fuzz_require(!memcmp(guest.ram + desc_len, r->shadow + desc_len, USED_OFF - desc_len));
	fuzz_require(!memcmp(guest.ram + USED_OFF + used_len, r->shadow + USED_OFF + used_len,
		FILE_SIZE - USED_OFF - used_len));
}

static bool in_memory(const struct run *r, const struct iovec *v)
{
	const char *p = v->iov_base;

	for (size_t i = 0; i < ARRAY_LEN(layout); i++) {
		const char *start = mem_at(guest.map[r->map], layout[i].gpa, layout[i].size);

		if (p >= start && arith_within((uint64_t)(p - start), v->iov_len, layout[i].size))
			return v->iov_len > 0;
	}
	return false;
}

/* A split ring's descriptors may be in several chains, if the guest says so. */
static unsigned int slots_of(const struct run *r, const struct vring_chain *c)
{
	return r->cfg.packed ? c->ndesc : 1;
}

static void pop(struct run *r)
{
	struct vring_chain *c = &r->held[r->nheld];
	uint32_t base = vring_base(r->vr);
	int ret;

	if (r->nheld == SLOTS_MAX)
		return;
	*c = (struct vring_chain){.iov = r->iov[r->nheld], .max = r->max};
	ret = vring_pop(r->vr, c);
	fuzz_require(ret == 1 || ret == 0 || ret == -EPROTO);
	fuzz_require(!r->broken || ret == -EPROTO);
	r->broken = ret < 0;
	fuzz_require(c->nin + c->nout <= r->max);
	for (unsigned int i = 0; i < c->nin + c->nout; i++)
		fuzz_require(in_memory(r, &c->iov[i]));
	if (ret != 1) {
		fuzz_require(vring_base(r->vr) == base);
		return;
	}
	fuzz_require(vring_base(r->vr) != base);
	fuzz_require(c->ndesc > 0);
	r->slots += slots_of(r, c);
	r->nheld++;
	fuzz_require(r->slots <= r->cfg.size);
}

static void push(struct run *r, struct cursor *c)
{
	unsigned int pick = fuzz_take(c, 1);
	uint32_t len = fuzz_take(c, 2);

	if (!r->nheld)
		return;
	pick %= r->nheld;
	vring_push(r->vr, &r->held[pick], len);
	r->slots -= slots_of(r, &r->held[pick]);
	r->held[pick] = r->held[--r->nheld];
}

/* The chains that are held are gone: the next life counts from nothing. A base of our own is always accepted.
 */
static void restart(struct run *r)
{
	uint32_t base = vring_stop(r->vr);

	fuzz_require(
		!vring_start(r->vr, &r->cfg, base, guest.map[r->map], r->cfg.log ? guest.log : NULL, NULL));
	r->broken = false;
	r->nheld = r->slots = 0;
}

static void remap(struct run *r)
{
	r->map ^= 1;
	fuzz_require(
		!vring_remap(r->vr, guest.map[r->map], r->cfg.log ? guest.log : NULL, r->cfg.log_addr, NULL));
}

static void step(struct run *r, struct cursor *c)
{
	size_t off, len;

	switch (fuzz_take(c, 1) % STEPS) {
	case STEP_WRITE:
		off = fuzz_take(c, 2) * 4;
		len = fuzz_take(c, 1);
		drive(r, off, cursor_take(c, len), len);
		return;
	case STEP_DESC:
		put_desc(r, c);
		return;
	case STEP_POP:
		pop(r);
		break;
	case STEP_PUSH:
		push(r, c);
		break;
	case STEP_CALL:
		vring_wants_call(r->vr);
		break;
	case STEP_KICK:
		fuzz_require(!vring_want_kick(r->vr) || !r->broken);
		break;
	case STEP_NO_KICK:
		vring_no_kick(r->vr);
		break;
	case STEP_RESTART:
		restart(r);
		break;
	case STEP_REMAP:
		remap(r);
		break;
	default:
		publish(r, c);
		return;
	}
	check_writes(r);
}

static bool start(struct run *r, struct cursor *c)
{
	uint32_t flags = fuzz_take(c, 1), size = fuzz_take(c, 1), base = fuzz_take(c, 4);

	r->cfg = (struct vring_config){.packed = flags & IN_PACKED,
		.event_idx = flags & IN_EVENT_IDX,
		.indirect = flags & IN_INDIRECT,
		.log = flags & IN_LOG,
		.desc = layout[0].fva,
		.avail = {layout[0].fva.v + AVAIL_OFF},
		.used = {layout[0].fva.v + USED_OFF},
		.log_addr = {RING_GPA + USED_OFF}};
	r->cfg.size = r->cfg.packed ? 1 + size % SLOTS_MAX : 1U << size % 5;
	r->max = flags & IN_FEW_PIECES ? 3 : PIECES;
	r->vr = vring_new();
	fuzz_require(r->vr);
	return !vring_start(r->vr, &r->cfg, base, guest.map[0], r->cfg.log ? guest.log : NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_over(data, size);
	static struct run r;

	if (!guest.ram)
		make_guest();
	memset(&r, 0, sizeof(r));
	memset(guest.ram, 0, FILE_SIZE);
	memset(guest.bits, 0, 8);
	if (start(&r, &c))
		while (cursor_left(&c))
			step(&r, &c);
	vring_free(r.vr);
	return 0;
}
