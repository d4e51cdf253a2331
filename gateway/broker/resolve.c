/* resolve.c: c-ares on the broker's loop: each of its sockets is a poll handle, its deadline is one timer.
 *
 * How long c-ares takes depends on how many name servers are silent and how many domains are searched. So each look-up has
 * a limit of its own here: then the asker is told, and what c-ares finds later is dropped.
 *
 * The only file that knows c-ares. Which addresses may be dialed is policy.c's matter, dialing is dial.c's.
 */
#include "resolve.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "target.h"

struct resolver_socket {
	struct resolver_socket *next;
	struct resolver *resolver;
	ares_socket_t fd;
	uv_poll_t poll;
};

struct look_up {
	TAILQ_ENTRY(look_up) by_deadline;
	struct resolver *resolver;
	struct resolve_query *query; /* NULL: it was told that it is too late, and is no longer in the list */
	uint64_t deadline_ms;        /* of the loop's clock */
};

struct resolver {
	uv_loop_t *loop;
	ares_channel channel;
	uv_timer_t timer, limit_timer;
	uint64_t limit_ms;
	TAILQ_HEAD(, look_up) look_ups; /* the first is due first */
	struct resolver_socket *sockets;
	unsigned open_handles; /* memory goes with the last */
	bool freed;
};

static void release(struct resolver *resolver)
{
	if (--resolver->open_handles == 0 && resolver->freed)
		free(resolver);
}

/* ---- c-ares on the loop ---- */

static void plan_timer(struct resolver *resolver);

static void on_timer(uv_timer_t *timer)
{
	struct resolver *resolver = timer->data;
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	plan_timer(resolver);
}

static void plan_timer(struct resolver *resolver)
{
	struct timeval wait, *next = ares_timeout(resolver->channel, NULL, &wait);
	if (!next)
		uv_timer_stop(&resolver->timer);
	else
		uv_timer_start(&resolver->timer, on_timer,
			       (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1, 0);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
	struct resolver_socket *socket = poll->data;
	struct resolver *resolver = socket->resolver;
	bool readable = status < 0 || (events & UV_READABLE), writable = status < 0 || (events & UV_WRITABLE);
	ares_process_fd(resolver->channel, readable ? socket->fd : ARES_SOCKET_BAD, writable ? socket->fd : ARES_SOCKET_BAD);
	plan_timer(resolver);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct resolver_socket *socket = handle->data;
	release(socket->resolver);
	free(socket);
}

static void forget_socket(struct resolver *resolver, ares_socket_t fd)
{
	for (struct resolver_socket **place = &resolver->sockets; *place; place = &(*place)->next) {
		struct resolver_socket *socket = *place;
		if (socket->fd != fd)
			continue;
		*place = socket->next;
		uv_poll_stop(&socket->poll);
		uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
		return;
	}
}

static struct resolver_socket *watch_socket(struct resolver *resolver, ares_socket_t fd)
{
	for (struct resolver_socket *socket = resolver->sockets; socket; socket = socket->next)
		if (socket->fd == fd)
			return socket;
	struct resolver_socket *socket = calloc(1, sizeof(*socket));
	if (!socket || uv_poll_init_socket(resolver->loop, &socket->poll, fd) < 0) {
		free(socket);
		return NULL;
	}
	*socket = (struct resolver_socket){.next = resolver->sockets, .resolver = resolver, .fd = fd, .poll = socket->poll};
	socket->poll.data = socket;
	resolver->sockets = socket;
	resolver->open_handles++;
	return socket;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = data;
	if (!readable && !writable) {
		forget_socket(resolver, fd);
		return;
	}
	struct resolver_socket *socket = watch_socket(resolver, fd);
	/* Without memory the query runs into its time limit: a clear failure. */
	if (socket)
		uv_poll_start(&socket->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_socket_ready);
}

/* ---- look-ups ---- */

static int result_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
		return ERR_NOT_FOUND;
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED:
		return ERR_TIMEOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return ERR_CLOSED;
	default:
		return ERR_SYSTEM;
	}
}

static void on_limit(uv_timer_t *timer);

static void plan_limit(struct resolver *resolver)
{
	const struct look_up *first = TAILQ_FIRST(&resolver->look_ups);
	uint64_t now_ms = uv_now(resolver->loop);
	if (!first)
		uv_timer_stop(&resolver->limit_timer);
	else
		uv_timer_start(&resolver->limit_timer, on_limit, first->deadline_ms > now_ms ? first->deadline_ms - now_ms : 0, 0);
}

static void on_limit(uv_timer_t *timer)
{
	struct resolver *resolver = timer->data;
	struct look_up *first = TAILQ_FIRST(&resolver->look_ups);
	if (first && first->deadline_ms <= uv_now(resolver->loop)) {
		struct resolve_query *query = take_pointer(&first->query);
		TAILQ_REMOVE(&resolver->look_ups, first, by_deadline);
		plan_limit(resolver);
		query->count = 0;
		query->done(query, ERR_TIMEOUT);
	} else {
		plan_limit(resolver);
	}
}

/* Whoever asked, unless he no longer waits. */
static struct resolve_query *finish_look_up(struct look_up *look_up)
{
	struct resolve_query *query = look_up->query;
	if (query)
		TAILQ_REMOVE(&look_up->resolver->look_ups, look_up, by_deadline);
	free(look_up);
	return query;
}

static void take_addresses(struct resolve_query *query, const struct ares_addrinfo *info)
{
	query->count = 0;
	for (struct ares_addrinfo_node *node = info ? info->nodes : NULL; node; node = node->ai_next) {
		if (query->count == RESOLVE_ADDRESSES_MAX || node->ai_addrlen > sizeof(query->addresses[0]))
			break;
		struct sockaddr_storage *place = &query->addresses[query->count++];
		memset(place, 0, sizeof(*place));
		memcpy(place, node->ai_addr, node->ai_addrlen);
		target_unmap(place);
	}
}

