/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest with a window moves to another daemon and front-end: what it had mapped is there before it runs, or
 * it stays where it was.
 */
#include "dax_guest.h"

#include "journey.h"

static const size_t f_size = 2 * RANGE + 5000, g_size = 65536;

static struct vm_config config(bool window)
{
	struct vm_config cfg = dax_vm;

	cfg.protocol |= VU_BIT(VU_P_DEVICE_STATE);
	if (!window) {
		cfg.window = 0;
		cfg.protocol &= ~VU_BIT(VU_P_SHMEM);
	}
	return cfg;
}

static void boot(struct journey *mv, bool window)
{
	struct vm_config cfg = config(window);

	test_pattern(dax_data, sizeof(dax_data), 7);
	test_boot(&mv->from, &cfg, dax_args_all);
	assert_true(fe_has_protocol(&mv->from.fe, VU_P_DEVICE_STATE));
	mv->file.node = dax_file(&mv->from, "f", f_size);
	mv->moved.node = dax_file(&mv->from, "g", g_size);
}

/* Two files: pages of their own, and the copy that holds the end of one. */
static void map_both(struct journey *mv)
{
	for (unsigned int i = 0; i < 3; i++)
		OK(dax_map(&mv->from, mv->file.node, AT(i), 5 - i, i ? WRITE : READ));
	OK(dax_map(&mv->from, mv->moved.node, 0, 1, WRITE));
}

static void connect_other(struct journey *mv, bool window)
{
	struct vm_config cfg = config(window);
	const struct spawn_config spawn = {.share = mv->from.daemon.share_path, .args = dax_args_all};

	cfg.features = VM_FEATURES;
	cfg.quiet_window = true; /* it waits for an answer, and has no memory to tell of then */
	vm_configure(&mv->to, &cfg);
	OK(spawn_start(&mv->to.daemon, &spawn, &mv->to.err));
	OK(vm_connect(&mv->to));
}

static void prepare(struct journey *mv, bool window)
{
	connect_other(mv, window);
	OK(vm_make_memory(&mv->to));
	OK(vm_make_queues(&mv->to));
}

static void expect_window(struct journey *mv, struct vm *vm)
{
	SEES(vm, AT(5), dax_data, RANGE);
	SEES(vm, AT(4), dax_data + RANGE, RANGE);
	SEES(vm, AT(3), dax_data + 2 * RANGE, 5000);
	SEES(vm, AT(1), dax_data, g_size);
	host_expect_file(mv->from.daemon.share, "f", dax_data, f_size);
}

/* Stores where the pages are the file's own are in the file at once, which they would not be in a copy. */
static void expect_life(struct journey *mv, struct vm *vm, const char *word)
{
	size_t len = strlen(word);
	struct fc_file f;

	expect_window(mv, vm);
	memcpy(window_memory(&vm->window) + AT(4) + 77, word, len);
	memcpy(dax_data + RANGE + 77, word, len);
	host_expect_file(mv->from.daemon.share, "f", dax_data, f_size);
	f = dax_open(vm, mv->file.node);
	memcpy(window_memory(&vm->window) + AT(3) + 4000, word, len);
	memcpy(dax_data + 2 * RANGE + 4000, word, len);
	OK(fc_fsync(&vm->client[1], f, false));
	expect_window(mv, vm);
	dax_truncate(vm, mv->file.node, RANGE + 100);
	SEES(vm, AT(4), dax_data + RANGE, 100);
	for (unsigned int i = 0; i < 8; i++)
		OK(dax_unmap(vm, i));
	assert_int_equal(window_pieces(&vm->window), 0);
	assert_int_equal(window_refused(&vm->window), 0);
}

static void goes_on_elsewhere(void **state)
{
	struct journey *mv = *state;

	boot(mv, true);
	map_both(mv);
	memcpy(window_memory(&mv->from.window) + AT(3) + 4900, "kept", 4);
	memcpy(dax_data + 2 * RANGE + 4900, "kept", 4);
	journey_leave(mv, &mv->from);
	prepare(mv, true);
	OK(state_load(&mv->to, mv->state, mv->len));
	expect_window(mv, &mv->to); /* before anything runs */
	expect_window(mv, &mv->from);
	OK(vm_start(&mv->to));
	expect_life(mv, &mv->to, "there");
}

static void goes_on_here(void **state)
{
	struct journey *mv = *state;

	boot(mv, true);
	map_both(mv);
	journey_leave(mv, &mv->from);
	journey_start_again(mv);
	expect_life(mv, &mv->from, "here");
}

