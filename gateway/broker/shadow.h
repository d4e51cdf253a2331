/* shadow.h: a policy on trial: it is asked whatever the one in force is asked, and where it would decide otherwise is
 * noted. Nothing that it says changes access. In memory only: it ends with the broker. */
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
	uint64_t count, first_ms, last_ms;
};

struct shadow {
	struct policy *policy;
	struct map keys;
	struct shadow_row *rows[SHADOW_ROWS_MAX];
	size_t row_count;
	uint64_t began_at_ms, asked, different, not_kept;
};

/* Takes the policy over and begins the trial; the one before ends. ERR_SYSTEM without memory. */
[[nodiscard]] int shadow_start(struct broker *broker, struct policy *policy);
void shadow_stop(struct broker *broker);
/* From judge.c, for each decision of the policy in force. */
void shadow_watch(struct broker *broker, const struct policy_facts *facts, const struct target *target,
		  const struct policy_verdict *verdict);

#endif
