/* test_problem_page.c: what somebody else has written never becomes markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "problem_page.h"
#include "sallyport/err.h"

#define HOSTILE "<script>alert(1)</script>&'\" onclick=\"x\""
#define HARMLESS "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;&quot; onclick=&quot;x&quot;"

static size_t count(const struct buf *text, const char *wanted)
{
	size_t found = 0;
	const char *at = (const char *)text->data;
	while ((at = memmem(at, text->size - (size_t)(at - (const char *)text->data), wanted, strlen(wanted)))) {
		found++;
		at++;
	}
	return found;
}

static void test_text_stays_text(void **state)
{
	(void)state;
	OWN_BUF struct buf html = BUF_INIT(1 << 16);
	const struct problem_page page = {.status = 403, .reason = "Forbidden", .sentence = HOSTILE, .code = HOSTILE, .request_id = HOSTILE,
					  .portal = HOSTILE};
	assert_int_equal(problem_page_write(&page, &html), 0);
	assert_int_equal(count(&html, HARMLESS), 4);
	assert_int_equal(count(&html, "<script"), 0);
	assert_int_equal(count(&html, "onclick=\""), 0);
	assert_int_equal(count(&html, "<h1>Forbidden</h1>"), 1);
}

static void test_the_headline_says_what_to_do(void **state)
{
	(void)state;
	OWN_BUF struct buf html = BUF_INIT(1 << 16);
	const struct problem_page page = {.status = 403, .reason = "Forbidden", .sentence = "No.", .code = "fresh_login_required",
					  .request_id = "y", .portal = "z"};
	assert_int_equal(problem_page_write(&page, &html), 0);
	assert_int_equal(count(&html, "<h1>Log in again for this page</h1>"), 1);
	assert_int_equal(count(&html, "Forbidden"), 0);
}

static void test_a_bound_is_an_error(void **state)
{
	(void)state;
	const struct problem_page page = {.status = 403, .reason = "Forbidden", .sentence = "No.", .code = "x", .request_id = "y", .portal = "z"};
	OWN_BUF struct buf whole = BUF_INIT(1 << 16);
	assert_int_equal(problem_page_write(&page, &whole), 0);
	for (size_t limit = 0; limit < whole.size; limit++) {
		OWN_BUF struct buf html = BUF_INIT(limit);
		assert_int_equal(problem_page_write(&page, &html), ERR_LIMIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text_stays_text),
					   cmocka_unit_test(test_the_headline_says_what_to_do), cmocka_unit_test(test_a_bound_is_an_error)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
