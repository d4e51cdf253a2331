/* test_registry.c: who is known, who is bound, which certificate opens door one. And the map beneath. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "map.h"
#include "registry.h"
#include "registry_memory.h"

static void test_A3_every_state_has_its_own_code(void **state)
{
	(void)state;
	static const struct {
		enum device_state device;
		enum certificate_state certificate;
		uint64_t now_ms, furthest_ms;
		const char *code; /* NULL: open */
	} rows[] = {
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 150, 150, NULL},
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 100, 100, NULL},
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 99, 99, "not_yet_valid"},
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 200, 200, "certificate_expired"},
		/* The clock was set back: before its beginning, and from behind its end. */
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 99, 150, "not_yet_valid"},
		{DEVICE_ACTIVE, CERTIFICATE_ACTIVE, 150, 200, "certificate_expired"},
		{DEVICE_LOCKED, CERTIFICATE_ACTIVE, 150, 150, "device_locked"},
		{DEVICE_REVOKED, CERTIFICATE_REVOKED, 150, 150, "device_revoked"},
		{DEVICE_ACTIVE, CERTIFICATE_SUPERSEDED, 150, 150, "certificate_superseded"},
		{DEVICE_ACTIVE, CERTIFICATE_REVOKED, 150, 150, "certificate_revoked"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct device device = {.state = rows[i].device};
		struct certificate certificate = {.device = &device, .state = rows[i].certificate, .not_before_ms = 100,
						  .not_after_ms = 200};
		const char *code = NULL;
		int result = certificate_check(&certificate, rows[i].now_ms, rows[i].furthest_ms, &code);
		assert_int_equal(result, rows[i].code ? ERR_DENIED : 0);
		if (rows[i].code)
			assert_string_equal(code, rows[i].code);
	}
}

static void test_A4_binding_is_exact_and_never_empty(void **state)
{
	(void)state;
	struct device *device = device_new("id", "laptop", "alice\nbob\n", "");
	struct device *nobody = device_new("id2", "other", "", "");
	assert_true(device_is_bound_to(device, "alice"));
	assert_true(device_is_bound_to(device, "bob"));
	static const char *const strangers[] = {"", "ali", "alice2", "Alice", "alice\nbob", "alice ", "\n", "b"};
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		assert_false(device_is_bound_to(device, strangers[i]));
		assert_false(device_is_bound_to(nobody, strangers[i]));
	}
	device_free(device);
	device_free(nobody);
}

struct thing {
	struct map_entry entry;
	char name[16];
};

static void test_map_finds_what_is_in_it_and_nothing_else(void **state)
{
	(void)state;
	enum { THINGS = 5000 };
	struct thing *things = calloc(THINGS, sizeof(*things));
	struct map map;
	assert_int_equal(map_init(&map), 0);
	for (int i = 0; i < THINGS; i++) {
		snprintf(things[i].name, sizeof(things[i].name), "thing %d", i);
		map_add(&map, &things[i].entry, view_string(things[i].name));
	}
	for (int i = 0; i < THINGS; i += 2)
		map_remove(&map, &things[i].entry);
	for (int i = 0; i < THINGS; i++) {
		struct thing *found = MAP_FIND(&map, view_string(things[i].name), struct thing, entry);
		assert_ptr_equal(found, i % 2 ? &things[i] : NULL);
	}
	assert_null(map_find(&map, view_string("")));
	map_remove(&map, &things[0].entry);
	assert_int_equal(map.count, THINGS / 2);
	map_fini(&map);
	free(things);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A3_every_state_has_its_own_code),
		cmocka_unit_test(test_A4_binding_is_exact_and_never_empty),
		cmocka_unit_test(test_map_finds_what_is_in_it_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
