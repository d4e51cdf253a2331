/* admin_policy_try.c: a policy tried over everybody whom the registry knows: expectations that an admin keeps beside his
 * policy, and who gains or loses what by a new one.
 *
 * Whoever is asked about has just logged in, has nothing else open, and uses an active device (a locked one reaches
 * nothing under any policy).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin_policy.h"
#include "people.h"
#include "sallyport/clock.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct trial {
	struct admin_call *call;
	struct policy *policy; /* the new one; NULL: the one in force */
	bool is_diff;
};

static const struct policy *policy_of(const struct trial *trial)
{
	return trial->policy ? trial->policy : trial->call->broker->policy;
}

static struct policy_facts facts_of(const struct person *person, int64_t time_s, const struct sockaddr_storage *source)
{
	const struct certificate *certificate = LIST_FIRST(&person->device->certificates);
	return (struct policy_facts){
		.user = person->user,
		.groups = (const char *const *)person->groups,
		.group_count = person->group_count,
		.device = person->device->name,
		.tags = person->device->tags,
		.key_kind = certificate ? certificate->key_kind : NULL,
		.source = source,
		.times_s = {time_s},
		.time_count = 1,
		.local_offset_s = admin_policy_local_offset(time_s),
	};
}

static bool is_allowed(const struct policy *policy, const struct policy_facts *facts, const struct target *target, const char **out_rule)
{
	struct policy_verdict verdict;
	policy_decide(policy, facts, target, &verdict);
	*out_rule = verdict.rule;
	return verdict.allowed;
}

/* ---- expectations ---- */

/* "USER on DEVICE may [not] reach HOST:PORT [at DATE or DAY TIME] [from ADDRESS]"; "nobody [on tag TAG] may reach ..." */
struct expectation {
	const char *user, *device, *tag; /* NULL: any */
	bool allowed, everybody;
	struct target target, source;
	bool has_source;
	int64_t time_s;
};

enum { EXPECTATION_WORDS = 16 };

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

static int take_circumstances(char **words, size_t count, struct expectation *expectation, struct diag *diag)
{
	for (size_t i = 0; i < count;) {
		if (strcmp(words[i], "at") == 0 && i + 1 < count && admin_policy_moment(words[i + 1], &expectation->time_s) == 0) {
			i += 2;
		} else if (strcmp(words[i], "at") == 0 && i + 2 < count &&
			   parse_day_and_time(words[i + 1], words[i + 2], &expectation->time_s) == 0) {
			i += 3;
		} else if (strcmp(words[i], "from") == 0 && i + 1 < count) {
			if (admin_policy_source(words[i + 1], &expectation->source, diag) < 0)
				return ERR_BAD_INPUT;
			expectation->has_source = true;
			i += 2;
		} else {
			return diag_set(diag, ERR_BAD_INPUT, "\"%s\" is not understood; it may end in: at 2026-11-24T10:00, at Tue 10:00, "
					"from ADDRESS", words[i]);
		}
	}
	return 0;
}

