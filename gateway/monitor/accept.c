/* accept.c: the listeners. A connection is accepted, judged by numbers only, and handed on; never read. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor.h"
#include "sallyport/clock.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/wire.h"

enum { BACKLOG = 1024 };

/* ---- who comes ---- */

static void spell(const struct sockaddr_storage *from, char *out_address, size_t capacity, uint16_t *out_port)
{
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
		inet_ntop(AF_INET6, &six->sin6_addr, out_address, (socklen_t)capacity);
		*out_port = ntohs(six->sin6_port);
	} else {
		const struct sockaddr_in *four = (const struct sockaddr_in *)from;
		inet_ntop(AF_INET, &four->sin_addr, out_address, (socklen_t)capacity);
		*out_port = ntohs(four->sin_port);
	}
}

static struct source_limits limits_of(const struct conf *conf)
{
	return (struct source_limits){.at_once = conf->source_burst, .per_second = conf->source_rate,
				      .penalty_least_ms = conf->source_penalty_least_ms,
				      .penalty_most_ms = conf->source_penalty_most_ms};
}

static bool may_come(struct monitor *monitor, const struct source_address *source)
{
	const struct source_limits limits = limits_of(&monitor->conf);
	return source_networks_have(&monitor->exempt, source) ||
	       source_arrives(&monitor->sources, source, &limits, clock_monotonic_ms()) == SOURCE_WELCOME;
}

void accept_penalise(struct monitor *monitor, const struct source_address *source, uint64_t penalty_ms)
{
	const struct source_limits limits = limits_of(&monitor->conf);
	if (penalty_ms && !source_networks_have(&monitor->exempt, source))
		source_penalise(&monitor->sources, source, penalty_ms, &limits, clock_monotonic_ms());
}

static bool is_welcome(struct monitor *monitor)
{
	uint32_t dice = 0;
	fd_random(&dice, sizeof(dice));
	if (monitor->worker_count - monitor->spares >= monitor->conf.connections)
		return false;
	/* Above the bounds the longest waiting stranger makes room, so that those who only hold connections open do not
	 * keep others out. */
	if (!sources_drop(monitor->strangers, monitor->conf.unauthenticated_start, monitor->conf.unauthenticated_full, dice))
		return true;
	bool made_room = workers_evict(monitor, clock_monotonic_ms());
	monitor->evicted += made_room;
	return made_room;
}

/* One line when it begins and then one in a thousand: a storm must not fill the log as well. */
static void note_drop(struct monitor *monitor, const char *why)
{
	if (monitor->dropped++ % 1000 == 0)
		log_warning("a connection is dropped: %s (%u before door one; %llu dropped so far)", why, monitor->strangers,
			    (unsigned long long)monitor->dropped);
}

static void on_client(struct watch *watch, void *self)
{
	struct monitor *monitor = self;
	struct sockaddr_storage from = {0};
	socklen_t size = sizeof(from);
	char address[INET6_ADDRSTRLEN] = "";
	uint16_t port = 0;
	OWN_FD int client = accept4(watch->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0)
		return;
	const struct source_address source = source_address_of(&from);
	/* A trusted sender is judged by whom it sends: later. */
	bool proxied = source_networks_have(&monitor->senders, &source);
	if (!proxied && !may_come(monitor, &source)) {
		monitor->dropped_source++;
		note_drop(monitor, "its source comes too often or in vain; see sallyport-admin sources list");
		return;
	}
	if (!is_welcome(monitor)) {
		monitor->dropped_early++;
		note_drop(monitor, "too many connections before door one, or altogether");
		return;
	}
	if (monitor->conf.client_silence_ms)
		fd_keep_alive(client, monitor->conf.client_silence_ms);
	struct worker *worker = workers_take_spare(monitor);
	if (!worker) {
		note_drop(monitor, "no worker can be had");
		return;
	}
	spell(&from, address, sizeof(address), &port);
	worker->source = source;
	bool enrols = watch >= &monitor->listeners[monitor->enroll_from];
	worker->proxied = proxied;
	worker_serve(monitor, worker, &(struct arrival){client, address, port, enrols ? MONITOR_ROOM_ENROLMENT : MONITOR_ROOM_MAIN,
						       proxied});
	workers_refill(monitor);
}

