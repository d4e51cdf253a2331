/* courier_edge.c: the broker's end of broker_courier. Counterpart: gateway/courier/edges.c.
 *
 * The courier reads what strangers answer and may be in their hands: what comes from it is bytes within bounds, in memory
 * that nobody can change any more, and whoever does not answer in time has failed.
 */
#include "courier_edge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/edge/broker_courier.h"
#include "sallyport/fd.h"
#include "sallyport/link.h"
#include "sallyport/log.h"
#include "sallyport/own.h"

enum { PENDING_BYTES_MAX = 8 << 20, LOOK_MS = 1000, LATE_MS = 5000, DELIVERY_MS = 120000 };

LIST_HEAD(fetch_list, courier_fetch);
LIST_HEAD(delivery_list, courier_delivery);
struct courier_edge {
	struct link *link; /* NULL: no courier now */
	struct fetch_list fetches;
	struct delivery_list deliveries;
	uint32_t last_number;
	uv_timer_t timer; /* runs while somebody waits */
};

static void on_link_closed(struct link *link)
{
	free(link);
}

static void fail(struct courier_fetch *fetch, int result, const char *sentence)
{
	struct diag diag;
	diag_set(&diag, result, "%s", sentence);
	fetch->done(fetch, result, 0, view_of(NULL, 0), &diag);
}

static void fail_delivery(struct courier_delivery *delivery, int result, const char *sentence)
{
	struct diag diag;
	LIST_REMOVE(delivery, waiting);
	diag_set(&diag, result, "%s", sentence);
	delivery->done(delivery, result, &diag);
}

static void fail_deliveries(struct courier_edge *courier)
{
	struct delivery_list gone = courier->deliveries;
	if (LIST_FIRST(&gone))
		LIST_FIRST(&gone)->waiting.le_prev = &LIST_FIRST(&gone);
	LIST_INIT(&courier->deliveries);
	while (LIST_FIRST(&gone))
		fail_delivery(LIST_FIRST(&gone), ERR_SYSTEM, "the courier is not there; it is tried again");
}

static void fail_all(struct courier_edge *courier)
{
	struct fetch_list gone = courier->fetches;
	struct courier_fetch *fetch;
	if (LIST_FIRST(&gone))
		LIST_FIRST(&gone)->waiting.le_prev = &LIST_FIRST(&gone);
	LIST_INIT(&courier->fetches);
	/* Each may ask anew from inside: that goes to the new list. */
	while ((fetch = LIST_FIRST(&gone))) {
		LIST_REMOVE(fetch, waiting);
		fail(fetch, ERR_SYSTEM, "the courier is not there; it is tried again");
	}
}

static void disconnect(struct broker *broker)
{
	struct courier_edge *courier = broker->courier;
	if (!courier->link)
		return;
	link_close(courier->link, on_link_closed);
	courier->link = NULL;
	fail_all(courier);
	fail_deliveries(courier);
}

static struct courier_fetch *take_fetch(struct courier_edge *courier, uint32_t number)
{
	struct courier_fetch *fetch;
	LIST_FOREACH(fetch, &courier->fetches, waiting)
		if (fetch->number == number) {
			LIST_REMOVE(fetch, waiting);
			return fetch;
		}
	return NULL;
}

/* ---- what comes ---- */

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Anything but sealed memory of the size that it says could change, or be without end. */
static bool is_good_memory(int fd, uint64_t size, uint64_t limit)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &status) == 0 && status.st_size >= 0 &&
	       (uint64_t)status.st_size == size && size <= limit;
}

static int on_fetched(void *self, const struct broker_courier_fetched *message, int *fd)
{
	struct broker *broker = self;
	struct courier_fetch *fetch = take_fetch(broker->courier, message->request);
	/* Given up or cancelled in the meantime. */
	if (!fetch)
		return 0;
	OWN_BUF struct buf body = BUF_INIT(fetch->size_limit);
	bool good = is_good_memory(*fd, message->size, fetch->size_limit);
	fetch->memory = *fd;
	if (good && (fetch->unread || fd_read_all(*fd, &body) == 0)) {
		fetch->done(fetch, 0, message->status, buf_view(&body), NULL);
		return 0;
	}
	fail(fetch, ERR_SYSTEM, "what the courier has fetched cannot be read");
	return good ? 0 : ERR_BAD_PEER;
}

