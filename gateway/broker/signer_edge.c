/* signer_edge.c: the broker's end of broker_signer. Counterpart: gateway/signer/broker_edge.c. */
#include "signer_edge.h"

#include <stdlib.h>

#include "admin.h"
#include "broker.h"
#include "checkpoint_desk.h"
#include "door_one.h"
#include "ocsp.h"
#include "sallyport/checkpoint.h"
#include "sallyport/edge/broker_signer.h"
#include "sallyport/fd.h"
#include "sallyport/link.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

enum { PENDING_BYTES_MAX = 4 << 20 };

LIST_HEAD(issue_list, signer_issue);
struct signer_edge {
	struct link *link; /* NULL: no signer now */
	struct issue_list issues;
	uint32_t last_number;
};

static void on_link_closed(struct link *link)
{
	free(link);
}

static void fail_issues(struct signer_edge *signer)
{
	struct diag diag;
	struct signer_issue *issue;
	diag_set(&diag, ERR_SYSTEM, "the signer is not there; try again in a moment");
	while ((issue = LIST_FIRST(&signer->issues))) {
		LIST_REMOVE(issue, waiting);
		issue->done(issue, ERR_SYSTEM, view_of(NULL, 0), &diag);
	}
}

static void disconnect(struct broker *broker)
{
	struct signer_edge *signer = broker->signer;
	if (!signer->link)
		return;
	link_close(signer->link, on_link_closed);
	signer->link = NULL;
	fail_issues(signer);
	revocations_lost_signer(broker);
	admin_files_authority(broker, "");
	checkpoint_desk_lost_signer(broker);
	issuers_lost_signer(broker);
	door_one_lost_signer(broker);
}

static int on_verified(void *self, const struct broker_signer_verified *message, int *fd)
{
	(void)fd;
	char reason[257];
	if (view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	door_one_verified(self, message->worker, message->good == 1, reason);
	return 0;
}

static struct signer_issue *take_issue(struct signer_edge *signer, uint32_t number)
{
	struct signer_issue *issue;
	LIST_FOREACH(issue, &signer->issues, waiting)
		if (issue->number == number) {
			LIST_REMOVE(issue, waiting);
			return issue;
		}
	return NULL;
}

static int on_issued(void *self, const struct broker_signer_issued *message, int *fd)
{
	struct broker *broker = self;
	(void)fd;
	struct signer_issue *issue = take_issue(broker->signer, message->request);
	if (message->authority.size != 32)
		return ERR_BAD_PEER;
	if (issue) {
		str_hex(message->authority, issue->authority);
		issue->done(issue, 0, message->certificate, NULL);
	}
	return issue ? 0 : ERR_BAD_PEER;
}

static int on_not_issued(void *self, const struct broker_signer_not_issued *message, int *fd)
{
	struct broker *broker = self;
	(void)fd;
	struct signer_issue *issue = take_issue(broker->signer, message->request);
	if (!issue)
		return ERR_BAD_PEER;
	struct diag diag;
	int result = diag_set(&diag, ERR_DENIED, "%.*s", (int)message->reason.size, (const char *)message->reason.data);
	issue->done(issue, result, view_of(NULL, 0), &diag);
	return 0;
}

static int on_revocation_list(void *self, const struct broker_signer_revocation_list *message, int *fd)
{
	(void)fd;
	return revocations_piece(self, message->piece, message->last);
}

static int on_authority(void *self, const struct broker_signer_authority *message, int *fd)
{
	char fingerprint[65];
	(void)fd;
	if (message->fingerprint.size != 32)
		return ERR_BAD_PEER;
	str_hex(message->fingerprint, fingerprint);
	admin_files_authority(self, fingerprint);
	return 0;
}

static int on_checkpoint_signed(void *self, const struct broker_signer_checkpoint_signed *message, int *fd)
{
	(void)fd;
	return checkpoint_desk_signed(self, message);
}

static int on_foreign_serials(void *self, const struct broker_signer_foreign_serials *message, int *fd)
{
	(void)fd;
	return issuers_serials(self, message);
}

static int on_foreign_read(void *self, const struct broker_signer_foreign_read *message, int *fd)
{
	(void)fd;
	return issuers_read(self, message);
}

static int on_ocsp_question(void *self, const struct broker_signer_ocsp_question *message, int *fd)
{
	(void)fd;
	ocsp_questioned(self, message);
	return 0;
}

static int on_ocsp_verdict(void *self, const struct broker_signer_ocsp_verdict *message, int *fd)
{
	(void)fd;
	return ocsp_judged(self, message);
}

static const struct broker_signer_handlers handlers = {
	.verified = on_verified, .issued = on_issued, .not_issued = on_not_issued, .revocation_list = on_revocation_list,
	.authority = on_authority, .checkpoint_signed = on_checkpoint_signed, .foreign_serials = on_foreign_serials,
	.foreign_read = on_foreign_read, .ocsp_question = on_ocsp_question, .ocsp_verdict = on_ocsp_verdict};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct broker *broker = link->owner;
	struct diag diag = {""};
	if (broker_signer_dispatch(&handlers, broker, EDGE_FROM_SECOND, EDGE_ANY, frame, &diag) == 0)
		return;
	log_error("the signer does not speak the protocol: %s", diag.text);
	disconnect(broker);
}

