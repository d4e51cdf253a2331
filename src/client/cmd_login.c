/* cmd_login.c: `sallyport login`: carries the gateway's questions to the user and the answers back.
 *
 *     POST /v1/login -> prompt: ask all, POST answers -> ... -> granted: keep the token
 *                    -> info:   show, POST no answers
 *     given up, interrupted, nobody there: DELETE /v1/login/ID
 *
 * What the questions are is the PAM stack's matter on the gateway (gateway/conversation).
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "prompt.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"
#include "signals.h"

enum {
	ANSWERS_MAX = 32, /* prompts in one round, as PAM_MAX_NUM_MSG */
	ROUND_BYTES_MAX = COMMAND_AGENT_BODY_MAX,
	/* The gateway holds a request until there is something to say; one that does not shall not be asked in a
	 * tight circle. */
	HASTE_MS = 200,
	PAUSE_MS = 1000,
};

struct login {
	struct client client;
	struct prompt prompt;
	struct answer_step step;
	const char *realm; /* that is asked for; NULL: the gateway chooses */
	bool goes_on;      /* the present session does; the new one is only a proof */
	/* Of the conversation that is open at the gateway; empty when there is none to cancel. */
	char conversation[ANSWER_ID_MAX + 1];
	/* Where it began: what is said there is said to no other gateway. Empty: not yet. */
	char gateway[COMMAND_AGENT_GATEWAY_MAX + 1];
};

struct round {
	struct buf answer[ANSWERS_MAX];
	size_t count;
};

static void round_wipe(struct round *round)
{
	for (size_t i = 0; i < ANSWERS_MAX; i++)
		buf_wipe(&round->answer[i]);
}

static int ask(struct login *login, const struct answer_message *message, struct round *round, struct diag *diag)
{
	if (round->count == ANSWERS_MAX)
		return diag_set(diag, STATUS_FAILED, _("The gateway asks more than %d questions at once"), ANSWERS_MAX);
	struct buf *answer = &round->answer[round->count++];
	*answer = BUF_INIT(LINE_BYTES_MAX);
	enum terminal_echo echo = message->style == ANSWER_TEXT ? TERMINAL_ECHO_ON : TERMINAL_ECHO_OFF;
	return prompt_ask(&login->prompt, echo, message->text, answer, diag);
}

/* Shows and asks in the order in which the messages stand. */
static int present(struct login *login, struct round *round, struct diag *diag)
{
	int status = STATUS_OK;
	for (size_t i = 0; i < login->step.message_count && status == STATUS_OK; i++) {
		const struct answer_message *message = &login->step.message[i];
		if (message->style == ANSWER_INFO || message->style == ANSWER_ERROR)
			prompt_show(&login->prompt, message->text);
		else
			status = ask(login, message, round, diag);
	}
	return status;
}

/* Sends and reads the next step. A refusal ends the conversation at the gateway too. */
static int advance(struct login *login, const char *path, struct view body, struct diag *diag)
{
	OWN_SECRET_BUF struct buf answer = BUF_INIT(1024 * 1024);
	struct refused refused = {0};
	const struct api_request request = {.method = "POST", .path = path, .body = body, .only_at = login->gateway};
	int status = client_call(&login->client, &request, &answer, &refused, diag);
	str_copy(login->gateway, sizeof(login->gateway), client_gateway(&login->client));
	if (refused.http_status)
		login->conversation[0] = 0;
	if (status != STATUS_OK)
		return status;
	answer_step_fini(&login->step);
	status = answer_parse_step(buf_view(&answer), &login->step, diag);
	memcpy(login->conversation, login->step.conversation, sizeof(login->conversation));
	return status;
}

static int begin(struct login *login, const char *user, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(4096);
	int status = answer_make_login(user, login->realm, &body, diag);
	return status == STATUS_OK ? advance(login, "/v1/login", buf_view(&body), diag) : status;
}

static int answer_round(struct login *login, struct diag *diag)
{
	OWN(round_wipe) struct round round = {0};
	OWN_SECRET_BUF struct buf body = BUF_INIT(ROUND_BYTES_MAX);
	char path[ANSWER_ID_MAX + 16];
	uint64_t started_ms = clock_monotonic_ms();
	int status = present(login, &round, diag);
	if (status == STATUS_OK)
		status = answer_make_answers(round.answer, round.count, &body, diag);
	if (status != STATUS_OK)
		return status;
	bool was_empty = login->step.message_count == 0;
	snprintf(path, sizeof(path), "/v1/login/%s", login->conversation);
	status = advance(login, path, buf_view(&body), diag);
	bool hasty = was_empty && clock_monotonic_ms() - started_ms < HASTE_MS;
	if (status == STATUS_OK && hasty && login->step.state == ANSWER_SHOW && login->step.message_count == 0)
		status = signals_pause(PAUSE_MS);
	return status;
}

static int converse(struct login *login, const char *user, struct diag *diag)
{
	int status = begin(login, user, diag);
	while (status == STATUS_OK && login->step.state != ANSWER_GRANTED)
		status = answer_round(login, diag);
	return status;
}

static void cancel(struct login *login)
{
	char path[ANSWER_ID_MAX + 16];
	if (!login->conversation[0])
		return;
	snprintf(path, sizeof(path), "/v1/login/%s", login->conversation);
	const struct api_request request = {.method = "DELETE", .path = path, .only_at = login->gateway};
	/* When it does not arrive, the gateway's own time limit ends the conversation. */
	client_call_briefly(&login->client, &request);
}

