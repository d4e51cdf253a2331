/* test_h2.c: two ends of HTTP/2 in one process: requests, tunnels, flow control, resets, drain, floods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/net/h2_internal.h"

enum { WINDOW = 65536, HEAD = 4096, STREAMS = 8 };

/* One end and what happened to it. */
struct side {
	struct h2 *h2;
	struct buf trace; /* events, in words */
	struct buf data;  /* what on_data showed */
	struct h2_stream *last;
	bool consumes;    /* on_data gives the window back at once */
	const char *source; /* on_read's bytes; NULL: sleeps */
	size_t source_left; /* of an endless source of '.'; SIZE_MAX: ends */
	int read_error;
};

static void note(struct side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct side *side, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	assert_int_equal(buf_add_string(&side->trace, text), 0);
}

#define VIEW(view) (int)(view).size, (const char *)(view).data

static void on_request(struct h2 *h2, struct h2_stream *stream, const struct http_request *request)
{
	struct side *side = h2_owner(h2);
	side->last = stream;
	note(side, "<%.*s|%.*s|%.*s|%.*s|%d|%u>", VIEW(request->method), VIEW(request->path), VIEW(request->authority),
	     VIEW(request->proxy_authorization), request->has_body, request->refuse);
	if (request->refuse)
		assert_int_equal(h2_respond(h2, stream, request->refuse, NULL, 0, view_string("no")), 0);
}

static void on_response(struct h2 *h2, struct h2_stream *stream, const struct http_response *response)
{
	struct side *side = h2_owner(h2);
	(void)stream;
	note(side, "<%u|%.*s|%d>", response->status, VIEW(response->content_type), (int)response->content_length);
}

static void on_data(struct h2 *h2, struct h2_stream *stream, struct view bytes)
{
	struct side *side = h2_owner(h2);
	assert_int_equal(buf_add(&side->data, bytes), 0);
	if (side->consumes)
		h2_consume(h2, stream, bytes.size);
}

static void on_finish(struct h2 *h2, struct h2_stream *stream)
{
	(void)stream;
	note(h2_owner(h2), "fin;");
}

static int on_read(struct h2 *h2, struct h2_stream *stream, uint8_t *into, size_t capacity)
{
	struct side *side = h2_owner(h2);
	(void)stream;
	if (side->read_error)
		return side->read_error;
	if (side->source) {
		size_t size = strlen(side->source);
		assert_true(size <= capacity);
		memcpy(into, side->source, size);
		side->source = NULL;
		return (int)size;
	}
	if (side->source_left == SIZE_MAX)
		return 0;
	size_t size = side->source_left < capacity ? side->source_left : capacity;
	memset(into, '.', size);
	side->source_left -= size;
	return size ? (int)size : ERR_AGAIN;
}

static void on_closed(struct h2 *h2, struct h2_stream *stream, enum h2_code code, bool by_peer)
{
	struct side *side = h2_owner(h2);
	note(side, "closed(%s%s);", h2_code_name(code), by_peer ? ",peer" : "");
	if (side->last == stream)
		side->last = NULL;
}

static const struct h2_handlers handlers = {on_request, on_response, on_data, on_finish, on_read, on_closed};

static void side_init(struct side *side, enum h2_role role)
{
	struct h2_options options = {.role = role, .handlers = &handlers, .owner = side, .streams_max = STREAMS,
				     .head_bytes = HEAD, .stream_window_bytes = WINDOW};
	*side = (struct side){.trace = BUF_INIT(1 << 20), .data = BUF_INIT(1 << 24), .consumes = true};
	assert_int_equal(h2_new(&options, &side->h2), 0);
}

static void side_fini(struct side *side)
{
	h2_free(side->h2);
	buf_fini(&side->trace);
	buf_fini(&side->data);
}

/* Moves bytes until neither has any. Returns the first failure of an input. */
static int talk(struct side *a, struct side *b)
{
	for (bool moved = true; moved;) {
		moved = false;
		struct view bytes;
		while (h2_output(a->h2, &bytes) == 0) {
			moved = true;
			assert_true(bytes.size <= 16384);
			int result = h2_input(b->h2, bytes);
			if (result < 0)
				return result;
		}
		while (h2_output(b->h2, &bytes) == 0) {
			moved = true;
			int result = h2_input(a->h2, bytes);
			if (result < 0)
				return result;
		}
	}
	return 0;
}

