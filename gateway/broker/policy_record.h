/* policy_record.h: the policies that were in force, as texts in the store. policy_record.c; who reads them: admin_policy_history.c.
 */
#ifndef SALLYPORT_BROKER_POLICY_RECORD_H
#define SALLYPORT_BROKER_POLICY_RECORD_H

#include "hash.h"
#include "policy.h"
#include "sallyport/buf.h"
#include "store.h"

struct broker;
struct room;

/* The files of one policy, as copies. */
struct policy_texts {
	struct policy_file *list;
	size_t count;
	char print[2 * HASH_BYTES + 1]; /* SHA-256 of all texts, each as LENGTH:TEXT */
};
/* NULL-safe. */
void policy_texts_free(struct policy_texts *texts);
/* Adds copies. ERR_SYSTEM without memory. */
[[nodiscard]] int policy_texts_add(struct policy_texts *texts, const char *name, const char *text);
/* Pure. ERR_SYSTEM without memory. */
[[nodiscard]] int policy_texts_print(const struct policy_texts *texts, char out_print[2 * HASH_BYTES + 1]);
/* Those that the monitor has sent and that are not forgotten yet. */
[[nodiscard]] int policy_texts_take(struct room *room, struct policy_texts **out_texts, struct diag *diag);

/* This policy is in force: a new version in the store, when it is another than the last one. Takes the texts over. At the
 * start, before the store's thread runs; and after a reload, when it is tried again until it stands (policy_record_look, now
 * and then): while the record cannot be written nothing is granted by it either. */
[[nodiscard]] int policy_record_start(struct broker *broker, struct policy_texts *texts, struct diag *diag);
void policy_record_reload(struct broker *broker, struct policy_texts *texts);
void policy_record_look(struct broker *broker);

/* Inside an operation's work: records of before that moment go. So do the versions that were over by then; the one that was in
 * force then is named by a new record. */
[[nodiscard]] int policy_record_age(struct store_db *db, uint64_t before_ms, struct diag *diag);

#endif
