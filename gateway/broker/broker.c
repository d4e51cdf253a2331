/* broker.c: counters, new settings and policies, the minute, and the end in good order. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "alert_desk.h"
#include "alert_prints.h"
#include "broker.h"
#include "broker_life.h"
#include "checkpoint_desk.h"
#include "ending.h"
#include "hash.h"
#include "judge.h"
#include "login.h"
#include "monitor_edge.h"
#include "policy.h"
#include "policy_record.h"
#include "resolve.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "shadow.h"
#include "signer_edge.h"
#include "store_check.h"
#include "tunnel_review.h"
#include "worker.h"

enum { POLICY_FILES_MAX = 4096, POLICY_BYTES_MAX = 16 << 20, MINUTE_LOOK_MS = 250 };

static unsigned count_break_glass(const struct broker *broker)
{
	const struct session *session;
	unsigned count = 0;
	LIST_FOREACH(session, &broker->sessions.live, all)
		count += session_breaks_glass(broker, session);
	return count;
}

void broker_status(const struct broker *broker, struct broker_status *out_status)
{
	*out_status = (struct broker_status){
		.started_at_ms = broker->started_at_ms,
		.devices = broker->registry.device_count,
		.sessions = broker->sessions.live_count,
		.break_glass = count_break_glass(broker),
		.tunnels = broker->tunnels.live_count,
		.connections = broker->workers->accepted,
		.conversations = broker->conversations->count,
		.signer_connected = signer_is_connected(broker),
	};
	store_health(broker->store, &out_status->store);
	registry_count_ends(&broker->registry, &out_status->ending_soon);
	out_status->strangers = registry_strangers(&broker->registry);
	out_status->behind_s = (uint64_t)judge_behind_ms(broker) / 1000;
	out_status->stale_lists = issuers_count_stale(&broker->issuers, clock_wall_ms());
	const struct invitation *invitation;
	LIST_FOREACH(invitation, &broker->invitations.all, all)
		out_status->pending += invitation->state == INVITATION_PENDING && invitation_is_live(invitation, clock_wall_ms());
}

/* ---- the policy's files ---- */

struct files {
	struct policy_file list[POLICY_FILES_MAX];
	struct buf texts[POLICY_FILES_MAX];
	size_t count;
};

static void files_free(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		buf_fini(&files->texts[i]);
	free(files);
}
DEFINE_OWN(files, struct files *, files_free)

static int read_file(struct files *files, const struct room_descriptor *found, struct diag *diag)
{
	struct buf *text = &files->texts[files->count];
	*text = BUF_INIT(POLICY_BYTES_MAX);
	int result = fd_read_all(found->fd, text);
	if (result == 0)
		result = buf_add(text, view_of("", 1));
	if (result < 0)
		return diag_set(diag, result, "the policy file %s cannot be read (%s)", found->name, err_name(result));
	if (memchr(text->data, 0, text->size - 1))
		return diag_set(diag, ERR_BAD_CONFIG, "%s: a policy is text, and this holds a NUL", found->name);
	files->list[files->count] = (struct policy_file){.name = found->name, .text = (const char *)text->data};
	files->count++;
	return 0;
}

static int read_files(struct room *room, struct files *files, struct diag *diag)
{
	const struct room_descriptor *found;
	size_t position = 0;
	while ((found = room_descriptor(room, MONITOR_ROOM_PURPOSE_POLICY, &position))) {
		if (files->count == POLICY_FILES_MAX)
			return diag_set(diag, ERR_BAD_CONFIG, "more than %d policy files", POLICY_FILES_MAX);
		int result = read_file(files, found, diag);
		if (result < 0)
			return result;
	}
	return files->count ? 0 : diag_set(diag, ERR_BAD_CONFIG, "there is no policy file");
}

int broker_read_policy(struct room *room, struct policy **out_policy, struct diag *diag)
{
	OWN(own_files) struct files *files = calloc(1, sizeof(*files));
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	if (!files || !errors)
		return diag_system(diag, "memory");
	int result = read_files(room, files, diag);
	if (result < 0)
		return result;
	errors->no_warnings = true;
	result = policy_parse(files->list, files->count, out_policy, errors);
	for (unsigned i = 1; result < 0 && i < errors->count && i < POLICY_ERRORS_MAX; i++)
		log_error("%s", errors->list[i].text);
	return result < 0 ? diag_set(diag, result, "%s", errors->count ? errors->list[0].text : "memory") : 0;
}

/* ---- the pin of invitations ---- */

int broker_read_pin(struct room *room, char *out_pin, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(POLICY_BYTES_MAX);
	OWN_BUF struct buf der = BUF_INIT(POLICY_BYTES_MAX);
	size_t position = 0;
	out_pin[0] = 0;
	if (!room_descriptor(room, MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY, &position))
		return 0;
	int result = room_read_descriptor(room, MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY, &pem, NULL, diag);
	if (result < 0)
		return result;
	if (hash_pem_certificate(&pem, &der) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "server_authority holds no certificate (PEM)");
	hash_sha256_hex(buf_view(&der), out_pin);
	return 0;
}

int broker_read_manner(const struct conf *conf, struct dial_manner *out_manner, struct diag *diag)
{
	return dial_manner_parse(conf->dial_source, conf->dial_interface, conf->dial_keepalive_ms, out_manner, diag);
}

/* ---- new settings ---- */

static void record_reload(struct broker *broker, int result, const char *sentence)
{
	struct audit_entry entry = {.code = ""};
	if (result < 0)
		str_copy(entry.code, sizeof(entry.code), "bad_config");
	audit_fill(&entry, "reload", "%s", sentence);
	audit_record(broker, &entry, NULL, NULL);
}