static void expect(struct side *side, const char *trace)
{
	if (!view_is(buf_view(&side->trace), trace))
		fail_msg("\n got %.*s\nwant %s", (int)side->trace.size, (const char *)side->trace.data, trace);
	buf_reset(&side->trace);
}

static struct h2_stream *ask(struct side *client, const char *method, const char *path, const char *body)
{
	struct http_header headers[] = {HTTP_HEADER("proxy-authorization", "Bearer t"), HTTP_HEADER("x-other", "1")};
	struct h2_request request = {.method = method, .authority = view_string("db1:5432"), .path = view_string(path),
				     .headers = headers, .header_count = 2, .body = view_string(body)};
	struct h2_stream *stream = NULL;
	assert_int_equal(h2_request(client->h2, &request, &stream), 0);
	return stream;
}

static void test_requests_and_responses(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	ask(&client, "POST", "/v1/login", "{}");
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "<POST|/v1/login|db1:5432|Bearer t|1|0>fin;");
	assert_true(view_is(buf_view(&server.data), "{}"));
	struct http_header headers[] = {HTTP_HEADER("content-type", "application/json")};
	assert_int_equal(h2_respond(server.h2, server.last, 200, headers, 1, view_string("{\"a\":1}")), 0);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "closed(NO_ERROR);");
	expect(&client, "<200|application/json|7>fin;closed(NO_ERROR);");
	assert_true(view_is(buf_view(&client.data), "{\"a\":1}"));
	ask(&client, "GET", "/v1/session", "");
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "<GET|/v1/session|db1:5432|Bearer t|0|0>fin;");
	assert_int_equal(h2_respond(server.h2, server.last, 204, NULL, 0, view_string("")), 0);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "<204||-1>fin;closed(NO_ERROR);");
	side_fini(&client);
	side_fini(&server);
}

static struct h2_stream *open_tunnel(struct side *client, struct side *server)
{
	struct h2_stream *stream = ask(client, "CONNECT", "", "");
	assert_int_equal(talk(client, server), 0);
	expect(server, "<CONNECT||db1:5432|Bearer t|1|0>");
	assert_int_equal(h2_respond_tunnel(server->h2, server->last, NULL, 0), 0);
	assert_int_equal(talk(client, server), 0);
	expect(client, "<200||-1>");
	return stream;
}

static void test_a_tunnel_with_half_close(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	client.source = "early"; /* must not go before the tunnel stands */
	struct h2_stream *stream = ask(&client, "CONNECT", "", "");
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(server.data.size, 0);
	expect(&server, "<CONNECT||db1:5432|Bearer t|1|0>");
	assert_int_equal(h2_respond_tunnel(server.h2, server.last, NULL, 0), 0);
	assert_int_equal(talk(&client, &server), 0);
	assert_true(view_is(buf_view(&server.data), "early"));
	server.source = "hello";
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	assert_true(view_is(buf_view(&client.data), "hello"));
	/* The client's direction ends; the other goes on. */
	client.source_left = SIZE_MAX;
	h2_resume(client.h2, stream);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "fin;");
	server.source = "world";
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	assert_true(view_is(buf_view(&client.data), "helloworld"));
	server.source_left = SIZE_MAX;
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "closed(NO_ERROR);");
	expect(&client, "<200||-1>fin;closed(NO_ERROR);");
	assert_int_equal(h2_stream_count(server.h2), 0);
	side_fini(&client);
	side_fini(&server);
}

static void test_E6_a_slow_reader_stops_its_stream_only(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	struct h2_stream *slow = open_tunnel(&client, &server);
	struct h2_stream *server_slow = server.last;
	server.consumes = false;
	client.source_left = 1 << 20;
	h2_resume(client.h2, slow);
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(server.data.size, WINDOW);
	/* Another stream has its own window. */
	server.consumes = true;
	client.source_left = 0;
	struct h2_stream *fast = open_tunnel(&client, &server);
	client.source_left = 300000;
	h2_resume(client.h2, fast);
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(server.data.size, WINDOW + 300000);
	/* What is consumed may be sent again. */
	client.source_left = 1 << 20;
	server.consumes = false;
	buf_reset(&server.data);
	h2_consume(server.h2, server_slow, WINDOW);
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(server.data.size, WINDOW);
	side_fini(&client);
	side_fini(&server);
}

