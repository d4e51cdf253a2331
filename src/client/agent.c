/* agent.c: the agent's life: the door, the connection, the end. What a visitor may ask is visitor.c's matter. */
#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "child.h"
#include "entrance.h"
#include "errand.h"
#include "explain.h"
#include "kept.h"
#include "netwatch.h"
#include "news.h"
#include "passage.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"
#include "visitor.h"

enum {
	WATCH_MS = 3000,
	/* Nobody has needed it for so long. */
	IDLE_MS = 600000,
};

void agent_leave(struct agent *agent)
{
	agent->leaving = true;
}

/* ---- the connection ---- */

static bool is_wanted(void *owner)
{
	const struct agent *agent = owner;
	return agent->stays || agent->entrances;
}

/* Local ports are told of every tunnel: any may have come in by them. */
static void note_at_ports(struct agent *agent, const char *sentence)
{
	say("%s", sentence);
	for (struct entrance *entrance = agent->entrances; entrance; entrance = entrance_next(agent, entrance))
		entrance_note(entrance, sentence);
}

void agent_note(struct agent *agent, const struct destination *destination, const char *sentence)
{
	note_at_ports(agent, sentence);
	visitor_note_all(agent, destination, sentence);
}

static void on_note(void *owner, const char *sentence)
{
	note_at_ports(owner, sentence);
}

static void on_wait(void *owner, const char *sentence)
{
	visitor_progress(owner, sentence);
}

static void on_step(void *owner, const char *sentence)
{
	visitor_explain(owner, sentence);
}

void agent_hopeless(struct agent *agent, int status, const struct diag *diag)
{
	for (struct entrance *entrance = agent->entrances; entrance; entrance = entrance_next(agent, entrance))
		entrance_hopeless(entrance, status, diag);
}

static void on_checked(void *owner, const struct errand_result *result)
{
	struct agent *agent = owner;
	agent->check = NULL;
	bool no_session = result->status == STATUS_LOGIN_NEEDED;
	/* Another gateway may have the session, and be back soon. */
	if (no_session && settings_gateway_count(agent->settings) > 1)
		agent_note(agent, NULL, result->diag.text);
	else if (no_session || result->status == STATUS_DEVICE_REFUSED)
		agent_hopeless(agent, result->status, &result->diag);
}

/* The last connection ended for a reason that it may not have told: is the session still good? */
static void on_stands(void *owner, bool again)
{
	struct agent *agent = owner;
	struct diag diag;
	const struct api_request request = {.method = "GET", .path = "/v1/session", .with_session = true};
	news_look_anew(agent->news);
	if (again && agent->entrances && !agent->check)
		(void)!errand_start(agent->uplink, &request, on_checked, agent, &agent->check, &diag);
}

static void on_refused(void *owner, int status, const struct diag *diag)
{
	say("%s", diag->text);
	agent_hopeless(owner, status, diag);
}

static void on_network_change(void *owner)
{
	struct agent *agent = owner;
	uplink_look(agent->uplink);
}

/* ---- the door ---- */

