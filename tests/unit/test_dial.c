/* test_dial.c: the first address that answers wins; silence and refusal are told apart. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "../../gateway/broker/dial.h"

struct outcome {
	bool called;
	int result, fd;
	uint16_t port;
	struct diag diag;
};

static void on_done(void *context, int result, int fd, const struct sockaddr *address, const struct diag *diag)
{
	struct outcome *outcome = context;
	assert_false(outcome->called);
	*outcome = (struct outcome){.called = true, .result = result, .fd = fd, .diag = *diag};
	if (address)
		outcome->port = ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static int listen_on_loopback(int backlog, uint16_t *out_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*out_port = ntohs(address.sin_port);
	return fd;
}

static void add(struct dial_request *request, uint16_t port)
{
	struct sockaddr_in *place = (struct sockaddr_in *)&request->addresses[request->count++];
	*place = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct outcome dial(struct dial_request *request)
{
	uv_loop_t loop;
	struct outcome outcome = {.fd = -1};
	struct dial *started = NULL;
	assert_int_equal(uv_loop_init(&loop), 0);
	request->done = on_done;
	request->context = &outcome;
	assert_int_equal(dial_start(&loop, request, &started), 0);
	assert_false(outcome.called);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_true(outcome.called);
	return outcome;
}

/* A listener whose queue is full: a connection attempt gets no answer at all. */
struct silence {
	int listener, callers[8];
	uint16_t port;
};

static void make_silence(struct silence *silence)
{
	silence->listener = listen_on_loopback(0, &silence->port);
	for (size_t i = 0; i < 8; i++) {
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_port = htons(silence->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		silence->callers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(silence->callers[i], (struct sockaddr *)&address, sizeof(address));
	}
}

static void end_silence(struct silence *silence)
{
	for (size_t i = 0; i < 8; i++)
		close(silence->callers[i]);
	close(silence->listener);
}

static void test_refused_address_gives_way_at_once(void **state)
{
	(void)state;
	struct dial_request request = {.attempt_delay_ms = 60000, .limit_ms = 60000};
	uint16_t closed_port, open_port;
	int closed = listen_on_loopback(-1, &closed_port), listener = listen_on_loopback(5, &open_port);
	add(&request, closed_port);
	add(&request, open_port);
	struct outcome outcome = dial(&request);
	assert_int_equal(outcome.result, 0);
	assert_int_equal(outcome.port, open_port);
	assert_true(outcome.fd >= 0);
	close(outcome.fd);
	close(closed);
	close(listener);
}

static void test_silent_address_gives_way_after_the_delay(void **state)
{
	(void)state;
	struct dial_request request = {.attempt_delay_ms = 20, .limit_ms = 60000};
	struct silence silence;
	uint16_t open_port;
	make_silence(&silence);
	int listener = listen_on_loopback(5, &open_port);
	add(&request, silence.port);
	add(&request, open_port);
	struct outcome outcome = dial(&request);
	assert_int_equal(outcome.result, 0);
	assert_int_equal(outcome.port, open_port);
	close(outcome.fd);
	close(listener);
	end_silence(&silence);
}

/* Of both families, on loopback; `listens`: else it refuses. Returns the socket. */
static int add_of_family(struct dial_request *request, sa_family_t family, bool listens, uint16_t *out_port)
{
	struct sockaddr_storage *place = &request->addresses[request->count++];
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)place;
	struct sockaddr_in *four = (struct sockaddr_in *)place;
	socklen_t size = family == AF_INET6 ? sizeof(*six) : sizeof(*four);
	if (family == AF_INET6)
		*six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	else
		*four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)place, size), 0);
	if (listens)
		assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)place, &size), 0);
	*out_port = ntohs(four->sin_port);
	return fd;
}

/* RFC 8305: after the first of one family the first of the other, whatever stands between; then they take turns. */
static void test_families_take_turns(void **state)
{
	(void)state;
	static const struct {
		sa_family_t family[4];
		bool listens[4];
		unsigned winner;
	} rows[] = {
		{{AF_INET6, AF_INET6, AF_INET, AF_INET}, {false, true, true, true}, 2},
		{{AF_INET, AF_INET, AF_INET, AF_INET6}, {false, true, true, true}, 3},
		{{AF_INET6, AF_INET6, AF_INET, AF_INET}, {false, true, false, true}, 1},
		{{AF_INET6, AF_INET6, AF_INET, AF_INET}, {false, false, false, true}, 3},
		{{AF_INET6, AF_INET, AF_INET6, AF_INET}, {true, true, true, true}, 0},
		{{AF_INET, AF_INET, AF_INET, AF_INET}, {false, false, true, true}, 2},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dial_request request = {.attempt_delay_ms = 60000, .limit_ms = 60000};
		uint16_t ports[4];
		int fds[4];
		for (unsigned j = 0; j < 4; j++)
			fds[j] = add_of_family(&request, rows[i].family[j], rows[i].listens[j], &ports[j]);
		struct outcome outcome = dial(&request);
		assert_int_equal(outcome.result, 0);
		if (outcome.port != ports[rows[i].winner])
			fail_msg("row %zu", i);
		close(outcome.fd);
		for (unsigned j = 0; j < 4; j++)
			close(fds[j]);
	}
}

static void test_silence_everywhere_is_a_timeout(void **state)
{
	(void)state;
	struct dial_request request = {.attempt_delay_ms = 10, .limit_ms = 100};
	struct silence silence;
	make_silence(&silence);
	add(&request, silence.port);
	struct outcome outcome = dial(&request);
	assert_int_equal(outcome.result, ERR_TIMEOUT);
	assert_int_equal(outcome.fd, -1);
	end_silence(&silence);
}

static void test_refusal_everywhere_says_why(void **state)
{
	(void)state;
	struct dial_request request = {.attempt_delay_ms = 10, .limit_ms = 60000};
	uint16_t port;
	int closed = listen_on_loopback(-1, &port);
	add(&request, port);
	add(&request, port);
	struct outcome outcome = dial(&request);
	assert_int_equal(outcome.result, ERR_DENIED);
	assert_string_equal(outcome.diag.text, "127.0.0.1: Connection refused");
	close(closed);
}

static void test_cancelled_dial_says_nothing(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct outcome outcome = {0};
	struct dial *started = NULL;
	struct dial_request request = {.attempt_delay_ms = 10, .limit_ms = 60000, .done = on_done, .context = &outcome};
	add(&request, 1);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(dial_start(&loop, &request, &started), 0);
	dial_cancel(started);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_false(outcome.called);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_address_gives_way_at_once),
		cmocka_unit_test(test_silent_address_gives_way_after_the_delay),
		cmocka_unit_test(test_families_take_turns),
		cmocka_unit_test(test_silence_everywhere_is_a_timeout),
		cmocka_unit_test(test_refusal_everywhere_says_why),
		cmocka_unit_test(test_cancelled_dial_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
