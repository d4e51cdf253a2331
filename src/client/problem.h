/* problem.h: what a refusal of the gateway means here: the sentence, and the status to end with. Pure. */
#ifndef CLIENT_PROBLEM_H
#define CLIENT_PROBLEM_H

#include "answer.h"

struct http_response;

struct refused {
	unsigned http_status;
	unsigned retry_after_s; /* 0: not said */
	struct answer_problem problem;
};

/* Reads an answer that is not 2xx. */
void problem_read(struct view body, unsigned http_status, struct view retry_after, struct refused *out_refused);
/* The sentence with the request's id; `what` is what was asked for ("db1:5432"), or NULL. */
int problem_explain(const struct refused *refused, const char *what, struct diag *out_diag);
/* True when a fresh login is all that is missing. */
bool problem_wants_fresh_login(const struct refused *refused);
/* True when it means that the session is gone, and with it everything that runs in it. */
bool problem_ends_session(const struct refused *refused);

#endif
