/* prompt.h: who answers the gateway's questions, and how they are put.
 *
 * In this order: the descriptor of --answers-from, the controlling terminal, a helper program
 * (askpass.h), nobody. What the gateway says is cleaned before it is shown.
 */
#ifndef CLIENT_PROMPT_H
#define CLIENT_PROMPT_H

#include "status.h"
#include "terminal.h"

struct prompt {
	int answers_fd;        /* of --answers-from, or -1 */
	struct line_reader answers;
	struct terminal terminal;
	const char *askpass;
};

/* Finds out who answers. `answers_fd` is -1 unless --answers-from was given. */
void prompt_open(struct prompt *prompt, int answers_fd);
void prompt_close(struct prompt *prompt);
/* Shows text for which no answer is wanted, at once. */
void prompt_show(struct prompt *prompt, const char *text);
/* Puts a question and appends the answer. STATUS_SIGNAL when a signal came, STATUS_LOGIN_NEEDED when the user
 * gave up (Ctrl-D), STATUS_NOBODY when nobody answers, each with its sentence (none for a signal). */
[[nodiscard]] int prompt_ask(struct prompt *prompt, enum terminal_echo echo, const char *question,
			     struct buf *out_answer, struct diag *diag);

#endif
