/* visitor.h: a command at the agent's door, and what it may ask for. */
#ifndef CLIENT_VISITOR_H
#define CLIENT_VISITOR_H

#include "agent.h"

/* Takes over the connection; on error it stays the caller's. */
[[nodiscard]] int visitor_admit(struct agent *agent, int fd);
/* A sentence for those who wait for a tunnel (to there; NULL: to anywhere). */
void visitor_note_all(struct agent *agent, const struct destination *destination, const char *sentence);
/* Sends it away and ends all that it had begun. */
void visitor_dismiss(struct visitor *visitor);

/* To those who wait for an answer: for what. */
void visitor_progress(struct agent *agent, const char *sentence);
/* To those who want to know each step (-v). */
void visitor_explain(struct agent *agent, const char *sentence);

#endif
