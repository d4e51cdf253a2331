/* invitation.h: the line that an administrator gives to a user: which gateway, whom to trust, one secret. Pure.
 *
 *   sallyport:1/GATEWAY/ENROLMENT/PIN/ID/SECRET/UNTIL
 *
 * GATEWAY and ENROLMENT are HOST:PORT; PIN is the SHA-256 of the authority that vouches for the gateway (64 hexadecimal
 * characters) or "-" for the system's trust list; UNTIL is seconds since 1970. Counterpart: gateway/broker/invitation_act.c.
 */
#ifndef CLIENT_INVITATION_H
#define CLIENT_INVITATION_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/x509.h"
#include "status.h"

struct invitation_place {
	char host[256]; /* without brackets */
	uint16_t port;
};

struct invitation {
	struct invitation_place gateway, enrolment;
	bool has_pin;
	uint8_t pin[X509_FINGERPRINT_SIZE];
	char id[33];
	char secret[65]; /* wipe it */
	int64_t until_s;
};

/* STATUS_USAGE with a sentence that says what is wrong with the line; a secret is in no sentence. */
[[nodiscard]] int invitation_parse(struct view line, struct invitation *out_invitation, struct diag *diag);
void invitation_wipe(struct invitation *invitation);
#define OWN_INVITATION OWN(invitation_wipe)

#endif
