/* shadow.c: notes where a policy on trial would decide otherwise: a row for each user, device and target, counted. What the
 * store has of it is shadow_store.c's. */
#include "shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"

int shadow_start(struct broker *broker, struct policy *policy)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	if (!shadow || map_init(&shadow->keys) < 0) {
		free(shadow);
		return ERR_SYSTEM;
	}
	shadow->policy = policy;
	shadow->began_at_ms = clock_wall_ms();
	shadow_stop(broker);
	shadow_store_forget(broker);
	broker->shadow = shadow;
	return 0;
}

void shadow_stop(struct broker *broker)
{
	struct shadow *shadow = broker->shadow;
	broker->shadow = NULL;
	if (!shadow)
		return;
	for (size_t i = 0; i < shadow->row_count; i++)
		free(shadow->rows[i]);
	map_fini(&shadow->keys);
	policy_free(shadow->policy);
	free(shadow);
}

struct shadow_row *shadow_row_of(struct shadow *shadow, const char *key)
{
	struct shadow_row *row = MAP_FIND(&shadow->keys, view_string(key), struct shadow_row, by_key);
	if (row)
		return row;
	row = shadow->row_count < SHADOW_ROWS_MAX ? calloc(1, sizeof(*row)) : NULL;
	if (!row)
		return NULL;
	str_copy(row->key, sizeof(row->key), key);
	shadow->rows[shadow->row_count++] = row;
	map_add(&shadow->keys, &row->by_key, view_string(row->key));
	row->first_ms = clock_wall_ms();
	return row;
}

static void note(struct shadow *shadow, const struct policy_facts *facts, const struct target *target,
		 const struct policy_verdict *verdict, const struct policy_verdict *other)
{
	char key[768];
	snprintf(key, sizeof(key), "%s\n%s\n%s:%u\n%d", facts->user, facts->device, target->host, target->port, verdict->allowed);
	struct shadow_row *row = shadow_row_of(shadow, key);
	shadow->different++;
	if (!row) {
		shadow->not_kept++;
		return;
	}
	row->count++;
	row->is_new = true;
	row->last_ms = clock_wall_ms();
	row->allowed = verdict->allowed;
	str_copy(row->user, sizeof(row->user), facts->user);
	str_copy(row->device, sizeof(row->device), facts->device);
	snprintf(row->target, sizeof(row->target), "%s:%u", target->host, target->port);
	str_copy(row->rule, sizeof(row->rule), verdict->rule);
	str_copy(row->shadow_rule, sizeof(row->shadow_rule), other->rule);
	str_copy(row->shadow_code, sizeof(row->shadow_code), other->code);
}

void shadow_watch(struct broker *broker, const struct policy_facts *facts, const struct target *target,
		  const struct policy_verdict *verdict)
{
	struct policy_verdict other;
	if (!broker->shadow || !broker->shadow->policy)
		return;
	broker->shadow->asked++;
	policy_decide(broker->shadow->policy, facts, target, &other);
	if (other.allowed != verdict->allowed)
		note(broker->shadow, facts, target, verdict, &other);
}
