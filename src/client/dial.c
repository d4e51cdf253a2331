/* dial.c: a TCP connection to a name, by several addresses at once where the first are slow. */
#include "dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "explain.h"
#include "sallyport/own.h"

#define CHECK_NETWORK _("check this device's network connection")

enum {
	ADDRESSES_MAX = 16,
	NEXT_ATTEMPT_MS = 250,
	LIMIT_MS = 20000,
};

struct attempt {
	uv_poll_t poll;
	int fd; /* -1: not begun, or over */
	struct dial *dial;
};

/* The handles that a dial closes: all attempts begun, and two timers. The look-up counts as one too. */
struct dial {
	dial_done_handler on_done;
	void *owner;
	char host[256];
	uint16_t port;
	struct sockaddr_storage address[ADDRESSES_MAX];
	socklen_t address_length[ADDRESSES_MAX];
	struct attempt attempt[ADDRESSES_MAX];
	size_t count, begun, failed;
	uv_getaddrinfo_t lookup;
	uv_timer_t next, limit;
	unsigned to_close;
	bool over;
	int last_error;
};

void dial_interleave(const int *families, size_t count, size_t *out_order)
{
	bool taken[ADDRESSES_MAX] = {false};
	int wanted = count ? families[0] : AF_UNSPEC;
	for (size_t filled = 0; filled < count; filled++) {
		size_t found = count, any = count;
		for (size_t i = 0; i < count; i++) {
			if (taken[i])
				continue;
			any = any == count ? i : any;
			if (families[i] == wanted && found == count)
				found = i;
		}
		out_order[filled] = found == count ? any : found;
		taken[out_order[filled]] = true;
		wanted = families[out_order[filled]] == AF_INET6 ? AF_INET : AF_INET6;
	}
}

