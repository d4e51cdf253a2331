/* admin_policy_list.c: resources of the policy in force, all or those that a user or a group may come to reach, for files that
 * are made ahead (sallyport-admin browser policy). Whoever really comes is judged as always. */
#include "admin_json.h"
#include "admin_policy.h"
#include "groups.h"
#include "people.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct listing {
	struct groups_query query;
	struct admin_call *call;
	char user[257];
};

/* Everybody: NULL. */
static json_t *list(const struct policy *policy, const struct policy_facts *person)
{
	json_t *array = json_array();
	const struct policy_resource *resource;
	size_t position = 0;
	while ((resource = policy_next_resource(policy, &position)))
		if (!person || policy_may_be_for(policy, person, resource))
			json_array_append_new(array, json_pack("{s:s, s:o}", "name", policy_resource_name(resource), "addresses",
							       admin_json_lines(policy_resource_addresses(resource))));
	return json_pack("{s:o}", "resources", array);
}

static void on_groups(struct groups_query *query, int result, const char *const *names, size_t count)
{
	OWN_MEMORY struct listing *listing = query->context;
	const struct policy_facts person = {.user = listing->user, .groups = names, .group_count = count};
	if (result < 0)
		admin_fail(listing->call, 503, "the name services did not answer");
	else
		admin_reply(listing->call, 200, list(listing->call->broker->policy, &person));
}

static void list_for_user(struct admin_call *call, const char *user)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing || !str_copy(listing->user, sizeof(listing->user), user)) {
		free(listing);
		admin_fail(call, 400, "the user's name is too long");
		return;
	}
	listing->call = call;
	listing->query = (struct groups_query){.done = on_groups, .context = listing};
	groups_of(call->broker->groups, listing->user, &listing->query);
}

void admin_policy_resources(struct admin_call *call)
{
	const char *user = admin_query(call, "user"), *group = admin_query(call, "group");
	const struct policy_facts member = {.user = PEOPLE_UNKNOWN, .groups = &group, .group_count = 1};
	if (user)
		list_for_user(call, user);
	else
		admin_reply(call, 200, list(call->broker->policy, group ? &member : NULL));
}
