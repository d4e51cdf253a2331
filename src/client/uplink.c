/* uplink.c: the connection to the gateway that stays. What travels on it is errand.c's and passage.c's matter; that
 * the network has changed is noticed by netwatch.c. */
#include "uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum {
	/* What a program waits before its connection is refused. */
	PATIENCE_MS = 30000,
	TELL_AFTER_MS = 1000,
	FIRST_PAUSE_MS = 500,
	LONGEST_PAUSE_MS = 30000,
	/* After so long without a sign of life the gateway is asked for one; NATs forget after minutes. */
	QUIET_MS = 25000,
	/* No answer for so long: the gateway is asked whether it is there; and then, what is new goes another way. */
	SILENT_MS = 5000,
	/* Older than this, it is asked before it is used. */
	STALE_MS = 40000,
	/* How often that is looked at: normally, and while an answer is awaited. */
	LOOK_MS = 5000,
	LOOK_CLOSELY_MS = 50,
	/* A connection that nobody wants is kept for those who come soon. */
	REST_MS = 300000,
	/* When another connection stands, a silent one has as long again as it was silent (no retransmission waits longer), and
	 * this. */
	LAST_HOPE_MS = 10000,
	/* A connection that lived for so long was a good one. */
	GOOD_MS = 10000,
};

/* One connection, with the device's certificate as it was when it was made. */
struct path {
	struct uplink *uplink;
	struct connection *connection;
	struct device device;
	bool stood;
	uint64_t stood_ms;
	uint64_t asked_ms; /* 0: no sign of life is awaited */
	struct path *next; /* of the retired */
};

struct uplink {
	struct uplink_options options;
	size_t gateway; /* the one in use or to try, its place in the settings */
	size_t tried;   /* of the gateways, in this round: each gets its turn before anybody is told */
	size_t refusals; /* among them */
	struct diag refusal;
	struct path *current, *retired;
	struct uplink_waiter *first, **last_waiter;
	uv_timer_t pause, look;
	unsigned handles;
	unsigned failures;    /* since the last good connection */
	unsigned connections; /* that have stood */
	bool closing;
	bool wait_told;
	uint64_t wanted_ms;   /* when it was last of use */
	uint64_t changed_ms;  /* wall clock: when the state's word changed */
	uint64_t loop_offset_ms; /* between the clock that sleeps with the device and the one that does not */
	struct diag last;     /* why the last one ended */
};

static void begin(struct uplink *uplink);
static void look_soon(struct uplink *uplink);

uint64_t uplink_pause_ms(unsigned failures)
{
	uint64_t pause_ms = FIRST_PAUSE_MS;
	for (unsigned i = 1; i < failures && pause_ms < LONGEST_PAUSE_MS; i++)
		pause_ms *= 2;
	return pause_ms < LONGEST_PAUSE_MS ? pause_ms : LONGEST_PAUSE_MS;
}

/* Half to all of it, so that a hundred laptops do not come back in one moment. */
static uint64_t with_chance(uint64_t pause_ms)
{
	uint32_t chance;
	fd_random(&chance, sizeof(chance));
	return pause_ms / 2 + chance % (pause_ms / 2 + 1);
}

/* Trying again brings nothing else to light. */
static bool is_final(int status)
{
	return status == STATUS_DEVICE_REFUSED || status == STATUS_USAGE || status == STATUS_FAILED;
}

static bool stands(const struct uplink *uplink)
{
	return uplink->current && uplink->current->stood;
}

/* Not heard for long (sleep, another network): it must show first that it lives. */
static bool is_stale(const struct path *path)
{
	return path->asked_ms || clock_monotonic_ms() - connection_heard_ms(path->connection) > STALE_MS;
}

static bool is_ready(const struct uplink *uplink)
{
	return stands(uplink) && connection_takes_requests(uplink->current->connection) && !is_stale(uplink->current);
}

static bool is_wanted(const struct uplink *uplink)
{
	return uplink->first || uplink->options.is_wanted(uplink->options.owner);
}

static void changed(struct uplink *uplink)
{
	uplink->changed_ms = clock_wall_ms();
}

static void note(struct uplink *uplink, const char *sentence)
{
	uplink->options.on_note(uplink->options.owner, sentence);
}

/* ---- who waits ---- */

static struct uplink_waiter *take_waiter(struct uplink *uplink, struct uplink_waiter **at)
{
	struct uplink_waiter *waiter = *at;
	*at = waiter->next;
	if (!*at)
		uplink->last_waiter = at;
	waiter->waiting = false;
	waiter->next = NULL;
	return waiter;
}

