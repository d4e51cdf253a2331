/* test_source_table.c: sources: rate, penalties, exemptions, and that their number costs nothing more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "../../gateway/monitor/source_table.h"

static const struct source_limits limits = {
	.at_once = 10, .per_second = 5, .penalty_least_ms = 15000, .penalty_most_ms = 600000};
static struct diag diag;

static struct source_address address(const char *text)
{
	struct source_address parsed;
	assert_int_equal(source_address_parse(view_string(text), &parsed), 0);
	return parsed;
}

static unsigned welcomed(struct source_table *table, const char *text, unsigned tries, uint64_t now_ms)
{
	const struct source_address from = address(text);
	unsigned count = 0;
	while (tries--)
		count += source_arrives(table, &from, &limits, now_ms) == SOURCE_WELCOME;
	return count;
}

static int set_up(void **state)
{
	static struct source_table table;
	*state = &table;
	return source_table_init(&table, 1000, &diag);
}

static int tear_down(void **state)
{
	source_table_fini(*state);
	return 0;
}

static void test_E3_a_source_has_its_rate(void **state)
{
	assert_int_equal(welcomed(*state, "192.0.2.1", 100, 1000), 10);
	assert_int_equal(welcomed(*state, "192.0.2.2", 100, 1000), 10);
	assert_int_equal(welcomed(*state, "192.0.2.1", 100, 2000), 5);
	/* Of IPv6 a /64 is one source. */
	assert_int_equal(welcomed(*state, "2001:db8::1", 100, 1000), 10);
	assert_int_equal(welcomed(*state, "2001:db8::ffff:1", 100, 1000), 0);
	assert_int_equal(welcomed(*state, "2001:db8:0:1::1", 100, 1000), 10);
}

static void test_E3_penalties_grow_and_are_forgotten(void **state)
{
	const struct source_address from = address("192.0.2.1");
	for (int i = 0; i < 2; i++)
		source_penalise(*state, &from, 5000, &limits, 1000);
	assert_int_equal(source_arrives(*state, &from, &limits, 1000), SOURCE_WELCOME);
	source_penalise(*state, &from, 5000, &limits, 1000);
	assert_int_equal(source_arrives(*state, &from, &limits, 1000), SOURCE_PENALISED);
	assert_int_equal(source_arrives(*state, &from, &limits, 15999), SOURCE_PENALISED);
	assert_int_equal(source_arrives(*state, &from, &limits, 16000), SOURCE_WELCOME);
	for (int i = 0; i < 1000; i++)
		source_penalise(*state, &from, 5000, &limits, 20000);
	assert_int_equal(source_arrives(*state, &from, &limits, 619999), SOURCE_PENALISED);
	assert_int_equal(source_arrives(*state, &from, &limits, 620000), SOURCE_WELCOME);
	/* Failures that are far enough apart never add up. */
	for (uint64_t now = 700000; now < 900000; now += 5000) {
		source_penalise(*state, &from, 5000, &limits, now);
		assert_int_equal(source_arrives(*state, &from, &limits, now), SOURCE_WELCOME);
	}
}

static void test_sources_can_be_seen_and_cleared(void **state)
{
	char text[SOURCE_TEXT_MAX];
	const struct source_address bad = address("192.0.2.1"), worse = address("2001:db8::7");
	size_t position = 0;
	assert_int_equal(welcomed(*state, "192.0.2.9", 5, 1000), 5);
	assert_null(source_next(*state, &position, 1000));
	source_penalise(*state, &bad, 20000, &limits, 1000);
	position = 0;
	source_spell(source_next(*state, &position, 1000), text);
	assert_string_equal(text, "192.0.2.1");
	assert_null(source_next(*state, &position, 1000));
	assert_int_equal(source_clear(*state, &bad), 1);
	assert_int_equal(source_clear(*state, &bad), 0);
	assert_int_equal(source_arrives(*state, &bad, &limits, 1000), SOURCE_WELCOME);
	source_penalise(*state, &worse, 20000, &limits, 1000);
	position = 0;
	source_spell(source_next(*state, &position, 1000), text);
	assert_string_equal(text, "2001:db8::/64");
	assert_int_equal(source_clear(*state, NULL), 3);
	position = 0;
	assert_null(source_next(*state, &position, 1000));
}

