/* passage.c: one local connection on its way through the gateway.
 *
 *      waiting --connection--> asked --2xx--> stands --end--> (why?) --> over
 *         |        ^             |                              ^
 *         |        +--- lost ----+ (once)                       |
 *         |        +-- fresh login +-- wants one (once)         |
 *         +-------- failed ------+------- refused --------------+
 */
#include "passage.h"

#include <stdlib.h>

#include "agent.h"
#include "errand.h"
#include "explain.h"
#include "sallyport/clock.h"
#include "news.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session.h"
#include "stepup.h"

struct passage {
	struct uplink_waiter waiter; /* first: a waiter is its passage */
	struct passage_options options;
	struct buf preface;
	struct tunnel *tunnel;
	struct errand *inquiry;
	struct stepup_waiter stepup;
	char gateway[272]; /* by which it goes */
	unsigned asked; /* how often the tunnel was asked for */
	bool stepped_up, stands, cut;
	uint64_t begun_ms;
	uint64_t measured_ms, measured_bytes, rate;
	struct passage_ending ending;
	struct passage *previous, *next;
};

static void close_descriptors(const struct passage_options *options)
{
	if (options->out_fd != options->in_fd)
		tunnel_close_with_reset(options->out_fd);
	tunnel_close_with_reset(options->in_fd);
}

static void passage_free(struct passage *passage)
{
	struct agent *agent = passage->options.agent;
	if (passage->previous)
		passage->previous->next = passage->next;
	else
		agent->passages = passage->next;
	if (passage->next)
		passage->next->previous = passage->previous;
	errand_drop(passage->inquiry);
	buf_fini(&passage->preface);
	free(passage);
}

static void finish(struct passage *passage)
{
	if (!passage->cut)
		passage->options.on_over(passage->options.owner, &passage->ending);
	else if (!passage->ending.stood)
		close_descriptors(&passage->options);
	passage_free(passage);
}

static void on_failed(struct uplink_waiter *waiter, int status, const struct diag *diag)
{
	struct passage *passage = (struct passage *)waiter;
	passage->ending.status = status;
	passage->ending.diag = *diag;
	passage->ending.session_ended = status == STATUS_DEVICE_REFUSED;
	finish(passage);
}

/* Keeps the sentence there is when the gateway has nothing to say against session and device. */
static void on_inquired(void *owner, const struct errand_result *result)
{
	struct passage *passage = owner;
	passage->inquiry = NULL;
	if (result->status == STATUS_LOGIN_NEEDED || result->status == STATUS_DEVICE_REFUSED) {
		passage->ending.status = result->status;
		passage->ending.diag = result->diag;
		passage->ending.session_ended = true;
	} else if (news_why_ended(passage->options.agent->news, &passage->options.destination)) {
		char target[DESTINATION_TEXT_MAX];
		destination_text(&passage->options.destination, target);
		diag_set(&passage->ending.diag, 0, _("%s: the gateway ended the connection: %s"), target,
			 news_why_ended(passage->options.agent->news, &passage->options.destination));
	}
	finish(passage);
}

static void inquire(struct passage *passage)
{
	struct agent *agent = passage->options.agent;
	struct diag diag;
	/* Another gateway knows nothing of it. */
	const struct api_request request = {
		.method = "GET", .path = "/v1/session", .with_session = true, .only_at = passage->gateway};
	int status = errand_start(agent->uplink, &request, on_inquired, passage, &passage->inquiry, &diag);
	if (status != STATUS_OK) {
		const struct errand_result nothing = {.status = status, .diag = diag};
		on_inquired(passage, &nothing);
	}
}

static void on_stepped(struct stepup_waiter *waiter, bool fresh)
{
	struct passage *passage = (struct passage *)(void *)((char *)waiter - offsetof(struct passage, stepup));
	passage->asked = 0;
	if (fresh)
		uplink_wait(passage->options.agent->uplink, &passage->waiter);
	else
		finish(passage);
}

/* True: the user is asked, and nothing is over yet. */
static bool step_up(struct passage *passage)
{
	if (passage->stepped_up)
		return false;
	passage->stepped_up = true;
	passage->stepup = (struct stepup_waiter){.on_stepped = on_stepped};
	return stepup_wait(passage->options.agent, &passage->options.destination, &passage->stepup);
}

/* Another connection may serve it: the next one, or that to another gateway where this one refuses the device. */
static bool may_ask_again(const struct passage *passage, const struct tunnel_ending *ending)
{
	bool lost = !ending->stood && ending->code == H2_CONNECTION_LOST;
	return (lost && ending->status == STATUS_UNREACHABLE && passage->asked == 1) ||
	       (lost && ending->status == STATUS_DEVICE_REFUSED &&
		uplink_may_try_another(passage->options.agent->uplink, passage->asked));
}