static void serve_waiters(struct uplink *uplink)
{
	while (is_ready(uplink) && uplink->first) {
		struct uplink_waiter *waiter = take_waiter(uplink, &uplink->first);
		waiter->on_ready(waiter, uplink->current->connection);
	}
}

enum whom { WHOM_ALL, WHOM_EAGER, WHOM_EXPIRED };

static bool is_meant(const struct uplink *uplink, const struct uplink_waiter *waiter, enum whom whom)
{
	return whom == WHOM_ALL || waiter->limit_ms <= uv_now(uplink->options.loop) ||
	       (whom == WHOM_EAGER && waiter->patience == UPLINK_EAGER);
}

/* A handler may come back and wait again, and may take others out: so the count is of those who are there now, and
 * each look begins at the front. */
static void fail_waiters(struct uplink *uplink, enum whom whom, int status, const struct diag *diag)
{
	size_t count = 0;
	for (struct uplink_waiter *waiter = uplink->first; waiter; waiter = waiter->next)
		count += is_meant(uplink, waiter, whom);
	while (count--) {
		struct uplink_waiter **at = &uplink->first;
		while (*at && !is_meant(uplink, *at, whom))
			at = &(*at)->next;
		if (!*at)
			return;
		struct uplink_waiter *waiter = take_waiter(uplink, at);
		waiter->on_failed(waiter, status, diag);
	}
}

void uplink_wait(struct uplink *uplink, struct uplink_waiter *waiter)
{
	uplink->wanted_ms = clock_monotonic_ms();
	if (is_ready(uplink) && !uplink->first) {
		waiter->on_ready(waiter, uplink->current->connection);
		return;
	}
	/* By the clock that stands still while the device sleeps: nobody has waited meanwhile. */
	waiter->limit_ms = uv_now(uplink->options.loop) + PATIENCE_MS;
	waiter->next = NULL;
	waiter->waiting = true;
	*uplink->last_waiter = waiter;
	uplink->last_waiter = &waiter->next;
	/* A person does not wait for the end of a pause. */
	if (waiter->patience == UPLINK_EAGER)
		uv_timer_stop(&uplink->pause);
	uplink_wanted(uplink);
	look_soon(uplink);
}

void uplink_leave(struct uplink *uplink, struct uplink_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	struct uplink_waiter **at = &uplink->first;
	while (*at != waiter)
		at = &(*at)->next;
	take_waiter(uplink, at);
}

/* ---- the end of a connection ---- */

static void path_free(struct path *path)
{
	connection_close(take_pointer(&path->connection));
	device_fini(&path->device);
	free(path);
}

/* It takes nothing new; what it carries goes on. Freed when it is empty, but not here: a stream may be calling. */
static void retire(struct uplink *uplink)
{
	struct path *path = take_pointer(&uplink->current);
	changed(uplink);
	path->next = uplink->retired;
	uplink->retired = path;
}

static void forget_retired(struct uplink *uplink, struct path *path)
{
	struct path **at = &uplink->retired;
	while (*at && *at != path)
		at = &(*at)->next;
	if (*at)
		*at = path->next;
	path_free(path);
}

/* The next gateway of the profile, when there are several. */
static void turn_to_next(struct uplink *uplink)
{
	char url[300];
	size_t count = settings_gateway_count(uplink->options.settings);
	uplink->gateway = (uplink->gateway + 1) % count;
	settings_gateway_url(uplink->options.settings, uplink->gateway, url, sizeof(url));
	if (count > 1)
		explain("The next gateway is %s", url);
}

static void on_pause_over(uv_timer_t *timer)
{
	struct uplink *uplink = timer->data;
	if (is_wanted(uplink))
		begin(uplink);
}

static void begin_after(struct uplink *uplink, uint64_t pause_ms)
{
	if (uplink->closing || !is_wanted(uplink))
		return;
	uv_timer_start(&uplink->pause, on_pause_over, with_chance(pause_ms), 0);
	explain("The next attempt is in %.1f s", (double)uv_timer_get_due_in(&uplink->pause) / 1000);
}

/* It never stood. */
static void all_have_failed(struct uplink *uplink, int status, const struct diag *diag)
{
	uplink->failures++;
	fail_waiters(uplink, uplink->connections ? WHOM_EAGER : WHOM_ALL, status, diag);
	begin_after(uplink, uplink_pause_ms(uplink->failures));
}

