/* ocsp.c: asks OCSP responders (RFC 6960) about adopted certificates.
 *
 *     the signer makes the question ──► the courier carries it ──► the signer judges the answer ──► kept with the certificate
 *
 * A device is asked for when its key is proven, so no stranger makes the gateway ask; its worker waits for the answer. It is
 * asked for again while it is connected. An answer counts until it says, at most CACHE_MS; then, while the responder is
 * silent, for the section's ocsp_grace. It is not in the store: after a restart everybody is asked for anew. Counterpart:
 * gateway/signer/ocsp.c.
 */
#include "ocsp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "door_one.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"
#include "worker.h"

enum { CACHE_MS = 3600 * 1000, AGAIN_MS = 2000, FETCH_MS = 5000, PATIENCE_MS = 8000, ANSWER_MAX = 32768 };

struct ocsp_wait {
	LIST_ENTRY(ocsp_wait) all;
	struct worker *worker; /* held */
};

struct ocsp_check {
	LIST_ENTRY(ocsp_check) all;
	LIST_HEAD(, ocsp_wait) waiting;
	struct broker *broker;
	uint32_t number;
	uint64_t give_up_at_ms; /* monotonic */
	bool is_fetching;
	char issuer[ISSUER_NAME_MAX + 1], url[OCSP_URL_MAX + 1];
	uint8_t fingerprint[FINGERPRINT_BYTES], serial[ISSUER_SERIAL_BYTES], nonce[16];
	struct buf question;
	struct courier_fetch fetch;
};

static const char revoked_code[] = "certificate_revoked", unavailable_code[] = "ocsp_unavailable";

/* ---- what is known ---- */

/* The section that wants it; NULL: none does, or the certificate names no responder. */
static struct issuer_watch *section_of(const struct broker *broker, const struct certificate *certificate)
{
	const struct issuers *issuers = &broker->issuers;
	for (unsigned i = 0; certificate->responder && *certificate->issuer && i < issuers->count; i++)
		if (issuers->watches[i].wants_ocsp && strcmp(issuers->watches[i].list->authority, certificate->issuer) == 0)
			return (struct issuer_watch *)(uintptr_t)&issuers->watches[i];
	return NULL;
}

bool ocsp_is_due(const struct broker *broker, const struct certificate *certificate)
{
	return section_of(broker, certificate) && clock_monotonic_ms() >= certificate->ocsp.again_at_ms &&
	       (certificate->ocsp.is_refused || clock_wall_ms() >= certificate->ocsp.good_until_ms);
}

int ocsp_judge(const struct broker *broker, const struct certificate *certificate, uint64_t now_ms, const char **out_code,
	       const char **out_sentence)
{
	const struct issuer_watch *watch = section_of(broker, certificate);
	const struct certificate_ocsp *known = &certificate->ocsp;
	if (!watch || (!known->is_refused && known->good_until_ms && now_ms < known->good_until_ms + watch->ocsp_grace_ms))
		return 0;
	*out_code = known->is_refused ? revoked_code : unavailable_code;
	*out_sentence = known->is_refused ? "the responder of its authority says that it is revoked, or does not know it"
					  : "the responder of its authority does not answer";
	return ERR_DENIED;
}

/* ---- the end of a check ---- */

static void check_free(struct ocsp_check *check)
{
	struct ocsp_wait *wait;
	LIST_REMOVE(check, all);
	while ((wait = LIST_FIRST(&check->waiting))) {
		LIST_REMOVE(wait, all);
		door_one_checked(wait->worker);
		worker_release(wait->worker);
		free(wait);
	}
	buf_fini(&check->question);
	free(check);
}

static struct issuer_watch *find_section(struct broker *broker, const char *name)
{
	for (unsigned i = 0; i < broker->issuers.count; i++)
		if (strcmp(broker->issuers.watches[i].name, name) == 0)
			return &broker->issuers.watches[i];
	return NULL;
}

static void tell_trouble(struct ocsp_check *check, const char *sentence)
{
	struct issuer_watch *watch = find_section(check->broker, check->issuer);
	struct audit_entry entry = {.code = "ocsp_silent"};
	if (!watch || *watch->ocsp_trouble)
		return;
	str_copy(watch->ocsp_trouble, sizeof(watch->ocsp_trouble), sentence);
	str_make_printable(watch->ocsp_trouble);
	audit_fill(&entry, "alarm", "the authority %s: its responder %s does not say whether certificates are good: %s", watch->name,
		   check->url, watch->ocsp_trouble);
	log_warning("%s", entry.detail);
	audit_record(check->broker, &entry, NULL, NULL);
}

static struct certificate *certificate_of(const struct ocsp_check *check)
{
	return registry_certificate(&check->broker->registry, view_of(check->fingerprint, sizeof(check->fingerprint)));
}

static void fail(struct ocsp_check *check, const char *sentence)
{
	struct certificate *certificate = certificate_of(check);
	if (certificate)
		certificate->ocsp.again_at_ms = clock_monotonic_ms() + AGAIN_MS;
	tell_trouble(check, sentence);
	check_free(check);
}

static void succeed(struct ocsp_check *check, bool is_good, uint64_t next_s)
{
	struct certificate *certificate = certificate_of(check);
	struct issuer_watch *watch = find_section(check->broker, check->issuer);
	uint64_t now_ms = clock_wall_ms(), until_ms = next_s > now_ms / 1000 ? next_s * 1000 : now_ms;
	if (certificate) {
		certificate->ocsp.is_refused = !is_good;
		certificate->ocsp.good_until_ms = !is_good ? 0 : until_ms < now_ms + CACHE_MS ? until_ms : now_ms + CACHE_MS;
		certificate->ocsp.again_at_ms = clock_monotonic_ms() + AGAIN_MS;
	}
	if (watch)
		watch->ocsp_trouble[0] = 0;
	check_free(check);
}