static void release(struct dial *dial)
{
	if (--dial->to_close == 0)
		free(dial);
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void on_attempt_closed(uv_handle_t *handle)
{
	struct attempt *attempt = handle->data;
	release(attempt->dial);
}

static void end_attempt(struct attempt *attempt)
{
	if (attempt->fd < 0)
		return;
	uv_poll_stop(&attempt->poll);
	close(take_fd(&attempt->fd));
}

/* Lets go of everything; memory goes with the last handle. */
static void end(struct dial *dial)
{
	dial->over = true;
	for (size_t i = 0; i < dial->begun; i++) {
		end_attempt(&dial->attempt[i]);
		if (dial->attempt[i].poll.data)
			uv_close((uv_handle_t *)&dial->attempt[i].poll, on_attempt_closed);
	}
	uv_cancel((uv_req_t *)&dial->lookup);
	uv_close((uv_handle_t *)&dial->next, on_closed);
	uv_close((uv_handle_t *)&dial->limit, on_closed);
}

static void finish(struct dial *dial, int fd, const struct diag *diag)
{
	dial_done_handler on_done = dial->on_done;
	void *owner = dial->owner;
	end(dial);
	on_done(owner, fd, diag);
}

static void fail(struct dial *dial, const char *reason, const char *advice)
{
	struct diag diag;
	diag_set(&diag, STATUS_UNREACHABLE, _("The gateway %s:%u cannot be reached: %s; %s"), dial->host, dial->port, reason, advice);
	finish(dial, -1, &diag);
}

static void begin_next(struct dial *dial);

static void explain_attempt(const struct dial *dial, const struct attempt *attempt, const char *what)
{
	char text[INET6_ADDRSTRLEN + 20];
	size_t index = (size_t)(attempt - dial->attempt);
	if (explain_wanted() && getnameinfo((const struct sockaddr *)&dial->address[index], dial->address_length[index], text,
					    sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
		explain("%s, address %zu of %zu: %s port %u: %s", dial->host, index + 1, dial->count, text, dial->port, what);
}

static void attempt_failed(struct attempt *attempt, int error)
{
	struct dial *dial = attempt->dial;
	explain_attempt(dial, attempt, strerror(error));
	dial->last_error = error;
	end_attempt(attempt);
	if (++dial->failed == dial->count)
		fail(dial, strerror(dial->last_error), dial->last_error == ECONNREFUSED
			     ? _("try again in a moment, or ask your administrator whether it runs") : CHECK_NETWORK);
	else if (dial->begun < dial->count)
		begin_next(dial);
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct attempt *attempt = poll->data;
	int error = 0;
	socklen_t length = sizeof(error);
	/* A refusal comes as a failed poll; the socket knows why. */
	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || (error == 0 && status < 0))
		error = EIO;
	if (error) {
		attempt_failed(attempt, error);
		return;
	}
	explain_attempt(attempt->dial, attempt, "connected");
	uv_poll_stop(&attempt->poll);
	finish(attempt->dial, take_fd(&attempt->fd), NULL);
}

/* Returns an errno, or 0 while the connection is being made. */
static int try_connect(struct dial *dial, size_t index)
{
	struct attempt *attempt = &dial->attempt[index];
	explain_attempt(dial, attempt, "trying it");
	const struct sockaddr *address = (const struct sockaddr *)&dial->address[index];
	attempt->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (attempt->fd < 0)
		return errno;
	if (connect(attempt->fd, address, dial->address_length[index]) < 0 && errno != EINPROGRESS)
		return errno;
	if (uv_poll_init(dial->next.loop, &attempt->poll, attempt->fd) < 0)
		return EIO;
	attempt->poll.data = attempt;
	dial->to_close++;
	return uv_poll_start(&attempt->poll, UV_WRITABLE, on_connected) < 0 ? EIO : 0;
}

static void on_next(uv_timer_t *timer)
{
	begin_next(timer->data);
}

static void begin_next(struct dial *dial)
{
	size_t index = dial->begun++;
	struct attempt *attempt = &dial->attempt[index];
	attempt->dial = dial;
	if (dial->begun < dial->count)
		uv_timer_start(&dial->next, on_next, NEXT_ATTEMPT_MS, 0);
	else
		uv_timer_stop(&dial->next);
	int error = try_connect(dial, index);
	if (error) {
		if (!attempt->poll.data && attempt->fd >= 0)
			close(take_fd(&attempt->fd));
		attempt_failed(attempt, error);
	}
}

static void on_limit(uv_timer_t *timer)
{
	fail(timer->data, _("it did not answer in time"), CHECK_NETWORK);
}

static void take_addresses(struct dial *dial, const struct addrinfo *results)
{
	const struct addrinfo *found[ADDRESSES_MAX];
	int families[ADDRESSES_MAX];
	size_t order[ADDRESSES_MAX];
	for (; results && dial->count < ADDRESSES_MAX; results = results->ai_next) {
		if (results->ai_addrlen > sizeof(dial->address[0]))
			continue;
		families[dial->count] = results->ai_family;
		found[dial->count++] = results;
	}
	dial_interleave(families, dial->count, order);
	for (size_t i = 0; i < dial->count; i++) {
		memcpy(&dial->address[i], found[order[i]]->ai_addr, found[order[i]]->ai_addrlen);
		dial->address_length[i] = found[order[i]]->ai_addrlen;
	}
}

static const char *why_no_address(int status)
{
	if (status == UV_EAI_NONAME || status == UV_EAI_NODATA || status == 0)
		return _("there is no address of that name");
	return status == UV_EAI_AGAIN ? _("no name server answers; its name cannot be looked up now") : uv_strerror(status);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *results)
{
	struct dial *dial = lookup->data;
	if (!dial->over && status == 0)
		take_addresses(dial, results);
	uv_freeaddrinfo(results);
	if (!dial->over && dial->count)
		begin_next(dial);
	else if (!dial->over)
		fail(dial, why_no_address(status), CHECK_NETWORK);
	release(dial);
}

int dial_start(uv_loop_t *loop, const char *host, uint16_t port, dial_done_handler on_done, void *owner,
	       struct dial **out_dial, struct diag *diag)
{
	char service[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	/* RFC 6761 6.3: loopback, also on a machine without a hosts file; that is what no name at all means here. */
	const char *node = strcasecmp(host, "localhost") == 0 ? NULL : host;
	struct dial *dial = calloc(1, sizeof(*dial));
	if (!dial)
		return diag_set(diag, ERR_SYSTEM, _("memory is out"));
	dial->on_done = on_done;
	dial->owner = owner;
	dial->port = port;
	snprintf(dial->host, sizeof(dial->host), "%s", host);
	snprintf(service, sizeof(service), "%u", port);
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		dial->attempt[i].fd = -1;
	dial->lookup.data = dial->next.data = dial->limit.data = dial;
	int result = uv_getaddrinfo(loop, &dial->lookup, on_looked_up, node, service, &hints);
	if (result < 0) {
		free(dial);
		return diag_set(diag, ERR_SYSTEM, _("The gateway's name \"%s\" cannot be looked up: %s"), host, uv_strerror(result));
	}
	explain("Looking up %s", host);
	dial->to_close = 3; /* the look-up and two timers */
	uv_timer_init(loop, &dial->next);
	uv_timer_init(loop, &dial->limit);
	uv_timer_start(&dial->limit, on_limit, LIMIT_MS, 0);
	*out_dial = dial;
	return 0;
}

void dial_cancel(struct dial *dial)
{
	end(dial);
}
