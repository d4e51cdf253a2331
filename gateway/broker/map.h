/* map.h: a hash table from bytes to objects; the entries live inside the objects. */
#ifndef SALLYPORT_BROKER_MAP_H
#define SALLYPORT_BROKER_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"

struct map_entry {
	struct map_entry *next;
	struct view key; /* borrowed from the object */
	uint64_t hash;
};

struct map {
	struct map_entry **places; /* a power of two */
	size_t capacity, count;
	uint64_t seed; /* random: a stranger cannot aim at one place */
};

/* ERR_SYSTEM without memory. */
[[nodiscard]] int map_init(struct map *map);
/* Frees the table; the objects stay their owner's. */
void map_fini(struct map *map);
/* Adds; the key must stay valid. Of several with one key any may be found. Never fails: a table that cannot grow is slow. */
void map_add(struct map *map, struct map_entry *entry, struct view key);
struct map_entry *map_find(const struct map *map, struct view key);
/* Removes an entry that was added; one that is not there is left alone. */
void map_remove(struct map *map, struct map_entry *entry);

/* MAP_FIND(&registry->names, key, struct device, by_name): the object, or NULL. */
#define MAP_FIND(map, key, type, member)                                                          \
	({                                                                                        \
		struct map_entry *found_ = map_find(map, key);                                    \
		found_ ? (type *)(void *)((char *)found_ - offsetof(type, member)) : NULL;        \
	})

#endif
