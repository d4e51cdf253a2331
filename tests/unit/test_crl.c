/* test_crl.c: lists of revoked certificates taken apart (gateway/signer/crl.c), and sections about their authorities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../../gateway/signer/crl.h"
#include "sallyport/issuer.h"
#include "sallyport/own.h"

/* ---- making them ---- */

static struct buf element(uint8_t tag, struct view content)
{
	struct buf made = BUF_INIT(1 << 20);
	uint8_t head[4] = {tag, (uint8_t)content.size};
	size_t size = 2;
	if (content.size >= 0x80) {
		head[1] = 0x82;
		head[2] = (uint8_t)(content.size >> 8);
		head[3] = (uint8_t)content.size;
		size = content.size > 0xff ? 4 : 3;
		if (size == 3) {
			head[1] = 0x81;
			head[2] = (uint8_t)content.size;
		}
	}
	assert_int_equal(buf_add(&made, view_of(head, size)), 0);
	assert_int_equal(buf_add(&made, content), 0);
	return made;
}

static void put(struct buf *into, uint8_t tag, const void *data, size_t size)
{
	OWN_BUF struct buf made = element(tag, view_of(data, size));
	assert_int_equal(buf_add(into, buf_view(&made)), 0);
}

static void put_text(struct buf *into, uint8_t tag, const char *text)
{
	put(into, tag, text, strlen(text));
}

static void put_buf(struct buf *into, uint8_t tag, struct buf *content)
{
	put(into, tag, content->data, content->size);
	buf_fini(content);
}

/* What a list is made of; NULL and 0: left out. */
struct recipe {
	const char *this_update, *next_update;
	uint8_t this_tag;
	const char *serials[4]; /* contents of the INTEGERs */
	size_t serial_sizes[4];
	const uint8_t *extensions;
	size_t extensions_size;
	uint8_t version;
};

