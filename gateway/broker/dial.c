/* dial.c: several connection attempts, the first that succeeds wins (RFC 8305 5).
 *
 * A new attempt starts when the last one failed, or when attempt_delay has passed without an answer.
 */
#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sallyport/conf.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "target.h"

struct attempt {
	struct dial *dial;
	const struct sockaddr_storage *address;
	int fd;
	bool is_open; /* its poll handle is on the loop */
	uv_poll_t poll;
};

struct dial {
	struct dial_request request;
	unsigned next;    /* the address that is tried next */
	unsigned running; /* attempts without an outcome */
	unsigned open_handles;
	bool over;
	struct diag trouble; /* of the last failed attempt */
	uv_timer_t delay, limit;
	struct attempt attempts[DIAL_ADDRESSES_MAX];
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct dial *dial = handle->data;
	if (--dial->open_handles == 0)
		free(dial);
}

static void close_attempt(struct attempt *attempt)
{
	if (!attempt->is_open)
		return;
	attempt->is_open = false;
	attempt->dial->running--;
	uv_poll_stop(&attempt->poll);
	attempt->poll.data = attempt->dial;
	uv_close((uv_handle_t *)&attempt->poll, on_handle_closed);
	if (attempt->fd >= 0)
		close(attempt->fd);
	attempt->fd = -1;
}

void dial_cancel(struct dial *dial)
{
	if (dial->over)
		return;
	dial->over = true;
	for (unsigned i = 0; i < dial->next; i++)
		close_attempt(&dial->attempts[i]);
	uv_close((uv_handle_t *)&dial->delay, on_handle_closed);
	uv_close((uv_handle_t *)&dial->limit, on_handle_closed);
}

static void finish(struct dial *dial, int result, int fd, const struct sockaddr_storage *address)
{
	void (*done)(void *, int, int, const struct sockaddr *, const struct diag *) = dial->request.done;
	void *context = dial->request.context;
	/* The memory lives until the handles' last callback, which comes later on the loop. */
	dial_cancel(dial);
	done(context, result, fd, (const struct sockaddr *)address, &dial->trouble);
}

static void note_trouble(struct attempt *attempt, int reason)
{
	char text[INET6_ADDRSTRLEN];
	target_address_text((const struct sockaddr *)attempt->address, text, sizeof(text));
	diag_set(&attempt->dial->trouble, ERR_DENIED, "%s: %s", text, strerror(reason));
}

static void try_next(struct dial *dial);

static void on_outcome(uv_poll_t *poll, int status, int events)
{
	struct attempt *attempt = poll->data;
	struct dial *dial = attempt->dial;
	(void)events;
	int reason = 0;
	socklen_t size = sizeof(reason);
	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &reason, &size) < 0)
		reason = errno;
	if (status < 0 && reason == 0)
		reason = EIO;
	if (reason == 0) {
		int fd = take_fd(&attempt->fd);
		uv_poll_stop(&attempt->poll);
		finish(dial, 0, fd, attempt->address);
		return;
	}
	note_trouble(attempt, reason);
	close_attempt(attempt);
	try_next(dial);
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* ---- the manner ---- */

int dial_manner_parse(const char *sources, const char *interface, uint64_t keepalive_ms, struct dial_manner *out_manner,
		      struct diag *diag)
{
	struct dial_manner manner = {.keepalive_ms = keepalive_ms};
	size_t position = 0;
	struct view item;
	while (conf_list_next(sources, &position, &item)) {
		struct target target;
		if (target_parse(item, 1, &target, NULL) < 0 || !target.is_address)
			return diag_set(diag, ERR_BAD_CONFIG, "dial_source: \"%.*s\" is no address", (int)item.size,
					(const char *)item.data);
		struct sockaddr_storage *place = &manner.sources[target.address.ss_family == AF_INET6];
		if (place->ss_family)
			return diag_set(diag, ERR_BAD_CONFIG, "dial_source: one IPv4 and one IPv6 address at most");
		*place = target.address;
		/* Any port. */
		if (target.address.ss_family == AF_INET6)
			((struct sockaddr_in6 *)place)->sin6_port = 0;
		else
			((struct sockaddr_in *)place)->sin_port = 0;
	}
	if (!str_copy(manner.interface, sizeof(manner.interface), interface))
		return diag_set(diag, ERR_BAD_CONFIG, "dial_interface: \"%s\" is no name of an interface", interface);
	*out_manner = manner;
	return 0;
}