static void test_resets_keep_their_reason(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	open_tunnel(&client, &server);
	server.read_error = ERR_BAD_PEER; /* the target was reset */
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "closed(CONNECT_ERROR,peer);");
	expect(&server, "closed(CONNECT_ERROR);");
	server.read_error = 0;
	struct h2_stream *stream = open_tunnel(&client, &server);
	h2_reset(client.h2, stream, H2_CANCEL);
	h2_reset(client.h2, stream, H2_CANCEL);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "closed(CANCEL,peer);");
	expect(&client, "closed(CANCEL);");
	/* A reset that complains of nothing is no good end either. */
	stream = open_tunnel(&client, &server);
	h2_reset(client.h2, stream, H2_NO_ERROR);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "closed(CANCEL,peer);");
	side_fini(&client);
	side_fini(&server);
}

/* Its owner went before the request was sent. */
static void test_a_request_that_is_taken_back_is_never_sent(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	assert_int_equal(talk(&client, &server), 0);
	h2_reset(client.h2, ask(&client, "CONNECT", "", ""), H2_CANCEL);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "closed(REFUSED_STREAM);");
	expect(&server, "");
	assert_int_equal(h2_stream_count(client.h2), 0);
	open_tunnel(&client, &server);
	assert_true(h2_is_alive(client.h2));
	side_fini(&client);
	side_fini(&server);
}

static void test_a_refused_connect_ends_both_ways(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	ask(&client, "CONNECT", "", "");
	assert_int_equal(talk(&client, &server), 0);
	struct http_header headers[] = {HTTP_HEADER("content-type", "application/problem+json")};
	assert_int_equal(h2_respond(server.h2, server.last, 407, headers, 1, view_string("{}")), 0);
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(h2_stream_count(server.h2), 0);
	assert_int_equal(h2_stream_count(client.h2), 0);
	assert_true(view_is(buf_view(&client.data), "{}"));
	assert_non_null(strstr((char *)client.trace.data, "<407|application/problem+json|2>fin;closed("));
	side_fini(&client);
	side_fini(&server);
}

static void test_bounds_of_streams_and_heads(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	assert_int_equal(talk(&client, &server), 0);
	for (int i = 0; i < STREAMS + 3; i++)
		ask(&client, "CONNECT", "", "");
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(h2_stream_count(server.h2), STREAMS); /* the others wait at the client */
	side_fini(&client);
	side_fini(&server);

	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	char large[HEAD];
	memset(large, 'a', sizeof(large));
	struct http_header header = {view_string("x-large"), view_of(large, sizeof(large))};
	struct h2_request request = {.method = "GET", .authority = view_string("a"), .path = view_string("/"),
				     .headers = &header, .header_count = 1};
	struct h2_stream *stream;
	assert_int_equal(h2_request(client.h2, &request, &stream), 0);
	assert_int_equal(talk(&client, &server), 0);
	assert_non_null(strstr((char *)client.trace.data, "<431|"));
	/* An ambiguous one: the same credentials twice. */
	buf_reset(&client.trace);
	struct http_header twice[] = {HTTP_HEADER("authorization", "a"), HTTP_HEADER("authorization", "b")};
	request.headers = twice;
	request.header_count = 2;
	assert_int_equal(h2_request(client.h2, &request, &stream), 0);
	assert_int_equal(talk(&client, &server), 0);
	assert_non_null(strstr((char *)client.trace.data, "<400|"));
	side_fini(&client);
	side_fini(&server);
}

