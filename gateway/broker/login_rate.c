/* login_rate.c: buckets of logins, in a hash with eight places for each value, keyed by a secret. */
#include "login_rate.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "policy_form.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/str.h"
#include "worker.h"

enum { SETS = 2048, PLACES = 8, MINUTE_MS = 60000 };

struct login_rates {
	uint8_t secret[16];
	struct login_rate places[SETS * PLACES];
};

int login_rates_new(struct login_rates **out_rates)
{
	struct login_rates *rates = calloc(1, sizeof(*rates));
	if (!rates)
		return ERR_SYSTEM;
	fd_random(rates->secret, sizeof(rates->secret));
	*out_rates = rates;
	return 0;
}

const char *login_rate_kind_name(enum login_rate_kind kind)
{
	static const char *const names[] = {"", "device", "user", "source", "connections of device"};
	return names[kind];
}

/* ---- the table ---- */

static uint64_t key_of(const struct login_rates *rates, enum login_rate_kind kind, const char *name)
{
	uint8_t text[sizeof(rates->secret) + 1 + 256], hash[HASH_BYTES];
	size_t length = strlen(name);
	length = length < 256 ? length : 256;
	uint64_t key;
	memcpy(text, rates->secret, sizeof(rates->secret));
	text[sizeof(rates->secret)] = (uint8_t)kind;
	memcpy(text + sizeof(rates->secret) + 1, name, length);
	hash_sha256(view_of(text, sizeof(rates->secret) + 1 + length), hash);
	memcpy(&key, hash, sizeof(key));
	return key ? key : 1;
}

static uint64_t debt_at(const struct login_rate *place, uint64_t now_ms)
{
	uint64_t passed = now_ms - place->at_ms;
	return place->key && place->debt_ms > passed ? place->debt_ms - passed : 0;
}

/* Its own place; else an empty one, or that of whoever owes least. */
static struct login_rate *place_of(struct login_rates *rates, uint64_t key, uint64_t now_ms)
{
	struct login_rate *set = &rates->places[key % SETS * PLACES], *least = set;
	for (int i = 0; i < PLACES; i++) {
		if (set[i].key == key)
			return &set[i];
		if (debt_at(&set[i], now_ms) < debt_at(least, now_ms))
			least = &set[i];
	}
	return least;
}

/* ---- whose buckets ---- */

struct bucket {
	enum login_rate_kind kind;
	const char *name;
	uint64_t per_minute;
};

static bool is_exempt(const struct conf *conf, const struct sockaddr_storage *address)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(conf->source_exempt, &position, &item)) {
		struct policy_network network;
		struct diag diag;
		if (policy_network_parse(item, &network, &diag) == 0 &&
		    policy_in_network(&network.address, network.prefix, address))
			return true;
	}
	return false;
}

/* Empty when it has no bucket. */
static void spell_source(const struct conf *conf, const char *address, char *out_text, size_t capacity)
{
	struct target target;
	out_text[0] = 0;
	if (target_parse(view_string(address), 1, &target, NULL) < 0 || !target.is_address ||
	    (conf && is_exempt(conf, &target.address)))
		return;
	if (target.address.ss_family == AF_INET6)
		memset(((struct sockaddr_in6 *)&target.address)->sin6_addr.s6_addr + 8, 0, 8);
	target_address_text((const struct sockaddr *)&target.address, out_text, capacity);
}

/* ---- taking ---- */

static uint64_t wait_ms(struct login_rates *rates, const struct bucket *bucket, uint64_t now_ms)
{
	uint64_t key = key_of(rates, bucket->kind, bucket->name);
	const struct login_rate *place = place_of(rates, key, now_ms);
	uint64_t price = MINUTE_MS / bucket->per_minute, most = price * bucket->per_minute;
	uint64_t debt = place->key == key ? debt_at(place, now_ms) : 0;
	return debt + price > most ? debt + price - most : 0;
}

