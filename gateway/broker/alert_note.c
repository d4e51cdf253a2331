/* alert_note.c: which rows of the record are alerts, and for whom.
 *
 * Everything here runs on the store's thread, inside the transaction of the row: an alert stands in the spool if and only
 * if its row stands in the record. Sending is alert_outlet.c's.
 */
#include "alert_note.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crowd.h"
#include "refusal_watch.h"
#include "sallyport/alert.h"
#include "sallyport/str.h"

/* ---- what is wanted ---- */

/* Of the store's thread. */
static struct {
	char alerts[ALERT_BYTES_MAX + 1];
} plan;
static atomic_bool noted;

int alert_note_plan(const struct alert_plan *wanted, struct diag *diag)
{
	if (!str_copy(plan.alerts, sizeof(plan.alerts), wanted->alerts))
		return diag_set(diag, ERR_BAD_CONFIG, "the alerts are too long together");
	refusal_watch_set(*wanted->alerts ? wanted->refusals : 0, wanted->refusals_ms);
	return 0;
}

bool alert_noted(void)
{
	return atomic_exchange(&noted, false);
}

/* ---- the spool ---- */

struct note {
	struct store_db *db;
	const struct audit_entry *entry;
	uint64_t sequence, at_ms;
	struct diag *diag;
};

/* So many of the same wait one by one; those after them are counted with the last one. */
enum { ALIKE_MAX = 10 };
struct alike {
	int64_t count, last;
};

static int take_alike(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(struct alike *)self = (struct alike){store_row_number(row, 0), store_row_number(row, 1)};
	return 0;
}

static int put(const struct note *note, const struct alert *alert, enum alert_event event, const char *detail)
{
	const struct audit_entry *entry = note->entry;
	char name[ALERT_NAME_MAX + 1];
	struct alike alike = {0};
	if (view_to_string(alert->name, name, sizeof(name)) < 0)
		return 0;
	atomic_store(&noted, true);
	int result = STORE_QUERY(note->db, note->diag, spool_alike, take_alike, &alike, TEXT(name), TEXT(alert_events[event].name),
				 TEXT(entry->device), TEXT(entry->user), TEXT(entry->code));
	if (result < 0)
		return result;
	/* Each checkpoint says something else. */
	if (alike.count >= ALIKE_MAX && event != ALERT_CHECKPOINT)
		return STORE_RUN(note->db, note->diag, spool_repeat, NUMBER(alike.last));
	return STORE_RUN(note->db, note->diag, spool_add, TEXT(name), TEXT(alert_events[event].name),
			 NUMBER(alert_events[event].urgent), NUMBER(note->at_ms), NUMBER(note->sequence), TEXT(entry->code),
			 TEXT(entry->device), TEXT(entry->user), TEXT(entry->address), TEXT(detail));
}

static int put_for_all(const struct note *note, enum alert_event event, const char *detail)
{
	struct alert alert;
	size_t position = 0;
	int result = 0;
	while (result == 0 && alert_next(plan.alerts, &position, &alert))
		if (alert_wants(&alert, event))
			result = put(note, &alert, event, detail);
	return result;
}

/* ---- logins: what is unusual ---- */

void alert_network(const char *address, char *out_text)
{
	enum { BITS_IPV4 = CROWD_IPV4_BITS + 24, BITS_IPV6 = 48 };
	uint8_t bytes[CROWD_ADDRESS_BYTES];
	out_text[0] = 0;
	if (crowd_read_address(address, bytes) == 0)
		crowd_spell_network(bytes, strchr(address, ':') ? BITS_IPV6 : BITS_IPV4, out_text);
}

static int take_number(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(int64_t *)self = store_row_number(row, 0);
	return 0;
}

/* Whether the user was never there before; out_others: how many places of that kind he had. Notes it. */
static int visit(const struct note *note, const char *kind, const char *place, bool *out_is_new, int64_t *out_others)
{
	const char *user = note->entry->user;
	*out_is_new = false;
	int result = STORE_RUN(note->db, note->diag, login_place_seen, NUMBER(note->at_ms), TEXT(user), TEXT(kind), TEXT(place));
	if (result < 0 || store_changed(note->db))
		return result;
	*out_is_new = true;
	result = STORE_QUERY(note->db, note->diag, login_place_count, take_number, out_others, TEXT(user), TEXT(kind));
	return result < 0 ? result
			  : STORE_RUN(note->db, note->diag, login_place_add, TEXT(user), TEXT(kind), TEXT(place), NUMBER(note->at_ms),
				      NUMBER(note->at_ms));
}

static int note_device(const struct note *note)
{
	char detail[AUDIT_DETAIL_MAX + 1];
	int64_t others = 0;
	bool is_new;
	int result = visit(note, "device", note->entry->device, &is_new, &others);
	if (result < 0 || !is_new)
		return result;
	snprintf(detail, sizeof(detail), "the first login of %s on %s, from %s", note->entry->user, note->entry->device,
		 note->entry->address);
	return put_for_all(note, ALERT_FIRST_LOGIN, detail);
}

