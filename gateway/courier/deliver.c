/* deliver.c: alerts on their way: mail and webhooks by libcurl, logs by sockets.
 *
 * The broker says which events and which alert; where that is, and the secrets that belong to it, came from the monitor.
 * Each `deliver` has one answer, and the answer says whether another try of the same message can help.
 */
#include "deliver.h"

#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "courier.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "syslogger.h"

enum { TIME_LIMIT_MS = 45000, ANSWER_BYTES_MAX = 65536, SECRET_BYTES_MAX = 4096, MESSAGE_BYTES_MAX = 4 << 20 };

/* ---- places ---- */

static int take_secret(struct courier *courier, struct deliver_place *place, struct diag *diag)
{
	const struct room_descriptor *found;
	size_t position = 0;
	place->secret = BUF_INIT(SECRET_BYTES_MAX);
	while ((found = room_descriptor(&courier->room, MONITOR_ROOM_PURPOSE_ALERT_SECRET, &position))) {
		if (strcmp(found->name, place->name) != 0)
			continue;
		if (fd_read_all(found->fd, &place->secret) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "the secret of the alert \"%s\" cannot be read, or is larger than %d bytes",
					place->name, SECRET_BYTES_MAX);
	}
	while (place->secret.size && strchr("\r\n", place->secret.data[place->secret.size - 1]))
		place->secret.size--;
	if (place->alert.secret_file.size == 0)
		return 0;
	if (place->secret.size == 0 || memchr(place->secret.data, 0, place->secret.size))
		return diag_set(diag, ERR_BAD_CONFIG, "the secret of the alert \"%s\" is empty, or is no text", place->name);
	return buf_add(&place->secret, view_of("", 1)) < 0 ? diag_system(diag, "memory") : 0;
}

int deliver_prepare(struct courier *courier, struct diag *diag)
{
	struct deliveries *deliveries = &courier->deliveries;
	struct alert alert;
	size_t position = 0;
	int result = 0;
	while (result == 0 && deliveries->place_count < ALERTS_MAX && alert_next(courier->room.conf.alert, &position, &alert)) {
		struct deliver_place *place = &deliveries->places[deliveries->place_count++];
		place->alert = alert;
		if (view_to_string(alert.name, place->name, sizeof(place->name)) < 0 ||
		    view_to_string(alert.authority, place->authority, sizeof(place->authority)) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "a path of an alert is too long");
		result = take_secret(courier, place, diag);
	}
	return result;
}

/* NUL-terminated; "" without one. */
static const char *secret_of(const struct deliver_place *place)
{
	return place->secret.size ? (const char *)place->secret.data : "";
}

static const struct deliver_place *find_place(const struct deliveries *deliveries, struct view name)
{
	for (size_t i = 0; i < deliveries->place_count; i++)
		if (view_is(name, deliveries->places[i].name))
			return &deliveries->places[i];
	return NULL;
}

/* ---- answers ---- */

static void say_no(struct courier *courier, uint32_t delivery, bool refused, const char *sentence)
{
	char text[512];
	str_copy(text, sizeof(text), sentence);
	str_make_printable(text);
	ANSWER(courier, not_delivered, -1, .delivery = delivery, .refused = refused, .sentence = view_string(text));
}

static void say(struct courier *courier, uint32_t delivery, int result, const char *sentence)
{
	if (result < 0)
		say_no(courier, delivery, false, sentence);
	else
		ANSWER(courier, delivered, -1, .delivery = delivery);
}

/* ---- mail ---- */

static void on_mailed(struct transfer *transfer, int result, const struct diag *diag)
{
	struct courier *courier = transfer->context;
	char sentence[900];
	snprintf(sentence, sizeof(sentence), "the mail server: %s%s", diag->text, transfer->body_refused ? " (it refuses this message)" : "");
	if (transfer->body_refused)
		say_no(courier, (uint32_t)transfer->number, true, sentence);
	else
		say(courier, (uint32_t)transfer->number, result, sentence);
}

