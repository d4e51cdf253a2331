/* tunnel_record.c: the rows of tunnels: closed, addressed, read, and what a crash left open. */
#include "tunnel_record.h"

#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "broker.h"
#include "handover.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "tunnel.h"
#include "worker.h"

struct record {
	struct store_operation operation;
	struct tunnel_end end;
	struct broker *broker;
	uint64_t at_ms;
	char address[ADDRESS_TEXT_MAX];
};

/* The record takes signed numbers; a claim beyond them is a claim all the same. */
static int64_t claimed(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

static int close_row(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct record *record = operation->context;
	const struct tunnel_end *end = &record->end;
	int result = 0;
	if (end->has_row)
		result = STORE_RUN(db, diag, tunnel_close, NUMBER(record->at_ms), TEXT(end->reason),
				   NUMBER(claimed(end->bytes_to_target)), NUMBER(claimed(end->bytes_to_client)),
				   NUMBER(end->id));
	return result < 0 ? result : audit_append(db, &end->entry, diag);
}

static struct record *record_new(struct broker *broker, store_work work, store_done done)
{
	struct record *record = calloc(1, sizeof(*record));
	if (!record) {
		log_error("no memory for the record; the row is closed at the next start");
		return NULL;
	}
	record->broker = broker;
	record->at_ms = clock_wall_ms();
	record->operation = (struct store_operation){.work = work, .done = done, .context = record};
	return record;
}

/* What cannot be written now of an end, or of the address that was dialed, is written when the disk is back: an effect that is
 * there already must not be lost, and it grants nothing. */
enum { TRY_AGAIN_MS = 1000 };

struct retry {
	uv_timer_t timer;
	struct record *record;
};

static void on_retry_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_retry(uv_timer_t *timer)
{
	struct retry *retry = timer->data;
	store_submit(retry->record->broker->store, &retry->record->operation);
	uv_close((uv_handle_t *)timer, on_retry_closed);
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	struct record *record = operation->context;
	struct retry *retry = result == ERR_SYSTEM && !record->broker->stopping ? calloc(1, sizeof(*retry)) : NULL;
	(void)diag;
	if (!retry) {
		free(record);
		return;
	}
	retry->record = record;
	uv_timer_init(record->broker->loop, &retry->timer);
	retry->timer.data = retry;
	uv_timer_start(&retry->timer, on_retry, TRY_AGAIN_MS, 0);
}

void tunnel_record_end(struct broker *broker, const struct tunnel_end *end)
{
	struct record *record = record_new(broker, close_row, on_written);
	if (!record)
		return;
	record->operation.may_wait = true;
	record->end = *end;
	record->end.has_row = true;
	store_submit(broker->store, &record->operation);
}

static void on_failure_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct record *record = operation->context;
	struct tunnel_end *end = &record->end;
	(void)diag;
	if (!end->worker)
		return;
	if (result < 0)
		worker_unavailable(end->worker, end->request);
	else
		WORKER_SEND(end->worker, problem, -1, .request = end->request, .status = end->failure.status,
			    .code = view_string(end->failure.code), .sentence = view_string(end->failure.sentence),
			    .retry_after_s = end->failure.status == 503 ? 5 : 0);
	worker_release(end->worker);
}

void tunnel_record_failure(struct broker *broker, const struct tunnel_end *end)
{
	struct record *record = record_new(broker, close_row, on_failure_recorded);
	if (!record) {
		if (end->worker)
			worker_unavailable(end->worker, end->request);
		return;
	}
	record->end = *end;
	if (end->worker)
		worker_hold(end->worker);
	store_submit(broker->store, &record->operation);
}

static int write_address(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct record *record = operation->context;
	return STORE_RUN(db, diag, tunnel_address, TEXT(record->address), NUMBER(record->end.id));
}

void tunnel_record_address(struct broker *broker, uint64_t id, const char *address)
{
	struct record *record = record_new(broker, write_address, on_written);
	if (!record)
		return;
	record->operation.may_wait = true;
	record->end.id = id;
	str_copy(record->address, sizeof(record->address), address);
	store_submit(broker->store, &record->operation);
}

/* ---- the start ---- */

struct recovery {
	struct heritage *heritage;
	uint64_t closed, last_id;
};

static int take_number(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(uint64_t *)self = (uint64_t)store_row_number(row, 0);
	return 0;
}

/* Whatever stands open now was open when the last broker ended. */
static int recover(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct recovery *recovery = operation->context;
	struct audit_entry entry = {.code = ""};
	int result = STORE_QUERY_ALL(db, diag, tunnel_last, take_number, &recovery->last_id);
	if (result == 0)
		result = heritage_sift(recovery->heritage, db, &recovery->closed, diag);
	if (result < 0)
		return result;
	audit_fill(&entry, "gateway_started", "Sallyport %s; %llu tunnels that were open are closed in the record",
		   SALLYPORT_VERSION, (unsigned long long)recovery->closed);
	return audit_append(db, &entry, diag);
}

int tunnels_load(struct broker *broker, struct diag *diag)
{
	struct recovery recovery = {.heritage = broker->heritage};
	struct store_operation operation = {.work = recover, .context = &recovery};
	if (map_init(&broker->tunnels.ids) < 0)
		return diag_system(diag, "memory");
	int result = store_now(broker->store, &operation, diag);
	broker->tunnels.last_id = recovery.last_id;
	if (recovery.closed)
		log_notice("%llu tunnels were open when the last broker ended; they are closed in the record",
			   (unsigned long long)recovery.closed);
	return result;
}
