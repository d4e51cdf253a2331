/* test_groups.c: groups of users as the name services of this machine know them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/broker/groups.h"

struct seen {
	struct groups_query query;
	bool called, in_root;
	int result;
	size_t count;
};

static void on_done(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct seen *seen = query->context;
	seen->called = true;
	seen->result = result;
	seen->count = count;
	for (size_t i = 0; i < count; i++)
		seen->in_root |= strcmp(names[i], "root") == 0;
}

static void ask(struct groups *groups, const char *user, struct seen *seen)
{
	*seen = (struct seen){.query = {.done = on_done, .context = seen}};
	groups_of(groups, user, &seen->query);
}

static void test_groups_are_asked_once_and_remembered(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct groups *groups = NULL;
	struct seen first, second, again;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(groups_new(&loop, &groups), 0);
	ask(groups, "root", &first);
	ask(groups, "root", &second);
	assert_false(first.called);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(first.called && second.called);
	assert_int_equal(first.result, 0);
	assert_true(first.in_root && second.in_root);
	ask(groups, "root", &again);
	assert_true(again.called && again.in_root);
	groups_free(groups);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_unknown_user_is_in_no_group(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct groups *groups = NULL;
	struct seen stranger, dropped;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(groups_new(&loop, &groups), 0);
	ask(groups, "no-such-user-here", &stranger);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(stranger.result, 0);
	assert_int_equal(stranger.count, 0);
	ask(groups, "another-stranger", &dropped);
	groups_free(groups);
	assert_int_equal(dropped.result, ERR_CLOSED);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Whether the answer comes without the name services being asked. */
static bool is_remembered(uv_loop_t *loop, struct groups *groups, const char *user)
{
	struct seen seen;
	ask(groups, user, &seen);
	bool called = seen.called;
	uv_run(loop, UV_RUN_DEFAULT);
	return called;
}

static struct seen strangers[2 * GROUPS_PEOPLE_MAX];

static void ask_strangers(struct groups *groups, unsigned first, unsigned last)
{
	for (unsigned i = first; i < last; i++) {
		char name[32];
		snprintf(name, sizeof(name), "stranger-%u", i);
		ask(groups, name, &strangers[i]);
	}
}

static void test_names_that_are_made_up_have_a_bound(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct groups *groups = NULL;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(groups_new(&loop, &groups), 0);
	assert_false(is_remembered(&loop, groups, "root"));
	ask_strangers(groups, 0, GROUPS_PEOPLE_MAX - 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	/* Full; root is the latest again, stranger-0 the oldest. */
	assert_true(is_remembered(&loop, groups, "root"));
	assert_false(is_remembered(&loop, groups, "one-more"));
	assert_true(is_remembered(&loop, groups, "root"));
	assert_true(is_remembered(&loop, groups, "stranger-1"));
	assert_false(is_remembered(&loop, groups, "stranger-0"));
	/* Who is being asked about does not make room: when all are, the next one is refused, and nobody is lost. */
	ask_strangers(groups, GROUPS_PEOPLE_MAX, 2 * GROUPS_PEOPLE_MAX);
	struct seen beyond;
	ask(groups, "beyond", &beyond);
	assert_true(beyond.called);
	assert_int_equal(beyond.result, ERR_SYSTEM);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (unsigned i = GROUPS_PEOPLE_MAX; i < 2 * GROUPS_PEOPLE_MAX; i++)
		assert_true(strangers[i].called && strangers[i].result == 0);
	assert_false(is_remembered(&loop, groups, "root"));
	groups_free(groups);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_are_asked_once_and_remembered), cmocka_unit_test(test_unknown_user_is_in_no_group),
		cmocka_unit_test(test_names_that_are_made_up_have_a_bound)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