/* Takes the words before "may": who. Returns how many, or 0. */
static size_t take_who(char **words, size_t count, struct expectation *expectation)
{
	if (count >= 3 && strcmp(words[0], "nobody") == 0) {
		expectation->everybody = true;
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

static int parse_expectation(char **words, size_t count, struct expectation *out, struct diag *diag)
{
	*out = (struct expectation){.allowed = true, .time_s = (int64_t)(clock_wall_ms() / 1000)};
	size_t at = take_who(words, count, out);
	bool good = at && at < count && strcmp(words[at], "may") == 0;
	if (good && at + 1 < count && strcmp(words[at + 1], "not") == 0) {
		out->allowed = false;
		at++;
	}
	if (!good || at + 2 >= count || strcmp(words[at + 1], "reach") != 0)
		return diag_set(diag, ERR_BAD_INPUT, "it is written: USER on DEVICE may [not] reach HOST:PORT, or: nobody [on tag TAG] may "
				"reach HOST:PORT");
	out->allowed = out->allowed && !out->everybody;
	if (admin_policy_target(words[at + 2], &out->target, diag) < 0)
		return ERR_BAD_INPUT;
	return take_circumstances(words + at + 3, count - at - 3, out, diag);
}

static bool has_tag(const struct device *device, const char *wanted)
{
	size_t position = 0;
	struct view tag;
	while (conf_list_next(device->tags, &position, &tag))
		if (view_is(tag, wanted))
			return true;
	return false;
}

static bool is_about(const struct expectation *expectation, const struct person *person)
{
	return (!expectation->user || strcmp(expectation->user, person->user) == 0) &&
	       (!expectation->device || strcmp(expectation->device, person->device->name) == 0) &&
	       (!expectation->tag || has_tag(person->device, expectation->tag));
}

/* 0 when it is so; else a sentence that says what is. */
static int hold_against(const struct policy *policy, const struct people *people, const struct expectation *expectation,
			struct diag *diag)
{
	size_t asked = 0;
	for (size_t i = 0; i < people->count; i++) {
		const struct person *person = &people->list[i];
		const char *rule;
		if (!is_about(expectation, person))
			continue;
		asked++;
		struct policy_facts facts =
			facts_of(person, expectation->time_s, expectation->has_source ? &expectation->source.address : NULL);
		bool allowed = is_allowed(policy, &facts, &expectation->target, &rule);
		if (allowed != expectation->allowed)
			return diag_set(diag, ERR_DENIED, "%s on %s %s%s%s%s", person->user, person->device->name,
					allowed ? "reaches it" : "does not reach it", *rule ? " (rule \"" : "", rule, *rule ? "\")" : "");
	}
	/* Who is bound to no such device cannot log in there. */
	if (asked == 0 && expectation->allowed)
		return diag_set(diag, ERR_DENIED, "%s is not bound to %s: no login is possible there", expectation->user, expectation->device);
	return 0;
}

static size_t split(char *line, char **out_words)
{
	size_t count = 0;
	char *rest = line, *word;
	line[strcspn(line, "#")] = 0;
	while ((word = strtok_r(rest, " \t\r", &rest)) && count < EXPECTATION_WORDS)
		out_words[count++] = word;
	return count;
}

static void try_line(const struct trial *trial, const struct people *people, char *line, unsigned number, unsigned *count, json_t *failed)
{
	char *words[EXPECTATION_WORDS], text[512];
	struct expectation expectation;
	struct diag diag;
	str_copy(text, sizeof(text), line);
	size_t word_count = split(line, words);
	if (word_count == 0)
		return;
	++*count;
	int result = parse_expectation(words, word_count, &expectation, &diag);
	if (result == 0)
		result = hold_against(policy_of(trial), people, &expectation, &diag);
	if (result < 0)
		json_array_append_new(failed, json_pack("{s:i, s:s, s:s}", "line", (int)number, "text", text, "what", diag.text));
}

static void reply_test(const struct trial *trial, const struct people *people)
{
	OWN_MEMORY char *text = strdup(json_string_value(json_object_get(trial->call->body, "expectations")));
	json_t *failed = json_array();
	unsigned number = 0, count = 0;
	char *rest = text, *line;
	while (rest && (line = strsep(&rest, "\n")))
		try_line(trial, people, line, ++number, &count, failed);
	admin_reply(trial->call, 200, json_pack("{s:b, s:i, s:o}", "good", text && json_array_size(failed) == 0, "expectations", (int)count,
						"failed", failed));
}

/* ---- differences ---- */

static void note_difference(const struct trial *trial, const struct person *person, const struct target *target, json_t *array)
{
	struct policy_facts facts = facts_of(person, (int64_t)(clock_wall_ms() / 1000), NULL);
	const char *old_rule, *new_rule;
	char text[TARGET_HOST_MAX + 16];
	bool before = is_allowed(trial->call->broker->policy, &facts, target, &old_rule);
	bool after = is_allowed(trial->policy, &facts, target, &new_rule);
	if (before == after)
		return;
	snprintf(text, sizeof(text), strchr(target->host, ':') ? "[%s]:%u" : "%s:%u", target->host, target->port);
	json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "change", after ? "gains" : "loses", "user", person->user,
					       "device", person->device->name, "target", text, "old_rule", old_rule, "new_rule", new_rule));
}

static bool is_known(const struct target *list, size_t count, const struct target *target)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].port == target->port && strcmp(list[i].host, target->host) == 0)
			return true;
	return false;
}

struct samples {
	struct target *list;
	size_t count;
};

static void add_sample(struct samples *samples, const struct target *target)
{
	if (is_known(samples->list, samples->count, target))
		return;
	struct target *grown = reallocarray(samples->list, samples->count + 1, sizeof(*grown));
	if (!grown)
		return;
	samples->list = grown;
	samples->list[samples->count++] = *target;
}

static void add_samples(struct samples *samples, const struct policy *policy)
{
	const struct policy_resource *resource;
	size_t position = 0;
	while ((resource = policy_next_resource(policy, &position))) {
		struct target target;
		size_t entry = 0;
		while (policy_next_sample(resource, &entry, &target))
			add_sample(samples, &target);
	}
}

/* What is compared: the first and last address and port of whatever either policy names. */
static void reply_diff(const struct trial *trial, const struct people *people)
{
	struct samples samples = {.count = 0};
	json_t *array = json_array();
	add_samples(&samples, trial->call->broker->policy);
	add_samples(&samples, trial->policy);
	for (size_t i = 0; i < people->count; i++)
		for (size_t j = 0; j < samples.count; j++)
			note_difference(trial, &people->list[i], &samples.list[j], array);
	free(samples.list);
	admin_reply(trial->call, 200, json_pack("{s:i, s:i, s:o}", "people", (int)people->count, "targets", (int)samples.count,
						"differences", array));
}

/* ---- both ---- */

static void on_people(void *context, int result, const struct people *people)
{
	OWN_MEMORY struct trial *trial = context;
	if (result < 0)
		admin_fail(trial->call, 503, "the name services did not answer");
	else if (trial->is_diff)
		reply_diff(trial, people);
	else
		reply_test(trial, people);
	policy_free(trial->policy);
}

static void begin(struct admin_call *call, struct policy *policy, bool is_diff)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	if (!trial) {
		policy_free(policy);
		admin_fail(call, 503, "no memory");
		return;
	}
	*trial = (struct trial){.call = call, .policy = policy, .is_diff = is_diff};
	people_gather(call->broker, on_people, trial);
}

void admin_policy_test(struct admin_call *call)
{
	struct policy *policy = NULL;
	if (!json_string_value(json_object_get(call->body, "expectations"))) {
		admin_fail(call, 400, "wanted: expectations, a text; and perhaps files");
		return;
	}
	if (json_object_get(call->body, "files") && admin_policy_parse(call, &policy) < 0)
		return;
	begin(call, policy, false);
}

void admin_policy_diff(struct admin_call *call)
{
	struct policy *policy = NULL;
	if (admin_policy_parse(call, &policy) == 0)
		begin(call, policy, true);
}
