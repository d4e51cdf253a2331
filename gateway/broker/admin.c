/* admin.c: the HTTP of the admin socket, the factor socket and the metrics socket, by libmicrohttpd on the broker's loop.
 *
 * libmicrohttpd has one epoll descriptor; the loop watches it and lets it run. A call that must wait for the store is
 * suspended and resumed with its answer. The only file that knows libmicrohttpd.
 */
#include "admin.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin_call.h"
#include "sallyport/conf.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { CONNECTIONS_MAX = 64, IDLE_SECONDS = 60, USERS_MAX = 64 };

/* What tells the sockets apart. */
struct door {
	const char *address;  /* in the record */
	const char *refusal;  /* the sentence for whoever may not speak */
	const char *setting;  /* that names who may besides root */
	bool trusts_loopback; /* whoever comes by TCP may speak: it comes from this host */
	void (*route)(struct admin_call *call);
};
static const struct door doors[] = {
	[ADMIN_DOOR] = {"admin", "only root and the users of admin_users may use the admin socket", "admin_users", false, admin_route},
	[ADMIN_FACTOR_DOOR] = {"factor", "only root and conversation_user may use the factor socket", "conversation_user",
			       false, factor_route},
	[ADMIN_METRICS_DOOR] = {"metrics", "only root and the users of admin_users may use the metrics socket", "admin_users", true,
				metrics_route},
};

struct admin {
	struct broker *broker;
	const struct door *door;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned open_handles;
	uid_t users[USERS_MAX];
	unsigned user_count;
	LIST_HEAD(, exchange) waiting; /* the suspended ones */
};

/* One request. It lives until both are done with it: libmicrohttpd (completed) and whoever answers (answered). */
struct exchange {
	LIST_ENTRY(exchange) of_admin; /* while it is suspended */
	struct admin_call call;
	struct admin *admin; /* until it is completed; answers may come later */
	const struct door *door;
	struct MHD_Connection *connection;
	struct buf body;
	bool overlong, suspended, answered, completed, refused;
	unsigned status;
	struct MHD_Response *response;
};

/* ---- on the loop ---- */

static void run(struct admin *admin);

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	run(poll->data);
}

static void run(struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG wait = 0;
	if (!admin->daemon)
		return;
	MHD_run(admin->daemon);
	if (MHD_get_timeout(admin->daemon, &wait) == MHD_YES)
		uv_timer_start(&admin->timer, on_timer, wait, 0);
	else
		uv_timer_stop(&admin->timer);
}

/* ---- who speaks ---- */

static bool may_speak(const struct admin *admin, uid_t user)
{
	if (user == 0 || user == geteuid())
		return true;
	for (unsigned i = 0; i < admin->user_count; i++)
		if (admin->users[i] == user)
			return true;
	return false;
}

