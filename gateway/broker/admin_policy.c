/* admin_policy.c: the policy at the admin socket: is it right, why does it say so, put it in force, try it beside the
 * one in force. What walks over all people (test, diff) is admin_policy_try.c's. */
#include "admin_policy.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "admin_json.h"
#include "judge.h"
#include "monitor_edge.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "shadow.h"
#include "tunnel_review.h"

/* ---- words of a question ---- */

int admin_policy_moment(const char *text, int64_t *out_time_s)
{
	struct tm parts = {.tm_isdst = -1};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M", &parts);
	if (!end || *end)
		return ERR_BAD_INPUT;
	*out_time_s = mktime(&parts);
	return *out_time_s > 0 ? 0 : ERR_BAD_INPUT;
}

int32_t admin_policy_local_offset(int64_t time_s)
{
	time_t moment = (time_t)time_s;
	struct tm local;
	localtime_r(&moment, &local);
	return (int32_t)local.tm_gmtoff;
}

int admin_policy_target(const char *text, struct target *out_target, struct diag *diag)
{
	char host[TARGET_HOST_MAX + 1];
	uint16_t port = 0;
	if (str_split_authority(view_string(text), host, sizeof(host), &port) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no HOST:PORT", text);
	return target_parse(view_string(host), port, out_target, diag);
}

int admin_policy_source(const char *text, struct target *out_source, struct diag *diag)
{
	if (target_parse(view_string(text), 1, out_source, NULL) < 0 || !out_source->is_address)
		return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is no address", text);
	return 0;
}

/* ---- check ---- */

/* The broker may not open them: whoever asks does, and sends what is to be checked. */
void admin_policy_files(struct admin_call *call)
{
	const struct conf *conf = &call->broker->room->conf;
	admin_reply(call, 200, json_pack("{s:s, s:s}", "policy", conf->policy, "policy_directory", conf->policy_directory));
}

static json_t *errors_json(const struct policy_errors *errors)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < errors->count && i < POLICY_ERRORS_MAX; i++)
		json_array_append_new(array, json_string(errors->list[i].text));
	return array;
}

static json_t *lines_json(const struct policy_errors *errors)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < errors->count && i < POLICY_ERRORS_MAX; i++)
		json_array_append_new(array, json_pack("{s:s, s:i}", "text", errors->lines[i], "column", errors->columns[i]));
	return array;
}

static json_t *warnings_json(const struct policy_errors *errors)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < errors->warning_count && i < POLICY_WARNINGS_MAX; i++)
		json_array_append_new(array, json_string(errors->warnings[i].text));
	return array;
}

/* Whether they resolve is asked where the answer may take its time: in sallyport-admin. */
static json_t *names_json(const struct policy *policy)
{
	json_t *array = json_array();
	const struct policy_resource *resource;
	size_t position = 0;
	while (policy && (resource = policy_next_resource(policy, &position))) {
		const char *name;
		size_t entry = 0;
		while ((name = policy_next_name(resource, &entry)))
			json_array_append_new(array, json_pack("{s:s, s:s}", "name", name, "resource", policy_resource_name(resource)));
	}
	return array;
}

static json_t *check_result(const struct broker *broker, const struct policy *policy, const struct policy_errors *errors)
{
	return json_pack("{s:b, s:o, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:I}", "good", policy != NULL, "errors", errors_json(errors),
			 "error_count", (json_int_t)errors->count, "lines", lines_json(errors), "warnings", warnings_json(errors),
			 "warning_count", (json_int_t)errors->warning_count, "names", names_json(policy), "users",
			 admin_policy_strangers(broker, policy), "groups", admin_policy_groups(policy), "resources", (json_int_t)(policy ? policy_resource_count(policy) : 0), "rules",
			 (json_int_t)(policy ? policy_rule_count(policy) : 0));
}

static int collect_files(const json_t *array, struct policy_file *files, size_t *out_count)
{
	size_t index;
	json_t *item;
	json_array_foreach(array, index, item)
		if (json_unpack(item, "{s:s, s:s}", "name", &files[index].name, "text", &files[index].text) < 0)
			return ERR_BAD_INPUT;
	*out_count = json_array_size(array);
	return *out_count ? 0 : ERR_BAD_INPUT;
}

/* ERR_BAD_CONFIG with the errors. On any other error the call is answered. */
static int parse_body(struct admin_call *call, struct policy **out_policy, struct policy_errors *errors)
{
	const json_t *array = json_object_get(call->body, "files");
	OWN_MEMORY struct policy_file *files = calloc(json_array_size(array) + 1, sizeof(*files));
	size_t count = 0;
	if (!files || !errors) {
		admin_fail(call, 503, "no memory");
		return ERR_SYSTEM;
	}
	if (collect_files(array, files, &count) < 0) {
		admin_fail(call, 400, "wanted: files, a list of name and text");
		return ERR_BAD_INPUT;
	}
	int result = policy_parse(files, count, out_policy, errors);
	if (result < 0 && result != ERR_BAD_CONFIG)
		admin_fail(call, 503, "no memory");
	return result;
}

