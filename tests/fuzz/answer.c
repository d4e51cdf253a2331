/* answer.c: fuzz target: what the client reads of the gateway's JSON: logins, sessions, resources, devices, events, refusals. */
#include <string.h>

#include "answer.h"
#include "fuzz.h"

static void read_step(struct view body)
{
	struct answer_step step;
	struct diag diag;
	if (answer_parse_step(body, &step, &diag) != STATUS_OK)
		return;
	MUST(step.state != ANSWER_GRANTED || strspn(step.token, ANSWER_TOKEN_ALPHABET) == strlen(step.token));
	answer_step_fini(&step);
}

static void read_others(struct view body)
{
	struct answer_session session;
	struct answer_resources resources;
	struct answer_problem problem;
	struct diag diag;
	if (answer_parse_session(body, &session, &diag) == STATUS_OK)
		answer_session_fini(&session);
	if (answer_parse_resources(body, &resources, &diag) == STATUS_OK)
		answer_resources_fini(&resources);
	struct answer_devices devices;
	if (answer_parse_devices(body, &devices, &diag) == STATUS_OK)
		answer_devices_fini(&devices);
	answer_parse_problem(body, &problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer_event event;
	struct diag diag;
	struct view body = view_of(data, size);
	read_step(body);
	read_others(body);
	if (answer_parse_event(body, &event, &diag) == STATUS_OK)
		MUST(!event.of_tunnel || (event.host[0] && event.port));
	return 0;
}
