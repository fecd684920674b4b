/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's log: levels, to stderr or syslog. Any thread may log.
 * A guest can cause messages, so what it can cause at will goes through log_limited().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_OFF,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE
};

/* Called once, before any other thread exists. @syslog sends messages there instead of stderr. */
void log_setup(enum log_level level, bool use_syslog, const char *program);

/* True if a message of this level would be written: guards costly preparation. */
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (log_enabled(LOG_LEVEL_DEBUG))                \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

/* A warning that a guest or a front-end can provoke: at most ten a second in all, the rest counted. */
void log_limited(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
