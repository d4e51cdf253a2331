/* prompt.c: who answers the gateway's questions. How a terminal or a helper asks is theirs. */
#include "prompt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "askpass.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "say.h"

void prompt_open(struct prompt *prompt, int answers_fd)
{
	*prompt = (struct prompt){.answers_fd = answers_fd, .terminal = {.fd = -1}, .askpass = askpass_program()};
	line_init(&prompt->answers, answers_fd);
	if (answers_fd < 0)
		terminal_open(&prompt->terminal);
}

void prompt_close(struct prompt *prompt)
{
	line_fini(&prompt->answers);
	if (prompt->terminal.fd >= 0)
		terminal_close(&prompt->terminal);
}

void prompt_show(struct prompt *prompt, const char *text)
{
	OWN_MEMORY char *cleaned = say_cleaned(text, SAY_TRIM_END);
	if (!cleaned || !*cleaned)
		return;
	if (prompt->terminal.fd >= 0)
		terminal_show(&prompt->terminal, cleaned);
	else
		fprintf(stderr, "%s\n", cleaned);
}

static enum line_result ask(struct prompt *prompt, enum terminal_echo echo, const char *question, struct buf *out_answer)
{
	if (prompt->answers_fd >= 0)
		return line_read(&prompt->answers, out_answer);
	if (prompt->terminal.fd >= 0)
		return terminal_ask(&prompt->terminal, echo, question, out_answer);
	return askpass_ask(prompt->askpass, question, out_answer);
}

static int explain(const struct prompt *prompt, enum line_result result, const char *question, struct diag *diag)
{
	int error = errno;
	switch (result) {
	case LINE_OK:
		return STATUS_OK;
	case LINE_SIGNAL:
		return STATUS_SIGNAL;
	case LINE_LONG:
		return diag_set(diag, STATUS_FAILED, "The answer is longer than %d bytes", LINE_BYTES_MAX);
	case LINE_END:
		if (prompt->answers_fd >= 0)
			return diag_set(diag, STATUS_NOBODY, "The gateway asks \"%s\", and there is no further line in the "
					"descriptor of --answers-from", question);
		return diag_set(diag, STATUS_LOGIN_NEEDED, "The login was given up");
	default:
		return diag_set(diag, STATUS_NOBODY, "The gateway asks \"%s\", and the answer cannot be read from %s: %s", question,
				prompt->answers_fd >= 0 ? "the descriptor of --answers-from"
				: prompt->terminal.fd >= 0 ? "the terminal" : prompt->askpass, strerror(error));
	}
}

int prompt_ask(struct prompt *prompt, enum terminal_echo echo, const char *question, struct buf *out_answer,
	       struct diag *diag)
{
	OWN_MEMORY char *cleaned = say_cleaned(question, SAY_KEEP_END);
	if (!cleaned)
		return diag_set(diag, STATUS_FAILED, "memory is out");
	/* For a sentence: the last line, which is the question proper. */
	const char *line = strrchr(cleaned, '\n');
	const char *short_question = line ? line + 1 : cleaned;
	if (prompt->answers_fd < 0 && prompt->terminal.fd < 0 && !prompt->askpass)
		return diag_set(diag, STATUS_NOBODY, "The gateway asks \"%s\", and nobody is there to answer: there is no terminal; "
				"use --answers-from FD, or set SALLYPORT_ASKPASS to a helper program", short_question);
	enum line_result result = ask(prompt, echo, cleaned, out_answer);
	return explain(prompt, result, short_question, diag);
}
