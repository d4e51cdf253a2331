/* admin_policy_try.c: a policy tried over everybody whom the registry knows: expectations that an admin keeps beside his
 * policy, and who gains or loses what by a new one.
 *
 * That may take a while: it is done on a thread of libuv's pool, over copies and policies that are held, while the loop
 * goes on. One at a time, so that the other threads stay for the name services.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_policy.h"
#include "expectation.h"
#include "sallyport/conf.h"
#include "sallyport/own.h"

/* More differences than a person reads; all are counted. */
enum { DIFFERENCES_MAX = 10000 };

struct trial {
	struct admin_call *call;
	struct policy *in_force, *policy; /* held; the first may be one of before, the second is the one on trial */
	struct people *people;
	char *realms;       /* a copy of the configuration's */
	char *expectations; /* NULL: a diff */
	struct circumstances circumstances; /* of a diff */
	const atomic_bool *over; /* the broker ends */
	uv_work_t work;
	json_t *answer;
};

static void trial_free(struct trial *trial)
{
	policy_free(trial->in_force);
	policy_free(trial->policy);
	people_free(trial->people);
	free(trial->realms);
	free(trial->expectations);
	json_decref(trial->answer);
	free(trial);
}

/* ---- expectations ---- */

static void try_line(const struct trial *trial, char *line, unsigned number, unsigned *count, json_t *failed)
{
	OWN_MEMORY char *text = strdup(line);
	struct expectation expectation;
	struct diag diag;
	int result = expectation_parse(line, trial->realms, &expectation, &diag);
	if (result == ERR_NOT_FOUND)
		return;
	++*count;
	if (result == 0)
		result = expectation_hold(&expectation, trial->policy, trial->realms, trial->people, &diag);
	if (result < 0)
		json_array_append_new(failed, json_pack("{s:i, s:s, s:s}", "line", (int)number, "text", text ? text : "", "what", diag.text));
}

static json_t *test(const struct trial *trial)
{
	json_t *failed = json_array();
	unsigned number = 0, count = 0;
	char *rest = trial->expectations, *line;
	while ((line = strsep(&rest, "\n")) && !atomic_load(trial->over))
		try_line(trial, line, ++number, &count, failed);
	return json_pack("{s:b, s:i, s:o}", "good", json_array_size(failed) == 0, "expectations", (int)count, "failed", failed);
}

/* ---- differences ---- */

/* A target that one of the policies names, and what each of them takes it for. */
struct sample {
	struct map_entry by_text;
	char text[TARGET_HOST_MAX + 16];
	struct target before, after;
};

struct samples {
	struct map texts;
	struct sample **list;
	size_t count;
};

static void samples_fini(struct samples *samples)
{
	for (size_t i = 0; i < samples->count; i++)
		free(samples->list[i]);
	free(samples->list);
	map_fini(&samples->texts);
}

static int add_sample(struct samples *samples, const struct trial *trial, const struct target *target)
{
	char text[TARGET_HOST_MAX + 16];
	snprintf(text, sizeof(text), strchr(target->host, ':') ? "[%s]:%u" : "%s:%u", target->host, target->port);
	if (map_find(&samples->texts, view_string(text)))
		return 0;
	struct sample **grown = samples->list, *sample = calloc(1, sizeof(*sample));
	if ((samples->count & (samples->count - 1)) == 0)
		grown = reallocarray(samples->list, samples->count ? 2 * samples->count : 1, sizeof(struct sample *));
	if (!grown || !sample) {
		free(sample);
		return ERR_SYSTEM;
	}
	memcpy(sample->text, text, sizeof(text));
	sample->before = sample->after = *target;
	(void)policy_follow_name(trial->in_force, &sample->before);
	(void)policy_follow_name(trial->policy, &sample->after);
	samples->list = grown;
	samples->list[samples->count++] = sample;
	map_add(&samples->texts, &sample->by_text, view_string(sample->text));
	return 0;
}

