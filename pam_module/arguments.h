/* arguments.h: what stands behind pam_sallyport.so in a PAM service file. */
#ifndef SALLYPORT_PAM_ARGUMENTS_H
#define SALLYPORT_PAM_ARGUMENTS_H

#include <stdint.h>

#include "sallyport/err.h"

struct arguments {
	char socket[108];
	uint64_t time_limit_ms;
};

/* ERR_BAD_CONFIG for an unknown or a wrong one: the sentence names it. The first one must be "factor". */
[[nodiscard]] int arguments_read(int count, const char *const *words, struct arguments *out_arguments, struct diag *diag);

#endif
