/* test_qr.c: QR codes as SVG: module by module what libqrencode says, on a white ground with its quiet zone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <qrencode.h>

#include "sallyport/err.h"
#include "sallyport/own.h"
#include "sallyport/qr.h"

enum { QUIET = 4, SIZE_MAX_MODULES = 177 + 2 * QUIET };

static char picture_text[QR_SVG_MAX + 1];

static const char *draw(const char *text)
{
	OWN_BUF struct buf picture = BUF_INIT(QR_SVG_MAX);
	assert_int_equal(qr_svg(text, &picture), 0);
	memcpy(picture_text, picture.data, picture.size);
	picture_text[picture.size] = 0;
	return picture_text;
}

/* Paints the path's lines; returns the width of the whole picture. */
static int paint(const char *svg, bool modules[SIZE_MAX_MODULES][SIZE_MAX_MODULES])
{
	int size = 0, x, y, length, used;
	memset(modules, 0, sizeof(bool) * SIZE_MAX_MODULES * SIZE_MAX_MODULES);
	assert_int_equal(sscanf(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d", &size), 1);
	const char *at = strstr(svg, " d=\"");
	assert_non_null(at);
	for (at += 4; sscanf(at, "M%d %d.5h%d%n", &x, &y, &length, &used) == 3; at += used)
		for (int i = 0; i < length; i++) {
			assert_true(x + i < size && y < size && !modules[y][x + i]);
			modules[y][x + i] = true;
		}
	assert_string_equal(at, "\"/></svg>");
	return size;
}

static void test_every_module(void **state)
{
	(void)state;
	static bool modules[SIZE_MAX_MODULES][SIZE_MAX_MODULES];
	char longest[1025];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	const char *const texts[] = {"a", "otpauth://totp/gateway.example:alice?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=gateway.example",
				     "\xc3\xa4\xe2\x82\xac \"<&>'", longest};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		QRcode *code = QRcode_encodeString8bit(texts[i], 0, QR_ECLEVEL_M);
		int size = paint(draw(texts[i]), modules);
		assert_int_equal(size, code->width + 2 * QUIET);
		for (int y = 0; y < size; y++)
			for (int x = 0; x < size; x++) {
				bool inside = x >= QUIET && y >= QUIET && x < size - QUIET && y < size - QUIET;
				bool dark = inside && code->data[(y - QUIET) * code->width + x - QUIET] & 1;
				assert_int_equal(modules[y][x], dark);
			}
		QRcode_free(code);
	}
}

static void test_it_brings_its_own_white(void **state)
{
	(void)state;
	const char *svg = draw("a");
	assert_non_null(strstr(svg, "shape-rendering=\"crispEdges\""));
	assert_non_null(strstr(svg, "<rect width=\"29\" height=\"29\" fill=\"#fff\"/>"));
	assert_ptr_equal(strstr(svg, "<path"), strstr(svg, "<path stroke=\"#000\" d=\""));
	assert_null(strstr(strstr(svg, "<path") + 1, "<path"));
}

static void test_nothing_of_the_text_becomes_markup(void **state)
{
	(void)state;
	const char *svg = draw("</svg><script>alert(1)</script>");
	assert_null(strstr(svg, "script"));
}

static void test_too_long(void **state)
{
	(void)state;
	char text[4000];
	OWN_BUF struct buf picture = BUF_INIT(QR_SVG_MAX);
	OWN_BUF struct buf small = BUF_INIT(1000);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(qr_svg(text, &picture), ERR_SYSTEM);
	assert_int_equal(qr_svg("a", &small), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_module), cmocka_unit_test(test_it_brings_its_own_white),
					   cmocka_unit_test(test_nothing_of_the_text_becomes_markup), cmocka_unit_test(test_too_long)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
