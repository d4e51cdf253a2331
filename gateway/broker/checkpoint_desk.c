/* checkpoint_desk.c: checkpoints of the record, and its beginning that is cut off when it is old.
 *
 *     IDLE ── enough rows, or old enough ──► LOOKING ──► SIGNING ──► KEEPING ──► IDLE, or when something is too old:
 *          CHOOSING ──► SIGNING a cut ──► KEEPING ──► CUTTING ... ──► IDLE
 *
 * A signed checkpoint becomes a row of `checkpoint` and, in the same commit, a row of the record, which is how it gets into
 * alerts and so off this host. A cut goes to the records that the last checkpoint covers, at most, so the record is never empty
 * and its numbers go on. Whatever fails is tried again later; nothing waits for it. Counterpart: gateway/signer/checkpoint.c.
 */
#include "checkpoint_desk.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "policy_record.h"
#include "sallyport/checkpoint.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"

/* So many records are looked at for one cut, and removed in one commit: others wait for no longer than that takes. */
enum { CHOOSE_MAX = 20000, REMOVE_AT_ONCE = 500 };
enum { AGAIN_MS = 10000, AGE_LOOK_MS = 3600000 };

enum state { IDLE, LOOKING, SIGNING, KEEPING, CHOOSING, CUTTING };

struct checkpoint_desk {
	struct broker *broker;
	enum state state;
	struct store_operation operation;
	uint64_t covered_rows, covered_at_ms; /* as audit_rows() counts; monotonic */
	uint64_t rows;                        /* when the present one was begun */
	uint64_t again_at_ms, age_look_at_ms; /* monotonic; 0: at once */
	uint64_t covered_sequence;            /* of the last checkpoint */
	uint64_t older_than_ms;               /* wall clock: what a cut removes */
	bool has_more;                        /* one cut was not enough */
	bool complained;
	struct checkpoint checkpoint; /* the present one */
};

static void submit(struct checkpoint_desk *desk, enum state state, store_work work, store_done done)
{
	desk->state = state;
	desk->operation = (struct store_operation){.work = work, .done = done, .context = desk, .may_wait = true};
	store_submit(desk->broker->store, &desk->operation);
}

static void rest(struct checkpoint_desk *desk, uint64_t pause_ms)
{
	desk->state = IDLE;
	desk->again_at_ms = clock_monotonic_ms() + pause_ms;
}

/* Said once, until it works again. */
static void fail(struct checkpoint_desk *desk, const char *sentence)
{
	if (!desk->complained)
		log_warning("the record's checkpoint is not signed: %s", sentence);
	desk->complained = true;
	rest(desk, AGAIN_MS);
}

/* ---- signing ---- */

static void ask_signer(struct checkpoint_desk *desk)
{
	desk->state = SIGNING;
	if (!signer_checkpoint(desk->broker, &desk->checkpoint))
		fail(desk, "the signer is not there");
}

static int look_at_end(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	const struct store_chain *chain = store_chain(db);
	(void)diag;
	desk->checkpoint = (struct checkpoint){.kind = CHECKPOINT_RECORD, .sequence = (uint64_t)chain->sequence};
	str_copy(desk->checkpoint.hash, sizeof(desk->checkpoint.hash), chain->hash);
	return 0;
}

/* What was seen is committed by now. */
static void on_end_seen(struct store_operation *operation, int result, const struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	if (result < 0)
		fail(desk, diag->text);
	else if (desk->checkpoint.sequence == 0)
		rest(desk, AGAIN_MS);
	else
		ask_signer(desk);
}

/* ---- keeping ---- */

static int keep(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	const struct checkpoint *checkpoint = &desk->checkpoint;
	struct audit_entry entry = {.code = ""};
	char line[CHECKPOINT_LINE_MAX + 1];
	if (!checkpoint_line(checkpoint, line, sizeof(line)))
		return diag_set(diag, ERR_BUG, "a checkpoint that cannot be written down");
	int result = STORE_RUN(db, diag, checkpoint_insert, TEXT(checkpoint_kind_name(checkpoint->kind)), TEXT(checkpoint->gateway),
			       NUMBER(checkpoint->sequence), TEXT(checkpoint->hash), NUMBER(checkpoint->at_ms), TEXT(checkpoint->key),
			       TEXT(checkpoint->signature));
	if (result == 0 && checkpoint->kind == CHECKPOINT_CUT)
		result = policy_record_age(db, desk->older_than_ms, diag);
	if (result < 0)
		return result;
	audit_fill(&entry, AUDIT_CHECKPOINT, "%s", line);
	return audit_append(db, &entry, diag);
}

static void choose(struct checkpoint_desk *desk);
static void remove_some(struct checkpoint_desk *desk);

static void on_kept(struct store_operation *operation, int result, const struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	if (result < 0) {
		fail(desk, diag->text);
		return;
	}
	desk->complained = false;
	if (desk->checkpoint.kind == CHECKPOINT_CUT) {
		remove_some(desk);
		return;
	}
	desk->covered_rows = desk->rows;
	desk->covered_at_ms = clock_monotonic_ms();
	desk->covered_sequence = desk->checkpoint.sequence;
	choose(desk);
}

