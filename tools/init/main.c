/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of things, and the channel. Not here: what is mounted (root.c), the command (relay.c). */
#include "init.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CHANNEL_WAIT_MS 30000
#define HOST_WAIT_S	10 /* colofs ends the guest when it has the exit status; if it does not, we do */

static int channel = -1;

int channel_fd(void)
{
	return channel;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void channel_open(const char *path)
{
	struct termios t;

	for (int waited = 0; channel < 0; waited += 10) {
		channel = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (channel < 0 && (errno != ENOENT || waited >= CHANNEL_WAIT_MS))
			fail("%s: %s", path, strerror(errno));
		if (channel < 0)
			sleep_ms(10);
	}
	if (tcgetattr(channel, &t) < 0)
		return; /* a virtio port: raw by nature */
	cfmakeraw(&t);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tcsetattr(channel, TCSANOW, &t);
}

void channel_send(enum frame_type type, const void *payload, size_t len)
{
	uint8_t head[FRAME_HEAD];

	frame_head_put(head, type, (uint32_t)len);
	if (io_write_all(channel, head, sizeof(head)) < 0 || io_write_all(channel, payload, len) < 0)
		power_off();
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void fail(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (channel < 0) {
		fprintf(stderr, "colofs guest: %s\n", text);
		power_off();
	}
	channel_send(FRAME_FAIL, text, strlen(text));
	sleep(HOST_WAIT_S);
	power_off();
}

/* The kernel may have given us no console: then the first files opened would be our standard streams. */
static void fill_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= 2);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	struct init_config c = {0};
	uint8_t status;

	config_read(&c);
	root_mount_early();
	fill_standard_streams();
	root_load_modules(&c);
	channel_open(c.channel);
	root_enter(&c);
	root_mount_shares(&c);
	channel_send(FRAME_READY, NULL, 0);
	status = (uint8_t)relay_run(&c);
	root_unmount_shares(&c);
	channel_send(FRAME_EXIT, &status, 1);
	sleep(HOST_WAIT_S);
	power_off();
}