static void test_drain(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	struct h2_stream *stream = open_tunnel(&client, &server);
	h2_drain(server.h2);
	assert_int_equal(talk(&client, &server), 0);
	assert_true(h2_is_draining(client.h2));
	struct h2_request request = {.method = "GET", .authority = view_string("a"), .path = view_string("/")};
	struct h2_stream *refused;
	assert_int_equal(h2_request(client.h2, &request, &refused), ERR_CLOSED);
	/* The tunnel lives on, and the connection as long as the tunnel. */
	client.source = "still";
	h2_resume(client.h2, stream);
	assert_int_equal(talk(&client, &server), 0);
	assert_true(view_is(buf_view(&server.data), "still"));
	assert_true(h2_is_alive(server.h2));
	client.source_left = server.source_left = SIZE_MAX;
	h2_resume(client.h2, stream);
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	assert_false(h2_is_alive(server.h2));
	side_fini(&client);
	side_fini(&server);
}

static void test_streams_are_told_when_the_connection_is_lost(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	open_tunnel(&client, &server);
	h2_free(server.h2);
	server.h2 = NULL;
	expect(&server, "closed(CONNECTION_LOST);");
	side_fini(&client);
	side_fini(&server);
}

/* ---- floods (E4) ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/* Feeds a frame many times; true when the server ended the connection. Its output is read meanwhile when
 * `reads`. */
static bool flood(const char *start, size_t start_size, const char *frame, size_t size, int times, bool reads)
{
	struct side server;
	side_init(&server, H2_SERVER);
	assert_int_equal(h2_input(server.h2, view_of(preface, sizeof(preface) - 1)), 0);
	if (start_size)
		assert_int_equal(h2_input(server.h2, view_of(start, start_size)), 0);
	bool ended = false;
	for (int i = 0; i < times && !ended; i++) {
		struct view bytes;
		ended = h2_input(server.h2, view_of(frame, size)) < 0;
		while ((reads || ended) && h2_output(server.h2, &bytes) == 0)
			;
		ended = ended || !h2_is_alive(server.h2);
	}
	side_fini(&server);
	return ended;
}

static void test_E4_floods_end_the_connection(void **state)
{
	(void)state;
	/* HEADERS of stream 1: GET https / (static table), :authority a; the stream stays open. */
	static const char head[] = "\0\0\x06\x01\x04\0\0\0\x01\x82\x87\x84\x41\x01" "a";
#define FLOOD(start, frame, times, reads) flood(start, sizeof(start) - 1, frame, sizeof(frame) - 1, times, reads)
	assert_true(FLOOD("", "\0\0\x08\x06\0\0\0\0\0" "01234567", 5000, true));   /* PING */
	assert_true(FLOOD("", "\0\0\x08\x06\0\0\0\0\0" "01234567", 1500, false));  /* PING, answers unread */
	assert_true(FLOOD("", "\0\0\0\x04\0\0\0\0\0", 5000, true));                /* SETTINGS */
	assert_true(FLOOD(head, "\0\0\0\0\0\0\0\0\x01", 5000, true));              /* empty DATA */
	assert_true(FLOOD(head, "\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\x01", 5000, true)); /* PRIORITY */
	assert_true(FLOOD("\0\0\x01\x01\0\0\0\0\x01\x82", "\0\0\0\x09\0\0\0\0\x01", 100, true)); /* CONTINUATION */
}

static void test_E4_rapid_reset(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	int result = 0;
	int rounds = 0;
	for (; rounds < 5000 && result == 0 && h2_is_alive(server.h2); rounds++) {
		struct h2_request request = {.method = "GET", .authority = view_string("a"), .path = view_string("/")};
		struct h2_stream *stream = NULL;
		struct view bytes;
		if (h2_request(client.h2, &request, &stream) < 0)
			break;
		while (result == 0 && h2_output(client.h2, &bytes) == 0)
			result = h2_input(server.h2, bytes);
		h2_reset(client.h2, stream, H2_CANCEL);
		if (result == 0)
			result = talk(&client, &server);
	}
	assert_true(rounds < 3000);
	side_fini(&client);
	side_fini(&server);
}

