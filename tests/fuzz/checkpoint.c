/* checkpoint.c: fuzz target: a line from elsewhere in which a checkpoint may stand; what was read is written the same way. */
#include "../../src/admin/checkpoints.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint first, again;
	char text[CHECKPOINT_LINE_MAX + 1];
	char *line = malloc(size + 1);
	MUST(line);
	memcpy(line, data, size);
	line[size] = 0;
	if (checkpoint_parse(line, &first) == 0 && checkpoint_line(&first, text, sizeof(text))) {
		MUST(checkpoint_parse(text, &again) == 0);
		MUST(first.kind == again.kind && first.sequence == again.sequence && first.at_ms == again.at_ms);
		MUST(strcmp(first.gateway, again.gateway) == 0 && strcmp(first.hash, again.hash) == 0);
	}
	free(line);
	return 0;
}