/* ---- its way ---- */

static struct ocsp_check *find(struct broker *broker, uint32_t number)
{
	struct ocsp_check *check;
	LIST_FOREACH(check, &broker->issuers.checks, all)
		if (check->number == number)
			return check;
	return NULL;
}

static void on_fetched(struct courier_fetch *fetch, int result, unsigned status, struct view body, const struct diag *diag)
{
	struct ocsp_check *check = fetch->context;
	char sentence[64];
	check->is_fetching = false;
	snprintf(sentence, sizeof(sentence), "it answers with the status %u", status);
	if (result < 0 || status != 200)
		fail(check, result < 0 ? diag->text : sentence);
	else if (!signer_ocsp_answer(check->broker, check->number, check->issuer, view_of(check->serial, sizeof(check->serial)),
				     view_of(check->nonce, sizeof(check->nonce)), body))
		fail(check, "the signer is not there");
}

void ocsp_questioned(struct broker *broker, const struct broker_signer_ocsp_question *message)
{
	struct ocsp_check *check = find(broker, message->check);
	if (!check || check->is_fetching)
		return;
	if (message->question.size == 0 || buf_add(&check->question, message->question) < 0) {
		fail(check, "the question cannot be made");
		return;
	}
	check->is_fetching = true;
	check->fetch = (struct courier_fetch){.url = check->url, .post = true, .content_type = "application/ocsp-request",
					      .body = buf_view(&check->question), .size_limit = ANSWER_MAX, .time_limit_ms = FETCH_MS,
					      .done = on_fetched, .context = check};
	courier_fetch(broker, &check->fetch);
}

int ocsp_judged(struct broker *broker, const struct broker_signer_ocsp_verdict *message)
{
	struct ocsp_check *check = find(broker, message->check);
	char reason[257];
	if (view_to_string(message->reason, reason, sizeof(reason)) < 0 || message->meaning > BROKER_SIGNER_OCSP_UNKNOWN ||
	    message->next_s > INT64_MAX / 1000)
		return ERR_BAD_PEER;
	/* Given up in the meantime. */
	if (!check || check->is_fetching)
		return 0;
	if (message->meaning == BROKER_SIGNER_OCSP_NONE)
		fail(check, reason);
	else
		succeed(check, message->meaning == BROKER_SIGNER_OCSP_GOOD, message->next_s);
	return 0;
}

/* ---- asking ---- */

static int wait_for(struct ocsp_check *check, struct worker *worker)
{
	struct ocsp_wait *wait = worker ? calloc(1, sizeof(*wait)) : NULL;
	if (!worker)
		return 0;
	if (!wait)
		return ERR_SYSTEM;
	wait->worker = worker;
	worker_hold(worker);
	LIST_INSERT_HEAD(&check->waiting, wait, all);
	return 0;
}

static struct ocsp_check *begin(struct broker *broker, const struct certificate *certificate)
{
	static uint32_t last_number;
	struct ocsp_check *check = calloc(1, sizeof(*check));
	if (!check)
		return NULL;
	check->broker = broker;
	check->number = ++last_number;
	check->give_up_at_ms = clock_monotonic_ms() + PATIENCE_MS;
	check->question = BUF_INIT(4096);
	str_copy(check->issuer, sizeof(check->issuer), section_of(broker, certificate)->name);
	str_copy(check->url, sizeof(check->url), certificate->responder);
	memcpy(check->fingerprint, certificate->fingerprint, sizeof(check->fingerprint));
	fd_random(check->nonce, sizeof(check->nonce));
	LIST_INSERT_HEAD(&broker->issuers.checks, check, all);
	return check;
}

int ocsp_ask(struct broker *broker, const struct certificate *certificate, struct worker *worker)
{
	struct ocsp_check *check;
	LIST_FOREACH(check, &broker->issuers.checks, all)
		if (memcmp(check->fingerprint, certificate->fingerprint, sizeof(check->fingerprint)) == 0)
			return wait_for(check, worker);
	check = begin(broker, certificate);
	if (!check || wait_for(check, worker) < 0)
		return ERR_SYSTEM;
	if (!issuer_read_serial(certificate->serial, check->serial) ||
	    !signer_ocsp_ask(broker, check->number, check->issuer, view_of(check->serial, sizeof(check->serial)),
			     view_of(check->nonce, sizeof(check->nonce))))
		check->give_up_at_ms = 0;
	return 0;
}

static void ask_for_connected(struct broker *broker)
{
	const struct device *device;
	const struct certificate *certificate;
	LIST_FOREACH(device, &broker->registry.devices, all)
		if (!LIST_EMPTY(&device->workers))
			LIST_FOREACH(certificate, &device->certificates, of_device)
				if (certificate->state == CERTIFICATE_ACTIVE && certificate->first_used_at_ms &&
				    ocsp_is_due(broker, certificate) && ocsp_ask(broker, certificate, NULL) < 0)
					log_error("no memory to ask a responder");
}

void ocsp_look(struct broker *broker)
{
	struct ocsp_check *check, *next;
	uint64_t now_ms = clock_monotonic_ms();
	for (check = LIST_FIRST(&broker->issuers.checks); check; check = next) {
		next = LIST_NEXT(check, all);
		if (now_ms >= check->give_up_at_ms && !check->is_fetching)
			fail(check, "nobody answers");
	}
	ask_for_connected(broker);
}