static int on_not_fetched(void *self, const struct broker_courier_not_fetched *message, int *fd)
{
	struct broker *broker = self;
	char sentence[513];
	(void)fd;
	struct courier_fetch *fetch = take_fetch(broker->courier, message->request);
	if (!fetch)
		return 0;
	if (view_to_string(message->sentence, sentence, sizeof(sentence)) < 0)
		sentence[0] = 0;
	fail(fetch, message->timed_out ? ERR_TIMEOUT : ERR_SYSTEM, sentence);
	return 0;
}

static struct courier_delivery *find_delivery(struct courier_edge *courier, uint32_t number)
{
	struct courier_delivery *delivery;
	LIST_FOREACH(delivery, &courier->deliveries, waiting)
		if (delivery->number == number)
			return delivery;
	return NULL;
}

static int on_delivered(void *self, const struct broker_courier_delivered *message, int *fd)
{
	struct broker *broker = self;
	struct courier_delivery *delivery = find_delivery(broker->courier, message->delivery);
	(void)fd;
	if (!delivery)
		return 0;
	LIST_REMOVE(delivery, waiting);
	delivery->done(delivery, 0, NULL);
	return 0;
}

static int on_not_delivered(void *self, const struct broker_courier_not_delivered *message, int *fd)
{
	struct broker *broker = self;
	struct courier_delivery *delivery = find_delivery(broker->courier, message->delivery);
	char sentence[513];
	(void)fd;
	if (view_to_string(message->sentence, sentence, sizeof(sentence)) < 0)
		sentence[0] = 0;
	if (delivery)
		fail_delivery(delivery, message->refused ? ERR_DENIED : ERR_SYSTEM, sentence);
	return 0;
}

static const struct broker_courier_handlers handlers = {
	.fetched = on_fetched, .not_fetched = on_not_fetched, .delivered = on_delivered, .not_delivered = on_not_delivered};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct broker *broker = link->owner;
	struct diag diag = {""};
	if (broker_courier_dispatch(&handlers, broker, EDGE_FROM_SECOND, EDGE_ANY, frame, &diag) == 0)
		return;
	log_error("the courier does not speak the protocol: %s", diag.text);
	disconnect(broker);
}

static void on_end(struct link *link, int reason)
{
	log_warning("the courier is gone (%s)", err_name(reason));
	disconnect(link->owner);
}

/* ---- who waits too long ---- */

