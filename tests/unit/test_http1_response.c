/* test_http1_response.c: answers of servers, cut anywhere; and everything that could be read in two ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/http1_response.h"

enum { HEAD_LIMIT = 512, CONTENT = 64 };

/* What became of an answer: its facts, its content, "whole" or what is wrong. */
struct outcome {
	unsigned status;
	int64_t content_length;
	enum http1_body body;
	char fields[512], content[CONTENT + 1];
	size_t content_size;
	const char *wrong; /* NULL: whole */
};

static void note_head(const struct http1_answer *answer, struct outcome *outcome)
{
	outcome->status = answer->status;
	outcome->content_length = answer->content_length;
	outcome->body = answer->body;
	for (size_t i = 0, used = 0; i < answer->header_count; i++)
		used += (size_t)snprintf(outcome->fields + used, sizeof(outcome->fields) - used, "%.*s=%.*s;",
					 (int)answer->headers[i].name.size, answer->headers[i].name.data,
					 (int)answer->headers[i].value.size, answer->headers[i].value.data);
}

static int take_body(struct http1_response *response, struct view input, struct outcome *outcome)
{
	uint8_t bytes[1024];
	size_t size = input.size;
	memcpy(bytes, input.data, size);
	int result = http1_response_body(response, bytes, &size);
	if (result < 0)
		return result;
	assert_true(outcome->content_size + size <= CONTENT);
	memcpy(outcome->content + outcome->content_size, bytes, size);
	outcome->content_size += size;
	return 0;
}

/* Bytes in steps, and then the server's end. */
static struct outcome run(const char *text, size_t step, enum http1_question question)
{
	OWN(own_http1_response) struct http1_response *response = NULL;
	struct outcome outcome = {.status = 0};
	bool head = false;
	int result = 0;
	assert_int_equal(http1_response_new(HEAD_LIMIT, question, &response), 0);
	for (size_t at = 0, size = strlen(text); at < size && result >= 0; at += step) {
		struct view input = view_of(text + at, step < size - at ? step : size - at);
		result = head ? 0 : http1_response_head(response, &input);
		if (result == ERR_AGAIN) {
			assert_int_equal(input.size, 0);
			result = 0;
			continue;
		}
		if (result == 0 && !head)
			note_head(http1_response_answer(response), &outcome);
		if (!head)
			http1_response_forget_head(response);
		head = result == 0;
		if (result == 0 && input.size)
			result = take_body(response, input, &outcome);
	}
	if (result == 0 && !http1_response_is_whole(response))
		result = http1_response_end(response);
	outcome.wrong = http1_response_wrong(response);
	assert_int_equal(result < 0, outcome.wrong != NULL);
	return outcome;
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_answers_at_every_cut(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum http1_question question;
		unsigned status;
		int content_length;
		enum http1_body body;
		const char *fields, *content;
	} rows[] = {
		{OK "Content-Length: 5\r\nX-A:  b \r\n\r\nhello", HTTP1_ASKED, 200, 5, HTTP1_BODY_LENGTH, "content-length=5;x-a=b;", "hello"},
		{OK "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", HTTP1_ASKED, 200, 5, HTTP1_BODY_LENGTH, "content-length=5;", "hello"},
		{"HTTP/1.0 404\r\n\r\nuntil the end", HTTP1_ASKED, 404, -1, HTTP1_BODY_CLOSE, "", "until the end"},
		{"HTTP/1.1 301 \r\nContent-Length: 0\r\n\r\nmore", HTTP1_ASKED, 301, 0, HTTP1_BODY_NONE, "content-length=0;", ""},
		{OK "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX: y\r\n\r\n", HTTP1_ASKED, 200, -1,
		 HTTP1_BODY_CHUNKED, "transfer-encoding=Chunked;", "hello world"},
		{OK "Transfer-Encoding: chunked\r\n\r\n00000a \r\n0123456789\r\n000\r\n\r\nHTTP/1.1", HTTP1_ASKED, 200, -1,
		 HTTP1_BODY_CHUNKED, "transfer-encoding=chunked;", "0123456789"},
		{OK "Content-Length: 500\r\n\r\n", HTTP1_ASKED_HEAD, 200, 500, HTTP1_BODY_NONE, "content-length=500;", ""},
		{OK "Transfer-Encoding: chunked\r\n\r\n", HTTP1_ASKED_HEAD, 200, -1, HTTP1_BODY_NONE, "transfer-encoding=chunked;", ""},
		{"HTTP/1.1 204 No Content\r\n\r\n", HTTP1_ASKED, 204, -1, HTTP1_BODY_NONE, "", ""},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", HTTP1_ASKED, 304, 9, HTTP1_BODY_NONE, "content-length=9;", ""},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 1\r\n\r\n1", HTTP1_ASKED, 200, 1,
		 HTTP1_BODY_LENGTH, "content-length=1;", "1"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step <= strlen(rows[i].text); step++) {
			struct outcome outcome = run(rows[i].text, step, rows[i].question);
			if (outcome.wrong || outcome.status != rows[i].status || outcome.content_length != rows[i].content_length ||
			    outcome.body != rows[i].body || strcmp(outcome.fields, rows[i].fields) != 0 ||
			    strcmp(outcome.content, rows[i].content) != 0)
				fail_msg("row %zu, step %zu: %s; %u %d %s %s", i, step, outcome.wrong, outcome.status,
					 (int)outcome.content_length, outcome.fields, outcome.content);
		}
	}
}

