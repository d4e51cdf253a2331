/* say.c: the module's side of the PAM conversation. Nothing is written anywhere else. */
#include "say.h"

#include <security/pam_ext.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/qr.h"

int say_new_factor(pam_handle_t *pam, const struct call_answer *answer)
{
	OWN_SECRET_BUF struct buf picture = BUF_INIT(QR_BYTES_MAX);
	if (qr_draw(answer->uri, &picture) < 0)
		return PAM_BUF_ERR;
	return pam_info(pam, "You need a second factor. Scan this with an authenticator app:\n%.*s"
			     "or enter this secret there: %s",
			(int)picture.size, (const char *)picture.data, answer->secret);
}

int say_recovery(pam_handle_t *pam, const struct call_answer *answer)
{
	OWN_SECRET_BUF struct buf list = BUF_INIT(2048);
	char *nothing = NULL;
	for (unsigned i = 0; i < answer->recovery_count; i++)
		if (buf_add_format(&list, "\n  %s", answer->recovery[i]) < 0)
			return PAM_BUF_ERR;
	int code = pam_info(pam, "Your second factor is set up. Without the app each of these recovery codes lets you in\n"
				 "once; they are not shown again:%.*s", (int)list.size, (const char *)list.data);
	if (code == PAM_SUCCESS)
		code = pam_prompt(pam, PAM_PROMPT_ECHO_ON, &nothing, "Press Enter when you have kept them: ");
	say_forget(&nothing);
	return code;
}

int say_ask(pam_handle_t *pam, const char *prompt, char **out_text)
{
	return pam_prompt(pam, PAM_PROMPT_ECHO_OFF, out_text, "%s", prompt);
}

void say_forget(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}
