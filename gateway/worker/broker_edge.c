/* broker_edge.c: the broker's answers, each to its exchange, and its orders.
 *
 * An answer to a request that is no more is dropped; a socket for a tunnel that nobody wants any more is closed and told
 * back. What does not fit the edge ends the process. Counterpart: gateway/broker/worker_edge.c.
 */
#include <stdlib.h>

#include "broker_json.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "self_service.h"
#include "worker.h"

/* ---- door one ---- */

static int on_accepted(void *self, const struct worker_broker_accepted *message, int *fd)
{
	(void)fd;
	client_accepted(self, message);
	return 0;
}

static int on_rejected(void *self, const struct worker_broker_rejected *message, int *fd)
{
	(void)fd;
	client_rejected(self, message->code);
	return 0;
}

/* ---- door two ---- */

static const char *style_name(uint8_t style)
{
	static const char *const names[] = {[CONVERSATION_SECRET] = "secret", [CONVERSATION_TEXT] = "text",
					    [CONVERSATION_INFO] = "info", [CONVERSATION_ERROR] = "error"};
	return style >= CONVERSATION_SECRET && style <= CONVERSATION_ERROR ? names[style] : "info";
}

static int on_login_message(void *self, const struct worker_broker_login_message *message, int *fd)
{
	(void)fd;
	add_item(self, message->request, json_pack("{s:s, s:o}", "style", style_name(message->style), "text", json_of(message->text)));
	return 0;
}

static int on_login_state(void *self, const struct worker_broker_login_state *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:o, s:s, s:o}", "conversation", json_of(message->conversation), "state",
							 message->prompting ? "prompt" : "info", "messages", take_items(exchange)));
	return 0;
}

static int on_login_granted(void *self, const struct worker_broker_login_granted *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (!exchange)
		return 0;
	/* No script ever sees the portal's token. */
	if (message->portal)
		exchange_grant_cookie(exchange, message->token);
	exchange_answer(exchange, 200, json_pack("{s:s, s:o, s:o*, s:o, s:o}", "state", "granted", "user", json_of(message->user),
						 "session", message->portal ? NULL : json_of(message->token), "expires_at",
						 json_time(message->expires_at_ms), "resources", take_items(exchange)));
	return 0;
}

/* ---- presence ---- */

static int on_presence_state(void *self, const struct worker_broker_presence_state *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:b, s:o}", "present", message->present, "code", json_of(message->code)));
	return 0;
}

/* ---- sessions ---- */

static int on_session_state(void *self, const struct worker_broker_session_state *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200,
				json_pack("{s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "realm", json_of(message->realm),
					  "portal", message->portal, "browser", message->browser,
					  "session", json_of(message->session), "user",
					  json_of(message->user), "device", json_of(message->device), "created_at",
					  json_time(message->created_at_ms), "login_at", json_time(message->login_at_ms),
					  "expires_at", json_time(message->expires_at_ms), "tunnels", (int)message->tunnels,
					  "open", take_items(exchange)));
	return 0;
}

/* With what limits it: times in words, durations in seconds. */
static int on_session_tunnel(void *self, const struct worker_broker_session_tunnel *message, int *fd)
{
	json_t *item = json_pack("{s:I, s:o, s:i, s:o}", "tunnel", (json_int_t)message->tunnel, "host", json_of(message->host), "port",
				 (int)message->port, "opened_at", json_time(message->opened_at_ms));
	(void)fd;
	if (item && message->ends_at_ms) {
		json_object_set_new(item, "ends_at", json_time(message->ends_at_ms));
		json_object_set_new(item, "reason", json_of(message->reason));
	}
	if (item && message->idle_limit_ms)
		json_object_set_new(item, "idle_timeout_seconds", json_integer((json_int_t)(message->idle_limit_ms / 1000)));
	if (item && message->rate)
		json_object_set_new(item, "max_rate", json_integer((json_int_t)message->rate));
	add_item(self, message->request, item);
	return 0;
}

static int on_event(void *self, const struct worker_broker_event *message, int *fd)
{
	(void)fd;
	return feed_event(self, message);
}

static int on_session_ended(void *self, const struct worker_broker_session_ended *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (!exchange)
		return 0;
	exchange_drop_cookie(exchange);
	exchange_answer(exchange, 200, json_pack("{s:i}", "tunnels_closed", (int)message->tunnels));
	return 0;
}

static int on_browser_token_made(void *self, const struct worker_broker_browser_token_made *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		exchange_answer(exchange, 200, json_pack("{s:o, s:o}", "user", json_of(message->user), "token", json_of(message->token)));
	return 0;
}

static int on_resource_item(void *self, const struct worker_broker_resource_item *message, int *fd)
{
	(void)fd;
	json_t *item = json_pack("{s:o, s:o, s:o, s:o, s:b}", "name", json_of(message->name), "description",
				 json_of(message->description), "kind", json_of(message->kind), "addresses", lines(message->addresses), "allowed",
				 (int)message->allowed);
	if (item && message->missing.size)
		json_object_set_new(item, "missing", json_of(message->missing));
	if (item && message->code.size)
		json_object_set_new(item, "code", json_of(message->code));
	add_item(self, message->request, item);
	return 0;
}

static int on_resources_end(void *self, const struct worker_broker_resources_end *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (!exchange)
		return 0;
	json_t *resources = take_items(exchange);
	if (!exchange->is_script) {
		exchange_answer(exchange, 200, json_pack("{s:o}", "resources", resources));
		return 0;
	}
	pac_answer(exchange, resources);
	json_decref(resources);
	return 0;
}

