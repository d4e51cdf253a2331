/* admin_routes.c: what can be asked on the admin socket: a table, and a handler for each row.
 *
 * Reading answers from memory or the store; acts go to registry.c and session.c, which record them before their effect
 * shows. HTTP is admin.c's, the look of the answers admin_json.c's.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin_call.h"
#include "admin_json.h"
#include "admin_policy.h"
#include "admin_rooms.h"
#include "admin_sources.h"
#include "cut.h"
#include "hash.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* ---- helpers ---- */

unsigned admin_status_of(int result)
{
	switch (result) {
	case ERR_NOT_FOUND:
		return 404;
	case ERR_BAD_INPUT:
		return 400;
	case ERR_DENIED:
	case ERR_LIMIT:
		return 409;
	default:
		return 503;
	}
}

static uint64_t number_query(const struct admin_call *call, const char *name, uint64_t fallback)
{
	const char *text = admin_query(call, name);
	uint64_t number = fallback;
	if (text && str_to_u64(view_string(text), 0, INT64_MAX, &number) < 0)
		number = fallback;
	return number;
}

void admin_on_act(void *context, const struct act_result *act)
{
	struct admin_call *call = context;
	if (act->result < 0) {
		admin_fail(call, admin_status_of(act->result), "%s", act->diag.text);
		return;
	}
	admin_reply(call, 200, json_pack("{s:i, s:i}", "sessions_ended", (int)act->sessions_ended, "tunnels_closed",
					 (int)act->tunnels_closed));
}

/* ---- reading ---- */

static void get_status(struct admin_call *call)
{
	admin_reply(call, 200, admin_json_status(call->broker));
}

/* In pieces, when the asker says so: ten thousand devices with all their certificates would keep everybody else waiting. */
static void get_devices(struct admin_call *call)
{
	const char *after = admin_query(call, "after");
	const struct registry *registry = &call->broker->registry;
	const struct device *device = after ? registry_device_by_id(registry, after) : LIST_FIRST(&registry->devices);
	const struct device *last = NULL;
	uint64_t left = number_query(call, "limit", UINT32_MAX);
	bool brief = admin_query(call, "brief");
	if (after && !device) {
		admin_fail(call, 409, "the list has changed meanwhile; ask again");
		return;
	}
	json_t *array = json_array();
	for (device = after ? LIST_NEXT(device, all) : device; device && left; device = LIST_NEXT(device, all), left--) {
		json_array_append_new(array, brief ? admin_json_device_brief(device) : admin_json_device(device));
		last = device;
	}
	admin_reply(call, 200, json_pack("{s:o, s:o}", "devices", array, "next", device && last ? json_string(last->id) : json_null()));
}

/* How many active ones there are of each authority. */
static void get_certificates(struct admin_call *call)
{
	const struct registry *registry = &call->broker->registry;
	admin_reply(call, 200, json_pack("{s:o, s:o}", "authorities", admin_json_authorities(registry, ADMIN_JSON_OURS), "adopted",
					 admin_json_authorities(registry, ADMIN_JSON_ADOPTED)));
}

static void get_device(struct admin_call *call)
{
	const struct device *device = registry_device(&call->broker->registry, call->segments[1]);
	if (device)
		admin_reply(call, 200, admin_json_device(device));
	else
		admin_fail(call, 404, "there is no device \"%s\"", call->segments[1]);
}

static void get_sessions(struct admin_call *call)
{
	json_t *array = json_array();
	const struct session *session;
	LIST_FOREACH(session, &call->broker->sessions.live, all)
		json_array_append_new(array, admin_json_session(session));
	admin_reply(call, 200, json_pack("{s:o}", "sessions", array));
}

static void get_session(struct admin_call *call)
{
	const struct session *session = session_find(&call->broker->sessions, call->segments[1]);
	if (!session) {
		admin_fail(call, 404, "there is no session \"%s\" (ended ones: SELECT * FROM v_session)", call->segments[1]);
		return;
	}
	json_t *tunnels = json_array(), *json = admin_json_session(session);
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &session->tunnels, of_session)
		json_array_append_new(tunnels, admin_json_tunnel(tunnel));
	json_object_set_new(json, "live_tunnels", tunnels);
	admin_reply(call, 200, json);
}

