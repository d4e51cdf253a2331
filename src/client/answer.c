/* answer.c: what the gateway's JSON means. Devices: answer_devices.c. */
#include "answer.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "answer_json.h"

enum { MESSAGES_MAX = 256, RESOURCES_MAX = 100000 };


#define ID_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static void wipe_and_free(void *memory)
{
	if (memory)
		wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void answer_wipe_memory(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

/* ---- resources ---- */

static bool join_addresses(const json_t *array, char **out_text)
{
	OWN_BUF struct buf text = BUF_INIT(65536);
	size_t index;
	json_t *address;
	json_array_foreach(array, index, address) {
		if (!json_is_string(address) || (index && buf_add_string(&text, ", ") < 0) ||
		    buf_add_string(&text, json_string_value(address)) < 0)
			return false;
	}
	*out_text = view_duplicate(buf_view(&text));
	return *out_text != NULL;
}

static bool read_resource(const json_t *object, struct answer_resource *out_resource)
{
	if (!json_is_object(object) || !*member(object, "name"))
		return false;
	out_resource->allowed = json_is_true(json_object_get(object, "allowed"));
	return copy_text(object, "name", &out_resource->name) &&
	       copy_text(object, "description", &out_resource->description) &&
	       copy_text(object, "missing", &out_resource->missing) && copy_text(object, "kind", &out_resource->kind) &&
	       join_addresses(json_object_get(object, "addresses"), &out_resource->addresses);
}

void answer_resources_fini(struct answer_resources *resources)
{
	for (size_t i = 0; i < resources->count; i++) {
		free(resources->item[i].name);
		free(resources->item[i].description);
		free(resources->item[i].missing);
		free(resources->item[i].kind);
		free(resources->item[i].addresses);
	}
	free(resources->item);
	*resources = (struct answer_resources){0};
}

static bool read_resources(const json_t *array, struct answer_resources *out_resources)
{
	size_t count = json_array_size(array);
	struct answer_resources resources = {0};
	if (!json_is_array(array) || count > RESOURCES_MAX)
		return false;
	resources.item = calloc(count ? count : 1, sizeof(resources.item[0]));
	bool good = resources.item != NULL;
	for (size_t i = 0; i < count && good; i++) {
		resources.count = i + 1;
		good = read_resource(json_array_get(array, i), &resources.item[i]);
	}
	if (!good) {
		answer_resources_fini(&resources);
		return false;
	}
	*out_resources = resources;
	return true;
}

int answer_parse_resources(struct view body, struct answer_resources *out_resources, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	if (!root || !read_resources(json_object_get(root, "resources"), out_resources))
		return bad(diag, "no list of resources");
	return STATUS_OK;
}

/* ---- login ---- */

static bool read_style(const char *name, enum answer_style *out_style)
{
	static const char *const names[] = {"secret", "text", "info", "error"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out_style = (enum answer_style)i;
			return true;
		}
	}
	return false;
}

static bool read_messages(const json_t *array, struct answer_step *step)
{
	size_t count = json_array_size(array);
	if ((array && !json_is_array(array)) || count > MESSAGES_MAX)
		return false;
	step->message = calloc(count ? count : 1, sizeof(step->message[0]));
	if (!step->message)
		return false;
	for (size_t i = 0; i < count; i++) {
		const json_t *object = json_array_get(array, i);
		struct answer_message *message = &step->message[i];
		if (!json_is_string(json_object_get(object, "text")) ||
		    !read_style(member(object, "style"), &message->style) || !copy_text(object, "text", &message->text))
			return false;
		step->message_count++;
	}
	return true;
}

static size_t count_prompts(const struct answer_step *step)
{
	size_t count = 0;
	for (size_t i = 0; i < step->message_count; i++)
		count += step->message[i].style == ANSWER_SECRET || step->message[i].style == ANSWER_TEXT;
	return count;
}

static const char *read_granted(const json_t *root, struct answer_step *step)
{
	step->state = ANSWER_GRANTED;
	if (!copy_checked(root, "session", ANSWER_TOKEN_ALPHABET, step->token, sizeof(step->token)))
		return "a login without a session";
	if (!copy_time(root, "expires_at", step->expires_at) || !copy_text(root, "user", &step->user))
		return "a login without user and end";
	const json_t *resources = json_object_get(root, "resources");
	return !resources || read_resources(resources, &step->resources) ? NULL : "no list of resources";
}

static const char *read_round(const json_t *root, enum answer_state state, struct answer_step *step)
{
	step->state = ANSWER_PROMPT;
	if (!copy_checked(root, "conversation", ID_ALPHABET, step->conversation, sizeof(step->conversation)))
		return "a conversation without an id";
	if (!read_messages(json_object_get(root, "messages"), step))
		return "a message without style or text";
	/* A round without a question wants no answer, whatever it is called. */
	if (count_prompts(step) == 0)
		step->state = ANSWER_SHOW;
	return step->state == state || state == ANSWER_PROMPT ? NULL : "a question that may not be answered";
}

static const char *read_step(const json_t *root, struct answer_step *step)
{
	const char *state = member(root, "state");
	if (strcmp(state, "prompt") == 0)
		return read_round(root, ANSWER_PROMPT, step);
	if (strcmp(state, "info") == 0)
		return read_round(root, ANSWER_SHOW, step);
	if (strcmp(state, "granted") == 0)
		return read_granted(root, step);
	return "an unknown state of the login";
}

int answer_parse_step(struct view body, struct answer_step *out_step, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	if (!root)
		return bad(diag, "not a JSON object");
	struct answer_step step = {0};
	const char *problem = read_step(root, &step);
	if (problem) {
		answer_step_fini(&step);
		return bad(diag, problem);
	}
	*out_step = step;
	wipe(step.token, sizeof(step.token));
	return STATUS_OK;
}

void answer_step_fini(struct answer_step *step)
{
	for (size_t i = 0; i < step->message_count; i++)
		free(step->message[i].text);
	free(step->message);
	free(step->user);
	answer_resources_fini(&step->resources);
	wipe(step, sizeof(*step));
}

/* ---- session ---- */

int answer_parse_session(struct view body, struct answer_session *out_session, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	struct answer_session session = {0};
	const json_t *tunnels = json_object_get(root, "tunnels");
	if (!root || !*member(root, "user") || !copy_time(root, "created_at", session.created_at) ||
	    !copy_time(root, "expires_at", session.expires_at) || !json_is_integer(tunnels) ||
	    json_integer_value(tunnels) < 0)
		return bad(diag, "no session in it");
	session.tunnels = (uint64_t)json_integer_value(tunnels);
	if (!copy_text(root, "session", &session.id) || !copy_text(root, "user", &session.user) ||
	    !copy_text(root, "device", &session.device) || !copy_text(root, "realm", &session.realm)) {
		answer_session_fini(&session);
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	}
	*out_session = session;
	return STATUS_OK;
}

void answer_session_fini(struct answer_session *session)
{
	free(session->id);
	free(session->user);
	free(session->realm);
	free(session->device);
	*session = (struct answer_session){0};
}

/* ---- events ---- */

static bool read_event_kind(const char *name, enum answer_event_kind *out_kind)
{
	static const char *const names[] = {"begin", "ending", "extended", "ended"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out_kind = (enum answer_event_kind)i;
			return true;
		}
	}
	return false;
}

