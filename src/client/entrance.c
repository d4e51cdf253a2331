/* entrance.c: a local port of the agent and all that came in by it.
 *
 * A caller is one accepted connection: it says where it wants to go (greeting.c), unless the port leads to one place,
 * and then passes (passage.c).
 */
#include "entrance.h"

#include <stdlib.h>

#include "agent.h"
#include "greeting.h"
#include "passage.h"
#include "peer_user.h"
#include "sallyport/own.h"

struct caller {
	struct entrance *entrance;
	struct greeting *greeting; /* until it has said where to */
	struct passage *passage;
	int fd; /* until it is the tunnel's */
	enum greeting_tongue tongue;
	struct caller *previous, *next;
};

struct entrance {
	struct listener listener; /* first: a listener is its entrance */
	struct entrance_options options;
	struct caller *callers;
	size_t caller_count;
	struct entrance *previous, *next;
};

static void caller_free(struct caller *caller)
{
	struct entrance *entrance = caller->entrance;
	if (caller->previous)
		caller->previous->next = caller->next;
	else
		entrance->callers = caller->next;
	if (caller->next)
		caller->next->previous = caller->previous;
	entrance->caller_count--;
	free(caller);
}

void entrance_note(struct entrance *entrance, const char *sentence)
{
	entrance->options.on_note(entrance->options.owner, sentence);
}

void entrance_hopeless(struct entrance *entrance, int status, const struct diag *diag)
{
	entrance->options.on_hopeless(entrance->options.owner, status, diag);
}

/* ---- a caller ---- */

static void on_stands(void *owner)
{
	struct caller *caller = owner;
	greeting_welcome(caller->tongue, caller->fd);
	caller->fd = -1;
}

static void on_over(void *owner, const struct passage_ending *ending)
{
	struct caller *caller = owner;
	struct entrance *entrance = caller->entrance;
	if (!ending->stood)
		greeting_turn_away(caller->tongue, take_fd(&caller->fd), ending->status, &ending->diag);
	caller_free(caller);
	if (ending->session_ended)
		entrance_hopeless(entrance, ending->status, &ending->diag);
	else if (!ending->stood)
		entrance_note(entrance, ending->diag.text);
}

static void pass(struct caller *caller, const struct destination *destination, struct view preface)
{
	struct entrance *entrance = caller->entrance;
	const struct passage_options options = {
		.agent = entrance->options.agent,
		.destination = *destination,
		.in_fd = caller->fd,
		.out_fd = caller->fd,
		.preface = preface,
		.patience = UPLINK_PATIENT,
		.on_stands = on_stands,
		.on_over = on_over,
		.owner = caller,
	};
	struct diag diag;
	if (passage_start(&options, &caller->passage, &diag) == STATUS_OK)
		return;
	tunnel_close_with_reset(take_fd(&caller->fd));
	caller_free(caller);
	entrance_note(entrance, diag.text);
}

static void on_greeted(void *owner, const struct greeting_wish *wish)
{
	struct caller *caller = owner;
	caller->greeting = NULL;
	if (wish) {
		caller->tongue = wish->tongue;
		pass(caller, &wish->destination, wish->preface);
		return;
	}
	close(take_fd(&caller->fd));
	caller_free(caller);
}

static void on_accept(struct listener *listener, int fd)
{
	struct entrance *entrance = (struct entrance *)listener;
	if (peer_user(fd) == PEER_USER_OTHER) {
		tunnel_close_with_reset(fd);
		entrance_note(entrance, _("A program of another user of this device was turned away from a local port"));
		return;
	}
	struct caller *caller = calloc(1, sizeof(*caller));
	if (!caller) {
		tunnel_close_with_reset(fd);
		return;
	}
	*caller = (struct caller){.entrance = entrance, .fd = fd, .next = entrance->callers};
	if (caller->next)
		caller->next->previous = caller;
	entrance->callers = caller;
	entrance->caller_count++;
	if (entrance->options.forward.kind == FORWARD_FIXED)
		pass(caller, &entrance->options.forward.destination, view_of(NULL, 0));
	else if (greeting_start(&entrance->options.agent->loop.uv, entrance->options.forward.kind, fd, on_greeted, caller,
				&caller->greeting) != STATUS_OK)
		on_greeted(caller, NULL);
}

/* ---- the port ---- */

int entrance_open(const struct entrance_options *options, struct entrance **out_entrance, struct diag *diag)
{
	struct agent *agent = options->agent;
	struct entrance *entrance = calloc(1, sizeof(*entrance));
	if (!entrance)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	entrance->options = *options;
	int status = listener_open(&entrance->listener, &agent->loop.uv, &entrance->options.forward, options->fd, on_accept,
				   entrance, diag);
	if (status != STATUS_OK) {
		free(entrance);
		return status;
	}
	entrance->next = agent->entrances;
	if (entrance->next)
		entrance->next->previous = entrance;
	agent->entrances = entrance;
	*out_entrance = entrance;
	return STATUS_OK;
}

static void on_listener_closed(struct listener *listener)
{
	free(listener);
}

static void cut_callers(struct entrance *entrance)
{
	while (entrance->callers) {
		struct caller *caller = entrance->callers;
		greeting_drop(caller->greeting);
		/* A passage closes the descriptor. */
		if (!caller->passage && caller->fd >= 0)
			tunnel_close_with_reset(caller->fd);
		passage_cut(caller->passage);
		caller_free(caller);
	}
}

void entrance_close(struct entrance *entrance)
{
	if (!entrance)
		return;
	struct agent *agent = entrance->options.agent;
	if (entrance->previous)
		entrance->previous->next = entrance->next;
	else
		agent->entrances = entrance->next;
	if (entrance->next)
		entrance->next->previous = entrance->previous;
	cut_callers(entrance);
	listener_close(&entrance->listener, on_listener_closed);
}

const struct forward *entrance_forward(const struct entrance *entrance)
{
	return &entrance->options.forward;
}

const void *entrance_owner(const struct entrance *entrance)
{
	return entrance->options.owner;
}

size_t entrance_open_connections(const struct entrance *entrance)
{
	return entrance->caller_count;
}

struct entrance *entrance_next(const struct agent *agent, const struct entrance *entrance)
{
	return entrance ? entrance->next : agent->entrances;
}
