/* test_audit.c: the chain of the audit log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "audit.h"

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

/* Computed elsewhere: sha256 of "1:1,4:1000,5:login,12:login_failed,3:a-1,6:laptop,5:alice,9:192.0.2.1,2:no,64:00...0," */
static const char expected[] = "b0f9cb151269bcc603d5aac42f1f39c1921656418e3d04a0cbfbbb08e091238d";

static struct audit_entry sample(void)
{
	struct audit_entry entry = {.code = "login_failed", .request_id = "a-1", .device = "laptop", .user = "alice",
				    .address = "192.0.2.1"};
	audit_fill(&entry, "login", "%s", "no");
	return entry;
}

static void test_G1_hash_covers_every_column(void **state)
{
	(void)state;
	char hash[65], other[65];
	struct audit_entry entry = sample();
	audit_hash(1, 1000, &entry, zeros, hash);
	assert_string_equal(hash, expected);
	char *const columns[] = {entry.code, entry.request_id, entry.device, entry.user, entry.address, entry.detail};
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		columns[i][0] ^= 1;
		audit_hash(1, 1000, &entry, zeros, other);
		assert_string_not_equal(hash, other);
		columns[i][0] ^= 1;
	}
	audit_hash(2, 1000, &entry, zeros, other);
	assert_string_not_equal(hash, other);
	audit_hash(1, 1001, &entry, zeros, other);
	assert_string_not_equal(hash, other);
	audit_hash(1, 1000, &entry, hash, other);
	assert_string_not_equal(hash, other);
}

/* Moving a character from one column to the next changes the hash: lengths are part of it. */
static void test_G1_columns_do_not_run_into_one_another(void **state)
{
	(void)state;
	char hash[65], other[65];
	struct audit_entry first = {.device = "ab", .user = "c"}, second = {.device = "a", .user = "bc"};
	audit_fill(&first, "x", "d");
	audit_fill(&second, "x", "d");
	audit_hash(1, 1, &first, zeros, hash);
	audit_hash(1, 1, &second, zeros, other);
	assert_string_not_equal(hash, other);
}

static void test_long_and_unprintable_detail_is_cut_and_cleaned(void **state)
{
	(void)state;
	struct audit_entry entry = {.code = ""};
	char text[4 * AUDIT_DETAIL_MAX];
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	audit_fill(&entry, "x", "%s", text);
	assert_int_equal(strlen(entry.detail), AUDIT_DETAIL_MAX);
	assert_null(strchr(entry.detail, '\n'));
	char hash[65];
	audit_hash(UINT64_MAX, UINT64_MAX, &entry, zeros, hash);
	assert_int_equal(strlen(hash), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_G1_hash_covers_every_column),
		cmocka_unit_test(test_G1_columns_do_not_run_into_one_another),
		cmocka_unit_test(test_long_and_unprintable_detail_is_cut_and_cleaned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
