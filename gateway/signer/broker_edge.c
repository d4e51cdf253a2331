/* broker_edge.c: verdicts on proofs, device certificates and checkpoints, for the broker.
 *
 * Counterpart: gateway/broker/signer_edge.c.
 */
#include <poll.h>
#include <string.h>

#include "issue.h"
#include "issuers.h"
#include "ocsp.h"
#include "revocations.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"
#include "signer.h"

/* The broker asks in bursts and may be behind with reading; it never waits for us while we wait for it. */
#define PATIENCE_MS 5000

/* Our reasons are short and ASCII; the edge's bound is this. */
#define REASON_MAX 256

#define PIECE_BYTES 65536

static int answer(struct signer *signer, unsigned type, const void *message)
{
	struct pollfd room_for_more = {.fd = signer->broker.fd, .events = POLLOUT};
	for (;;) {
		int result = wire_send_message(signer->broker.fd, &broker_signer_edge, type, message, -1);
		if (result != ERR_AGAIN)
			return result;
		if (poll(&room_for_more, 1, PATIENCE_MS) <= 0)
			return diag_set(&signer->diag, ERR_TIMEOUT, "the broker does not take its answers");
	}
}

static int on_verify(void *self, const struct broker_signer_verify *message, int *fd)
{
	struct signer *signer = self;
	struct worker *worker = workers_find(&signer->workers, message->worker);
	struct diag reason;
	(void)fd;
	int result = worker ? proof_verify(&worker->proof, message->public_key, &reason)
			    : diag_set(&reason, ERR_NOT_FOUND, "there is no such worker");
	if (result < 0)
		log_notice("the proof of worker %llu is not good: %s", (unsigned long long)message->worker,
			   reason.text);
	struct broker_signer_verified verified = {.worker = message->worker, .good = result == 0};
	if (result < 0)
		verified.reason = view_of(reason.text, strnlen(reason.text, REASON_MAX));
	return answer(signer, broker_signer_verified_type, &verified);
}

static int on_issue(void *self, const struct broker_signer_issue *message, int *fd)
{
	struct signer *signer = self;
	OWN_BUF struct buf certificate = BUF_INIT(16384);
	struct diag reason;
	(void)fd;
	if (issue_certificate(signer->keyring, message, &certificate, &reason) < 0)
		return answer(signer, broker_signer_not_issued_type,
			      &(struct broker_signer_not_issued){
				      .request = message->request,
				      .reason = view_of(reason.text, strnlen(reason.text, REASON_MAX))});
	return answer(
		signer, broker_signer_issued_type,
		&(struct broker_signer_issued){.request = message->request, .certificate = buf_view(&certificate),
						.authority = view_of(signer->keyring->authority_fingerprint, 32)});
}

/* No frame holds a long list; nothing at all means that there is none. */
static int answer_list(struct signer *signer, struct view list)
{
	int result;
	do {
		struct view piece = view_of(list.data, list.size < PIECE_BYTES ? list.size : PIECE_BYTES);
		list = view_of(list.data + piece.size, list.size - piece.size);
		result = answer(signer, broker_signer_revocation_list_type,
				&(struct broker_signer_revocation_list){.piece = piece, .last = list.size == 0});
	} while (result == 0 && list.size);
	return result;
}

static int on_revoked(void *self, const struct broker_signer_revoked *message, int *fd)
{
	struct signer *signer = self;
	OWN_BUF struct buf entries = BUF_INIT(BROKER_SIGNER_ENTRIES_MAX * BROKER_SIGNER_ENTRY_BYTES);
	OWN_BUF struct buf list = BUF_INIT(BROKER_SIGNER_LIST_MAX);
	struct diag reason;
	int result = fd_read_all(*fd, &entries);
	if (result < 0)
		diag_set(&reason, result, "the entries of the list of revoked certificates cannot be read");
	else
		result = revocations_sign(signer->keyring, message, buf_view(&entries), &list, &reason);
	if (result < 0) {
		log_error("%s", reason.text);
		buf_reset(&list);
	}
	return answer_list(signer, buf_view(&list));
}

static int on_authority_wanted(void *self, const struct broker_signer_authority_wanted *message, int *fd)
{
	struct signer *signer = self;
	(void)message, (void)fd;
	return answer(signer, broker_signer_authority_type,
		      &(struct broker_signer_authority){.fingerprint = view_of(signer->keyring->authority_fingerprint, 32)});
}

