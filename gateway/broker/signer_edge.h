/* signer_edge.h: asks the signer: was this proof made with that key; issue a certificate. */
#ifndef SALLYPORT_BROKER_SIGNER_EDGE_H
#define SALLYPORT_BROKER_SIGNER_EDGE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct broker;

[[nodiscard]] int signer_edge_new(struct broker *broker, struct diag *diag);
/* Takes over a new edge in place of the old one; what was asked on the old one has failed. */
void signer_connect(struct broker *broker, int fd);
bool signer_is_connected(const struct broker *broker);

/* The answer goes to door_one_verified(). False: there is no signer now. */
bool signer_verify(struct broker *broker, uint64_t worker, struct view public_key);

/* A certificate, in an object of the caller's that stays until done. */
struct signer_issue {
	LIST_ENTRY(signer_issue) waiting;
	uint32_t number;
	char authority[65]; /* the fingerprint of whoever has signed, when it is done */
	void (*done)(struct signer_issue *issue, int result, struct view certificate, const struct diag *diag);
	void *context;
};
struct signer_names {
	struct view public_key, serial;
	const char *device_id, *device_name;
	uint64_t not_before_s, not_after_s;
};
/* `done` may be called from inside when there is no signer. */
void signer_issue(struct broker *broker, struct signer_issue *issue, const struct signer_names *names);

/* Wants a checkpoint signed (kind, sequence, hash); the answer goes to checkpoint_desk_signed(). False: there is no signer now. */
struct checkpoint;
bool signer_checkpoint(struct broker *broker, const struct checkpoint *checkpoint);

/* A question for an OCSP responder, answered by ocsp_questioned(); what its answer means, by ocsp_judged(). False: there is no
 * signer now. */
bool signer_ocsp_ask(struct broker *broker, uint32_t check, const char *issuer, struct view serial, struct view nonce);
bool signer_ocsp_answer(struct broker *broker, uint32_t check, const char *issuer, struct view serial, struct view nonce,
			struct view answer);

/* Wants another authority's list of revoked certificates read (the descriptor stays the caller's); the answer goes to
 * issuers_serials() and issuers_read(). False: there is no signer now. */
bool signer_foreign_list(struct broker *broker, const char *issuer, int fd);

/* Wants a list of revoked certificates signed; the answer goes to revocations_piece(). False: there is no signer now. */
bool signer_revoked(struct broker *broker, uint64_t number, uint64_t this_s, uint64_t next_s, struct view entries);

/* Asks which authority signs now; the answer goes to admin_files_authority(). False: there is no signer now. */
bool signer_authority_wanted(struct broker *broker);

#endif
