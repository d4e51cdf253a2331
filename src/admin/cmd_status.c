/* cmd_status.c: sallyport-admin status: the gateway on one screen. */
#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)

static const char *const pairs[] = {"gateway", "name", "version", "version", "since", "started_at", "devices", "devices",
				    "certificates ending soon", "certificates_ending_soon", "enrolments pending", "enrolments_pending", "unknown devices pending", "unknown_devices_pending", "revocation lists stale", "revocation_lists_stale",
				    "connections", "connections", "sessions", "sessions", "break-glass sessions", "break_glass_sessions", "tunnels", "tunnels", "logins under way",
				    "logins_under_way", "signer connected", "signer", "store good", "store_good", "store trouble",
				    "store_trouble", "alerts not delivered", "alerts_failing", "revocation list trouble", "revocations_trouble", "commits", "commits", "records", "records", "resources", "resources", "rules",
				    "rules", NULL};

int cmd_status(const struct admin_options *options)
{
	OWN(own_json) json_t *answer = NULL;
	int status = call(options, "GET", "/v1/status", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print_object(answer, pairs);
	return ADMIN_DONE;
}