static void on_addresses(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_query *query = finish_look_up(data);
	int result = result_of(status);
	(void)timeouts;
	if (query)
		take_addresses(query, info);
	if (info)
		ares_freeaddrinfo(info);
	if (query)
		query->done(query, result == 0 && query->count == 0 ? ERR_NOT_FOUND : result);
}

/* RFC 6761 6.3: these names mean loopback, whatever a name server or a hosts file says. */
static bool is_localhost(const char *host)
{
	static const char zone[] = "localhost";
	size_t length = strlen(host), zone_length = sizeof(zone) - 1;
	if (length < zone_length || strcmp(host + length - zone_length, zone) != 0)
		return false;
	return length == zone_length || host[length - zone_length - 1] == '.';
}

static void answer_localhost(struct resolve_query *query)
{
	memset(query->addresses, 0, sizeof(query->addresses));
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&query->addresses[0];
	struct sockaddr_in *four = (struct sockaddr_in *)&query->addresses[1];
	*six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	*four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	query->count = 2;
	query->done(query, 0);
}

void resolver_look_up(struct resolver *resolver, const char *host, struct resolve_query *query)
{
	if (is_localhost(host)) {
		answer_localhost(query);
		return;
	}
	struct look_up *look_up = calloc(1, sizeof(*look_up));
	if (!look_up) {
		query->count = 0;
		query->done(query, ERR_SYSTEM);
		return;
	}
	*look_up = (struct look_up){.resolver = resolver, .query = query, .deadline_ms = uv_now(resolver->loop) + resolver->limit_ms};
	TAILQ_INSERT_TAIL(&resolver->look_ups, look_up, by_deadline);
	plan_limit(resolver);
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	ares_getaddrinfo(resolver->channel, host, NULL, &hints, on_addresses, look_up);
	plan_timer(resolver);
}

/* ---- life ---- */

/* Every server is asked twice, and the second time waited for twice as long. */
enum { TRIES = 2, SHARES = 1 + 2 };

static size_t count_servers(ares_channel channel)
{
	struct ares_addr_port_node *servers = NULL;
	size_t count = 0;
	if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS)
		return 1;
	for (const struct ares_addr_port_node *server = servers; server; server = server->next)
		count++;
	ares_free_data(servers);
	return count ? count : 1;
}

/* Without a list: those of the system. */
static size_t expected_servers(const char *list)
{
	ares_channel channel;
	size_t position = 0, listed = 0;
	struct view server;
	while (conf_list_next(list, &position, &server))
		listed++;
	if (listed)
		return listed;
	if (ares_init(&channel) != ARES_SUCCESS)
		return 1;
	size_t count = count_servers(channel);
	ares_destroy(channel);
	return count;
}

/* All of them are asked within the limit, also when only the last answers. */
static int open_channel(struct resolver *resolver, const char *servers)
{
	uint64_t wait_ms = resolver->limit_ms / (SHARES * expected_servers(servers));
	struct ares_options options = {
		.timeout = (int)(wait_ms > 0 ? wait_ms : 1),
		.tries = TRIES,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = resolver,
		.lookups = (char[]){"fb"},
	};
	return ares_init_options(&resolver->channel, &options,
				 ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS);
}

static int set_servers(struct resolver *resolver, const char *servers, struct diag *diag)
{
	OWN_MEMORY char *list = strdup(servers);
	if (!list)
		return diag_system(diag, "no memory for the list of name servers");
	size_t length = strlen(list);
	for (size_t i = 0; i < length; i++)
		if (list[i] == '\n')
			list[i] = i + 1 < length ? ',' : 0;
	int status = ares_set_servers_ports_csv(resolver->channel, list);
	if (status != ARES_SUCCESS)
		return diag_set(diag, ERR_BAD_CONFIG, "resolver: \"%s\" is no list of name servers (%s)", list, ares_strerror(status));
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	resolver->freed = true;
	/* Calls `done` of what is under way and takes its sockets off the loop. */
	ares_destroy(resolver->channel);
	uv_timer_stop(&resolver->timer);
	uv_timer_stop(&resolver->limit_timer);
	uv_close((uv_handle_t *)&resolver->timer, on_timer_closed);
	uv_close((uv_handle_t *)&resolver->limit_timer, on_timer_closed);
}

int resolver_new(uv_loop_t *loop, const char *servers, uint64_t limit_ms, struct resolver **out_resolver, struct diag *diag)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL);
	struct resolver *resolver = status == ARES_SUCCESS ? calloc(1, sizeof(*resolver)) : NULL;
	if (!resolver)
		return diag_set(diag, ERR_SYSTEM, "the resolver does not start");
	resolver->loop = loop;
	resolver->limit_ms = limit_ms;
	TAILQ_INIT(&resolver->look_ups);
	status = open_channel(resolver, servers);
	if (status != ARES_SUCCESS) {
		free(resolver);
		return diag_set(diag, ERR_SYSTEM, "the resolver does not start (%s)", ares_strerror(status));
	}
	uv_timer_init(loop, &resolver->timer);
	uv_timer_init(loop, &resolver->limit_timer);
	resolver->timer.data = resolver->limit_timer.data = resolver;
	resolver->open_handles = 2;
	int result = *servers ? set_servers(resolver, servers, diag) : 0;
	if (result < 0)
		resolver_free(resolver);
	else
		*out_resolver = resolver;
	return result;
}
