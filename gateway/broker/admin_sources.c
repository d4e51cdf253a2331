/* admin_sources.c: `sources list` and `sources clear`: the monitor has the table, the broker the admin socket and the
 * record. Clearing is an act: its row is committed first. Counterpart: gateway/monitor/source_desk.c.
 */
#include "admin_sources.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "admin_call.h"
#include "login_rate.h"
#include "monitor_edge.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

struct source_question {
	TAILQ_ENTRY(source_question) all;
	struct admin_call *call;
	json_t *items;                                   /* of a list; NULL: it is a clearing */
	char source[MONITOR_ROOM_SOURCE_CHARACTERS + 1]; /* "": all */
};
TAILQ_HEAD(source_questions, source_question);

/* One broker, one monitor: those that wait, oldest first. */
static struct source_questions waiting = TAILQ_HEAD_INITIALIZER(waiting);

static struct source_question *new_question(struct admin_call *call)
{
	struct source_question *question = calloc(1, sizeof(*question));
	if (question)
		question->call = call;
	else
		admin_fail(call, 503, "memory is out");
	return question;
}

void admin_sources_list(struct admin_call *call)
{
	struct source_question *question = new_question(call);
	if (!question)
		return;
	question->items = json_array();
	TAILQ_INSERT_TAIL(&waiting, question, all);
	monitor_want_sources(call->broker);
}

static void on_recorded(void *context, int result, const struct diag *diag)
{
	struct source_question *question = context;
	if (result < 0) {
		admin_fail(question->call, 503, "%s", diag->text);
		free(question);
		return;
	}
	TAILQ_INSERT_TAIL(&waiting, question, all);
	monitor_clear_sources(question->call->broker, question->source);
}

void admin_sources_clear(struct admin_call *call)
{
	const char *source = json_string_value(json_object_get(call->body, "source"));
	bool all = json_is_true(json_object_get(call->body, "all"));
	struct audit_entry entry = {.code = "", .address = "admin"};
	if (all == (source != NULL) || (source && (!*source || !view_is_utf8(view_string(source))))) {
		admin_fail(call, 400, "wanted: source (an address), or all");
		return;
	}
	struct source_question *question = new_question(call);
	if (!question)
		return;
	if (source && !str_copy(question->source, sizeof(question->source), source)) {
		free(question);
		admin_fail(call, 400, "\"%s\" is no address", source);
		return;
	}
	audit_fill(&entry, "sources_cleared", "%s by %s", source ? question->source : "all", call->by_text);
	audit_record(call->broker, &entry, on_recorded, question);
}

/* ---- the answers ---- */

int admin_sources_item(struct broker *broker, const struct monitor_room_source_item *item)
{
	struct source_question *question = TAILQ_FIRST(&waiting);
	(void)broker;
	if (!question || !question->items)
		return ERR_BAD_PEER;
	json_t *row = json_pack("{s:s%, s:b, s:i, s:I, s:I}", "source", (const char *)item->source.data,
				item->source.size, "refused", (int)item->refusing, "penalty_seconds", (int)((item->penalty_ms + 999) / 1000), "failures",
				(json_int_t)item->failures, "connections_refused", (json_int_t)item->refused);
	return json_array_append_new(question->items, row) < 0 ? ERR_SYSTEM : 0;
}

/* The oldest question of that kind, or NULL when the monitor answers what was not asked. */
static struct source_question *take_oldest(bool is_list)
{
	struct source_question *question = TAILQ_FIRST(&waiting);
	if (!question || (question->items != NULL) != is_list)
		return NULL;
	TAILQ_REMOVE(&waiting, question, all);
	return question;
}

/* Whose logins begin too often now: the broker's own. */
static json_t *logins(const struct broker *broker)
{
	json_t *rows = json_array();
	const struct login_rate *rate;
	size_t position = 0;
	while ((rate = login_rate_next(broker, &position)))
		json_array_append_new(rows, json_pack("{s:s, s:s}", "kind", login_rate_kind_name(rate->kind), "name", rate->name));
	return rows;
}

int admin_sources_end(struct broker *broker, const struct monitor_room_sources_end *message)
{
	struct source_question *question = take_oldest(true);
	if (!question)
		return ERR_BAD_PEER;
	json_t *connections = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "refused_for_source", (json_int_t)message->dropped_source,
					"dropped_early", (json_int_t)message->dropped_early, "made_room", (json_int_t)message->evicted,
					"before_door_one", (json_int_t)message->strangers, "sources_remembered",
					(json_int_t)message->remembered, "places", (json_int_t)message->places);
	admin_reply(question->call, 200, json_pack("{s:o, s:o, s:o}", "sources", question->items, "logins", logins(broker), "connections",
						   connections));
	free(question);
	return 0;
}

int admin_sources_cleared(struct broker *broker, const struct monitor_room_sources_cleared *message)
{
	struct source_question *question = take_oldest(false);
	if (!question)
		return ERR_BAD_PEER;
	if (message->good)
		admin_reply(question->call, 200, json_pack("{s:i, s:i}", "cleared", (int)message->count, "logins_cleared",
							   (int)login_rate_forget_source(broker, question->source)));
	else
		admin_fail(question->call, 400, "\"%s\" is no address", question->source);
	free(question);
	return 0;
}