struct begin {
	struct courier *courier;
	const struct deliver_place *place;
	const struct message *message;
	uint32_t delivery;
};

static int begin_mail(const struct begin *begin, struct diag *diag)
{
	const struct alert *alert = &begin->place->alert;
	char server[1024], from[256], to[4096], user[256], url[1400];
	OWN_BUF struct buf body = BUF_INIT(MESSAGE_BYTES_MAX);
	if (view_to_string(alert->server, server, sizeof(server)) < 0 || view_to_string(alert->from, from, sizeof(from)) < 0 ||
	    view_to_string(alert_place(alert), to, sizeof(to)) < 0 || view_to_string(alert->user, user, sizeof(user)) < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "a value of the alert is too long");
	if (message_mail(begin->message, from, to, &body) < 0)
		return diag_set(diag, ERR_SYSTEM, "the mail cannot be written");
	/* The path is what the gateway calls itself (EHLO). */
	snprintf(url, sizeof(url), "%s%s%s", server, server[strlen(server) - 1] == '/' ? "" : "/", begin->message->gateway);
	const struct transfer_wish wish = {
		.url = url, .body = buf_view(&body), .mail_from = from, .mail_to = to, .user = *user ? user : NULL,
		.password = secret_of(begin->place), .without_tls = view_is(alert->tls, "never"), .size_limit = ANSWER_BYTES_MAX,
		.time_limit_ms = TIME_LIMIT_MS, .authority = *begin->place->authority ? begin->place->authority : NULL};
	return transfer_begin(&begin->courier->transfers, &wish, on_mailed, begin->courier, begin->delivery, diag);
}

/* ---- webhooks ---- */

static bool is_receipt(long status)
{
	return status >= 200 && status <= 299;
}

/* These say that the message is wrong; the others, that the place or the time is. */
static bool is_refusal(long status)
{
	return status == 400 || status == 413 || status == 422;
}

static void on_posted(struct transfer *transfer, int result, const struct diag *diag)
{
	struct courier *courier = transfer->context;
	char sentence[900];
	/* Whoever has said yes has it, also when he goes on talking without end. */
	if (is_receipt(transfer->status)) {
		say(courier, (uint32_t)transfer->number, 0, "");
		return;
	}
	if (transfer->status)
		snprintf(sentence, sizeof(sentence), "the webhook answers with status %ld%s", transfer->status,
			 transfer->status >= 300 && transfer->status <= 399 ? "; redirects are not followed" : "");
	else
		snprintf(sentence, sizeof(sentence), "the webhook: %s", result < 0 ? diag->text : "no answer");
	say_no(courier, (uint32_t)transfer->number, is_refusal(transfer->status), sentence);
}

/* HMAC-SHA-256 of "TIMESTAMP.BODY": whoever has seen an old message cannot send it again later. */
static void sign(const struct deliver_place *place, const char *timestamp, struct view body, char *out_hex)
{
	struct hmac_sha256_ctx context;
	uint8_t digest[SHA256_DIGEST_SIZE];
	hmac_sha256_set_key(&context, strlen(secret_of(place)), (const uint8_t *)secret_of(place));
	hmac_sha256_update(&context, strlen(timestamp), (const uint8_t *)timestamp);
	hmac_sha256_update(&context, 1, (const uint8_t *)".");
	hmac_sha256_update(&context, body.size, body.data);
	hmac_sha256_digest(&context, sizeof(digest), digest);
	wipe(&context, sizeof(context));
	str_hex(view_of(digest, sizeof(digest)), out_hex);
}

static enum message_shape shape_of(const struct alert *alert)
{
	return view_is(alert->shape, "slack") ? MESSAGE_SLACK : view_is(alert->shape, "pagerduty") ? MESSAGE_PAGERDUTY : MESSAGE_GENERIC;
}

