/* admin_devices.c: what the admin socket is asked about invitations, and what changes of devices.
 *
 * Reading is from memory; acts are invitation_act.c's and registry_edit.c's. The table of routes: admin_routes.c.
 */
#include <string.h>

#include "admin_call.h"
#include "admin_json.h"
#include "hash.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* ---- invitations ---- */

static const char *purpose(const struct invitation *invitation)
{
	if (invitation_is_renewal(invitation))
		return "late renewal";
	return *invitation->device_id && invitation->state != INVITATION_USED ? "reinvitation" : "enrolment";
}

static json_t *invitation_json(const struct invitation *invitation)
{
	char code[INVITATION_CODE_CHARACTERS + 1];
	uint64_t now_ms = clock_wall_ms();
	const char *state = invitation_is_live(invitation, now_ms) || invitation->state == INVITATION_USED ||
					    invitation->state == INVITATION_WITHDRAWN
				    ? invitation_state_name(invitation->state)
				    : "expired";
	invitation_confirmation(invitation, code);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:i, s:s, s:s, s:s}", "purpose", purpose(invitation), "kind",
			 registry_kind_name(invitation->is_host), "invitation", invitation->id, "name",
			 invitation->device_name, "state", state, "users", admin_json_lines(invitation->users), "tags",
			 admin_json_lines(invitation->tags), "again", *invitation->device_id && invitation->state != INVITATION_USED,
			 "created_at", admin_json_time(invitation->created_at_ms), "expires_at",
			 admin_json_time(invitation->expires_at_ms), "attempts", (int)invitation->attempts, "confirmation",
			 code, "key_kind", invitation->key_kind, "address", invitation->address);
}

void admin_get_invitations(struct admin_call *call)
{
	json_t *array = json_array();
	const struct invitation *invitation;
	LIST_FOREACH(invitation, &call->broker->invitations.all, all)
		json_array_append_new(array, invitation_json(invitation));
	admin_reply(call, 200, json_pack("{s:o}", "invitations", array));
}

static void on_invited(void *context, const struct act_result *act)
{
	struct admin_call *call = context;
	if (act->result < 0)
		admin_fail(call, admin_status_of(act->result), "%s", act->diag.text);
	else
		admin_reply(call, 201, json_pack("{s:s}", "line", act->line));
}

void admin_post_invitation(struct admin_call *call)
{
	const char *name = NULL, *life = "0";
	int again = 0, host = 0;
	json_t *users = NULL, *tags = NULL;
	uint64_t life_ms = 0;
	OWN_BUF struct buf user_lines = BUF_INIT(65536);
	OWN_BUF struct buf tag_lines = BUF_INIT(65536);
	if (!call->body || json_unpack(call->body, "{s:s, s?o, s?o, s?s, s?b, s?b !}", "name", &name, "users", &users, "tags",
				       &tags, "life", &life, "again", &again, "host", &host) < 0 ||
	    admin_words(users, &user_lines) < 0 || admin_words(tags, &tag_lines) < 0) {
		admin_fail(call, 400, "wanted: name, users and tags (lists of words), and perhaps life (such as 24h), host and again");
		return;
	}
	if (str_to_duration_ms(view_string(life), &life_ms) < 0 || (life_ms && life_ms < 60000) || life_ms > 90ULL * 86400000) {
		admin_fail(call, 400, "\"%s\" is no time for an invitation: from 1m to 90d", life);
		return;
	}
	const struct invitation_request request = {.name = name,
						   .users = (const char *)user_lines.data,
						   .tags = (const char *)tag_lines.data,
						   .life_ms = life_ms,
						   .is_host = host,
						   .again = again};
	invitation_create(call->broker, &request, &call->by, on_invited, call);
}

static void on_approved(void *context, const struct act_result *act)
{
	struct admin_call *call = context;
	if (act->result < 0)
		admin_fail(call, admin_status_of(act->result), "%s", act->diag.text);
	else
		admin_reply(call, 200, json_pack("{s:s}", "confirmation", act->line));
}

static void approve(struct admin_call *call)
{
	const char *which = "";
	if (call->body && json_unpack(call->body, "{s?s !}", "which", &which) < 0)
		admin_fail(call, 400, "wanted: perhaps which, a confirmation code or the id of the invitation");
	else
		invitation_approve(call->broker, call->segments[1], which, &call->by, on_approved, call);
}

void admin_post_invitation_act(struct admin_call *call)
{
	const char *verb = call->segments[2];
	if (strcmp(verb, "approve") == 0)
		approve(call);
	else if (strcmp(verb, "withdraw") == 0)
		invitation_withdraw(call->broker, call->segments[1], &call->by, admin_on_act, call);
	else
		admin_fail(call, 404, "an invitation can be approved and withdrawn, not \"%s\"", verb);
}

/* ---- certificates of other authorities ---- */

void admin_get_pending(struct admin_call *call)
{
	json_t *array = json_array();
	for (size_t i = 0; i < STRANGERS_MAX; i++) {
		const struct stranger *stranger = &call->broker->registry.strangers[i];
		char fingerprint[2 * FINGERPRINT_BYTES + 1];
		if (!stranger->at_ms)
			continue;
		str_hex(view_of(stranger->fingerprint, FINGERPRINT_BYTES), fingerprint);
		json_array_append_new(array, json_pack("{s:s, s:s, s:o, s:o}", "fingerprint", fingerprint, "address",
						       stranger->address, "at", admin_json_time(stranger->at_ms), "certificate",
						       admin_json_certificate(buf_view(&stranger->leaf))));
	}
	admin_reply(call, 200, json_pack("{s:o}", "pending", array));
}

