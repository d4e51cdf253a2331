/* record_check.c: the checks on one record after the other. */
#include "record_check.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

/* The gateway's own records have less than 4 KiB. */
enum { ROW_BYTES_MAX = 1 << 20, SHA256_BYTES = 32 };

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

[[gnu::format(printf, 3, 4)]] static void find(struct record_check *check, int64_t sequence, const char *format, ...)
{
	char sentence[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	check->findings++;
	if (check->first_bad == 0 || sequence < check->first_bad)
		check->first_bad = sequence;
	check->on_finding(check->context, sequence, sentence);
}

bool record_hash(struct buf *row, const struct record *record, char *out_hash)
{
	uint8_t hash[SHA256_BYTES];
	buf_reset(row);
	if (!record->well_formed || record->sequence < 1 || record->at_ms < 0)
		return false;
	int result = checkpoint_number(row, (uint64_t)record->sequence);
	if (result == 0)
		result = checkpoint_number(row, (uint64_t)record->at_ms);
	for (int i = 0; result == 0 && i < RECORD_HASH; i++)
		result = checkpoint_field(row, record->texts[i]);
	if (result < 0 || gnutls_hash_fast(GNUTLS_DIG_SHA256, row->data, row->size, hash) < 0)
		return false;
	str_hex(view_of(hash, sizeof(hash)), out_hash);
	return true;
}

static const char *origin(const struct kept_checkpoint *kept)
{
	return kept->is_from_elsewhere ? "given" : "in the store";
}

/* ---- before the records: which checkpoints count ---- */

static int take_checkpoint(void *self, const struct checkpoint *checkpoint, struct diag *diag)
{
	struct record_check *check = self;
	return checkpoints_add(check->checkpoints, checkpoint, false, diag);
}

/* Many gateways may tell the same log; but in its own store a gateway has no foreign ones. */
static bool counts(struct record_check *check, const struct kept_checkpoint *kept)
{
	int64_t sequence = (int64_t)kept->checkpoint.sequence;
	if (!check->keys)
		return true;
	switch (checkpoint_judge(check->keys, &kept->checkpoint)) {
	case CHECKPOINT_GOOD:
		return true;
	case CHECKPOINT_FORGED:
		find(check, sequence, "the checkpoint of record %" PRId64 " %s does not bear its key's signature", sequence, origin(kept));
		return false;
	default:
		if (kept->is_from_elsewhere)
			check->foreign++;
		else
			find(check, sequence, "the checkpoint of record %" PRId64 " in the store is signed with a key that was not given (%.16s...)",
			     sequence, kept->checkpoint.key);
		return false;
	}
}

static void keep_good(struct record_check *check)
{
	struct checkpoints *all = check->checkpoints;
	size_t kept = 0;
	for (size_t i = 0; i < all->count; i++) {
		if (!counts(check, &all->list[i]))
			continue;
		const struct checkpoint *good = &all->list[i].checkpoint;
		if (good->kind == CHECKPOINT_CUT && good->sequence > check->cut)
			check->cut = good->sequence;
		all->list[kept++] = all->list[i];
	}
	all->count = kept;
}

/* ---- records ---- */

static bool is(struct view text, const char *hash)
{
	return text.size == CHECKPOINT_HASH_MAX && memcmp(text.data, hash, CHECKPOINT_HASH_MAX) == 0;
}

/* Where a chain whose beginning was removed goes on. NULL: in the midst of a removal; its cut is to come. */
static const char *hash_of_cut(const struct record_check *check, uint64_t sequence)
{
	for (size_t i = 0; i < check->checkpoints->count; i++) {
		const struct checkpoint *one = &check->checkpoints->list[i].checkpoint;
		if (one->kind == CHECKPOINT_CUT && one->sequence == sequence)
			return one->hash;
	}
	return NULL;
}

static void check_first(struct record_check *check, const struct record *record)
{
	uint64_t removed = record->sequence > 0 ? (uint64_t)record->sequence - 1 : 0;
	if (removed == 0 || removed > check->cut) {
		memcpy(check->last_hash, zeros, sizeof(check->last_hash));
		return;
	}
	const char *hash = hash_of_cut(check, removed);
	check->last_sequence = (int64_t)removed;
	if (hash)
		str_copy(check->last_hash, sizeof(check->last_hash), hash);
	else
		(void)!view_to_string(record->texts[RECORD_PREVIOUS_HASH], check->last_hash, sizeof(check->last_hash));
}

static void check_place(struct record_check *check, const struct record *record)
{
	int64_t due = check->last_sequence + 1;
	if (record->sequence < due)
		find(check, record->sequence, "record %" PRId64 ": no record can have this number here", record->sequence);
	else if (record->sequence == due + 1)
		find(check, due, "record %" PRId64 " is missing", due);
	else if (record->sequence > due)
		find(check, due, "records %" PRId64 " to %" PRId64 " are missing", due, record->sequence - 1);
	else if (!is(record->texts[RECORD_PREVIOUS_HASH], check->last_hash))
		find(check, record->sequence,
		     "record %" PRId64 " does not follow the record before it: order changed, inserted, or that one written anew",
		     record->sequence);
}

static void check_content(struct record_check *check, const struct record *record)
{
	char hash[2 * SHA256_BYTES + 1] = "";
	if (!record_hash(&check->row, record, hash))
		find(check, record->sequence, "record %" PRId64 " was changed: the gateway writes no such columns", record->sequence);
	else if (!is(record->texts[RECORD_HASH], hash))
		find(check, record->sequence, "record %" PRId64 " was changed: its content does not have its hash", record->sequence);
}

/* A checkpoint is itself in the record: taking it out of the table alone is seen. */
static void check_told(struct record_check *check, const struct record *record)
{
	char line[CHECKPOINT_LINE_MAX + 1];
	struct checkpoint told;
	if (!view_is(record->texts[RECORD_EVENT], "checkpoint") ||
	    view_to_string(record->texts[RECORD_DETAIL], line, sizeof(line)) < 0 || checkpoint_parse(line, &told) < 0)
		return;
	for (size_t i = check->next; i-- > 0;)
		if (strcmp(check->checkpoints->list[i].checkpoint.signature, told.signature) == 0 &&
		    !check->checkpoints->list[i].is_from_elsewhere)
			return;
		else if (check->checkpoints->list[i].checkpoint.sequence < told.sequence)
			break;
	find(check, (int64_t)told.sequence,
	     "the checkpoint of record %" PRIu64 ", which record %" PRId64 " tells of, is not good or not in the store's table",
	     told.sequence, record->sequence);
}

static void check_one_checkpoint(struct record_check *check, const struct kept_checkpoint *kept, const struct record *record)
{
	int64_t sequence = (int64_t)kept->checkpoint.sequence;
	if (sequence < record->sequence && (uint64_t)sequence > check->cut)
		find(check, sequence, "the checkpoint of record %" PRId64 " %s has no record", sequence, origin(kept));
	else if (sequence == record->sequence && !is(record->texts[RECORD_HASH], kept->checkpoint.hash))
		find(check, sequence, "record %" PRId64 " is not the one of its checkpoint %s: the chain was written anew, here or before",
		     sequence, origin(kept));
	else if (sequence == record->sequence) {
		check->newest = &kept->checkpoint;
		check->passed++;
	}
}

/* All checkpoints up to that record: those before it were of records that are not there. */
static void check_checkpoints(struct record_check *check, const struct record *record)
{
	for (; check->next < check->checkpoints->count; check->next++) {
		const struct kept_checkpoint *kept = &check->checkpoints->list[check->next];
		if ((int64_t)kept->checkpoint.sequence > record->sequence)
			return;
		check_one_checkpoint(check, kept, record);
	}
}

static int visit(void *self, const struct record *record, struct diag *diag)
{
	struct record_check *check = self;
	(void)diag;
	if (check->records++ == 0)
		check_first(check, record);
	check_place(check, record);
	check_content(check, record);
	check_checkpoints(check, record);
	check_told(check, record);
	check->last_sequence = record->sequence;
	/* A hash of another length fits no successor's. */
	if (view_to_string(record->texts[RECORD_HASH], check->last_hash, sizeof(check->last_hash)) < 0)
		check->last_hash[0] = 0;
	return 0;
}

/* ---- the end ---- */

static void check_end(struct record_check *check)
{
	int64_t missing = check->last_sequence + 1;
	if (check->next == check->checkpoints->count)
		return;
	const struct kept_checkpoint *newest = &check->checkpoints->list[check->checkpoints->count - 1];
	if (newest->checkpoint.kind == CHECKPOINT_CUT && check->records == 0)
		return;
	find(check, missing,
	     "record %" PRId64 " is missing, and all up to %" PRIu64 ", of which there is a checkpoint %s: the newest records were cut "
	     "off, or this is an older copy",
	     missing, newest->checkpoint.sequence, origin(newest));
}

int record_check(struct record_store *store, struct record_check *check, struct diag *diag)
{
	check->row = BUF_INIT(ROW_BYTES_MAX);
	int result = record_read_checkpoints(store, take_checkpoint, check, diag);
	if (result < 0)
		return result;
	keep_good(check);
	checkpoints_sort(check->checkpoints);
	result = record_read(store, 0, visit, check, diag);
	if (result == 0)
		check_end(check);
	return result;
}

void record_check_fini(struct record_check *check)
{
	buf_fini(&check->row);
}
