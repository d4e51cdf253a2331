/* stepup.c: a fresh login in the middle of the work. The conversation itself is cmd_login.c's matter. */
#include "stepup.h"

#include <stdio.h>

#include "agent.h"
#include "askpass.h"
#include "child.h"
#include "sallyport/clock.h"

/* Who has closed the window does not want the next one at once. */
enum { AFTER_NO_MS = 60000, ANSWER_MS = 300000 };

static void on_login_over(void *owner, bool well)
{
	struct agent *agent = owner;
	struct stepup *stepup = &agent->stepup;
	stepup->told = stepup->first;
	stepup->first = NULL;
	stepup->login = NULL;
	stepup->again_ms = well ? 0 : clock_monotonic_ms() + AFTER_NO_MS;
	while (stepup->told) {
		struct stepup_waiter *waiter = stepup->told;
		stepup->told = waiter->next;
		waiter->waiting = false;
		waiter->on_stepped(waiter, well);
	}
}

static bool begin(struct agent *agent, const struct destination *destination)
{
	char target[DESTINATION_TEXT_MAX], purpose[DESTINATION_TEXT_MAX + 32];
	destination_text(destination, target);
	snprintf(purpose, sizeof(purpose), "--purpose=%s", target);
	const char *const words[] = {"login", "--fresh", purpose, NULL};
	agent->stepup.begun_ms = clock_monotonic_ms();
	return askpass_program() && clock_monotonic_ms() >= agent->stepup.again_ms &&
	       child_start_self(agent, words, on_login_over, agent, &agent->stepup.login);
}

bool stepup_wait(struct agent *agent, const struct destination *destination, struct stepup_waiter *waiter)
{
	struct stepup *stepup = &agent->stepup;
	if (!stepup->login && !begin(agent, destination))
		return false;
	waiter->waiting = true;
	waiter->next = stepup->first;
	stepup->first = waiter;
	return true;
}

static void take_out(struct stepup_waiter **at, struct stepup_waiter *waiter)
{
	while (*at && *at != waiter)
		at = &(*at)->next;
	if (*at)
		*at = waiter->next;
}

void stepup_look(struct agent *agent)
{
	if (agent->stepup.login && clock_monotonic_ms() - agent->stepup.begun_ms > ANSWER_MS)
		child_stop(agent->stepup.login);
}

void stepup_leave(struct agent *agent, struct stepup_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	take_out(&agent->stepup.first, waiter);
	take_out(&agent->stepup.told, waiter);
	waiter->waiting = false;
	/* Nobody wants it any more. */
	if (!agent->stepup.first && agent->stepup.login)
		child_stop(agent->stepup.login);
}