static bool read_event_tunnel(const json_t *object, struct answer_event *event)
{
	json_int_t number = json_integer_value(json_object_get(object, "tunnel"));
	json_int_t port = json_integer_value(json_object_get(object, "port"));
	event->tunnel = (uint64_t)number;
	event->port = (uint16_t)port;
	return number > 0 && port > 0 && port <= UINT16_MAX && *member(object, "host") &&
	       str_copy(event->host, sizeof(event->host), member(object, "host"));
}

int answer_parse_event(struct view line, struct answer_event *out_event, struct diag *diag)
{
	OWN_JSON json_t *root = load(line);
	struct answer_event event = {.of_tunnel = root && strcmp(member(root, "what"), "tunnel") == 0};
	bool known = root && read_event_kind(member(root, "event"), &event.kind) &&
		     (event.of_tunnel || strcmp(member(root, "what"), "session") == 0);
	if (!known || (*member(root, "at") && !copy_time(root, "at", event.at)) ||
	    !str_copy(event.reason, sizeof(event.reason), member(root, "reason")) ||
	    (event.of_tunnel && !read_event_tunnel(root, &event)))
		return bad(diag, "an event that is none");
	*out_event = event;
	return STATUS_OK;
}

int answer_parse_logout(struct view body, uint64_t *out_tunnels, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	const json_t *closed = json_object_get(root, "tunnels_closed");
	if (!json_is_integer(closed) || json_integer_value(closed) < 0)
		return bad(diag, "no number of closed tunnels");
	*out_tunnels = (uint64_t)json_integer_value(closed);
	return STATUS_OK;
}

