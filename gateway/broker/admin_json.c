/* admin_json.c: devices, sessions, tunnels, audit rows as JSON. Reads memory only. */
#include "admin_json.h"

#include <nettle/base64.h>
#include <string.h>

#include "alert_desk.h"
#include "metrics.h"
#include "networks.h"
#include "policy.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "traffic.h"
#include "worker.h"

json_t *admin_json_time(uint64_t wall_ms)
{
	char text[32];
	if (wall_ms == 0)
		return json_null();
	clock_format(wall_ms, text, sizeof(text));
	return json_string(text);
}

json_t *admin_json_lines(const char *lines)
{
	json_t *array = json_array();
	size_t position = 0;
	struct view item;
	while (conf_list_next(lines, &position, &item))
		json_array_append_new(array, json_stringn((const char *)item.data, item.size));
	return array;
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *failing_alerts(const struct broker *broker)
{
	json_t *array = json_array();
	const char *name;
	unsigned position = 0;
	while ((name = alert_desk_failing(broker, &position)))
		json_array_append_new(array, json_string(name));
	return array;
}

/* {"door_one": {"accepted": 12, ...}, "door_two": {...}}, of the last hour. */
static json_t *doors_json(void)
{
	static const char *const names[METRICS_DOORS] = {"door_one", "door_two"};
	json_t *doors = json_object();
	for (unsigned door = 0; door < METRICS_DOORS; door++) {
		json_t *outcomes = json_object();
		const char *outcome;
		uint64_t count;
		unsigned position = 0;
		while (metrics_lately((enum metrics_door)door, &position, &outcome, &count))
			json_object_set_new(outcomes, outcome, json_integer((json_int_t)count));
		json_object_set_new(doors, names[door], outcomes);
	}
	return doors;
}

/* Certificates of devices that end first and were not renewed. */
static json_t *ends_json(const struct registry *registry)
{
	enum { SHOWN_MAX = 5 };
	const struct certificate *list[SHOWN_MAX];
	unsigned count = registry_first_ends(registry, list, SHOWN_MAX);
	json_t *array = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_pack("{s:s, s:o}", "device", list[i]->device->name, "until",
						       admin_json_time(list[i]->not_after_ms)));
	return array;
}

json_t *admin_json_status(const struct broker *broker)
{
	struct broker_status status;
	broker_status(broker, &status);
	json_t *json = json_pack("{s:i, s:s, s:s, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:s, s:I, s:I, s:I, s:I}", "break_glass_sessions", (int)status.break_glass, "version", SALLYPORT_VERSION,
			 "name", broker->room->conf.name, "started_at", admin_json_time(status.started_at_ms), "devices",
			 (int)status.devices, "connections", (int)status.connections, "sessions", (int)status.sessions,
			 "tunnels", (int)status.tunnels, "logins_under_way", (int)status.conversations, "certificates_ending_soon", (int)status.ending_soon,
			 "enrolments_pending", (int)status.pending, "signer",
			 status.signer_connected, "store_good", status.store.good, "store_trouble", status.store.trouble,
			 "commits", (json_int_t)status.store.groups, "records", (json_int_t)status.store.operations,
			 "resources", (json_int_t)policy_resource_count(broker->policy), "rules",
			 (json_int_t)policy_rule_count(broker->policy));
	json_object_set_new(json, "clock_behind_seconds", json_integer((json_int_t)status.behind_s));
	json_object_set_new(json, "store", json_string(broker->room->conf.store));
	json_object_set_new(json, "store_check", json_string(broker->store_finding));
	json_object_set_new(json, "alerts_failing", failing_alerts(broker));
	json_object_set_new(json, "unknown_devices_pending", json_integer(status.strangers));
	json_object_set_new(json, "revocations_trouble", json_string(revocations_trouble(broker)));
	json_object_set_new(json, "revocation_lists_stale", json_integer(status.stale_lists));
	json_object_set_new(json, "listen", admin_json_lines(broker->room->conf.listen));
	json_object_set_new(json, "enroll_listen", admin_json_lines(broker->room->conf.enroll_listen));
	json_object_set_new(json, "last_hour", doors_json());
	json_object_set_new(json, "certificates_first", ends_json(&broker->registry));
	return json;
}