static void all_have_refused(struct uplink *uplink, int status, const struct diag *diag)
{
	fail_waiters(uplink, WHOM_ALL, status, diag);
	uplink->options.on_refused(uplink->options.owner, status, diag);
	/* An administrator may unlock it: those who stay ask again, seldom. */
	begin_after(uplink, LONGEST_PAUSE_MS);
}

/* Every gateway of the profile gets its turn before anybody is told. */
static void begin_round(struct uplink *uplink)
{
	uplink->tried = uplink->refusals = 0;
}

static void attempt_failed(struct uplink *uplink, int status, const struct diag *diag)
{
	size_t gateways = settings_gateway_count(uplink->options.settings);
	if (is_final(status)) {
		uplink->refusals++;
		uplink->refusal = *diag;
	}
	turn_to_next(uplink);
	if (++uplink->tried < gateways) {
		begin_after(uplink, 0);
		return;
	}
	size_t refusals = uplink->refusals;
	const struct diag refusal = uplink->refusal;
	begin_round(uplink);
	/* One that is away may be back soon; that another one does not know this device says nothing about it. */
	if (refusals == gateways)
		all_have_refused(uplink, status, diag);
	else if (refusals)
		all_have_failed(uplink, STATUS_UNREACHABLE, &refusal);
	else
		all_have_failed(uplink, status, diag);
}

static void tell_cut(struct uplink *uplink, const char *why, size_t cut, const char *what_next)
{
	char sentence[sizeof(uplink->last.text) + 128];
	if (!cut && !*why)
		return;
	snprintf(sentence, sizeof(sentence), P_("%s; %zu connection was cut%s", "%s; %zu connections were cut%s", cut),
		 *why ? why : _("The gateway closed the connection"), cut, what_next);
	note(uplink, sentence);
}

static void current_over(struct uplink *uplink)
{
	struct path *path = take_pointer(&uplink->current);
	struct diag diag;
	int status = connection_ending(path->connection, &diag);
	size_t cut = connection_streams_cut(path->connection);
	bool stood = path->stood, good = stood && clock_monotonic_ms() - path->stood_ms > GOOD_MS;
	path_free(path);
	changed(uplink);
	uplink->last = diag;
	explain("That connection is over: %s", diag.text[0] ? diag.text : "the gateway closed it in good order");
	/* One that merely stood may have been refused after it. */
	if (good) {
		uplink->failures = 0;
		begin_round(uplink);
	}
	if (is_final(status) || !stood) {
		attempt_failed(uplink, status, &diag);
	} else {
		tell_cut(uplink, diag.text, cut, is_wanted(uplink) ? _("; trying again") : "");
		uplink->failures += !good;
		begin_after(uplink, good ? FIRST_PAUSE_MS / 2 : uplink_pause_ms(uplink->failures));
	}
}

static void retired_over(struct uplink *uplink, struct path *path)
{
	struct diag diag;
	(void)connection_ending(path->connection, &diag);
	size_t cut = connection_streams_cut(path->connection);
	forget_retired(uplink, path);
	if (cut)
		tell_cut(uplink, diag.text, cut, "");
}

/* ---- a connection begins ---- */

/* Connections from an address that this device no longer has cannot come back; those from the same one may. */
static void end_those_left_behind(struct uplink *uplink)
{
	for (struct path *path = uplink->retired, *next; path; path = next) {
		next = path->next;
		if (!path->asked_ms || connection_same_address(path->connection, uplink->current->connection))
			continue;
		size_t cut = connection_stream_count(path->connection);
		forget_retired(uplink, path);
		tell_cut(uplink, _("The network has changed"), cut, "");
	}
}

static void current_stands(struct uplink *uplink)
{
	bool again = uplink->connections++;
	uplink->current->stood = true;
	uplink->current->stood_ms = clock_monotonic_ms();
	changed(uplink);
	end_those_left_behind(uplink);
	uplink->options.on_stands(uplink->options.owner, again);
	serve_waiters(uplink);
}

static void on_change(struct connection *connection, void *owner)
{
	struct path *path = owner;
	struct uplink *uplink = path->uplink;
	bool is_over = connection_state(connection) == CONNECTION_OVER;
	if (path != uplink->current)
		retired_over(uplink, path);
	else if (is_over)
		current_over(uplink);
	else
		current_stands(uplink);
}

