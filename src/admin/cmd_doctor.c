/* cmd_doctor.c: sallyport-admin doctor: every promise that can be checked on a running system; and what mends what is broken. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "findings.h"
#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "store_copy.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

#define CONF_PATH "/etc/sallyport/gateway.conf"
enum { MILLION = 1 << 20, AHEAD_MS = 60000 };

struct patient {
	const struct admin_options *options;
	json_t *findings, *status;
	struct settings settings;
	int monitor; /* 0: it does not run */
};

/* ---- the clock ---- */

static void check_clock(struct patient *patient)
{
	struct timex state = {.modes = 0};
	if (adjtimex(&state) < 0 || (state.status & STA_UNSYNC))
		finding_add(patient->findings, FINDING_WARNING, "clock", "timedatectl set-ntp true, with systemd-timesyncd or chrony installed",
			    "nothing keeps the clock right; certificates, hours and one-time codes go by it");
	else
		finding_add(patient->findings, FINDING_OK, "clock", NULL, "it is synchronised");
}

/* A record from the future: the clock was set back, or was wrong then. */
static void check_last_record(struct patient *patient)
{
	OWN_JSON json_t *answer = NULL;
	OWN_JSON json_t *row = NULL;
	char path[64];
	uint64_t at_ms = 0;
	if (call(patient->options, "GET", "/v1/audit?limit=1", NULL, &answer) != ADMIN_DONE)
		return;
	long long last = json_integer_value(json_object_get(answer, "last"));
	snprintf(path, sizeof(path), "/v1/audit?after=%lld", last > 0 ? last - 1 : 0);
	if (call(patient->options, "GET", path, NULL, &row) != ADMIN_DONE)
		return;
	const char *at = json_string_value(json_object_get(json_array_get(json_object_get(row, "audit"), 0), "at"));
	if (at && clock_parse(at, &at_ms) == 0 && at_ms > clock_wall_ms() + AHEAD_MS)
		finding_add(patient->findings, FINDING_ERROR, "clock", "set it right, and keep it so (timedatectl)",
			    "the last record is of %s, which is yet to come", at);
}

/* ---- the disk ---- */

static void check_disk(struct patient *patient)
{
	const char *store = json_string_value(json_object_get(patient->status, "store"));
	struct statvfs disk;
	if (!store || statvfs(store, &disk) < 0 || disk.f_blocks == 0) {
		finding_add(patient->findings, FINDING_WARNING, "disk", "run doctor as root, on the gateway's host", "the disk of the record cannot be looked at");
		return;
	}
	unsigned long long free_mib = (unsigned long long)disk.f_bavail * disk.f_frsize / MILLION;
	unsigned percent = (unsigned)(disk.f_bavail * 100 / disk.f_blocks);
	enum finding_level level = free_mib < 64 ? FINDING_ERROR : free_mib < 1024 && percent < 10 ? FINDING_WARNING : FINDING_OK;
	finding_add(patient->findings, level, "disk", level ? "make room there; audit_keep removes old records, behind a signed checkpoint" : NULL,
		    "%llu MiB (%u in a hundred) are free where %s lies%s", free_mib, percent, store,
		    level ? "; without room nothing new is granted" : "");
}

/* A start refuses such a store; the running gateway does not look again. */
static void check_store_mode(struct patient *patient)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	const char *store = patient->settings.store;
	char path[4200], mend[4300];
	struct stat status;
	for (size_t i = 0; *store && i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", store, ends[i]);
		if (stat(path, &status) < 0 || (status.st_mode & 077) == 0)
			continue;
		snprintf(mend, sizeof(mend), "chmod 600 %s", path);
		finding_add(patient->findings, FINDING_ERROR, "record", mend, "others can read or write %s (mode %04o)", path, status.st_mode & 07777);
	}
}

