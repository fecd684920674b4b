/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The option table: one row an option. Every name is also an -o item, with '_' for '-'. A flag can be
 * negated: --no-NAME, or no_NAME in -o. Knows the layers' types, calls none of their functions, so that the
 * program that makes the man page at build time needs nothing else.
 */
#ifndef DAEMON_OPTIONS_TABLE_H
#define DAEMON_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,	/* a bool */
	OPTION_NUMBER,	/* an unsigned integer of 4 or 8 bytes, min .. max */
	OPTION_SIZE,	/* the same in bytes, K, M or G may follow */
	OPTION_SECONDS, /* a double >= 0 */
	OPTION_CHOICE,	/* an enum, one of @choices */
	OPTION_TEXT,	/* a const char *, min .. max bytes long */
	OPTION_RULES,	/* a struct options_rules: may be given again, each value one rule */
	OPTION_SET,	/* the enum at @offset becomes @set; takes no value */
	OPTION_NOTHING, /* what it asks for is so anyhow, or @why says what comes of it */
	OPTION_REFUSED, /* known, but cannot be honoured: @why */
	OPTION_LIST,	/* -o */
};

enum option_group {
	OPTION_CONNECTION,
	OPTION_SHARE,
	OPTION_CACHE,
	OPTION_DAX,
	OPTION_LIMITS,
	OPTION_ISOLATION,
	OPTION_MESSAGES,
	OPTION_OLD,
	OPTION_MIGRATION,
	OPTION_NOT_YET,
	OPTION_GROUPS
};

/* A choice's first word is its name, the others are taken for it too. */
struct option_choice {
	const char *words;
	int value;
};

struct option_row {
	const char *name;    /* without "--"; NULL: it has a letter only */
	char letter;	     /* short form, 0: none */
	const char *aliases; /* other names, separated by spaces */
	const char *value;   /* what the value is called; NULL: it takes none */
	const char *implied; /* the value if none is given; then "=" is a must for one */
	enum option_kind kind;
	enum option_group group;
	bool negatable; /* OPTION_CHOICE: --no-NAME is the first choice. Flags are negatable by nature */
	size_t offset, size;
	uint64_t min, max;
	int set;
	const struct option_choice *choices;
	const char *def;      /* default, as it would be given */
	const char *def_text; /* how the default is found where that is more than a value */
	const char *why;
	const char *help;
};

/* Rows that the checks after parsing ask for by name; the table has them at these places. */
enum option_id {
	OPT_SHARED_DIR,
	OPT_SOCKET_PATH,
	OPT_FD,
	OPT_SOCKET_GROUP,
	OPT_TAG,
	OPT_QUEUES,
	OPT_CACHE,
	OPT_TIMEOUT,
	OPT_WRITEBACK,
	OPT_ZERO_MESSAGE_OPEN,
	OPT_POSIX_LOCK,
	OPT_FLOCK,
	OPT_XATTR,
	OPT_POSIX_ACL,
	OPT_SECURITY_LABEL,
	OPT_MODCAPS,
	OPT_SANDBOX,
	OPT_XATTRMAP,
	OPT_UID_MAP,
	OPT_GID_MAP,
	OPT_RLIMIT_NOFILE,
	OPT_MAX_HANDLES,
	OPT_MAX_CACHED_FDS,
	OPT_DAX_WINDOW,
	OPT_DAX,
	OPT_DAX_MAX_MAPPINGS,
	OPT_DAX_TRUST_PEERS,
	OPT_DAX_SHMEM_BIT,
	OPT_DAEMONIZE,
	OPT_NAMED,
};

#define OPTION_ROWS_MAX 96

extern const struct option_row option_rows[];
extern const unsigned int option_rows_count;
extern const char *const option_group_titles[OPTION_GROUPS];

/*
 * The row that a long name of @len bytes means ('_' taken for '-' if @underscores), NULL if none. *negated
 * says whether it came with "no-".
 */
const struct option_row *option_find(const char *name, size_t len, bool underscores, bool *negated);
const struct option_row *option_find_letter(char letter);
/* The name nearest to a wrong one, NULL if none is near. */
const char *option_suggest(const char *name, size_t len);

/* True if @word is one of the words in @list. */
bool option_word_in(const char *list, const char *word, size_t len);

#endif
