/* identity.h: this device's certificate and key as files: made, replaced whole, found again after a crash.
 *
 * Below ~/.config/sallyport (XDG_CONFIG_HOME): device.pem holds key and certificate together, so that one rename replaces
 * both; gateway-ca.crt is what the gateway must chain to; profile names them. A key that waits for its certificate
 * stands in a file of its own: whoever is killed in between goes on with the same key.
 */
#ifndef CLIENT_IDENTITY_H
#define CLIENT_IDENTITY_H

#include <stdbool.h>

#include "sallyport/buf.h"
#include "status.h"

struct identity_place {
	char folder[3072];
	char device[3200], authority[3200], profile[3200];
};

/* Of the profile of that name (NULL: the one of everyday; else profiles/NAME, NAME.pem and NAME-ca.crt). Makes the folder
 * (0700). STATUS_FAILED with a sentence. */
[[nodiscard]] int identity_place(const char *profile, struct identity_place *out_place, struct diag *diag);
/* The key that waits in that file, or a new one that does from now on (0600). Secret: give an OWN_SECRET_BUF. */
[[nodiscard]] int identity_waiting_key(const char *path, struct buf *out_key, struct diag *diag);
/* Writes key (empty: it lives in a token) and certificate (DER) into one file, 0600, in one step. */
[[nodiscard]] int identity_write(const char *path, struct view key_pem, struct view certificate_der, struct diag *diag);
/* The time of the certificate in that file or view. */
struct identity_dates {
	int64_t not_before_s, not_after_s;
	uint32_t seed; /* of this certificate alone */
	char name[256];
};
/* When it is to be renewed: after two thirds of its life and up to a twentieth more, so that a fleet that was enrolled in one
 * hour does not renew in one; always the same for one certificate. */
int64_t identity_due_s(const struct identity_dates *dates);
/* Less than a sixth of its life is left, or less than a week of a long one: its renewal does not work. */
bool identity_is_overdue(const struct identity_dates *dates, int64_t now_s);
/* Says it when a certificate that was made this moment is not good by this device's clock: then that is wrong. */
void identity_check_clock(const struct identity_dates *dates);
[[nodiscard]] int identity_dates(const char *path, struct identity_dates *out_dates, struct diag *diag);

#endif
