/* broker.h: the room's parts, as one thing that is handed around.
 *
 * The broker decides: it holds the record (store), who may come (registry), who is logged in (sessions),
 * what is open (tunnels), and the policy. It speaks with the monitor, with a worker per client, with the
 * signer and with a process per login. One loop; the store's thread and libuv's pool are the only others.
 */
#ifndef SALLYPORT_BROKER_BROKER_H
#define SALLYPORT_BROKER_BROKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <uv.h>

#include "account.h"
#include "audit.h"
#include "dial.h"
#include "events.h"
#include "invitation.h"
#include "issuers.h"
#include "registry.h"
#include "revocations.h"
#include "room.h"
#include "sallyport/edge/monitor_room.h"
#include "seal.h"
#include "session.h"
#include "store.h"
#include "tunnel.h"

struct admin;
struct alert_desk;
struct checkpoint_desk;
struct admin_call;
struct conversations;
struct courier_edge;
struct groups;
struct heritage;
struct login_rates;
struct monitor_edge;
struct policy;
struct policy_writing;
struct resolver;
struct shadow;
struct store_check;
struct signer_edge;
struct workers;

/* The gateway's own addresses: no name may mean them (B2). judge.c */
#define OWN_ADDRESSES_MAX 256
struct own_addresses {
	struct sockaddr_storage list[OWN_ADDRESSES_MAX];
	size_t count;
	uint64_t read_at_ms;
};

struct broker {
	uv_loop_t *loop;
	struct room *room; /* room->conf holds the settings in force */
	struct store *store;
	struct store_check *store_check; /* NULL before and after it */
	char store_finding[256]; /* "running", "good", or what is wrong */
	struct registry registry;
	struct invitations invitations;
	struct issuers issuers;
	struct revocations revocations;
	char authority_pin[65]; /* SHA-256 of the server authority's certificate; empty: laptops trust their system's list */
	struct sessions sessions;
	struct accounts accounts;
	struct tunnels tunnels;
	struct feed_list feeds; /* of all sessions */
	struct policy *policy; /* the one in force */
	struct policy_writing *policy_writing; /* that one's text, until it stands in the store; else NULL */
	struct own_addresses own;
	struct groups *groups;
	struct resolver *resolver;
	struct dial_manner manner;
	struct workers *workers;
	struct conversations *conversations;
	struct login_rates *login_rates;
	struct signer_edge *signer;
	struct courier_edge *courier;
	struct alert_desk *alerts;
	struct checkpoint_desk *checkpoints;
	struct monitor_edge *monitor;
	struct admin *admin; /* the admin socket's */
	struct admin *factor_door; /* the factor socket's */
	struct admin *metrics_door; /* the metrics socket's; NULL: none is configured */
	struct seal seal; /* closes second factors; does not change while the room lives */
	TAILQ_HEAD(, admin_call) reloads; /* admins who wait for the outcome */
	TAILQ_HEAD(, admin_call) files_wanted; /* admins who wait for the signer */
	struct admin_call *applying; /* `policy apply` that waits for its end; NULL: none */
	bool judging; /* the new policy is in force, and live tunnels are being judged by it */
	struct shadow *shadow; /* a policy on trial; NULL: none */
	bool clock_is_behind;    /* of that: set back, and told so */
	int64_t clock_offset_ms; /* judge.c: the wall clock's greatest lead over the monotonic one */
	uint64_t started_at_ms;
	uv_timer_t minute_timer;
	bool trying;             /* a policy is tried on a thread (admin_policy_try.c) */
	atomic_bool trials_over; /* that thread is to come back */
	struct monitor_room_busy busy; /* what the monitor was told last */
	uint64_t judged_minute, judged_furthest_minute; /* since 1970; by the wall clock, by judge_furthest_ms */
	bool stopping, handing_over;
	struct heritage *heritage; /* of the broker before, until it is entered into; NULL: none */
};

/* Counters for `status`. */
struct broker_status {
	uint64_t started_at_ms;
	unsigned devices, sessions, tunnels, connections, conversations;
	unsigned break_glass; /* live sessions by a realm for emergencies */
	unsigned ending_soon; /* certificates that were not renewed */
	unsigned pending;     /* enrolments and late renewals that wait for approval */
	unsigned strangers;   /* unknown devices of trusted authorities that wait to be adopted */
	unsigned stale_lists; /* of other authorities */
	uint64_t behind_s;    /* so much was the clock set back since the start */
	bool signer_connected;
	struct store_health store;
};
void broker_status(const struct broker *broker, struct broker_status *out_status);

#endif