/* What keeps a gateway from starting; of a running one the record's state is in its status. */
static void check_store_alone(struct patient *patient)
{
	const char *store = patient->settings.store;
	struct diag diag;
	if (*store && access(store, F_OK) == 0 && store_copy_check(store, &diag) < 0)
		finding_add(patient->findings, FINDING_ERROR, "record", "sallyport-admin restore, with the newest good backup", "%s: %s", store, diag.text);
}

/* ---- names ---- */

static void check_names(struct patient *patient)
{
	OWN_JSON json_t *answer = NULL;
	if (call(patient->options, "GET", "/v1/resolver", NULL, &answer) != ADMIN_DONE)
		return;
	if (json_is_true(json_object_get(answer, "answers")))
		finding_add(patient->findings, FINDING_OK, "names", NULL, "a name server answers");
	else
		finding_add(patient->findings, FINDING_ERROR, "names", "look at resolver in the configuration, or /etc/resolv.conf; then sallyport-admin reload",
			    "no name server answers: targets with a name cannot be reached");
}

/* ---- the record's proof, and who is told ---- */

static void check_proof(struct patient *patient)
{
	OWN_JSON json_t *answer = NULL;
	if (*patient->settings.audit_key && access(patient->settings.audit_key, F_OK) < 0)
		finding_add(patient->findings, FINDING_WARNING, "proof", "sallyport-admin audit key, then sallyport-admin reload",
			    "no key signs the record: whoever can write it can rewrite it");
	if (call(patient->options, "GET", "/v1/alerts", NULL, &answer) == ADMIN_DONE &&
	    json_array_size(json_object_get(answer, "alerts")) == 0)
		finding_add(patient->findings, FINDING_WARNING, "alerts", "an alert section in the configuration: the handbook, \"Be told\"",
			    "nobody is told when something happens");
}

static void check_status(struct patient *patient)
{
	findings_of_status(patient->findings, patient->status);
}

static void check_certificates(struct patient *patient)
{
	findings_of_certificates(patient->findings, patient->options, NULL);
}

static void check_running(struct patient *patient)
{
	OWN_JSON json_t *rooms = NULL;
	if (call(patient->options, "GET", "/v1/rooms", NULL, &rooms) == ADMIN_DONE)
		findings_of_running(patient->findings, rooms);
}

static void check_rooms(struct patient *patient)
{
	findings_of_rooms(patient->findings, patient->monitor, &patient->settings);
}

/* A row for each promise; those behind the first need a gateway that answers. */
static void (*const checks[])(struct patient *) = {check_status, check_running, check_rooms, check_disk, check_last_record,
						   check_names, check_certificates, check_proof};

static int finish(const struct admin_options *options, json_t *findings)
{
	int worst = findings_worst(findings);
	if (options->json) {
		OWN_JSON json_t *whole = json_pack("{s:O}", "findings", findings);
		return table_print_json(whole) == ADMIN_DONE ? worst : ADMIN_FAILED;
	}
	findings_print(findings, FINDINGS_ALL);
	return worst;
}

int cmd_doctor(const struct admin_options *options)
{
	OWN_JSON json_t *findings = json_array();
	OWN_JSON json_t *status = NULL;
	struct patient patient = {.options = options, .findings = findings, .monitor = rooms_monitor(options)};
	char conf_path[4096];
	snprintf(conf_path, sizeof(conf_path), "%s", options->conf ? options->conf : CONF_PATH);
	if (patient.monitor && !options->conf)
		rooms_conf_path(patient.monitor, conf_path, sizeof(conf_path));
	settings_read(conf_path, &patient.settings);
	findings_of_settings(findings, &patient.settings);
	check_clock(&patient);
	check_store_mode(&patient);
	if (!patient.monitor || call(options, "GET", "/v1/status", NULL, &status) != ADMIN_DONE)
		finding_add(findings, FINDING_ERROR, "gateway", "systemctl start sallyport-gateway; journalctl -u sallyport-gateway -n 50",
			    "nobody answers at %s", options->socket);
	if (!status)
		check_store_alone(&patient);
	patient.status = status;
	for (size_t i = 0; status && i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&patient);
	settings_fini(&patient.settings);
	return finish(options, findings);
}
