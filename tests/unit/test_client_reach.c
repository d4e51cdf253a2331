/* test_client_reach.c: addresses of resources as other programs write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reach.h"
#include "sallyport/own.h"

static int add(const struct reach_place *place, void *context)
{
	return buf_add_format(context, "%s%s %u-%u %s;", place->is_pattern ? "~" : "", place->host, place->first_port, place->last_port,
			      place->alias ? place->alias : "");
}

static void test_places(void **state)
{
	(void)state;
	static const struct {
		const char *name, *addresses, *places;
	} rows[] = {
		{"db", "db1:5432", "db1 5432-5432 db;"},
		{"a b", "db1:5432", "db1 5432-5432 ;"},
		{"-db", "db1:5432", "db1 5432-5432 ;"},
		{"db", "db1:5432-5440", "db1 5432-5440 db;"},
		{"db", "db1:1, db2:2", "db1 1-1 ;db2 2-2 ;"},
		{"six", "[2001:db8::1]:22", "2001:db8::1 22-22 six;"},
		{"any", "*.corp.example:443", "~*.corp.example 443-443 ;"},
		{"net", "10.0.0.0/8:22", "~10.* 22-22 ;"},
		{"net", "10.20.0.0/16:22", "~10.20.* 22-22 ;"},
		{"net", "10.20.6.0/23:22", "~10.20.6.*,10.20.7.* 22-22 ;"},
		{"net", "10.20.6.9/24:22", "~10.20.6.* 22-22 ;"},
		{"net", "10.20.6.8/31:22", "~10.20.6.8,10.20.6.9 22-22 ;"},
		{"net", "10.20.6.8/32:22", "~10.20.6.8 22-22 ;"},
		{"six", "[2001:db8::]/32:22, [2001:db8::/32]:22", ""},
		{"bad", "x:0, x:70000, x:2-1, x, :, 10.0.0.0/33:1, 10.0.0.0/0:1, a b:1", "b 1-1 ;"},
		/* A name or a pattern that would take all of the user's ssh, or several, is none. */
		{"*", "db1:22", "db1 22-22 ;"},
		{"d*", "db1:22", "db1 22-22 ;"},
		{"!db", "db1:22", "db1 22-22 ;"},
		{"db,web", "db1:22", "db1 22-22 ;"},
		{"db:1", "db1:22", "db1 22-22 ;"},
		{"db.corp-1_a", "db1:22", "db1 22-22 db.corp-1_a;"},
		{"d\xc3\xa9", "db1:22", "db1 22-22 ;"},
		{"any", "*:22, *.:22, *.*:22, **:22, [*]:22, [*:*]:22, d*:22, *b:22, *.-b:22, !b:22", ""},
		{"bad", "a\"b:1", ""},
		{"bad", "a\nb:1", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(65536);
		struct answer_resource resource = {.name = (char *)rows[i].name, .addresses = (char *)rows[i].addresses};
		const struct answer_resources resources = {.item = &resource, .count = 1};
		assert_int_equal(reach_each(&resources, add, &text), 0);
		assert_int_equal(buf_add(&text, view_of("", 1)), 0);
		assert_string_equal((const char *)text.data, rows[i].places);
	}
}

static void test_the_widest_network(void **state)
{
	(void)state;
	OWN_BUF struct buf text = BUF_INIT(65536);
	struct answer_resource resource = {.name = (char *)"net", .addresses = (char *)"255.255.255.255/25:65535"};
	const struct answer_resources resources = {.item = &resource, .count = 1};
	assert_int_equal(reach_each(&resources, add, &text), 0);
	assert_non_null(memmem(text.data, text.size, "255.255.255.255 65535-65535", 27));
}

static void test_names(void **state)
{
	(void)state;
	static const char *const plain[] = {"db", "prod-db_1.corp", "1"};
	static const char *const others[] = {"", "-db", "a b", "$(reboot)", "`reboot`", "*", "a\nb", "a\033[2J", "a;b", "\xc3\xa9", "a:1"};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		assert_true(reach_is_name(plain[i]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(reach_is_name(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_the_widest_network),
					   cmocka_unit_test(test_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
