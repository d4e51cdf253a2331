/* registry_ends.c: certificates whose end is near and that were not renewed: counted, and recorded once each. */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "registry.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"

bool certificate_ends_soon(const struct certificate *certificate, uint64_t now_ms)
{
	uint64_t life_ms = certificate->not_after_ms - certificate->not_before_ms;
	return certificate->state == CERTIFICATE_ACTIVE && now_ms + life_ms / 5 >= certificate->not_after_ms;
}

struct notice {
	struct store_operation operation;
	uint64_t at_ms;
	char fingerprint[2 * FINGERPRINT_BYTES + 1];
	struct audit_entry entry;
};

static int record_notice(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct notice *notice = operation->context;
	int result = STORE_RUN(db, diag, certificate_noticed, NUMBER(notice->at_ms), TEXT(notice->fingerprint));
	return result < 0 ? result : audit_append(db, &notice->entry, diag);
}

static void on_notice(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	free(operation->context);
}

static void notice_end(struct broker *broker, struct certificate *certificate, uint64_t now_ms)
{
	struct notice *notice = calloc(1, sizeof(*notice));
	char until[32];
	if (!notice)
		return;
	certificate->noticed_at_ms = notice->at_ms = now_ms;
	clock_format(certificate->not_after_ms, until, sizeof(until));
	str_hex(view_of(certificate->fingerprint, FINGERPRINT_BYTES), notice->fingerprint);
	str_copy(notice->entry.device, sizeof(notice->entry.device), certificate->device->name);
	audit_fill(&notice->entry, "certificate_ends_soon", "the certificate of %s ends at %s and was not renewed",
		   certificate->device->name, until);
	notice->operation = (struct store_operation){.work = record_notice, .done = on_notice, .context = notice};
	store_submit(broker->store, &notice->operation);
}

/* The newest that counts; generations may have gaps. NULL: none. */
static struct certificate *newest(const struct device *device)
{
	struct certificate *certificate, *found = NULL;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (certificate->state == CERTIFICATE_ACTIVE && (!found || certificate->generation > found->generation))
			found = certificate;
	return found;
}

/* Of an active device, the newest certificate, when its end is near; else NULL. */
static struct certificate *overdue(const struct device *device, uint64_t now_ms)
{
	struct certificate *certificate = device->state == DEVICE_ACTIVE ? newest(device) : NULL;
	return certificate && certificate_ends_soon(certificate, now_ms) ? certificate : NULL;
}

void registry_notice_ends(struct broker *broker)
{
	const struct device *device;
	uint64_t now_ms = clock_wall_ms();
	LIST_FOREACH(device, &broker->registry.devices, all) {
		struct certificate *certificate = overdue(device, now_ms);
		if (certificate && !certificate->noticed_at_ms)
			notice_end(broker, certificate, now_ms);
	}
	invitations_prune(&broker->invitations, now_ms);
}

void registry_count_ends(const struct registry *registry, unsigned *out_count)
{
	const struct device *device;
	uint64_t now_ms = clock_wall_ms();
	*out_count = 0;
	LIST_FOREACH(device, &registry->devices, all)
		*out_count += overdue(device, now_ms) != NULL;
}

unsigned registry_first_ends(const struct registry *registry, const struct certificate **out_list, unsigned most)
{
	const struct device *device;
	uint64_t now_ms = clock_wall_ms();
	unsigned count = 0;
	LIST_FOREACH(device, &registry->devices, all) {
		const struct certificate *certificate = overdue(device, now_ms);
		if (!certificate || (count == most && certificate->not_after_ms >= out_list[most - 1]->not_after_ms))
			continue;
		unsigned place = count < most ? count++ : most - 1;
		for (; place && out_list[place - 1]->not_after_ms > certificate->not_after_ms; place--)
			out_list[place] = out_list[place - 1];
		out_list[place] = certificate;
	}
	return count;
}
