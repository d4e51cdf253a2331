/* test_crowd.c: where many came from, honestly: the narrowest network that most share, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../gateway/broker/crowd.h"

static struct crowd crowd;

static int set_up(void **state)
{
	(void)state;
	crowd_clear(&crowd);
	return 0;
}

/* 250 of each network; they differ in that byte of the address. */
static void come(const char *first, unsigned byte, unsigned step, unsigned count)
{
	uint8_t address[CROWD_ADDRESS_BYTES];
	char text[CROWD_NETWORK_TEXT];
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(crowd_read_address(first, address), 0);
		address[byte] = (uint8_t)(address[byte] + i / 250 * step);
		address[CROWD_ADDRESS_BYTES - 1] = (uint8_t)(i % 250);
		crowd_spell_network(address, 128, text);
		crowd_add(&crowd, text, "");
	}
}

static void expect(const char *sentence)
{
	struct crowd_summary summary;
	char text[256];
	crowd_sum_up(&crowd, &summary);
	crowd_spell(&summary, text, sizeof(text));
	assert_string_equal(text, sentence);
}

static void test_a_whole_network(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char address[64], user[32];
		snprintf(address, sizeof(address), "198.18.%u.%u", i * 37 % 256, i % 250);
		snprintf(user, sizeof(user), "user-%u", i % 40);
		crowd_add(&crowd, address, user);
	}
	expect("1000 addresses of 198.18.0.0/16, naming 40 users");
}

static void test_a_stranger_among_them_hides_nobody(void **state)
{
	(void)state;
	come("198.18.0.0", 14, 1, 1000);
	crowd_add(&crowd, "203.0.113.9", "alice");
	crowd_add(&crowd, "2001:db8::9", "alice");
	crowd_add(&crowd, "", "alice");
	expect("1003 addresses, 1000 of 1003 of them from 198.18.0.0/22, naming 1 user");
}

static void test_one_address(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		crowd_add(&crowd, "192.0.2.7", "alice");
	expect("192.0.2.7, naming 1 user");
}

static void test_one_nearly_alone(void **state)
{
	(void)state;
	for (int i = 0; i < 28; i++)
		crowd_add(&crowd, "192.0.2.7", "");
	crowd_add(&crowd, "203.0.113.1", "");
	expect("2 addresses, 28 of 29 of them from 192.0.2.7");
}

static void test_from_everywhere(void **state)
{
	(void)state;
	come("7.9.9.0", 12, 60, 1000);
	expect("1000 addresses of no one network");
}

static void test_a_network_of_ipv6(void **state)
{
	(void)state;
	come("2001:db8::", 5, 1, 1000);
	expect("1000 addresses of 2001:db8::/46");
}

static void test_from_nowhere(void **state)
{
	(void)state;
	expect("0 addresses of no one network");
	for (int i = 0; i < 30; i++)
		crowd_add(&crowd, "admin", "");
	expect("an unknown address");
}

static void test_the_last_ones_count(void **state)
{
	struct crowd_summary summary;
	(void)state;
	come("10.0.0.0", 14, 1, 3000);
	come("198.18.0.0", 14, 1, CROWD_MAX);
	crowd_sum_up(&crowd, &summary);
	assert_int_equal(crowd.count, 3000 + CROWD_MAX);
	assert_int_equal(summary.looked_at, CROWD_MAX);
	assert_string_equal(summary.network, "198.18.0.0/22");
}

static void test_networks(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		unsigned bits;
		const char *network;
	} rows[] = {{"192.0.2.77", 128, "192.0.2.77"},    {"192.0.2.77", 96 + 20, "192.0.0.0/20"}, {"192.0.2.77", 96, "0.0.0.0/0"},
		    {"192.0.2.77", 95, "::fffe:0:0/95"}, {"2001:db8:1:2::3", 48, "2001:db8:1::/48"}, {"2001:db8::3", 128, "2001:db8::3"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t address[CROWD_ADDRESS_BYTES];
		char text[CROWD_NETWORK_TEXT];
		assert_int_equal(crowd_read_address(rows[i].address, address), 0);
		crowd_spell_network(address, rows[i].bits, text);
		assert_string_equal(text, rows[i].network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_whole_network, set_up),
		cmocka_unit_test_setup(test_a_stranger_among_them_hides_nobody, set_up),
		cmocka_unit_test_setup(test_one_address, set_up),
		cmocka_unit_test_setup(test_one_nearly_alone, set_up),
		cmocka_unit_test_setup(test_from_everywhere, set_up),
		cmocka_unit_test_setup(test_a_network_of_ipv6, set_up),
		cmocka_unit_test_setup(test_from_nowhere, set_up),
		cmocka_unit_test_setup(test_the_last_ones_count, set_up),
		cmocka_unit_test(test_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
