/* trial.h: whether somebody would reach a target under a policy, in circumstances that may be left open. Pure.
 *
 * Whoever is asked about has just logged in, has nothing else open, and uses an active device (a locked one reaches
 * nothing under any policy). Where circumstances are left open the answer is never too small: a rule that allows counts
 * as if its hours or networks fitted, one that denies as if they did not.
 */
#ifndef SALLYPORT_BROKER_TRIAL_H
#define SALLYPORT_BROKER_TRIAL_H

#include "people.h"
#include "policy.h"
#include "sallyport/realm.h"

struct circumstances {
	char realm[REALM_NAME_MAX + 1]; /* empty: the one that a login gets that asks for none */
	bool every_realm; /* any in which that person may log in */
	bool any_time, any_source;
	int64_t time_s;       /* seconds since 1970 */
	int32_t local_offset_s;
	bool has_source;
	struct target source;
};

/* Nothing is known: any realm, any time, any source. */
struct circumstances trial_anyhow(void);

/* Says which realm it is. ERR_BAD_INPUT with a sentence when there is none of that name. */
[[nodiscard]] int trial_take_realm(const char *name, const char *realms, struct circumstances *circumstances, struct diag *diag);

/* *out_rule: the rule that decided, "" when none did; valid as long as the policy. `realms`: as in the configuration. */
bool trial_reaches(const struct policy *policy, const char *realms, const struct person *person,
		   const struct circumstances *circumstances, const struct target *target, const char **out_rule);

/* "alice", "a member of staff", "anybody" */
#define TRIAL_WHO_MAX 300
void trial_who(const struct person *person, char *out_text, size_t capacity);

#endif
