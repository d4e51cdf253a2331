/* findings.c: what is wrong, and what mends it. See findings.h. */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const levels[] = {"ok", "warning", "error"};

void finding_add(json_t *findings, enum finding_level level, const char *check, const char *mend, const char *format, ...)
{
	char sentence[1024];
	va_list arguments;
	va_start(arguments, format);
	admin_spell(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	json_array_append_new(findings, json_pack("{s:s, s:s, s:s, s:s?}", "level", levels[level], "check", check, "sentence", sentence,
						  "mend", mend));
}

static void of_store(json_t *findings, const json_t *status)
{
	const char *looked = admin_text(status, "store_check");
	if (!json_is_true(json_object_get(status, "store_good")))
		finding_add(findings, FINDING_ERROR, "record", "make room on its disk, or repair it; nothing needs a restart",
			    "the record cannot be written, nothing new is granted: %s", admin_text(status, "store_trouble"));
	else if (strcmp(looked, "good") != 0 && strcmp(looked, "running") != 0)
		finding_add(findings, FINDING_ERROR, "record", "sallyport-admin restore, with the newest good backup", "%s", looked);
	else
		finding_add(findings, FINDING_OK, "record", NULL, "the record can be written%s",
			    *looked == 'g' ? ", and was whole at the start" : "; it is still being looked through");
}

/* A row for each number that should be 0. */
static const struct counted {
	const char *key, *check, *sentence, *mend;
	enum finding_level level;
} counted[] = {
	{"certificates_ending_soon", "certificates", "device certificates end soon and were not renewed",
	 "sallyport-admin device list --expiring 14d", FINDING_WARNING},
	{"enrolments_pending", "enrolments", "enrolments or late renewals wait for an approval", "sallyport-admin device invitations", FINDING_WARNING},
	{"unknown_devices_pending", "enrolments", "unknown devices wait to be adopted", "sallyport-admin device pending", FINDING_WARNING},
	{"revocation_lists_stale", "revocation", "lists of other authorities are overdue", "sallyport-admin ca show", FINDING_WARNING},
	{"clock_behind_seconds", "clock", "seconds behind where it was: the clock was set back under the gateway; what has ended by it stays ended",
	 "timedatectl; and once it is right: systemctl restart sallyport-gateway (tunnels go on)", FINDING_WARNING},
	{"break_glass_sessions", "emergency door", "sessions came in by the emergency door", "sallyport-admin session list", FINDING_WARNING},
};

static void of_alerts(json_t *findings, const json_t *status)
{
	const json_t *failing = json_object_get(status, "alerts_failing"), *name;
	size_t index;
	json_array_foreach(failing, index, name)
		finding_add(findings, FINDING_ERROR, "alerts", "sallyport-admin alert list", "messages to %s do not arrive",
			    json_string_value(name));
}

void findings_of_status(json_t *findings, const json_t *status)
{
	of_store(findings, status);
	if (json_is_true(json_object_get(status, "signer")))
		finding_add(findings, FINDING_OK, "signer", NULL, "the room that holds the keys answers");
	else
		finding_add(findings, FINDING_ERROR, "signer", "journalctl -u sallyport-gateway -n 50",
			    "the room that holds the keys does not answer: no device comes in");
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		if (admin_number(status, counted[i].key) > 0)
			finding_add(findings, counted[i].level, counted[i].check, counted[i].mend, "%lld %s",
				    (long long)admin_number(status, counted[i].key), counted[i].sentence);
	if (*admin_text(status, "revocations_trouble"))
		finding_add(findings, FINDING_WARNING, "revocation", "sallyport-admin ca rotate", "%s",
			    admin_text(status, "revocations_trouble"));
	of_alerts(findings, status);
}

void findings_of_running(json_t *findings, const json_t *rooms)
{
	size_t index;
	const json_t *room;
	json_array_foreach(json_object_get(rooms, "rooms"), index, room)
		if (!admin_number(room, "process"))
			finding_add(findings, FINDING_ERROR, "rooms", "journalctl -u sallyport-gateway -n 50",
				    "the %s does not run; it is started again by itself, and that does not help", admin_text(room, "room"));
}

static enum finding_level level_of(const json_t *finding)
{
	const char *name = admin_text(finding, "level");
	return strcmp(name, levels[FINDING_ERROR]) == 0	    ? FINDING_ERROR
	       : strcmp(name, levels[FINDING_WARNING]) == 0 ? FINDING_WARNING
							    : FINDING_OK;
}

enum finding_level findings_worst(const json_t *findings)
{
	enum finding_level worst = FINDING_OK;
	size_t index;
	const json_t *finding;
	json_array_foreach(findings, index, finding)
		worst = level_of(finding) > worst ? level_of(finding) : worst;
	return worst;
}

static void print_one(const json_t *finding)
{
	printf("%-8s %s: %s\n", admin_text(finding, "level"), admin_text(finding, "check"), admin_text(finding, "sentence"));
	if (*admin_text(finding, "mend"))
		printf("         mend it with: %s\n", admin_text(finding, "mend"));
}

static void print_wrapped(const json_t *finding)
{
	static const char others[] = "           ";
	char text[2048];
	snprintf(text, sizeof(text), "%s: %s", admin_text(finding, "check"), admin_text(finding, "sentence"));
	char first[16];
	snprintf(first, sizeof(first), "%-10s ", admin_text(finding, "level"));
	table_print_wrapped(first, others, text);
	snprintf(text, sizeof(text), "mend it with: %s", admin_text(finding, "mend"));
	if (*admin_text(finding, "mend"))
		table_print_wrapped(others, others, text);
}

void findings_print(const json_t *findings, enum findings_manner manner)
{
	size_t index;
	const json_t *finding;
	json_array_foreach(findings, index, finding) {
		if (manner != FINDINGS_ALL && level_of(finding) == FINDING_OK)
			continue;
		if (manner == FINDINGS_ON_SCREEN)
			print_wrapped(finding);
		else
			print_one(finding);
	}
}
