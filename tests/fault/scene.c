/* SPDX-License-Identifier: BSD-3-Clause */
#include "scene.h"

#include <stdlib.h>
#include <unistd.h>

void scene_mistake(struct scene *s, const char *fmt, ...)
{
	va_list ap;

	s->mistakes++;
	fprintf(stderr, "%s, %s: ", s->kind, s->fault);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int scene_start(struct scene *s, struct vm *vm, struct inject *inject)
{
	struct err err;

	*s = (struct scene){.vm = vm,
		.c = &vm->client[1],
		.inject = inject,
		.host = -1,
		.xattr_prefix = "",
		.host_lock = -1};
	if (inject_attach(inject, spawn_server_pid(&vm->daemon), &err)) {
		printf("the daemon cannot be traced: %s\n", err.text);
		return -1;
	}
	test_pattern(s->data, sizeof(s->data), 1);
	assert_int_equal(counts_open(&s->segment, vm), 0);
	return 0;
}

void scene_end(struct scene *s)
{
	segment_close(&s->segment);
	inject_detach(s->inject);
}

uint64_t scene_learn(struct scene *s, uint64_t node)
{
	for (unsigned int i = 0; i < s->nknown; i++) {
		if (s->known[i].node == node) {
			s->known[i].lookups++;
			return node;
		}
	}
	assert_true(s->nknown < SCENE_KNOWN);
	s->known[s->nknown].node = node;
	s->known[s->nknown++].lookups = 1;
	return node;
}

static uint64_t look_up(struct scene *s, uint64_t parent, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(s->c, parent, name, &e));
	return scene_learn(s, e.nodeid);
}

static struct fc_file open_node(struct scene *s, uint64_t node, bool dir)
{
	struct fuse_open_out o;

	if (dir)
		OK(fc_opendir(s->c, node, &o));
	else
		OK(fc_open(s->c, node, O_RDWR, &o));
	return (struct fc_file){node, o.fh};
}

static void build_host(struct scene *s)
{
	snprintf(s->name, sizeof(s->name), "scene-%u", s->serial++);
	assert_int_equal(mkdirat(s->vm->daemon.share, s->name, 0755), 0);
	s->host = openat(s->vm->daemon.share, s->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->host >= 0);
	host_write_file(s->host, "f", s->data, sizeof(s->data));
	host_write_file(s->host, "empty", "", 0);
	assert_int_equal(mkdirat(s->host, "d", 0755), 0);
	host_write_file(s->host, "d/x", "x", 1);
	assert_int_equal(symlinkat("f", s->host, "l"), 0);
}

void scene_crowd(struct scene *s)
{
	struct fuse_entry_out e;
	char name[24];

	s->crowded = true;
	for (unsigned int i = 0; i < SCENE_CROWD; i++) {
		snprintf(name, sizeof(name), "crowd-%u", i);
		host_write_file(s->vm->daemon.share, name, "", 0);
		OK(fc_lookup(s->c, FUSE_ROOT_ID, name, &e));
		s->crowd[i] = e.nodeid;
	}
}

static void take_descriptors(struct scene *s)
{
	struct fuse_attr_out a;

	for (unsigned int i = 0; s->crowded && i < SCENE_CROWD; i++)
		OK(fc_getattr(s->c, s->crowd[i], 0, &a));
}

void scene_build(struct scene *s)
{
	build_host(s);
	s->nknown = 0;
	s->dir = look_up(s, FUSE_ROOT_ID, s->name);
	s->node_f = look_up(s, s->dir, "f");
	s->node_e = look_up(s, s->dir, "empty");
	s->node_d = look_up(s, s->dir, "d");
	s->node_l = look_up(s, s->dir, "l");
	s->f = open_node(s, s->node_f, false);
	s->e = open_node(s, s->node_e, false);
	s->d = open_node(s, s->node_d, true);
	take_descriptors(s);
}

/* Handles that the request itself gave back have the number 0 now. */
static void give_back(struct scene *s)
{
	struct fuse_removemapping_one all = {0, s->vm->cfg.window};
	struct fuse_forget_one one[SCENE_KNOWN];

	if (s->vm->window.base)
		OK(fc_removemapping(s->c, FUSE_ROOT_ID, &all, 1));
	if (s->f.fh)
		OK(fc_release(s->c, s->f));
	if (s->e.fh)
		OK(fc_release(s->c, s->e));
	if (s->d.fh)
		OK(fc_releasedir(s->c, s->d));
	for (unsigned int i = 0; i < s->nknown; i++)
		one[i] = (struct fuse_forget_one){s->known[i].node, s->known[i].lookups};
	if (s->nknown)
		OK(fc_batch_forget(s->c, one, s->nknown));
}

void scene_strike(struct scene *s)
{
	char path[512];

	if (s->host_lock >= 0)
		close(s->host_lock);
	s->host_lock = -1;
	give_back(s);
	close(s->host);
	snprintf(path, sizeof(path), "%s/%s", s->vm->daemon.share_path, s->name);
	spawn_remove_tree(path);
}
