/* checkpoint.h: signs where the audit record's chain stands, with a key that signs nothing else.
 *
 * The signer builds the text by itself (sallyport/checkpoint.h): the broker says a number and a hash, the signer adds the
 * context, the gateway's name and its own clock. As long as it lives it goes only forward: no number before the last one, no
 * other hash for the same, so a broker in a stranger's hands gets no second past signed. Counterpart:
 * gateway/broker/checkpoint_desk.c.
 */
#ifndef SALLYPORT_SIGNER_CHECKPOINT_H
#define SALLYPORT_SIGNER_CHECKPOINT_H

#include "keyring.h"
#include "sallyport/checkpoint.h"
#include "sallyport/edge/broker_signer.h"

struct checkpoint_memory {
	uint64_t sequence, cut; /* of the last ones */
	uint8_t hash[32];
};

/* Fills the checkpoint and its signature (CHECKPOINT_SIGNATURE_MAX bytes). ERR_NOT_FOUND (there is no key), ERR_DENIED (it would
 * go back), ERR_BAD_INPUT, ERR_SYSTEM, each with one sentence. */
[[nodiscard]] int checkpoint_sign(const struct keyring *keyring, struct checkpoint_memory *memory, const char *gateway,
				  const struct broker_signer_checkpoint *order, struct checkpoint *out_checkpoint,
				  uint8_t *out_signature, size_t *out_size, struct diag *diag);

#endif
