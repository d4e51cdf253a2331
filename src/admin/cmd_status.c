/* cmd_status.c: sallyport-admin status: the gateway on one screen. */
#include <stdio.h>

#include "findings.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

static const char *const pairs[] = {"gateway", "name", "version", "version", "since", "started_at", "devices", "devices",
				    "certificates ending soon", "certificates_ending_soon", "enrolments pending", "enrolments_pending", "unknown devices pending", "unknown_devices_pending", "revocation lists stale", "revocation_lists_stale",
				    "connections", "connections", "sessions", "sessions", "break-glass sessions", "break_glass_sessions", "tunnels", "tunnels", "logins under way",
				    "logins_under_way", "signer connected", "signer", "store good", "store_good", "store trouble",
				    "store_trouble", "alerts not delivered", "alerts_failing", "revocation list trouble", "revocations_trouble", "commits", "commits", "records", "records", "resources", "resources", "rules",
				    "rules", NULL};

/* One line, as monitoring systems show it. */
static int check(const json_t *status, const json_t *findings)
{
	if (findings_worst(findings) == FINDING_OK)
		printf("ok: %lld sessions, %lld tunnels\n", (long long)json_integer_value(json_object_get(status, "sessions")),
		       (long long)json_integer_value(json_object_get(status, "tunnels")));
	findings_print(findings, true);
	return findings_worst(findings);
}

int cmd_status(const struct admin_options *options)
{
	OWN(own_json) json_t *answer = NULL;
	OWN(own_json) json_t *findings = json_array();
	int status = call(options, "GET", "/v1/status", NULL, &answer);
	if (status != ADMIN_DONE)
		return options->check ? FINDING_ERROR : status;
	findings_of_status(findings, answer);
	if (options->check && !options->json)
		return check(answer, findings);
	if (options->json) {
		json_object_set(answer, "findings", findings);
		status = table_print_json(answer);
		return status == ADMIN_DONE && options->check ? (int)findings_worst(findings) : status;
	}
	table_print_object(answer, pairs);
	findings_print(findings, true);
	return ADMIN_DONE;
}
