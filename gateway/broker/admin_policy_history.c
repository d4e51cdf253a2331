/* admin_policy_history.c: what the admin socket is asked about policies that were in force: which, since when, their text, and
 * who could reach what by one of them. policy_record.c writes them down.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin_json.h"
#include "admin_policy.h"
#include "policy_record.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { PAGE_MAX = 500 };

/* ---- which ---- */

struct listing {
	struct store_operation operation;
	struct admin_call *call;
	uint64_t after, since_ms;
	json_t *versions;
};

static int take_version(void *self, const struct store_row *row, struct diag *diag)
{
	struct listing *listing = self;
	(void)diag;
	json_t *json = json_pack("{s:I, s:o, s:o, s:s, s:I}", "version", (json_int_t)store_row_number(row, 0), "since",
				 admin_json_time((uint64_t)store_row_number(row, 1)), "until",
				 admin_json_time((uint64_t)store_row_number(row, 2)), "print", store_row_text(row, 3), "files",
				 (json_int_t)store_row_number(row, 4));
	return json_array_append_new(listing->versions, json) < 0 ? ERR_SYSTEM : 0;
}

static int load_versions(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct listing *listing = operation->context;
	return STORE_QUERY(db, diag, policy_version_page, take_version, listing, NUMBER(listing->after), NUMBER(listing->since_ms),
			   NUMBER(PAGE_MAX));
}

static void on_versions(struct store_operation *operation, int result, const struct diag *diag)
{
	OWN_MEMORY struct listing *listing = operation->context;
	if (result == 0) {
		admin_reply(listing->call, 200, json_pack("{s:o}", "versions", listing->versions));
		return;
	}
	json_decref(listing->versions);
	admin_fail(listing->call, 503, "%s", diag->text);
}

/* Not above what the store's numbers hold. */
static uint64_t number_of(const char *text)
{
	uint64_t number = text ? strtoull(text, NULL, 10) : 0;
	return number < INT64_MAX ? number : INT64_MAX - 1;
}

void admin_policy_versions(struct admin_call *call)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing) {
		admin_fail(call, 503, "no memory");
		return;
	}
	*listing = (struct listing){.call = call, .after = number_of(admin_query(call, "after")),
				    .since_ms = number_of(admin_query(call, "since")), .versions = json_array()};
	listing->operation = (struct store_operation){.work = load_versions, .done = on_versions, .context = listing};
	store_submit(call->broker->store, &listing->operation);
}

/* ---- one of them ---- */

struct loading {
	struct store_operation operation;
	struct admin_call *call;
	void (*use)(struct loading *loading); /* answers the call */
	uint64_t number, since_ms;
	struct policy_texts *texts; /* with the print that the store says */
};

static void loading_free(struct loading *loading)
{
	policy_texts_free(loading->texts);
	free(loading);
}

static int take_print(void *self, const struct store_row *row, struct diag *diag)
{
	struct loading *loading = self;
	(void)diag;
	loading->since_ms = (uint64_t)store_row_number(row, 0);
	str_copy(loading->texts->print, sizeof(loading->texts->print), store_row_text(row, 1));
	return 0;
}

static int take_file(void *self, const struct store_row *row, struct diag *diag)
{
	struct loading *loading = self;
	return policy_texts_add(loading->texts, store_row_text(row, 0), store_row_text(row, 1)) < 0 ? diag_system(diag, "memory") : 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct loading *loading = operation->context;
	int result = STORE_QUERY(db, diag, policy_version_one, take_print, loading, NUMBER(loading->number));
	if (result == 0 && !*loading->texts->print)
		return diag_set(diag, ERR_NOT_FOUND, "there is no version %" PRIu64 " of the policy, or it is no longer kept", loading->number);
	return result < 0 ? result : STORE_QUERY(db, diag, policy_file_all, take_file, loading, TEXT(loading->texts->print));
}

/* Whether it is the text that the record speaks of. */
static bool is_whole(const struct policy_texts *texts)
{
	char print[2 * HASH_BYTES + 1];
	return policy_texts_print(texts, print) == 0 && strcmp(print, texts->print) == 0;
}

static void on_loaded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct loading *loading = operation->context;
	if (result < 0)
		admin_fail(loading->call, admin_status_of(result), "%s", diag->text);
	else if (!is_whole(loading->texts))
		admin_fail(loading->call, 409, "the text of version %" PRIu64 " is not the one that the record speaks of (%s): it was changed in the store",
			   loading->number, loading->texts->print);
	else
		loading->use(loading);
	loading_free(loading);
}

static void begin(struct admin_call *call, uint64_t number, void (*use)(struct loading *loading))
{
	struct loading *loading = calloc(1, sizeof(*loading));
	struct policy_texts *texts = calloc(1, sizeof(*texts));
	if (!loading || !texts) {
		free(loading);
		free(texts);
		admin_fail(call, 503, "no memory");
		return;
	}
	*loading = (struct loading){.call = call, .use = use, .number = number, .texts = texts};
	loading->operation = (struct store_operation){.work = load, .done = on_loaded, .context = loading};
	store_submit(call->broker->store, &loading->operation);
}

static void answer_texts(struct loading *loading)
{
	json_t *files = json_array();
	for (size_t i = 0; i < loading->texts->count; i++)
		/* What is not UTF-8 cannot be told here; it stands in the store. */
		json_array_append_new(files, json_pack("{s:s, s:o}", "name", loading->texts->list[i].name, "text",
						       json_string(loading->texts->list[i].text) ?: json_null()));
	admin_reply(loading->call, 200, json_pack("{s:I, s:o, s:s, s:o}", "version", (json_int_t)loading->number, "since",
						  admin_json_time(loading->since_ms), "print", loading->texts->print, "files", files));
}

void admin_policy_version(struct admin_call *call)
{
	begin(call, number_of(call->segments[2]), answer_texts);
}

/* ---- who could reach what by it ---- */

static void answer_reach(struct loading *loading)
{
	OWN_MEMORY struct policy_errors *errors = calloc(1, sizeof(*errors));
	struct policy *policy = NULL;
	int result = errors ? policy_parse(loading->texts->list, loading->texts->count, &policy, errors) : ERR_SYSTEM;
	if (result == ERR_BAD_CONFIG)
		admin_fail(loading->call, 409, "this program does not understand version %" PRIu64 " any more: %s", loading->number,
			   errors->list[0].text);
	else if (result < 0)
		admin_fail(loading->call, 503, "no memory");
	else
		admin_policy_reach_by(loading->call, policy);
}

void admin_policy_reach(struct admin_call *call)
{
	json_int_t number = 0;
	if (!call->body || json_unpack(call->body, "{s:I !}", "version", &number) < 0 || number < 1)
		admin_fail(call, 400, "wanted: version, a number");
	else
		begin(call, (uint64_t)number, answer_reach);
}