static int make_path(struct uplink *uplink, struct path **out_path, struct diag *diag)
{
	struct path *path = calloc(1, sizeof(*path));
	if (!path)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	path->uplink = uplink;
	struct settings settings = *uplink->options.settings;
	int status = settings_use_gateway(&settings, uplink->gateway, diag);
	/* Read anew each time: the certificate may have been renewed. */
	if (status == STATUS_OK)
		status = device_load(&settings, &path->device, diag);
	if (status == STATUS_OK)
		status = connection_start(uplink->options.loop, &settings, &path->device, on_change, path, &path->connection,
					  diag);
	if (status != STATUS_OK)
		path_free(path);
	else
		*out_path = path;
	return status;
}

static void begin(struct uplink *uplink)
{
	struct diag diag = {0};
	if (uplink->current || uplink->closing)
		return;
	uv_timer_stop(&uplink->pause);
	changed(uplink);
	int status = make_path(uplink, &uplink->current, &diag);
	if (status == STATUS_OK)
		return;
	uplink->last = diag;
	attempt_failed(uplink, status, &diag);
}

void uplink_wanted(struct uplink *uplink)
{
	uplink->wanted_ms = clock_monotonic_ms();
	/* The gateway wants no new requests on it. When it is over already, current_over is about to follow. */
	if (stands(uplink) && connection_state(uplink->current->connection) == CONNECTION_OPEN &&
	    !connection_takes_requests(uplink->current->connection))
		retire(uplink);
	if (stands(uplink) && is_stale(uplink->current))
		uplink_look(uplink);
	else if (!uplink->current && !uv_is_active((uv_handle_t *)&uplink->pause))
		begin(uplink);
}

void uplink_certificate_changed(struct uplink *uplink)
{
	struct device device;
	struct diag diag;
	if (!stands(uplink) || device_identify(uplink->options.settings, &device, &diag) != STATUS_OK ||
	    memcmp(device.name, uplink->current->device.name, sizeof(device.name)) == 0)
		return;
	retire(uplink);
	if (is_wanted(uplink))
		begin(uplink);
}

bool uplink_may_try_another(const struct uplink *uplink, unsigned tries)
{
	return tries < settings_gateway_count(uplink->options.settings);
}

const struct settings *uplink_settings(const struct uplink *uplink)
{
	return uplink->options.settings;
}

struct connection *uplink_connection(const struct uplink *uplink)
{
	return is_ready(uplink) ? uplink->current->connection : NULL;
}

/* ---- does it live ---- */

static void ask(struct path *path)
{
	if (path->asked_ms)
		return;
	path->asked_ms = clock_monotonic_ms();
	explain("The gateway %s is asked for a sign of life", connection_authority(path->connection));
	connection_ping(path->connection);
}

static void look_at_current(struct uplink *uplink)
{
	struct path *path = uplink->current;
	uint64_t now_ms = clock_monotonic_ms(), heard_ms = connection_heard_ms(path->connection);
	bool used = is_wanted(uplink) || connection_stream_count(path->connection);
	if (path->asked_ms && heard_ms >= path->asked_ms)
		path->asked_ms = 0;
	if (used)
		uplink->wanted_ms = now_ms;
	if (path->asked_ms && now_ms - path->asked_ms > SILENT_MS) {
		note(uplink, _("The gateway does not answer any more; connecting anew"));
		diag_set(&uplink->last, 0, _("The gateway did not answer any more"));
		retire(uplink);
		connection_give_up_unanswered(path->connection);
		if (is_wanted(uplink))
			begin(uplink);
	} else if (used && now_ms - heard_ms > (connection_is_awaited(path->connection) ? SILENT_MS : QUIET_MS)) {
		ask(path);
	} else if (!used && now_ms - uplink->wanted_ms > REST_MS) {
		connection_finish(path->connection);
	}
}

/* The network is there, as another connection shows, but this one's way is not (a NAT has forgotten it). */
static bool is_beyond_hope(const struct uplink *uplink, const struct path *path)
{
	if (!path->asked_ms || !stands(uplink))
		return false;
	uint64_t stood_ms = uplink->current->stood_ms, heard_ms = connection_heard_ms(path->connection);
	return clock_monotonic_ms() > stood_ms + LAST_HOPE_MS + (stood_ms > heard_ms ? stood_ms - heard_ms : 0);
}

static void look_at_retired(struct uplink *uplink)
{
	for (struct path *path = uplink->retired, *next; path; path = next) {
		next = path->next;
		if (connection_heard_ms(path->connection) >= path->asked_ms)
			path->asked_ms = 0;
		size_t count = connection_stream_count(path->connection);
		bool hopeless = is_beyond_hope(uplink, path);
		if (count && !hopeless)
			continue;
		forget_retired(uplink, path);
		if (count)
			tell_cut(uplink, _("The gateway did not answer by the way that they took"), count, "");
	}
}

