/* map.c: a hash table with chains; it doubles when it is full. */
#include "map.h"

#include <stdlib.h>

#include "sallyport/err.h"
#include "sallyport/fd.h"

enum { FIRST_CAPACITY = 64 };

/* FNV-1a with a random start. Keys are random ids, digests, or names that admins chose. */
static uint64_t hash_of(const struct map *map, struct view key)
{
	uint64_t hash = 0xcbf29ce484222325u ^ map->seed;
	for (size_t i = 0; i < key.size; i++)
		hash = (hash ^ key.data[i]) * 0x100000001b3u;
	return hash ^ (hash >> 32);
}

int map_init(struct map *map)
{
	*map = (struct map){.capacity = FIRST_CAPACITY};
	map->places = calloc(map->capacity, sizeof(*map->places));
	if (!map->places)
		return ERR_SYSTEM;
	fd_random(&map->seed, sizeof(map->seed));
	return 0;
}

void map_fini(struct map *map)
{
	free(map->places);
	*map = (struct map){.places = NULL};
}

static struct map_entry **place_of(const struct map *map, uint64_t hash)
{
	return &map->places[hash & (map->capacity - 1)];
}

static void put(struct map *map, struct map_entry *entry)
{
	struct map_entry **place = place_of(map, entry->hash);
	entry->next = *place;
	*place = entry;
}

static void grow(struct map *map)
{
	struct map larger = {.capacity = 2 * map->capacity, .count = map->count, .seed = map->seed};
	larger.places = calloc(larger.capacity, sizeof(*larger.places));
	if (!larger.places)
		return;
	for (size_t i = 0; i < map->capacity; i++)
		for (struct map_entry *entry = map->places[i], *next; entry; entry = next) {
			next = entry->next;
			put(&larger, entry);
		}
	free(map->places);
	*map = larger;
}

void map_add(struct map *map, struct map_entry *entry, struct view key)
{
	entry->key = key;
	entry->hash = hash_of(map, key);
	if (map->count >= map->capacity)
		grow(map);
	put(map, entry);
	map->count++;
}

struct map_entry *map_find(const struct map *map, struct view key)
{
	uint64_t hash = hash_of(map, key);
	for (struct map_entry *entry = *place_of(map, hash); entry; entry = entry->next)
		if (entry->hash == hash && view_equal(entry->key, key))
			return entry;
	return NULL;
}

void map_remove(struct map *map, struct map_entry *entry)
{
	for (struct map_entry **place = place_of(map, entry->hash); *place; place = &(*place)->next)
		if (*place == entry) {
			*place = entry->next;
			map->count--;
			return;
		}
}