static void on_knock(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	struct agent *agent = poll->data;
	int fd = accept4(agent->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	/* EMFILE and its like leave the visitor in the queue: watching on would turn in a circle (on_watch opens again). */
	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
		uv_poll_stop(poll);
	if (fd < 0)
		return;
	agent->needed_ms = clock_monotonic_ms();
	if (!agent_place_is_same_user(fd) || visitor_admit(agent, fd) != STATUS_OK)
		close(fd);
}

static void watch_door(struct agent *agent)
{
	uv_poll_start(&agent->door, UV_READABLE, on_knock);
}

static void on_watch(uv_timer_t *timer)
{
	struct agent *agent = timer->data;
	watch_door(agent);
	uint64_t now_ms = clock_monotonic_ms();
	if (agent->stays || agent->visitors || agent->entrances || agent->passages)
		agent->needed_ms = now_ms;
	passage_measure(agent);
	upkeep_look(agent);
	stepup_look(agent);
	news_look(agent->news);
	/* Nobody finds it any more, or nobody needs it. */
	if (!agent_place_stands(&agent->place, &agent->inode) || now_ms - agent->needed_ms > IDLE_MS)
		agent_leave(agent);
}

/* ---- life ---- */

/* Each tunnel is a descriptor; the soft limit is there for programs that use select(2). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_door(struct agent *agent, struct diag *diag)
{
	if (!agent_place_stands(&agent->place, &agent->inode) || uv_poll_init(&agent->loop.uv, &agent->door, agent->fd) < 0)
		return diag_set(diag, STATUS_FAILED, _("The agent cannot watch its socket in %s"), agent->place.folder);
	uv_timer_init(&agent->loop.uv, &agent->watch);
	uv_timer_start(&agent->watch, on_watch, WATCH_MS, WATCH_MS);
	agent->door.data = agent->watch.data = agent;
	watch_door(agent);
	return STATUS_OK;
}

static int open_uplink(struct agent *agent, struct diag *diag)
{
	const struct uplink_options options = {
		.loop = &agent->loop.uv,
		.settings = agent->settings,
		.is_wanted = is_wanted,
		.on_note = on_note,
		.on_wait = on_wait,
		.on_stands = on_stands,
		.on_refused = on_refused,
		.owner = agent,
	};
	return uplink_open(&options, &agent->uplink, diag);
}

static bool is_leaving(const void *subject)
{
	const struct agent *agent = subject;
	return agent->leaving;
}

static void take_down(struct agent *agent)
{
	agent->closing = true;
	explain_to(NULL, NULL);
	errand_drop(take_pointer(&agent->check));
	while (agent->visitors)
		visitor_dismiss(agent->visitors);
	while (agent->entrances)
		entrance_close(agent->entrances);
	child_stop_all(agent);
	news_close(take_pointer(&agent->news));
	netwatch_close(take_pointer(&agent->netwatch));
	uplink_close(take_pointer(&agent->uplink));
	uv_close((uv_handle_t *)&agent->door, NULL);
	uv_close((uv_handle_t *)&agent->watch, NULL);
	close(take_fd(&agent->fd));
	loop_fini(&agent->loop);
}

/* sd_notify(3): from now on a command finds this agent and starts none of its own. */
static void tell_service_manager(void)
{
	static const char ready[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	OWN_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!length || !strchr("/@", *path) || !str_copy(address.sun_path, sizeof(address.sun_path), path) || fd < 0)
		return;
	if (*path == '@')
		address.sun_path[0] = 0;
	(void)sendto(fd, ready, strlen(ready), MSG_NOSIGNAL, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

static int live(struct agent *agent, struct diag *diag)
{
	int status = loop_init(&agent->loop, diag);
	if (status == STATUS_OK)
		status = open_door(agent, diag);
	if (status == STATUS_OK)
		status = open_uplink(agent, diag);
	if (status != STATUS_OK)
		return status;
	netwatch_open(&agent->loop.uv, on_network_change, agent, &agent->netwatch);
	explain_to(on_step, agent);
	agent->news = news_open(agent);
	upkeep_look(agent);
	kept_restore(agent);
	if (agent->stays) {
		tell_service_manager();
		uplink_wanted(agent->uplink);
	}
	status = loop_wait(&agent->loop, is_leaving, agent);
	/* A signal is one of the ways to be sent away. */
	take_down(agent);
	return status == STATUS_SIGNAL ? STATUS_OK : status;
}

int agent_run(const struct settings *settings, int fd, struct diag *diag)
{
	/* Without a socket handed down a service manager has started it: nobody else asks it to stay. */
	struct agent agent = {.settings = settings, .fd = fd, .stays = fd < 0, .started_ms = clock_wall_ms(), .needed_ms = clock_monotonic_ms()};
	raise_descriptor_limit();
	int status = agent_place_find(settings, &agent.place, diag);
	if (status == STATUS_OK && agent.fd < 0)
		status = agent_place_listen(&agent.place, &agent.fd, diag);
	if (status == STATUS_OK && agent.fd < 0)
		return diag_set(diag, STATUS_FAILED, _("Another agent holds that connection already; see: sallyport status"));
	return status == STATUS_OK ? live(&agent, diag) : status;
}
