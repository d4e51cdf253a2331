/* judge.c: the facts of a decision: groups from the name services, the time, the gateway's own addresses. */
#include "judge.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "shadow.h"
#include "traffic.h"
#include "worker.h"

/* The clock must be this much behind to count as set back. */
enum { SET_BACK_MS = 2000 };

int64_t judge_furthest_ms(struct broker *broker)
{
	int64_t wall_ms = (int64_t)clock_wall_ms();
	int64_t offset_ms = wall_ms - (int64_t)clock_monotonic_ms();
	if (!broker->clock_offset_ms || offset_ms > broker->clock_offset_ms)
		broker->clock_offset_ms = offset_ms;
	int64_t behind_ms = broker->clock_offset_ms - offset_ms;
	if ((behind_ms > SET_BACK_MS) != broker->clock_is_behind) {
		broker->clock_is_behind = behind_ms > SET_BACK_MS;
		log_warning(broker->clock_is_behind ? "the clock was set back by %lld s: what has ended by where it stood stays ended, until it "
						      "is there again or the gateway is started anew"
						    : "the clock is where it was before it was set back (%lld s)", (long long)behind_ms / 1000);
	}
	return behind_ms > SET_BACK_MS ? wall_ms + behind_ms : wall_ms;
}

int64_t judge_behind_ms(const struct broker *broker)
{
	int64_t offset_ms = (int64_t)clock_wall_ms() - (int64_t)clock_monotonic_ms();
	int64_t behind_ms = broker->clock_offset_ms ? broker->clock_offset_ms - offset_ms : 0;
	return behind_ms > SET_BACK_MS ? behind_ms : 0;
}

static void fill_time(const struct judgement *judgement, struct policy_facts *facts)
{
	facts->times_s[0] = (int64_t)clock_wall_ms() / 1000;
	facts->times_s[1] = judge_furthest_ms(judgement->broker) / 1000;
	facts->time_count = 2;
	if (judgement->at_s) {
		facts->times_s[0] = judgement->at_s;
		facts->time_count = 1;
	}
	struct tm local;
	time_t moment = (time_t)facts->times_s[0];
	localtime_r(&moment, &local);
	facts->local_offset_s = (int32_t)local.tm_gmtoff;
}

static void fill_ages(const struct judgement *judgement, struct policy_facts *facts)
{
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	const struct session *session = judgement->session;
	const struct tunnel *tunnel = judgement->tunnel ? tunnel_find(&judgement->broker->tunnels, judgement->tunnel) : NULL;
	if (session) {
		facts->login_age_ms = (uint64_t)(now_ms - session->login_at_ms);
		facts->lease_age_ms = (uint64_t)(now_ms - session->began_at_ms);
	}
	facts->idle_ms = tunnel ? traffic_of(tunnel->watch).idle_ms : 0;
}

/* The newest certificate that the device may use; the client's own when there is a client. */
static const char *key_kind_of(const struct judgement *judgement, const struct worker *worker)
{
	const struct certificate *certificate;
	if (worker) {
		certificate = registry_certificate(&judgement->broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
		return certificate ? certificate->key_kind : NULL;
	}
	return registry_key_kind(judgement->device);
}

static void fill_client(const struct judgement *judgement, struct policy_facts *facts, struct target *source)
{
	const struct worker *worker = judgement->worker ? worker_find(judgement->broker, judgement->worker) : NULL;
	facts->key_kind = key_kind_of(judgement, worker);
	facts->source = judgement->source;
	if (!facts->source && worker && target_parse(view_string(worker->address), 1, source, NULL) == 0 && source->is_address)
		facts->source = &source->address;
}

/* The rules of the session's other tunnels: of all when one is opened, of the older ones when one is judged again, so
 * that the youngest go when there are too many. */
static const char **fill_tunnels(const struct judgement *judgement, struct policy_facts *facts)
{
	const struct tunnel *tunnel, *own = NULL;
	if (!judgement->session || !policy_counts_tunnels(judgement->broker->policy))
		return NULL;
	const char **rules = calloc(judgement->session->tunnel_count + 1, sizeof(*rules));
	if (!rules)
		return NULL;
	own = judgement->tunnel ? tunnel_find(&judgement->broker->tunnels, judgement->tunnel) : NULL;
	bool is_new = !own || own->state == TUNNEL_JUDGING;
	LIST_FOREACH(tunnel, &judgement->session->tunnels, of_session)
		if (tunnel != own && tunnel->rule && !tunnel->end_reason && (is_new || tunnel->id < own->id))
			rules[facts->tunnel_count++] = tunnel->rule;
	facts->tunnel_rules = rules;
	return rules;
}

static void on_groups(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct judgement *judgement = query->context;
	struct policy_verdict verdict = {.allowed = false};
	struct target source;
	struct policy_facts facts = {
		.user = judgement->user,
		.groups = names,
		.group_count = count,
		.device = judgement->device->name,
		.tags = judgement->device->tags,
		.realm = judgement->realm || !judgement->session ? judgement->realm : judgement->session->realm,
	};
	fill_time(judgement, &facts);
	fill_ages(judgement, &facts);
	fill_client(judgement, &facts, &source);
	OWN_MEMORY const char **rules = fill_tunnels(judgement, &facts);
	bool uncounted = !rules && judgement->session && policy_counts_tunnels(judgement->broker->policy);
	/* A deny rule may name a group: without the groups there is no verdict. */
	if (result == 0 && uncounted)
		result = ERR_SYSTEM;
	if (result == 0 && judgement->target) {
		policy_decide(judgement->broker->policy, &facts, judgement->target, &verdict);
		shadow_watch(judgement->broker, &facts, judgement->target, &verdict);
	}
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

bool judge_address(struct broker *broker, const char *resource, const struct sockaddr *address)
{
	struct policy_own_addresses own = own_addresses(broker);
	const struct policy_resource *found = policy_resource_named(broker->policy, resource);
	/* Without one's own addresses nothing can be told apart: no. Loopback is always there. */
	return found && own.count > 0 && policy_address_allowed(found, address, &own);
}