static void end_session(struct login *login, const char *token)
{
	const struct api_request logout = {.method = "DELETE", .path = "/v1/session", .token = token, .only_at = login->gateway};
	client_call_briefly(&login->client, &logout);
}

/* An earlier session would live on with nobody holding its token. It goes, unless something still runs in it. */
static void end_earlier_session(struct login *login, const char *token)
{
	OWN_BUF struct buf body = BUF_INIT(65536);
	struct answer_session session;
	struct diag diag;
	const struct api_request request = {.method = "GET", .path = "/v1/session", .token = token, .only_at = login->gateway};
	if (!*token || client_call(&login->client, &request, &body, NULL, &diag) != STATUS_OK ||
	    answer_parse_session(buf_view(&body), &session, &diag) != STATUS_OK)
		return;
	if (session.tunnels)
		printf(_("An earlier session still carries %llu connections; it stays until %s.\n"),
		       (unsigned long long)session.tunnels, session.expires_at);
	else
		end_session(login, token);
	answer_session_fini(&session);
}

static int keep_session(struct login *login, struct diag *diag)
{
	const struct answer_step *step = &login->step;
	OWN_TOKEN struct token earlier = {""};
	char path[4096];
	struct diag none;
	(void)!session_load(login->client.settings, login->gateway, &earlier, &none);
	int status = session_path(login->client.settings, login->gateway, path, sizeof(path), diag);
	if (status == STATUS_OK)
		status = token_store(path, step->token, diag);
	if (status != STATUS_OK) {
		end_session(login, step->token);
		return status;
	}
	end_earlier_session(login, earlier.text);
	size_t allowed = 0;
	for (size_t i = 0; i < step->resources.count; i++)
		allowed += step->resources.item[i].allowed;
	say_clean(step->user, SAY_KEEP_END);
	printf(P_("Logged in as %s until %s. You may reach %zu resource; see: sallyport ls\n",
		  "Logged in as %s until %s. You may reach %zu resources; see: sallyport ls\n", allowed),
	       step->user, step->expires_at, allowed);
	return STATUS_OK;
}

/* ---- --fresh ---- */

/* The session that is to go on, if there is one. */
static bool find_session(struct login *login, struct answer_session *out_session)
{
	OWN_BUF struct buf body = BUF_INIT(65536);
	struct diag diag;
	const struct api_request request = {.method = "GET", .path = "/v1/session", .with_session = true, .only_at = login->gateway};
	return client_call(&login->client, &request, &body, NULL, &diag) == STATUS_OK &&
	       answer_parse_session(buf_view(&body), out_session, &diag) == STATUS_OK;
}

/* That the user has proved himself counts for his other sessions on this device too (docs/wire.md): so the one that the
 * tunnels run in goes on, and the one that was made for the proof ends. */
static int keep_earlier_session(struct login *login, struct diag *diag)
{
	end_session(login, login->step.token);
	struct answer_session session;
	if (!find_session(login, &session))
		return diag_set(diag, STATUS_LOGIN_NEEDED, _("Your session has ended meanwhile; run: sallyport login"));
	say_clean(session.user, SAY_KEEP_END);
	printf(_("Fresh login as %s; the session goes on until %s.\n"), session.user, session.expires_at);
	answer_session_fini(&session);
	return STATUS_OK;
}

static void tell_purpose(struct login *login, const char *purpose, const char *user)
{
	char text[512];
	snprintf(text, sizeof(text), _("%s: a fresh login of %s is needed."), purpose, user);
	prompt_show(&login->prompt, text);
}

/* ---- the whole ---- */

static int choose_user(struct login *login, const struct options *options, char *out_user, size_t capacity, struct diag *diag)
{
	struct answer_session session;
	bool goes_on = options->fresh && find_session(login, &session);
	const char *named = options->argument ? options->argument : goes_on ? session.user : NULL;
	int status = settings_user(&options->settings, named, out_user, capacity, diag);
	login->goes_on = goes_on && status == STATUS_OK && strcmp(session.user, out_user) == 0;
	if (login->goes_on)
		str_copy(login->gateway, sizeof(login->gateway), client_gateway(&login->client));
	if (goes_on)
		answer_session_fini(&session);
	return status;
}

static int log_in(struct login *login, const struct options *options, struct diag *diag)
{
	char user[257];
	int status = client_init(&login->client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_attach(&login->client, diag);
	if (status != STATUS_OK)
		return status;
	status = choose_user(login, options, user, sizeof(user), diag);
	if (status == STATUS_OK && options->purpose)
		tell_purpose(login, options->purpose, user);
	if (status == STATUS_OK)
		status = converse(login, user, diag);
	if (status != STATUS_OK)
		cancel(login);
	if (status != STATUS_OK)
		return status;
	return login->goes_on ? keep_earlier_session(login, diag) : keep_session(login, diag);
}

int cmd_login(const struct options *options, struct diag *diag)
{
	struct login login = {.client.agent.socket = -1, .realm = options->realm};
	prompt_open(&login.prompt, options->answers_fd);
	int status = log_in(&login, options, diag);
	prompt_close(&login.prompt);
	answer_step_fini(&login.step);
	client_fini(&login.client);
	return status;
}