static void on_tunnel_page(void *context, int result, const struct diag *diag, const struct tunnel_row *rows, size_t count)
{
	struct admin_call *call = context;
	if (result < 0) {
		admin_fail(call, admin_status_of(result), "%s", diag->text);
		return;
	}
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, admin_json_tunnel_row(&rows[i]));
	admin_reply(call, 200, json_pack("{s:o}", "tunnels", array));
}

static void get_tunnels(struct admin_call *call)
{
	if (admin_query(call, "all")) {
		tunnel_read(call->broker, number_query(call, "after", 0), TUNNEL_PAGE_MAX, on_tunnel_page, call);
		return;
	}
	json_t *array = json_array();
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &call->broker->tunnels.live, all)
		json_array_append_new(array, admin_json_tunnel(tunnel));
	/* The moment, by a clock that nobody sets: two of these make rates. */
	admin_reply(call, 200, json_pack("{s:o, s:I}", "tunnels", array, "now_ms", (json_int_t)clock_monotonic_ms()));
}

static void on_audit_page(void *context, int result, const struct diag *diag, const struct audit_page *page)
{
	struct admin_call *call = context;
	if (result < 0) {
		admin_fail(call, admin_status_of(result), "%s", diag->text);
		return;
	}
	json_t *array = json_array();
	for (size_t i = 0; i < page->count; i++)
		json_array_append_new(array, admin_json_audit_row(&page->rows[i]));
	admin_reply(call, 200, json_pack("{s:o, s:I, s:I}", "audit", array, "looked_to", (json_int_t)page->looked_to, "last",
					 (json_int_t)page->last));
}

