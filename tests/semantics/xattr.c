/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes, and the ACLs that are kept in them; the families xattr and acl. */
#include "sem.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

void family_xattr(void);
void family_acl(void);

static void show_value(const char *path, const char *name)
{
	char *v = malloc(XATTR_SIZE_MAX + 1);
	ssize_t n = lgetxattr(path, name, v, XATTR_SIZE_MAX + 1);

	if (n < 0)
		sem_retf(-1, "%s of %s", name, path);
	else
		sem_say("%s of %s = %s", name, path, sem_bytes(v, (size_t)n));
	free(v);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void show_names(const char *path)
{
	static char list[XATTR_LIST_MAX];
	const char *names[64];
	char text[900] = "";
	size_t count = 0, at = 0;
	ssize_t n = llistxattr(path, list, sizeof(list));

	if (n < 0) {
		sem_retf(-1, "attributes of %s", path);
		return;
	}
	for (char *s = list; s < list + n && count < 64; s += strlen(s) + 1)
		names[count++] = s;
	qsort(names, count, sizeof(names[0]), by_name);
	for (size_t i = 0; i < count && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %.40s", names[i]);
	sem_say("attributes of %s = %zd bytes:%s", path, n, text);
}

static void case_basic(void)
{
	char small[2];
	int fd;

	sem_case("basic");
	sem_file("f", "x", 0644);
	show_names("f");
	T(getxattr("f", "user.a", NULL, 0));
	T(setxattr("f", "user.a", "one", 3, 0));
	show_value("f", "user.a");
	T(getxattr("f", "user.a", NULL, 0));
	T(getxattr("f", "user.a", small, 2));
	T(listxattr("f", small, 2));
	T(setxattr("f", "user.a", "two", 3, XATTR_CREATE));
	T(setxattr("f", "user.b", "two", 3, XATTR_REPLACE));
	T(setxattr("f", "user.a", "", 0, XATTR_REPLACE));
	show_value("f", "user.a");
	T(setxattr("f", "user.b", "bin\0ary\xff", 8, XATTR_CREATE));
	show_value("f", "user.b");
	show_names("f");
	T(removexattr("f", "user.a"));
	T(removexattr("f", "user.a"));
	show_names("f");
	fd = TFD(open("f", O_RDONLY));
	T(fsetxattr(fd, "user.c", "by descriptor", 13, 0));
	T(unlink("f"));
	T(fgetxattr(fd, "user.c", NULL, 0));
	T(fsetxattr(fd, "user.d", "unlinked", 8, 0));
	T(flistxattr(fd, NULL, 0));
	T(fremovexattr(fd, "user.c"));
	T(close(fd));
}

static void case_names(void)
{
	char name[300] = "user.";

	sem_case("names");
	sem_file("f", "x", 0644);
	T(setxattr("f", "", "v", 1, 0));
	T(setxattr("f", "user.", "v", 1, 0));
	T(setxattr("f", "user", "v", 1, 0));
	T(setxattr("f", "nonsense.a", "v", 1, 0));
	T(getxattr("f", "nonsense.a", NULL, 0));
	T(setxattr("f", "trusted.a", "v", 1, 0));
	T(setxattr("f", "trusted.overlay.opaque", "y", 1, 0));
	T(setxattr("f", "security.capability", "bad", 3, 0));
	T(setxattr("f", "system.nonsense", "v", 1, 0));
	T(setxattr("f", "user.\xff\x01 odd", "v", 1, 0));
	memset(name + 5, 'n', 250);
	T(setxattr("f", name, "long", 4, 0));
	show_value("f", name);
	strcat(name, "n");
	T(setxattr("f", name, "long", 4, 0));
	T(getxattr("f", name, NULL, 0));
	T(setxattr("f", "user.flags", "v", 1, XATTR_CREATE | XATTR_REPLACE));
	T(setxattr("f", "user.flags", "v", 1, 4));
	show_names("f");
	T(getxattr("none", "user.a", NULL, 0));
}

static void case_kinds(void)
{
	sem_case("kinds");
	T(mkdir("d", 0755));
	T(mkfifo("p", 0644));
	sem_file("f", "x", 0644);
	T(symlink("f", "s"));
	T(setxattr("d", "user.a", "dir", 3, 0));
	show_value("d", "user.a");
	T(setxattr("p", "user.a", "fifo", 4, 0));
	T(lsetxattr("s", "user.a", "link", 4, 0));
	T(lsetxattr("s", "trusted.a", "link", 4, 0));
	show_value("s", "trusted.a");
	T(setxattr("s", "user.through", "link", 4, 0));
	show_names("s");
	show_names("f");
	T(setxattr("p", "trusted.a", "fifo", 4, 0));
	show_value("p", "trusted.a");
}

static void case_users(void)
{
	sem_case("users");
	sem_file("f", "x", 0644);
	T(chown("f", 1001, 1001));
	T(setxattr("f", "trusted.secret", "t", 1, 0));
	T(setxattr("f", "user.a", "u", 1, 0));
	sem_as(1001, 1001, -1);
	T(setxattr("f", "user.b", "u", 1, 0));
	show_value("f", "user.a");
	T(setxattr("f", "trusted.b", "u", 1, 0));
	show_value("f", "trusted.secret");
	show_names("f");
	sem_as(1002, 1002, -1);
	show_value("f", "user.a");
	T(setxattr("f", "user.c", "u", 1, 0));
	T(removexattr("f", "user.a"));
	sem_root();
	T(chmod("f", 0600));
	sem_as(1002, 1002, -1);
	show_value("f", "user.a");
	sem_root();
	T(mkdir("t", 01777));
	T(chmod("t", 01777));
	sem_as(1002, 1002, -1);
	T(setxattr("t", "user.sticky", "u", 1, 0));
	sem_root();
}

static void case_large(void)
{
	static const size_t sizes[] = {1, 255, 1000, 2000, 3900, 4096, 20000, 65535, 65536, 65537};
	static char v[70000];

	sem_case("large");
	sem_file("f", "x", 0644);
	for (size_t i = 0; i < sizeof(v); i++)
		v[i] = (char)(i * 7919 >> 5);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sem_retf(setxattr("f", "user.large", v, sizes[i], 0), "setxattr of %zu", sizes[i]);
		show_value("f", "user.large");
		sem_retf(getxattr("f", "user.large", v + 1, 0), "size");
		sem_retf(removexattr("f", "user.large"), "remove");
	}
	T(getxattr("f", "user.large", v, sizeof(v)));
}

/* A write drops what gave a program rights. */
static void case_capability(void)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	int fd;

	sem_case("capability");
	sem_file("f", "x", 0755);
	T(setxattr("f", "security.capability", cap, sizeof(cap), 0));
	show_value("f", "security.capability");
	T(chmod("f", 0711));
	show_value("f", "security.capability");
	fd = TFD(open("f", O_WRONLY));
	show_value("f", "security.capability");
	T(write(fd, "y", 1));
	show_value("f", "security.capability");
	T(setxattr("f", "security.capability", cap, sizeof(cap), 0));
	T(ftruncate(fd, 0));
	show_value("f", "security.capability");
	T(setxattr("f", "security.capability", cap, sizeof(cap), 0));
	T(chown("f", 1, 1));
	show_value("f", "security.capability");
	T(setxattr("f", "security.capability", cap, sizeof(cap), 0));
	T(rename("f", "g"));
	show_value("g", "security.capability");
	T(close(fd));
}