static json_t *certificate_json(const struct certificate *certificate)
{
	char fingerprint[2 * FINGERPRINT_BYTES + 1];
	str_hex(view_of(certificate->fingerprint, FINGERPRINT_BYTES), fingerprint);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:s}", "serial", certificate->serial, "fingerprint", fingerprint,
			 "authority", *certificate->authority ? certificate->authority : certificate->issuer, "state", certificate_state_name(certificate->state), "generation", (int)certificate->generation,
			 "key_kind", certificate->key_kind, "key_store", certificate->key_store, "first_used_at",
			 admin_json_time(certificate->first_used_at_ms), "superseded_at",
			 admin_json_time(certificate->superseded_at_ms), "not_before", admin_json_time(certificate->not_before_ms),
			 "not_after", admin_json_time(certificate->not_after_ms), "issued_at",
			 admin_json_time(certificate->issued_at_ms), "adopted", !*certificate->authority, "responder",
			 certificate->responder ? certificate->responder : "");
}

/* Where it is connected from now: one certificate in two networks at once is worth a look. */
static json_t *connections_json(const struct device *device)
{
	json_t *array = json_array();
	const struct worker *worker;
	LIST_FOREACH(worker, &device->workers, of_device)
		if (worker->counted)
			json_array_append_new(array, json_pack("{s:s, s:s}", "connection", worker->connection, "address", worker->address));
	return array;
}

/* The certificate that is in use: the newest that was used, or the newest. How many came after the first. */
static const struct certificate *current(const struct device *device, int *out_renewals)
{
	const struct certificate *certificate, *found = NULL;
	*out_renewals = -1;
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (++*out_renewals == 0 || (certificate->first_used_at_ms && !found->first_used_at_ms) ||
		    (certificate->generation > found->generation &&
		     !!certificate->first_used_at_ms == !!found->first_used_at_ms))
			found = certificate;
	return found;
}

static void add_current(json_t *json, const struct device *device)
{
	int renewals;
	const struct certificate *certificate = current(device, &renewals);
	json_object_set_new(json, "renewals", json_integer(renewals < 0 ? 0 : renewals));
	json_object_set_new(json, "networks", json_integer(networks_of(device)));
	json_object_set_new(json, "key_kind", json_string(certificate ? certificate->key_kind : ""));
	json_object_set_new(json, "key_store", json_string(certificate ? certificate->key_store : ""));
	json_object_set_new(json, "certificate_until", certificate ? admin_json_time(certificate->not_after_ms) : json_null());
	json_object_set_new(json, "ends_soon", json_boolean(certificate && certificate_ends_soon(certificate, clock_wall_ms())));
}

json_t *admin_json_account(const struct broker *broker, const char *user)
{
	const struct account *account = account_find(&broker->accounts, ACCOUNT_USER, user);
	const struct device *device;
	const struct session *session;
	json_t *devices = json_array(), *sessions = json_array();
	LIST_FOREACH(device, &broker->registry.devices, all)
		if (device_is_bound_to(device, user))
			json_array_append_new(devices, json_string(device->name));
	LIST_FOREACH(session, &broker->sessions.live, all)
		if (strcmp(session->user, user) == 0)
			json_array_append_new(sessions, json_string(session->id));
	return json_pack("{s:s, s:b, s:o, s:i, s:o, s:o, s:o}", "user", user, "locked", account && account->locked_at_ms,
			 "locked_at", admin_json_time(account ? account->locked_at_ms : 0), "failures",
			 (int)(account ? account->failures : 0), "wait_until",
			 admin_json_time(account && account->wait_until_ms > clock_wall_ms() ? account->wait_until_ms : 0), "devices", devices, "sessions", sessions);
}

json_t *admin_json_device_brief(const struct device *device)
{
	const struct session *session;
	int sessions = 0, tunnels = 0;
	LIST_FOREACH(session, &device->sessions, of_device) {
		sessions++;
		tunnels += (int)session->tunnel_count;
	}
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:o, s:i, s:i}", "kind",
				 registry_kind_name(device->is_host), "name", device->name, "id",
				 device->id, "state", device_state_name(device->state), "users", admin_json_lines(device->users),
				 "tags", admin_json_lines(device->tags), "generation", (int)device->generation, "created_at",
				 admin_json_time(device->created_at_ms), "last_seen_at", admin_json_time(device->last_seen_at_ms),
				 "last_seen_from", text_or_null(device->last_seen_from), "sessions", sessions, "tunnels", tunnels);
	add_current(json, device);
	return json;
}

