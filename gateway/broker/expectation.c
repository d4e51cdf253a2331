/* expectation.c: words of an expectation, held against everybody whom it is about. */
#include "expectation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin_policy.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/str.h"

enum { WORDS_MAX = 20 };

/* ---- the sentence ---- */

/* The next such day at that time. */
static int parse_day_and_time(const char *day, const char *time_text, int64_t *out_time_s)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm parts;
	localtime_r(&now, &parts);
	const char *end = strptime(time_text, "%H:%M", &parts);
	if (!end || *end)
		return ERR_BAD_INPUT;
	for (int i = 0; i < 7; i++)
		if (strncmp(day, days[i], 3) == 0) {
			parts.tm_mday += (i - parts.tm_wday + 7) % 7;
			parts.tm_sec = 0;
			parts.tm_isdst = -1;
			*out_time_s = mktime(&parts);
			return 0;
		}
	return ERR_BAD_INPUT;
}

/* Returns how many words were taken, or ERR_BAD_INPUT. */
static int take_circumstance(char **words, size_t count, const char *realms, struct circumstances *circumstances, struct diag *diag)
{
	bool is_moment = strcmp(words[0], "at") == 0;
	int taken = 0;
	if (is_moment && count > 1 && admin_policy_moment(words[1], &circumstances->time_s) == 0)
		taken = 2;
	else if (is_moment && count > 2 && parse_day_and_time(words[1], words[2], &circumstances->time_s) == 0)
		taken = 3;
	if (taken) {
		circumstances->any_time = false;
		circumstances->local_offset_s = admin_policy_local_offset(circumstances->time_s);
		return taken;
	}
	if (strcmp(words[0], "from") == 0 && count > 1) {
		circumstances->has_source = true;
		circumstances->any_source = false;
		return admin_policy_source(words[1], &circumstances->source, diag) < 0 ? ERR_BAD_INPUT : 2;
	}
	if (strcmp(words[0], "by") == 0 && count > 2 && strcmp(words[1], "realm") == 0)
		return trial_take_realm(words[2], realms, circumstances, diag) < 0 ? ERR_BAD_INPUT : 3;
	return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is not understood; it may end in: at 2026-11-24T10:00, at Tue 10:00, from ADDRESS, "
			"by realm NAME", words[0]);
}

/* Takes the words before "may": who. Returns how many, or 0. */
static size_t take_who(char **words, size_t count, struct expectation *expectation)
{
	if (count >= 3 && strcmp(words[0], "nobody") == 0) {
		expectation->allowed = false;
		if (strcmp(words[1], "on") != 0)
			return 1;
		bool is_tag = strcmp(words[2], "tag") == 0 && count > 3;
		expectation->tag = is_tag ? words[3] : NULL;
		expectation->device = is_tag ? NULL : words[2];
		return is_tag ? 4 : 3;
	}
	if (count < 4 || strcmp(words[1], "on") != 0)
		return 0;
	expectation->user = words[0];
	expectation->device = words[2];
	return 3;
}

static size_t split(char *line, char **out_words)
{
	size_t count = 0;
	char *rest = line, *word;
	line[strcspn(line, "#")] = 0;
	while ((word = strtok_r(rest, " \t\r", &rest)) && count < WORDS_MAX)
		out_words[count++] = word;
	return count;
}

static struct circumstances ordinary_now(void)
{
	struct circumstances now = {.time_s = (int64_t)(clock_wall_ms() / 1000)};
	now.local_offset_s = admin_policy_local_offset(now.time_s);
	return now;
}

int expectation_parse(char *line, const char *realms, struct expectation *out, struct diag *diag)
{
	char *words[WORDS_MAX];
	size_t count = split(line, words);
	if (count == 0)
		return ERR_NOT_FOUND;
	*out = (struct expectation){.allowed = true};
	size_t at = take_who(words, count, out);
	bool good = at && at < count && strcmp(words[at], "may") == 0;
	if (good && out->user && at + 1 < count && strcmp(words[at + 1], "not") == 0) {
		out->allowed = false;
		at++;
	}
	if (!good || at + 2 >= count || strcmp(words[at + 1], "reach") != 0)
		return diag_set(diag, ERR_BAD_INPUT, "it is written: USER on DEVICE may [not] reach HOST:PORT, or: nobody [on DEVICE | on tag "
				"TAG] may reach HOST:PORT");
	if (admin_policy_target(words[at + 2], &out->target, diag) < 0)
		return ERR_BAD_INPUT;
	out->circumstances = out->allowed ? ordinary_now() : trial_anyhow();
	for (at += 3; at < count;) {
		int taken = take_circumstance(words + at, count - at, realms, &out->circumstances, diag);
		if (taken < 0)
			return ERR_BAD_INPUT;
		at += (size_t)taken;
	}
	return 0;
}

int expectation_add_user(const char *line, struct buf *users)
{
	size_t begin = strspn(line, " \t"), length = strcspn(line + begin, " \t\r\n#");
	if (length == 0)
		return 0;
	return buf_add_format(users, "%.*s\n", (int)length, line + begin);
}

/* ---- holding it ---- */

static bool has_tag(const char *tags, const char *wanted)
{
	size_t position = 0;
	struct view tag;
	while (conf_list_next(tags, &position, &tag))
		if (view_is(tag, wanted))
			return true;
	return false;
}

static bool is_of_device(const struct expectation *expectation, const struct person *person)
{
	return (!expectation->device || strcmp(expectation->device, person->device) == 0) &&
	       (!expectation->tag || has_tag(person->tags, expectation->tag));
}

/* What is about nobody would be met whatever the policy says. */
static int check_devices(const struct expectation *expectation, const struct people *people, struct diag *diag)
{
	if (!expectation->device && !expectation->tag)
		return 0;
	for (size_t i = 0; i < people->count; i++)
		if (is_of_device(expectation, &people->list[i]))
			return 0;
	return diag_set(diag, ERR_DENIED, "no user is bound to %s %s that is not revoked: it is about nobody",
			expectation->tag ? "a device of the tag" : "a device", expectation->tag ? expectation->tag : expectation->device);
}

int expectation_hold(const struct expectation *expectation, const struct policy *policy, const char *realms,
		     const struct people *people, struct diag *diag)
{
	size_t asked = 0;
	struct target target = expectation->target;
	(void)policy_follow_name(policy, &target);
	int result = check_devices(expectation, people, diag);
	for (size_t i = 0; result == 0 && i < people->count; i++) {
		const struct person *person = &people->list[i];
		const char *rule;
		char who[TRIAL_WHO_MAX];
		if (!is_of_device(expectation, person) || (expectation->user && strcmp(expectation->user, person->user) != 0))
			continue;
		asked++;
		bool allowed = trial_reaches(policy, realms, person, &expectation->circumstances, &target, &rule);
		trial_who(person, who, sizeof(who));
		if (allowed != expectation->allowed)
			result = diag_set(diag, ERR_DENIED, "%s on %s %s%s%s%s", who, person->device,
					  allowed ? "reaches it" : "does not reach it", *rule ? " (rule \"" : "", rule, *rule ? "\")" : "");
	}
	/* Who is bound to no such device cannot log in there. */
	if (result == 0 && asked == 0 && expectation->allowed)
		return diag_set(diag, ERR_DENIED, "%s is not bound to %s: no login is possible there", expectation->user, expectation->device);
	return result;
}
