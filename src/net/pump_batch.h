/* pump_batch.h: bytes of several pumps, gathered for a moment so that each pump's leave with one system call.
 *
 * A client with many tunnels sends their frames in turns; written one by one, each would be a system call and wake its
 * target. Here they lie one behind the other as they came; what belongs to one pump is a chain of pieces. One batch for
 * the process: a loop serves one carrier at a time. pump.c is its only caller and decides when what leaves.
 */
#ifndef SALLYPORT_PUMP_BATCH_H
#define SALLYPORT_PUMP_BATCH_H

#include <sys/uio.h>

#include "sallyport/pump.h"

/* Copies the bytes behind those of this pump. False: no room; nothing was taken. */
[[nodiscard]] bool pump_batch_add(struct pump *pump, struct view bytes);
/* Takes up to `most` pieces of this pump out, the oldest first; their number. The bytes stay in place until the next
 * pump_batch_add. */
[[nodiscard]] int pump_batch_take(struct pump *pump, struct iovec *out_parts, int most);
/* A pump that has something here, the oldest first; NULL: nothing is here. */
[[nodiscard]] struct pump *pump_batch_next(void);
/* What this pump has here is dropped. */
void pump_batch_forget(struct pump *pump);
/* Gives the memory back to the system. Nothing is lost: without effect while something is here. */
void pump_batch_trim(void);

#endif
