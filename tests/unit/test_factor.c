/* test_factor.c: one-time codes and what seals them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oath.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "seal.h"

/* RFC 6238, appendix B: the secret and its codes for SHA-1, of which the last six digits count here. */
static const char rfc_secret[] = "12345678901234567890";
static const struct {
	int64_t seconds;
	const char *code;
} rfc_codes[] = {{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"},
		 {2000000000, "279037"}, {20000000000, "353130"}};

static enum oath_match judge(const char *code, int64_t step, unsigned window, int64_t last_step, int64_t *out_step)
{
	return oath_judge(view_string(rfc_secret), code, step, window, last_step, out_step);
}

static void test_codes_of_the_standard(void **state)
{
	(void)state;
	int64_t found = 0;
	assert_int_equal(oath_begin(), 0);
	for (size_t i = 0; i < sizeof(rfc_codes) / sizeof(rfc_codes[0]); i++) {
		int64_t step = rfc_codes[i].seconds / 30;
		assert_int_equal(judge(rfc_codes[i].code, step, 0, 0, &found), OATH_RIGHT);
		assert_int_equal(found, step);
	}
}

static void test_A11_a_code_that_was_used_or_an_older_one_is_replayed(void **state)
{
	(void)state;
	int64_t step = 1111111111 / 30, found = 0;
	assert_int_equal(judge("050471", step, 1, step - 1, &found), OATH_RIGHT);
	assert_int_equal(judge("050471", step, 1, step, &found), OATH_REPLAYED);
	assert_int_equal(judge("081804", step, 1, step, &found), OATH_REPLAYED);
}

static void test_window(void **state)
{
	(void)state;
	int64_t step = 1111111111 / 30, found = 0;
	assert_int_equal(judge("050471", step + 1, 1, 0, &found), OATH_RIGHT);
	assert_int_equal(judge("050471", step - 1, 1, 0, &found), OATH_RIGHT);
	assert_int_equal(judge("050471", step + 2, 1, 0, &found), OATH_WRONG);
	assert_int_equal(judge("050471", step + 1, 0, 0, &found), OATH_WRONG);
	assert_int_equal(judge("", step, 1, 0, &found), OATH_WRONG);
}

static void test_secret_is_spelled_as_authenticators_read_it(void **state)
{
	(void)state;
	char text[OATH_SECRET_CHARACTERS + 1];
	oath_spell_secret((const uint8_t *)rfc_secret, text);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

static void test_what_apps_scan_and_people_write_down(void **state)
{
	(void)state;
	char code[OATH_RECOVERY_SPELLED + 1];
	OWN_BUF struct buf uri = BUF_INIT(OATH_URI_MAX);
	OWN_BUF struct buf small = BUF_INIT(40);
	oath_spell_recovery("abcdefghijkl", code);
	assert_string_equal(code, "abcd-efgh-ijkl");
	assert_int_equal(oath_spell_uri("gw.example", "a b&secret=\xc3\xa4", "ABCD", &uri), 0);
	assert_int_equal(buf_add(&uri, view_of("", 1)), 0);
	assert_string_equal((const char *)uri.data, "otpauth://totp/gw.example:a%20b%26secret%3D%C3%A4?secret=ABCD&issuer=gw.example");
	assert_int_equal(oath_spell_uri("gw.example", "alice", "ABCD", &small), ERR_LIMIT);
}

static void test_what_users_type(void **state)
{
	(void)state;
	char code[OATH_RECOVERY_CHARACTERS + 1];
	assert_int_equal(oath_read_code("123 456", code), 0);
	assert_string_equal(code, "123456");
	assert_int_equal(oath_read_code("ABCD-efgh-2345", code), 0);
	assert_string_equal(code, "abcdefgh2345");
	static const char *const wrong[] = {"", "12345", "1234567", "12345a", "abcd-efgh-23456", "abcdefgh234\n", "\xc3\xa4" "2345"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_not_equal(oath_read_code(wrong[i], code), 0);
}

static void test_sealed_text_opens_for_its_owner_only(void **state)
{
	(void)state;
	struct seal seal = {.present = true, .key = {1}}, other = {.present = true, .key = {2}};
	char text[SEAL_TEXT_MAX], again[SEAL_TEXT_MAX];
	uint8_t opened[SEAL_SECRET_MAX];
	size_t size = 0;
	assert_int_equal(seal_close(&seal, "alice", view_string(rfc_secret), text), 0);
	assert_int_equal(seal_close(&seal, "alice", view_string(rfc_secret), again), 0);
	assert_string_not_equal(text, again);
	assert_int_equal(seal_open(&seal, "alice", text, opened, &size), 0);
	assert_int_equal(size, 20);
	assert_memory_equal(opened, rfc_secret, 20);
	assert_int_not_equal(seal_open(&seal, "bob", text, opened, &size), 0);
	assert_int_not_equal(seal_open(&other, "alice", text, opened, &size), 0);
	for (size_t i = 0; text[i]; i++) {
		char kept = text[i];
		text[i] = kept == '0' ? '1' : '0';
		assert_int_not_equal(seal_open(&seal, "alice", text, opened, &size), 0);
		text[i] = kept;
	}
	text[strlen(text) - 2] = 0;
	assert_int_not_equal(seal_open(&seal, "alice", text, opened, &size), 0);
	assert_int_not_equal(seal_open(&seal, "alice", "", opened, &size), 0);
	uint8_t large[SEAL_SECRET_MAX + 1] = {0};
	assert_int_not_equal(seal_close(&seal, "alice", view_of(large, sizeof(large)), text), 0);
}

static void test_marks_belong_to_key_and_owner(void **state)
{
	(void)state;
	struct seal seal = {.key = {1}}, other = {.key = {2}};
	char one[SEAL_MARK_CHARACTERS + 1], two[SEAL_MARK_CHARACTERS + 1];
	seal_mark(&seal, "alice", "abcdefgh2345", one);
	seal_mark(&seal, "alice", "abcdefgh2345", two);
	assert_string_equal(one, two);
	seal_mark(&seal, "bob", "abcdefgh2345", two);
	assert_string_not_equal(one, two);
	seal_mark(&other, "alice", "abcdefgh2345", two);
	assert_string_not_equal(one, two);
}

static int read_key(const char *text, struct seal *out_seal)
{
	char path[] = "/tmp/sallyport-key.XXXXXX";
	struct diag diag;
	OWN_FD int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(fd_write_all(fd, view_string(text)), 0);
	lseek(fd, 0, SEEK_SET);
	return seal_read(fd, out_seal, &diag);
}

static void test_key_file(void **state)
{
	(void)state;
	struct seal seal = {0};
	static const char good[] = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n";
	assert_int_equal(read_key(good, &seal), 0);
	assert_true(seal.present && seal.key[31] == 0x20);
	struct seal none = {0};
	static const char *const wrong[] = {"", "\n", "0102", "zz02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
					    "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021\n"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_not_equal(read_key(wrong[i], &none), 0);
	assert_false(none.present);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes_of_the_standard),
		cmocka_unit_test(test_A11_a_code_that_was_used_or_an_older_one_is_replayed),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_secret_is_spelled_as_authenticators_read_it),
		cmocka_unit_test(test_what_apps_scan_and_people_write_down),
		cmocka_unit_test(test_what_users_type),
		cmocka_unit_test(test_sealed_text_opens_for_its_owner_only),
		cmocka_unit_test(test_marks_belong_to_key_and_owner),
		cmocka_unit_test(test_key_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