static void test_E5_malformed_requests(void **state)
{
	(void)state;
	static const struct {
		struct h2_request request;
		struct http_header header;
	} rows[] = {
		{{.method = "GET", .authority = {NULL, 0}, .path = {(const uint8_t *)"", 0}}, {{NULL, 0}, {NULL, 0}}},
	};
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	struct h2_stream *stream;
	assert_int_equal(h2_request(client.h2, &rows[0].request, &stream), 0); /* an empty :path */
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "closed(PROTOCOL_ERROR,peer);");
	expect(&server, "");
	/* The connection serves on. */
	ask(&client, "GET", "/", "");
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "<GET|/|db1:5432|Bearer t|0|0>fin;");
	side_fini(&client);
	side_fini(&server);
	/* Not HTTP/2 at all. */
	side_init(&server, H2_SERVER);
	int result = h2_input(server.h2, view_string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	struct view bytes;
	while (h2_output(server.h2, &bytes) == 0)
		;
	assert_true(result == ERR_BAD_PEER || !h2_is_alive(server.h2));
	side_fini(&server);
}

static void test_an_answer_with_its_own_headers_and_a_streamed_body(void **state)
{
	(void)state;
	struct side client, server;
	const struct http_header headers[] = {HTTP_HEADER("content-type", "text/plain"), HTTP_HEADER("content-length", "300000")};
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	/* Whole; the client's window is smaller than the body. */
	ask(&client, "GET", "/", "");
	assert_int_equal(talk(&client, &server), 0);
	server.source_left = 300000;
	assert_int_equal(h2_respond_head(server.h2, server.last, 206, headers, 2, H2_BODY_READ), 0);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "<206|text/plain|300000>");
	assert_int_equal(client.data.size, 300000);
	server.source_left = SIZE_MAX;
	h2_resume(server.h2, server.last);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "fin;closed(NO_ERROR);");
	/* To HEAD: a length, and no body. */
	ask(&client, "HEAD", "/", "");
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(h2_respond_head(server.h2, server.last, 200, headers, 2, H2_BODY_NONE), 0);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "<200|text/plain|300000>fin;closed(NO_ERROR);");
	/* Broken off: never whole. */
	ask(&client, "GET", "/", "");
	assert_int_equal(talk(&client, &server), 0);
	server.source_left = 1000;
	assert_int_equal(h2_respond_head(server.h2, server.last, 200, headers, 2, H2_BODY_READ), 0);
	assert_int_equal(talk(&client, &server), 0);
	h2_reset(server.h2, server.last, H2_INTERNAL_ERROR);
	assert_int_equal(talk(&client, &server), 0);
	expect(&client, "<200|text/plain|300000>closed(INTERNAL_ERROR,peer);");
	side_fini(&client);
	side_fini(&server);
}

static void test_a_client_that_wants_no_more_of_an_answer(void **state)
{
	(void)state;
	struct side client, server;
	side_init(&client, H2_CLIENT);
	side_init(&server, H2_SERVER);
	struct h2_stream *stream = ask(&client, "GET", "/", "");
	assert_int_equal(talk(&client, &server), 0);
	assert_int_equal(h2_respond_head(server.h2, server.last, 200, NULL, 0, H2_BODY_READ), 0);
	assert_int_equal(talk(&client, &server), 0);
	buf_reset(&server.trace);
	h2_reset(client.h2, stream, H2_NO_ERROR);
	assert_int_equal(talk(&client, &server), 0);
	expect(&server, "closed(CANCEL,peer);");
	side_fini(&client);
	side_fini(&server);
}

/* A head of these fields, "name: value" each. */
static struct h2_head *head_of(const char *const *lines)
{
	struct h2_head *head = h2_head_new(HEAD);
	assert_non_null(head);
	for (; *lines; lines++) {
		const char *colon = strchr(*lines + 1, ':');
		assert_int_equal(h2_head_add(head, view_of(*lines, (size_t)(colon - *lines)), view_string(colon + 2)), 0);
	}
	return head;
}

static void test_a_head_keeps_all_fields_in_their_order(void **state)
{
	(void)state;
	struct http_request request;
	struct h2_head *head = head_of((const char *const[]){":method: GET", ":scheme: HTTP", ":path: /a", ":authority: wiki", "x-one: 1",
							      "accept: text/html", "x-one: ", "accept: */*", NULL});
	static const char *const expected[][2] = {{"x-one", "1"}, {"accept", "text/html"}, {"x-one", ""}, {"accept", "*/*"}};
	h2_head_request(head, &request);
	assert_int_equal(request.refuse, 0);
	assert_true(view_is(request.scheme, "http"));
	assert_true(view_is(request.accept, "text/html"));
	assert_int_equal(request.header_count, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_true(view_is(request.headers[i].name, expected[i][0]));
		assert_true(view_is(request.headers[i].value, expected[i][1]));
	}
	h2_head_free(head);
}