static void test_exemptions(void **state)
{
	(void)state;
	struct source_networks networks;
	const struct {
		const char *address;
		bool exempt;
	} rows[] = {{"127.0.0.9", true}, {"128.0.0.1", false}, {"::1", true}, {"::2", false}, {"192.0.2.129", true},
		    {"192.0.2.127", false}, {"2001:db8:1::5", true}, {"2001:db8:2::5", false}};
	assert_int_equal(source_networks_parse("source_exempt", "127.0.0.0/8\n::1\n192.0.2.128/25\n2001:db8:1::/48\n", &networks, &diag), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct source_address from = address(rows[i].address);
		assert_int_equal(source_networks_have(&networks, &from), rows[i].exempt);
	}
	const char *const bad[] = {"127.0.0.0/33\n", "x\n", "1.2.3\n", "::/129\n", "1.2.3.4/\n", "1.2.3.4/8/8\n", "/8\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(source_networks_parse("source_exempt", bad[i], &networks, &diag), ERR_BAD_CONFIG);
	assert_int_equal(source_networks_parse("source_exempt", "", &networks, &diag), 0);
	assert_int_equal(networks.count, 0);
}

/* A flood of sources neither grows the table nor pushes out whoever is being refused. */
static void test_E3_two_hundred_thousand_sources(void **state)
{
	(void)state;
	struct source_table table;
	char text[32];
	size_t position = 0;
	unsigned kept = 0;
	const struct source_address bad = address("198.51.100.1");
	assert_int_equal(source_table_init(&table, 200000, &diag), 0);
	assert_in_range(sizeof(struct source) * table.sets * 8, 1, 16 << 20);
	source_penalise(&table, &bad, 20000, &limits, 1000);
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		assert_int_equal(welcomed(&table, text, 1, 2000 + i / 1000), 1);
	}
	assert_int_equal(source_arrives(&table, &bad, &limits, 3000), SOURCE_PENALISED);
	while (source_next(&table, &position, 3000))
		kept++;
	assert_int_equal(kept, 1);
	source_table_fini(&table);
}

/* Pages of memory that are really there. */
static long resident_pages(void)
{
	long all = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
	fclose(file);
	return resident;
}

/* Processor time of so many sources that come once each, the first of them with that number. */
static double time_of(struct source_table *table, unsigned first, unsigned count)
{
	clock_t began = clock();
	for (unsigned i = 0; i < count; i++) {
		unsigned number = htonl(first + i);
		struct source_address from = {.bytes = {0x20, 0x01}};
		memcpy(from.bytes + 4, &number, sizeof(number));
		(void)source_arrives(table, &from, &limits, 1000 + i / 1000);
	}
	return (double)(clock() - began);
}

/* An arrival costs the same in a full table as in one of a few sources, and a flood no memory. */
static void test_E3_a_full_table_costs_no_more_time_and_memory(void **state)
{
	(void)state;
	enum { SOURCES = 200000, ROUND = 200000, ROUNDS = 5 };
	struct source_table small, full;
	double best_small = 1e30, best_full = 1e30;
	assert_int_equal(source_table_init(&small, SOURCES, &diag), 0);
	assert_int_equal(source_table_init(&full, SOURCES, &diag), 0);
	(void)time_of(&full, 0, 4 * SOURCES);
	(void)time_of(&small, 0, ROUND);
	long before = resident_pages();
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* The same few again and again; and always new ones. */
		double time = 0;
		for (unsigned i = 0; i < ROUND / 1000; i++)
			time += time_of(&small, 0, 1000);
		best_small = time < best_small ? time : best_small;
		time = time_of(&full, 4 * SOURCES + round * ROUND, ROUND);
		best_full = time < best_full ? time : best_full;
	}
	print_message("%d arrivals: %.0f us among few, %.0f us in a full table\n", ROUND, best_small, best_full);
	/* Memory that is far away and eight places instead of one; a table that is walked would take thousands of times. */
	assert_true(best_full < 20 * best_small);
	assert_in_range(resident_pages() - before + 256, 0, 512);
	source_table_fini(&small);
	source_table_fini(&full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_E3_a_source_has_its_rate, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_E3_penalties_grow_and_are_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sources_can_be_seen_and_cleared, set_up, tear_down),
		cmocka_unit_test(test_exemptions),
		cmocka_unit_test(test_E3_two_hundred_thousand_sources),
		cmocka_unit_test(test_E3_a_full_table_costs_no_more_time_and_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
