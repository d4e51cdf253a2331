/* certificates_look.c: when the certificates of the house end: the gateway's own, and those of the authorities.
 *
 * Read from their files, as the next reload would. Those of devices the gateway knows (GET /v1/status, GET /v1/devices).
 */
#include <stdio.h>
#include <time.h>

#include "authority.h"
#include "findings.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"

enum { DAY_S = 86400, SOON_DAYS = 14, AUTHORITY_SOON_DAYS = 60 };

/* A row for each of them. */
struct watched {
	const char *kind, *what, *path, *mend;
	int soon_days;
	bool first_only; /* of a chain */
};

struct look {
	json_t *findings, *list;
};

static void judge(const struct look *look, const struct watched *watched, const struct x509_facts *facts)
{
	char until[32];
	int64_t left_s = facts->not_after_s - (int64_t)time(NULL);
	clock_format((uint64_t)facts->not_after_s * 1000, until, sizeof(until));
	if (facts->not_before_s > (int64_t)time(NULL))
		finding_add(look->findings, FINDING_ERROR, "certificates", "timedatectl: look at the clock first", "%s %s has not begun yet",
			    watched->what, facts->name);
	else if (left_s <= 0)
		finding_add(look->findings, FINDING_ERROR, "certificates", watched->mend, "%s %s has ended (%s)", watched->what, facts->name, until);
	else if (left_s < (int64_t)watched->soon_days * DAY_S)
		finding_add(look->findings, FINDING_WARNING, "certificates", watched->mend, "%s %s ends at %s", watched->what, facts->name, until);
	else
		finding_add(look->findings, FINDING_OK, "certificates", NULL, "%s %s is good until %s", watched->what, facts->name, until);
	if (look->list)
		json_array_append_new(look->list, json_pack("{s:s, s:s, s:s, s:I}", "certificate", watched->kind, "name", facts->name,
							    "until", until, "days", (json_int_t)(left_s / DAY_S)));
}

static void look_at(const struct look *look, const struct watched *watched)
{
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct x509_facts facts;
	struct diag diag;
	if (!*watched->path)
		return;
	if (authority_bundle_read(watched->path, &bundle, &diag) < 0) {
		finding_add(look->findings, FINDING_WARNING, "certificates", "run doctor as root, on the gateway's host", "%s", diag.text);
		return;
	}
	for (unsigned i = 0; i < bundle.count && !(watched->first_only && i); i++)
		if (x509_facts(buf_view(&bundle.list[i]), &facts, &diag) == 0)
			judge(look, watched, &facts);
}

void findings_of_certificates(json_t *findings, const struct admin_options *options, json_t *list)
{
	OWN_FILES struct authority_files files;
	const struct look look = {.findings = findings, .list = list};
	char renewal[4300] = "sallyport-admin server renew";
	if (authority_files(options, &files) != ADMIN_DONE)
		return;
	if (!*files.server_authority_key)
		snprintf(renewal, sizeof(renewal), "put the next one into %s, then sallyport-admin reload", files.server_certificate);
	const struct watched all[] = {
		{"gateway", "the gateway's certificate", files.server_certificate, renewal, SOON_DAYS, true},
		{"its authority", "the gateway's authority", files.server_authority,
		 "a new one, and new invitations: the handbook, \"The authority\"", AUTHORITY_SOON_DAYS, false},
		{"device authority", "the device authority", files.device_authority,
		 "sallyport-admin ca rotate (or ca drop, where it is retired)", AUTHORITY_SOON_DAYS, false},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		look_at(&look, &all[i]);
}