static int add_samples(struct samples *samples, const struct trial *trial, const struct policy *policy)
{
	const struct policy_resource *resource;
	size_t position = 0;
	int result = 0;
	while (result == 0 && (resource = policy_next_resource(policy, &position))) {
		struct target target;
		size_t entry = 0;
		while (result == 0 && policy_next_sample(resource, &entry, &target))
			result = add_sample(samples, trial, &target);
	}
	return result;
}

/* Returns how many differences that is. */
static unsigned compare(const struct trial *trial, const struct person *person, const struct sample *sample, json_t *array)
{
	const char *old_rule, *new_rule;
	char who[TRIAL_WHO_MAX];
	bool before = trial_reaches(trial->in_force, trial->realms, person, &trial->circumstances, &sample->before, &old_rule);
	bool after = trial_reaches(trial->policy, trial->realms, person, &trial->circumstances, &sample->after, &new_rule);
	if (before == after)
		return 0;
	trial_who(person, who, sizeof(who));
	if (json_array_size(array) < DIFFERENCES_MAX)
		json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "change", after ? "gains" : "loses", "user", who,
						       "device", person->device, "target", sample->text, "old_rule", old_rule, "new_rule",
						       new_rule));
	return 1;
}

/* What is compared: the first and last address and port of whatever either policy names. NULL without memory. */
static json_t *diff(const struct trial *trial)
{
	struct samples samples = {.count = 0};
	json_int_t count = 0;
	if (map_init(&samples.texts) < 0)
		return NULL;
	json_t *array = json_array();
	int result = add_samples(&samples, trial, trial->in_force);
	if (result == 0)
		result = add_samples(&samples, trial, trial->policy);
	for (size_t i = 0; result == 0 && i < trial->people->count && !atomic_load(trial->over); i++)
		for (size_t j = 0; j < samples.count; j++)
			count += compare(trial, &trial->people->list[i], samples.list[j], array);
	size_t targets = samples.count;
	samples_fini(&samples);
	if (result < 0) {
		json_decref(array);
		return NULL;
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "people", (json_int_t)trial->people->count, "targets", (json_int_t)targets,
			 "difference_count", count, "differences", array);
}

/* ---- both ---- */

static void work(uv_work_t *work)
{
	struct trial *trial = work->data;
	trial->answer = trial->expectations ? test(trial) : diff(trial);
}

static void finish(struct trial *trial)
{
	trial->call->broker->trying = false;
	/* A part of an answer would read like the whole. */
	if (atomic_load(trial->over))
		admin_fail(trial->call, 503, "the gateway stops or restarts; try again in a moment");
	else if (trial->answer)
		admin_reply(trial->call, 200, json_incref(trial->answer));
	else
		admin_fail(trial->call, 503, "no memory");
	trial_free(trial);
}

static void on_worked(uv_work_t *work, int status)
{
	(void)status;
	finish(work->data);
}

static void on_people(void *context, int result, struct people *people)
{
	struct trial *trial = context;
	struct broker *broker = trial->call->broker;
	trial->people = people;
	trial->work.data = trial;
	if (result == 0 && uv_queue_work(broker->loop, &trial->work, work, on_worked) == 0)
		return;
	broker->trying = false;
	if (result == ERR_LIMIT)
		admin_fail(trial->call, 409, "there are more than %d pairs of user and device", PEOPLE_MAX);
	else
		admin_fail(trial->call, 503, "the name services did not answer");
	trial_free(trial);
}

/* Who may come to a device for any user: whoever the policies name. */
static int add_names(const struct policy *policy, struct buf *users, struct buf *groups)
{
	const char *person;
	size_t position = 0;
	int result = 0;
	while (result == 0 && (person = policy_next_person(policy, &position, NULL)))
		result = buf_add_format(person[0] == 'u' ? users : groups, "%s\n", person + 1);
	return result;
}

static int add_expected(char *text, struct buf *users)
{
	int result = 0;
	for (const char *line = text; result == 0 && line && *line; line = strchr(line, '\n'), line += line != NULL)
		result = expectation_add_user(line, users);
	return result;
}

