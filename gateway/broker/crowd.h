/* crowd.h: where many came from: the last so many addresses and names, and the narrowest network that most of them share.
 *
 * Pure but for the hash of names; nothing here knows why they came.
 */
#ifndef SALLYPORT_BROKER_CROWD_H
#define SALLYPORT_BROKER_CROWD_H

#include <stddef.h>
#include <stdint.h>

#include "sallyport/err.h"

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d. */
#define CROWD_ADDRESS_BYTES 16
#define CROWD_IPV4_BITS 96 /* in front of an IPv4 address */
#define CROWD_NETWORK_TEXT 64

struct crowd_member {
	uint8_t address[CROWD_ADDRESS_BYTES]; /* zeros: from nowhere that is known */
	uint64_t name;                        /* a hash; 0: none was named */
};

#define CROWD_MAX 1024
struct crowd {
	struct crowd_member members[CROWD_MAX]; /* the last ones, in no order */
	uint64_t count;                         /* of all that were added */
};

/* ERR_BAD_INPUT for what is no address. */
[[nodiscard]] int crowd_read_address(const char *text, uint8_t out_address[CROWD_ADDRESS_BYTES]);
/* "192.0.2.0/24": the network of `bits` bits (of 128) that the address is in; the whole address without a number of bits.
 * CROWD_NETWORK_TEXT characters. */
void crowd_spell_network(const uint8_t address[CROWD_ADDRESS_BYTES], unsigned bits, char *out_text);

void crowd_clear(struct crowd *crowd);
void crowd_add(struct crowd *crowd, const char *address, const char *name);

/* What a crowd has in common. */
struct crowd_summary {
	unsigned looked_at;              /* members: all, or the last CROWD_MAX */
	unsigned addresses, names;       /* different ones among them */
	unsigned inside;                 /* members in the network */
	char network[CROWD_NETWORK_TEXT]; /* the narrowest that nine in ten are in; empty: there is none worth a name */
};
void crowd_sum_up(const struct crowd *crowd, struct crowd_summary *out_summary);
/* "298 addresses of 198.18.0.0/16, 40 users named", as it follows after "from". */
void crowd_spell(const struct crowd_summary *summary, char *out_text, size_t capacity);

#endif