void accept_client_behind(struct monitor *monitor, struct worker *worker, struct view address)
{
	bool is_sender = address.size == 0;
	/* Once, before door one, and only where the socket's own peer is trusted. */
	if (!worker->proxied || worker->state != WORKER_STRANGER)
		return;
	worker->proxied = is_sender;
	if (!is_sender && source_address_parse(address, &worker->source) < 0) {
		worker_kill(worker);
	} else if (!is_sender && !may_come(monitor, &worker->source)) {
		monitor->dropped_source++;
		note_drop(monitor, "its source, behind a trusted sender, comes too often or in vain; see sallyport-admin sources list");
		worker_kill(worker);
	} else if (WIRE_SEND(worker->edge, monitor_room, client_welcome, -1) < 0) {
		worker_kill(worker);
	}
}

/* ---- listening ---- */

static int parse_address(struct view item, struct sockaddr_storage *out_address, socklen_t *out_size, struct diag *diag)
{
	char host[256];
	uint16_t port = 0;
	memset(out_address, 0, sizeof(*out_address));
	struct sockaddr_in *four = (struct sockaddr_in *)out_address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out_address;
	bool parsed = str_split_authority(item, host, sizeof(host), &port) == 0;
	if (parsed && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		*out_size = sizeof(*four);
		return 0;
	}
	if (parsed && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		*out_size = sizeof(*six);
		return 0;
	}
	return diag_set(diag, ERR_BAD_CONFIG, "a listener: \"%.*s\" is no ADDRESS:PORT, such as 0.0.0.0:443 or [::]:443",
			(int)item.size, (const char *)item.data);
}

static int listen_at(struct monitor *monitor, struct view item, int *out_fd, struct diag *diag)
{
	struct sockaddr_storage address;
	socklen_t size = 0;
	int result = parse_address(item, &address, &size, diag);
	if (result < 0)
		return result;
	*out_fd = heritage_listener(monitor, &address);
	if (*out_fd >= 0)
		return 0;
	OWN_FD int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return diag_system(diag, "cannot make a socket for %.*s", (int)item.size, (const char *)item.data);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, BACKLOG) < 0)
		return diag_system(diag, "cannot listen at %.*s", (int)item.size, (const char *)item.data);
	*out_fd = take_fd(&fd);
	return 0;
}

static int listen_all(struct monitor *monitor, const char *list, struct diag *diag)
{
	size_t position = 0;
	struct view item;
	int result = 0;
	while (result == 0 && conf_list_next(list, &position, &item)) {
		struct watch *watch = &monitor->listeners[monitor->listener_count];
		result = listen_at(monitor, item, &watch->fd, diag);
		if (result == 0) {
			watch->on_readable = on_client;
			monitor->listener_count++;
		}
	}
	return result;
}

int accept_listen(struct monitor *monitor, struct diag *diag)
{
	int result = listen_all(monitor, monitor->conf.listen, diag);
	monitor->enroll_from = monitor->listener_count;
	if (result == 0)
		result = listen_all(monitor, monitor->conf.enroll_listen, diag);
	heritage_close_listeners(monitor);
	return result;
}

void accept_rest(struct monitor *monitor, bool rest)
{
	if (monitor->resting == rest)
		return;
	monitor->resting = rest;
	for (unsigned i = 0; i < monitor->listener_count; i++)
		if (rest)
			loop_forget(&monitor->loop, &monitor->listeners[i]);
		else
			monitor_watch_or_die(monitor, &monitor->listeners[i]);
}

void accept_close(struct monitor *monitor)
{
	while (monitor->listener_count) {
		struct watch *watch = &monitor->listeners[--monitor->listener_count];
		loop_forget(&monitor->loop, watch);
		close(watch->fd);
	}
}
