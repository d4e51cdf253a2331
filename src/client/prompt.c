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
#include "sallyport/qr.h"
#include "say.h"

enum { ADDRESS_MAX = 512, PICTURE_BYTES_MAX = 64 * 1024 };
/* A code that the gateway has drawn itself has these in it. */
#define QR_BLOCK "\u2588"

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

struct view prompt_address(const char *text)
{
	static const char *const schemes[] = {"otpauth://", "https://"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]) && !strstr(text, QR_BLOCK); i++) {
		const char *at = strstr(text, schemes[i]);
		size_t length = at ? strcspn(at, " \t\n\"'<>") : 0;
		/* What follows a full stop at the end is no part of it. */
		while (length && strchr(".,;)", at[length - 1]))
			length--;
		if (length > strlen(schemes[i]) && length < ADDRESS_MAX)
			return view_of(at, length);
	}
	return view_of(NULL, 0);
}

static void show_code(struct prompt *prompt, const char *text)
{
	char address[ADDRESS_MAX];
	OWN_SECRET_BUF struct buf picture = BUF_INIT(PICTURE_BYTES_MAX);
	if (view_to_string(prompt_address(text), address, sizeof(address)) < 0 || !*address ||
	    qr_draw(address, &picture) < 0 || buf_add(&picture, view_of("", 1)) < 0)
		return;
	terminal_show(&prompt->terminal, (const char *)picture.data);
	wipe(address, sizeof(address));
}

/* More than fits is cut. */
static void keep_for_helper(struct prompt *prompt, const char *text)
{
	size_t used = strlen(prompt->shown);
	snprintf(prompt->shown + used, sizeof(prompt->shown) - used, "%s\n", text);
}

void prompt_show(struct prompt *prompt, const char *text)
{
	OWN_MEMORY char *cleaned = say_cleaned(text, SAY_TRIM_END);
	if (!cleaned || !*cleaned)
		return;
	if (prompt->terminal.fd >= 0) {
		terminal_show(&prompt->terminal, cleaned);
		show_code(prompt, cleaned);
		return;
	}
	fprintf(stderr, "%s\n", cleaned);
	if (prompt->answers_fd < 0 && prompt->askpass)
		keep_for_helper(prompt, cleaned);
}

static enum line_result ask_helper(struct prompt *prompt, const char *question, struct buf *out_answer)
{
	char whole[PROMPT_SHOWN_MAX * 2];
	snprintf(whole, sizeof(whole), "%s%s", prompt->shown, question);
	enum line_result result = askpass_ask(prompt->askpass, whole, out_answer);
	wipe(prompt->shown, sizeof(prompt->shown));
	wipe(whole, sizeof(whole));
	return result;
}

static enum line_result ask(struct prompt *prompt, enum terminal_echo echo, const char *question, struct buf *out_answer)
{
	if (prompt->answers_fd >= 0)
		return line_read(&prompt->answers, out_answer);
	if (prompt->terminal.fd >= 0)
		return terminal_ask(&prompt->terminal, echo, question, out_answer);
	return ask_helper(prompt, question, out_answer);
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
		return diag_set(diag, STATUS_FAILED, _("The answer is longer than %d bytes"), LINE_BYTES_MAX);
	case LINE_END:
		if (prompt->answers_fd >= 0)
			return diag_set(diag, STATUS_NOBODY, _("The gateway asks \"%s\", and there is no further line in the "
					"descriptor of --answers-from"), question);
		return diag_set(diag, STATUS_LOGIN_NEEDED, _("The login was given up"));
	default:
		return diag_set(diag, STATUS_NOBODY, _("The gateway asks \"%s\", and the answer cannot be read from %s: %s"), question,
				prompt->answers_fd >= 0 ? _("the descriptor of --answers-from")
				: prompt->terminal.fd >= 0 ? _("the terminal") : prompt->askpass, strerror(error));
	}
}

int prompt_ask(struct prompt *prompt, enum terminal_echo echo, const char *question, struct buf *out_answer,
	       struct diag *diag)
{
	OWN_MEMORY char *cleaned = say_cleaned(question, SAY_KEEP_END);
	if (!cleaned)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	/* For a sentence: the last line, which is the question proper. */
	const char *line = strrchr(cleaned, '\n');
	const char *short_question = line ? line + 1 : cleaned;
	if (prompt->answers_fd < 0 && prompt->terminal.fd < 0 && !prompt->askpass)
		return diag_set(diag, STATUS_NOBODY, _("The gateway asks \"%s\", and nobody is there to answer: there is no terminal; "
				"use --answers-from FD, or set SALLYPORT_ASKPASS to a helper program"), short_question);
	enum line_result result = ask(prompt, echo, cleaned, out_answer);
	return explain(prompt, result, short_question, diag);
}
