/* source_table.h: what the monitor remembers of each address that connects: how often it came, and how often in vain.
 *
 * Fixed memory and fixed time, however many sources there are: a hash with eight places for each value, keyed by a secret
 * so that nobody chooses his neighbours. When all eight are taken, the one that matters least is forgotten. An IPv6
 * source is its /64. Pure but for its one allocation: time comes from the caller.
 */
#ifndef SALLYPORT_MONITOR_SOURCE_TABLE_H
#define SALLYPORT_MONITOR_SOURCE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "sources.h"

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d. */
struct source_address {
	uint8_t bytes[16];
};

#define SOURCE_TEXT_MAX 50 /* "2001:db8::/64" */
#define SOURCE_NETWORKS_MAX 64

struct source_networks {
	struct {
		struct source_address address;
		unsigned prefix;
	} list[SOURCE_NETWORKS_MAX];
	unsigned count;
};

struct source_limits {
	uint64_t at_once, per_second;            /* connections */
	uint64_t penalty_least_ms, penalty_most_ms; /* refused from the least on, and never more than the most */
};

struct source {
	struct source_address address; /* of the whole source */
	uint64_t seen_ms;              /* 0: nobody stands here */
	struct sources_bucket arrivals;
	uint64_t penalty_until_ms;
	uint32_t failures, refused;
	bool refusing;
};

struct source_table {
	struct source *entries;
	size_t sets;
	uint64_t secret[2];
};

enum source_verdict { SOURCE_WELCOME, SOURCE_TOO_OFTEN, SOURCE_PENALISED };

[[nodiscard]] int source_table_init(struct source_table *table, uint64_t sources, struct diag *diag);
void source_table_fini(struct source_table *table);

/* An AF_INET or AF_INET6 address. */
struct source_address source_address_of(const struct sockaddr_storage *from);
/* "192.0.2.7" or "2001:db8::1", also with "/64" behind it. ERR_BAD_INPUT. */
[[nodiscard]] int source_address_parse(struct view text, struct source_address *out_address);
/* The source as text, SOURCE_TEXT_MAX characters. */
void source_spell(const struct source *source, char *out_text);

/* A LIST of addresses and networks (ADDRESS or ADDRESS/BITS), the value of that key. ERR_BAD_CONFIG names the item. */
[[nodiscard]] int source_networks_parse(const char *key, const char *list, struct source_networks *out_networks,
					struct diag *diag);
bool source_networks_have(const struct source_networks *networks, const struct source_address *address);

/* A connection from there: may it be served? */
enum source_verdict source_arrives(struct source_table *table, const struct source_address *address,
				   const struct source_limits *limits, uint64_t now_ms);
/* It was in vain. Penalties add up, and time takes them away. */
void source_penalise(struct source_table *table, const struct source_address *address, uint64_t penalty_ms,
		     const struct source_limits *limits, uint64_t now_ms);
/* Forgets one source, or all (NULL). Returns how many. */
unsigned source_clear(struct source_table *table, const struct source_address *address);
/* Walks those that have failed or were refused and are not forgiven: NULL at the end. `position` begins with 0. */
const struct source *source_next(const struct source_table *table, size_t *position, uint64_t now_ms);
/* How many sources are remembered, and for how many there is room. */
size_t source_count(const struct source_table *table, uint64_t now_ms);
size_t source_places(const struct source_table *table);

#endif