/* 0, or why it cannot be: then this attempt fails, rather than to come from elsewhere. */
static int apply_manner(int fd, const struct dial_manner *manner, sa_family_t family)
{
	const struct sockaddr_storage *source = &manner->sources[family == AF_INET6];
	if (*manner->interface &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, manner->interface, (socklen_t)strlen(manner->interface)) < 0)
		return errno;
	if (source->ss_family) {
		/* The port is the connection's matter, so that one address serves more than the ephemeral ports. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
		if (bind(fd, (const struct sockaddr *)source, address_size(source)) < 0)
			return errno;
	}
	if (manner->keepalive_ms)
		fd_keep_alive(fd, manner->keepalive_ms);
	return 0;
}

/* 0 when the attempt is under way. A connection that stands at once is told by the poll handle as well. */
static int begin_attempt(struct dial *dial, struct attempt *attempt, uv_loop_t *loop)
{
	attempt->fd = socket(attempt->address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (attempt->fd < 0)
		return errno;
	int reason = dial->request.manner ? apply_manner(attempt->fd, dial->request.manner, attempt->address->ss_family) : 0;
	if (reason)
		return reason;
	const struct sockaddr *address = (const struct sockaddr *)attempt->address;
	if (connect(attempt->fd, address, address_size(attempt->address)) < 0 && errno != EINPROGRESS)
		return errno;
	setsockopt(attempt->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (uv_poll_init(loop, &attempt->poll, attempt->fd) < 0)
		return ENOMEM;
	attempt->poll.data = attempt;
	attempt->is_open = true;
	dial->open_handles++;
	dial->running++;
	return -uv_poll_start(&attempt->poll, UV_WRITABLE, on_outcome);
}

static void on_delay(uv_timer_t *timer)
{
	try_next(timer->data);
}

static void on_limit(uv_timer_t *timer)
{
	struct dial *dial = timer->data;
	diag_set(&dial->trouble, ERR_TIMEOUT, "no answer in time");
	finish(dial, ERR_TIMEOUT, -1, NULL);
}

/* Starts attempts until one is under way; without any left and none running, that was all. */
static void try_next(struct dial *dial)
{
	while (dial->next < dial->request.count) {
		struct attempt *attempt = &dial->attempts[dial->next];
		*attempt = (struct attempt){.dial = dial, .address = &dial->request.addresses[dial->next], .fd = -1};
		dial->next++;
		int reason = begin_attempt(dial, attempt, dial->delay.loop);
		if (reason == 0) {
			uv_timer_start(&dial->delay, on_delay, dial->request.attempt_delay_ms, 0);
			return;
		}
		note_trouble(attempt, reason);
		if (attempt->is_open)
			close_attempt(attempt);
		else if (attempt->fd >= 0)
			close(take_fd(&attempt->fd));
	}
	if (dial->running == 0)
		finish(dial, ERR_DENIED, -1, NULL);
}

/* RFC 8305 4: the first family is the preferred one's, then they take turns. */
static void interleave(const struct dial_request *request, struct sockaddr_storage *out_addresses)
{
	bool used[DIAL_ADDRESSES_MAX] = {false};
	sa_family_t wanted = request->addresses[0].ss_family;
	for (unsigned filled = 0; filled < request->count; filled++) {
		unsigned pick = request->count;
		for (unsigned i = 0; i < request->count; i++) {
			if (used[i])
				continue;
			if (pick == request->count)
				pick = i;
			if (request->addresses[i].ss_family == wanted) {
				pick = i;
				break;
			}
		}
		used[pick] = true;
		out_addresses[filled] = request->addresses[pick];
		wanted = out_addresses[filled].ss_family == AF_INET6 ? AF_INET : AF_INET6;
	}
}

/* The first attempt starts on the loop's next turn, so that `done` is never called from inside dial_start. */
static void on_begin(uv_timer_t *timer)
{
	try_next(timer->data);
}

int dial_start(uv_loop_t *loop, const struct dial_request *request, struct dial **out_dial)
{
	if (request->count == 0 || request->count > DIAL_ADDRESSES_MAX)
		return ERR_BAD_INPUT;
	struct dial *dial = calloc(1, sizeof(*dial));
	if (!dial)
		return ERR_SYSTEM;
	dial->request = *request;
	interleave(request, dial->request.addresses);
	dial->open_handles = 2;
	uv_timer_init(loop, &dial->delay);
	uv_timer_init(loop, &dial->limit);
	dial->delay.data = dial->limit.data = dial;
	uv_timer_start(&dial->delay, on_begin, 0, 0);
	uv_timer_start(&dial->limit, on_limit, request->limit_ms, 0);
	*out_dial = dial;
	return 0;
}
