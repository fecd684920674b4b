/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service manager that keeps descriptors: the daemon is ended and started again while its guest is at work,
 * and the guest does not notice.
 */
#include "test.h"

#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROUNDS 3

struct manager {
	char path[108];
	int notify;
	int kept; /* -1: nothing */
};

static void manager_begin(struct manager *m)
{
	const char *tmp = getenv("TMPDIR");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(m->path, sizeof(m->path), "%.60s/colofs-notify-%d", tmp ? tmp : "/tmp", getpid());
	unlink(m->path);
	memcpy(sa.sun_path, m->path, strlen(m->path));
	m->kept = -1;
	m->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(m->notify >= 0);
	assert_int_equal(bind(m->notify, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(setsockopt(m->notify, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20},
				 sizeof(struct timeval)),
		0);
	setenv("NOTIFY_SOCKET", m->path, 1);
	setenv("FDSTORE", "1", 1);
}

static void manager_end(struct manager *m)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("FDSTORE");
	unlink(m->path);
	close(m->notify);
	if (m->kept >= 0)
		close(m->kept);
}

static bool is_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	return !strncmp(text, line, len) && (text[len] == '\n' || !text[len]);
}

/* One message: what is kept goes or comes, a barrier is passed. True if @word was its first line. */
static bool hear_one(struct manager *m, const char *word)
{
	char text[256] = "", control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {text, sizeof(text) - 1};
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	int fd = -1;

	assert_true(recvmsg(m->notify, &h, MSG_CMSG_CLOEXEC) > 0);
	c = CMSG_FIRSTHDR(&h);
	if (c)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (is_line(text, "FDSTORE=1")) {
		assert_non_null(strstr(text, "FDNAME=colofs"));
		assert_int_equal(m->kept, -1);
		m->kept = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	if (is_line(text, "FDSTOREREMOVE=1") && m->kept >= 0) {
		close(m->kept);
		m->kept = -1;
	}
	return is_line(text, word);
}

static void hear(struct manager *m, const char *word)
{
	while (!hear_one(m, word))
		continue;
}

static void restart(struct manager *m, struct vm *vm)
{
	int status;

	assert_int_equal(kill(vm->daemon.pid, SIGTERM), 0);
	hear(m, "FDSTORE=1");
	hear(m, "BARRIER=1");
	OK(spawn_wait(&vm->daemon, TEST_PATIENCE_MS, &status));
	assert_int_equal(status, 0);
	OK(spawn_launch(&vm->daemon, &(struct spawn_config){.kept = m->kept}, &vm->err));
	hear(m, "READY=1");
	assert_int_equal(m->kept, -1);
}

static struct fc_file open_new(struct vm *vm, const char *name, const char *text)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0644};
	struct fc_created made;
	struct fc_file f;

	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, name, &in, &made));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	assert_int_equal(fc_write(&vm->client[1], f, text, strlen(text), 0), strlen(text));
	return f;
}

static void expect_read(struct vm *vm, struct fc_file f, const char *text)
{
	char buf[64] = "";

	assert_int_equal(fc_read(&vm->client[1], f, buf, strlen(text), 0), strlen(text));
	assert_string_equal(buf, text);
}

/* Files with and without a name, locks, and a request that comes while nobody is there. */
static void test_restarted(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_lk_in lk = {.owner = 1, .lk = {.end = 9, .type = F_WRLCK, .pid = 7}};
	struct fc_file named, nameless;
	struct fuse_file_lock seen;
	struct fuse_entry_out e;
	struct manager m;
	struct worker w;

	manager_begin(&m);
	test_boot(vm, &(struct vm_config){0}, NULL);
	hear(&m, "READY=1");
	if (geteuid() || !worker_find(&w, &vm->daemon)) {
		manager_end(&m);
		skip();
	}
	named = open_new(vm, "named", "has a name");
	nameless = open_new(vm, "nameless", "has none");
	OK(fc_unlink(c, FUSE_ROOT_ID, "nameless"));
	lk.fh = named.fh;
	OK(fc_setlk(c, named.node, &lk));
	for (unsigned int i = 0; i < ROUNDS; i++) {
		char name[16];

		restart(&m, vm);
		expect_read(vm, named, "has a name");
		expect_read(vm, nameless, "has none");
		OK(fc_lookup(c, FUSE_ROOT_ID, "named", &e));
		assert_int_equal(e.nodeid, named.node);
		lk.owner = 2;
		OK(fc_getlk(c, named.node, &lk, &seen));
		assert_int_equal(seen.type, F_WRLCK);
		assert_int_equal(seen.pid, 7);
		snprintf(name, sizeof(name), "new%u", i);
		OK(fc_release(c, open_new(vm, name, "more")));
	}
	OK(worker_find(&w, &vm->daemon) ? worker_kill(&w, SIGKILL) : -ECHILD);
	expect_read(vm, nameless, "has none");
	OK(fc_release(c, nameless));
	manager_end(&m);
}

/* A mount beneath the share, on which a file is open, is still there: as the first daemon had it. */
static void test_submount(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out mount_point, e;
	struct manager m;
	char path[320];

	manager_begin(&m);
	vm_configure(vm, &(struct vm_config){0});
	OK(spawn_prepare(&vm->daemon, &vm->err));
	snprintf(path, sizeof(path), "%s/m", vm->daemon.share_path);
	assert_int_equal(mkdir(path, 0755), 0);
	if (geteuid() || mount("colofs-test", path, "tmpfs", 0, NULL)) {
		manager_end(&m);
		skip();
	}
	OK(spawn_launch(&vm->daemon, &(struct spawn_config){0}, &vm->err));
	hear(&m, "READY=1");
	OK(vm_connect(vm));
	OK(vm_make_memory(vm));
	OK(vm_make_queues(vm));
	OK(vm_start(vm));
	OK(vm_mount(vm));
	assert_int_equal(mknodat(vm->daemon.share, "m/before", S_IFREG | 0644, 0), 0);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "m", &mount_point));
	OK(fc_lookup(&vm->client[1], mount_point.nodeid, "before", &e));
	restart(&m, vm);
	assert_int_equal(mknodat(vm->daemon.share, "m/after", S_IFREG | 0644, 0), 0);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "m", &e));
	assert_int_equal(e.nodeid, mount_point.nodeid);
	OK(fc_lookup(&vm->client[1], mount_point.nodeid, "before", &e));
	OK(fc_lookup(&vm->client[1], mount_point.nodeid, "after", &e));
	umount2(path, MNT_DETACH);
	manager_end(&m);
}

/* Other options: the state is of no use, the front-end hears of it, and the next one is served. */
static void test_other_options(void **state)
{
	static const char *const args[] = {"--max-inodes=4096", NULL};
	struct vm *vm = *state;
	struct manager m;
	int status;

	manager_begin(&m);
	test_boot(vm, &(struct vm_config){0}, NULL);
	hear(&m, "READY=1");
	if (geteuid()) {
		manager_end(&m);
		skip();
	}
	assert_int_equal(kill(vm->daemon.pid, SIGTERM), 0);
	hear(&m, "BARRIER=1");
	OK(spawn_wait(&vm->daemon, TEST_PATIENCE_MS, &status));
	OK(spawn_launch(&vm->daemon, &(struct spawn_config){.kept = m.kept, .args = args}, &vm->err));
	hear(&m, "READY=1");
	vm_disconnect(vm);
	test_come_back(vm);
	manager_end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_OWN(test_restarted),
		TEST_OWN(test_submount),
		TEST_OWN(test_other_options),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT | TEST_PACKED);
}
