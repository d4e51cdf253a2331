/* problem.c: what a refusal of the gateway means here. The codes are those of docs/wire.md. */
#include "problem.h"

#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

struct row {
	const char *code;
	int status;
	bool ends_session;
	const char *sentence; /* instead of the gateway's own; NULL: that one */
	const char *advice;   /* what to do, added to it */
};

#define LOGIN N_("run: sallyport login")
#define FRESH_LOGIN N_("run: sallyport login --fresh")
#define ASK N_("ask your administrator")
#define LATER N_("try again later")

/* To give a code a meaning here, add a row; all others follow their HTTP status. */
static const struct row rows[] = {
	{"no_session", STATUS_LOGIN_NEEDED, true, N_("You are not logged in"), LOGIN},
	{"lease_expired", STATUS_LOGIN_NEEDED, true, N_("Your session has expired"), LOGIN},
	{"session_ended", STATUS_LOGIN_NEEDED, true, N_("Your session was ended"), LOGIN},
	{"other_device", STATUS_LOGIN_NEEDED, true, N_("Your session belongs to another device"), LOGIN},
	{"fresh_login_required", STATUS_LOGIN_NEEDED, false, NULL, FRESH_LOGIN},
	{"not_bound", STATUS_LOGIN_NEEDED, false, NULL, N_("ask your administrator to register this device for you, or give your name: sallyport login USER")},
	{"login_failed", STATUS_LOGIN_NEEDED, false, NULL, N_("run sallyport login once more, or ask your administrator")},
	{"login_expired", STATUS_LOGIN_NEEDED, false, NULL, LOGIN},
	{"no_conversation", STATUS_LOGIN_NEEDED, false, NULL, LOGIN},
	{"cancelled", STATUS_LOGIN_NEEDED, false, NULL, LOGIN},
	{"locked", STATUS_LOGIN_NEEDED, false, NULL, ASK},
	{"realm_unknown", STATUS_LOGIN_NEEDED, false, NULL, N_("leave --realm out, or ask your administrator for its name")},
	{"not_allowed", STATUS_NOT_ALLOWED, false, NULL, N_("see what you may reach with: sallyport ls; or ask your administrator")},
	{"address_forbidden", STATUS_NOT_ALLOWED, false, NULL, ASK},
	{"several_sessions", STATUS_LOGIN_NEEDED, false, NULL, LOGIN},
	{"cross_site", STATUS_NOT_ALLOWED, false, NULL, ASK},
	{"host_certificate", STATUS_NOT_ALLOWED, false, NULL, N_("use the certificate of a laptop (--cert)")},
	{"no_invitation", STATUS_LOGIN_NEEDED, false, NULL, N_("paste the whole line of the invitation")},
	{"invitation_invalid", STATUS_LOGIN_NEEDED, false, NULL, N_("ask your administrator for a new invitation")},
	{"invitation_used", STATUS_NOT_ALLOWED, false, NULL, N_("if it was not you, tell your administrator at once; else ask for a new one")},
	{"not_issued_here", STATUS_NOT_ALLOWED, false, NULL, ASK},
	{"certificate_superseded", STATUS_DEVICE_REFUSED, false, NULL, N_("use the newest certificate (--cert), or ask your administrator")},
	{"certificate_expired", STATUS_DEVICE_REFUSED, false, NULL, N_("renew it after a login: sallyport login, then sallyport renew")},
	{"bad_target", STATUS_FAILED, false, NULL, N_("check the spelling of host and port")},
	{"name_unknown", STATUS_FAILED, false, NULL, N_("check the spelling, or see the names with: sallyport ls")},
	{"unreachable", STATUS_FAILED, false, NULL, N_("it may be down: try again later, or tell who runs it")},
	{"dial_timeout", STATUS_FAILED, false, NULL, N_("it may be down: try again later, or tell who runs it")},
	{"bad_gateway", STATUS_FAILED, false, NULL, N_("it may be down: try again later, or tell who runs it")},
	{"answer_timeout", STATUS_FAILED, false, NULL, N_("it may be down: try again later, or tell who runs it")},
	{"too_many", STATUS_FAILED, false, NULL, N_("end some of what is open (sallyport status), or try again later")},
	{"rate_limited", STATUS_FAILED, false, NULL, LATER},
	{"unavailable", STATUS_FAILED, false, NULL, N_("try again later, or tell your administrator")},
};

static const struct row by_http_status[] = {
	{"401", STATUS_LOGIN_NEEDED, true, N_("You are not logged in"), LOGIN},
	{"407", STATUS_LOGIN_NEEDED, true, N_("You are not logged in"), LOGIN},
	{"403", STATUS_NOT_ALLOWED, false, NULL, ASK},
	{"", STATUS_FAILED, false, NULL, ASK},
};

