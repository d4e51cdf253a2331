/* metrics.c: the metrics socket: what the broker has counted, in Prometheus' text format.
 *
 *     GET /metrics -> store: what waits in the spool -> monitor: what it dropped -> the page
 *
 * METRICS is the one table: a row for each metric, and a function write_NAME that writes its samples. The labels' values
 * are literals (metrics_count.c), and realms and alerts of the configuration. docs/admin-handbook.md ("Watch it").
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin_call.h"
#include "alert_desk.h"
#include "login.h"
#include "metrics_count.h"
#include "monitor_edge.h"
#include "policy.h"
#include "sallyport/alert.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

/* M(name, kind, help): its name is sallyport_NAME. */
#define METRICS(M)                                                                                                    \
	M(build_info, "gauge", "Always 1; the version is a label.")                                                   \
	M(start_time_seconds, "gauge", "When the broker was started, since 1970.")                                    \
	M(handshakes_total, "counter", "Door one: connections by what became of them.")                               \
	M(logins_total, "counter", "Door two: logins that ended, by realm and by what became of them.")               \
	M(logins_under_way, "gauge", "Logins that wait for an answer.")                                               \
	M(sessions, "gauge", "Users who are logged in, by realm.")                                                    \
	M(break_glass_sessions, "gauge", "Sessions by a realm for emergencies.")                                      \
	M(tunnels, "gauge", "Open tunnels.")                                                                          \
	M(connections, "gauge", "Connections that have passed door one.")                                             \
	M(tunnel_bytes_total, "counter", "Bytes through tunnels, as the kernel counts them on the targets' sockets.") \
	M(dials_total, "counter", "Targets that were dialed, by what became of it.")                                  \
	M(dial_seconds, "histogram", "How long it took until a target was connected, or was not.")                    \
	M(commit_seconds, "histogram", "How long one commit of the record took.")                                     \
	M(store_operations_total, "counter", "Operations on the record.")                                             \
	M(store_queue, "gauge", "Operations that wait for the disk.")                                                 \
	M(store_good, "gauge", "1: the last commit was good. 0: nothing new is granted.")                             \
	M(workers, "gauge", "Processes for clients, spare ones too.")                                                 \
	M(strangers, "gauge", "Connections before door one.")                                                         \
	M(connections_dropped_total, "counter", "Connections that were dropped before door one, by why.")             \
	M(signer_connected, "gauge", "1: the room that holds the keys answers.")                                      \
	M(alerts_waiting, "gauge", "Messages that have not arrived, by alert.")                                       \
	M(alerts_failing, "gauge", "Alerts whose last message was not delivered.")                                    \
	M(devices, "gauge", "Devices by their state.")                                                                \
	M(certificates, "gauge", "Certificates in use, by the days until their end.")                                 \
	M(enrolments_pending, "gauge", "Enrolments and late renewals that wait for an approval.")                     \
	M(revocation_lists_stale, "gauge", "Other authorities' lists that are overdue.")                              \
	M(policy_rules, "gauge", "Rules in force.")                                                                   \
	M(policy_resources, "gauge", "Resources in force.")

/* ---- the page ---- */

/* Alerts are at most 16; each has messages that wait and some that are set aside. */
#define SPOOL_ROWS_MAX 64
struct spool_row {
	char alert[ALERT_NAME_MAX + 1], state[16];
	int64_t count;
};

/* One scrape. */
struct page {
	TAILQ_ENTRY(page) all;
	struct store_operation operation;
	struct admin_call *call;
	struct broker *broker;
	struct broker_status status;
	struct monitor_room_counts counts;
	struct spool_row spool[SPOOL_ROWS_MAX];
	unsigned spool_count;
	bool spool_known;
	struct buf text;
};
TAILQ_HEAD(pages, page);
/* Those that wait for the monitor, oldest first. */
static struct pages waiting = TAILQ_HEAD_INITIALIZER(waiting);

/* Without memory the page is short, and refused as a whole at the end. */
[[gnu::format(printf, 2, 3)]] static void put(struct page *page, const char *format, ...)
{
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (size < 0 || (size_t)size >= sizeof(line) || buf_add(&page->text, view_of(line, (size_t)size)) < 0)
		page->text.limit = 0;
}

static void put_plain(struct page *page, const char *name, double value)
{
	put(page, "%s %.17g\n", name, value);
}

static void put_labelled(struct page *page, const char *name, const char *label, const char *label_value, uint64_t value)
{
	put(page, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, label_value, value);
}

static void put_histogram(struct page *page, const char *name, const struct histogram *histogram)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++) {
		sum += histogram->counts[i];
		put(page, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, histogram_ends[i], sum);
	}
	sum += histogram->counts[HISTOGRAM_CLASSES];
	put(page, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9g\n%s_count %" PRIu64 "\n", name, sum, name, histogram->sum, name, sum);
}

/* ---- a function for each row ---- */

static void write_build_info(struct page *page, const char *name)
{
	put_labelled(page, name, "version", SALLYPORT_VERSION, 1);
}