void answer_parse_problem(struct view body, struct answer_problem *out_problem)
{
	*out_problem = (struct answer_problem){0};
	OWN_JSON json_t *root = load(body);
	if (!root)
		return;
	if (!copy_checked(root, "code", ID_ALPHABET, out_problem->code, sizeof(out_problem->code)))
		out_problem->code[0] = 0;
	if (!copy_checked(root, "request_id", ID_ALPHABET, out_problem->request_id, sizeof(out_problem->request_id)))
		out_problem->request_id[0] = 0;
	str_copy(out_problem->detail, sizeof(out_problem->detail), member(root, "detail"));
	str_make_printable(out_problem->detail);
}

/* ---- to the gateway, to programs ---- */

static int add_dump(const json_t *json, size_t flags, struct buf *out_text, struct diag *diag)
{
	char *text = json ? json_dumps(json, flags) : NULL;
	int result = text ? buf_add_string(out_text, text) : ERR_SYSTEM;
	wipe_and_free(text);
	return result < 0 ? diag_set(diag, STATUS_FAILED, _("memory is out, or a text is too long")) : STATUS_OK;
}

int answer_make_login(const char *user, const char *realm, struct buf *out_body, struct diag *diag)
{
	OWN_JSON json_t *body = json_pack("{s:s, s:s*}", "user", user, "realm", realm);
	if (!body)
		return diag_set(diag, STATUS_USAGE, _("the name of the user or of the realm is not UTF-8 text"));
	return add_dump(body, JSON_COMPACT, out_body, diag);
}

int answer_make_lost(const char *device, struct buf *out_body, struct diag *diag)
{
	OWN_JSON json_t *body = json_pack("{s:s}", "device", device);
	if (!body)
		return diag_set(diag, STATUS_USAGE, _("the name of the device is not UTF-8 text"));
	return add_dump(body, JSON_COMPACT, out_body, diag);
}

int answer_make_answers(const struct buf *answers, size_t count, struct buf *out_body, struct diag *diag)
{
	OWN_JSON json_t *body = json_pack("{s:[]}", "answers");
	json_t *array = json_object_get(body, "answers");
	for (size_t i = 0; i < count; i++) {
		if (!view_is_utf8(buf_view(&answers[i])))
			return diag_set(diag, STATUS_FAILED, _("The answer holds bytes that are not UTF-8 text"));
		json_t *answer = json_stringn(answers[i].size ? (const char *)answers[i].data : "", answers[i].size);
		if (!answer || json_array_append_new(array, answer) < 0)
			return diag_set(diag, STATUS_FAILED, _("memory is out"));
	}
	return add_dump(body, JSON_COMPACT, out_body, diag);
}

int answer_indent(struct view body, struct buf *out_text, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	if (!root)
		return bad(diag, "not a JSON object");
	int status = add_dump(root, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER, out_text, diag);
	if (status == STATUS_OK && buf_add_string(out_text, "\n") < 0)
		status = diag_set(diag, STATUS_FAILED, _("memory is out"));
	return status;
}

int answer_join(struct view body, const char *name, struct view part, struct buf *out_text, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	OWN_JSON json_t *member_value = load(part);
	if (!root || !member_value || json_object_set(root, name, member_value) < 0)
		return bad(diag, "not a JSON object");
	return add_dump(root, JSON_COMPACT | JSON_PRESERVE_ORDER, out_text, diag);
}

