/* self_service.c: what a user sees and does of his own, as JSON: his devices, his second factor; and texts as QR pictures.
 *
 * The broker decides (gateway/broker/self_service.c). A picture needs no decision: it is made here, of what the client itself
 * has written, also during a login, when there is no session yet.
 */
#include "self_service.h"

#include <stdlib.h>
#include <string.h>

#include "broker_json.h"
#include "request.h"
#include "sallyport/own.h"
#include "sallyport/qr.h"
#include "sallyport/str.h"

enum { QR_TEXT_MAX = 1024, FACTOR_CODE_MAX = 128, DEVICE_MAX = 64 };

/* ---- asked ---- */

void self_service_devices(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, devices, .token = view_string(exchange->token));
}

void self_service_lost(struct exchange *exchange)
{
	char device[DEVICE_MAX + 1];
	struct diag diag;
	if (request_member(buf_view(&exchange->body), "device", device, sizeof(device), &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else
		EXCHANGE_ASK(exchange, device_lost, .token = view_string(exchange->token), .device = view_string(device));
}

void self_service_factor(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, factor_get, .token = view_string(exchange->token));
}

void self_service_new_factor(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, factor_new, .token = view_string(exchange->token));
}

void self_service_confirm(struct exchange *exchange)
{
	char code[FACTOR_CODE_MAX + 1];
	struct diag diag;
	if (request_member(buf_view(&exchange->body), "code", code, sizeof(code), &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else
		EXCHANGE_ASK(exchange, factor_confirm, .token = view_string(exchange->token), .code = view_string(code));
	wipe(code, sizeof(code));
}

void self_service_codes(struct exchange *exchange)
{
	EXCHANGE_ASK(exchange, factor_codes, .token = view_string(exchange->token));
}

void self_service_qr(struct exchange *exchange)
{
	char text[QR_TEXT_MAX + 1];
	OWN_SECRET_BUF struct buf picture = BUF_INIT(QR_SVG_MAX);
	struct diag diag;
	if (request_member(buf_view(&exchange->body), "text", text, sizeof(text), &diag) < 0)
		exchange_refuse(exchange, 400, "bad_request", diag.text);
	else if (qr_svg(text, &picture) < 0)
		worker_end(EXIT_FAILURE);
	else
		exchange_text(exchange, 200, &(struct exchange_text){.content_type = "image/svg+xml", .body = buf_view(&picture)});
	wipe(text, sizeof(text));
}

/* ---- answered ---- */

/* "MILLISECONDS ADDRESS" */
static json_t *place_json(struct view line)
{
	uint64_t at_ms = 0;
	size_t length = 0;
	while (length < line.size && line.data[length] != ' ')
		length++;
	(void)!str_to_u64(view_of(line.data, length), 0, UINT64_MAX, &at_ms);
	length += length < line.size;
	return json_pack("{s:o, s:o}", "address", json_of(view_of(line.data + length, line.size - length)), "last_at", json_time(at_ms));
}

static json_t *time_or_null(uint64_t wall_ms)
{
	return wall_ms ? json_time(wall_ms) : json_null();
}

int self_service_on_device(void *self, const struct worker_broker_device_item *message, int *fd)
{
	json_t *places = json_array();
	struct view text = message->places, line;
	(void)fd;
	while (next_line(&text, &line))
		json_array_append_new(places, place_json(line));
	add_item(self, message->request,
		 json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:i}", "name", json_of(message->name), "state", json_of(message->state),
			   "this", (int)message->is_this, "enrolled_at", time_or_null(message->enrolled_at_ms), "expires_at",
			   time_or_null(message->expires_at_ms), "last_seen_at", time_or_null(message->last_seen_at_ms), "last_address",
			   json_of(message->last_address), "places", places, "sessions", (int)message->sessions));
	return 0;
}

int self_service_on_devices_end(void *self, const struct worker_broker_devices_end *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:o, s:b}", "devices", take_items(exchange), "self_service",
							 (int)message->self_service));
	return 0;
}

int self_service_on_device_locked(void *self, const struct worker_broker_device_locked *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:i, s:i}", "sessions_ended", (int)message->sessions, "tunnels_closed",
							 (int)message->tunnels));
	return 0;
}

int self_service_on_factor_state(void *self, const struct worker_broker_factor_state *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	bool is_there = message->created_at_ms != 0;
	(void)fd;
	if (!exchange)
		return 0;
	json_t *json = json_pack("{s:b, s:b, s:o}", "managed", (int)message->managed, "self_service", (int)message->self_service, "state",
				 json_of(message->state));
	if (json && is_there) {
		json_object_set_new(json, "created_at", json_time(message->created_at_ms));
		json_object_set_new(json, "used_at", time_or_null(message->used_at_ms));
		json_object_set_new(json, "recovery_left", json_integer(message->recovery_left));
	}
	exchange_answer(exchange, 200, json);
	return 0;
}

int self_service_on_factor_made(void *self, const struct worker_broker_factor_made *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:o, s:o}", "secret", json_of(message->secret), "uri", json_of(message->uri)));
	return 0;
}

int self_service_on_recovery_codes(void *self, const struct worker_broker_recovery_codes *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:o}", "recovery_codes", lines(message->codes)));
	return 0;
}
