/* prompt.h: who answers the gateway's questions, and how they are put.
 *
 * In this order: the descriptor of --answers-from, the controlling terminal, a helper program
 * (askpass.h), nobody. What the gateway says is cleaned before it is shown. On a terminal an address in it (otpauth: or
 * https:) is drawn as a QR code too; a helper, which has one window at a time, shows it with the next question.
 */
#ifndef CLIENT_PROMPT_H
#define CLIENT_PROMPT_H

#include "sallyport/buf.h"
#include "status.h"
#include "terminal.h"

/* What a helper shows with a question. */
#define PROMPT_SHOWN_MAX 4096

struct prompt {
	int answers_fd;        /* of --answers-from, or -1 */
	struct line_reader answers;
	struct terminal terminal;
	const char *askpass;
	char shown[PROMPT_SHOWN_MAX]; /* what the helper has not shown yet */
};

/* Finds out who answers. `answers_fd` is -1 unless --answers-from was given. */
void prompt_open(struct prompt *prompt, int answers_fd);
void prompt_close(struct prompt *prompt);
/* Shows text for which no answer is wanted, at once. */
void prompt_show(struct prompt *prompt, const char *text);
/* The address in that text that a telephone should read, for a QR code: points into it, empty when there is none (or when it
 * is drawn there already). Pure. */
struct view prompt_address(const char *text);
/* Puts a question and appends the answer. STATUS_SIGNAL when a signal came, STATUS_LOGIN_NEEDED when the user
 * gave up (Ctrl-D), STATUS_NOBODY when nobody answers, each with its sentence (none for a signal). */
[[nodiscard]] int prompt_ask(struct prompt *prompt, enum terminal_echo echo, const char *question,
			     struct buf *out_answer, struct diag *diag);

#endif