int checkpoint_desk_signed(struct broker *broker, const struct broker_signer_checkpoint_signed *message)
{
	struct checkpoint_desk *desk = broker->checkpoints;
	struct checkpoint *checkpoint = &desk->checkpoint;
	char reason[257];
	if (desk->state != SIGNING || message->kind != checkpoint->kind || message->sequence != checkpoint->sequence ||
	    message->key.size != 32 || view_to_string(message->reason, reason, sizeof(reason)) < 0 ||
	    view_to_string(message->gateway, checkpoint->gateway, sizeof(checkpoint->gateway)) < 0)
		return ERR_BAD_PEER;
	if (message->signature.size == 0) {
		fail(desk, reason);
		return 0;
	}
	checkpoint->at_ms = message->at_ms;
	str_hex(message->key, checkpoint->key);
	str_hex(message->signature, checkpoint->signature);
	submit(desk, KEEPING, keep, on_kept);
	return 0;
}

void checkpoint_desk_lost_signer(struct broker *broker)
{
	struct checkpoint_desk *desk = broker->checkpoints;
	if (desk && desk->state == SIGNING)
		fail(desk, "the signer is gone");
}

/* ---- what is too old ---- */

static int take_old(void *self, const struct store_row *row, struct diag *diag)
{
	struct checkpoint_desk *desk = self;
	uint64_t sequence = (uint64_t)store_row_number(row, 0);
	(void)diag;
	/* The clock may have gone back: what stands behind a younger one stays with it. */
	if (!desk->has_more)
		return 0;
	if ((uint64_t)store_row_number(row, 1) >= desk->older_than_ms || sequence > desk->covered_sequence) {
		desk->has_more = false;
		return 0;
	}
	desk->checkpoint.sequence = sequence;
	str_copy(desk->checkpoint.hash, sizeof(desk->checkpoint.hash), store_row_text(row, 2));
	return 0;
}

static int take_number(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(int64_t *)self = store_row_number(row, 0);
	return 0;
}

static int choose_old(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	int64_t last_cut = 0;
	desk->checkpoint = (struct checkpoint){.kind = CHECKPOINT_CUT};
	desk->has_more = true;
	int result = STORE_QUERY(db, diag, audit_oldest, take_old, desk, NUMBER(CHOOSE_MAX));
	if (result == 0)
		result = STORE_QUERY_ALL(db, diag, checkpoint_last_cut, take_number, &last_cut);
	/* A cut whose records were not all removed when the gateway ended: it stands. */
	if (result == 0 && desk->checkpoint.sequence <= (uint64_t)last_cut)
		desk->checkpoint.hash[0] = 0;
	return result;
}

static void on_chosen(struct store_operation *operation, int result, const struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	if (result < 0)
		fail(desk, diag->text);
	else if (desk->checkpoint.sequence == 0)
		rest(desk, 0);
	else if (!*desk->checkpoint.hash)
		remove_some(desk);
	else
		ask_signer(desk);
}

static void choose(struct checkpoint_desk *desk)
{
	uint64_t keep_ms = desk->broker->room->conf.audit_keep_ms, now_ms = clock_wall_ms();
	if (keep_ms == 0 || now_ms < keep_ms || clock_monotonic_ms() < desk->age_look_at_ms) {
		rest(desk, 0);
		return;
	}
	uint64_t pause_ms = keep_ms < AGE_LOOK_MS ? keep_ms : AGE_LOOK_MS;
	desk->age_look_at_ms = clock_monotonic_ms() + pause_ms;
	desk->older_than_ms = now_ms - keep_ms;
	submit(desk, CHOOSING, choose_old, on_chosen);
}

static int remove_old(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	int result = STORE_RUN(db, diag, audit_remove, NUMBER(desk->checkpoint.sequence), NUMBER(REMOVE_AT_ONCE));
	desk->rows = result == 0 ? store_changed(db) : 0;
	return result;
}

static void on_removed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct checkpoint_desk *desk = operation->context;
	if (result < 0) {
		fail(desk, diag->text);
		return;
	}
	if (desk->rows > 0) {
		remove_some(desk);
		return;
	}
	if (desk->has_more)
		desk->age_look_at_ms = 0;
	rest(desk, 0);
}

static void remove_some(struct checkpoint_desk *desk)
{
	submit(desk, CUTTING, remove_old, on_removed);
}

/* ---- life ---- */

void checkpoint_desk_look(struct broker *broker)
{
	struct checkpoint_desk *desk = broker->checkpoints;
	const struct conf *conf = &broker->room->conf;
	uint64_t now_ms = clock_monotonic_ms();
	desk->rows = desk->state == IDLE ? audit_rows() : desk->rows;
	if (desk->state != IDLE || now_ms < desk->again_at_ms)
		return;
	if (desk->rows == desk->covered_rows) {
		choose(desk);
		return;
	}
	if (desk->rows - desk->covered_rows >= conf->audit_checkpoint_records ||
	    now_ms - desk->covered_at_ms >= conf->audit_checkpoint_time_ms)
		submit(desk, LOOKING, look_at_end, on_end_seen);
}

int checkpoint_desk_new(struct broker *broker, struct diag *diag)
{
	struct checkpoint_desk *desk = calloc(1, sizeof(*desk));
	if (!desk)
		return diag_system(diag, "memory");
	desk->broker = broker;
	desk->covered_at_ms = clock_monotonic_ms();
	/* Whatever the gateway before this one has left uncovered counts as one row. */
	desk->covered_rows = UINT64_MAX;
	broker->checkpoints = desk;
	return 0;
}