static int on_checkpoint(void *self, const struct broker_signer_checkpoint *message, int *fd)
{
	struct signer *signer = self;
	struct checkpoint checkpoint;
	uint8_t signature[CHECKPOINT_SIGNATURE_MAX];
	size_t size = 0;
	struct diag reason = {""};
	(void)fd;
	if (checkpoint_sign(signer->keyring, &signer->checkpoints, signer->room.conf.name, message, &checkpoint, signature, &size,
			    &reason) < 0)
		size = 0;
	return answer(signer, broker_signer_checkpoint_signed_type,
		      &(struct broker_signer_checkpoint_signed){
			      .kind = message->kind, .sequence = message->sequence, .hash = message->hash,
			      .gateway = view_string(size ? checkpoint.gateway : ""), .at_ms = size ? checkpoint.at_ms : 0,
			      .key = view_of(signer->keyring->audit_key_id, 32), .signature = view_of(signature, size),
			      .reason = view_of(reason.text, strnlen(reason.text, REASON_MAX))});
}

static int send_serials(struct signer *signer, struct view issuer, struct crl *crl, uint32_t *out_count)
{
	uint8_t serials[65520];
	int more, result = 0;
	do {
		size_t held = 0;
		while (held < sizeof(serials) && (more = crl_next(crl, serials + held)) > 0)
			held += CRL_SERIAL_BYTES;
		*out_count += (uint32_t)(held / CRL_SERIAL_BYTES);
		if (more < 0 || *out_count > BROKER_SIGNER_LIST_SERIALS_MAX)
			return more < 0 ? more : ERR_LIMIT;
		if (held)
			result = answer(signer, broker_signer_foreign_serials_type,
					&(struct broker_signer_foreign_serials){.issuer = issuer, .serials = view_of(serials, held)});
	} while (more > 0 && result == 0);
	return result;
}

static int read_foreign(struct signer *signer, const struct broker_signer_foreign_list *message, int fd, struct crl *crl,
			uint32_t *out_count, struct diag *reason)
{
	OWN_BUF struct buf bytes = BUF_INIT(BROKER_SIGNER_LIST_BYTES_MAX);
	OWN_BUF struct buf der = BUF_INIT(BROKER_SIGNER_LIST_BYTES_MAX);
	int result = fd_read_all(fd, &bytes);
	if (result < 0)
		return diag_set(reason, result, "the list cannot be read, or is larger than %d MiB", BROKER_SIGNER_LIST_BYTES_MAX >> 20);
	result = issuers_open_list(&signer->keyring->issuers, message->issuer, buf_view(&bytes), &der, crl, reason);
	if (result < 0)
		return result;
	result = send_serials(signer, message->issuer, crl, out_count);
	return result < 0 ? diag_set(reason, result, "an entry of the list is damaged, or it has more than %d",
				     BROKER_SIGNER_LIST_SERIALS_MAX)
			  : 0;
}

static int on_foreign_list(void *self, const struct broker_signer_foreign_list *message, int *fd)
{
	struct signer *signer = self;
	struct crl crl = {.next_s = 0};
	struct diag reason = {""};
	uint32_t count = 0;
	int result = read_foreign(signer, message, *fd, &crl, &count, &reason);
	struct broker_signer_foreign_read read = {.issuer = message->issuer};
	if (result < 0) {
		read.reason = view_of(reason.text, strnlen(reason.text, REASON_MAX));
	} else {
		read.number = view_of(crl.number, sizeof(crl.number));
		read.this_s = (uint64_t)crl.this_s;
		read.next_s = (uint64_t)crl.next_s;
		read.count = count;
	}
	return answer(signer, broker_signer_foreign_read_type, &read);
}

static int on_ocsp_ask(void *self, const struct broker_signer_ocsp_ask *message, int *fd)
{
	struct signer *signer = self;
	OWN_BUF struct buf question = BUF_INIT(4096);
	(void)fd;
	if (ocsp_question(&signer->keyring->issuers, message, &question) < 0)
		buf_reset(&question);
	return answer(signer, broker_signer_ocsp_question_type,
		      &(struct broker_signer_ocsp_question){.check = message->check, .question = buf_view(&question)});
}

static int on_ocsp_answer(void *self, const struct broker_signer_ocsp_answer *message, int *fd)
{
	struct signer *signer = self;
	struct broker_signer_ocsp_verdict verdict = {.check = message->check};
	struct diag reason = {""};
	(void)fd;
	verdict.meaning = (uint8_t)ocsp_judge(&signer->keyring->issuers, message, &verdict.next_s, &reason);
	verdict.reason = view_of(reason.text, strnlen(reason.text, REASON_MAX));
	return answer(signer, broker_signer_ocsp_verdict_type, &verdict);
}

static const struct broker_signer_handlers handlers = {
	.verify = on_verify, .issue = on_issue, .revoked = on_revoked, .authority_wanted = on_authority_wanted,
	.checkpoint = on_checkpoint, .foreign_list = on_foreign_list, .ocsp_ask = on_ocsp_ask, .ocsp_answer = on_ocsp_answer};

int broker_edge_take(struct signer *signer, struct edge_frame *frame)
{
	return broker_signer_dispatch(&handlers, signer, EDGE_FROM_FIRST, EDGE_ANY, frame, &signer->diag);
}
