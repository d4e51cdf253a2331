/* broker_courier.h: what the courier shall fetch and deliver, and what became of it.
 *
 * First end: the broker. Second end: the courier, the only room that talks outward. The broker names a place and
 * bounds; the courier answers with the body in sealed memory, so that no frame limits its size and nobody can change
 * what was read. Every request has exactly one answer. Counterparts: gateway/broker/courier_edge.c and
 * gateway/courier/broker_edge.c.
 */
#ifndef SALLYPORT_EDGE_BROKER_COURIER_H
#define SALLYPORT_EDGE_BROKER_COURIER_H

#include "sallyport/edge.h"

/* `method` of fetch. */
enum broker_courier_method { BROKER_COURIER_GET = 1, BROKER_COURIER_POST = 2 };

#define BROKER_COURIER_URL_MAX 2048
#define BROKER_COURIER_BODY_MAX 65536                     /* of a request */
#define BROKER_COURIER_ANSWER_MAX (64ULL * 1024 * 1024)   /* largest size_limit */
#define BROKER_COURIER_TIME_MAX_MS (10 * 60 * 1000)       /* largest time_limit_ms */

#define broker_courier_MESSAGES(M)                                                                     \
	/* broker: fetch http(s); the whole answer within the limits, or nothing */                    \
	M(broker_courier, fetch, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                                \
	/* courier: the status (RFC 9110) and, in sealed memory, the body */                           \
	M(broker_courier, fetched, EDGE_FROM_SECOND, EDGE_ANY, EDGE_WITH_FD)                           \
	/* courier: there was no answer, and why */                                                    \
	M(broker_courier, not_fetched, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                         \
	/* broker: one event of the message that comes next */                                         \
	M(broker_courier, item, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                                 \
	/* broker: send the items since the last one to that alert's place, as one message */          \
	M(broker_courier, deliver, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                              \
	/* courier: the other side has taken it */                                                     \
	M(broker_courier, delivered, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                           \
	/* courier: it has not, and why; refused: for what it says, so that another try is in vain */  \
	M(broker_courier, not_delivered, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)

/* body and content_type: of a POST */
#define broker_courier_fetch_FIELDS(F)                                                                 \
	F(u32, request, 0) F(u8, method, 0) F(str, url, 2048) F(str, content_type, 128) F(bytes, body, 65536) \
	F(u64, size_limit, 0) F(u32, time_limit_ms, 0)
#define broker_courier_fetched_FIELDS(F) F(u32, request, 0) F(u32, status, 0) F(u64, size, 0)
#define broker_courier_not_fetched_FIELDS(F) F(u32, request, 0) F(u8, timed_out, 0) F(str, sentence, 512)
#define broker_courier_item_FIELDS(F)                                                                  \
	F(u64, id, 0) F(str, event, 64) F(u64, at_ms, 0) F(u64, sequence, 0) F(str, code, 64) F(str, device, 64) \
	F(str, user, 256) F(str, address, 64) F(str, detail, 1023)
/* more: how many others wait */
#define broker_courier_deliver_FIELDS(F) F(u32, delivery, 0) F(str, alert, 32) F(u32, more, 0)
#define broker_courier_delivered_FIELDS(F) F(u32, delivery, 0)
#define broker_courier_not_delivered_FIELDS(F) F(u32, delivery, 0) F(u8, refused, 0) F(str, sentence, 512)
EDGE_DECLARE(broker_courier)

/* Most items of one message. */
#define BROKER_COURIER_ITEMS_MAX 100

#endif
