/* alert_prints.c: notices that the policy, the gateway's certificate or its authority is another one.
 *
 * Also when it was changed while the gateway did not run: the prints of the last time stand in the store.
 */
#include "alert_prints.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { BYTES_MAX = 32 << 20 };

static const struct print_row {
	const char *purpose, *name, *words;
} rows[ALERT_PRINTS] = {
	{MONITOR_ROOM_PURPOSE_POLICY, "policy", "the policy"},
	{MONITOR_ROOM_PURPOSE_SERVER_CERTIFICATE, "server_certificate", "the gateway's certificate"},
	{MONITOR_ROOM_PURPOSE_AUTHORITY, "device_authority", "the authorities that vouch for devices"},
};

static int take_one(struct room *room, const struct print_row *row, char *out_print, struct diag *diag)
{
	OWN_BUF struct buf all = BUF_INIT(BYTES_MAX);
	const struct room_descriptor *found;
	size_t position = 0;
	out_print[0] = 0;
	while ((found = room_descriptor(room, row->purpose, &position))) {
		OWN_BUF struct buf text = BUF_INIT(BYTES_MAX);
		int result = fd_read_all(found->fd, &text);
		if (result == 0)
			result = buf_add_format(&all, "%zu:", text.size);
		if (result == 0)
			result = buf_add(&all, buf_view(&text));
		if (result < 0)
			return diag_set(diag, result, "%s cannot be read (%s)", found->name, err_name(result));
	}
	if (all.size)
		hash_sha256_hex(buf_view(&all), out_print);
	return 0;
}

int alert_prints_take(struct room *room, struct alert_prints *out_prints, struct diag *diag)
{
	int result = 0;
	for (size_t i = 0; result == 0 && i < ALERT_PRINTS; i++)
		result = take_one(room, &rows[i], out_prints->text[i], diag);
	return result;
}

/* ---- comparing ---- */

static int take_text(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	str_copy(self, 65, store_row_text(row, 0));
	return 0;
}

static int compare_one(struct store_db *db, const struct print_row *row, const char *print, struct diag *diag)
{
	struct audit_entry entry = {.code = ""};
	char former[65] = "";
	int result = STORE_QUERY(db, diag, gateway_print_get, take_text, former, TEXT(row->name));
	if (result < 0 || !*print || strcmp(former, print) == 0)
		return result;
	result = STORE_RUN(db, diag, gateway_print_put, TEXT(row->name), TEXT(print));
	/* The first time is no change. */
	if (result < 0 || !*former)
		return result;
	audit_fill(&entry, "gateway_changed", "%s: now SHA-256 %.16s, before %.16s", row->words, print, former);
	return audit_append(db, &entry, diag);
}

struct comparison {
	struct store_operation operation;
	struct alert_prints prints;
};

static int compare(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct comparison *comparison = operation->context;
	int result = 0;
	for (size_t i = 0; result == 0 && i < ALERT_PRINTS; i++)
		result = compare_one(db, &rows[i], comparison->prints.text[i], diag);
	return result;
}

int alert_prints_start(struct broker *broker, const struct alert_prints *prints, struct diag *diag)
{
	struct comparison comparison = {.prints = *prints};
	comparison.operation = (struct store_operation){.work = compare, .context = &comparison};
	return store_now(broker->store, &comparison.operation, diag);
}

static void on_compared(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct comparison *comparison = operation->context;
	if (result < 0)
		log_error("a change of the gateway is not recorded: %s", diag->text);
}

void alert_prints_reload(struct broker *broker, const struct alert_prints *prints)
{
	struct comparison *comparison = calloc(1, sizeof(*comparison));
	if (!comparison) {
		log_error("a change of the gateway is not recorded: no memory");
		return;
	}
	*comparison = (struct comparison){.prints = *prints,
					  .operation = {.work = compare, .done = on_compared, .context = comparison}};
	store_submit(broker->store, &comparison->operation);
}
