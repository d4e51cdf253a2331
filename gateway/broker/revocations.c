/* revocations.c: keeps the list of revoked certificates fresh: anew when something was revoked, and every hour.
 *
 * It holds certificates that are revoked or superseded and have not expired. The list is for whoever else trusts our
 * authority; this gateway asks its registry, which is immediate.
 */
#include "revocations.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/edge/broker_signer.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"
#include "worker.h"

enum { FRESH_MS = 3600 * 1000, LIFE_S = 7 * 86400 };
enum { TIME_AT = SERIAL_BYTES_MAX, ISSUER_AT = TIME_AT + 8, ENTRY_BYTES = BROKER_SIGNER_ENTRY_BYTES };
static_assert(ISSUER_AT + FINGERPRINT_BYTES == ENTRY_BYTES, "an entry is as the edge has it");

struct revocations_wait {
	LIST_ENTRY(revocations_wait) all;
	struct worker *worker; /* held */
	uint32_t request;
};

void revocations_changed(struct broker *broker)
{
	broker->revocations.revision++;
	broker->revocations.made_at_ms = 0;
}

static int add_entry(struct buf *entries, const struct certificate *certificate)
{
	uint8_t entry[ENTRY_BYTES] = {0};
	size_t digits = strlen(certificate->serial), size = digits / 2;
	uint64_t at_s = (certificate->superseded_at_ms ? certificate->superseded_at_ms : clock_wall_ms()) / 1000;
	if (digits % 2 || size > SERIAL_BYTES_MAX ||
	    str_from_hex(view_string(certificate->serial), entry + SERIAL_BYTES_MAX - size, size) < 0)
		return 0; /* an adopted one of an odd spelling: another authority's list has it */
	for (int i = 0; i < 8; i++)
		entry[TIME_AT + i] = (uint8_t)(at_s >> (56 - 8 * i));
	if (str_from_hex(view_string(certificate->authority), entry + ISSUER_AT, FINGERPRINT_BYTES) < 0)
		return 0;
	return buf_add(entries, view_of(entry, sizeof(entry)));
}

static int collect(const struct registry *registry, uint64_t now_ms, struct buf *entries)
{
	const struct device *device;
	const struct certificate *certificate;
	int result = 0;
	LIST_FOREACH(device, &registry->devices, all)
		LIST_FOREACH(certificate, &device->certificates, of_device)
			if (result == 0 && certificate->state != CERTIFICATE_ACTIVE && certificate->not_after_ms > now_ms &&
			    *certificate->authority)
				result = add_entry(entries, certificate);
	return result;
}

static void answer(struct worker *worker, uint32_t request)
{
	const struct revocations *revocations = &worker->broker->revocations;
	if (revocations->made_at_ms)
		WORKER_SEND(worker, revocation_list, revocations->list, .request = request, .size = revocations->size);
	else
		worker_unavailable(worker, request);
}

/* A list is there, or will not be: whoever waits is answered. */
static void settle(struct broker *broker)
{
	struct revocations *revocations = &broker->revocations;
	struct revocations_wait *wait;
	revocations->asked = false;
	buf_fini(&revocations->coming);
	while ((wait = LIST_FIRST(&revocations->waiting))) {
		LIST_REMOVE(wait, all);
		answer(wait->worker, wait->request);
		worker_release(wait->worker);
		free(wait);
	}
}

static void ask_signer(struct broker *broker)
{
	struct revocations *revocations = &broker->revocations;
	OWN_BUF struct buf entries = BUF_INIT((size_t)BROKER_SIGNER_ENTRIES_MAX * ENTRY_BYTES);
	uint64_t now_ms = clock_wall_ms();
	if (revocations->asked)
		return;
	revocations->too_many = collect(&broker->registry, now_ms, &entries) < 0;
	if (revocations->too_many) {
		log_error("%s", revocations_trouble(broker));
		settle(broker);
		return;
	}
	/* Grows whatever happens to this process. */
	uint64_t number = now_ms > revocations->number ? now_ms : revocations->number + 1;
	revocations->number = number;
	revocations->coming = BUF_INIT(BROKER_SIGNER_LIST_MAX);
	revocations->asked_revision = revocations->revision;
	revocations->asked = signer_revoked(broker, number, now_ms / 1000, now_ms / 1000 + LIFE_S, buf_view(&entries));
	if (!revocations->asked)
		settle(broker);
}

static void keep(struct revocations *revocations)
{
	if (revocations->size)
		close(revocations->list);
	revocations->list = revocations->coming.size ? fd_seal(buf_view(&revocations->coming)) : -1;
	revocations->size = (uint32_t)revocations->coming.size;
	revocations->made_at_ms = revocations->list >= 0 ? clock_monotonic_ms() : 0;
}

int revocations_piece(struct broker *broker, struct view piece, bool last)
{
	struct revocations *revocations = &broker->revocations;
	if (!revocations->asked || buf_add(&revocations->coming, piece) < 0)
		return ERR_BAD_PEER;
	if (!last)
		return 0;
	keep(revocations);
	settle(broker);
	/* Something was revoked while it was made: this one was good for those who waited. */
	if (revocations->asked_revision != revocations->revision)
		revocations->made_at_ms = 0;
	return 0;
}

void revocations_lost_signer(struct broker *broker)
{
	broker->revocations.made_at_ms = 0;
	settle(broker);
}

const char *revocations_trouble(const struct broker *broker)
{
	return broker->revocations.too_many ? "more certificates are revoked and not expired than a list of revoked certificates "
					      "holds (24000): none is published" : "";
}

void revocations_asked(struct worker *worker, const struct worker_broker_revocations *message)
{
	struct broker *broker = worker->broker;
	struct revocations *revocations = &broker->revocations;
	if (revocations->made_at_ms && clock_monotonic_ms() - revocations->made_at_ms < FRESH_MS) {
		answer(worker, message->request);
		return;
	}
	struct revocations_wait *wait = calloc(1, sizeof(*wait));
	if (!wait) {
		worker_unavailable(worker, message->request);
		return;
	}
	*wait = (struct revocations_wait){.worker = worker, .request = message->request};
	worker_hold(worker);
	LIST_INSERT_HEAD(&revocations->waiting, wait, all);
	ask_signer(broker);
}