int admin_policy_parse(struct admin_call *call, struct policy **out_policy)
{
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	int result = parse_body(call, out_policy, errors);
	if (result == ERR_BAD_CONFIG)
		admin_fail(call, 409, "%s (%u errors in all; see policy check)", errors->list[0].text, errors->count);
	return result;
}

void admin_policy_check(struct admin_call *call)
{
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	struct policy_known known;
	if (admin_policy_know(call->broker, &known) < 0) {
		admin_fail(call, 503, "no memory");
		return;
	}
	if (errors)
		errors->known = &known;
	int result = parse_body(call, &policy, errors);
	if (result == 0 || result == ERR_BAD_CONFIG)
		admin_reply(call, 200, check_result(call->broker, policy, errors));
	policy_free(policy);
	admin_policy_known_fini(&known);
}

/* ---- explain ---- */

struct explanation {
	struct judgement judgement;
	struct admin_call *call;
	struct target target, source;
	char user[257];
	char realm[33];
};

static int tell_doors(const struct explanation *explanation, bool bound, struct buf *out_text)
{
	const struct device *device = explanation->judgement.device;
	int result = 0;
	if (!bound)
		result = buf_add_format(out_text, "%s is not bound to %s: no login is possible there\n", device->name, explanation->user);
	if (result == 0 && device->state != DEVICE_ACTIVE)
		result = buf_add_format(out_text, "%s is %s: door one stays shut\n", device->name, device_state_name(device->state));
	return result;
}

static void on_facts(struct judgement *judgement, int result, const struct policy_facts *facts, const struct policy_verdict *verdict)
{
	struct explanation *explanation = judgement->context;
	struct admin_call *call = explanation->call;
	const struct policy *policy = call->broker->policy;
	OWN_BUF struct buf text = BUF_INIT(1 << 20);
	bool bound = device_is_bound_to(judgement->device, explanation->user);
	(void)verdict;
	if (result == 0)
		result = tell_doors(explanation, bound, &text);
	if (result == 0)
		result = policy_explain(policy, facts, &explanation->target, &text);
	if (result < 0) {
		admin_fail(call, 503, "the name services did not answer");
	} else {
		struct policy_verdict decided;
		policy_decide(policy, facts, &explanation->target, &decided);
		bool allowed = decided.allowed && bound && judgement->device->state == DEVICE_ACTIVE;
		admin_reply(call, 200, json_pack("{s:b, s:s, s:s, s:o}", "allowed", allowed, "rule", decided.rule, "code",
						 allowed ? "" : bound ? decided.code : "not_bound", "explanation",
						 json_stringn((const char *)text.data, text.size)));
	}
	free(explanation);
}

static int fill_question(struct admin_call *call, struct explanation *explanation, struct diag *diag)
{
	const char *at = admin_query(call, "at"), *from = admin_query(call, "from");
	struct judgement *judgement = &explanation->judgement;
	int result = admin_policy_target(admin_query(call, "to"), &explanation->target, diag);
	if (result == 0)
		(void)policy_follow_name(call->broker->policy, &explanation->target);
	if (result == 0 && !str_copy(explanation->user, sizeof(explanation->user), admin_query(call, "user")))
		result = diag_set(diag, ERR_BAD_INPUT, "the user's name is too long");
	if (result == 0 && at && admin_policy_moment(at, &judgement->at_s) < 0)
		result = diag_set(diag, ERR_BAD_INPUT, "a moment is written 2026-11-24T10:00, not \"%s\"", at);
	if (result == 0 && from)
		result = admin_policy_source(from, &explanation->source, diag);
	const char *realm = admin_query(call, "realm");
	if (result == 0 && realm && !str_copy(explanation->realm, sizeof(explanation->realm), realm))
		result = diag_set(diag, ERR_BAD_INPUT, "the realm's name is too long");
	judgement->realm = realm ? explanation->realm : NULL;
	judgement->source = from ? &explanation->source.address : NULL;
	return result;
}

static void explain(struct admin_call *call, const struct device *device)
{
	struct explanation *explanation = calloc(1, sizeof(*explanation));
	struct diag diag;
	if (!explanation) {
		admin_fail(call, 503, "no memory");
		return;
	}
	explanation->call = call;
	explanation->judgement = (struct judgement){
		.broker = call->broker, .device = device, .user = explanation->user, .done = on_facts, .context = explanation};
	if (fill_question(call, explanation, &diag) < 0) {
		admin_fail(call, 400, "%s", diag.text);
		free(explanation);
		return;
	}
	judge(&explanation->judgement);
}

