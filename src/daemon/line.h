/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the process that was started (launch.h) and the daemon below it say to each other: messages of one
 * size over one socket, which processes of two releases may be at. What comes from the daemon is not to be
 * trusted: the process that serves holds the socket, too. Control threads.
 */
#ifndef DAEMON_LINE_H
#define DAEMON_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LINE_TEXT 512

/* Words of the daemon; those of outside.h are said here, too. */
#define LINE_PREPARED 'P' /* it could take over from the one that serves */
#define LINE_STOPPED  'H' /* it stops its worker now, for another to take over; @at: when */
#define LINE_GIVEN    'G' /* the other serves */
#define LINE_REFUSED  'E' /* it ends; @text: why. In any version, so that another release can say so */
/* Words for it. */
#define LINE_GIVE 'U' /* with a socket: who is there may take over */
#define LINE_TAKE 'T' /* the first of one that shall take over; with the descriptors that @has says */

/* Descriptors of LINE_TAKE, in this order. */
#define LINE_FROM   1u /* where LINE_GIVE's other end is */
#define LINE_NOTIFY 2u
#define LINE_CLAIMS 4u
#define LINE_COPIES 8u
#define LINE_FDS    4

/* Version, word and text stay where they are, in every version. */
struct line_message {
	uint32_t version;
	char word;
	bool keeps; /* LINE_TAKE: the service manager keeps descriptors */
	uint16_t has;
	uint32_t watchdog; /* LINE_TAKE: milliseconds, 0: none */
	uint32_t pad;
	uint64_t at; /* CLOCK_MONOTONIC, nanoseconds */
	char text[LINE_TEXT];
};

/* Two ends. 0 or -errno. */
int line_open(int ends[2]);
/* @m's version is set. 0 or -errno. */
int line_send(int line, struct line_message *m, const int *fds, uint32_t n);
/* A word and nothing else. */
void line_say(int line, char word);
/* 1; 0 at the end; -EAGAIN: nothing is there (it does not wait); -EPROTO: not such a message. @fds has room
 * for *@n, which becomes the number of those that came. The text is ended. */
int line_receive(int line, struct line_message *m, int *fds, uint32_t *n);

#endif
