/* handover.h: what live workers need to outlive this broker (handover.c), and to be taken over by the next one (heritage.c).
 *
 * The edges are kept as they are, with what waits in them, and so are the copies of tunnels' sockets: the monitor passes them
 * on. Who each worker is stands in a state of the broker's own making; which tunnels it has open, in the store. Nothing is
 * asked of the workers, and nothing that they say is believed.
 */
#ifndef SALLYPORT_BROKER_HANDOVER_H
#define SALLYPORT_BROKER_HANDOVER_H

#include <stdbool.h>

#include "store.h"

struct broker;
struct heritage;

/* ---- handover.c: the broker that goes ---- */
/* A successor comes: finishes what cannot be handed over, then leaves the loop. */
void handover_begin(struct broker *broker);
/* After the loop. Who cannot be handed over is killed, and what it had open closed in the record. Then: how many go on. */
void handover_part(struct broker *broker);
/* After the store is closed: the last word to each worker, and its edge to the monitor. */
void handover_send(struct broker *broker);

/* ---- heritage.c: the broker that comes ---- */
/* What the monitor has of the former broker. NULL: nothing. Before the walls. */
[[nodiscard]] int heritage_take(struct broker *broker, struct heritage **out_heritage, struct diag *diag);
/* In `work`, before the thread: notes the rows of open tunnels that are inherited, closes all others; says how many. heritage: may be NULL. */
[[nodiscard]] int heritage_sift(struct heritage *heritage, struct store_db *db, uint64_t *out_closed, struct diag *diag);
/* Takes those over for whom registry and sessions vouch, has the monitor kill the others, judges every tunnel anew, and
 * frees the heritage. */
void heritage_enter(struct broker *broker);

#endif
