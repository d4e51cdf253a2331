/* stack.c: the PAM stack, and pam_conv(3) in terms of a dialogue.
 *
 * The only file of the gateway that knows PAM. What may be said when is dialogue.c's matter; walls and limits
 * are built by main.c before.
 */
#include "stack.h"

#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/buf.h"
#include "sallyport/str.h"
#include "service.h"

/* Attempts at a new password in place of an expired one. */
enum { CHANGES_MAX = 3 };

struct run {
	struct dialogue *dialogue;
	pam_handle_t *pam;
	int broken; /* enum err of the dialogue, when it is what ended the stack */
};

static uint8_t style_of(int pam_style)
{
	switch (pam_style) {
	case PAM_PROMPT_ECHO_OFF:
		return CONVERSATION_SECRET;
	case PAM_PROMPT_ECHO_ON:
		return CONVERSATION_TEXT;
	case PAM_TEXT_INFO:
		return CONVERSATION_INFO;
	case PAM_ERROR_MSG:
		return CONVERSATION_ERROR;
	default:
		return 0;
	}
}

static bool wants_answer(const struct pam_message *message)
{
	return message->msg_style == PAM_PROMPT_ECHO_OFF || message->msg_style == PAM_PROMPT_ECHO_ON;
}

/* Sends each message at the moment it is said; returns how many want an answer, or a negative error. */
static int say_all(struct run *run, int count, const struct pam_message **messages)
{
	int prompts = 0;
	for (int i = 0; i < count; i++) {
		uint8_t style = style_of(messages[i]->msg_style);
		if (!style)
			return ERR_BAD_INPUT;
		int result = dialogue_say(run->dialogue, style, messages[i]->msg);
		if (result < 0)
			return result;
		prompts += wants_answer(messages[i]);
	}
	return prompts;
}

static int hand_over(int count, const struct pam_message **messages, char **answers, struct pam_response **out_responses)
{
	struct pam_response *responses = calloc((size_t)count, sizeof(*responses));
	if (!responses)
		return ERR_SYSTEM;
	for (int i = 0, next = 0; i < count; i++)
		if (wants_answer(messages[i]))
			responses[i].resp = answers[next++];
	*out_responses = responses;
	return 0;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **out_responses, void *data)
{
	struct run *run = data;
	char *answers[CONVERSATION_MESSAGES_MAX] = {NULL};
	if (count <= 0 || count > CONVERSATION_MESSAGES_MAX)
		return PAM_CONV_ERR;
	int prompts = say_all(run, count, messages);
	int result = prompts < 0 ? prompts : dialogue_ask(run->dialogue, answers, (uint32_t)prompts);
	if (result == 0)
		result = hand_over(count, messages, answers, out_responses);
	if (result == 0)
		return PAM_SUCCESS;
	run->broken = result;
	return PAM_CONV_ERR;
}

static int start(struct run *run, const char *service, const char *directory, const struct pam_conv *conversation)
{
	return pam_start_confdir(service, run->dialogue->user, conversation, *directory ? directory : NULL, &run->pam);
}

static int tell_facts(struct run *run)
{
	int code = pam_set_item(run->pam, PAM_RHOST, run->dialogue->address);
	if (code == PAM_SUCCESS)
		code = pam_set_item(run->pam, PAM_TTY, "sallyport");
	for (unsigned i = 0; code == PAM_SUCCESS && i < run->dialogue->fact_count; i++)
		code = pam_putenv(run->pam, run->dialogue->facts[i]);
	return code;
}

/* By the stack's own prompts. Modules give up at a slip of the finger and leave it to us to begin again. */
static int change_password(struct run *run)
{
	int code;
	int left = CHANGES_MAX;
	do
		code = pam_chauthtok(run->pam, PAM_CHANGE_EXPIRED_AUTHTOK);
	while (code == PAM_TRY_AGAIN && !run->broken && --left > 0);
	return code;
}

static int check_account(struct run *run)
{
	int code = pam_acct_mgmt(run->pam, 0);
	/* An expired password may be changed in the middle. */
	return code == PAM_NEW_AUTHTOK_REQD ? change_password(run) : code;
}

