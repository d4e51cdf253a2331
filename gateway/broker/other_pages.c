/* other_pages.c: a bucket of rows. See other_pages.h. */
#include "other_pages.h"

bool other_pages_take(struct other_pages *pages, uint64_t now_ms, uint64_t *out_left_out)
{
	uint64_t full_at_ms = (pages->full_at_ms > now_ms ? pages->full_at_ms : now_ms) + OTHER_PAGES_EACH_MS;
	if (full_at_ms > now_ms + OTHER_PAGES_ROWS * OTHER_PAGES_EACH_MS) {
		pages->left_out++;
		return false;
	}
	*out_left_out = pages->left_out;
	*pages = (struct other_pages){.full_at_ms = full_at_ms};
	return true;
}