static void put_in_force(struct broker *broker, struct policy *policy, struct policy_texts *texts, struct resolver *resolver,
			 const struct alert_prints *prints)
{
	struct resolver *old = broker->resolver;
	policy_free(broker->policy);
	broker->policy = policy;
	broker->resolver = resolver;
	resolver_free(old);
	if (room_accept(broker->room) < 0)
		log_error("the monitor cannot be told that the new settings are in force");
	/* Another authority may sign from now on. */
	revocations_changed(broker);
	alert_desk_reload(broker);
	alert_prints_reload(broker, prints);
	policy_record_reload(broker, texts);
	record_reload(broker, 0, "new settings and policy are in force");
	broker->judging = true;
	tunnels_judge_again(broker, admin_policy_judged, broker);
}

void broker_reload(struct broker *broker)
{
	const struct conf *conf = room_offered(broker->room);
	struct policy *policy = NULL;
	struct policy_texts *texts = NULL;
	struct resolver *resolver = NULL;
	struct dial_manner manner;
	struct alert_prints prints;
	struct issuer_prints issuers;
	struct diag diag;
	char pin[65];
	int result = broker_read_policy(broker->room, &policy, &diag);
	if (result == 0)
		result = broker_read_pin(broker->room, pin, &diag);
	if (result == 0)
		result = broker_read_manner(conf, &manner, &diag);
	if (result == 0)
		result = policy_texts_take(broker->room, &texts, &diag);
	if (result == 0)
		result = alert_prints_take(broker->room, &prints, &diag);
	if (result == 0)
		result = issuers_take(broker->room, conf->authority, &issuers, &diag);
	if (result == 0)
		result = resolver_new(broker->loop, conf->resolver, conf->resolve_time_limit_ms, &resolver, &diag);
	if (result == 0) {
		broker->manner = manner;
		str_copy(broker->authority_pin, sizeof(broker->authority_pin), pin);
		put_in_force(broker, policy, texts, resolver, &prints);
		issuers_begin(broker, &issuers);
		return;
	}
	policy_free(policy);
	policy_texts_free(texts);
	log_error("%s; the settings and the policy in force stay", diag.text);
	admin_policy_declined(broker, diag.text);
	record_reload(broker, result, diag.text);
	if (room_decline(broker->room, &diag) < 0)
		log_error("the monitor cannot be told that the old settings stay");
}

/* ---- the store, looked through once ---- */

static void on_store_checked(void *context, int result, const struct diag *diag)
{
	struct broker *broker = context;
	struct audit_entry entry = {.code = "store_trouble"};
	store_check_end(take_pointer(&broker->store_check));
	str_copy(broker->store_finding, sizeof(broker->store_finding), result == 0 ? "good" : diag->text);
	if (result == 0)
		return;
	log_error("%s%s", diag->text, result == ERR_BAD_INPUT ? "; put a backup in its place: sallyport-admin restore" : "");
	audit_fill(&entry, "alarm", "%s", diag->text);
	audit_record(broker, &entry, NULL, NULL);
}

int broker_check_store(struct broker *broker, struct diag *diag)
{
	str_copy(broker->store_finding, sizeof(broker->store_finding), "running");
	return store_check_begin(broker->room->conf.store, broker->loop, on_store_checked, broker, &broker->store_check, diag);
}

/* ---- the minute: hours of rules open and close, groups change ---- */

static void on_minute_timer(uv_timer_t *timer)
{
	struct broker *broker = timer->data;
	uint64_t minute = clock_wall_ms() / 60000;
	uint64_t furthest_minute = (uint64_t)judge_furthest_ms(broker) / 60000;
	events_look(broker);
	checkpoint_desk_look(broker);
	policy_record_look(broker);
	shadow_save(broker, SHADOW_NOW_AND_THEN);
	issuers_look(broker);
	monitor_tell_busy(broker);
	if (minute == broker->judged_minute && furthest_minute == broker->judged_furthest_minute) {
		tunnels_judge_due(broker);
		return;
	}
	broker->judged_minute = minute;
	broker->judged_furthest_minute = furthest_minute;
	tunnels_judge_all(broker);
	registry_notice_ends(broker);
}

int broker_start_minutes(struct broker *broker)
{
	/* The first look is a minute's: what came while nobody looked is noticed now. */
	broker->judged_minute = 0;
	broker->minute_timer.data = broker;
	if (uv_timer_init(broker->loop, &broker->minute_timer) < 0)
		return ERR_SYSTEM;
	return uv_timer_start(&broker->minute_timer, on_minute_timer, MINUTE_LOOK_MS, MINUTE_LOOK_MS) < 0 ? ERR_SYSTEM : 0;
}

/* ---- the end ---- */

static void on_over(struct ending *ending)
{
	uv_stop(ending->broker->loop);
}

void broker_stop(struct broker *broker)
{
	static struct ending ending;
	struct worker *worker, *next;
	if (broker->stopping)
		return;
	broker->stopping = true;
	atomic_store(&broker->trials_over, true);
	shadow_save(broker, SHADOW_AT_ONCE);
	/* Who asks at the admin socket from here on finds nobody, or the next gateway. */
	admin_stop(take_pointer(&broker->admin));
	admin_stop(take_pointer(&broker->factor_door));
	admin_stop(take_pointer(&broker->metrics_door));
	ending_begin(&ending, broker, "gateway_stopped", on_over);
	for (worker = LIST_FIRST(&broker->workers->all); worker; worker = next) {
		next = LIST_NEXT(worker, all);
		if (worker->counted)
			ending_add_worker(&ending, worker);
	}
	ending_commit(&ending);
}