static void on_end(struct link *link, int reason)
{
	log_warning("the signer is gone (%s); devices wait for the next one", err_name(reason));
	disconnect(link->owner);
}

int signer_edge_new(struct broker *broker, struct diag *diag)
{
	broker->signer = calloc(1, sizeof(*broker->signer));
	return broker->signer ? 0 : diag_system(diag, "memory");
}

void signer_connect(struct broker *broker, int fd)
{
	OWN_FD int owned = fd;
	disconnect(broker);
	OWN_MEMORY struct link *link = calloc(1, sizeof(*link));
	if (!link || link_init(link, broker->loop, owned, PENDING_BYTES_MAX) < 0) {
		log_error("the signer's edge cannot be watched");
		return;
	}
	take_fd(&owned);
	link->owner = broker;
	link->on_frame = on_frame;
	link->on_end = on_end;
	broker->signer->link = take_pointer(&link);
}

bool signer_is_connected(const struct broker *broker)
{
	return broker->signer->link;
}

bool signer_verify(struct broker *broker, uint64_t worker, struct view public_key)
{
	if (!broker->signer->link)
		return false;
	return LINK_SEND(broker->signer->link, broker_signer, verify, -1, .worker = worker, .public_key = public_key) == 0;
}

void signer_issue(struct broker *broker, struct signer_issue *issue, const struct signer_names *names)
{
	struct signer_edge *signer = broker->signer;
	issue->number = ++signer->last_number;
	LIST_INSERT_HEAD(&signer->issues, issue, waiting);
	if (!signer->link) {
		fail_issues(signer);
		return;
	}
	(void)LINK_SEND(signer->link, broker_signer, issue, -1, .request = issue->number, .public_key = names->public_key,
			.device_id = view_string(names->device_id), .device_name = view_string(names->device_name),
			.serial = names->serial, .not_before_s = names->not_before_s, .not_after_s = names->not_after_s);
}

bool signer_checkpoint(struct broker *broker, const struct checkpoint *checkpoint)
{
	uint8_t hash[32];
	if (!broker->signer->link || str_from_hex(view_string(checkpoint->hash), hash, sizeof(hash)) < 0)
		return false;
	return LINK_SEND(broker->signer->link, broker_signer, checkpoint, -1, .kind = (uint8_t)checkpoint->kind,
			 .sequence = checkpoint->sequence, .hash = view_of(hash, sizeof(hash))) == 0;
}

bool signer_revoked(struct broker *broker, uint64_t number, uint64_t this_s, uint64_t next_s, struct view entries)
{
	if (!broker->signer->link)
		return false;
	OWN_FD int memory = fd_seal(entries);
	return memory >= 0 && LINK_SEND(broker->signer->link, broker_signer, revoked, memory, .number = number, .this_s = this_s,
					.next_s = next_s) == 0;
}

bool signer_authority_wanted(struct broker *broker)
{
	return broker->signer->link && LINK_SEND(broker->signer->link, broker_signer, authority_wanted, -1) == 0;
}

bool signer_foreign_list(struct broker *broker, const char *issuer, int fd)
{
	if (!broker->signer->link)
		return false;
	return LINK_SEND(broker->signer->link, broker_signer, foreign_list, fd, .issuer = view_string(issuer)) == 0;
}

bool signer_ocsp_ask(struct broker *broker, uint32_t check, const char *issuer, struct view serial, struct view nonce)
{
	return broker->signer->link && LINK_SEND(broker->signer->link, broker_signer, ocsp_ask, -1, .check = check,
						 .issuer = view_string(issuer), .serial = serial, .nonce = nonce) == 0;
}

bool signer_ocsp_answer(struct broker *broker, uint32_t check, const char *issuer, struct view serial, struct view nonce,
			struct view answer)
{
	return broker->signer->link && LINK_SEND(broker->signer->link, broker_signer, ocsp_answer, -1, .check = check,
						 .issuer = view_string(issuer), .serial = serial, .nonce = nonce,
						 .answer = answer) == 0;
}
