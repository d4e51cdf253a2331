/* forward.h: one request that is carried to a target, from the inside: shared by forward.c (the question) and
 * forward_answer.c (the answer) only. What others may ask is in worker.h.
 *
 *   ASKING -> WAITING -> ANSWERING -> DONE
 *      |         |           |
 *      |         |           +--> broken off: the stream is reset, on HTTP/1.1 the connection
 *      +---------+--> refused: the exchange is answered with a problem
 *
 * Until the answer has a head the exchange owns the client's side; then, on HTTP/2, the tunnel does.
 */
#ifndef SALLYPORT_WORKER_FORWARD_H
#define SALLYPORT_WORKER_FORWARD_H

#include "sallyport/http1_response.h"
#include "worker.h"

/* How much of an answer is read at a time until its head is whole. */
enum { FORWARD_STEP = 4096 };

enum forward_state {
	FORWARD_ASKING,    /* the broker is asked for a way */
	FORWARD_WAITING,   /* the question goes out; its answer has no head yet */
	FORWARD_ANSWERING, /* the head of the answer went out; its body follows */
	FORWARD_DONE,      /* all of it */
};

struct forward {
	LIST_ENTRY(forward) waiting; /* HTTP/2, while WAITING */
	enum forward_state state;
	struct worker *worker;
	struct exchange *exchange; /* NULL once the answer belongs to the tunnel */
	struct tunnel *tunnel;     /* NULL while ASKING */
	/* the question */
	struct buf head;     /* for the target, until there is a way */
	struct buf early;    /* body that came before that, on HTTP/2: the stream's window bounds it */
	size_t head_left;    /* of what the pump was given: it counts in no window */
	uint64_t body_left;
	size_t unconsumed;   /* bytes of the body that the client's window still misses */
	bool whole;          /* all of the question has come */
	/* the answer */
	struct http1_response *response;
	struct buf unread;   /* what came with its head */
	bool ready;          /* the target has something to say */
	bool in_chunks;      /* towards the client, on HTTP/1.1 */
	bool is_last;        /* HTTP/1.1: the connection ends with it */
	/* what it is refused with, when it was found out here */
	unsigned status;
	const char *code;
	char sentence[192];
};

/* Ends it: the target is cut off; the client gets this refusal, or, when the answer had begun, sees it break off. */
void forward_fail(struct forward *forward, unsigned status, const char *code, const char *sentence);

#endif
