/* cmd_sources.c: sallyport-admin sources ...: addresses whose connections were in vain or are refused. */
#include <stdio.h>

#include "admin.h"
#include "sallyport/own.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const columns[] = {"SOURCE", "source", "REFUSED NOW", "refused", "PENALTY (S)", "penalty_seconds", "FAILURES",
				      "failures", "CONNECTIONS REFUSED", "connections_refused", NULL};

static const char *const login_columns[] = {"TOO OFTEN", "kind", "NAME", "name", NULL};

static long long count_of(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void print_connections(const json_t *connections)
{
	printf("\n%lld connections before door one; so far %lld refused for their source, %lld dropped early, %lld strangers made room\n"
	       "%lld of %lld places for sources in use\n", count_of(connections, "before_door_one"), count_of(connections, "refused_for_source"),
	       count_of(connections, "dropped_early"), count_of(connections, "made_room"), count_of(connections, "sources_remembered"),
	       count_of(connections, "places"));
}

int cmd_sources_list(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	int status = call(options, "GET", "/v1/sources", NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print(json_object_get(answer, "sources"), columns);
	const json_t *logins = json_object_get(answer, "logins");
	if (json_array_size(logins)) {
		putchar('\n');
		table_print(logins, login_columns);
	}
	print_connections(json_object_get(answer, "connections"));
	return ADMIN_DONE;
}

int cmd_sources_clear(const struct admin_options *options)
{
	OWN_JSON json_t *answer = NULL;
	if (options->all == (options->word_count == 1))
		return admin_say(ADMIN_USAGE, "which sources? An ADDRESS, or --all");
	json_t *body = options->all ? json_pack("{s:b}", "all", 1) : json_pack("{s:s}", "source", options->words[0]);
	int status = call(options, "POST", "/v1/sources/clear", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	long long count = (long long)json_integer_value(json_object_get(answer, "cleared"));
	printf("%lld source%s forgotten\n", count, count == 1 ? " is" : "s are");
	return ADMIN_DONE;
}