static const char *final_user(struct run *run)
{
	const void *user = NULL;
	int code = pam_get_item(run->pam, PAM_USER, &user);
	return code == PAM_SUCCESS && user ? user : "";
}

static const char *reason_of(const struct run *run, int code)
{
	static const char *const broken[] = {
		[-ERR_DENIED] = "cancelled by the user", [-ERR_TIMEOUT] = "the time limit of a login ran out",
		[-ERR_LIMIT] = "more rounds of prompts than login_rounds allows", [-ERR_BAD_INPUT] = "an answer or prompt that PAM cannot take",
		[-ERR_CLOSED] = "the broker is gone",
	};
	size_t index = (size_t)-(long)run->broken;
	if (run->broken < 0 && index < sizeof(broken) / sizeof(broken[0]) && broken[index])
		return broken[index];
	return pam_strerror(run->pam, code);
}

/* ---- the session part ---- */

/* The name must stay what binding and policy have judged. */
static int open_it(struct run *run, const char *user)
{
	int code = pam_setcred(run->pam, PAM_ESTABLISH_CRED);
	if (code != PAM_SUCCESS)
		return code;
	code = pam_open_session(run->pam, 0);
	if (code == PAM_SUCCESS && strcmp(final_user(run), user) != 0) {
		pam_close_session(run->pam, PAM_SILENT);
		code = PAM_USER_UNKNOWN;
	}
	if (code != PAM_SUCCESS)
		pam_setcred(run->pam, PAM_DELETE_CRED | PAM_SILENT);
	return code;
}

static void close_it(struct run *run)
{
	pam_close_session(run->pam, PAM_SILENT);
	pam_setcred(run->pam, PAM_DELETE_CRED | PAM_SILENT);
}

/* From the good result to the end of the session; a PAM code for pam_end(3). */
static int live(struct run *run, const struct stack *stack, const char *user)
{
	if (dialogue_await_session(run->dialogue) < 0)
		return PAM_CONV_ERR;
	int code = open_it(run, user);
	bool good = code == PAM_SUCCESS;
	const struct dialogue_result opened = {
		.good = good, .pam_code = code, .user = user, .reason = good ? "" : reason_of(run, code)};
	if (good && stack->on_open)
		stack->on_open(stack->context);
	int told = dialogue_session_opened(run->dialogue, &opened);
	if (good && told == 0)
		dialogue_await_end(run->dialogue);
	if (good)
		close_it(run);
	return code;
}

/* ---- all of it ---- */

static int authenticate(struct run *run, struct dialogue_result *result)
{
	int code = tell_facts(run);
	if (code == PAM_SUCCESS) {
		result->phase = CONVERSATION_AUTHENTICATE;
		code = pam_authenticate(run->pam, 0);
	}
	if (code == PAM_SUCCESS) {
		result->phase = CONVERSATION_ACCOUNT;
		code = check_account(run);
	}
	return code;
}

int stack_run(struct dialogue *dialogue, const struct stack *stack)
{
	struct run run = {.dialogue = dialogue};
	const struct pam_conv conversation = {.conv = converse, .appdata_ptr = &run};
	struct dialogue_result result = {.phase = CONVERSATION_START, .user = "", .reason = ""};
	char user[257] = "";
	int code = start(&run, stack->service, stack->directory, &conversation);
	if (code == PAM_SUCCESS)
		code = authenticate(&run, &result);
	result.pam_code = code;
	/* A copy: the item is the modules' to change. */
	bool fits = !run.pam || str_copy(user, sizeof(user), final_user(&run));
	result.user = fits ? user : "";
	result.good = code == PAM_SUCCESS && *result.user;
	result.reason = result.good ? "" : reason_of(&run, code);
	result.has_session = result.good && service_has_session(stack->directory, stack->service);
	int told = dialogue_end(dialogue, &result);
	if (told == 0 && result.has_session)
		code = live(&run, stack, user);
	/* Modules wipe what they kept in their own clean-up. */
	if (run.pam)
		pam_end(run.pam, code);
	return told;
}
