/* crowd.c: addresses, sorted; a network is a run of those that begin alike. See crowd.h. */
#include "crowd.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

/* A wider network is no more than "the internet": it has no owner who could be asked. */
enum { ALL_BITS = 8 * CROWD_ADDRESS_BYTES, LEAST_BITS_IPV4 = CROWD_IPV4_BITS + 8, LEAST_BITS_IPV6 = 16 };

static const uint8_t ipv4_prefix[CROWD_IPV4_BITS / 8] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const uint8_t *address)
{
	return memcmp(address, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

int crowd_read_address(const char *text, uint8_t out_address[CROWD_ADDRESS_BYTES])
{
	uint8_t address[CROWD_ADDRESS_BYTES];
	memcpy(address, ipv4_prefix, sizeof(ipv4_prefix));
	if (inet_pton(AF_INET, text, address + sizeof(ipv4_prefix)) != 1 && inet_pton(AF_INET6, text, address) != 1)
		return ERR_BAD_INPUT;
	memcpy(out_address, address, sizeof(address));
	return 0;
}

static void mask(uint8_t *address, unsigned bits)
{
	for (unsigned i = 0; i < CROWD_ADDRESS_BYTES; i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
		address[i] &= kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept);
	}
}

void crowd_spell_network(const uint8_t address[CROWD_ADDRESS_BYTES], unsigned bits, char *out_text)
{
	uint8_t network[CROWD_ADDRESS_BYTES];
	char text[INET6_ADDRSTRLEN];
	bool of_ipv4 = is_ipv4(address) && bits >= CROWD_IPV4_BITS;
	memcpy(network, address, sizeof(network));
	mask(network, bits);
	out_text[0] = 0;
	if (!inet_ntop(of_ipv4 ? AF_INET : AF_INET6, of_ipv4 ? network + sizeof(ipv4_prefix) : network, text, sizeof(text)))
		return;
	if (bits == ALL_BITS)
		snprintf(out_text, CROWD_NETWORK_TEXT, "%s", text);
	else
		snprintf(out_text, CROWD_NETWORK_TEXT, "%s/%u", text, of_ipv4 ? bits - CROWD_IPV4_BITS : bits);
}

/* ---- coming ---- */

void crowd_clear(struct crowd *crowd)
{
	crowd->count = 0;
}

static uint64_t hash_of(const char *name)
{
	uint8_t bytes[HASH_BYTES];
	uint64_t hash;
	hash_sha256(view_string(name), bytes);
	memcpy(&hash, bytes, sizeof(hash));
	return *name ? hash | 1 : 0;
}

void crowd_add(struct crowd *crowd, const char *address, const char *name)
{
	struct crowd_member *member = &crowd->members[crowd->count++ % CROWD_MAX];
	*member = (struct crowd_member){.name = hash_of(name)};
	(void)!crowd_read_address(address, member->address);
}

/* ---- summing up ---- */

static int compare_addresses(const void *one, const void *other)
{
	return memcmp(((const struct crowd_member *)one)->address, ((const struct crowd_member *)other)->address, CROWD_ADDRESS_BYTES);
}

static int compare_names(const void *one, const void *other)
{
	uint64_t a = ((const struct crowd_member *)one)->name, b = ((const struct crowd_member *)other)->name;
	return a < b ? -1 : a > b;
}

static unsigned count_names(struct crowd_member *members, unsigned count)
{
	unsigned different = 0;
	qsort(members, count, sizeof(*members), compare_names);
	for (unsigned i = 0; i < count; i++)
		different += members[i].name && (i == 0 || members[i].name != members[i - 1].name);
	return different;
}

static bool begin_alike(const uint8_t *one, const uint8_t *other, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	return memcmp(one, other, whole) == 0 && (!rest || ((one[whole] ^ other[whole]) >> (8 - rest)) == 0);
}

/* The longest run of members, sorted, that are in one network of so many bits; where it begins. */
static unsigned longest_run(const struct crowd_member *members, unsigned count, unsigned bits, unsigned *out_from)
{
	unsigned longest = 0;
	for (unsigned from = 0, to; from < count; from = to) {
		for (to = from + 1; to < count && begin_alike(members[from].address, members[to].address, bits); to++)
			;
		if (to - from > longest) {
			longest = to - from;
			*out_from = from;
		}
	}
	return longest;
}

static bool is_worth_a_name(const uint8_t *address, unsigned bits)
{
	static const uint8_t nowhere[CROWD_ADDRESS_BYTES] = {0};
	return memcmp(address, nowhere, sizeof(nowhere)) != 0 && bits >= (is_ipv4(address) ? LEAST_BITS_IPV4 : LEAST_BITS_IPV6);
}

static void find_network(const struct crowd_member *members, unsigned count, struct crowd_summary *summary)
{
	unsigned from = 0, run = 0, bits = ALL_BITS;
	/* With no bits at all everybody is in one. */
	while (count && (run = longest_run(members, count, bits, &from)) * 10 < count * 9)
		bits--;
	if (!count || !is_worth_a_name(members[from].address, bits))
		return;
	summary->inside = run;
	crowd_spell_network(members[from].address, bits, summary->network);
}

void crowd_sum_up(const struct crowd *crowd, struct crowd_summary *out_summary)
{
	struct crowd_member members[CROWD_MAX];
	unsigned count = crowd->count < CROWD_MAX ? (unsigned)crowd->count : CROWD_MAX;
	memcpy(members, crowd->members, count * sizeof(*members));
	*out_summary = (struct crowd_summary){.looked_at = count, .names = count_names(members, count)};
	qsort(members, count, sizeof(*members), compare_addresses);
	for (unsigned i = 0; i < count; i++)
		out_summary->addresses += i == 0 || compare_addresses(&members[i - 1], &members[i]) != 0;
	find_network(members, count, out_summary);
}

void crowd_spell(const struct crowd_summary *summary, char *out_text, size_t capacity)
{
	char where[CROWD_NETWORK_TEXT + 64], names[40] = "";
	if (summary->names)
		snprintf(names, sizeof(names), ", naming %u user%s", summary->names, summary->names == 1 ? "" : "s");
	if (!*summary->network)
		snprintf(where, sizeof(where), " of no one network");
	else if (summary->inside == summary->looked_at)
		snprintf(where, sizeof(where), " of %s", summary->network);
	else
		snprintf(where, sizeof(where), ", %u of %u of them from %s", summary->inside, summary->looked_at, summary->network);
	if (summary->addresses == 1)
		snprintf(out_text, capacity, "%s%s", *summary->network ? summary->network : "an unknown address", names);
	else
		snprintf(out_text, capacity, "%u addresses%s%s", summary->addresses, where, names);
}