void family_xattr(void)
{
	case_basic();
	case_names();
	case_kinds();
	case_users();
	case_large();
	case_capability();
}

#define ACCESS_ACL  "system.posix_acl_access"
#define DEFAULT_ACL "system.posix_acl_default"

struct acl {
	struct posix_acl_xattr_header h;
	struct posix_acl_xattr_entry e[8];
	unsigned int n;
};

static void acl_add(struct acl *a, int tag, int perm, unsigned int id)
{
	a->h.a_version = POSIX_ACL_XATTR_VERSION;
	a->e[a->n++] = (struct posix_acl_xattr_entry){(uint16_t)tag, (uint16_t)perm, id};
}

static size_t acl_size(const struct acl *a)
{
	return sizeof(a->h) + a->n * sizeof(a->e[0]);
}

/* The usual one: rwx for the owner, @user may do @perm, group r-x, @mask, others nothing. */
static struct acl acl_of(unsigned int user, int perm, int mask, int other)
{
	struct acl a = {0};

	acl_add(&a, ACL_USER_OBJ, 7, ACL_UNDEFINED_ID);
	acl_add(&a, ACL_USER, perm, user);
	acl_add(&a, ACL_GROUP_OBJ, 5, ACL_UNDEFINED_ID);
	acl_add(&a, ACL_GROUP, 6, 2001);
	acl_add(&a, ACL_MASK, mask, ACL_UNDEFINED_ID);
	acl_add(&a, ACL_OTHER, other, ACL_UNDEFINED_ID);
	return a;
}

static void can(uid_t uid, int group, const char *path)
{
	int r, w;

	sem_as(uid, 1000 + uid, group);
	r = access(path, R_OK) ? errno : 0;
	errno = 0;
	r = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) ? errno : 0;
	w = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) ? errno : 0;
	sem_root();
	sem_say("%u+%d reads %s = %s, writes = %s", uid, group, path, sem_errname(r), sem_errname(w));
}

