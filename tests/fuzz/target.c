/* target.c: fuzz target: a host as a client typed it; its canonical form is canonical. */
#include "../../gateway/broker/target.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target target, again;
	if (target_parse(view_of(data, size), 22, &target, NULL) < 0)
		return 0;
	MUST(target_parse(view_string(target.host), 22, &again, NULL) == 0);
	MUST(strcmp(target.host, again.host) == 0 && target.is_address == again.is_address);
	return 0;
}