json_t *admin_json_device(const struct device *device)
{
	const struct certificate *certificate;
	json_t *json = admin_json_device_brief(device), *certificates = json_array();
	LIST_FOREACH(certificate, &device->certificates, of_device)
		json_array_append_new(certificates, certificate_json(certificate));
	json_object_set_new(json, "connections", connections_json(device));
	json_object_set_new(json, "certificates", certificates);
	return json;
}

json_t *admin_json_authorities(const struct registry *registry, enum admin_json_whose whose)
{
	json_t *json = json_object();
	const struct device *device;
	const struct certificate *certificate;
	LIST_FOREACH(device, &registry->devices, all)
		LIST_FOREACH(certificate, &device->certificates, of_device) {
			const char *issuer = whose == ADMIN_JSON_ADOPTED ? certificate->issuer : certificate->authority;
			if (certificate->state == CERTIFICATE_ACTIVE && *issuer)
				json_object_set_new(json, issuer, json_integer(1 + json_integer_value(json_object_get(json, issuer))));
		}
	return json;
}

json_t *admin_json_session(const struct session *session)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:b}", "realm", session->realm, "session", session->id, "user", session->user,
			 "device", session->device->name, "address", session->address, "connection", session->connection,
			 "created_at", admin_json_time(session->created_at_ms), "expires_at",
			 admin_json_time(session->expires_at_ms), "ended_at", admin_json_time(session->ended_at_ms),
			 "end_reason", text_or_null(session->end_reason), "tunnels", (int)session->tunnel_count, "portal",
			 session->portal);
}

json_t *admin_json_tunnel(const struct tunnel *tunnel)
{
	struct traffic traffic = traffic_of(tunnel->watch);
	return json_pack("{s:I, s:s, s:s, s:s, s:i, s:o, s:s*, s:s*, s:s, s:o, s:s, s:I, s:I, s:I, s:s, s:s}", "tunnel",
			 (json_int_t)tunnel->id, "user",
			 tunnel->session->user, "device", tunnel->session->device->name, "host", tunnel->host, "port",
			 (int)tunnel->port, "address", text_or_null(tunnel->address), "rule", tunnel->rule, "resource",
			 tunnel->resource, "state", tunnel_state_name(tunnel->state), "opened_at",
			 admin_json_time(tunnel->opened_at_ms), "session", tunnel->session->id, "bytes_to_target",
			 (json_int_t)traffic.bytes_sent, "bytes_to_client", (json_int_t)traffic.bytes_received, "idle_seconds",
			 (json_int_t)(traffic.idle_ms / 1000), "way", tunnel_way_name(tunnel->way), "form",
			 tunnel_form_name(tunnel->form));
}

json_t *admin_json_tunnel_row(const struct tunnel_row *row)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:s, s:s, s:s, s:s}", "tunnel", (json_int_t)row->id,
			 "user", row->user, "device", row->device, "host", row->host, "port", (int)row->port, "address",
			 text_or_null(row->address), "rule", row->rule, "resource", row->resource, "opened_at",
			 admin_json_time(row->opened_at_ms), "closed_at", admin_json_time(row->closed_at_ms), "close_reason",
			 text_or_null(row->close_reason), "bytes_to_target", (json_int_t)row->bytes_to_target,
			 "bytes_to_client", (json_int_t)row->bytes_to_client, "session", row->session, "request_id",
			 row->request_id, "way", row->way, "form", row->form);
}

json_t *admin_json_audit_row(const struct audit_row *row)
{
	return json_pack("{s:I, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "sequence", (json_int_t)row->sequence, "at",
			 admin_json_time(row->at_ms), "event", row->event, "code", row->code, "user", row->user, "device",
			 row->device, "address", row->address, "request_id", row->request_id, "detail", row->detail, "hash",
			 row->hash);
}

/* RFC 7468: 64 characters a line. */
json_t *admin_json_certificate(struct view der)
{
	OWN_BUF struct buf text = BUF_INIT(65536);
	size_t size = BASE64_ENCODE_RAW_LENGTH(der.size);
	OWN_MEMORY char *base64 = malloc(size + 1);
	if (!base64)
		return NULL;
	base64_encode_raw(base64, der.size, der.data);
	int result = buf_add_string(&text, "-----BEGIN CERTIFICATE-----\n");
	for (size_t at = 0; result == 0 && at < size; at += 64)
		result = buf_add_format(&text, "%.*s\n", (int)(size - at < 64 ? size - at : 64), base64 + at);
	if (result == 0)
		result = buf_add_string(&text, "-----END CERTIFICATE-----\n");
	return result < 0 ? NULL : json_stringn((const char *)text.data, text.size);
}
