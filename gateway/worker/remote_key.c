/* remote_key.c: the private key is elsewhere: one signature and one proof, asked of the signer, blocking.
 *
 * Counterpart: gateway/signer/worker_edge.c.
 */
#include <errno.h>
#include <poll.h>

#include "room.h"
#include "sallyport/edge/worker_signer.h"
#include "sallyport/log.h"
#include "worker.h"

/* The signer answers in microseconds; one that is away for so long is away. */
enum { PATIENCE_MS = 5000 };

struct reply {
	struct buf *signature;
	uint32_t scheme;
	bool kept;
};

static int on_signature(void *self, const struct worker_signer_signature *message, int *fd)
{
	struct reply *reply = self;
	(void)fd;
	if (!reply->signature || message->scheme != reply->scheme)
		return ERR_BAD_PEER;
	return buf_add(reply->signature, message->signature);
}

static int on_proof_kept(void *self, const struct worker_signer_proof_kept *message, int *fd)
{
	struct reply *reply = self;
	(void)message, (void)fd;
	reply->kept = true;
	return 0;
}

static const struct worker_signer_handlers handlers = {.signature = on_signature, .proof_kept = on_proof_kept};

static int await(struct worker *worker, struct reply *reply)
{
	static uint8_t space[4096];
	struct pollfd signer = {.fd = worker->signer, .events = POLLIN};
	struct edge_frame frame;
	struct diag diag;
	int ready;
	do
		ready = poll(&signer, 1, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ERR_TIMEOUT;
	int result = wire_receive(worker->signer, space, sizeof(space), &frame);
	if (result == 0)
		result = worker_signer_dispatch(&handlers, reply, EDGE_FROM_SECOND, EDGE_ANY, &frame, &diag);
	return result;
}

int remote_key_sign(void *owner, const struct tls_signing *signing, struct buf *out_signature)
{
	struct worker *worker = owner;
	struct reply reply = {.signature = out_signature, .scheme = signing->scheme};
	int result = WIRE_SEND(worker->signer, worker_signer, sign, -1, .hash = (uint8_t)signing->hash,
			       .scheme = signing->scheme, .transcript = signing->transcript);
	if (result == 0)
		result = await(worker, &reply);
	if (result < 0)
		log_error("the signer does not sign (%s)", err_name(result));
	return result;
}

int remote_key_prove(struct worker *worker, const struct tls *tls)
{
	struct tls_proof proof;
	struct reply reply = {.kept = false};
	int result = tls_proof(tls, &proof);
	if (result == 0)
		result = WIRE_SEND(worker->signer, worker_signer, proof, -1, .rest = proof.rest, .scheme = proof.scheme,
				   .signature = proof.signature);
	if (result == 0)
		result = await(worker, &reply);
	return result < 0 ? result : reply.kept ? 0 : ERR_BAD_PEER;
}