static void take(struct login_rates *rates, const struct bucket *bucket, uint64_t now_ms)
{
	uint64_t key = key_of(rates, bucket->kind, bucket->name);
	struct login_rate *place = place_of(rates, key, now_ms);
	uint64_t debt = place->key == key ? debt_at(place, now_ms) : 0;
	place->key = key;
	place->kind = bucket->kind;
	place->at_ms = now_ms;
	place->debt_ms = debt + MINUTE_MS / bucket->per_minute;
	str_copy(place->name, sizeof(place->name), bucket->name);
	str_make_printable(place->name);
}

uint32_t login_rate_take(struct broker *broker, const struct worker *worker, const char *user)
{
	const struct conf *conf = &broker->room->conf;
	char source[INET6_ADDRSTRLEN];
	spell_source(conf, worker->address, source, sizeof(source));
	const struct bucket buckets[] = {
		{LOGIN_RATE_DEVICE, worker->device->name, conf->logins_per_device},
		{LOGIN_RATE_USER, device_is_bound_to(worker->device, user) ? user : "", conf->logins_per_user},
		{LOGIN_RATE_SOURCE, source, conf->logins_per_source},
	};
	enum { COUNT = sizeof(buckets) / sizeof(buckets[0]) };
	uint64_t now_ms = clock_monotonic_ms(), longest = 0;
	for (size_t i = 0; i < COUNT; i++) {
		uint64_t wait = *buckets[i].name ? wait_ms(broker->login_rates, &buckets[i], now_ms) : 0;
		longest = wait > longest ? wait : longest;
	}
	for (size_t i = 0; i < COUNT && !longest; i++)
		if (*buckets[i].name)
			take(broker->login_rates, &buckets[i], now_ms);
	return (uint32_t)((longest + 999) / 1000);
}

bool login_rate_take_connection(struct broker *broker, const struct device *device)
{
	const struct bucket bucket = {LOGIN_RATE_CONNECTIONS, device->name, broker->room->conf.connections_per_device};
	uint64_t now_ms = clock_monotonic_ms();
	if (wait_ms(broker->login_rates, &bucket, now_ms))
		return false;
	take(broker->login_rates, &bucket, now_ms);
	return true;
}

/* ---- an admin's ---- */

static unsigned forget(struct login_rates *rates, enum login_rate_kind kind, const char *name)
{
	uint64_t key = key_of(rates, kind, name);
	struct login_rate *place = place_of(rates, key, clock_monotonic_ms());
	if (place->key != key)
		return 0;
	*place = (struct login_rate){.key = 0};
	return 1;
}

unsigned login_rate_forget_source(struct broker *broker, const char *source)
{
	struct login_rates *rates = broker->login_rates;
	char text[INET6_ADDRSTRLEN];
	unsigned forgotten = 0;
	if (*source) {
		spell_source(NULL, source, text, sizeof(text));
		return *text ? forget(rates, LOGIN_RATE_SOURCE, text) : 0;
	}
	for (size_t i = 0; i < SETS * PLACES; i++) {
		forgotten += rates->places[i].key != 0;
		rates->places[i] = (struct login_rate){.key = 0};
	}
	return forgotten;
}

void login_rate_forget_user(struct broker *broker, const char *user)
{
	const struct device *device;
	(void)forget(broker->login_rates, LOGIN_RATE_USER, user);
	LIST_FOREACH(device, &broker->registry.devices, all)
		if (device_is_bound_to(device, user)) {
			(void)forget(broker->login_rates, LOGIN_RATE_DEVICE, device->name);
			(void)forget(broker->login_rates, LOGIN_RATE_CONNECTIONS, device->name);
		}
}

static uint64_t per_minute(const struct conf *conf, enum login_rate_kind kind)
{
	const uint64_t rates[] = {1, conf->logins_per_device, conf->logins_per_user, conf->logins_per_source,
				  conf->connections_per_device};
	return rates[kind];
}

const struct login_rate *login_rate_next(const struct broker *broker, size_t *position)
{
	uint64_t now_ms = clock_monotonic_ms();
	while (*position < SETS * PLACES) {
		const struct login_rate *place = &broker->login_rates->places[(*position)++];
		uint64_t most = per_minute(&broker->room->conf, place->kind), price = MINUTE_MS / most;
		if (place->key && debt_at(place, now_ms) + price > price * most)
			return place;
	}
	return NULL;
}
