/* worker_edge.c: one signature, one proof, for a worker that may be in a stranger's hands.
 *
 * Counterpart: gateway/worker/remote_key.c. What is allowed when stands in edge/worker_signer.h.
 */
#include "sallyport/wire.h"
#include "signer.h"

struct call {
	struct signer *signer;
	struct worker *worker;
};

static int on_sign(void *self, const struct worker_signer_sign *message, int *fd)
{
	struct call *call = self;
	struct proof *proof = &call->worker->proof;
	(void)fd;
	int result = proof_sign(proof, call->signer->keyring, message, &call->signer->diag);
	if (result < 0)
		return result;
	return WIRE_SEND(call->worker->edge.fd, worker_signer, signature, -1, .scheme = proof->own_scheme,
			 .signature = buf_view(&proof->own_signature));
}

static int on_proof(void *self, const struct worker_signer_proof *message, int *fd)
{
	struct call *call = self;
	(void)fd;
	int result = proof_keep(&call->worker->proof, message, &call->signer->diag);
	if (result < 0)
		return result;
	/* Whether it is good is the broker's to hear, with the key that the registry knows. */
	return wire_send_message(call->worker->edge.fd, &worker_signer_edge, worker_signer_proof_kept_type,
				 &(struct worker_signer_proof_kept){}, -1);
}

static const struct worker_signer_handlers handlers = {.sign = on_sign, .proof = on_proof};

int worker_edge_take(struct signer *signer, struct worker *worker, struct edge_frame *frame)
{
	struct call call = {signer, worker};
	return worker_signer_dispatch(&handlers, &call, EDGE_FROM_FIRST, worker->proof.state, frame, &signer->diag);
}
