/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `colofs run` and the init of its guest say to each other over one byte stream (a console of the
 * guest). A frame is a head of four bytes (type, then the payload's length as 24 bits, little-endian) and a
 * payload. Nothing is sent to the guest before its FRAME_READY: until then its console is not raw.
 */
#ifndef TOOLS_FRAME_H
#define TOOLS_FRAME_H

#include <stdint.h>

#define FRAME_HEAD    4u
#define FRAME_PAYLOAD 16384u /* the longest payload; a longer one is a broken stream */
/*
 * Bytes of standard input that are on their way to the command at most. A guest's terminal line that must
 * throttle (4096 bytes unread, less 128) is deaf from then on in User-Mode Linux: input and all other frames
 * fit below.
 */
#define FRAME_WINDOW 3072u

enum frame_type {
	/* to the guest */
	FRAME_STDIN = 1, /* bytes; at most FRAME_WINDOW ahead of FRAME_TAKEN */
	FRAME_STDIN_END, /* no more bytes follow */
	FRAME_WINSIZE,	 /* u16 rows, u16 columns, little-endian */
	FRAME_SIGNAL,	 /* u8 signal number for the command's process group */
	FRAME_SHUT,	 /* u8: 1 or 2, nobody reads that output any more */
	/* from the guest */
	FRAME_READY = 32, /* shares are mounted, the command starts */
	FRAME_STDOUT,	  /* bytes */
	FRAME_STDERR,	  /* bytes */
	FRAME_TTY,	  /* bytes of the guest's terminal */
	FRAME_TAKEN,	  /* u32, little-endian: so many bytes of FRAME_STDIN were consumed */
	FRAME_EXIT,	  /* u8 exit status; the shares are unmounted, the guest can go */
	FRAME_FAIL,	  /* text: why the guest could not do its work */
};

static inline void frame_head_put(uint8_t head[FRAME_HEAD], enum frame_type type, uint32_t len)
{
	head[0] = (uint8_t)type;
	head[1] = (uint8_t)len;
	head[2] = (uint8_t)(len >> 8);
	head[3] = (uint8_t)(len >> 16);
}

static inline uint32_t frame_head_len(const uint8_t head[FRAME_HEAD])
{
	return head[1] | (uint32_t)head[2] << 8 | (uint32_t)head[3] << 16;
}

#endif
