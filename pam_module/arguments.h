/* arguments.h: what stands behind pam_sallyport.so in a PAM service file. */
#ifndef SALLYPORT_PAM_ARGUMENTS_H
#define SALLYPORT_PAM_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/err.h"

/* What the module is for here: the first argument. */
enum arguments_kind { ARGUMENTS_FACTOR = 1, ARGUMENTS_PRESENCE = 2 };

struct arguments {
	enum arguments_kind kind;
	uint64_t time_limit_ms;
	/* factor */
	char socket[108];
	/* presence */
	char profile[256];
	uint64_t fresh_ms;     /* how old the login may be; 0: any */
	bool via_gateway;      /* this very connection must have come by a tunnel of the user */
	bool ignores_silence;  /* fallback=ignore: a gateway that does not answer is passed over */
};

/* ERR_BAD_CONFIG for an unknown or a wrong one: the sentence names it. The first one must be "factor" or "presence". */
[[nodiscard]] int arguments_read(int count, const char *const *words, struct arguments *out_arguments, struct diag *diag);

#endif