static const uint8_t ecdsa[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t rsa[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};

static struct buf make(const struct recipe *recipe)
{
	struct buf inner = BUF_INIT(1 << 20), list = BUF_INIT(1 << 20), outer = BUF_INIT(1 << 20), all = BUF_INIT(1 << 20);
	if (recipe->version)
		put(&inner, 0x02, &recipe->version, 1);
	put(&inner, 0x30, ecdsa, sizeof(ecdsa));
	put(&inner, 0x30, "", 0);
	put_text(&inner, recipe->this_tag ? recipe->this_tag : 0x17, recipe->this_update);
	if (recipe->next_update)
		put_text(&inner, 0x17, recipe->next_update);
	for (size_t i = 0; i < 4 && recipe->serial_sizes[i]; i++) {
		struct buf entry = BUF_INIT(1 << 16);
		put(&entry, 0x02, recipe->serials[i], recipe->serial_sizes[i]);
		put_text(&entry, 0x17, "261101000000Z");
		put_buf(&list, 0x30, &entry);
	}
	if (list.size)
		put_buf(&inner, 0x30, &list);
	buf_fini(&list);
	if (recipe->extensions_size)
		put(&inner, 0xa0, recipe->extensions, recipe->extensions_size);
	put_buf(&outer, 0x30, &inner);
	put(&outer, 0x30, ecdsa, sizeof(ecdsa));
	put(&outer, 0x03, "\0signature", 10);
	put_buf(&all, 0x30, &outer);
	return all;
}

static int read_all(const struct recipe *recipe, struct crl *out_crl, struct buf *out_der, struct diag *diag)
{
	*out_der = make(recipe);
	int result = crl_open(buf_view(out_der), out_crl, diag);
	return result < 0 ? result : crl_read(out_crl, diag);
}

/* ---- lists ---- */

static const uint8_t number_300[] = {0x30, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x1d, 0x14, 0x04, 0x04, 0x02, 0x02, 0x01, 0x2c};
static const uint8_t critical_part[] = {0x30, 0x0e, 0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d, 0x1c, 0x01, 0x01, 0xff, 0x04, 0x02, 0x30, 0x00};
static const uint8_t harmless[] = {0x30, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x1d, 0x23, 0x04, 0x02, 0x30, 0x00};

static void test_a_list_is_read(void **state)
{
	(void)state;
	const struct recipe recipe = {.this_update = "261101000000Z", .next_update = "261201123456Z", .version = 1,
				      .serials = {"\x05", "\x00\x9a\x00"}, .serial_sizes = {1, 3},
				      .extensions = number_300, .extensions_size = sizeof(number_300)};
	OWN_BUF struct buf der = BUF_INIT(0);
	struct crl crl;
	struct diag diag;
	uint8_t serial[CRL_SERIAL_BYTES], expected[CRL_SERIAL_BYTES] = {0};
	assert_int_equal(read_all(&recipe, &crl, &der, &diag), 0);
	assert_string_equal(crl.algorithm, "1.2.840.10045.4.3.2");
	assert_int_equal(crl.this_s, 1793491200);
	assert_int_equal(crl.next_s, 1796128496);
	assert_true(crl.number[18] == 0x01 && crl.number[19] == 0x2c && crl.number[17] == 0);
	assert_true(view_is(crl.signature, "signature"));
	assert_int_equal(crl_next(&crl, serial), 1);
	expected[19] = 5;
	assert_memory_equal(serial, expected, sizeof(serial));
	assert_int_equal(crl_next(&crl, serial), 1);
	expected[18] = 0x9a;
	expected[19] = 0;
	assert_memory_equal(serial, expected, sizeof(serial));
	assert_int_equal(crl_next(&crl, serial), 0);
}

static void test_times(void **state)
{
	(void)state;
	const struct {
		const char *text;
		uint8_t tag;
		int64_t seconds; /* 0: refused */
	} rows[] = {{"700101000001Z", 0x17, 1}, {"20600229000000Z", 0x18, 2845238400}, {"000301000000Z", 0x17, 951868800},
		    {"20000229235959Z", 0x18, 951868799}, {"491231235959Z", 0x17, 2524607999}, {"19691231235959Z", 0x18, 0},
		    {"26110100000Z", 0x17, 0}, {"261301000000Z", 0x17, 0}, {"261100000000Z", 0x17, 0}, {"261101240000Z", 0x17, 0},
		    {"261101000000+", 0x17, 0}, {"2611010000000Z", 0x18, 0}, {"", 0x17, 0}, {"26110100000aZ", 0x17, 0},
		    {"261101000000Z", 0x16, 0}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct recipe recipe = {.this_update = rows[i].text, .this_tag = rows[i].tag, .next_update = "261201000000Z"};
		OWN_BUF struct buf der = BUF_INIT(0);
		struct crl crl;
		struct diag diag;
		int result = read_all(&recipe, &crl, &der, &diag);
		assert_int_equal(result == 0 ? crl.this_s : 0, rows[i].seconds);
	}
}

static void test_what_is_not_taken(void **state)
{
	(void)state;
	static const char long_serial[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15";
	const struct {
		struct recipe recipe;
		int result;
		const char *words;
	} rows[] = {
		{{.this_update = "261101000000Z"}, ERR_DENIED, "nextUpdate"},
		{{.this_update = "261101000000Z", .next_update = "261201000000Z", .extensions = critical_part,
		  .extensions_size = sizeof(critical_part)}, ERR_DENIED, "2.5.29.28"},
		{{.this_update = "261101000000Z", .next_update = "261201000000Z", .extensions = harmless,
		  .extensions_size = sizeof(harmless)}, 0, ""},
		{{.this_update = "261101000000Z", .next_update = "261201000000Z", .extensions = harmless,
		  .extensions_size = sizeof(harmless) - 1}, ERR_BAD_INPUT, "extension"},
		{{.this_update = "261101000000Z", .next_update = "261201000000Z", .version = 2}, ERR_BAD_INPUT, "no list"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf der = BUF_INIT(0);
		struct crl crl;
		struct diag diag = {""};
		assert_int_equal(read_all(&rows[i].recipe, &crl, &der, &diag), rows[i].result);
		assert_non_null(strstr(diag.text, rows[i].words));
	}
	const struct recipe serials = {.this_update = "261101000000Z", .next_update = "261201000000Z", .serials = {long_serial},
				       .serial_sizes = {21}};
	OWN_BUF struct buf der = BUF_INIT(0);
	struct crl crl;
	struct diag diag;
	uint8_t serial[CRL_SERIAL_BYTES];
	assert_int_equal(read_all(&serials, &crl, &der, &diag), 0);
	assert_int_equal(crl_next(&crl, serial), ERR_BAD_INPUT);
}

static void test_cut_anywhere_it_is_no_list(void **state)
{
	(void)state;
	const struct recipe recipe = {.this_update = "261101000000Z", .next_update = "261201000000Z", .version = 1,
				      .serials = {"\x05"}, .serial_sizes = {1}};
	OWN_BUF struct buf der = make(&recipe);
	struct crl crl;
	struct diag diag;
	for (size_t size = 0; size < der.size; size++)
		assert_int_equal(crl_open(view_of(der.data, size), &crl, &diag), ERR_BAD_INPUT);
	assert_int_equal(buf_add_string(&der, "x"), 0);
	assert_int_equal(crl_open(buf_view(&der), &crl, &diag), ERR_BAD_INPUT);
}

/* The algorithm that is signed must be the one that the signature says (RFC 5280 5.1.1.2). */
static void test_two_algorithms_are_none(void **state)
{
	(void)state;
	const struct recipe recipe = {.this_update = "261101000000Z", .next_update = "261201000000Z"};
	OWN_BUF struct buf der = make(&recipe);
	struct buf inner = BUF_INIT(1 << 16), all = BUF_INIT(1 << 16);
	struct crl crl;
	struct diag diag;
	assert_int_equal(crl_open(buf_view(&der), &crl, &diag), 0);
	assert_int_equal(buf_add(&inner, crl.to_be_signed), 0);
	put(&inner, 0x30, rsa, sizeof(rsa));
	put(&inner, 0x03, "\0signature", 10);
	put_buf(&all, 0x30, &inner);
	assert_int_equal(crl_open(buf_view(&all), &crl, &diag), ERR_BAD_INPUT);
	buf_fini(&all);
}

/* ---- sections ---- */

static void test_a_section_survives_its_line(void **state)
{
	(void)state;
	struct issuer issuer = {.name = view_string("corp"), .certificate = view_string("/etc/corp.crt"),
				.crl = view_string("https://pki.example/x.crl"), .crl_grace = view_string("2d")};
	OWN_BUF struct buf text = BUF_INIT(ISSUER_BYTES_MAX), shown = BUF_INIT(ISSUER_BYTES_MAX);
	struct issuer read;
	struct diag diag;
	size_t position = 0;
	uint64_t every, grace, ocsp_grace;
	assert_int_equal(issuer_write(&issuer, &text, &diag), 0);
	assert_int_equal(issuer_write(&(struct issuer){.name = view_string("b"), .certificate = view_string("/b"), .crl = view_string("/c")},
				      &text, &diag), 0);
	assert_int_equal(buf_add(&text, view_of("", 1)), 0);
	assert_int_equal(issuers_check((const char *)text.data, &diag), 0);
	assert_true(issuer_next((const char *)text.data, &position, &read));
	assert_true(view_is(read.crl, "https://pki.example/x.crl") && view_is(read.certificate, "/etc/corp.crt") && issuer_is_remote(&read));
	assert_int_equal(issuer_times(&read, &every, &grace, &ocsp_grace), 0);
	assert_true(every == 3600000 && grace == 2 * 86400000ULL && ocsp_grace == 3600000 && !issuer_wants_ocsp(&read));
	assert_true(issuer_find((const char *)text.data, view_string("b"), &read) && !issuer_is_remote(&read));
	assert_int_equal(issuer_print(&issuer, &shown), 0);
	assert_non_null(memmem(shown.data, shown.size, "crl_grace = \"2d\"", 16));
}

static void test_sections_that_are_wrong(void **state)
{
	(void)state;
	const struct issuer good = {.name = view_string("corp"), .certificate = view_string("/c"), .crl = view_string("/l")};
	struct issuer rows[11];
	for (size_t i = 0; i < 11; i++)
		rows[i] = good;
	rows[0].name = view_string("a b");
	rows[1].name = view_string("");
	rows[2].certificate = view_string("c");
	rows[3].crl = view_string("");
	rows[4].crl = view_string("ftp://x/y");
	rows[5].crl = view_string("http://x/y z");
	rows[6].crl_every = view_string("100ms");
	rows[7].crl_grace = view_string("1y");
	rows[8].certificate = view_string("/a\x1f");
	rows[9].ocsp = view_string("perhaps");
	rows[10].ocsp_grace = view_string("8d");
	for (size_t i = 0; i < 11; i++) {
		OWN_BUF struct buf text = BUF_INIT(ISSUER_BYTES_MAX);
		struct diag diag = {""};
		assert_int_equal(issuer_write(&rows[i], &text, &diag), ERR_BAD_CONFIG);
		assert_true(diag.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_is_read),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_what_is_not_taken),
		cmocka_unit_test(test_cut_anywhere_it_is_no_list),
		cmocka_unit_test(test_two_algorithms_are_none),
		cmocka_unit_test(test_a_section_survives_its_line),
		cmocka_unit_test(test_sections_that_are_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
