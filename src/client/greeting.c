/* greeting.c: what is said on an accepted connection before its tunnel. What the words mean: socks.c, proxy_head.c. */
#include "greeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy_head.h"
#include "sallyport/own.h"
#include "socks.h"
#include "tunnel.h"

enum { LIMIT_MS = 30000, PEEK_BYTES = 4096 };

struct greeting {
	enum forward_kind kind;
	int fd;
	greeting_done_handler on_done; /* NULL: dropped */
	void *owner;
	struct socks socks;
	struct buf head;
	uv_poll_t poll;
	uv_timer_t limit;
	unsigned handles;
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct greeting *greeting = handle->data;
	if (--greeting->handles)
		return;
	buf_fini(&greeting->head);
	free(greeting);
}

static void let_go(struct greeting *greeting)
{
	uv_poll_stop(&greeting->poll);
	uv_close((uv_handle_t *)&greeting->poll, on_handle_closed);
	uv_close((uv_handle_t *)&greeting->limit, on_handle_closed);
}

static void finish(struct greeting *greeting, const struct greeting_wish *wish)
{
	let_go(greeting);
	greeting->on_done(greeting->owner, wish);
}

/* Whoever does not take these few bytes gets none. */
static void send_words(int fd, struct view words)
{
	(void)!send(fd, words.data, words.size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- SOCKS ---- */

/* True when it is over. */
static bool step_socks(struct greeting *greeting)
{
	struct greeting_wish wish = {.tongue = GREETING_SOCKS};
	struct view reply = {0};
	switch (socks_next(&greeting->socks, &wish.destination, &reply)) {
	case SOCKS_WELCOMED:
		send_words(greeting->fd, socks_method_reply());
		return false;
	case SOCKS_MORE:
		return false;
	case SOCKS_DESTINATION:
		finish(greeting, &wish);
		return true;
	default:
		send_words(greeting->fd, reply);
		finish(greeting, NULL);
		return true;
	}
}

static ssize_t read_socks(struct greeting *greeting)
{
	struct socks *socks = &greeting->socks;
	ssize_t count = recv(greeting->fd, socks->bytes + socks->size, socks->wanted - socks->size, MSG_DONTWAIT);
	if (count > 0)
		socks->size += (size_t)count;
	if (count > 0 && socks->size == socks->wanted && step_socks(greeting))
		return 0;
	return count > 0 ? count : count < 0 && errno == EAGAIN ? -1 : (finish(greeting, NULL), 0);
}

/* ---- HTTP ---- */

static void take_head(struct greeting *greeting)
{
	static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	OWN_BUF struct buf preface = BUF_INIT(PROXY_HEAD_BYTES_MAX + 1024);
	struct greeting_wish wish;
	bool is_connect = false;
	if (proxy_head_parse(buf_view(&greeting->head), &wish.destination, &is_connect, &preface) < 0) {
		send_words(greeting->fd, view_string(bad));
		finish(greeting, NULL);
		return;
	}
	wish.tongue = is_connect ? GREETING_CONNECT : GREETING_PLAIN_HTTP;
	wish.preface = buf_view(&preface);
	finish(greeting, &wish);
}

/* Takes from the socket what belongs to the head and not a byte more: the rest is the tunnel's. */
static ssize_t read_head(struct greeting *greeting)
{
	uint8_t *into = buf_reserve(&greeting->head, PEEK_BYTES);
	ssize_t count = into ? recv(greeting->fd, into, PEEK_BYTES, MSG_PEEK | MSG_DONTWAIT) : 0;
	if (count < 0 && errno == EAGAIN)
		return -1;
	if (count <= 0) {
		finish(greeting, NULL);
		return 0;
	}
	size_t before = greeting->head.size;
	buf_grown(&greeting->head, (size_t)count);
	size_t whole = proxy_head_size(buf_view(&greeting->head));
	size_t taken = whole ? whole - before : (size_t)count;
	greeting->head.size = before + taken;
	if (recv(greeting->fd, greeting->head.data + before, taken, MSG_DONTWAIT) != (ssize_t)taken) {
		finish(greeting, NULL);
		return 0;
	}
	if (!whole)
		return count;
	take_head(greeting);
	return 0;
}

/* ---- life ---- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct greeting *greeting = poll->data;
	ssize_t result = status < 0 ? (finish(greeting, NULL), 0) : 1;
	/* 0: it is over; -1: nothing more now. */
	while (result > 0)
		result = greeting->kind == FORWARD_SOCKS ? read_socks(greeting) : read_head(greeting);
}

static void on_limit(uv_timer_t *timer)
{
	finish(timer->data, NULL);
}

int greeting_start(uv_loop_t *loop, enum forward_kind kind, int fd, greeting_done_handler on_done, void *owner,
		   struct greeting **out_greeting)
{
	struct greeting *greeting = calloc(1, sizeof(*greeting));
	if (!greeting || uv_poll_init(loop, &greeting->poll, fd) < 0) {
		free(greeting);
		return STATUS_FAILED;
	}
	uv_timer_init(loop, &greeting->limit);
	greeting->poll.data = greeting->limit.data = greeting;
	greeting->handles = 2;
	greeting->kind = kind;
	greeting->fd = fd;
	greeting->on_done = on_done;
	greeting->owner = owner;
	greeting->head = BUF_INIT(PROXY_HEAD_BYTES_MAX);
	socks_init(&greeting->socks);
	uv_timer_start(&greeting->limit, on_limit, LIMIT_MS, 0);
	uv_poll_start(&greeting->poll, UV_READABLE, on_readable);
	*out_greeting = greeting;
	return STATUS_OK;
}

void greeting_drop(struct greeting *greeting)
{
	if (greeting)
		let_go(greeting);
}

/* ---- how it went ---- */

void greeting_welcome(enum greeting_tongue tongue, int fd)
{
	uint8_t reply[SOCKS_REPLY_BYTES];
	if (tongue == GREETING_CONNECT)
		send_words(fd, view_string("HTTP/1.1 200 Connection established\r\n\r\n"));
	if (tongue != GREETING_SOCKS)
		return;
	socks_reply(SOCKS_SUCCEEDED, reply);
	send_words(fd, view_of(reply, sizeof(reply)));
}

static void refuse_socks(int fd, int status)
{
	uint8_t reply[SOCKS_REPLY_BYTES];
	socks_reply(status == STATUS_NOT_ALLOWED || status == STATUS_LOGIN_NEEDED || status == STATUS_DEVICE_REFUSED
			    ? SOCKS_NOT_ALLOWED
		    : status == STATUS_UNREACHABLE ? SOCKS_TIMED_OUT : SOCKS_UNREACHABLE, reply);
	send_words(fd, view_of(reply, sizeof(reply)));
}

static void refuse_http(int fd, int status, const struct diag *diag)
{
	char answer[2048], text[sizeof(diag->text)];
	bool allowed = status != STATUS_NOT_ALLOWED && status != STATUS_LOGIN_NEEDED && status != STATUS_DEVICE_REFUSED;
	snprintf(text, sizeof(text), "%s", diag->text);
	int length = snprintf(answer, sizeof(answer),
			      "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
			      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s\n",
			      allowed ? "502 Bad Gateway" : "403 Forbidden", strlen(text) + 1, text);
	send_words(fd, view_of(answer, (size_t)length));
}

/* An orderly end, so that the words arrive: what the caller still sends (a body) would turn a close into an RST. */
static void close_gently(int fd)
{
	char space[4096];
	shutdown(fd, SHUT_WR);
	while (recv(fd, space, sizeof(space), MSG_DONTWAIT) > 0)
		;
	close(fd);
}

void greeting_turn_away(enum greeting_tongue tongue, int fd, int status, const struct diag *diag)
{
	if (tongue == GREETING_SILENT) {
		tunnel_close_with_reset(fd);
		return;
	}
	if (tongue == GREETING_SOCKS)
		refuse_socks(fd, status);
	else
		refuse_http(fd, status, diag);
	close_gently(fd);
}