void admin_policy_explain(struct admin_call *call)
{
	const char *user = admin_query(call, "user"), *name = admin_query(call, "device");
	if (!user || !*user || !name || !admin_query(call, "to")) {
		admin_fail(call, 400, "wanted: user, device and to");
		return;
	}
	const struct device *device = registry_device(&call->broker->registry, name);
	if (device)
		explain(call, device);
	else
		admin_fail(call, 404, "there is no device \"%s\"", name);
}

/* ---- apply ---- */

/* The monitor reads the files again (the broker may not), and the broker's reload ends here. */
void admin_policy_apply(struct admin_call *call)
{
	if (call->broker->applying) {
		admin_fail(call, 409, "somebody else applies a policy just now; try again in a moment");
		return;
	}
	call->broker->applying = call;
	monitor_want_reload(call->broker);
}

static struct admin_call *take_applying(struct broker *broker)
{
	struct admin_call *call = broker->applying;
	broker->applying = NULL;
	return call;
}

void admin_policy_judged(void *context, const struct tunnels_judged *judged)
{
	struct broker *broker = context;
	struct admin_call *call = take_applying(broker);
	broker->judging = false;
	if (!call)
		return;
	json_t *closed = json_array();
	const char *at = (const char *)judged->names.data, *end = at ? at + judged->names.size : at;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		json_array_append_new(closed, json_stringn(at, (size_t)((line_end ? line_end : end) - at)));
		at = line_end ? line_end + 1 : end;
	}
	admin_reply(call, 200, json_pack("{s:I, s:I, s:I, s:I, s:o}", "resources", (json_int_t)policy_resource_count(broker->policy),
					 "rules", (json_int_t)policy_rule_count(broker->policy), "tunnels_judged",
					 (json_int_t)judged->judged, "tunnels_closed", (json_int_t)judged->closed, "closed", closed));
}

void admin_policy_declined(struct broker *broker, const char *sentence)
{
	/* The policy is in force already; what was refused afterwards (keys) the log tells. */
	struct admin_call *call = broker->judging ? NULL : take_applying(broker);
	if (call)
		admin_fail(call, 409, "%s; what was in force stays", sentence);
}

/* ---- shadow ---- */

static json_t *row_json(const struct shadow_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "user", row->user, "device", row->device, "target",
			 row->target, "in_force", row->allowed ? "allowed" : "refused", "rule", row->rule, "shadow",
			 row->allowed ? "refused" : "allowed", "shadow_rule", row->shadow_rule, "shadow_code", row->shadow_code,
			 "count", (json_int_t)row->count, "first", admin_json_time(row->first_ms), "last",
			 admin_json_time(row->last_ms));
}

static json_t *shadow_report(const struct broker *broker)
{
	const struct shadow *shadow = broker->shadow;
	json_t *array = json_array();
	for (size_t i = 0; shadow && i < shadow->row_count; i++)
		json_array_append_new(array, row_json(shadow->rows[i]));
	return json_pack("{s:b, s:o, s:I, s:I, s:I, s:o}", "running", shadow && shadow->policy, "since",
			 shadow ? admin_json_time(shadow->began_at_ms) : json_null(), "decisions", (json_int_t)(shadow ? shadow->asked : 0),
			 "different", (json_int_t)(shadow ? shadow->different : 0), "not_kept",
			 (json_int_t)(shadow ? shadow->not_kept : 0), "differences", array);
}

static void record_shadow(struct admin_call *call, const char *what)
{
	struct audit_entry entry = {.code = "", .address = "admin"};
	audit_fill(&entry, "policy_shadow", "%s by %s", what, call->by_text);
	audit_record(call->broker, &entry, NULL, NULL);
}

void admin_policy_shadow(struct admin_call *call)
{
	struct policy *policy = NULL;
	if (admin_policy_parse(call, &policy) < 0)
		return;
	if (shadow_start(call->broker, policy) < 0) {
		policy_free(policy);
		admin_fail(call, 503, "no memory");
		return;
	}
	record_shadow(call, "begun");
	admin_reply(call, 200, shadow_report(call->broker));
}

void admin_policy_shadow_report(struct admin_call *call)
{
	admin_reply(call, 200, shadow_report(call->broker));
}

void admin_policy_shadow_end(struct admin_call *call)
{
	json_t *report = shadow_report(call->broker);
	shadow_stop(call->broker);
	shadow_store_forget(call->broker);
	record_shadow(call, "ended");
	admin_reply(call, 200, report);
}
