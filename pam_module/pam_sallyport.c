/* pam_sallyport.c: the PAM module: a one-time code or a recovery code, which the gateway judges.
 *
 * Runs inside programs of others, perhaps in several threads: no globals, no signals, no output but by the conversation
 * and syslog. Arguments: arguments.c; the gateway: call.c; what is shown: say.c; manual: pam_sallyport(8).
 */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
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

EXPORT int pam_sm_authenticate(pam_handle_t *pam, int flags, int count, const char **words)
{
	struct login login = {.pam = pam, .flags = flags};
	struct diag diag;
	if (arguments_read(count, words, &login.arguments, &diag) < 0) {
		pam_syslog(pam, LOG_ERR, "%s", diag.text);
		return PAM_SERVICE_ERR;
	}
	return authenticate(&login);
}

EXPORT int pam_sm_setcred(pam_handle_t *pam, int flags, int count, const char **words)
{
	(void)pam, (void)flags, (void)count, (void)words;
	return PAM_SUCCESS;
}
