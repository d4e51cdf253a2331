/* networks.c: one certificate in two networks at once.
 *
 * A laptop that leaves the office for the train is seen in both for a moment, and one with IPv4 and IPv6 always has two
 * addresses: so only networks of one family are compared, and nobody is refused. Two of them for hours are a copied key, or
 * a key that two laptops share.
 */
#include "networks.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/str.h"
#include "worker.h"

enum { AGAIN_MS = 3600 * 1000, ADDRESS_BYTES = 16, FOUR_BYTES = 3, SIX_BYTES = 6 };

/* The bytes that a network has in common; how many, 0 for what is no address. */
static size_t network(const char *address, uint8_t out_bytes[ADDRESS_BYTES])
{
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (inet_pton(AF_INET, address, out_bytes) == 1)
		return FOUR_BYTES;
	if (inet_pton(AF_INET6, address, out_bytes) != 1)
		return 0;
	if (memcmp(out_bytes, mapped, sizeof(mapped)) != 0)
		return SIX_BYTES;
	memmove(out_bytes, out_bytes + sizeof(mapped), 4);
	return FOUR_BYTES;
}

/* Both of one family, and not the same network. */
static bool are_apart(const struct worker *one, const struct worker *other)
{
	uint8_t of_one[ADDRESS_BYTES], of_other[ADDRESS_BYTES];
	size_t size = network(one->address, of_one);
	return size && size == network(other->address, of_other) && memcmp(of_one, of_other, size) != 0;
}

static bool is_same_family(const struct worker *one, const struct worker *other)
{
	uint8_t ignored[ADDRESS_BYTES];
	return network(one->address, ignored) == network(other->address, ignored);
}

/* The first connection from its network. */
static bool is_first(const struct device *device, const struct worker *worker)
{
	const struct worker *other;
	LIST_FOREACH(other, &device->workers, of_device) {
		if (other == worker)
			return true;
		if (other->counted && is_same_family(other, worker) && !are_apart(other, worker))
			return false;
	}
	return true;
}

unsigned networks_of(const struct device *device)
{
	const struct worker *worker;
	uint8_t ignored[ADDRESS_BYTES];
	unsigned four = 0, six = 0;
	LIST_FOREACH(worker, &device->workers, of_device)
		if (worker->counted && is_first(device, worker))
			*(network(worker->address, ignored) == SIX_BYTES ? &six : &four) += 1;
	return four > six ? four : six;
}

/* True once an hour for each pair, in either order. */
static bool is_news(struct device *device, const char *one, const char *other, uint64_t now_ms)
{
	struct device_pair *oldest = &device->pairs[0];
	if (strcmp(one, other) > 0)
		return is_news(device, other, one, now_ms);
	for (size_t i = 0; i < DEVICE_PAIRS; i++) {
		struct device_pair *pair = &device->pairs[i];
		if (pair->at_ms && now_ms - pair->at_ms < AGAIN_MS && strcmp(pair->one, one) == 0 && strcmp(pair->other, other) == 0)
			return false;
		if (pair->at_ms < oldest->at_ms)
			oldest = pair;
	}
	str_copy(oldest->one, sizeof(oldest->one), one);
	str_copy(oldest->other, sizeof(oldest->other), other);
	oldest->at_ms = now_ms;
	return true;
}

void networks_note(struct worker *worker)
{
	const struct worker *other;
	struct audit_entry entry = {.code = ""};
	LIST_FOREACH(other, &worker->device->workers, of_device)
		if (other->counted && other != worker && are_apart(other, worker))
			break;
	if (!other || !is_news(worker->device, other->address, worker->address, clock_monotonic_ms()))
		return;
	worker_fill_audit(worker, 0, &entry);
	audit_fill(&entry, "two_networks", "%s is connected from %s and from %s at the same time", worker->device->name, other->address,
		   worker->address);
	audit_record(worker->broker, &entry, NULL, NULL);
}
