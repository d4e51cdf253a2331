/* admin.h: the admin socket: HTTP and JSON on a unix socket, for sallyport-admin and for curl --unix-socket. */
#ifndef SALLYPORT_BROKER_ADMIN_H
#define SALLYPORT_BROKER_ADMIN_H

#include <stdbool.h>

#include "sallyport/err.h"

struct admin;
struct broker;
struct conf;

enum admin_door {
	ADMIN_DOOR,        /* sallyport-admin's */
	ADMIN_FACTOR_DOOR, /* pam_sallyport's: a second factor, and nothing else */
	ADMIN_METRICS_DOOR, /* Prometheus': what was counted, and nothing else */
};

/* Serves a listening stream socket (taken over) on the broker's loop. At a unix socket, who may speak is asked of the kernel
 * (SO_PEERCRED): root, the users of admin_users (at the factor door: conversation_user), and the broker's own user (who is the admin where the gateway is not
 * started by root); at one of loopback (metrics only) everybody may. ERR_SYSTEM; ERR_NOT_FOUND when a user of admin_users does not exist. */
[[nodiscard]] int admin_start(struct broker *broker, enum admin_door door, int listener, struct admin **out_admin, struct diag *diag);
/* Are the users of admin_users there? ERR_NOT_FOUND. */
[[nodiscard]] int admin_check_users(const struct conf *conf, struct diag *diag);
/* A reload that admins wait for is over: with a sentence when it is not good. admin_files.c */
/* The signer has said which authority it signs with (hexadecimal fingerprint), or cannot be asked (""). */
void admin_files_authority(struct broker *broker, const char *fingerprint);
void admin_reload_over(struct broker *broker, bool good, const char *sentence);
/* Drops every connection. NULL-safe. Its handles close on the loop. */
void admin_stop(struct admin *admin);
/* Somebody waits for an answer. NULL-safe. */
bool admin_is_busy(const struct admin *admin);

/* ---- admin_policy.c ---- */
/* The new policy is in force, and live tunnels are judged; the context is the broker. */
struct tunnels_judged;
void admin_policy_judged(void *context, const struct tunnels_judged *judged);
/* What was offered is not good, and why: what was in force stays. */
void admin_policy_declined(struct broker *broker, const char *sentence);

#endif
