/* profile.h: this host's certificate and where its gateway is: the file that `sallyport enroll` has written as root. */
#ifndef SALLYPORT_PAM_PROFILE_H
#define SALLYPORT_PAM_PROFILE_H

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define PROFILE_TEXT_MAX 512

struct profile {
	char gateway[PROFILE_TEXT_MAX]; /* https URLs, separated by blanks or commas: the next one when the first is gone */
	char cert[PROFILE_TEXT_MAX], key[PROFILE_TEXT_MAX];
	char ca[PROFILE_TEXT_MAX]; /* empty: the system's list */
};

/* Reads it. ERR_DENIED when it is not root's alone to write: it says whom to believe. ERR_BAD_CONFIG, ERR_SYSTEM. */
[[nodiscard]] int profile_read(const char *path, struct profile *out_profile, struct diag *diag);
/* The same from text: `key = value` lines; keys of others are passed over. */
[[nodiscard]] int profile_parse(struct view text, struct profile *out_profile, struct diag *diag);
/* Takes the next URL; false after the last. *position starts at 0. */
bool profile_gateway(const struct profile *profile, size_t *position, char out_url[PROFILE_TEXT_MAX]);

#endif