static void test_E5_broken_answers(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
		"\r\n\r\n" OK "\r\n",
		"<html>",
		"HTTP/1.1 200 OK\n\n",
		OK "A: b\rC: d\r\n\r\n",
		OK "A: b\r\n folded\r\n\r\n",
		OK "A : b\r\n\r\n",
		OK ": b\r\n\r\n",
		OK "nonsense\r\n\r\n",
		OK "A: \x01\r\n\r\n",
		OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n1",
		OK "Content-Length: 1, 1\r\n\r\n1",
		OK "Content-Length: +1\r\n\r\n1",
		OK "Content-Length: 99999999999999999999\r\n\r\n1",
		OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
		OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		OK "Transfer-Encoding: identity\r\n\r\nx",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
		/* cut off */
		"",
		"HTTP/1.1 200",
		OK "A: b\r\n",
		OK "Content-Length: 5\r\n\r\nhell",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		/* chunks */
		OK "Transfer-Encoding: chunked\r\n\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5 5\rhello\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n5;\x01\r\nhello\r\n0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n;x\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
		OK "Transfer-Encoding: chunked\r\n\r\n0\r\n folded\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t step = 1; step <= strlen(rows[i]) + 1; step++)
			if (!run(rows[i], step, HTTP1_ASKED).wrong)
				fail_msg("row %zu, step %zu is taken for whole", i, step);
}

static void test_E5_heads_without_an_end(void **state)
{
	(void)state;
	OWN(own_http1_response) struct http1_response *response = NULL;
	const struct view line = view_string("X: y\r\n"), interim = view_string("HTTP/1.1 100 Continue\r\n\r\n");
	struct view input = view_string(OK);
	int result, rounds;
	assert_int_equal(http1_response_new(HEAD_LIMIT, HTTP1_ASKED, &response), 0);
	assert_int_equal(http1_response_head(response, &input), ERR_AGAIN);
	for (rounds = 0, result = ERR_AGAIN; result == ERR_AGAIN; rounds++) {
		input = line;
		result = http1_response_head(response, &input);
	}
	assert_int_equal(result, ERR_BAD_PEER);
	assert_true(rounds <= HEAD_LIMIT / 6 + 1);
	http1_response_free(take_pointer(&response));
	assert_int_equal(http1_response_new(HEAD_LIMIT, HTTP1_ASKED, &response), 0);
	for (rounds = 0, result = ERR_AGAIN; result == ERR_AGAIN; rounds++) {
		input = interim;
		result = http1_response_head(response, &input);
	}
	assert_int_equal(result, ERR_BAD_PEER);
	assert_true(rounds < 100);
}

static void test_E5_framing_of_chunks_without_an_end(void **state)
{
	(void)state;
	static const struct {
		const char *before, *again;
	} rows[] = {{"0", "0"}, {"1;", "x"}, {"0\r\n", "X: y\r\n"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN(own_http1_response) struct http1_response *response = NULL;
		struct view input = view_string(OK "Transfer-Encoding: chunked\r\n\r\n");
		uint8_t bytes[16];
		size_t size = strlen(rows[i].before);
		int result, rounds = 0;
		assert_int_equal(http1_response_new(HEAD_LIMIT, HTTP1_ASKED, &response), 0);
		assert_int_equal(http1_response_head(response, &input), 0);
		memcpy(bytes, rows[i].before, size);
		assert_int_equal(http1_response_body(response, bytes, &size), 0);
		do {
			size = strlen(rows[i].again);
			memcpy(bytes, rows[i].again, size);
			result = http1_response_body(response, bytes, &size);
			assert_true(result < 0 || size == 0);
		} while (result == 0 && ++rounds < 1 << 16);
		assert_int_equal(result, ERR_BAD_PEER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_at_every_cut), cmocka_unit_test(test_E5_broken_answers),
		cmocka_unit_test(test_E5_heads_without_an_end), cmocka_unit_test(test_E5_framing_of_chunks_without_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
