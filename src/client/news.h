/* news.h: what the gateway says about the session and its tunnels as it happens (GET /v1/events): an end that is near, and
 * why something was ended. The agent listens for as long as it has a connection and a session; the stream keeps no
 * connection alive. */
#ifndef CLIENT_NEWS_H
#define CLIENT_NEWS_H

#include "destination.h"

struct agent;
struct news;

/* NULL without memory: then there are no news. */
struct news *news_open(struct agent *agent);
/* NULL is allowed. */
void news_close(struct news *news);
/* A connection, a session, or both may be others now; cheap, to be called every few seconds too. */
void news_look(struct news *news);
/* The same; and what was refused before is asked again at once. */
void news_look_anew(struct news *news);
/* Why the gateway has just ended a tunnel to there ("the policy has changed"), or NULL when it has not said so. */
const char *news_why_ended(const struct news *news, const struct destination *destination);
/* "Your session ends at ..." when the gateway has said that it soon does; else NULL. */
const char *news_warning(const struct news *news);

#endif