static int begin_webhook(const struct begin *begin, struct diag *diag)
{
	const struct alert *alert = &begin->place->alert;
	enum message_shape shape = shape_of(alert);
	char url[SECRET_BYTES_MAX + 1], timestamp[24], hex[2 * SHA256_DIGEST_SIZE + 1];
	char time_header[64], signature_header[128];
	OWN_SECRET_BUF struct buf body = BUF_INIT(MESSAGE_BYTES_MAX);
	bool is_signed = shape == MESSAGE_GENERIC && begin->place->secret.size;
	if (alert->to.size ? view_to_string(alert->to, url, sizeof(url)) < 0 : !str_copy(url, sizeof(url), secret_of(begin->place)))
		return diag_set(diag, ERR_BAD_CONFIG, "the URL is too long");
	if (message_json(begin->message, shape, secret_of(begin->place), &body) < 0)
		return diag_set(diag, ERR_SYSTEM, "the message cannot be written");
	snprintf(timestamp, sizeof(timestamp), "%llu", (unsigned long long)(begin->message->now_ms / 1000));
	if (is_signed)
		sign(begin->place, timestamp, buf_view(&body), hex);
	snprintf(time_header, sizeof(time_header), "X-Sallyport-Timestamp: %s", timestamp);
	snprintf(signature_header, sizeof(signature_header), "X-Sallyport-Signature: sha256=%s", is_signed ? hex : "");
	const char *const headers[] = {time_header, is_signed ? signature_header : NULL, NULL};
	const struct transfer_wish wish = {
		.url = url, .post = true, .content_type = "application/json", .body = buf_view(&body), .size_limit = ANSWER_BYTES_MAX,
		.time_limit_ms = TIME_LIMIT_MS, .headers = headers,
		.authority = *begin->place->authority ? begin->place->authority : NULL};
	int result = transfer_begin(&begin->courier->transfers, &wish, on_posted, begin->courier, begin->delivery, diag);
	wipe(url, sizeof(url));
	return result;
}

/* ---- logs ---- */

static void free_lines(struct buf *lines, size_t count)
{
	for (size_t i = 0; lines && i < count; i++)
		buf_fini(&lines[i]);
	free(lines);
}

static struct buf *make_lines(const struct message *message,
			      int (*make)(const struct message *, const struct message_item *, struct buf *))
{
	struct buf *lines = calloc(message->count, sizeof(*lines));
	for (size_t i = 0; lines && i < message->count; i++) {
		lines[i] = BUF_INIT(8192);
		if (make(message, &message->items[i], &lines[i]) < 0) {
			free_lines(lines, message->count);
			return NULL;
		}
	}
	return lines;
}

static int send_locally(const struct begin *begin, const char *usual, struct buf *lines, struct diag *diag)
{
	char path[108];
	if (!lines)
		return diag_set(diag, ERR_SYSTEM, "the message cannot be written");
	if (view_to_string(alert_place(&begin->place->alert), path, sizeof(path)) < 0)
		path[0] = 0;
	int result = syslogger_send_local(*path ? path : usual, lines, begin->message->count, diag);
	free_lines(lines, begin->message->count);
	if (result == 0)
		say(begin->courier, begin->delivery, 0, "");
	return result;
}

static int begin_local(const struct begin *begin, struct diag *diag)
{
	return send_locally(begin, "/dev/log", make_lines(begin->message, message_syslog), diag);
}

static int begin_journal(const struct begin *begin, struct diag *diag)
{
	return send_locally(begin, "/run/systemd/journal/socket", make_lines(begin->message, message_journal), diag);
}

static void wake(void *context)
{
	transfers_wake(context);
}