static json_t *issuer_json(const struct issuer_watch *watch)
{
	const struct issuer_list *list = watch->list;
	uint64_t now_ms = clock_wall_ms();
	const char *state = !*watch->place ? "none" : issuer_is_over(watch, now_ms) ? "refused" : issuer_is_stale(watch, now_ms) ? "stale" : "fresh";
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:s, s:b, s:s}", "name", watch->name, "authority", list->authority, "crl", watch->place,
			 "state", state, "number", list->number, "due", admin_json_time(list->next_ms), "revoked",
			 (json_int_t)(list->serials.size / ISSUER_SERIAL_BYTES), "trouble", watch->trouble, "ocsp", watch->wants_ocsp,
			 "ocsp_trouble", watch->ocsp_trouble);
}

void admin_get_issuers(struct admin_call *call)
{
	const struct issuers *issuers = &call->broker->issuers;
	json_t *array = json_array();
	for (unsigned i = 0; i < issuers->count; i++)
		json_array_append_new(array, issuer_json(&issuers->watches[i]));
	admin_reply(call, 200, json_pack("{s:o}", "authorities", array));
}

struct adoption_text {
	const char *name, *key, *leaf, *serial, *kind, *issuer, *responder;
	json_int_t not_before_ms, not_after_ms;
	json_t *users, *tags;
};

static int adopt(struct admin_call *call, const struct adoption_text *text)
{
	OWN_BUF struct buf users = BUF_INIT(65536);
	OWN_BUF struct buf tags = BUF_INIT(65536);
	OWN_BUF struct buf key = BUF_INIT(8192);
	OWN_BUF struct buf leaf = BUF_INIT(65536);
	if (admin_words(text->users, &users) < 0 || admin_words(text->tags, &tags) < 0 || hash_base64(text->key, &key) < 0 ||
	    hash_base64(text->leaf, &leaf) < 0 || text->not_before_ms < 0 || text->not_after_ms < 0 || !leaf.size || !key.size)
		return ERR_BAD_INPUT;
	const struct registry_adoption request = {
		.device = {.name = text->name,
			   .users = (const char *)users.data,
			   .tags = (const char *)tags.data,
			   .public_key = buf_view(&key),
			   .key_kind = text->kind},
		.leaf = buf_view(&leaf),
		.serial = text->serial,
		.issuer = text->issuer,
		.responder = text->responder,
		.not_before_ms = (uint64_t)text->not_before_ms,
		.not_after_ms = (uint64_t)text->not_after_ms,
	};
	registry_adopt(call->broker, &request, &call->by, admin_on_act, call);
	return 0;
}

void admin_post_adoption(struct admin_call *call)
{
	struct adoption_text text = {.tags = NULL};
	if (!call->body ||
	    json_unpack(call->body, "{s:s, s:o, s?o, s:s, s:s, s:s, s:s, s:I, s:I, s?s, s?s !}", "name", &text.name, "users", &text.users,
			"tags", &text.tags, "public_key", &text.key, "certificate", &text.leaf, "serial", &text.serial, "key_kind",
			&text.kind, "not_before_ms", &text.not_before_ms, "not_after_ms", &text.not_after_ms, "issuer", &text.issuer, "responder",
			&text.responder) < 0 ||
	    adopt(call, &text) < 0)
		admin_fail(call, 400, "wanted: name, users, public_key and certificate (base64 of DER), serial, key_kind, "
				      "not_before_ms, not_after_ms, and perhaps tags, issuer and responder");
}

/* ---- devices ---- */

static const struct change_row {
	const char *verb;
	enum registry_change change;
	const char *member; /* of the body: the value; NULL: none */
} changes[] = {
	{"rename", REGISTRY_RENAME, "name"}, {"tag", REGISTRY_TAGS, "tags"},   {"bind", REGISTRY_BIND, "user"},
	{"unbind", REGISTRY_UNBIND, "user"}, {"forget", REGISTRY_FORGET, NULL},
};

static void change(struct admin_call *call, const struct change_row *row)
{
	OWN_BUF struct buf lines = BUF_INIT(65536);
	const json_t *value = row->member ? json_object_get(call->body, row->member) : NULL;
	if (row->member && !value) {
		admin_fail(call, 400, "wanted: %s", row->member);
		return;
	}
	if (json_is_array(value) && admin_words(value, &lines) < 0) {
		admin_fail(call, 400, "%s is a list of words", row->member);
		return;
	}
	const struct registry_edit edit = {
		.change = row->change,
		.name = call->segments[1],
		.value = json_is_array(value) ? (const char *)lines.data : json_is_string(value) ? json_string_value(value) : "",
	};
	registry_edit(call->broker, &edit, &call->by, admin_on_act, call);
}

bool admin_post_device_change(struct admin_call *call)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (strcmp(call->segments[2], changes[i].verb) == 0) {
			change(call, &changes[i]);
			return true;
		}
	return false;
}