static void case_access(void)
{
	struct acl a = acl_of(1001, 6, 7, 0);

	sem_case("access");
	sem_file("f", "x", 0640);
	show_value("f", ACCESS_ACL);
	T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
	show_value("f", ACCESS_ACL);
	show_names("f");
	sem_stat("f");
	can(1001, -1, "f");
	can(1002, -1, "f");
	can(1002, 2001, "f");
	T(chmod("f", 0640));
	show_value("f", ACCESS_ACL);
	sem_stat("f");
	can(1001, -1, "f");
	can(1002, 2001, "f");
	T(chmod("f", 0700));
	can(1001, -1, "f");
	T(chmod("f", 0777));
	can(1001, -1, "f");
	can(1002, -1, "f");
	T(removexattr("f", ACCESS_ACL));
	show_value("f", ACCESS_ACL);
	sem_stat("f");
	T(setxattr("f", DEFAULT_ACL, &a, acl_size(&a), 0));
	a.n = 3;
	T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
	T(setxattr("f", ACCESS_ACL, "short", 5, 0));
	sem_as(1001, 1001, -1);
	a = acl_of(1001, 7, 7, 7);
	T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
	sem_root();
}

static void inherit(const char *dir)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/f", dir);
	fd = open(path, O_CREAT | O_RDWR | O_EXCL, 0666);
	sem_retf(close(fd), "create %s", path);
	sem_stat(path);
	show_value(path, ACCESS_ACL);
	snprintf(path, sizeof(path), "%s/p", dir);
	sem_retf(mkfifo(path, 0666), "mkfifo %s", path);
	sem_stat(path);
	snprintf(path, sizeof(path), "%s/d", dir);
	sem_retf(mkdir(path, 0777), "mkdir %s", path);
	sem_stat(path);
	show_value(path, ACCESS_ACL);
	show_value(path, DEFAULT_ACL);
	snprintf(path, sizeof(path), "%s/s", dir);
	sem_retf(symlink("f", path), "symlink %s", path);
	show_names(path);
}

static void case_default(void)
{
	struct acl a = acl_of(1001, 6, 7, 5);

	sem_case("default");
	T(mkdir("d", 0755));
	T(setxattr("d", DEFAULT_ACL, &a, acl_size(&a), 0));
	show_value("d", DEFAULT_ACL);
	umask(077);
	inherit("d");
	T(mkdir("plain", 0777));
	inherit("plain");
	umask(022);
	T(mkdir("sgid", 0777));
	T(chown("sgid", 1001, 2001));
	T(chmod("sgid", 02777));
	T(setxattr("sgid", DEFAULT_ACL, &a, acl_size(&a), 0));
	sem_as(1001, 1001, -1);
	inherit("sgid");
	sem_root();
	T(removexattr("d", DEFAULT_ACL));
	T(removexattr("d", DEFAULT_ACL));
	T(mkdir("d/later", 0777));
	sem_stat("d/later");
	show_names("d/later");
}

/* Setting an ACL as an owner outside the file's group drops SGID. */
static void case_sgid(void)
{
	struct acl a = acl_of(1002, 6, 7, 5);

	sem_case("sgid");
	sem_file("f", "x", 0644);
	T(chown("f", 1001, 2001));
	T(chmod("f", 02755));
	sem_as(1001, 1001, -1);
	T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
	sem_root();
	sem_stat("f");
	T(chmod("f", 02755));
	sem_as(1001, 1001, 2001);
	T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
	sem_root();
	sem_stat("f");
}

static long write_by(const char *path, int flags, const char *bytes)
{
	int fd = open(path, O_WRONLY | flags);
	long r = fd < 0 ? -1 : write(fd, bytes, strlen(bytes));

	close(fd);
	return r;
}

/* Whoever changes a program by an ACL takes SUID and SGID away, and the ACL stays. */
static void case_writers(void)
{
	struct acl a = acl_of(1001, 6, 7, 5);

	sem_case("writers");
	for (int how = 0; how < 7; how++) {
		sem_file("f", "program", 0755);
		if (chown("f", 1000, 2000) || setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0) ||
			chmod("f", 06775))
			sem_die("preparing f");
		if (how < 3)
			sem_as(1001, 1001, -1);
		else if (how < 5)
			sem_as(1000, 1000, 2000);
		if (how == 0)
			T(write_by("f", O_APPEND, "more"));
		else if (how == 1)
			T(write_by("f", O_TRUNC, ""));
		else if (how == 2)
			T(truncate("f", 3));
		else if (how == 3)
			T(chown("f", -1, 2000));
		else if (how == 4)
			T(setxattr("f", ACCESS_ACL, &a, acl_size(&a), 0));
		else if (how == 5)
			T(chown("f", 1000, 2000));
		else
			T(write_by("f", O_APPEND, "root's"));
		sem_root();
		sem_stat("f");
		show_value("f", ACCESS_ACL);
		T(unlink("f"));
	}
}

void family_acl(void)
{
	case_access();
	case_default();
	case_sgid();
	case_writers();
}
