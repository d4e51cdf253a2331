/* test_pac.c: which rows resources become, and that nothing else gets into the script. What the script says to a browser is
 * tested where JavaScript runs: tests/gateway/test_pac.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/own.h"
#include "sallyport/pac.h"

/* All rows, table after table; "!" between tables. */
static void rows_of(const char *name, const char *addresses, struct buf *out_text)
{
	OWN_PAC struct pac pac;
	pac_init(&pac);
	assert_int_equal(pac_add(&pac, view_string(name), view_string(addresses)), 0);
	const struct buf *const tables[] = {&pac.names, &pac.zones, &pac.networks4, &pac.networks6};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(buf_add_format(out_text, "%s%.*s", i ? "!" : "", (int)tables[i]->size,
						tables[i]->size ? (const char *)tables[i]->data : ""), 0);
	assert_int_equal(buf_add(out_text, view_of("", 1)), 0);
}

static void test_rows(void **state)
{
	(void)state;
	static const struct {
		const char *name, *addresses, *rows;
	} cases[] = {
		{"a b", "wiki.corp.example:443", "\t[443, 443, \"wiki.corp.example\"],\n!!!"},
		{"a b", "WIKI.Corp.Example.:443", "\t[443, 443, \"wiki.corp.example\"],\n!!!"},
		{"a b", "x:1-65535, y:2\nz:3", "\t[1, 65535, \"x\"],\n\t[2, 2, \"y\"],\n\t[3, 3, \"z\"],\n!!!"},
		{"a b", "*.dev.corp.example:80", "!\t[80, 80, \".dev.corp.example\"],\n!!"},
		{"a b", "10.20.30.40:22", "!!\t[22, 22, \"10.20.30.40\", \"255.255.255.255\"],\n!"},
		{"a b", "10.20.30.40/20:22", "!!\t[22, 22, \"10.20.16.0\", \"255.255.240.0\"],\n!"},
		{"a b", "0.0.0.0/0:443", "!!\t[443, 443, \"0.0.0.0\", \"0.0.0.0\"],\n!"},
		{"a b", "0x0a.1:22", "!!\t[22, 22, \"10.0.0.1\", \"255.255.255.255\"],\n!"},
		{"a b", "[2001:DB8::1]:443", "!!!\t[443, 443, 128, [8193, 3512, 0, 0, 0, 0, 0, 1]],\n"},
		{"a b", "[2001:db8:ffff::/33]:443", "!!!\t[443, 443, 33, [8193, 3512, 32768, 0, 0, 0, 0, 0]],\n"},
		{"a b", "[::ffff:10.0.0.1]:443", "!!\t[443, 443, \"10.0.0.1\", \"255.255.255.255\"],\n!"},
		/* A resource's name leads to its one host, as at the gateway. */
		{"wiki", "w.corp.example:443", "\t[443, 443, \"w.corp.example\"],\n\t[443, 443, \"wiki\"],\n!!!"},
		{"db", "10.0.0.1:1-9", "\t[1, 9, \"db\"],\n!!\t[1, 9, \"10.0.0.1\", \"255.255.255.255\"],\n!"},
		{"wiki", "w1.example:443, w2.example:443", "\t[443, 443, \"w1.example\"],\n\t[443, 443, \"w2.example\"],\n!!!"},
		{"wiki", "w1.example:443, <b>:443", "\t[443, 443, \"w1.example\"],\n!!!"},
		{"wiki", "*.w.example:443", "!\t[443, 443, \".w.example\"],\n!!"},
		{"net", "10.0.0.0/24:443", "!!\t[443, 443, \"10.0.0.0\", \"255.255.255.0\"],\n!"},
		{"Wiki", "w:443", "\t[443, 443, \"w\"],\n!!!"},
		{"wiki.", "w:443", "\t[443, 443, \"w\"],\n!!!"},
		{"127.1", "w:443", "\t[443, 443, \"w\"],\n!!!"},
		{"1", "w:443", "\t[443, 443, \"w\"],\n!!!"},
		{"", "w:443", "\t[443, 443, \"w\"],\n!!!"},
		/* Nothing of what is no address. */
		{"x", "", "!!!"},
		{"x", "w, w:, w:0, w:65536, w:9-8, w:1-, w:-1, :443, w:4a", "!!!"},
		{"x", "*:443, *.example:443, *.:443, **.a.b:443, a*.b.c:443, *:*", "!!!"},
		{"x", "10.0.0.0/33:1, 10.0.0.0/:1, 10.0.0.0/-1:1, a/8:1, /8:1, [10.0.0.1]:1, [::1:1, ::1]:1, [::/129]:1, []:1, [x:1", "!!!"},
		{"x", "10.0.0.1\tw:1, 10\fw:1, 1\vw/8:1", "!!!"},
		{"x", "-w:1, .w:1, w\xc3\xa9:1, w%41:1, u@w:1", "!!!"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(65536);
		rows_of(cases[i].name, cases[i].addresses, &text);
		assert_string_equal((const char *)text.data, cases[i].rows);
	}
}

static void test_no_name_becomes_code(void **state)
{
	(void)state;
	static const char *const hostile[] = {"\"];alert(1);//", "w\\", "</script>", "${x}", "'", "w\"", "`", "w\t", "w\x7f", "a\xe2\x80\xa8" "b"};
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(65536);
		char address[64];
		snprintf(address, sizeof(address), "%s:443", hostile[i]);
		rows_of(hostile[i], address, &text);
		assert_string_equal((const char *)text.data, "!!!");
		OWN_BUF struct buf of_name = BUF_INIT(65536);
		rows_of(hostile[i], "w:443", &of_name);
		assert_string_equal((const char *)of_name.data, "\t[443, 443, \"w\"],\n!!!");
	}
}