static int begin_away(const struct begin *begin, struct diag *diag)
{
	struct syslogger_errand *errand = calloc(1, sizeof(*errand));
	struct buf *lines = make_lines(begin->message, message_syslog);
	if (!errand || !lines || str_split_authority(alert_place(&begin->place->alert), errand->host, sizeof(errand->host), &errand->port) < 0) {
		free_lines(lines, begin->message->count);
		free(errand);
		return diag_set(diag, ERR_SYSTEM, "the message cannot be written");
	}
	errand->tcp = alert_way(&begin->place->alert) == ALERT_SYSLOG_TCP;
	errand->lines = lines;
	errand->count = begin->message->count;
	errand->number = begin->delivery;
	errand->generation = begin->courier->generation;
	errand->wake = wake;
	errand->context = &begin->courier->transfers;
	int result = syslogger_send_away(errand, diag);
	if (result < 0)
		syslogger_errand_free(errand);
	return result;
}

void deliver_look(struct courier *courier)
{
	struct syslogger_errand *errand;
	while ((errand = syslogger_take_done())) {
		/* Of a broker that is no more: its number may mean another message now. */
		if (errand->generation == courier->generation)
			say(courier, errand->number, errand->result, errand->diag.text);
		syslogger_errand_free(errand);
	}
}

/* ---- what the broker says ---- */

int deliver_take_item(struct courier *courier, const struct broker_courier_item *message, struct diag *diag)
{
	struct deliveries *deliveries = &courier->deliveries;
	if (deliveries->item_count == BROKER_COURIER_ITEMS_MAX)
		return diag_set(diag, ERR_BAD_PEER, "more than %d items of one message", BROKER_COURIER_ITEMS_MAX);
	struct message_item *item = &deliveries->items[deliveries->item_count++];
	*item = (struct message_item){.id = message->id, .at_ms = message->at_ms, .sequence = message->sequence};
	const struct {
		struct view from;
		char *to;
		size_t capacity;
	} texts[] = {{message->event, item->event, sizeof(item->event)},       {message->code, item->code, sizeof(item->code)},
		     {message->device, item->device, sizeof(item->device)},    {message->user, item->user, sizeof(item->user)},
		     {message->address, item->address, sizeof(item->address)}, {message->detail, item->detail, sizeof(item->detail)}};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (view_to_string(texts[i].from, texts[i].to, texts[i].capacity) < 0)
			return diag_set(diag, ERR_BAD_PEER, "an item that is too long");
		/* It was one line already; nothing here may end a header or a field. */
		str_make_printable(texts[i].to);
	}
	return 0;
}

int deliver_begin(struct courier *courier, const struct broker_courier_deliver *message, struct diag *diag)
{
	static int (*const ways[ALERT_WAY_COUNT])(const struct begin *, struct diag *) = {
		[ALERT_MAIL] = begin_mail,       [ALERT_WEBHOOK] = begin_webhook, [ALERT_SYSLOG_LOCAL] = begin_local,
		[ALERT_SYSLOG_UDP] = begin_away, [ALERT_SYSLOG_TCP] = begin_away, [ALERT_JOURNAL] = begin_journal};
	struct deliveries *deliveries = &courier->deliveries;
	const struct deliver_place *place = find_place(deliveries, message->alert);
	struct diag why;
	if (deliveries->item_count == 0)
		return diag_set(diag, ERR_BAD_PEER, "a message without an item");
	const struct message text = {.gateway = courier->room.conf.name, .alert = place ? place->name : "", .items = deliveries->items,
				     .count = deliveries->item_count, .more = message->more, .now_ms = clock_wall_ms()};
	const struct begin begin = {.courier = courier, .place = place, .message = &text, .delivery = message->delivery};
	deliveries->item_count = 0;
	/* Settings are on their way to the one and not yet to the other: it is tried again. */
	if (!place)
		say_no(courier, message->delivery, false, "the courier does not know that alert yet");
	else if (ways[alert_way(&place->alert)](&begin, &why) < 0)
		say_no(courier, message->delivery, false, why.text);
	return 0;
}