/* The gateway says them in English (gateway/broker, gateway/worker); here for the translators alone. Any other sentence of
 * it is shown as it comes. */
#define SENTENCES_OF_THE_GATEWAY \
	N_("The login was refused.") \
	N_("The login took too long. Begin again.") \
	N_("The login was cancelled.") \
	N_("There is no such login under way on this device.") \
	N_("There is no such realm for this device.") \
	N_("Too many logins are under way; try again in a moment.") \
	N_("The user's door cannot be opened now; try again in a moment.") \
	N_("There are as many sessions as may be at the same time. Log out of one of them.") \
	N_("This device is not registered for that user.") \
	N_("The policy does not allow this target for you on this device.") \
	N_("The policy does not allow this at this time.") \
	N_("The policy no longer allows this.") \
	N_("The policy allows no more tunnels to this target at the same time.") \
	N_("This session has too many tunnels at the same time.") \
	N_("This target needs a younger session: log in anew.") \
	N_("This target needs a fresh login.") \
	N_("The name of the target is unknown.") \
	N_("The name of the target could not be looked up in time.") \
	N_("The name of the target cannot be looked up now.") \
	N_("The name points at an address that may not be reached by a name.") \
	N_("The target did not answer in time.") \
	N_("The target cannot be reached.") \
	N_("The gateway cannot judge this now; try again in a moment.") \
	N_("The gateway was restarted just now. Try again.") \
	N_("This device's certificate has expired: log in and renew it (sallyport renew).") \
	N_("This device has renewed its certificate too often today.") \
	N_("That invitation is not known, its time is over, or its secret is wrong. Ask the administrator for a new one.") \
	N_("That invitation has been used already, by another key. If that was not you, tell the administrator now.")

static const struct row *find_row(const struct refused *refused)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].code, refused->problem.code) == 0)
			return &rows[i];
	const struct row *row = by_http_status;
	/* A code that this program does not know says more than its HTTP status alone. */
	char status[16];
	snprintf(status, sizeof(status), "%u", refused->http_status);
	while (*row->code && strcmp(row->code, status) != 0)
		row++;
	return row;
}

void problem_read(struct view body, unsigned http_status, struct view retry_after, struct refused *out_refused)
{
	uint64_t seconds = 0;
	*out_refused = (struct refused){.http_status = http_status};
	if (str_to_u64(retry_after, 1, 86400, &seconds) == 0)
		out_refused->retry_after_s = (unsigned)seconds;
	answer_parse_problem(body, &out_refused->problem);
}

bool problem_ends_session(const struct refused *refused)
{
	return find_row(refused)->ends_session;
}

bool problem_wants_fresh_login(const struct refused *refused)
{
	return strcmp(refused->problem.code, "fresh_login_required") == 0;
}

/* "Sentence." -> "Sentence", so that more can follow. */
static void strip_full_stop(char *text)
{
	size_t length = strlen(text);
	while (length && strchr(". ", text[length - 1]))
		text[--length] = 0;
}

static const char *sentence_of(const struct row *row, const struct refused *refused)
{
	const char *sentence = row->sentence ? row->sentence : refused->problem.detail;
	return *sentence ? _(sentence) : "";
}

int problem_explain(const struct refused *refused, const char *what, struct diag *out_diag)
{
	const struct row *row = find_row(refused);
	char sentence[600], wait[64] = "", id[128] = "";
	const char *advice = row->advice;
	str_copy(sentence, sizeof(sentence), sentence_of(row, refused));
	strip_full_stop(sentence);
	if (!*sentence)
		snprintf(sentence, sizeof(sentence), _("The gateway refused with status %u and gave no reason"), refused->http_status);
	if (refused->retry_after_s)
		snprintf(wait, sizeof(wait), _("; try again in %u s"), refused->retry_after_s);
	/* The gateway says when: that says more than "later". */
	if (refused->retry_after_s && strncmp(advice, LATER, strlen(LATER)) == 0)
		advice = NULL;
	if (refused->problem.request_id[0])
		snprintf(id, sizeof(id), _(" (%s%srequest %s)"), refused->problem.code, *refused->problem.code ? ", " : "",
			 refused->problem.request_id);
	return diag_set(out_diag, row->status, "%s%s%s%s%s%s%s", what ? what : "", what ? ": " : "", sentence,
			advice ? "; " : "", advice ? _(advice) : "", wait, id);
}
