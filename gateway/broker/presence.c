/* presence.c: is this user here, at this moment? Asked by pam_sallyport on internal hosts. See presence.h.
 *
 *     presence{user, fresh, source, target} -> his live sessions on active devices that are bound to him
 *       -> one of them owns the open tunnel whose socket has these ends? -> its login is fresh enough?
 *       -> recorded -> presence_state
 *
 * By which way he came is the kernel's word, not the worker's: the ends of the broker's own copy of the tunnel's socket
 * (tunnel.watch). Nothing is kept: every question is judged anew.
 */
#include "presence.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "worker.h"

struct asking {
	struct store_operation operation;
	struct worker *worker; /* held */
	uint32_t request;
	const char *code; /* why not; empty when present. A literal */
	struct audit_entry entry;
};

/* ---- the way ---- */

struct end {
	struct view address; /* 4 or 16 bytes; empty: not asked */
	uint32_t port;
};

/* The address and port of a socket's end as an end has them; IPv4 inside IPv6 is IPv4. */
static bool is_end(const struct sockaddr_storage *address, const struct end *wanted)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct sockaddr_in *four = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
	struct view bytes = view_of(&four->sin_addr, 4);
	uint16_t port = ntohs(four->sin_port);
	if (address->ss_family == AF_INET6) {
		bool is_mapped = memcmp(&six->sin6_addr, mapped, sizeof(mapped)) == 0;
		bytes = is_mapped ? view_of(six->sin6_addr.s6_addr + 12, 4) : view_of(&six->sin6_addr, 16);
		port = ntohs(six->sin6_port);
	}
	return port == wanted->port && view_equal(bytes, wanted->address);
}

typedef int (*name_getter)(int fd, struct sockaddr *address, socklen_t *size);

static bool socket_has(int fd, name_getter get_name, const struct end *wanted)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	return fd >= 0 && get_name(fd, (struct sockaddr *)&address, &size) == 0 && is_end(&address, wanted);
}

static const struct tunnel *tunnel_between(const struct session *session, const struct end *source, const struct end *target)
{
	const struct tunnel *tunnel;
	LIST_FOREACH(tunnel, &session->tunnels, of_session)
		if (tunnel->state == TUNNEL_OPEN && !tunnel->end_reason && socket_has(tunnel->watch, getsockname, source) &&
		    socket_has(tunnel->watch, getpeername, target))
			return tunnel;
	return NULL;
}

/* ---- the judgement ---- */

struct finding {
	const char *code; /* the best reason for a no; empty: yes */
	const struct session *session;
	const struct tunnel *tunnel; /* NULL: not asked for */
};

static bool is_good(const struct broker *broker, const struct session *session, const char *user)
{
	return strcmp(session->user, user) == 0 && session_is_live(session, clock_wall_ms()) && !session->is_ending &&
	       session->device->state == DEVICE_ACTIVE && device_is_bound_to(session->device, user) &&
	       !account_is_locked(&broker->accounts, user);
}

static struct finding find(const struct broker *broker, const char *user, const struct worker_broker_presence *message)
{
	const struct end source = {message->source, message->source_port}, target = {message->target, message->target_port};
	struct finding finding = {.code = "no_session"};
	const struct session *session;
	int64_t now_ms = (int64_t)clock_monotonic_ms();
	bool came_by_us = false;
	LIST_FOREACH(session, &broker->sessions.live, all) {
		if (!is_good(broker, session, user))
			continue;
		const struct tunnel *tunnel = source.address.size ? tunnel_between(session, &source, &target) : NULL;
		bool is_way = !source.address.size || tunnel;
		uint64_t age_ms = (uint64_t)(now_ms - session->login_at_ms);
		if (is_way && (!message->fresh_ms || age_ms <= message->fresh_ms))
			return (struct finding){.code = "", .session = session, .tunnel = tunnel};
		came_by_us |= is_way;
		finding.code = came_by_us ? "not_fresh" : "not_through_gateway";
		if (is_way || !finding.session)
			finding.session = session;
	}
	return finding;
}

/* ---- the answer ---- */

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct asking *asking = operation->context;
	return audit_append(db, &asking->entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct asking *asking = operation->context;
	(void)diag;
	if (result < 0)
		worker_unavailable(asking->worker, asking->request);
	else
		WORKER_SEND(asking->worker, presence_state, -1, .request = asking->request, .present = !asking->code[0],
			    .code = view_string(asking->code));
	worker_release(asking->worker);
}

static void describe(struct audit_entry *entry, const char *service, const struct finding *finding)
{
	char way[40] = "";
	if (finding->tunnel)
		snprintf(way, sizeof(way), ", by tunnel %llu", (unsigned long long)finding->tunnel->id);
	if (finding->session)
		audit_fill(entry, "presence", "for %s: %s: session %s on %s%s", service, finding->code[0] ? "no" : "yes",
			   finding->session->id, finding->session->device->name, way);
	else
		audit_fill(entry, "presence", "for %s: no: no live session", service);
}

static bool is_address(struct view bytes)
{
	return bytes.size == 4 || bytes.size == 16;
}

int presence_asked(struct worker *worker, const struct worker_broker_presence *message)
{
	char user[257], service[65];
	bool has_way = is_address(message->source) && is_address(message->target);
	if (view_to_string(message->user, user, sizeof(user)) < 0 || view_to_string(message->service, service, sizeof(service)) < 0 ||
	    (!has_way && (message->source.size || message->target.size)))
		return ERR_BAD_PEER;
	if (worker->returning) {
		worker_refuse(worker, message->request,
			      &(struct refusal){.event = "presence", .status = 403, .code = "certificate_expired", .user = user,
						.sentence = "This host's certificate has expired; it must be invited again."});
		return 0;
	}
	struct asking *asking = calloc(1, sizeof(*asking));
	if (!asking) {
		worker_unavailable(worker, message->request);
		return 0;
	}
	struct finding finding = find(worker->broker, user, message);
	*asking = (struct asking){.worker = worker, .request = message->request, .code = finding.code};
	worker_hold(worker);
	worker_fill_audit(worker, message->request, &asking->entry);
	str_copy(asking->entry.code, sizeof(asking->entry.code), finding.code);
	str_copy(asking->entry.user, sizeof(asking->entry.user), user);
	str_make_printable(asking->entry.user);
	str_make_printable(service);
	describe(&asking->entry, *service ? service : "somebody", &finding);
	asking->operation = (struct store_operation){.work = record, .done = on_recorded, .context = asking};
	store_submit(worker->broker->store, &asking->operation);
	return 0;
}
