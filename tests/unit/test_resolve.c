/* test_resolve.c: names to addresses against a name server made for the test, on loopback. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "../../gateway/broker/resolve.h"

/* A name server for one turn: "two" has 192.0.2.7, everything else does not exist; "silent" gets no answer. */
struct name_server {
	int fd;
	uint16_t port;
	uv_poll_t poll;
};

static void answer(uint8_t *packet, size_t *size, bool exists, bool wants_ipv4)
{
	packet[2] = 0x81;
	packet[3] = exists ? 0x80 : 0x83;
	packet[7] = exists && wants_ipv4;
	packet[9] = packet[11] = 0;
	if (!exists || !wants_ipv4)
		return;
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7};
	memcpy(packet + *size, record, sizeof(record));
	*size += sizeof(record);
}

static void on_question(uv_poll_t *poll, int status, int events)
{
	struct name_server *server = poll->data;
	(void)status, (void)events;
	uint8_t packet[512];
	struct sockaddr_in from;
	socklen_t from_size = sizeof(from);
	ssize_t received = recvfrom(server->fd, packet, 400, MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);
	if (received < 20 || memcmp(packet + 13, "silent", 6) == 0)
		return;
	/* Header and question only: the additional records of EDNS are dropped. */
	size_t size = 12 + strlen((char *)packet + 12) + 1 + 4;
	answer(packet, &size, memcmp(packet + 13, "two", 3) == 0, packet[size - 3] == 1);
	(void)!sendto(server->fd, packet, size, 0, (struct sockaddr *)&from, from_size);
}

static void serve(struct name_server *server, uv_loop_t *loop)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(uv_poll_init(loop, &server->poll, server->fd), 0);
	server->poll.data = server;
	uv_poll_start(&server->poll, UV_READABLE, on_question);
	uv_unref((uv_handle_t *)&server->poll);
}

struct outcome {
	struct resolve_query query;
	bool called;
	int result;
};

static void on_done(struct resolve_query *query, int result)
{
	struct outcome *outcome = query->context;
	outcome->called = true;
	outcome->result = result;
}

static struct outcome look_up(const char *host, bool until_answer)
{
	uv_loop_t loop;
	struct name_server server;
	struct resolver *resolver = NULL;
	struct diag diag;
	char servers[32];
	struct outcome outcome = {.query = {.done = on_done}};
	outcome.query.context = &outcome;
	assert_int_equal(uv_loop_init(&loop), 0);
	serve(&server, &loop);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u\n", server.port);
	assert_int_equal(resolver_new(&loop, servers, 300, &resolver, &diag), 0);
	resolver_look_up(resolver, host, &outcome.query);
	while (until_answer && !outcome.called)
		uv_run(&loop, UV_RUN_ONCE);
	resolver_free(resolver);
	assert_true(outcome.called);
	uv_close((uv_handle_t *)&server.poll, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	close(server.fd);
	assert_int_equal(uv_loop_close(&loop), 0);
	return outcome;
}

static void test_a_name_has_its_address(void **state)
{
	(void)state;
	struct outcome outcome = look_up("two.example", true);
	assert_int_equal(outcome.result, 0);
	assert_int_equal(outcome.query.count, 1);
	const struct sockaddr_in *address = (const struct sockaddr_in *)&outcome.query.addresses[0];
	assert_int_equal(address->sin_addr.s_addr, htonl(0xc0000207));
}

static void test_localhost_is_loopback_without_asking(void **state)
{
	(void)state;
	struct outcome outcome = look_up("silent.localhost", true);
	assert_int_equal(outcome.result, 0);
	assert_int_equal(outcome.query.count, 2);
	assert_int_equal(outcome.query.addresses[0].ss_family, AF_INET6);
	assert_int_equal(look_up("notlocalhost", true).result, ERR_NOT_FOUND);
}

static void test_unknown_silent_and_dropped_names_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(look_up("none.example", true).result, ERR_NOT_FOUND);
	assert_int_equal(look_up("silent.example", true).result, ERR_TIMEOUT);
	assert_int_equal(look_up("silent.example", false).result, ERR_CLOSED);
}

/* `silent` servers before one that answers, or none; how long it took. */
static struct outcome look_up_behind(unsigned silent, bool has_answer, uint64_t limit_ms, uint64_t *out_ms)
{
	uv_loop_t loop;
	struct name_server servers[8];
	struct resolver *resolver = NULL;
	struct diag diag;
	char list[256] = "";
	struct outcome outcome = {.query = {.done = on_done}};
	unsigned count = silent + has_answer;
	outcome.query.context = &outcome;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (unsigned i = 0; i < count; i++) {
		serve(&servers[i], &loop);
		if (i < silent)
			uv_poll_stop(&servers[i].poll);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "127.0.0.1:%u\n", servers[i].port);
	}
	assert_int_equal(resolver_new(&loop, list, limit_ms, &resolver, &diag), 0);
	uint64_t began_ms = uv_now(&loop);
	resolver_look_up(resolver, "two.example", &outcome.query);
	while (!outcome.called)
		uv_run(&loop, UV_RUN_ONCE);
	*out_ms = uv_now(&loop) - began_ms;
	resolver_free(resolver);
	for (unsigned i = 0; i < count; i++)
		uv_close((uv_handle_t *)&servers[i].poll, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	for (unsigned i = 0; i < count; i++)
		close(servers[i].fd);
	assert_int_equal(uv_loop_close(&loop), 0);
	return outcome;
}

static void test_silent_servers_cost_no_more_than_the_limit(void **state)
{
	(void)state;
	uint64_t took_ms;
	assert_int_equal(look_up_behind(3, false, 700, &took_ms).result, ERR_TIMEOUT);
	/* A busy machine may be late; three servers, each with the whole limit, take three times as long. */
	assert_in_range(took_ms, 350, 1600);
	assert_int_equal(look_up_behind(5, true, 2000, &took_ms).result, 0);
	assert_in_range(took_ms, 1, 2000);
}

static void test_a_list_of_servers_that_is_none_is_refused(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct resolver *resolver = NULL;
	struct diag diag;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(resolver_new(&loop, "not an address\n", 300, &resolver, &diag), ERR_BAD_CONFIG);
	assert_non_null(strstr(diag.text, "resolver"));
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_has_its_address),
		cmocka_unit_test(test_localhost_is_loopback_without_asking),
		cmocka_unit_test(test_unknown_silent_and_dropped_names_are_told_apart),
		cmocka_unit_test(test_silent_servers_cost_no_more_than_the_limit),
		cmocka_unit_test(test_a_list_of_servers_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
