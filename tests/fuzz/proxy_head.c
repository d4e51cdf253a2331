/* proxy_head.c: fuzz target: a head of the PROXY protocol, byte by byte as the worker reads it, and all at once. */
#include "../../gateway/worker/proxy_head.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_head head = {.port = 0}, again = {.port = 0};
	struct diag diag;
	size_t more = 0, have = 0;
	int result;
	/* The reader takes what is asked for and no more, so it never has a byte behind the head. */
	while ((result = proxy_head_parse(view_of(data, have), &head, &more, &diag)) == ERR_AGAIN) {
		MUST(more > 0 && have + more <= PROXY_HEAD_MAX);
		if (have + more > size)
			return 0;
		have += more;
	}
	MUST(result == 0 || (result == ERR_BAD_INPUT && diag.text[0]));
	if (result < 0)
		return 0;
	MUST(strlen(head.address) < sizeof(head.address));
	MUST(proxy_head_parse(view_of(data, have), &again, &more, &diag) == 0 && memcmp(&head, &again, sizeof(head)) == 0);
	return 0;
}
