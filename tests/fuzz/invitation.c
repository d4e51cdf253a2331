/* invitation.c: fuzz target: the line that a user pastes; what parses is bounded text. */
#include "../../src/client/invitation.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct invitation invitation;
	if (invitation_parse(view_of(data, size), &invitation, NULL) != STATUS_OK)
		return 0;
	MUST(invitation.gateway.port && invitation.enrolment.port && *invitation.gateway.host && *invitation.enrolment.host);
	MUST(*invitation.id && *invitation.secret && strlen(invitation.secret) < sizeof(invitation.secret));
	invitation_wipe(&invitation);
	return 0;
}