static void give_up_deliveries(struct courier_edge *courier, uint64_t now)
{
	struct courier_delivery *delivery, *next;
	for (delivery = LIST_FIRST(&courier->deliveries); delivery; delivery = next) {
		next = LIST_NEXT(delivery, waiting);
		if (now < delivery->give_up_ms)
			continue;
		fail_delivery(delivery, ERR_TIMEOUT, "the courier does not answer");
		next = LIST_FIRST(&courier->deliveries);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct courier_edge *courier = timer->data;
	struct courier_fetch *fetch, *next;
	uint64_t now = clock_monotonic_ms();
	for (fetch = LIST_FIRST(&courier->fetches); fetch; fetch = next) {
		next = LIST_NEXT(fetch, waiting);
		if (now < fetch->give_up_ms)
			continue;
		LIST_REMOVE(fetch, waiting);
		fail(fetch, ERR_TIMEOUT, "the courier does not answer");
		next = LIST_FIRST(&courier->fetches);
	}
	give_up_deliveries(courier, now);
	if (LIST_EMPTY(&courier->fetches) && LIST_EMPTY(&courier->deliveries))
		uv_timer_stop(timer);
}

/* ---- life ---- */

int courier_edge_new(struct broker *broker, struct diag *diag)
{
	struct courier_edge *courier = broker->courier = calloc(1, sizeof(*courier));
	if (!courier || uv_timer_init(broker->loop, &courier->timer) < 0)
		return diag_system(diag, "memory");
	courier->timer.data = courier;
	LIST_INIT(&courier->fetches);
	LIST_INIT(&courier->deliveries);
	return 0;
}

void courier_connect(struct broker *broker, int fd)
{
	OWN_FD int owned = fd;
	disconnect(broker);
	OWN_MEMORY struct link *link = calloc(1, sizeof(*link));
	if (!link || link_init(link, broker->loop, owned, PENDING_BYTES_MAX) < 0) {
		log_error("the courier's edge cannot be watched");
		return;
	}
	take_fd(&owned);
	link->owner = broker;
	link->on_frame = on_frame;
	link->on_end = on_end;
	broker->courier->link = take_pointer(&link);
}

bool courier_is_connected(const struct broker *broker)
{
	return broker->courier->link;
}

/* ---- asking ---- */

static bool is_bounded(const struct courier_fetch *fetch)
{
	return strlen(fetch->url) <= BROKER_COURIER_URL_MAX && fetch->body.size <= BROKER_COURIER_BODY_MAX &&
	       (!fetch->content_type || strlen(fetch->content_type) <= 128) && fetch->size_limit <= BROKER_COURIER_ANSWER_MAX &&
	       fetch->time_limit_ms > 0 && fetch->time_limit_ms <= BROKER_COURIER_TIME_MAX_MS;
}

static void watch_time(struct courier_edge *courier)
{
	if (!uv_is_active((uv_handle_t *)&courier->timer))
		uv_timer_start(&courier->timer, on_timer, LOOK_MS, LOOK_MS);
}

void courier_fetch(struct broker *broker, struct courier_fetch *fetch)
{
	struct courier_edge *courier = broker->courier;
	if (!is_bounded(fetch)) {
		fail(fetch, ERR_SYSTEM, "the URL or the body is too long");
		return;
	}
	if (!courier->link) {
		fail(fetch, ERR_SYSTEM, "the courier is not there; it is tried again");
		return;
	}
	fetch->number = ++courier->last_number;
	fetch->give_up_ms = clock_monotonic_ms() + fetch->time_limit_ms + LATE_MS;
	LIST_INSERT_HEAD(&courier->fetches, fetch, waiting);
	watch_time(courier);
	(void)LINK_SEND(courier->link, broker_courier, fetch, -1, .request = fetch->number,
			.method = fetch->post ? BROKER_COURIER_POST : BROKER_COURIER_GET, .url = view_string(fetch->url),
			.content_type = view_string(fetch->content_type), .body = fetch->body, .size_limit = fetch->size_limit,
			.time_limit_ms = fetch->time_limit_ms);
}

static void send_item(struct courier_edge *courier, const struct courier_item *item)
{
	(void)LINK_SEND(courier->link, broker_courier, item, -1, .id = item->id, .event = view_string(item->event), .at_ms = item->at_ms,
			.sequence = item->sequence, .code = view_string(item->code), .device = view_string(item->device),
			.user = view_string(item->user), .address = view_string(item->address), .detail = view_string(item->detail));
}

void courier_deliver(struct broker *broker, struct courier_delivery *delivery)
{
	struct courier_edge *courier = broker->courier;
	LIST_INSERT_HEAD(&courier->deliveries, delivery, waiting);
	if (!courier->link) {
		fail_delivery(delivery, ERR_SYSTEM, "the courier is not there; it is tried again");
		return;
	}
	delivery->number = ++courier->last_number;
	delivery->give_up_ms = clock_monotonic_ms() + DELIVERY_MS;
	watch_time(courier);
	for (size_t i = 0; i < delivery->count; i++)
		send_item(courier, &delivery->items[i]);
	(void)LINK_SEND(courier->link, broker_courier, deliver, -1, .delivery = delivery->number, .alert = view_string(delivery->alert),
			.more = delivery->more);
}

void courier_fetch_cancel(struct courier_fetch *fetch)
{
	LIST_REMOVE(fetch, waiting);
}