/* Not by the other side, but by the gateway: perhaps because the session is over. */
static bool was_cut_by_gateway(const struct tunnel_ending *ending)
{
	return ending->stood && (ending->pump == PUMP_CONNECTION_LOST ||
				 (ending->pump == PUMP_CLIENT_RESET && ending->code != H2_CONNECT_ERROR));
}

static void on_tunnel_over(void *owner, const struct tunnel_ending *ending)
{
	struct passage *passage = owner;
	passage->tunnel = NULL;
	passage->stands = false;
	passage->ending = (struct passage_ending){.status = ending->status, .diag = ending->diag, .stood = ending->stood,
						  .session_ended = ending->session_ended};
	if (passage->cut || passage->options.agent->closing) {
		finish(passage);
	} else if (ending->wants_fresh_login && step_up(passage)) {
		return;
	} else if (may_ask_again(passage, ending)) {
		uplink_wait(passage->options.agent->uplink, &passage->waiter);
	} else if (was_cut_by_gateway(ending)) {
		inquire(passage);
	} else {
		finish(passage);
	}
}

static void explain_tunnel(const struct passage *passage, const char *what)
{
	char target[DESTINATION_TEXT_MAX];
	destination_text(&passage->options.destination, target);
	explain("Tunnel to %s by %s: %s", target, passage->gateway, what);
}

static void on_tunnel_stands(void *owner)
{
	struct passage *passage = owner;
	explain_tunnel(passage, "it stands");
	passage->stands = true;
	if (passage->options.on_stands && !passage->cut)
		passage->options.on_stands(passage->options.owner);
}

static void on_ready(struct uplink_waiter *waiter, struct connection *connection)
{
	struct passage *passage = (struct passage *)waiter;
	struct token token;
	struct diag diag;
	/* Read each time: a login may have replaced it. */
	int status = session_load(passage->options.agent->settings, connection_authority(connection), &token, &diag);
	const struct tunnel_options options = {
		.loop = &passage->options.agent->loop.uv,
		.connection = connection,
		.token = &token,
		.destination = &passage->options.destination,
		.in_fd = passage->options.in_fd,
		.out_fd = passage->options.out_fd,
		.preface = buf_view(&passage->preface),
		.on_stands = on_tunnel_stands,
		.on_over = on_tunnel_over,
		.owner = passage,
	};
	passage->asked++;
	str_copy(passage->gateway, sizeof(passage->gateway), connection_authority(connection));
	explain_tunnel(passage, "asked for");
	if (status == STATUS_OK)
		status = tunnel_start(&options, &passage->tunnel, &diag);
	token_wipe(&token);
	if (status != STATUS_OK)
		on_failed(waiter, status, &diag);
}

int passage_start(const struct passage_options *options, struct passage **out_passage, struct diag *diag)
{
	struct agent *agent = options->agent;
	struct passage *passage = calloc(1, sizeof(*passage));
	if (!passage)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	passage->waiter = (struct uplink_waiter){.patience = options->patience, .on_ready = on_ready, .on_failed = on_failed};
	passage->options = *options;
	passage->begun_ms = clock_wall_ms();
	passage->preface = BUF_INIT(options->preface.size);
	if (buf_add(&passage->preface, options->preface) < 0) {
		free(passage);
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	}
	passage->next = agent->passages;
	if (passage->next)
		passage->next->previous = passage;
	agent->passages = passage;
	*out_passage = passage;
	uplink_wait(agent->uplink, &passage->waiter);
	return STATUS_OK;
}

void passage_cut(struct passage *passage)
{
	if (!passage || passage->cut)
		return;
	passage->cut = true;
	if (passage->tunnel) {
		tunnel_abort(passage->tunnel);
		return;
	}
	uplink_leave(passage->options.agent->uplink, &passage->waiter);
	stepup_leave(passage->options.agent, &passage->stepup);
	finish(passage);
}

struct passage *passage_next(const struct agent *agent, const struct passage *passage)
{
	return passage ? passage->next : agent->passages;
}

void passage_look(const struct passage *passage, struct passage_facts *out_facts)
{
	*out_facts = (struct passage_facts){
		.destination = &passage->options.destination,
		.begun_ms = passage->begun_ms,
		.stands = passage->stands,
		.rate = passage->rate,
	};
	if (passage->tunnel && passage->stands)
		tunnel_bytes(passage->tunnel, &out_facts->sent_bytes, &out_facts->received_bytes);
}

void passage_measure(struct agent *agent)
{
	uint64_t now_ms = clock_monotonic_ms();
	for (struct passage *passage = agent->passages; passage; passage = passage->next) {
		struct passage_facts facts;
		passage_look(passage, &facts);
		uint64_t bytes = facts.sent_bytes + facts.received_bytes, passed_ms = now_ms - passage->measured_ms;
		if (passage->measured_ms && passed_ms && bytes >= passage->measured_bytes)
			passage->rate = (bytes - passage->measured_bytes) * 1000 / passed_ms;
		passage->measured_ms = now_ms;
		passage->measured_bytes = bytes;
	}
}