static uint64_t count_of(const json_t *root, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(root, name));
	return value > 0 ? (uint64_t)value : 0;
}

static bool is_busier(const struct answer_tunnel *tunnel, const struct answer_tunnel *other)
{
	return tunnel->rate > other->rate || (tunnel->rate == other->rate && tunnel->bytes > other->bytes);
}

static void rank_tunnel(const json_t *object, struct answer_agent *agent)
{
	struct answer_tunnel tunnel = {.bytes = count_of(object, "sent") + count_of(object, "received"),
				       .rate = count_of(object, "rate")};
	str_copy(tunnel.to, sizeof(tunnel.to), member(object, "to"));
	for (size_t i = 0; i < ANSWER_BUSIEST; i++) {
		struct answer_tunnel *place = &agent->busiest[i], here = *place;
		if (!is_busier(&tunnel, place))
			continue;
		*place = tunnel;
		tunnel = here;
	}
}

int answer_parse_agent(struct view body, struct answer_agent *out_agent, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	const json_t *connection = json_object_get(root, "connection"), *tunnels = json_object_get(root, "tunnels");
	struct answer_agent agent = {
		.pid = count_of(root, "pid"),
		.stays = json_is_true(json_object_get(root, "stays")),
		.tunnels = json_array_size(tunnels),
		.forwards = json_array_size(json_object_get(root, "forwards")),
		.connections = count_of(connection, "connections"),
		.retry_in_ms = count_of(connection, "retry_in_ms"),
	};
	if (!connection)
		return bad(diag, "no agent in it");
	str_copy(agent.state, sizeof(agent.state), member(connection, "state"));
	str_copy(agent.since, sizeof(agent.since), member(connection, "since"));
	str_copy(agent.problem, sizeof(agent.problem), member(connection, "last_problem"));
	for (size_t i = 0; i < 2; i++) {
		const char *warning = json_string_value(json_array_get(json_object_get(root, "warnings"), i));
		str_copy(agent.warning[i], sizeof(agent.warning[i]), warning ? warning : "");
	}
	for (size_t i = 0; i < agent.tunnels; i++) {
		agent.sent_bytes += count_of(json_array_get(tunnels, i), "sent");
		agent.received_bytes += count_of(json_array_get(tunnels, i), "received");
		rank_tunnel(json_array_get(tunnels, i), &agent);
	}
	*out_agent = agent;
	return STATUS_OK;
}

int answer_parse_forwards(struct view body, struct answer_forwards *out_forwards, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	const json_t *list = json_object_get(root, "forwards");
	struct answer_forwards forwards = {.count = json_array_size(list)};
	if (!json_is_array(list))
		return bad(diag, "no list of forwards");
	forwards.item = calloc(forwards.count + 1, sizeof(*forwards.item));
	if (!forwards.item)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	for (size_t i = 0; i < forwards.count; i++) {
		const json_t *object = json_array_get(list, i);
		struct answer_forward *item = &forwards.item[i];
		str_copy(item->listen, sizeof(item->listen), member(object, "listen"));
		str_copy(item->kind, sizeof(item->kind), member(object, "kind"));
		str_copy(item->to, sizeof(item->to), member(object, "to"));
		item->kept = json_is_true(json_object_get(object, "kept"));
		item->connections = count_of(object, "connections");
	}
	*out_forwards = forwards;
	return STATUS_OK;
}

void answer_forwards_fini(struct answer_forwards *forwards)
{
	free(forwards->item);
	*forwards = (struct answer_forwards){0};
}

int answer_indent_member(struct view body, const char *name, struct buf *out_text, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	const json_t *value = json_object_get(root, name);
	if (!value)
		return bad(diag, "a member is missing");
	int status = add_dump(value, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER, out_text, diag);
	return status == STATUS_OK && buf_add_string(out_text, "\n") < 0 ? diag_set(diag, STATUS_FAILED, _("memory is out")) : status;
}
