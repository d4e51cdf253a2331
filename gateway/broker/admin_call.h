/* admin_call.h: one request on the admin socket, between admin.c (HTTP) and admin_routes.c (what is asked). */
#ifndef SALLYPORT_BROKER_ADMIN_CALL_H
#define SALLYPORT_BROKER_ADMIN_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "act.h"
#include "broker.h"

#define ADMIN_SEGMENTS_MAX 4
#define ADMIN_BODY_MAX (4 << 20)

struct admin_call {
	struct broker *broker;
	char by_text[300]; /* "root (uid 0)" */
	struct act_by by;
	const char *method;
	char path[512];
	char *segments[ADMIN_SEGMENTS_MAX]; /* of the path, behind /v1/ */
	unsigned segment_count;
	json_t *body; /* NULL without one */
	TAILQ_ENTRY(admin_call) waiting; /* for a reload, the signer's files, or the monitor's rooms */
	/* admin.c's */
	void *http;
};

/* Answers a call, once: at once or later. `json` is taken over. The call is gone afterwards. */
void admin_reply(struct admin_call *call, unsigned status, json_t *json);
/* The same with text of another type, which is copied. */
void admin_reply_text(struct admin_call *call, unsigned status, const char *type, struct view text);
[[gnu::format(printf, 3, 4)]] void admin_fail(struct admin_call *call, unsigned status, const char *format, ...);
/* A value of the query string, or NULL. */
const char *admin_query(const struct admin_call *call, const char *name);

/* The status that fits an error of an act. */
unsigned admin_status_of(int result);
/* Answers an act with how many sessions and tunnels it has ended. `context` is the call. */
void admin_on_act(void *context, const struct act_result *act);
/* An array of words (NULL: none) as one a line, with its NUL. ERR_BAD_INPUT for what is none, or holds a line break. */
[[nodiscard]] int admin_words(const json_t *array, struct buf *out_lines);

/* ---- admin_devices.c ---- */
void admin_get_invitations(struct admin_call *call);
void admin_post_invitation(struct admin_call *call);
void admin_post_invitation_act(struct admin_call *call);
/* False: the verb is none of its own. */
bool admin_post_device_change(struct admin_call *call);

void admin_get_issuers(struct admin_call *call);
void admin_get_pending(struct admin_call *call);
void admin_post_adoption(struct admin_call *call);

/* ---- admin_files.c ---- */
void admin_get_files(struct admin_call *call);
void admin_get_resolver(struct admin_call *call);
void admin_post_reload(struct admin_call *call);

/* ---- admin_factor.c ---- */
/* Shows, adds or removes an account's second factor, makes new recovery codes (PUT), or revokes those that are left (DELETE of
 * its codes), as method and path say. */
void admin_account_factor(struct admin_call *call);
/* What is asked on the factor socket; answers every call. */
void factor_route(struct admin_call *call);

/* ---- metrics.c ---- */
/* What is asked on the metrics socket; answers every call. */
void metrics_route(struct admin_call *call);

/* ---- admin_alerts.c ---- */
void admin_alerts_list(struct admin_call *call);
void admin_alerts_test(struct admin_call *call);
void admin_spool_list(struct admin_call *call);
void admin_spool_act(struct admin_call *call);

/* admin_routes.c: finds what is asked and does it; answers every call. */
void admin_route(struct admin_call *call);

#endif
