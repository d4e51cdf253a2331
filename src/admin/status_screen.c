/* status_screen.c: draws what `status` has gathered. See status_screen.h. */
#include "status_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

enum { OUTCOMES_SHOWN = 4, OUTCOMES_MAX = 64, DEVICES_SHOWN = 3 };

static const char others[] = "           ";

[[gnu::format(printf, 2, 3)]] static void say(const char *label, const char *format, ...)
{
	char text[2048], first[32];
	va_list arguments;
	va_start(arguments, format);
	admin_spell(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(first, sizeof(first), "%-10s ", label);
	table_print_wrapped(first, others, text);
}

[[gnu::format(printf, 3, 4)]] static void add(char *text, size_t capacity, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	admin_spell(text + used, capacity - used, format, arguments);
	va_end(arguments);
}

/* ---- doors ---- */

struct outcome {
	const char *name;
	json_int_t count;
};

static int compare(const void *one, const void *other)
{
	const struct outcome *a = one, *b = other;
	return a->count != b->count ? (a->count < b->count ? 1 : -1) : strcmp(a->name, b->name);
}

/* ", 17 refused: 9 no_certificate, 5 device_unknown, 3 others": the most frequent ones by name. */
static void spell_refusals(const json_t *outcomes, const char *good, char *out_text, size_t capacity)
{
	struct outcome list[OUTCOMES_MAX];
	size_t count = 0;
	json_int_t all = 0, shown = 0;
	const char *name;
	const json_t *number;
	json_object_foreach((json_t *)(uintptr_t)outcomes, name, number) {
		if (strcmp(name, good) == 0 || count == OUTCOMES_MAX)
			continue;
		list[count++] = (struct outcome){name, json_integer_value(number)};
		all += json_integer_value(number);
	}
	qsort(list, count, sizeof(*list), compare);
	snprintf(out_text, capacity, "%lld refused", (long long)all);
	for (size_t i = 0; i < count && i < OUTCOMES_SHOWN; i++, shown += list[i - 1].count)
		add(out_text, capacity, "%s %lld %s", i ? "," : ":", (long long)list[i].count, list[i].name);
	if (shown < all)
		add(out_text, capacity, ", %lld others", (long long)(all - shown));
}

static void spell_words(const json_t *words, char *out_text, size_t capacity)
{
	size_t index;
	const json_t *word;
	out_text[0] = 0;
	json_array_foreach(words, index, word)
		add(out_text, capacity, "%s%s", index ? ", " : "", json_string_value(word));
}

static void print_doors(const json_t *status)
{
	const json_t *hour = json_object_get(status, "last_hour");
	const json_t *one = json_object_get(hour, "door_one"), *two = json_object_get(hour, "door_two");
	char listen[512], enroll[512], refused[512];
	spell_words(json_object_get(status, "listen"), listen, sizeof(listen));
	spell_words(json_object_get(status, "enroll_listen"), enroll, sizeof(enroll));
	say("door one", "%s; %s%s", listen, *enroll ? "enrolment " : "nobody can enrol", enroll);
	spell_refusals(one, "accepted", refused, sizeof(refused));
	say("", "last hour: %lld let in, %s", (long long)admin_number(one, "accepted"), refused);
	spell_refusals(two, "granted", refused, sizeof(refused));
	say("door two", "last hour: %lld logged in, %s; %lld under way", (long long)admin_number(two, "granted"), refused,
	    (long long)admin_number(status, "logins_under_way"));
}

static void print_inside(const json_t *status)
{
	say("inside", "%lld connections, %lld sessions, %lld tunnels", (long long)admin_number(status, "connections"),
	    (long long)admin_number(status, "sessions"), (long long)admin_number(status, "tunnels"));
	say("known", "%lld devices, %lld rules, %lld resources", (long long)admin_number(status, "devices"),
	    (long long)admin_number(status, "rules"), (long long)admin_number(status, "resources"));
}

/* ---- rooms ---- */

static void print_rooms(const json_t *status)
{
	static const char *const columns[] = {"ROOM", "room", "PROCESS", "process", "RUNS AS", "user", "SINCE", "since",
					      "RESTARTS", "restarts", NULL};
	const json_t *rooms = json_object_get(status, "rooms");
	if (!rooms)
		return;
	putchar('\n');
	table_print(rooms, columns);
	printf("%lld workers for clients (%lld spare, %lld before door one), %lld conversations\n", (long long)admin_number(status, "workers"),
	       (long long)admin_number(status, "spare_workers"), (long long)admin_number(status, "before_door_one"),
	       (long long)admin_number(status, "conversations"));
}

/* ---- certificates ---- */

/* The day is enough here: what is near has a finding with the time. */
static void add_certificate(json_t *rows, const char *certificate, const char *name, const char *until)
{
	json_array_append_new(rows, json_pack("{s:s, s:s, s:s%}", "certificate", certificate, "name", name, "until", until,
					      strcspn(until, "T")));
}

static void print_certificates(const json_t *status)
{
	static const char *const columns[] = {"CERTIFICATE", "certificate", "UNTIL", "until", "NAME", "name", NULL};
	OWN_JSON json_t *rows = json_array();
	const json_t *ends = json_object_get(status, "certificates_first");
	size_t index;
	const json_t *one;
	json_array_foreach(json_object_get(status, "certificates_of_the_house"), index, one)
		add_certificate(rows, admin_text(one, "certificate"), admin_text(one, "name"), admin_text(one, "until"));
	for (index = 0; index < DEVICES_SHOWN && (one = json_array_get(ends, index)); index++)
		add_certificate(rows, "device, overdue", admin_text(one, "device"), admin_text(one, "until"));
	if (json_array_size(rows) == 0)
		return;
	putchar('\n');
	table_print(rows, columns);
}

void status_screen(const json_t *status, const json_t *findings)
{
	say("Sallyport", "%s at %s, since %s", admin_text(status, "version"), admin_text(status, "name"), admin_text(status, "started_at"));
	print_doors(status);
	print_inside(status);
	print_rooms(status);
	print_certificates(status);
	putchar('\n');
	if (findings_worst(findings) == FINDING_OK)
		say("ok", "nothing is wrong as far as the gateway knows; sallyport-admin doctor looks closer");
	else
		findings_print(findings, FINDINGS_ON_SCREEN);
}
