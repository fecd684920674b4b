/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#define LIMIT_PER_SECOND 10

static struct {
	enum log_level level;
	bool to_syslog;
	const char *program;
} cfg = {.level = LOG_LEVEL_INFO, .program = "colofs"};

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_OFF] = {"", LOG_ERR},
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARN] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
	[LOG_LEVEL_TRACE] = {"trace", LOG_DEBUG},
};

void log_setup(enum log_level level, bool use_syslog, const char *program)
{
	cfg.level = level;
	cfg.to_syslog = use_syslog;
	cfg.program = program;
	if (use_syslog)
		openlog(program, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

bool log_enabled(enum log_level level)
{
	return level <= cfg.level && level != LOG_LEVEL_OFF;
}

static void vwrite(enum log_level level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void vwrite(enum log_level level, const char *fmt, va_list ap)
{
	char line[1024];

	if (!log_enabled(level))
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	for (char *s = line; *s; s++) /* names of others' may be in it */
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	if (cfg.to_syslog)
		syslog(levels[level].priority, "%s", line);
	else
		fprintf(stderr, "%s: %s: %s\n", cfg.program, levels[level].word, line);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwrite(level, fmt, ap);
	va_end(ap);
}

void log_limited(const char *fmt, ...)
{
	static _Atomic long second;
	static _Atomic unsigned int count;
	struct timespec now;
	unsigned int n;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (atomic_exchange(&second, now.tv_sec) != now.tv_sec) {
		n = atomic_exchange(&count, 0);
		if (n > LIMIT_PER_SECOND)
			log_warn("%u similar messages left out", n - LIMIT_PER_SECOND);
	}
	if (atomic_fetch_add(&count, 1) >= LIMIT_PER_SECOND)
		return;
	va_start(ap, fmt);
	vwrite(LOG_LEVEL_WARN, fmt, ap);
	va_end(ap);
}
