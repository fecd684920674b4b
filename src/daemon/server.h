/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of a queue know of each other, and nobody else: queue.c sets it up and stops it, server.c
 * has its threads, waits.c those of their requests that sleep, urgent.c the queue that others serve as well.
 *
 * Locking: q->lock guards the ring and every field of struct queue behind it; it is never held while a
 * request is handled. A thread's own fields are written under it too, so that others can see who waits for a
 * lock. The lock of the urgent queue may be taken while another queue's is held, not the other way round.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "daemon/poller.h"
#include "daemon/queue.h"

#define SERVER_SPARE	 2u	  /* more followers than these end instead of waiting for work */
#define SERVER_CANCEL_NS 10000000 /* how often a waiter is told again that it shall give up */
/* The most of a chain: descriptors that cross memory regions take more than one piece. */
#define SERVER_PIECES(size) ((unsigned int)(size) + 64u)

struct server {
	struct server *next;
	struct queue *queue;
	pthread_t thread;
	struct fuse_worker *worker;
	struct mem_map *mem;	     /* the ring's, held while it leads and does not sleep; NULL: none */
	struct iovec *iov, *log_iov; /* room for one chain; its writable part again, for the dirty log */
	unsigned int iov_max;
	bool leads;
	bool handles;	    /* is at a request */
	bool shares;	    /* gave the lead away for that one, and takes it back when it is free then */
	bool waits;	    /* sleeps in a lock request, or until the front-end answers */
	bool lock;	    /* for a lock, which may take for ever */
	bool abandoned;	    /* its request is not to be answered */
	unsigned int ndesc; /* of the ring, which its request takes */
	unsigned int held;  /* answers that it pushed without a call */
	uint32_t handled;   /* requests */
};

struct queue {
	struct fuse_session *session;
	struct watch *watch;	  /* NULL: none */
	_Atomic uint32_t *served; /* set when something was answered; NULL: nobody asks */
	struct op_intent *intents;
	bool crashed;
	unsigned int index;
	unsigned int max_threads, max_lock_waiters;
	int epoll;
	int wake;	      /* makes the leader look up from its sleep */
	struct queue *urgent; /* which this one's leader looks after; NULL: none */

	pthread_mutex_t lock;
	pthread_cond_t lead; /* the lead is free, or the queue ends */
	pthread_cond_t rest; /* a request ended, or a thread did */
	pthread_cond_t runs; /* the queue runs again, or waiters are abandoned */
	struct vring *ring;
	struct poller poller; /* the leader's */
	uint32_t size;
	int kick, call, err;
	bool running;	      /* chains may be popped */
	bool led;	      /* some thread is the leader */
	unsigned int sharers; /* threads that take the lead back if it is free then */
	bool ends;
	bool minds; /* counts among the urgent queue's minders */
	unsigned int threads, followers, inflight;
	uint64_t begun, looked_at;	    /* requests; at queue_look() */
	bool unkicked;			    /* a chain was there at queue_look(), and nobody at it */
	unsigned int waiters, waiting_desc; /* what those of locks take of the ring */
	unsigned int lock_waiters;
	struct vring_layout started;	   /* the ring's that was last set up */
	uint32_t stop_base, stop_inflight; /* the ring's when it was stopped */
	struct server *servers;

	/* Of the urgent queue. */
	struct queue *host;	   /* whose leader's sleep its kicks end; NULL: its own leader's */
	unsigned int minders;	   /* queues whose leaders look after it: no kicks are wanted */
	struct vring_chain aside;  /* popped by one of them, to be handled here; its iov is the queue's. NULL:
				      none */
	struct mem_map *aside_mem; /* in which that iov lies */
};

/* In what follows q->lock, or that of the server's queue, is held; urgent_serve() lets it go for a while. */

/* server.c. One more thread: 0 or -errno. */
int server_add(struct queue *q);
/* Calls the guest for what was pushed, if it wants to be called. */
void server_call_guest(struct queue *q);
/* Calls for answers that @s pushed without. */
void server_call_for_held(struct server *s);
/* If it leads, or would have to see to it that somebody does, gives the lead away: 0, or -errno if there is
 * nobody to take it. */
int server_hand_over(struct server *s);
/* It leads no more, whoever does next. */
void server_give_lead(struct server *s);
/* The leader's request keeps a CPU busy, and ends soon: meanwhile another thread may lead, which is woken
 * (_share) or is at such a request itself (_lend; nothing is done if none is). */
void server_share(struct server *s);
void server_lend(struct server *s);
/* Room for the chains of a ring of this size. */
bool server_fit_iov(struct server *s, uint32_t size);
/* The chain's record of what it does. NULL: none is kept. */
struct op_intent *server_intent_of(const struct queue *q, const struct vring_chain *chain);
/* A chain lies in the ring. */
bool server_chain_waits(const struct queue *q);
/* It has what it does not stop for: what is to be run again belongs to no later start. */
bool server_owes(const struct queue *q);
/* Something that may sleep is done between _begin() and _end(), without the lock: the watch sees it. */
void server_begin(struct server *s);
void server_end(struct server *s);
/* The leader looks up from its sleep. Needs no lock. */
void server_wake_leader(struct queue *q);

/* waits.c. The hook of struct op_ctx, on the thread that handles the request; takes the lock itself. */
int server_may_block(void *arg, enum op_block kind);

/*
 * urgent.c. While leaders of other queues are awake, one at least, they look after the urgent queue between
 * their own requests, and the guest is asked for no kicks there. _join() and _leave() say that @q's leader
 * does for a while, or is about to sleep, and may be repeated; _serve() does it, and returns whether there
 * was something to do. They do what nobody waits for, and leave all else to the urgent queue's own leader.
 * Its kicks end the sleep of the first queue's leader, if that one runs: _host() and _unhost() say so.
 */
void urgent_join(struct queue *q);
void urgent_leave(struct queue *q);
bool urgent_serve(struct server *s);
void urgent_host(struct queue *q);
void urgent_unhost(struct queue *q);
/* Where @u's kicks are waited for: an epoll descriptor. */
int urgent_epoll(const struct queue *u);

#endif