/* ---- tunnels, refusals, orders ---- */

static int on_opened(void *self, const struct worker_broker_opened *message, int *fd)
{
	struct worker *worker = self;
	struct exchange *exchange = exchange_find(worker, message->request);
	if (exchange && exchange->is_open)
		tunnel_open(exchange, &(struct tunnel_opening){.id = message->tunnel, .session = message->session,
							       .rate_group = message->rate_group, .rate = message->rate,
							       .fd = take_fd(fd)});
	else
		tunnel_unwanted(worker, message->tunnel, take_fd(fd));
	return 0;
}

static int on_rate(void *self, const struct worker_broker_rate *message, int *fd)
{
	struct tunnel *tunnel = message->tunnel ? tunnel_find(self, message->tunnel) : NULL;
	(void)fd;
	if (tunnel)
		shaper_change(tunnel, message->rate_group, message->rate);
	else if (!message->tunnel && message->rate)
		shaper_set_rate(message->rate_group, message->rate);
	return 0;
}

/* ---- certificates ---- */

static int on_certificate(void *self, const struct worker_broker_certificate *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		enrolment_certificate(exchange, message->certificate);
	return 0;
}

static int on_revocation_list(void *self, const struct worker_broker_revocation_list *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	if (exchange)
		enrolment_revocation_list(exchange, *fd, message->size);
	return 0;
}

static int on_pending(void *self, const struct worker_broker_pending *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	(void)fd;
	if (exchange)
		enrolment_pending(exchange, message->retry_after_s);
	return 0;
}

static int on_problem(void *self, const struct worker_broker_problem *message, int *fd)
{
	struct exchange *exchange = exchange_find(self, message->request);
	char code[33], sentence[513];
	(void)fd;
	if (!exchange)
		return 0;
	if (view_to_string(message->code, code, sizeof(code)) < 0 ||
	    view_to_string(message->sentence, sentence, sizeof(sentence)) < 0 || message->status < 400 || message->status > 599)
		return ERR_BAD_PEER;
	exchange_problem(exchange, &(struct exchange_problem){.status = message->status, .code = code, .sentence = sentence,
							      .retry_after_s = message->retry_after_s});
	return 0;
}

static int on_end(void *self, const struct worker_broker_end *message, int *fd)
{
	struct worker *worker = self;
	char reason[33];
	(void)fd;
	if (view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	unsigned closed = tunnel_close_all(worker, message->session, message->tunnel, reason);
	(void)LINK_SEND(&worker->broker, worker_broker, ended, -1, .order = message->order, .tunnels = closed);
	if (message->connection)
		client_close(worker);
	return 0;
}

/* ---- a restart of the gateway ---- */

enum { OVERDUE_MS = 100 };

/* Who was stopped meanwhile may have been taken over for long: one look at the edge before the end. */
static void on_handover_limit(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	if (!worker->overdue) {
		worker->overdue = true;
		uv_timer_start(timer, on_handover_limit, OVERDUE_MS, 0);
		return;
	}
	log_warning("nobody has taken this connection over within handover_limit");
	worker_end(EXIT_FAILURE);
}

/* Bytes go on; questions wait in the edge for whoever comes. But nobody could end the tunnels now: so not for long. */
static int on_handover(void *self, const struct worker_broker_handover *message, int *fd)
{
	struct worker *worker = self;
	(void)fd;
	worker->overdue = false;
	uv_timer_start(&worker->handover, on_handover_limit, worker->conf->handover_limit_ms, 0);
	worker->taken += message->taken;
	exchange_forsaken(worker, worker->taken);
	return 0;
}

static int on_adopted(void *self, const struct worker_broker_adopted *message, int *fd)
{
	struct worker *worker = self;
	(void)message, (void)fd;
	uv_timer_stop(&worker->handover);
	return 0;
}

static const struct worker_broker_handlers handlers = {
	.handover = on_handover,
	.adopted = on_adopted,
	.accepted = on_accepted,
	.rejected = on_rejected,
	.login_message = on_login_message,
	.login_state = on_login_state,
	.login_granted = on_login_granted,
	.presence_state = on_presence_state,
	.device_item = self_service_on_device,
	.devices_end = self_service_on_devices_end,
	.device_locked = self_service_on_device_locked,
	.factor_state = self_service_on_factor_state,
	.factor_made = self_service_on_factor_made,
	.recovery_codes = self_service_on_recovery_codes,
	.session_state = on_session_state,
	.session_tunnel = on_session_tunnel,
	.event = on_event,
	.session_ended = on_session_ended,
	.browser_token_made = on_browser_token_made,
	.resource_item = on_resource_item,
	.resources_end = on_resources_end,
	.opened = on_opened,
	.rate = on_rate,
	.certificate = on_certificate,
	.pending = on_pending,
	.revocation_list = on_revocation_list,
	.problem = on_problem,
	.end = on_end,
};

void broker_edge_take(struct link *link, struct edge_frame *frame)
{
	struct diag diag;
	if (worker_broker_dispatch(&handlers, link->owner, EDGE_FROM_SECOND, EDGE_ANY, frame, &diag) < 0) {
		log_error("the broker's edge: %s", diag.text);
		worker_end(EXIT_FAILURE);
	}
}