/* A user's very first network is no news beside his first login. */
static int note_network(const struct note *note)
{
	char detail[AUDIT_DETAIL_MAX + 1], network[64];
	int64_t others = 0;
	bool is_new;
	alert_network(note->entry->address, network);
	int result = *network ? visit(note, "network", network, &is_new, &others) : 0;
	if (result < 0 || !*network || !is_new || others == 0)
		return result;
	snprintf(detail, sizeof(detail), "%s has logged in from the network %s for the first time, on %s", note->entry->user, network,
		 note->entry->device);
	return put_for_all(note, ALERT_NEW_NETWORK, detail);
}

static unsigned minute_of_day(uint64_t at_ms)
{
	time_t now = (time_t)(at_ms / 1000);
	struct tm local = {0};
	localtime_r(&now, &local);
	return (unsigned)(local.tm_hour * 60 + local.tm_min);
}

static int note_hours(const struct note *note)
{
	char detail[AUDIT_DETAIL_MAX + 1];
	unsigned minute = minute_of_day(note->at_ms);
	struct alert alert;
	size_t position = 0;
	int result = 0;
	while (result == 0 && alert_next(plan.alerts, &position, &alert)) {
		if (!alert_wants(&alert, ALERT_ODD_HOURS) || !alert.work_hours.size || alert_hours_hold(alert.work_hours, minute))
			continue;
		snprintf(detail, sizeof(detail), "%s has logged in on %s at %02u:%02u, outside of %.*s", note->entry->user,
			 note->entry->device, minute / 60, minute % 60, (int)alert.work_hours.size,
			 (const char *)alert.work_hours.data);
		result = put(note, &alert, ALERT_ODD_HOURS, detail);
	}
	return result;
}

/* Places are learned also while nobody wants to hear of them: who asks for it later is not flooded. */
static int note_login(const struct note *note)
{
	int result = note_device(note);
	if (result == 0)
		result = note_network(note);
	return result < 0 ? result : note_hours(note);
}

/* ---- rows ---- */

/* Code "*": any that is not empty. */
static const struct row {
	const char *event, *code;
	enum alert_event alert;
} rows[] = {
	{"alarm", "copied_key", ALERT_COPIED_KEY},
	{"alarm", "break_glass", ALERT_BREAK_GLASS},
	{"alarm", "break_glass_failed", ALERT_BREAK_GLASS},
	{"alarm", "lock_out", ALERT_LOCK_OUT},
	{"alarm", "many_refusals", ALERT_MANY_REFUSALS},
	{"alarm", "many_refusals_sum", ALERT_MANY_REFUSALS},
	{"alarm", "store_trouble", ALERT_STORE_TROUBLE},
	{"device_lost", "", ALERT_DEVICE_LOST},
	{"two_networks", "", ALERT_TWO_NETWORKS},
	{"login", "not_bound", ALERT_WRONG_DEVICE},
	{"door_one", "device_revoked", ALERT_BARRED_DEVICE},
	{"door_one", "device_locked", ALERT_BARRED_DEVICE},
	{"door_one", "certificate_revoked", ALERT_BARRED_DEVICE},
	{"breach", "*", ALERT_BREACH},
	{"enrolment_pending", "", ALERT_WAITING},
	{"renewal_pending", "", ALERT_WAITING},
	{"device_pending", "", ALERT_WAITING},
	{"certificate_ends_soon", "", ALERT_CERTIFICATE_ENDING},
	{"alarm", "crl_stale_soon", ALERT_CRL_STALE},
	{"alarm", "crl_stale", ALERT_CRL_STALE},
	{"alarm", "ocsp_silent", ALERT_CRL_STALE},
	{"gateway_changed", "", ALERT_GATEWAY_CHANGED},
	{"room_restarted", "", ALERT_ROOM_RESTARTED},
	{"checkpoint", "", ALERT_CHECKPOINT},
};

static bool fits(const struct row *row, const struct audit_entry *entry)
{
	return strcmp(row->event, entry->event) == 0 &&
	       (strcmp(row->code, "*") == 0 ? *entry->code != 0 : strcmp(row->code, entry->code) == 0);
}

int alert_note(struct store_db *db, const struct audit_entry *entry, uint64_t sequence, uint64_t at_ms, struct diag *diag)
{
	const struct note note = {.db = db, .entry = entry, .sequence = sequence, .at_ms = at_ms, .diag = diag};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fits(&rows[i], entry))
			result = put_for_all(&note, rows[i].alert, entry->detail);
	if (result == 0)
		result = refusal_watch_row(db, entry, sequence, diag);
	if (result == 0 && strcmp(entry->event, "login") == 0 && !*entry->code)
		result = note_login(&note);
	return result;
}