static int write_for(const char *host, bool is_tls, struct buf *out_text)
{
	OWN_PAC struct pac pac;
	pac_init(&pac);
	assert_int_equal(pac_add(&pac, view_string("wiki"), view_string("w.example:443")), 0);
	int result = pac_write(&pac, &(struct pac_proxy){.is_tls = is_tls, .host = host, .port = 8443}, out_text);
	assert_int_equal(buf_add(out_text, view_of("", 1)), 0);
	return result;
}

static void test_the_proxy(void **state)
{
	(void)state;
	static const struct {
		const char *host, *line;
		bool is_tls;
	} cases[] = {
		{"GW.example.com", "var proxyHost = \"gw.example.com\", proxyPort = 8443;\nvar proxy = \"HTTPS gw.example.com:8443\";\n", true},
		{"127.0.0.1", "var proxyHost = \"127.0.0.1\", proxyPort = 8443;\nvar proxy = \"PROXY 127.0.0.1:8443\";\n", false},
		{"[2001:db8::1]", "var proxyHost = \"2001:db8::1\", proxyPort = 8443;\nvar proxy = \"HTTPS [2001:db8::1]:8443\";\n", true},
		{"2001:DB8::1", "var proxyHost = \"2001:db8::1\", proxyPort = 8443;\nvar proxy = \"HTTPS [2001:db8::1]:8443\";\n", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(PAC_BYTES_MAX);
		assert_int_equal(write_for(cases[i].host, cases[i].is_tls, &text), 0);
		assert_memory_equal(text.data, cases[i].line, strlen(cases[i].line));
		assert_non_null(strstr((const char *)text.data, "\nvar names = [\n\t[443, 443, \"w.example\"],\n\t[443, 443, \"wiki\"]\n];\n"
								"var zones = [];\nvar networks4 = [];\nvar networks6 = [];\n"));
	}
	static const char *const none[] = {"", "gw\"", "gw;", "*.gw.example", "10.0.0.0/8", "[gw]", "gw:443", "g w", "10.0.0.1\tx", "10.0.0.1 x"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		OWN_BUF struct buf text = BUF_INIT(PAC_BYTES_MAX);
		assert_int_equal(write_for(none[i], true, &text), ERR_BAD_INPUT);
		assert_int_equal(text.size, 1);
	}
}

static void test_more_than_browsers_read(void **state)
{
	(void)state;
	OWN_PAC struct pac pac;
	OWN_BUF struct buf text = BUF_INIT(PAC_BYTES_MAX);
	pac_init(&pac);
	int result = 0;
	for (unsigned i = 0; i < 20000 && result == 0; i++) {
		char name[300];
		snprintf(name, sizeof(name), "host-%0100u.example:443", i);
		result = pac_add(&pac, view_string(""), view_string(name));
	}
	assert_int_equal(result, ERR_LIMIT);
	/* What fits into a table need not fit into the script. */
	assert_int_equal(pac_write(&pac, &(struct pac_proxy){.host = "gw", .port = 1}, &text), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_no_name_becomes_code),
					   cmocka_unit_test(test_the_proxy), cmocka_unit_test(test_more_than_browsers_read)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
