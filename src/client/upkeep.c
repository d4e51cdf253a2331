/* upkeep.c: the agent looks after this device's certificate. How one is renewed is cmd_renew.c's matter. */
#include "upkeep.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.h"
#include "child.h"
#include "identity.h"
#include "sallyport/clock.h"
#include "sallyport/token_url.h"
#include "say.h"

enum {
	/* After the agent's start the commands that started it come first. */
	FIRST_LOOK_MS = 5000,
	LOOK_MS = 3600000,
	WARN_AGAIN_MS = 86400000,
};

/* False where the certificate is in a token. */
static bool find_dates(const struct agent *agent, struct identity_dates *out_dates)
{
	struct diag diag;
	const char *place = agent->settings->value[SETTING_cert];
	return !token_url_is(place) && identity_dates(place, out_dates, &diag) == STATUS_OK;
}

static int64_t left_s(const struct identity_dates *dates)
{
	return dates->not_after_s - (int64_t)(clock_wall_ms() / 1000);
}

void upkeep_warning(const struct agent *agent, char *out_sentence, size_t capacity)
{
	struct identity_dates dates;
	char when[32];
	*out_sentence = 0;
	if (!find_dates(agent, &dates))
		return;
	if (!identity_is_overdue(&dates, (int64_t)(clock_wall_ms() / 1000)))
		return;
	clock_format((uint64_t)dates.not_after_s * 1000, when, sizeof(when));
	snprintf(out_sentence, capacity, left_s(&dates) < 0 ? _("The certificate of this device expired at %s; run: sallyport renew")
		 : _("The certificate of this device expires at %s; run: sallyport renew"), when);
}

static void warn(struct agent *agent)
{
	char sentence[256];
	upkeep_warning(agent, sentence, sizeof(sentence));
	if (!*sentence || clock_monotonic_ms() < agent->upkeep.warn_ms)
		return;
	agent->upkeep.warn_ms = clock_monotonic_ms() + WARN_AGAIN_MS;
	agent_note(agent, NULL, sentence);
	child_notify(agent, "Sallyport", sentence);
}

static void on_renewed(void *owner, bool well)
{
	struct agent *agent = owner;
	agent->upkeep.renewing = false;
	if (well)
		return;
	say(_("The certificate was not renewed; the agent tries again within the hour"));
	warn(agent);
}

/* An expired one needs a login first: that is a person's matter. */
static void renew_when_due(struct agent *agent, const struct identity_dates *dates)
{
	static const char *const words[] = {"renew", "--if-due", NULL};
	bool due = (int64_t)(clock_wall_ms() / 1000) >= identity_due_s(dates);
	if (due && left_s(dates) > 0 && !agent->upkeep.renewing)
		agent->upkeep.renewing = child_start_self(agent, words, on_renewed, agent, NULL);
}

static void notice_change(struct agent *agent)
{
	struct stat file;
	struct upkeep *upkeep = &agent->upkeep;
	if (stat(agent->settings->value[SETTING_cert], &file) < 0 ||
	    (file.st_ino == upkeep->inode && file.st_mtime == upkeep->changed_s))
		return;
	bool seen_before = upkeep->inode;
	upkeep->inode = file.st_ino;
	upkeep->changed_s = file.st_mtime;
	if (seen_before)
		uplink_certificate_changed(agent->uplink);
}

void upkeep_look(struct agent *agent)
{
	struct identity_dates dates;
	uint64_t now_ms = clock_monotonic_ms();
	notice_change(agent);
	if (!agent->upkeep.look_ms)
		agent->upkeep.look_ms = now_ms + FIRST_LOOK_MS;
	if (now_ms < agent->upkeep.look_ms || !find_dates(agent, &dates))
		return;
	agent->upkeep.look_ms = now_ms + LOOK_MS;
	renew_when_due(agent, &dates);
	if (!agent->upkeep.renewing)
		warn(agent);
}
