/* session.h: device x user x lease, found by the hash of a token.
 *
 * Live sessions are in memory; the store keeps all. A session that has ended is remembered for a while, so
 * that its token is told apart (lease_expired, session_ended) on its own device; on any other device every
 * token is unknown (A7). Everything here runs on the loop.
 */
#ifndef SALLYPORT_BROKER_SESSION_H
#define SALLYPORT_BROKER_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "act.h"
#include "events.h"
#include "map.h"
#include "store.h"

struct broker;
struct device;
struct tunnel;

#define SESSION_TOKEN_CHARACTERS 64 /* lower-case hexadecimal of 256 random bits */
#define SESSION_BROWSER_TOKEN_CHARACTERS 32 /* of 128: a person carries it from the portal into a dialogue (browser.h) */

struct session {
	LIST_ENTRY(session) all;       /* live: sessions.live; ended: sessions.ended */
	LIST_ENTRY(session) of_device; /* while live */
	struct map_entry by_token, by_id, by_browser_token;
	char id[33];
	uint64_t number; /* the one of worker_broker's messages */
	uint8_t token_hash[32], browser_token_hash[32];
	bool has_browser_token;
	bool portal; /* a browser at the portal has opened it */
	struct device *device;
	char *user;
	char realm[33];             /* that let him in (realm.h) */
	bool with_factor;           /* his second factor (factor.h) was given in that last login; not known across a restart */
	struct link *pam_session;   /* the process of the open PAM session (pam_session.h); NULL: none */
	uint64_t created_at_ms, expires_at_ms, ended_at_ms; /* ended_at 0: live */
	/* The same by the monotonic clock, which nobody can set; negative: before the machine started. */
	int64_t began_at_ms, login_at_ms, lease_end_ms; /* login_at: the user's last login on this device */
	const char *end_reason;                             /* a literal; NULL while live */
	char address[65];
	char connection[33];
	LIST_HEAD(, tunnel) tunnels; /* the live ones */
	unsigned tunnel_count;
	struct feed_list feeds; /* who listens */
	bool warned;            /* of the end of the lease */
	unsigned holds;  /* whoever waits for something about it */
	bool is_ending;  /* its end is on the way to the disk */
};

LIST_HEAD(session_list, session);
struct sessions {
	struct session_list live, ended;
	struct map tokens, ids, browser_tokens;
	uint64_t last_number;
	unsigned live_count;
	uv_timer_t lease_timer;
	struct broker *broker;
};

[[nodiscard]] int sessions_load(struct sessions *sessions, struct broker *broker, struct diag *diag);
/* Starts watching the leases. */
[[nodiscard]] int sessions_start(struct sessions *sessions, uv_loop_t *loop);

/* ---- reading (immediate) ---- */
/* By its public id, live or lately ended; NULL. All live ones: LIST_FOREACH(session, &sessions->live, all). */
struct session *session_find(const struct sessions *sessions, const char *id);
bool session_is_live(const struct session *session, uint64_t now_ms);
/* Whether it came by a realm for emergencies. */
bool session_breaks_glass(const struct broker *broker, const struct session *session);

/* ---- acts ---- */
/* Ends a session and closes its tunnels. ERR_NOT_FOUND when there is no live one of that id. */
void session_end_by_admin(struct broker *broker, const char *id, const struct act_by *by, act_done done, void *context);

#endif
