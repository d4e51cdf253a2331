/* judge.c: the facts of a decision: groups from the name services, the time, the gateway's own addresses. */
#include "judge.h"

#include <ifaddrs.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "sallyport/clock.h"

static void fill_time(struct policy_facts *facts)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm local;
	localtime_r(&now, &local);
	facts->times_s[0] = now;
	facts->time_count = 1;
	facts->local_offset_s = (int32_t)local.tm_gmtoff;
}

static void on_groups(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct judgement *judgement = query->context;
	struct policy_verdict verdict = {.allowed = false};
	struct policy_facts facts = {
		.user = judgement->user,
		.groups = names,
		.group_count = count,
		.device = judgement->device->name,
		.tags = judgement->device->tags,
		.login_age_ms = judgement->login_age_ms,
	};
	fill_time(&facts);
	/* A deny rule may name a group: without the groups there is no verdict. */
	if (result == 0 && judgement->target)
		policy_decide(judgement->broker->policy, &facts, judgement->target, &verdict);
	judgement->done(judgement, result < 0 ? ERR_SYSTEM : 0, &facts, &verdict);
}

void judge(struct judgement *judgement)
{
	judgement->query.done = on_groups;
	judgement->query.context = judgement;
	groups_of(judgement->broker->groups, judgement->user, &judgement->query);
}

/* ---- addresses ---- */

/* An address that comes up is known this much later. */
enum { OWN_KEEP_MS = 1000 };

static void collect_own(struct own_addresses *own)
{
	struct ifaddrs *all = NULL;
	own->count = 0;
	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *one = all; one && own->count < OWN_ADDRESSES_MAX; one = one->ifa_next) {
		if (!one->ifa_addr || (one->ifa_addr->sa_family != AF_INET && one->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&own->list[own->count++], one->ifa_addr,
		       one->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	}
	freeifaddrs(all);
}

static struct policy_own_addresses own_addresses(struct broker *broker)
{
	struct own_addresses *own = &broker->own;
	uint64_t now_ms = clock_monotonic_ms();
	if (own->count == 0 || now_ms - own->read_at_ms > OWN_KEEP_MS) {
		collect_own(own);
		own->read_at_ms = now_ms;
	}
	return (struct policy_own_addresses){own->list, own->count};
}

static const struct policy_resource *find_resource(const struct policy *policy, const char *name)
{
	const struct policy_resource *resource;
	size_t position = 0;
	while ((resource = policy_next_resource(policy, &position)))
		if (strcmp(policy_resource_name(resource), name) == 0)
			return resource;
	return NULL;
}

bool judge_address(struct broker *broker, const char *resource, const struct sockaddr *address)
{
	struct policy_own_addresses own = own_addresses(broker);
	const struct policy_resource *found = find_resource(broker->policy, resource);
	/* Without one's own addresses nothing can be told apart: no. Loopback is always there. */
	return found && own.count > 0 && policy_address_allowed(found, address, &own);
}
