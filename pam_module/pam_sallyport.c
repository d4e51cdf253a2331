/* pam_sallyport.c: the PAM module, for two places: "factor", a one-time code or a recovery code which the gateway judges;
 * and "presence", on internal hosts: is this user logged in at the gateway now?
 *
 * Runs inside programs of others, perhaps in several threads: no globals, no signals, no output but by the conversation
 * and syslog. Arguments: arguments.c; the gateway: call.c; what is shown: say.c; manual: pam_sallyport(8).
 */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <string.h>
#include <syslog.h>

#include "arguments.h"
#include "call.h"
#include "say.h"

#define EXPORT __attribute__((visibility("default")))

struct login {
	pam_handle_t *pam;
	struct arguments arguments;
	struct call_question question;
	int flags;
};

static int unavailable(const struct login *login, const struct diag *diag)
{
	pam_syslog(login->pam, LOG_ERR, "%s", diag->text);
	return PAM_AUTHINFO_UNAVAIL;
}

static const char *text_item(pam_handle_t *pam, int item)
{
	const void *text = NULL;
	return pam_get_item(pam, item, &text) == PAM_SUCCESS && text ? text : "";
}

static int fill_question(struct login *login)
{
	const char *request_id = pam_getenv(login->pam, "SALLYPORT_REQUEST_ID");
	login->question.request_id = request_id ? request_id : "";
	login->question.service = text_item(login->pam, PAM_SERVICE);
	return pam_get_user(login->pam, &login->question.user, NULL);
}

static int judge(struct login *login, const char *typed, struct call_answer *answer)
{
	struct diag diag = {""};
	login->question.code = typed;
	int result = call_check(&login->arguments, &login->question, answer, &diag);
	login->question.code = NULL;
	if (result == ERR_BAD_INPUT)
		return PAM_AUTH_ERR;
	if (result < 0)
		return unavailable(login, &diag);
	return answer->good ? PAM_SUCCESS : PAM_AUTH_ERR;
}

/* Whoever has no factor is asked all the same: nobody learns from the prompts who has one. */
static int ask_code(struct login *login)
{
	struct call_answer answer = {0};
	char *typed = NULL;
	int code = say_ask(login->pam, "One-time code: ", &typed);
	if (code == PAM_SUCCESS)
		code = typed ? judge(login, typed, &answer) : PAM_AUTH_ERR;
	say_forget(&typed);
	if (code == PAM_SUCCESS && answer.recovery_count && !(login->flags & PAM_SILENT))
		code = say_recovery(login->pam, &answer);
	call_forget(&answer);
	return code;
}

static int authenticate(struct login *login)
{
	struct call_answer answer = {0};
	struct diag diag = {""};
	int code = fill_question(login);
	if (code != PAM_SUCCESS)
		return code;
	if (call_begin(&login->arguments, &login->question, &answer, &diag) < 0)
		return unavailable(login, &diag);
	/* A new factor that may not be shown cannot be confirmed: then the code that is asked for fits nothing. */
	if (answer.state == CALL_STATE_PENDING && !(login->flags & PAM_SILENT))
		code = say_new_factor(login->pam, &answer);
	call_forget(&answer);
	return code == PAM_SUCCESS ? ask_code(login) : code;
}

/* ---- presence ---- */

/* What a person can do about it. */
static const char *sentence_of(const char *code)
{
	static const char *const sentences[][2] = {
		{"not_fresh", "Your login at the gateway is too old for this: log in there again."},
		{"not_through_gateway", "This connection did not come through the gateway."},
	};
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (strcmp(code, sentences[i][0]) == 0)
			return sentences[i][1];
	return "You are not logged in at the gateway.";
}

static int refuse(const struct login *login, const char *code)
{
	pam_syslog(login->pam, LOG_NOTICE, "%s is not present: %s", login->question.user, code);
	if (!(login->flags & PAM_SILENT))
		pam_error(login->pam, "%s", sentence_of(code));
	return PAM_AUTH_ERR;
}

/* A gateway that cannot be asked is no yes; whether it is a no stands in the stack. */
static int no_answer(const struct login *login, const struct diag *diag)
{
	bool ignores = login->arguments.ignores_silence;
	pam_syslog(login->pam, LOG_ERR, "%s%s", diag->text, ignores ? "; passed over (fallback=ignore)" : "");
	return ignores ? PAM_IGNORE : PAM_AUTHINFO_UNAVAIL;
}

static int look_for(struct login *login)
{
	struct profile profile;
	struct way way;
	struct diag diag;
	struct call_presence presence = {.user = login->question.user, .service = login->question.service, .profile = &profile};
	/* A profile that is wrong is no silence of the gateway: no fallback mends it. */
	if (profile_read(login->arguments.profile, &profile, &diag) < 0)
		return unavailable(login, &diag);
	if (login->arguments.via_gateway && way_find(&way, &diag) < 0) {
		pam_syslog(login->pam, LOG_NOTICE, "%s", diag.text);
		return refuse(login, "not_through_gateway");
	}
	presence.way = login->arguments.via_gateway ? &way : NULL;
	int result = call_presence(&login->arguments, &presence, &diag);
	if (result == ERR_DENIED)
		return unavailable(login, &diag);
	if (result < 0)
		return no_answer(login, &diag);
	return presence.present ? PAM_SUCCESS : refuse(login, presence.code);
}

static int be_present(struct login *login)
{
	int code = fill_question(login);
	return code == PAM_SUCCESS ? look_for(login) : code;
}

/* ---- what PAM calls ---- */

static int begin(struct login *login, int count, const char **words)
{
	struct diag diag;
	if (arguments_read(count, words, &login->arguments, &diag) == 0)
		return PAM_SUCCESS;
	pam_syslog(login->pam, LOG_ERR, "%s", diag.text);
	return PAM_SERVICE_ERR;
}

EXPORT int pam_sm_authenticate(pam_handle_t *pam, int flags, int count, const char **words)
{
	struct login login = {.pam = pam, .flags = flags};
	int code = begin(&login, count, words);
	if (code != PAM_SUCCESS)
		return code;
	return login.arguments.kind == ARGUMENTS_PRESENCE ? be_present(&login) : authenticate(&login);
}

/* Presence, for those who are not asked by the stack, such as by sshd after a public key. */
EXPORT int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int count, const char **words)
{
	struct login login = {.pam = pam, .flags = flags};
	int code = begin(&login, count, words);
	if (code != PAM_SUCCESS)
		return code;
	if (login.arguments.kind != ARGUMENTS_PRESENCE)
		return PAM_IGNORE;
	code = be_present(&login);
	return code == PAM_SUCCESS || code == PAM_IGNORE ? code : PAM_PERM_DENIED;
}

EXPORT int pam_sm_setcred(pam_handle_t *pam, int flags, int count, const char **words)
{
	(void)pam, (void)flags, (void)count, (void)words;
	return PAM_SUCCESS;
}
