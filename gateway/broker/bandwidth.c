/* bandwidth.c: divides a rule's max_rate over the connections of a device: by their tunnels, so that all tunnels count alike. */
#include "bandwidth.h"

#include <string.h>

#include "broker.h"
#include "worker.h"

/* A rule by its name; two rules of one policy with one number would share a bandwidth. FNV-1a. */
static uint64_t group_of(const char *rule)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; *rule; rule++)
		hash = (hash ^ (uint8_t)*rule) * 0x100000001b3u;
	return hash ? hash : 1;
}

static bool is_in(const struct tunnel *tunnel, uint64_t group)
{
	return tunnel->rate && tunnel->rate_group == group && tunnel->state == TUNNEL_OPEN;
}

static uint64_t count(const struct worker *worker, uint64_t group)
{
	const struct tunnel *tunnel;
	uint64_t found = 0;
	LIST_FOREACH(tunnel, &worker->tunnels, of_worker)
		found += is_in(tunnel, group);
	return found;
}

static void tell(struct worker *worker, uint64_t group, uint64_t share)
{
	struct tunnel *tunnel;
	bool is_new = false;
	LIST_FOREACH(tunnel, &worker->tunnels, of_worker) {
		if (!is_in(tunnel, group))
			continue;
		/* 0: its `opened` or its own `rate` will say. */
		is_new |= tunnel->rate_share && tunnel->rate_share != share;
		tunnel->rate_share = share;
	}
	if (is_new)
		WORKER_SEND(worker, rate, -1, .rate_group = group, .rate = share);
}

static void divide(const struct device *device, uint64_t group, uint64_t rate)
{
	struct worker *worker;
	uint64_t total = 0;
	LIST_FOREACH(worker, &device->workers, of_device)
		total += count(worker, group);
	LIST_FOREACH(worker, &device->workers, of_device) {
		uint64_t own = count(worker, group);
		/* At most 1024 GiB a second times some thousand tunnels: it fits. */
		if (own)
			tell(worker, group, rate * own / total ? rate * own / total : 1);
	}
}

void bandwidth_unknown(struct tunnel *tunnel)
{
	/* A limit that no rule has. */
	tunnel->rate = 1;
	tunnel->rate_group = 0;
}

void bandwidth_changed(struct tunnel *tunnel)
{
	if (tunnel->rate)
		divide(tunnel->session->device, tunnel->rate_group, tunnel->rate);
}

void bandwidth_left(const struct tunnel *tunnel)
{
	if (tunnel->rate)
		divide(tunnel->session->device, tunnel->rate_group, tunnel->rate);
}

void bandwidth_limit(struct tunnel *tunnel, const char *rule, uint64_t rate)
{
	uint64_t group = rate ? group_of(rule) : 0, old_group = tunnel->rate_group, old_rate = tunnel->rate;
	if (group == old_group && rate == old_rate)
		return;
	tunnel->rate = rate;
	tunnel->rate_group = group;
	tunnel->rate_share = 0;
	if (tunnel->state != TUNNEL_OPEN)
		return;
	if (old_rate && old_group != group)
		divide(tunnel->session->device, old_group, old_rate);
	bandwidth_changed(tunnel);
	WORKER_SEND(tunnel->worker, rate, -1, .tunnel = tunnel->id, .rate_group = group, .rate = tunnel->rate_share);
}