static void test_what_browsers_say(void **state)
{
	(void)state;
	struct http_request request;
	struct h2_head *head = head_of((const char *const[]){":method: POST", ":scheme: https", ":path: /a", ":authority: gw", "cookie: a=b",
							      "origin: https://gw", "cookie: c=d; e=f", "sec-fetch-site: same-origin",
							      "sec-fetch-mode: cors", "cookie: ", "sec-fetch-dest: empty", NULL});
	h2_head_request(head, &request);
	assert_int_equal(request.refuse, 0);
	assert_true(view_is(request.cookie, "a=b; c=d; e=f; "));
	assert_true(view_is(request.origin, "https://gw") && view_is(request.fetch_site, "same-origin"));
	assert_true(view_is(request.fetch_mode, "cors") && view_is(request.fetch_dest, "empty"));
	assert_int_equal(request.header_count, 7);
	h2_head_free(head);
	static const char *const once[] = {"origin: https://gw", "sec-fetch-site: none", "sec-fetch-mode: cors", "sec-fetch-dest: empty"};
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		head = head_of((const char *const[]){":method: GET", ":scheme: https", ":path: /", ":authority: gw", once[i], once[i], NULL});
		h2_head_request(head, &request);
		assert_int_equal(request.refuse, 400);
		h2_head_free(head);
	}
}

/* Crumbs count like any other field: their sum is within the bound of the head. */
static void test_E5_many_crumbs(void **state)
{
	(void)state;
	struct http_request request;
	struct h2_head *head = h2_head_new(4096);
	for (size_t i = 0; i < HTTP_FIELDS_MAX; i++)
		assert_int_equal(h2_head_add(head, view_string("cookie"), view_string("0123456789")), 0);
	h2_head_request(head, &request);
	assert_int_equal(request.refuse, 431);
	assert_true(request.cookie.size <= 4096);
	h2_head_free(head);
}

static void test_E5_heads_that_are_refused(void **state)
{
	(void)state;
	struct http_request request;
	struct h2_head *head = head_of((const char *const[]){":method: GET", ":scheme: ftp", ":path: /a", ":authority: wiki", NULL});
	h2_head_request(head, &request);
	assert_int_equal(request.refuse, 400);
	h2_head_free(head);
	for (size_t more = 0; more < 2; more++) {
		head = h2_head_new(1 << 20);
		for (size_t i = 0; i < HTTP_FIELDS_MAX + more; i++)
			assert_int_equal(h2_head_add(head, view_string("x"), view_string("")), 0);
		h2_head_request(head, &request);
		assert_int_equal(request.refuse, more ? 431 : 0);
		assert_int_equal(request.header_count, HTTP_FIELDS_MAX);
		h2_head_free(head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_and_responses), cmocka_unit_test(test_a_tunnel_with_half_close),
		cmocka_unit_test(test_E6_a_slow_reader_stops_its_stream_only),
		cmocka_unit_test(test_resets_keep_their_reason), cmocka_unit_test(test_a_request_that_is_taken_back_is_never_sent),
		cmocka_unit_test(test_a_refused_connect_ends_both_ways),
		cmocka_unit_test(test_bounds_of_streams_and_heads), cmocka_unit_test(test_drain),
		cmocka_unit_test(test_streams_are_told_when_the_connection_is_lost),
		cmocka_unit_test(test_E4_floods_end_the_connection), cmocka_unit_test(test_E4_rapid_reset),
		cmocka_unit_test(test_E5_malformed_requests),
		cmocka_unit_test(test_an_answer_with_its_own_headers_and_a_streamed_body),
		cmocka_unit_test(test_a_client_that_wants_no_more_of_an_answer),
		cmocka_unit_test(test_a_head_keeps_all_fields_in_their_order), cmocka_unit_test(test_E5_heads_that_are_refused),
		cmocka_unit_test(test_what_browsers_say), cmocka_unit_test(test_E5_many_crumbs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