/* The kernel knows no peer of a TCP connection. */
static bool is_of_loopback(const union MHD_ConnectionInfo *info)
{
	int domain = AF_UNIX;
	socklen_t size = sizeof(domain);
	return info && getsockopt(info->connect_fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

static void identify(struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);
	bool known = info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
	if (exchange->door->trusts_loopback && is_of_loopback(info))
		exchange->refused = false;
	else
		exchange->refused = !known || !may_speak(exchange->admin, peer.uid);
	snprintf(exchange->call.by_text, sizeof(exchange->call.by_text), "%s (uid %u)", peer.uid == 0 ? "root" : exchange->door->address,
		 peer.uid);
	exchange->call.by.admin = exchange->call.by_text;
}

static int find_user(const char *name, uid_t *out_user)
{
	uint64_t number = 0;
	const struct passwd *entry = getpwnam(name);
	if (!entry && str_to_u64(view_string(name), 0, UINT32_MAX - 1, &number) < 0)
		return ERR_NOT_FOUND;
	*out_user = entry ? entry->pw_uid : (uid_t)number;
	return 0;
}

static int find_users(struct admin *admin, const char *names, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	while (conf_list_next(names, &position, &item) && admin->user_count < USERS_MAX) {
		OWN_MEMORY char *name = view_duplicate(item);
		if (!name || find_user(name, &admin->users[admin->user_count]) < 0)
			return diag_set(diag, ERR_NOT_FOUND, "%s: there is no user \"%.*s\"", admin->door->setting, (int)item.size,
					(const char *)item.data);
		admin->user_count++;
	}
	return 0;
}

int admin_check_users(const struct conf *conf, struct diag *diag)
{
	struct admin nobody = {.door = &doors[ADMIN_DOOR]};
	return find_users(&nobody, conf->admin_users, diag);
}

/* ---- answers ---- */

static void release(struct exchange *exchange)
{
	if (!exchange->answered || !exchange->completed)
		return;
	if (exchange->response)
		MHD_destroy_response(exchange->response);
	json_decref(exchange->call.body);
	/* A body may hold a code. */
	buf_wipe(&exchange->body);
	free(exchange);
}

/* With the response that was made; without one no answer is better than a wrong one. */
static void reply(struct exchange *exchange, unsigned status, const char *type)
{
	if (exchange->response)
		MHD_add_response_header(exchange->response, "Content-Type", type);
	exchange->status = status;
	exchange->answered = true;
	if (exchange->completed) {
		release(exchange);
		return;
	}
	if (exchange->suspended) {
		exchange->suspended = false;
		LIST_REMOVE(exchange, of_admin);
		MHD_resume_connection(exchange->connection);
		/* Not from inside: whoever answers may be in the middle of something. */
		uv_timer_start(&exchange->admin->timer, on_timer, 0, 0);
	}
}

void admin_reply(struct admin_call *call, unsigned status, json_t *json)
{
	struct exchange *exchange = call->http;
	char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	if (text)
		exchange->response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	reply(exchange, status, "application/json");
}

void admin_reply_text(struct admin_call *call, unsigned status, const char *type, struct view text)
{
	struct exchange *exchange = call->http;
	exchange->response = MHD_create_response_from_buffer(text.size, (void *)(uintptr_t)text.data, MHD_RESPMEM_MUST_COPY);
	reply(exchange, status, type);
}

void admin_fail(struct admin_call *call, unsigned status, const char *format, ...)
{
	char sentence[768];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	admin_reply(call, status, json_pack("{s:s}", "error", sentence));
}

const char *admin_query(const struct admin_call *call, const char *name)
{
	const struct exchange *exchange = call->http;
	return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
	/* Without memory for an answer the connection is closed: no answer is better than a wrong one. */
	return exchange->response ? MHD_queue_response(exchange->connection, exchange->status, exchange->response) : MHD_NO;
}

/* ---- requests ---- */

static void split_path(struct admin_call *call)
{
	char *rest = call->path, *segment;
	if (strncmp(rest, "/v1/", 4) != 0)
		return;
	rest += 4;
	while (call->segment_count < ADMIN_SEGMENTS_MAX && (segment = strsep(&rest, "/")))
		call->segments[call->segment_count++] = segment;
	/* More segments than any route has: no route fits. */
	if (rest)
		call->segment_count = 0;
}

static void on_refusal_recorded(void *context, int result, const struct diag *diag)
{
	struct exchange *exchange = context;
	(void)result, (void)diag;
	admin_fail(&exchange->call, MHD_HTTP_FORBIDDEN, "%s", exchange->door->refusal);
}

static void refuse_peer(struct exchange *exchange)
{
	struct audit_entry entry = {.code = "not_admin"};
	str_copy(entry.address, sizeof(entry.address), exchange->door->address);
	audit_fill(&entry, "admin_refused", "%s %s by %s", exchange->call.method, exchange->call.path, exchange->call.by_text);
	audit_record(exchange->call.broker, &entry, on_refusal_recorded, exchange);
}

static void begin(struct exchange *exchange)
{
	json_error_t error;
	split_path(&exchange->call);
	if (exchange->refused) {
		refuse_peer(exchange);
		return;
	}
	if (exchange->overlong) {
		admin_fail(&exchange->call, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than %d bytes", ADMIN_BODY_MAX);
		return;
	}
	if (exchange->body.size) {
		exchange->call.body = json_loadb((const char *)exchange->body.data, exchange->body.size, JSON_REJECT_DUPLICATES, &error);
		if (!exchange->call.body) {
			admin_fail(&exchange->call, MHD_HTTP_BAD_REQUEST, "the body is not JSON: %s (line %d)", error.text, error.line);
			return;
		}
	}
	exchange->door->route(&exchange->call);
}

static struct exchange *new_exchange(struct admin *admin, struct MHD_Connection *connection, const char *url, const char *method)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return NULL;
	exchange->admin = admin;
	exchange->door = admin->door;
	exchange->connection = connection;
	exchange->body = BUF_INIT(ADMIN_BODY_MAX);
	exchange->call.broker = admin->broker;
	exchange->call.http = exchange;
	exchange->call.method = method;
	/* A path that does not fit is no route. */
	if (strlen(url) < sizeof(exchange->call.path))
		memcpy(exchange->call.path, url, strlen(url) + 1);
	identify(exchange);
	return exchange;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	struct exchange *exchange = *state;
	(void)version;
	if (!exchange) {
		*state = new_exchange(context, connection, url, method);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		if (buf_add(&exchange->body, view_of(data, *size)) < 0)
			exchange->overlong = true;
		*size = 0;
		return MHD_YES;
	}
	if (!exchange->answered)
		begin(exchange);
	if (exchange->answered)
		return send_answer(exchange);
	exchange->suspended = true;
	LIST_INSERT_HEAD(&exchange->admin->waiting, exchange, of_admin);
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *state;
	(void)context, (void)connection, (void)code;
	if (!exchange)
		return;
	exchange->completed = true;
	/* Nobody will answer what never began. */
	if (!exchange->suspended)
		exchange->answered = true;
	release(exchange);
	*state = NULL;
}

[[gnu::format(printf, 2, 0)]] static void on_log(void *context, const char *format, va_list arguments)
{
	char line[512];
	(void)context;
	vsnprintf(line, sizeof(line), format, arguments);
	line[strcspn(line, "\n")] = 0;
	log_debug("admin socket: %s", line);
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct admin *admin = handle->data;
	if (--admin->open_handles == 0)
		free(admin);
}

void admin_stop(struct admin *admin)
{
	if (!admin)
		return;
	uv_poll_stop(&admin->poll);
	uv_timer_stop(&admin->timer);
	uv_close((uv_handle_t *)&admin->poll, on_handle_closed);
	uv_close((uv_handle_t *)&admin->timer, on_handle_closed);
	struct exchange *exchange;
	/* libmicrohttpd aborts when one is left suspended. Whoever was to answer finds it completed. */
	while ((exchange = LIST_FIRST(&admin->waiting))) {
		LIST_REMOVE(exchange, of_admin);
		MHD_resume_connection(exchange->connection);
	}
	struct MHD_Daemon *daemon = take_pointer(&admin->daemon);
	MHD_stop_daemon(daemon);
}

bool admin_is_busy(const struct admin *admin)
{
	return admin && !LIST_EMPTY(&admin->waiting);
}

static struct MHD_Daemon *start_daemon(struct admin *admin, int listener)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, admin,
				MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listener,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin, MHD_OPTION_CONNECTION_LIMIT,
				(unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
}

int admin_start(struct broker *broker, enum admin_door door, int listener, struct admin **out_admin, struct diag *diag)
{
	const struct conf *conf = &broker->room->conf;
	struct admin *admin = calloc(1, sizeof(*admin));
	if (!admin)
		return diag_system(diag, "no memory");
	admin->door = &doors[door];
	int result = find_users(admin, door == ADMIN_FACTOR_DOOR ? conf->conversation_user : conf->admin_users, diag);
	if (result < 0) {
		free(admin);
		return result;
	}
	admin->broker = broker;
	admin->daemon = start_daemon(admin, listener);
	const union MHD_DaemonInfo *info = admin->daemon ? MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info || uv_poll_init(broker->loop, &admin->poll, info->epoll_fd) < 0) {
		if (admin->daemon)
			MHD_stop_daemon(admin->daemon);
		free(admin);
		return diag_set(diag, ERR_SYSTEM, "the %s socket cannot be served", doors[door].address);
	}
	uv_timer_init(broker->loop, &admin->timer);
	admin->open_handles = 2;
	admin->poll.data = admin->timer.data = admin;
	uv_poll_start(&admin->poll, UV_READABLE, on_poll);
	run(admin);
	*out_admin = admin;
	return 0;
}
