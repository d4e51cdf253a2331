/* entrance.h: a local port of the agent and all that came in by it. */
#ifndef CLIENT_ENTRANCE_H
#define CLIENT_ENTRANCE_H

#include "listener.h"

struct agent;
struct entrance;

struct entrance_options {
	struct agent *agent;
	struct forward forward;
	int fd; /* listening; the entrance's from now on, unless an error is returned */
	/* A sentence about one connection; nothing has ended. */
	void (*on_note)(void *owner, const char *sentence);
	/* Session or device are no longer good: every further connection would fail. */
	void (*on_hopeless)(void *owner, int status, const struct diag *diag);
	void *owner;
};

[[nodiscard]] int entrance_open(const struct entrance_options *options, struct entrance **out_entrance,
				struct diag *diag);
/* Closes the port and cuts what came in by it; the memory goes with the last of it. NULL is allowed. */
void entrance_close(struct entrance *entrance);
/* Passes the news of agent and uplink on to the owner. */
void entrance_note(struct entrance *entrance, const char *sentence);
void entrance_hopeless(struct entrance *entrance, int status, const struct diag *diag);

/* For the report and for `forward drop`. */
const struct forward *entrance_forward(const struct entrance *entrance);
/* The `owner` of its options: the agent itself for those that it keeps. */
const void *entrance_owner(const struct entrance *entrance);
size_t entrance_open_connections(const struct entrance *entrance);
struct entrance *entrance_next(const struct agent *agent, const struct entrance *entrance); /* NULL: the first */

#endif
