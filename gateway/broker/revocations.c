/* revocations.c: keeps the list of revoked certificates fresh: anew when something was revoked, and every hour.
 *
 * It holds certificates that are revoked or superseded and have not expired. The list is for whoever else trusts our
 * authority; this gateway asks its registry, which is immediate.
 */
#include "revocations.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"
#include "worker.h"

enum { FRESH_MS = 3600 * 1000, LIFE_S = 7 * 86400, ENTRY_BYTES = 28, ENTRIES_MAX = 1500 };

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
		entry[SERIAL_BYTES_MAX + i] = (uint8_t)(at_s >> (56 - 8 * i));
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

static void ask_signer(struct broker *broker)
{
	struct revocations *revocations = &broker->revocations;
	OWN_BUF struct buf entries = BUF_INIT(ENTRIES_MAX * ENTRY_BYTES);
	uint64_t now_ms = clock_wall_ms();
	if (revocations->asked)
		return;
	if (collect(&broker->registry, now_ms, &entries) < 0) {
		log_error("more than %d certificates are revoked and not expired: no list is published", ENTRIES_MAX);
		revocations_made(broker, view_of(NULL, 0));
		return;
	}
	/* Grows whatever happens to this process. */
	uint64_t number = now_ms > revocations->number ? now_ms : revocations->number + 1;
	revocations->number = number;
	revocations->asked = signer_revoked(broker, number, now_ms / 1000, now_ms / 1000 + LIFE_S, buf_view(&entries));
	if (!revocations->asked)
		revocations_made(broker, view_of(NULL, 0));
}

static void answer(struct worker *worker, uint32_t request, struct view list)
{
	if (list.size)
		WORKER_SEND(worker, revocation_list, -1, .request = request, .list = list);
	else
		worker_unavailable(worker, request);
}

void revocations_made(struct broker *broker, struct view list)
{
	struct revocations *revocations = &broker->revocations;
	struct revocations_wait *wait;
	revocations->asked = false;
	buf_fini(&revocations->list);
	revocations->list = BUF_INIT(65536);
	revocations->made_at_ms = list.size && buf_add(&revocations->list, list) == 0 ? clock_monotonic_ms() : 0;
	while ((wait = LIST_FIRST(&revocations->waiting))) {
		LIST_REMOVE(wait, all);
		answer(wait->worker, wait->request, buf_view(&revocations->list));
		worker_release(wait->worker);
		free(wait);
	}
}

void revocations_asked(struct worker *worker, const struct worker_broker_revocations *message)
{
	struct broker *broker = worker->broker;
	struct revocations *revocations = &broker->revocations;
	if (revocations->made_at_ms && clock_monotonic_ms() - revocations->made_at_ms < FRESH_MS) {
		answer(worker, message->request, buf_view(&revocations->list));
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
