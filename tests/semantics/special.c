/* SPDX-License-Identifier: BSD-3-Clause */
/* FIFOs, sockets, devices; nameless files. The families special and tmpfile. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

void family_special(void);
void family_tmpfile(void);

static void case_nodes(void)
{
	sem_case("nodes");
	T(mknod("reg", S_IFREG | 0640, 0));
	T(mknod("plain", 0600, 0));
	T(mknod("fifo", S_IFIFO | 0644, 0));
	T(mknod("sock", S_IFSOCK | 0755, 0));
	T(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	T(mknod("blk", S_IFBLK | 0600, makedev(7, 200)));
	T(mknod("big", S_IFCHR | 0600, makedev(300, 70000)));
	T(mknod("dir", S_IFDIR | 0755, 0));
	T(mknod("bad", 0170000, 0));
	T(mknod("reg", S_IFREG | 0640, 0));
	sem_stat("reg");
	sem_stat("plain");
	sem_stat("fifo");
	sem_stat("sock");
	sem_stat("null");
	sem_stat("blk");
	sem_stat("big");
	sem_as(1001, 1001, -1);
	T(mknod("n", S_IFCHR | 0666, makedev(1, 3)));
	sem_root();
	T(chmod(".", 0777));
	sem_as(1001, 1001, -1);
	T(mknod("n", S_IFCHR | 0666, makedev(1, 3)));
	T(mknod("n2", S_IFCHR | 0666, 0));
	T(mknod("fifo2", S_IFIFO | 0666, 0));
	T(mknod("sock2", S_IFSOCK | 0666, 0));
	T(mknod("reg2", S_IFREG | 0666, 0));
	sem_root();
	sem_stat("n2");
	sem_stat("fifo2");
	T(rename("null", "zero"));
	T(link("zero", "zero2"));
	T(chmod("zero", 0600));
	sem_stat("zero2");
	T(open("sock", O_RDONLY));
	sem_list(".");
	T(unlink("zero"));
	T(unlink("fifo"));
	T(unlink("sock"));
}

static void case_fifo(void)
{
	char buf[16] = "";
	int r, w;

	sem_case("fifo");
	T(mkfifo("p", 0666));
	T(open("p", O_WRONLY | O_NONBLOCK));
	r = TFD(open("p", O_RDONLY | O_NONBLOCK));
	w = TFD(open("p", O_WRONLY | O_NONBLOCK));
	T(write(w, "through", 7));
	T(read(r, buf, sizeof(buf)));
	sem_say("read = %s", sem_bytes(buf, 7));
	T(read(r, buf, sizeof(buf)));
	T(close(w));
	T(read(r, buf, sizeof(buf)));
	T(unlink("p"));
	sem_fstat("unlinked", r);
	T(close(r));
}

static void case_socket(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "s"};
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s;
	char buf[8];

	sem_case("socket");
	T(bind(l, (struct sockaddr *)&a, sizeof(a)));
	sem_stat("s");
	T(connect(c, (struct sockaddr *)&a, sizeof(a)));
	T(listen(l, 1));
	T(connect(c, (struct sockaddr *)&a, sizeof(a)));
	s = TFD(accept(l, NULL, NULL));
	T(write(c, "hello", 5));
	T(read(s, buf, 5));
	T(bind(c, (struct sockaddr *)&a, sizeof(a)));
	strcpy(a.sun_path, "t");
	T(rename("s", "t"));
	T(close(s));
	T(close(c));
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	T(connect(c, (struct sockaddr *)&a, sizeof(a)));
	T(close(l));
	T(close(c));
	T(unlink("t"));
}

static void case_device(void)
{
	char buf[4];
	int fd;

	sem_case("device");
	T(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	T(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	fd = TFD(open("null", O_RDWR));
	T(write(fd, "gone", 4));
	T(read(fd, buf, 4));
	T(close(fd));
	fd = TFD(open("zero", O_RDONLY));
	T(read(fd, buf, 4));
	T(close(fd));
	T(mknod("nothing", S_IFCHR | 0666, makedev(240, 250)));
	T(open("nothing", O_RDONLY));
	T(truncate("null", 0));
}

void family_special(void)
{
	case_nodes();
	case_fifo();
	case_socket();
	case_device();
}

static void case_tmpfile(void)
{
	char path[64];
	int fd;

	sem_case("link");
	fd = TFD(open(".", O_TMPFILE | O_RDWR, 0640));
	T(write(fd, "nameless", 8));
	sem_fstat("tmpfile", fd);
	sem_list(".");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	sem_retf(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), "linkat by /proc");
	sem_stat("named");
	sem_data("named");
	T(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH));
	sem_stat("again");
	T(close(fd));
	T(open(".", O_TMPFILE | O_RDONLY, 0600));
	fd = TFD(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	T(linkat(fd, "", AT_FDCWD, "never", AT_EMPTY_PATH));
	T(close(fd));
	sem_list(".");
}

/* A nameless file is made as its caller: umask, default ACL, SGID directory with a supplementary group; and
 * it is one only where the directory may be written. */
static void case_tmpfile_owner(void)
{
	char path[64];
	int fd;

	sem_case("owner");
	T(mkdir("sgid", 0777));
	T(chown("sgid", 0, 2001));
	T(chmod("sgid", 02777));
	T(mkdir("closed", 0755));
	sem_as(1001, 1001, 2001);
	umask(027);
	T(open("closed", O_TMPFILE | O_RDWR, 0666));
	fd = TFD(open("sgid", O_TMPFILE | O_RDWR, 02775));
	sem_fstat("in the directory of the group", fd);
	T(write(fd, "x", 1));
	sem_fstat("after the write", fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	sem_retf(linkat(AT_FDCWD, path, AT_FDCWD, "closed/named", AT_SYMLINK_FOLLOW), "linkat, closed");
	sem_retf(linkat(AT_FDCWD, path, AT_FDCWD, "sgid/named", AT_SYMLINK_FOLLOW), "linkat");
	umask(022);
	T(close(fd));
	sem_stat("sgid/named");
	T(chmod("sgid/named", 0));
	fd = TFD(open("sgid", O_TMPFILE | O_WRONLY, 0));
	T(write(fd, "without a mode", 14));
	T(ftruncate(fd, 3));
	T(fchmod(fd, 0640));
	sem_fstat("without a mode", fd);
	T(close(fd));
	sem_root();
	sem_list("sgid");
}

void family_tmpfile(void)
{
	case_tmpfile();
	case_tmpfile_owner();
}
