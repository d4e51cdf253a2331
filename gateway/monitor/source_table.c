/* source_table.c: who came how often, and in vain. See source_table.h. */
#include "source_table.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/conf.h"
#include "sallyport/fd.h"
#include "sallyport/str.h"

enum { WAYS = 8, FORGET_MS = 3600 * 1000 };

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* ---- addresses ---- */

static bool is_mapped(const struct source_address *address)
{
	return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

struct source_address source_address_of(const struct sockaddr_storage *from)
{
	struct source_address address;
	if (from->ss_family == AF_INET6) {
		memcpy(address.bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
		return address;
	}
	memcpy(address.bytes, mapped, sizeof(mapped));
	memcpy(address.bytes + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
	return address;
}

/* The whole source: IPv4 as it is, of IPv6 the /64 that one customer has. */
static struct source_address whole_of(const struct source_address *address)
{
	struct source_address whole = *address;
	if (!is_mapped(address))
		memset(whole.bytes + 8, 0, 8);
	return whole;
}

static int parse_network(struct view text, struct source_address *out_address, unsigned *out_prefix)
{
	char host[64];
	struct sockaddr_storage address = {.ss_family = AF_INET};
	const uint8_t *slash = text.size ? memchr(text.data, '/', text.size) : NULL;
	size_t length = slash ? (size_t)(slash - text.data) : text.size;
	if (view_to_string(view_of(text.data, length), host, sizeof(host)) < 0)
		return ERR_BAD_INPUT;
	uint64_t bits = 32, prefix;
	if (inet_pton(AF_INET, host, &((struct sockaddr_in *)&address)->sin_addr) != 1) {
		address.ss_family = AF_INET6;
		bits = 128;
		if (inet_pton(AF_INET6, host, &((struct sockaddr_in6 *)&address)->sin6_addr) != 1)
			return ERR_BAD_INPUT;
	}
	prefix = bits;
	if (slash && str_to_u64(view_of(slash + 1, text.size - length - 1), 0, bits, &prefix) < 0)
		return ERR_BAD_INPUT;
	*out_address = source_address_of(&address);
	*out_prefix = (unsigned)(prefix + (128 - bits));
	return 0;
}

int source_address_parse(struct view text, struct source_address *out_address)
{
	unsigned prefix;
	return parse_network(text, out_address, &prefix);
}

void source_spell(const struct source *source, char *out_text)
{
	bool four = is_mapped(&source->address);
	inet_ntop(four ? AF_INET : AF_INET6, source->address.bytes + (four ? 12 : 0), out_text, SOURCE_TEXT_MAX - 4);
	if (!four)
		strncat(out_text, "/64", 4);
}

int source_networks_parse(const char *key, const char *list, struct source_networks *out_networks, struct diag *diag)
{
	struct source_networks networks = {.count = 0};
	size_t position = 0;
	struct view item;
	while (conf_list_next(list, &position, &item)) {
		if (networks.count == SOURCE_NETWORKS_MAX ||
		    parse_network(item, &networks.list[networks.count].address, &networks.list[networks.count].prefix) < 0)
			return diag_set(diag, ERR_BAD_CONFIG, "%s: \"%.*s\" is no network, such as 192.0.2.0/24", key,
					(int)item.size, (const char *)item.data);
		networks.count++;
	}
	*out_networks = networks;
	return 0;
}

static bool begins_alike(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	return memcmp(a, b, whole) == 0 && (rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0);
}

bool source_networks_have(const struct source_networks *networks, const struct source_address *address)
{
	for (unsigned i = 0; i < networks->count; i++)
		if (begins_alike(networks->list[i].address.bytes, address->bytes, networks->list[i].prefix))
			return true;
	return false;
}

/* ---- the table ---- */

int source_table_init(struct source_table *table, uint64_t sources, struct diag *diag)
{
	table->sets = (size_t)(sources + WAYS - 1) / WAYS;
	table->entries = calloc(table->sets * WAYS, sizeof(*table->entries));
	fd_random(table->secret, sizeof(table->secret));
	return table->entries ? 0 : diag_set(diag, ERR_SYSTEM, "no memory for %llu sources", (unsigned long long)sources);
}

void source_table_fini(struct source_table *table)
{
	free(table->entries);
	table->entries = NULL;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
	v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 of the sixteen bytes. */
static uint64_t hash(const struct source_table *table, const struct source_address *address)
{
	uint64_t k0 = table->secret[0], k1 = table->secret[1];
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
	uint64_t words[3] = {0, 0, 16ULL << 56};
	memcpy(words, address->bytes, 16);
	for (int i = 0; i < 3; i++) {
		v[3] ^= words[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* What a place is worth: nothing when it is free; then by when it was seen; those with a penalty above all others. */
static uint64_t worth(const struct source *source, uint64_t now_ms)
{
	return source->penalty_until_ms > now_ms ? source->penalty_until_ms : source->seen_ms / 2;
}

static struct source *find(const struct source_table *table, const struct source_address *whole)
{
	struct source *set = &table->entries[hash(table, whole) % table->sets * WAYS];
	for (int i = 0; i < WAYS; i++)
		if (set[i].seen_ms && memcmp(&set[i].address, whole, sizeof(*whole)) == 0)
			return &set[i];
	return NULL;
}

static struct source *find_or_make(struct source_table *table, const struct source_address *address, uint64_t now_ms)
{
	const struct source_address whole = whole_of(address);
	struct source *source = find(table, &whole);
	if (source)
		return source;
	struct source *set = &table->entries[hash(table, &whole) % table->sets * WAYS], *least = set;
	for (int i = 1; i < WAYS; i++)
		if (worth(&set[i], now_ms) < worth(least, now_ms))
			least = &set[i];
	*least = (struct source){.address = whole, .seen_ms = now_ms};
	return least;
}

/* A penalty that is over has left nothing behind. */
static void forgive(struct source *source, uint64_t now_ms)
{
	if (source->penalty_until_ms <= now_ms)
		source->refusing = false;
	if (source->seen_ms + FORGET_MS <= now_ms && !source->refusing)
		source->failures = source->refused = 0;
}

enum source_verdict source_arrives(struct source_table *table, const struct source_address *address,
				   const struct source_limits *limits, uint64_t now_ms)
{
	struct source *source = find_or_make(table, address, now_ms);
	forgive(source, now_ms);
	source->seen_ms = now_ms;
	enum source_verdict verdict = SOURCE_WELCOME;
	if (source->refusing)
		verdict = SOURCE_PENALISED;
	else if (!sources_take(&source->arrivals, limits->at_once, limits->per_second, now_ms))
		verdict = SOURCE_TOO_OFTEN;
	source->refused += verdict != SOURCE_WELCOME && source->refused < UINT32_MAX;
	return verdict;
}

void source_penalise(struct source_table *table, const struct source_address *address, uint64_t penalty_ms,
		     const struct source_limits *limits, uint64_t now_ms)
{
	struct source *source = find_or_make(table, address, now_ms);
	forgive(source, now_ms);
	source->seen_ms = now_ms;
	source->failures += source->failures < UINT32_MAX;
	uint64_t until = (source->penalty_until_ms > now_ms ? source->penalty_until_ms : now_ms) + penalty_ms;
	uint64_t latest = now_ms + limits->penalty_most_ms;
	source->penalty_until_ms = until < latest ? until : latest;
	if (penalty_ms && source->penalty_until_ms - now_ms >= limits->penalty_least_ms)
		source->refusing = true;
}

unsigned source_clear(struct source_table *table, const struct source_address *address)
{
	if (address) {
		const struct source_address whole = whole_of(address);
		struct source *source = find(table, &whole);
		if (source)
			*source = (struct source){.seen_ms = 0};
		return source != NULL;
	}
	unsigned cleared = 0;
	for (size_t i = 0; i < table->sets * WAYS; i++)
		cleared += table->entries[i].seen_ms != 0;
	memset(table->entries, 0, table->sets * WAYS * sizeof(*table->entries));
	return cleared;
}

static bool is_remembered(const struct source *source, uint64_t now_ms)
{
	return source->seen_ms && (source->penalty_until_ms > now_ms || source->seen_ms + FORGET_MS > now_ms);
}

const struct source *source_next(const struct source_table *table, size_t *position, uint64_t now_ms)
{
	while (*position < table->sets * WAYS) {
		const struct source *source = &table->entries[(*position)++];
		if (is_remembered(source, now_ms) && (source->failures || source->refused))
			return source;
	}
	return NULL;
}

size_t source_count(const struct source_table *table, uint64_t now_ms)
{
	size_t count = 0;
	for (size_t i = 0; i < table->sets * WAYS; i++)
		count += is_remembered(&table->entries[i], now_ms);
	return count;
}

size_t source_places(const struct source_table *table)
{
	return table->sets * WAYS;
}
