/* shadow.h: a policy on trial: it is asked whatever the one in force is asked, and where it would decide otherwise is
 * noted. Nothing that it says changes access. The trial ends with the broker; what it has found is in the store (some seconds
 * behind), and is reported until the next trial begins or `end` forgets it. */
#ifndef SALLYPORT_BROKER_SHADOW_H
#define SALLYPORT_BROKER_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "map.h"
#include "policy.h"

struct broker;

/* More rows than a person reads; what does not fit is counted. */
#define SHADOW_ROWS_MAX 1000

struct shadow_row {
	struct map_entry by_key;
	char key[768]; /* user, device, target, verdict of the policy in force; a line each */
	char user[257], device[65], target[300], rule[129], shadow_rule[129], shadow_code[33];
	bool allowed; /* by the policy in force */
	bool is_new;  /* or changed: not in the store yet */
	uint64_t count, first_ms, last_ms;
};

struct shadow {
	struct policy *policy; /* NULL: it was of a broker before this one, and is over */
	struct map keys;
	struct shadow_row *rows[SHADOW_ROWS_MAX];
	size_t row_count;
	uint64_t began_at_ms, asked, different, not_kept;
	uint64_t saved_at_ms, saved_asked; /* monotonic; the count that the store has */
};

/* Takes the policy over and begins the trial; the one before ends. ERR_SYSTEM without memory. */
[[nodiscard]] int shadow_start(struct broker *broker, struct policy *policy);
void shadow_stop(struct broker *broker);
/* What the store has of a trial; before store_start. */
[[nodiscard]] int shadow_load(struct broker *broker, struct diag *diag);
/* Now and then: writes what is new. `at_once`: the broker ends. */
enum shadow_when { SHADOW_NOW_AND_THEN, SHADOW_AT_ONCE };
void shadow_save(struct broker *broker, enum shadow_when when);
/* shadow_store.c */
void shadow_store_forget(struct broker *broker);
/* The row with that key, made when there is none; NULL: no room. */
struct shadow_row *shadow_row_of(struct shadow *shadow, const char *key);
/* From judge.c, for each decision of the policy in force. */
void shadow_watch(struct broker *broker, const struct policy_facts *facts, const struct target *target,
		  const struct policy_verdict *verdict);

#endif
