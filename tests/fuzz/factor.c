/* factor.c: fuzz target: what a user typed for a code, and what stands sealed in the store. */
#include "../../gateway/broker/oath.h"

#include <string.h>

#include "../../gateway/broker/seal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], code[OATH_RECOVERY_CHARACTERS + 1], again[OATH_RECOVERY_CHARACTERS + 1];
	const struct seal seal = {.present = true};
	uint8_t secret[SEAL_SECRET_MAX];
	size_t secret_size = 0;
	if (view_to_string(view_of(data, size), text, sizeof(text)) < 0)
		return 0;
	/* Nothing opens that was not sealed with this key. */
	MUST(seal_open(&seal, "alice", text, secret, &secret_size) < 0);
	if (oath_read_code(text, code) < 0)
		return 0;
	MUST(strlen(code) == OATH_DIGITS || strlen(code) == OATH_RECOVERY_CHARACTERS);
	MUST(oath_read_code(code, again) == 0 && strcmp(code, again) == 0);
	return 0;
}
