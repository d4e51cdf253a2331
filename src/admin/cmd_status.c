/* cmd_status.c: sallyport-admin status: asks for all that stands on the screen; status_screen.c draws it. */
#include <stdio.h>

#include "findings.h"
#include "sallyport/own.h"
#include "status_screen.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

/* One line, as monitoring systems show it. */
static int check(const json_t *status, const json_t *findings)
{
	if (findings_worst(findings) == FINDING_OK)
		printf("ok: %lld sessions, %lld tunnels\n", (long long)admin_number(status, "sessions"),
		       (long long)admin_number(status, "tunnels"));
	findings_print(findings, FINDINGS_BAD);
	return findings_worst(findings);
}

/* Who they run as, the kernel says. */
static void add_identities(const json_t *rooms)
{
	size_t index;
	json_t *room;
	json_array_foreach(json_object_get(rooms, "rooms"), index, room) {
		char user[64];
		rooms_identity((int)admin_number(room, "process"), user, sizeof(user));
		json_object_set_new(room, "user", *user ? json_string(user) : json_null());
	}
}

/* Everything that is more than the numbers; what cannot be had is missing, and has been said. */
static void look_closer(const struct admin_options *options, json_t *status, json_t *findings)
{
	OWN_JSON json_t *rooms = NULL;
	OWN_JSON json_t *certificates = json_array();
	if (call(options, "GET", "/v1/rooms", NULL, &rooms) == ADMIN_DONE) {
		add_identities(rooms);
		findings_of_running(findings, rooms);
		json_object_update_missing(status, rooms);
	}
	findings_of_certificates(findings, options, certificates);
	json_object_set(status, "certificates_of_the_house", certificates);
	json_object_set(status, "findings", findings);
}

int cmd_status(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	OWN_JSON json_t *findings = json_array();
	int status = call(options, "GET", "/v1/status", NULL, &answer);
	if (status != ADMIN_DONE)
		return options->check ? FINDING_ERROR : status;
	findings_of_status(findings, answer);
	if (options->check && !options->json)
		return check(answer, findings);
	if (options->check)
		json_object_set(answer, "findings", findings);
	else
		look_closer(options, answer, findings);
	if (options->json) {
		status = table_print_json(answer);
		return status == ADMIN_DONE && options->check ? (int)findings_worst(findings) : status;
	}
	status_screen(answer, findings);
	return ADMIN_DONE;
}