/* The other front-end refuses, serves no requests while it waits for an answer (as QEMU), or has no window.
 */
static void stays_where_it_was(void **state)
{
	static const struct {
		bool window;
		enum window_mood mood;
	} others[] = {{true, WINDOW_REFUSING}, {true, WINDOW_SILENT}, {false, WINDOW_WILLING}};
	struct journey *mv = *state;

	boot(mv, true);
	map_both(mv);
	for (unsigned int i = 0; i < ARRAY_LEN(others); i++) {
		journey_leave(mv, &mv->from);
		prepare(mv, others[i].window);
		if (others[i].window)
			window_set_mood(&mv->to.window, others[i].mood);
		ERR(state_load(&mv->to, mv->state, mv->len), EREMOTEIO);
		if (others[i].window)
			window_set_mood(&mv->to.window, WINDOW_WILLING);
		OK(vm_end(&mv->to));
		journey_start_again(mv);
		expect_window(mv, &mv->from);
	}
	expect_life(mv, &mv->from, "still here");
}

/* Nothing is mapped, so nothing is lacking: with a window or without one. */
static void nothing_mapped(void **state)
{
	struct journey *mv = *state;
	char back[100];
	struct fc_file f;

	boot(mv, false);
	assert_false(mv->from.init.flags & FUSE_MAP_ALIGNMENT);
	f = dax_open(&mv->from, mv->file.node);
	journey_leave(mv, &mv->from);
	prepare(mv, false);
	OK(state_load(&mv->to, mv->state, mv->len));
	OK(vm_start(&mv->to));
	LEN(fc_read(&mv->to.client[1], f, back, sizeof(back), RANGE), sizeof(back));
	assert_memory_equal(back, dax_data + RANGE, sizeof(back));
}

/* The first front-end still owes an answer when it stops the guest: the request goes along, or is run again.
 */
static void ask_in_silence(struct journey *mv, struct fuse_setupmapping_in *in, struct fc_op *op)
{
	unsigned int maps;

	boot(mv, true);
	map_both(mv);
	maps = window_maps(&mv->from.window);
	*in = (struct fuse_setupmapping_in){.len = RANGE, .flags = READ, .moffset = AT(7)};
	*op = (struct fc_op){
		.opcode = FUSE_SETUPMAPPING, .node = mv->file.node, .arg = {{in, sizeof(*in)}}, .nargs = 1};
	window_set_mood(&mv->from.window, WINDOW_SILENT);
	OK(fc_start(&mv->from.client[1], op));
	assert_true(window_await_maps(&mv->from.window, maps + 1));
	journey_leave(mv, &mv->from);
	window_set_mood(&mv->from.window, WINDOW_WILLING);
}

static void a_request_stays(void **state)
{
	struct fuse_setupmapping_in in;
	struct journey *mv = *state;
	struct fc_op op;

	ask_in_silence(mv, &in, &op);
	journey_start_again(mv);
	LEN(fc_wait(&mv->from.client[1], &op), 0);
	SEES(&mv->from, AT(7), dax_data, RANGE);
	expect_life(mv, &mv->from, "stays");
}

/* The guest's memory, and with it the rings, are with the other daemon. */
static void a_request_moves(void **state)
{
	struct fuse_setupmapping_in in;
	struct journey *mv = *state;
	struct vm *from = &mv->from;
	struct frontend *fe = &mv->to.fe;
	struct fc_op op;

	ask_in_silence(mv, &in, &op);
	connect_other(mv, true);
	OK(state_load(&mv->to, mv->state, mv->len));
	expect_window(mv, &mv->to);
	OK(fe_set_features(fe, fe->features));
	OK(fe_share_mem(fe, &from->gm));
	for (unsigned int i = 0; i < from->queues; i++)
		OK(attach_queue(fe, &from->gm, &from->queue[i], i, mv->base[i]));
	LEN(fc_wait(&from->client[1], &op), 0);
	SEES(&mv->to, AT(7), dax_data, RANGE);
	expect_window(mv, &mv->to);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		JOURNEY(goes_on_elsewhere),
		JOURNEY(goes_on_here),
		JOURNEY(stays_where_it_was),
		JOURNEY(nothing_mapped),
		JOURNEY(a_request_stays),
		JOURNEY(a_request_moves),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_DIRECT);
}