static void write_start_time_seconds(struct page *page, const char *name)
{
	put_plain(page, name, (double)page->status.started_at_ms / 1000);
}

static void write_handshakes_total(struct page *page, const char *name)
{
	for (unsigned i = 0; i < METRICS_OUTCOMES_MAX && metrics_door_one_outcomes[i]; i++)
		put_labelled(page, name, "outcome", metrics_door_one_outcomes[i], metrics_counted.handshakes[i]);
}

static void write_logins_total(struct page *page, const char *name)
{
	for (unsigned realm = 0; realm < metrics_counted.realm_count; realm++)
		for (unsigned i = 0; i < METRICS_OUTCOMES_MAX && metrics_login_outcomes[i]; i++)
			put(page, "%s{realm=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", name, metrics_counted.realms[realm].name, metrics_login_outcomes[i],
			    metrics_counted.realms[realm].logins[i]);
}

static void write_logins_under_way(struct page *page, const char *name)
{
	put_plain(page, name, page->status.conversations);
}

static void write_sessions(struct page *page, const char *name)
{
	const struct session *session;
	unsigned live[METRICS_REALMS_MAX] = {0};
	LIST_FOREACH(session, &page->broker->sessions.live, all)
		live[metrics_realm(session->realm) - metrics_counted.realms]++;
	for (unsigned i = 0; i < metrics_counted.realm_count; i++)
		if (*metrics_counted.realms[i].name)
			put_labelled(page, name, "realm", metrics_counted.realms[i].name, live[i]);
}

static void write_break_glass_sessions(struct page *page, const char *name)
{
	put_plain(page, name, page->status.break_glass);
}

static void write_tunnels(struct page *page, const char *name)
{
	put_plain(page, name, page->status.tunnels);
}

static void write_connections(struct page *page, const char *name)
{
	put_plain(page, name, page->status.connections);
}

static void write_tunnel_bytes_total(struct page *page, const char *name)
{
	uint64_t to_target = metrics_counted.bytes_to_target, to_client = metrics_counted.bytes_to_client;
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &page->broker->tunnels.live, all) {
		struct traffic traffic = metrics_carried(tunnel);
		to_target += traffic.bytes_sent;
		to_client += traffic.bytes_received;
	}
	put_labelled(page, name, "direction", "to_target", to_target);
	put_labelled(page, name, "direction", "to_client", to_client);
}

static void write_dials_total(struct page *page, const char *name)
{
	for (unsigned i = 0; i < METRICS_DIALS; i++)
		put_labelled(page, name, "outcome", metrics_dials[i], metrics_counted.dials[i]);
}

static void write_dial_seconds(struct page *page, const char *name)
{
	put_histogram(page, name, &metrics_counted.dial_seconds);
}

static void write_commit_seconds(struct page *page, const char *name)
{
	put_histogram(page, name, &page->status.store.commit_seconds);
}

static void write_store_operations_total(struct page *page, const char *name)
{
	put_plain(page, name, (double)page->status.store.operations);
}

static void write_store_queue(struct page *page, const char *name)
{
	put_plain(page, name, (double)page->status.store.waiting);
}

static void write_store_good(struct page *page, const char *name)
{
	put_plain(page, name, page->status.store.good);
}

static void write_workers(struct page *page, const char *name)
{
	put_plain(page, name, page->counts.workers);
}

static void write_strangers(struct page *page, const char *name)
{
	put_plain(page, name, page->counts.strangers);
}

static void write_connections_dropped_total(struct page *page, const char *name)
{
	put_labelled(page, name, "reason", "source", page->counts.dropped_source);
	put_labelled(page, name, "reason", "early", page->counts.dropped_early);
	put_labelled(page, name, "reason", "made_room", page->counts.evicted);
}

static void write_signer_connected(struct page *page, const char *name)
{
	put_plain(page, name, page->status.signer_connected);
}

static int64_t count_of(const struct page *page, struct view alert, const char *state)
{
	for (unsigned i = 0; i < page->spool_count; i++)
		if (view_is(alert, page->spool[i].alert) && strcmp(page->spool[i].state, state) == 0)
			return page->spool[i].count;
	return 0;
}

static void write_alerts_waiting(struct page *page, const char *name)
{
	static const char *const states[] = {"waiting", "aside"};
	struct alert alert;
	size_t position = 0;
	/* While the record cannot be read there is no number, rather than a wrong one. */
	while (page->spool_known && alert_next(page->broker->room->conf.alert, &position, &alert))
		for (unsigned i = 0; i < 2; i++)
			put(page, "%s{alert=\"%.*s\",state=\"%s\"} %" PRId64 "\n", name, (int)alert.name.size,
			    (const char *)alert.name.data, states[i], count_of(page, alert.name, states[i]));
}

static void write_alerts_failing(struct page *page, const char *name)
{
	unsigned position = 0, count = 0;
	while (alert_desk_failing(page->broker, &position))
		count++;
	put_plain(page, name, count);
}

