/* other_pages.h: what pages of others have a device's browser ask for. They can do so as often as they like, without anybody's
 * act, and each refusal is a row: so a device has a bucket of rows, and what comes beyond it is counted. Pure.
 */
#ifndef SALLYPORT_BROKER_OTHER_PAGES_H
#define SALLYPORT_BROKER_OTHER_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* So many at once; then one in so long. */
#define OTHER_PAGES_ROWS 100
#define OTHER_PAGES_EACH_MS 10000

/* All zero: nothing has come yet. */
struct other_pages {
	uint64_t full_at_ms; /* when the bucket is full again */
	uint64_t left_out;   /* since the last row */
};

/* One more. True: it gets a row, which says how many before it got none. False: it is one of those. */
bool other_pages_take(struct other_pages *pages, uint64_t now_ms, uint64_t *out_left_out);

#endif