static void get_audit(struct admin_call *call)
{
	uint64_t limit = number_query(call, "limit", AUDIT_PAGE_MAX);
	struct audit_query query = {.after = number_query(call, "after", 0), .since_ms = number_query(call, "since", 0),
				    .limit = (unsigned)(limit < AUDIT_PAGE_MAX ? limit : AUDIT_PAGE_MAX)};
	bool fit = true;
	const char *text;
	/* What is longer than anything in the record fits nothing: not cut, but said. */
#define TAKE(name, size)                                                                                              \
	if ((text = admin_query(call, #name)))                                                                        \
		fit &= str_copy(query.name, sizeof(query.name), text);
	AUDIT_FILTERS(TAKE)
#undef TAKE
	if (fit)
		audit_read(call->broker, &query, on_audit_page, call);
	else
		admin_fail(call, 400, "what is looked for is longer than anything in the record");
}

/* ---- acts on devices and sessions ---- */

struct addition {
	struct admin_call *call;
	char *name;
};

static void on_added(void *context, const struct act_result *act)
{
	struct addition *addition = context;
	struct admin_call *call = addition->call;
	const struct device *device = act->result == 0 ? registry_device(&call->broker->registry, addition->name) : NULL;
	if (act->result < 0)
		admin_fail(call, admin_status_of(act->result), "%s", act->diag.text);
	else
		admin_reply(call, 201, json_pack("{s:o, s:o}", "device", device ? admin_json_device(device) : json_null(),
						 "certificate", admin_json_certificate(act->certificate)));
	free(addition->name);
	free(addition);
}

int admin_words(const json_t *array, struct buf *out_lines)
{
	size_t index;
	const json_t *item;
	if (array && !json_is_array(array))
		return ERR_BAD_INPUT;
	json_array_foreach(array, index, item) {
		const char *word = json_string_value(item);
		if (!word || !*word || strchr(word, '\n') || buf_add_format(out_lines, "%s\n", word) < 0)
			return ERR_BAD_INPUT;
	}
	return buf_add(out_lines, view_of("", 1));
}

static int add_device(struct admin_call *call, const char *name, const char *base64, const char *key_kind)
{
	OWN_BUF struct buf users = BUF_INIT(65536);
	OWN_BUF struct buf tags = BUF_INIT(65536);
	OWN_BUF struct buf key = BUF_INIT(8192);
	if (admin_words(json_object_get(call->body, "users"), &users) < 0 || admin_words(json_object_get(call->body, "tags"), &tags) < 0 ||
	    hash_base64(base64, &key) < 0)
		return ERR_BAD_INPUT;
	struct addition *addition = calloc(1, sizeof(*addition));
	if (!addition || !(addition->name = strdup(name))) {
		free(addition);
		return ERR_SYSTEM;
	}
	addition->call = call;
	const struct registry_request request = {
		.name = name,
		.users = (const char *)users.data,
		.tags = (const char *)tags.data,
		.public_key = buf_view(&key),
		.key_kind = key_kind,
	};
	registry_add(call->broker, &request, &call->by, on_added, addition);
	return 0;
}

static void post_device(struct admin_call *call)
{
	const char *name = NULL, *base64 = NULL, *key_kind = "unknown";
	json_error_t error;
	json_t *users = NULL, *tags = NULL;
	if (!call->body || json_unpack_ex(call->body, &error, JSON_STRICT, "{s:s, s:o, s?o, s:s, s?s}", "name", &name, "users", &users,
					  "tags", &tags, "public_key", &base64, "key_kind", &key_kind) < 0) {
		admin_fail(call, 400, "wanted: name, users, public_key (base64 of DER), and perhaps tags and key_kind%s%s",
			   call->body ? ": " : "", call->body ? error.text : "");
		return;
	}
	int result = add_device(call, name, base64, key_kind);
	if (result < 0)
		admin_fail(call, admin_status_of(result), "users and tags are lists of words, public_key is base64");
}

static void post_device_act(struct admin_call *call)
{
	static const struct {
		const char *name;
		void (*act)(struct broker *, const char *, const struct act_by *, act_done, void *);
	} acts[] = {{"lock", registry_lock}, {"unlock", registry_unlock}, {"revoke", registry_revoke}};
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (strcmp(call->segments[2], acts[i].name) == 0) {
			acts[i].act(call->broker, call->segments[1], &call->by, admin_on_act, call);
			return;
		}
	}
	if (!admin_post_device_change(call))
		admin_fail(call, 404, "a device can be locked, unlocked, revoked, renamed, tagged, bound, unbound and forgotten, not \"%s\"",
			   call->segments[2]);
}

static void post_session_act(struct admin_call *call)
{
	if (strcmp(call->segments[2], "end") != 0)
		admin_fail(call, 404, "a session can be ended, not \"%s\"", call->segments[2]);
	else
		session_end_by_admin(call->broker, call->segments[1], &call->by, admin_on_act, call);
}

/* False: the call has been answered. */
static bool take_cut(struct admin_call *call, struct cut *out_cut)
{
	json_error_t error;
	json_int_t tunnel = 0;
	int all = 0;
	*out_cut = (struct cut){.all = false};
	if (!call->body || json_unpack_ex(call->body, &error, JSON_STRICT, "{s?I, s?s, s?s, s?s, s?s, s?b}", "tunnel", &tunnel,
					  "session", &out_cut->session, "user", &out_cut->user, "device", &out_cut->device,
					  "resource", &out_cut->resource, "all", &all) < 0) {
		admin_fail(call, 400, "wanted: which? tunnel, session, user, device, resource, or all%s%s", call->body ? ": " : "",
			   call->body ? error.text : "");
		return false;
	}
	out_cut->tunnel = (uint64_t)tunnel;
	out_cut->all = all;
	if (out_cut->all || tunnel > 0 || out_cut->session || out_cut->user || out_cut->device || out_cut->resource)
		return true;
	admin_fail(call, 400, "which? A tunnel, session, user, device or resource, or all");
	return false;
}

static void post_sessions_end(struct admin_call *call)
{
	struct cut cut;
	if (!take_cut(call, &cut))
		return;
	if (cut.session || cut.tunnel)
		admin_fail(call, 400, "sessions are chosen by user, device and resource, or all");
	else
		cut_sessions(call->broker, &cut, &call->by, admin_on_act, call);
}

static void post_tunnels_close(struct admin_call *call)
{
	struct cut cut;
	if (take_cut(call, &cut))
		cut_tunnels(call->broker, &cut, &call->by, admin_on_act, call);
}

static void get_account(struct admin_call *call)
{
	admin_reply(call, 200, admin_json_account(call->broker, call->segments[1]));
}

static void post_account_act(struct admin_call *call)
{
	if (strcmp(call->segments[2], "lock") == 0)
		account_lock(call->broker, call->segments[1], &call->by, admin_on_act, call);
	else if (strcmp(call->segments[2], "unlock") == 0)
		account_unlock(call->broker, call->segments[1], &call->by, admin_on_act, call);
	else
		admin_fail(call, 404, "an account can be locked and unlocked, not \"%s\"", call->segments[2]);
}

/* ---- the table ---- */

/* "*" stands for one segment, whatever it is. */
static const struct route {
	const char *method;
	const char *segments[ADMIN_SEGMENTS_MAX];
	void (*handle)(struct admin_call *call);
} routes[] = {
	{"GET", {"status"}, get_status},
	{"GET", {"rooms"}, admin_rooms_list},
	{"GET", {"devices"}, get_devices},
	{"GET", {"devices", "*"}, get_device},
	{"POST", {"devices"}, post_device},
	{"POST", {"devices", "*", "*"}, post_device_act},
	{"GET", {"pending"}, admin_get_pending},
	{"POST", {"adoptions"}, admin_post_adoption},
	{"GET", {"authorities"}, admin_get_issuers},
	{"GET", {"files"}, admin_get_files},
	{"GET", {"resolver"}, admin_get_resolver},
	{"GET", {"certificates"}, get_certificates},
	{"POST", {"reload"}, admin_post_reload},
	{"GET", {"invitations"}, admin_get_invitations},
	{"POST", {"invitations"}, admin_post_invitation},
	{"POST", {"invitations", "*", "*"}, admin_post_invitation_act},
	{"GET", {"accounts", "*", "factor"}, admin_account_factor},
	{"POST", {"accounts", "*", "factor"}, admin_account_factor},
	{"DELETE", {"accounts", "*", "factor"}, admin_account_factor},
	{"PUT", {"accounts", "*", "factor"}, admin_account_factor},
	{"DELETE", {"accounts", "*", "factor", "codes"}, admin_account_factor},
	{"GET", {"sessions"}, get_sessions},
	{"GET", {"sessions", "*"}, get_session},
	{"POST", {"sessions", "end"}, post_sessions_end},
	{"POST", {"sessions", "*", "*"}, post_session_act},
	{"GET", {"accounts", "*"}, get_account},
	{"POST", {"accounts", "*", "*"}, post_account_act},
	{"GET", {"tunnels"}, get_tunnels},
	{"POST", {"tunnels", "close"}, post_tunnels_close},
	{"GET", {"audit"}, get_audit},
	{"GET", {"sources"}, admin_sources_list},
	{"POST", {"sources", "clear"}, admin_sources_clear},
	{"GET", {"alerts"}, admin_alerts_list},
	{"POST", {"alerts", "*", "*"}, admin_alerts_test},
	{"GET", {"spool"}, admin_spool_list},
	{"POST", {"spool", "*", "*"}, admin_spool_act},
	{"GET", {"policy", "files"}, admin_policy_files},
	{"GET", {"policy", "resources"}, admin_policy_resources},
	{"POST", {"policy", "check"}, admin_policy_check},
	{"GET", {"policy", "explain"}, admin_policy_explain},
	{"POST", {"policy", "apply"}, admin_policy_apply},
	{"POST", {"policy", "test"}, admin_policy_test},
	{"POST", {"policy", "diff"}, admin_policy_diff},
	{"GET", {"policy", "versions"}, admin_policy_versions},
	{"GET", {"policy", "versions", "*"}, admin_policy_version},
	{"POST", {"policy", "reach"}, admin_policy_reach},
	{"POST", {"policy", "shadow"}, admin_policy_shadow},
	{"GET", {"policy", "shadow"}, admin_policy_shadow_report},
	{"DELETE", {"policy", "shadow"}, admin_policy_shadow_end},
};

static bool fits(const struct route *route, const struct admin_call *call)
{
	for (unsigned i = 0; i < ADMIN_SEGMENTS_MAX; i++) {
		const char *wanted = route->segments[i];
		if (!wanted || i >= call->segment_count)
			return !wanted && i == call->segment_count;
		if (strcmp(wanted, "*") != 0 && strcmp(wanted, call->segments[i]) != 0)
			return false;
	}
	return true;
}

void admin_route(struct admin_call *call)
{
	bool path_known = false;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!fits(&routes[i], call))
			continue;
		path_known = true;
		if (strcmp(routes[i].method, call->method) == 0) {
			routes[i].handle(call);
			return;
		}
	}
	if (path_known)
		admin_fail(call, 405, "%s is not what can be done there", call->method);
	else
		admin_fail(call, 404, "there is nothing at that path");
}