static void write_devices(struct page *page, const char *name)
{
	const struct device *device;
	uint64_t counts[DEVICE_REVOKED + 1] = {0};
	LIST_FOREACH(device, &page->broker->registry.devices, all)
		counts[device->state]++;
	for (unsigned i = DEVICE_ACTIVE; i <= DEVICE_REVOKED; i++)
		put_labelled(page, name, "state", device_state_name((enum device_state)i), counts[i]);
}

/* Those that their devices would come in with. */
static void write_certificates(struct page *page, const char *name)
{
	static const struct {
		uint64_t days; /* so many left at most */
		const char *label;
	} classes[] = {{0, "ended"}, {7, "7"}, {14, "14"}, {30, "30"}, {90, "90"}, {UINT64_MAX / 86400000, "more"}};
	enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
	const struct device *device;
	const struct certificate *certificate;
	uint64_t counts[CLASSES] = {0}, now_ms = clock_wall_ms();
	LIST_FOREACH(device, &page->broker->registry.devices, all)
		LIST_FOREACH(certificate, &device->certificates, of_device) {
			uint64_t left_ms = certificate->not_after_ms > now_ms ? certificate->not_after_ms - now_ms : 0;
			unsigned class = 0;
			while (left_ms > classes[class].days * 86400000)
				class++;
			counts[class] += device->state != DEVICE_REVOKED && certificate->state == CERTIFICATE_ACTIVE;
		}
	for (unsigned i = 0; i < CLASSES; i++)
		put_labelled(page, name, "days_left", classes[i].label, counts[i]);
}

static void write_enrolments_pending(struct page *page, const char *name)
{
	put_plain(page, name, page->status.pending);
}

static void write_revocation_lists_stale(struct page *page, const char *name)
{
	put_plain(page, name, page->status.stale_lists);
}

static void write_policy_rules(struct page *page, const char *name)
{
	put_plain(page, name, (double)policy_rule_count(page->broker->policy));
}

static void write_policy_resources(struct page *page, const char *name)
{
	put_plain(page, name, (double)policy_resource_count(page->broker->policy));
}

/* ---- a scrape ---- */

static const struct metric {
	const char *name, *kind, *help;
	void (*write)(struct page *page, const char *name);
} metrics[] = {
#define ROW(name_, kind_, help_) {"sallyport_" #name_, kind_, help_, write_##name_},
	METRICS(ROW)
#undef ROW
};

/* So that a rate exists before the first login, every realm that is configured is shown. */
static void count_realms(const struct broker *broker)
{
	struct realm realm;
	size_t position = 0;
	char name[REALM_NAME_MAX + 1];
	(void)metrics_realm(REALM_DEFAULT);
	while (realm_next(broker->room->conf.realm, &position, &realm))
		if (view_to_string(realm.name, name, sizeof(name)) == 0)
			(void)metrics_realm(name);
}

static void finish(struct page *page)
{
	broker_status(page->broker, &page->status);
	count_realms(page->broker);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		put(page, "# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].kind);
		metrics[i].write(page, metrics[i].name);
	}
	if (page->text.limit)
		admin_reply_text(page->call, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&page->text));
	else
		admin_fail(page->call, 503, "memory is out");
	buf_fini(&page->text);
	free(page);
}

int metrics_counts(struct broker *broker, const struct monitor_room_counts *message)
{
	struct page *page = TAILQ_FIRST(&waiting);
	(void)broker;
	if (!page)
		return ERR_BAD_PEER;
	TAILQ_REMOVE(&waiting, page, all);
	page->counts = *message;
	finish(page);
	return 0;
}

static int take_row(void *self, const struct store_row *row, struct diag *diag)
{
	struct page *page = self;
	(void)diag;
	if (page->spool_count == SPOOL_ROWS_MAX)
		return 0;
	struct spool_row *place = &page->spool[page->spool_count++];
	str_copy(place->alert, sizeof(place->alert), store_row_text(row, 0));
	str_copy(place->state, sizeof(place->state), store_row_text(row, 1));
	place->count = store_row_number(row, 2);
	return 0;
}

static int load_spool(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	return STORE_QUERY_ALL(db, diag, spool_counts, take_row, operation->context);
}

static void on_spool(struct store_operation *operation, int result, const struct diag *diag)
{
	struct page *page = operation->context;
	(void)diag;
	page->spool_known = result == 0;
	TAILQ_INSERT_TAIL(&waiting, page, all);
	monitor_want_counts(page->broker);
}

void metrics_route(struct admin_call *call)
{
	if (strcmp(call->path, "/metrics") != 0 || strcmp(call->method, "GET") != 0) {
		admin_fail(call, 404, "here is GET /metrics and nothing else");
		return;
	}
	struct page *page = calloc(1, sizeof(*page));
	if (!page) {
		admin_fail(call, 503, "memory is out");
		return;
	}
	page->call = call;
	page->broker = call->broker;
	page->text = BUF_INIT(1 << 20);
	page->operation = (struct store_operation){.work = load_spool, .done = on_spool, .context = page};
	store_submit(page->broker->store, &page->operation);
}
