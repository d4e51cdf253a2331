/* findings.h: what is wrong, and what mends it: `doctor`, `status` and `report` find, one place prints and counts. */
#ifndef SALLYPORT_ADMIN_FINDINGS_H
#define SALLYPORT_ADMIN_FINDINGS_H

#include <jansson.h>

#include "admin.h"

/* Also the exit statuses of `doctor` and `status --check`, as monitoring systems read them. */
enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_ERROR };

/* An array of {level, check, sentence, mend}; "mend" is null where nothing needs mending. */
[[gnu::format(printf, 5, 6)]] void finding_add(json_t *findings, enum finding_level level, const char *check, const char *mend,
					       const char *format, ...);
/* What the answer to GET /v1/status tells. */
void findings_of_status(json_t *findings, const json_t *status);
/* What the answer to GET /v1/rooms tells. */
void findings_of_running(json_t *findings, const json_t *rooms);
/* The worst of them. */
enum finding_level findings_worst(const json_t *findings);
/* One line each, with the command that mends it below: all; those that are not good; the same, in lines that fit a screen. */
enum findings_manner { FINDINGS_ALL, FINDINGS_BAD, FINDINGS_ON_SCREEN };
void findings_print(const json_t *findings, enum findings_manner manner);

/* ---- settings.c ---- */
/* Where the configuration file is, and what `sallyport-gateway -T` says of it. */
struct settings {
	bool good;
	char trouble[1024]; /* its sentence, when it is not good */
	json_t *values;     /* key -> {value, default, weaker} of scalar settings that differ from the default */
	char audit_key[4096], store[4096];
	bool has_token; /* a key is in a token: then the signer sees the files of the token's module */
};
void settings_read(const char *conf_path, struct settings *out_settings);
void settings_fini(struct settings *settings);
void findings_of_settings(json_t *findings, const struct settings *settings);

/* ---- certificates_look.c ---- */
/* The certificates of the house as their files have them now: the gateway's, its authority's, those of devices' authorities.
 * Into `list` (may be NULL): {certificate, name, until, days}. */
void findings_of_certificates(json_t *findings, const struct admin_options *options, json_t *list);

/* ---- rooms_look.c ---- */
/* The gateway's main process, as the kernel names whoever listens on the admin socket; 0: nobody. */
int rooms_monitor(const struct admin_options *options);
/* The configuration file that it was started with. */
void rooms_conf_path(int monitor, char *out_path, size_t capacity);
/* The name of the user that a process runs as, or his number; empty when it cannot be seen. */
void rooms_identity(int process, char *out_user, size_t capacity);
/* Are the walls of its rooms in force, as the kernel sees them? */
void findings_of_rooms(json_t *findings, int monitor, const struct settings *settings);

#endif