static int gather(struct trial *trial)
{
	OWN_BUF struct buf users = BUF_INIT(16 << 20), groups = BUF_INIT(16 << 20);
	int result = add_names(trial->in_force, &users, &groups);
	if (result == 0)
		result = add_names(trial->policy, &users, &groups);
	if (result == 0 && trial->expectations)
		result = add_expected(trial->expectations, &users);
	if (result == 0)
		result = buf_add(&users, view_of("", 1));
	if (result == 0)
		result = buf_add(&groups, view_of("", 1));
	if (result < 0)
		return result;
	people_gather(trial->call->broker, &(struct people_names){(char *)users.data, (char *)groups.data}, on_people, trial);
	return 0;
}

/* Takes both policies over; NULL: the one in force. */
static void begin(struct admin_call *call, struct policy *in_force, struct policy *policy, const char *expectations,
		  const struct circumstances *circumstances)
{
	struct broker *broker = call->broker;
	struct trial *trial = broker->trying ? NULL : calloc(1, sizeof(*trial));
	if (!trial) {
		policy_free(in_force);
		policy_free(policy);
		if (broker->trying)
			admin_fail(call, 409, "somebody else tries a policy just now; try again in a moment");
		else
			admin_fail(call, 503, "no memory");
		return;
	}
	*trial = (struct trial){.call = call, .in_force = in_force ? in_force : policy_hold(broker->policy), .circumstances = *circumstances,
				.policy = policy ? policy : policy_hold(broker->policy), .over = &broker->trials_over,
				.realms = strdup(broker->room->conf.realm), .expectations = expectations ? strdup(expectations) : NULL};
	broker->trying = true;
	if (!trial->realms || (expectations && !trial->expectations) || gather(trial) < 0)
		finish(trial);
}

void admin_policy_test(struct admin_call *call)
{
	struct policy *policy = NULL;
	const char *expectations = json_string_value(json_object_get(call->body, "expectations"));
	const struct circumstances none = {.any_time = false};
	if (!expectations) {
		admin_fail(call, 400, "wanted: expectations, a text; and perhaps files");
		return;
	}
	if (json_object_get(call->body, "files") && admin_policy_parse(call, &policy) < 0)
		return;
	begin(call, NULL, policy, expectations, &none);
}

/* What is not said is left open. */
static int take_circumstances(const struct admin_call *call, struct circumstances *circumstances, struct diag *diag)
{
	const char *at = json_string_value(json_object_get(call->body, "at"));
	const char *from = json_string_value(json_object_get(call->body, "from"));
	const char *realm = json_string_value(json_object_get(call->body, "realm"));
	*circumstances = trial_anyhow();
	if (at && admin_policy_moment(at, &circumstances->time_s) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "a moment is written 2026-11-24T10:00, not \"%s\"", at);
	if (from && admin_policy_source(from, &circumstances->source, diag) < 0)
		return ERR_BAD_INPUT;
	if (realm && trial_take_realm(realm, call->broker->room->conf.realm, circumstances, diag) < 0)
		return ERR_BAD_INPUT;
	circumstances->local_offset_s = at ? admin_policy_local_offset(circumstances->time_s) : 0;
	circumstances->any_time = !at;
	circumstances->has_source = from;
	circumstances->any_source = !from;
	return 0;
}

void admin_policy_diff(struct admin_call *call)
{
	struct policy *policy = NULL;
	struct circumstances circumstances;
	struct diag diag;
	if (take_circumstances(call, &circumstances, &diag) < 0)
		admin_fail(call, 400, "%s", diag.text);
	else if (admin_policy_parse(call, &policy) == 0)
		begin(call, NULL, policy, NULL, &circumstances);
}

void admin_policy_reach_by(struct admin_call *call, struct policy *policy)
{
	static const struct policy_file nothing = {.name = "nothing", .text = "# Nobody reaches anything.\n"};
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *nobodys = NULL;
	const struct circumstances anyhow = trial_anyhow();
	if (errors && policy_parse(&nothing, 1, &nobodys, errors) == 0) {
		begin(call, policy, nobodys, NULL, &anyhow);
		return;
	}
	policy_free(policy);
	admin_fail(call, 503, "no memory");
}
