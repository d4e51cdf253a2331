/* test_courier_edge.c: the broker's end of broker_courier, against a courier that is good, gone or hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "broker.h"
#include "courier_edge.h"
#include "sallyport/edge/broker_courier.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

struct stage {
	uv_loop_t loop;
	struct broker broker;
	int courier; /* our end */
	struct courier_fetch fetch;
	struct courier_delivery delivery;
	struct courier_item item;
	int calls, result;
	unsigned status;
	char body[64], sentence[768];
};

static void on_fetched(struct courier_fetch *fetch, int result, unsigned status, struct view body, const struct diag *diag)
{
	struct stage *stage = fetch->context;
	stage->calls++;
	stage->result = result;
	stage->status = status;
	assert_int_equal(view_to_string(body, stage->body, sizeof(stage->body)), 0);
	strcpy(stage->sentence, diag ? diag->text : "");
}

static void on_delivered(struct courier_delivery *delivery, int result, const struct diag *diag)
{
	struct stage *stage = delivery->context;
	stage->calls++;
	stage->result = result;
	strcpy(stage->sentence, diag ? diag->text : "");
}

static int set_up(void **state)
{
	static struct stage stage;
	struct diag diag;
	int ends[2];
	stage = (struct stage){.courier = -1};
	*state = &stage;
	if (uv_loop_init(&stage.loop) < 0 || wire_pair(ends) < 0)
		return -1;
	stage.broker.loop = &stage.loop;
	stage.courier = ends[1];
	if (courier_edge_new(&stage.broker, &diag) < 0)
		return -1;
	courier_connect(&stage.broker, ends[0]);
	stage.fetch = (struct courier_fetch){.url = "http://x/", .size_limit = 10, .time_limit_ms = 1000, .done = on_fetched,
					     .context = &stage};
	stage.delivery = (struct courier_delivery){.alert = "a", .items = &stage.item, .count = 1, .done = on_delivered, .context = &stage};
	return 0;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static int tear_down(void **state)
{
	struct stage *stage = *state;
	close(stage->courier);
	for (int i = 0; i < 5; i++)
		uv_run(&stage->loop, UV_RUN_NOWAIT);
	assert_false(courier_is_connected(&stage->broker));
	uv_walk(&stage->loop, close_handle, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	free(stage->broker.courier);
	return uv_loop_close(&stage->loop);
}

static void turn(struct stage *stage)
{
	for (int i = 0; i < 5; i++)
		uv_run(&stage->loop, UV_RUN_NOWAIT);
}

static int memory(const char *text, bool sealed)
{
	int fd = memfd_create("test", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	return fd;
}

static void answer(struct stage *stage, const char *text, bool sealed, uint64_t size)
{
	OWN_FD int fd = memory(text, sealed);
	assert_int_equal(WIRE_SEND(stage->courier, broker_courier, fetched, fd, .request = 1, .status = 200, .size = size), 0);
	turn(stage);
}

static void test_an_answer_comes_once(void **state)
{
	struct stage *stage = *state;
	courier_fetch(&stage->broker, &stage->fetch);
	answer(stage, "the list", true, 8);
	assert_true(stage->calls == 1 && stage->result == 0 && stage->status == 200);
	assert_string_equal(stage->body, "the list");
	answer(stage, "again", true, 5);
	assert_int_equal(stage->calls, 1);
	assert_true(courier_is_connected(&stage->broker));
}

/* Memory that can still change, another size, more than was wanted, something that is no memory. */
static void test_a_courier_that_lies_loses_its_edge(void **state)
{
	struct stage *stage = *state;
	static const struct {
		const char *text;
		bool sealed;
		uint64_t size;
	} rows[] = {{"abc", false, 3}, {"abc", true, 4}, {"abcdefghijk", true, 11}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		stage->calls = 0;
		courier_fetch(&stage->broker, &stage->fetch);
		uint32_t number = stage->fetch.number;
		OWN_FD int fd = memory(rows[i].text, rows[i].sealed);
		assert_int_equal(WIRE_SEND(stage->courier, broker_courier, fetched, fd, .request = number, .status = 200, .size = rows[i].size),
				 0);
		turn(stage);
		assert_true(stage->calls == 1 && stage->result == ERR_SYSTEM && stage->body[0] == 0);
		assert_false(courier_is_connected(&stage->broker));
		int ends[2];
		close(stage->courier);
		assert_int_equal(wire_pair(ends), 0);
		stage->courier = ends[1];
		courier_connect(&stage->broker, ends[0]);
	}
}

static void test_a_refusal_has_its_sentence(void **state)
{
	struct stage *stage = *state;
	courier_fetch(&stage->broker, &stage->fetch);
	assert_int_equal(WIRE_SEND(stage->courier, broker_courier, not_fetched, -1, .request = 1, .timed_out = 1,
				   .sentence = view_string("too slow")), 0);
	turn(stage);
	assert_true(stage->calls == 1 && stage->result == ERR_TIMEOUT);
	assert_string_equal(stage->sentence, "too slow");
}

static void test_without_a_courier_all_fails_at_once(void **state)
{
	struct stage *stage = *state;
	courier_fetch(&stage->broker, &stage->fetch);
	courier_deliver(&stage->broker, &stage->delivery);
	shutdown(stage->courier, SHUT_RDWR);
	turn(stage);
	assert_true(stage->calls == 2 && stage->result == ERR_SYSTEM);
	courier_fetch(&stage->broker, &stage->fetch);
	courier_deliver(&stage->broker, &stage->delivery);
	assert_int_equal(stage->calls, 4);
	assert_non_null(strstr(stage->sentence, "courier is not there"));
}

static void test_what_was_cancelled_is_not_told(void **state)
{
	struct stage *stage = *state;
	courier_fetch(&stage->broker, &stage->fetch);
	courier_fetch_cancel(&stage->fetch);
	answer(stage, "late", true, 4);
	assert_int_equal(stage->calls, 0);
	assert_true(courier_is_connected(&stage->broker));
}

static void test_deliveries_are_taken_refused_or_put_off(void **state)
{
	struct stage *stage = *state;
	courier_deliver(&stage->broker, &stage->delivery);
	assert_int_equal(WIRE_SEND(stage->courier, broker_courier, delivered, -1, .delivery = 1), 0);
	turn(stage);
	assert_true(stage->calls == 1 && stage->result == 0);
	static const int results[] = {ERR_SYSTEM, ERR_DENIED};
	for (uint8_t refused = 0; refused < 2; refused++) {
		courier_deliver(&stage->broker, &stage->delivery);
		assert_int_equal(WIRE_SEND(stage->courier, broker_courier, not_delivered, -1, .delivery = 2U + refused, .refused = refused,
					   .sentence = view_string("no")), 0);
		turn(stage);
		assert_true(stage->calls == 2 + refused && stage->result == results[refused]);
	}
}

static void test_what_is_too_long_is_not_sent(void **state)
{
	struct stage *stage = *state;
	static char url[BROKER_COURIER_URL_MAX + 2];
	memset(url, 'x', sizeof(url) - 1);
	stage->fetch.url = url;
	courier_fetch(&stage->broker, &stage->fetch);
	assert_true(stage->calls == 1 && stage->result == ERR_SYSTEM && courier_is_connected(&stage->broker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_answer_comes_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_courier_that_lies_loses_its_edge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_refusal_has_its_sentence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_courier_all_fails_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_cancelled_is_not_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deliveries_are_taken_refused_or_put_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_too_long_is_not_sent, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