/* Who waits for longer than a moment is told for what, once. */
static void tell_wait(struct uplink *uplink)
{
	char url[300], sentence[400];
	if (!uplink->first)
		uplink->wait_told = false;
	if (!uplink->first || uplink->wait_told || uv_now(uplink->options.loop) + PATIENCE_MS < uplink->first->limit_ms + TELL_AFTER_MS)
		return;
	uplink->wait_told = true;
	settings_gateway_url(uplink->options.settings, uplink->gateway, url, sizeof(url));
	snprintf(sentence, sizeof(sentence), _("Connecting to %s ..."), url);
	uplink->options.on_wait(uplink->options.owner, sentence);
}

/* For how long the device was asleep since the last look; 0: it was not. */
static uint64_t slept_ms(struct uplink *uplink)
{
	uv_update_time(uplink->options.loop);
	uint64_t offset_ms = clock_monotonic_ms() - uv_now(uplink->options.loop);
	uint64_t slept = offset_ms > uplink->loop_offset_ms + QUIET_MS / 10 ? offset_ms - uplink->loop_offset_ms : 0;
	uplink->loop_offset_ms = offset_ms;
	return slept;
}

static void on_look(uv_timer_t *timer)
{
	struct uplink *uplink = timer->data;
	uint64_t slept = slept_ms(uplink);
	if (slept) {
		explain("This device was asleep for %llu s", (unsigned long long)slept / 1000);
		uplink_look(uplink);
	}
	look_at_retired(uplink);
	if (stands(uplink))
		look_at_current(uplink);
	serve_waiters(uplink);
	tell_wait(uplink);
	struct diag diag = uplink->last;
	if (!diag.text[0])
		diag_set(&diag, 0, _("The gateway did not answer in time"));
	fail_waiters(uplink, WHOM_EXPIRED, STATUS_UNREACHABLE, &diag);
	look_soon(uplink);
}

static void look_soon(struct uplink *uplink)
{
	bool closely = stands(uplink) && uplink->current->asked_ms;
	if (!uplink->closing)
		uv_timer_start(&uplink->look, on_look, closely ? LOOK_CLOSELY_MS : uplink->first ? LOOK_MS / 10 : LOOK_MS, 0);
}

void uplink_look(struct uplink *uplink)
{
	if (stands(uplink)) {
		ask(uplink->current);
	} else if (is_wanted(uplink)) {
		/* An attempt over the old network would use up its time. */
		if (uplink->current)
			path_free(take_pointer(&uplink->current));
		uplink->failures = 0;
		begin_round(uplink);
		begin(uplink);
	}
	look_soon(uplink);
}

/* ---- life ---- */

int uplink_open(const struct uplink_options *options, struct uplink **out_uplink, struct diag *diag)
{
	struct uplink *uplink = calloc(1, sizeof(*uplink));
	if (!uplink)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	uplink->options = *options;
	uplink->last_waiter = &uplink->first;
	uv_timer_init(options->loop, &uplink->pause);
	uv_timer_init(options->loop, &uplink->look);
	uplink->pause.data = uplink->look.data = uplink;
	uplink->handles = 2;
	changed(uplink);
	(void)slept_ms(uplink);
	look_soon(uplink);
	*out_uplink = uplink;
	return STATUS_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct uplink *uplink = handle->data;
	if (--uplink->handles == 0)
		free(uplink);
}

void uplink_close(struct uplink *uplink)
{
	if (!uplink)
		return;
	uplink->closing = true;
	if (uplink->current)
		path_free(take_pointer(&uplink->current));
	while (uplink->retired)
		forget_retired(uplink, uplink->retired);
	uv_close((uv_handle_t *)&uplink->pause, on_handle_closed);
	uv_close((uv_handle_t *)&uplink->look, on_handle_closed);
}

void uplink_state(const struct uplink *uplink, struct uplink_state *out_state)
{
	bool pausing = uv_is_active((const uv_handle_t *)&uplink->pause);
	*out_state = (struct uplink_state){
		.word = stands(uplink) ? "ready" : uplink->current ? "connecting" : pausing ? "waiting" : "none",
		.since_ms = uplink->changed_ms,
		.retry_in_ms = pausing ? uv_timer_get_due_in(&uplink->pause) : 0,
		.connections = uplink->connections,
		.sentence = uplink->last.text,
	};
	settings_gateway_url(uplink->options.settings, uplink->gateway, out_state->gateway, sizeof(out_state->gateway));
	for (const struct path *path = uplink->retired; path; path = path->next)
		out_state->retired++;
}
