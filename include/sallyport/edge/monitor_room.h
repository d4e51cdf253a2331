/* monitor_room.h: what the monitor and each room say to one another.
 *
 * First end: the monitor. Second end: a room. Life of the edge: the monitor sends settings and
 * descriptors, then `begin`; the room takes what it needs, locks the door and answers `ready` (or
 * `failed` with one sentence). From then on only what is allowed to its role. Counterparts:
 * gateway/monitor/rooms.c and gateway/room/room.c.
 */
#ifndef SALLYPORT_EDGE_MONITOR_ROOM_H
#define SALLYPORT_EDGE_MONITOR_ROOM_H

#include "sallyport/edge.h"

/* States of both ends: what the room is doing, or which room it is once it works. */
enum monitor_room_state {
	MONITOR_ROOM_STARTING = 1 << 0,
	MONITOR_ROOM_BROKER = 1 << 1,
	MONITOR_ROOM_SIGNER = 1 << 2,
	MONITOR_ROOM_TEMPLATE = 1 << 3,     /* the worker's template, which forks workers */
	MONITOR_ROOM_WORKER = 1 << 4,       /* one worker */
	MONITOR_ROOM_CONVERSATION = 1 << 5,
	MONITOR_ROOM_COURIER = 1 << 6,
};
#define MONITOR_ROOM_KEEPERS (MONITOR_ROOM_BROKER | MONITOR_ROOM_SIGNER)

/* `listener`: where a client came in. */
enum monitor_room_listener {
	MONITOR_ROOM_MAIN = 1,      /* a device: door one, door two, tunnels */
	MONITOR_ROOM_ENROLMENT = 2, /* a laptop with an invitation and no certificate yet */
};

#define monitor_room_MESSAGES(M)                                                                              \
	/* monitor -> room: one configuration key in its canonical spelling (conf.h) */                       \
	M(monitor_room, setting, EDGE_FROM_FIRST, MONITOR_ROOM_STARTING | MONITOR_ROOM_KEEPERS, EDGE_NO_FD)   \
	/* monitor -> room: an open file or listener; purpose is one of MONITOR_ROOM_PURPOSE_... */           \
	M(monitor_room, descriptor, EDGE_FROM_FIRST,                                                          \
	  MONITOR_ROOM_STARTING | MONITOR_ROOM_KEEPERS | MONITOR_ROOM_COURIER, EDGE_WITH_FD)                  \
	/* monitor -> room: all is sent; lock the door and begin */                                           \
	M(monitor_room, begin, EDGE_FROM_FIRST, MONITOR_ROOM_STARTING, EDGE_NO_FD)                            \
	/* room -> monitor: the door is locked; `missing` names walls that an ordinary user cannot build */   \
	M(monitor_room, ready, EDGE_FROM_SECOND, MONITOR_ROOM_STARTING, EDGE_NO_FD)                           \
	/* room -> monitor: it cannot start, and why */                                                       \
	M(monitor_room, failed, EDGE_FROM_SECOND, MONITOR_ROOM_STARTING, EDGE_NO_FD)                          \
	/* monitor -> broker, signer: the settings and descriptors since the last `reload` are the new ones */\
	M(monitor_room, reload, EDGE_FROM_FIRST, MONITOR_ROOM_KEEPERS, EDGE_NO_FD)                            \
	/* broker, signer -> monitor: taken (good = 1), or the old ones stay in force (good = 0), and why */  \
	M(monitor_room, reloaded, EDGE_FROM_SECOND, MONITOR_ROOM_KEEPERS, EDGE_NO_FD)                         \
	/* broker -> monitor: an admin wants a reload, as by SIGHUP */                                        \
	M(monitor_room, reload_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	/* monitor -> broker: a reload is over: done (good = 1), or all stayed as it was, and why */          \
	M(monitor_room, reload_over, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                        \
	/* monitor -> broker, signer: the edge of a new worker */                                             \
	M(monitor_room, worker, EDGE_FROM_FIRST, MONITOR_ROOM_KEEPERS, EDGE_WITH_FD)                          \
	/* monitor -> broker: that worker now serves a client who connects from this address */               \
	M(monitor_room, worker_client, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                      \
	/* broker -> monitor: that worker's client has passed door one */                                     \
	M(monitor_room, door_one, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                          \
	/* broker -> monitor: that worker's client has left, or waited too long, before it showed a certificate */ \
	M(monitor_room, undecided, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                         \
	/* broker -> monitor: kill that worker now */                                                         \
	M(monitor_room, kill_worker, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                       \
	/* broker -> monitor: start a conversation and send me its edge (no payload, by design) */            \
	M(monitor_room, conversation_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)               \
	/* monitor -> broker: the edge of a conversation; answers come in the order of the requests */        \
	M(monitor_room, conversation, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_WITH_FD)                     \
	/* monitor -> broker: no conversation could be started */                                             \
	M(monitor_room, conversation_failed, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                \
	/* monitor -> template: fork a worker whose monitor edge is this descriptor */                        \
	M(monitor_room, fork_worker, EDGE_FROM_FIRST, MONITOR_ROOM_TEMPLATE, EDGE_WITH_FD)                    \
	/* template -> monitor: forked; the descriptor is its pidfd */                                        \
	M(monitor_room, worker_forked, EDGE_FROM_SECOND, MONITOR_ROOM_TEMPLATE, EDGE_WITH_FD)                 \
	/* monitor -> worker: its edge to the broker, then its edge to the signer, then, later, its client */ \
	M(monitor_room, broker_edge, EDGE_FROM_FIRST, MONITOR_ROOM_WORKER, EDGE_WITH_FD)                      \
	M(monitor_room, signer_edge, EDGE_FROM_FIRST, MONITOR_ROOM_WORKER, EDGE_WITH_FD)                      \
	M(monitor_room, client, EDGE_FROM_FIRST, MONITOR_ROOM_WORKER, EDGE_WITH_FD)                           \
	/* monitor -> any room: end in good order */                                                          \
	M(monitor_room, stop, EDGE_FROM_FIRST, EDGE_ANY, EDGE_NO_FD)                                          \
	/* broker -> monitor: a login of a client at this address was refused */                              \
	M(monitor_room, login_refused, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	/* monitor -> broker: a room (perhaps you, before) has ended and was started again */                 \
	M(monitor_room, room_restarted, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	/* broker -> monitor: which sources have failed? Answered by items and their end, in the order asked */\
	M(monitor_room, sources_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                    \
	M(monitor_room, source_item, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                        \
	M(monitor_room, sources_end, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                        \
	/* broker -> monitor: forget this source (empty: all); answered by how many, good = 0 for no address */\
	M(monitor_room, sources_clear, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	M(monitor_room, sources_cleared, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                    \
	/* broker -> monitor: behind its trusted sender that worker's client is here (empty: the sender itself) */ \
	M(monitor_room, client_behind, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	/* broker -> monitor: open that authority's list of revoked certificates; answered by a descriptor (issuer_list), or: */ \
	M(monitor_room, list_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                       \
	M(monitor_room, list_missing, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                       \
	/* monitor -> worker: the client behind the sender is welcome: begin the handshake */                 \
	M(monitor_room, client_welcome, EDGE_FROM_FIRST, MONITOR_ROOM_WORKER, EDGE_NO_FD)                     \
	/* monitor -> broker: a successor comes: leave live tunnels to it, and end in good order */           \
	M(monitor_room, hand_over, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                          \
	/* broker -> monitor: this is for the successor; kind: enum handover_kind. The state comes last */    \
	M(monitor_room, keep, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_WITH_FD)                            \
	/* broker -> monitor: so much is going on, for systemctl status */                                    \
	M(monitor_room, busy, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                              \
	/* broker -> monitor: how many? Answered in the order asked */                                        \
	M(monitor_room, counts_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                     \
	M(monitor_room, counts, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                             \
	/* broker -> monitor: who runs? Answered by items and their end, in the order asked */                \
	M(monitor_room, rooms_wanted, EDGE_FROM_SECOND, MONITOR_ROOM_BROKER, EDGE_NO_FD)                      \
	M(monitor_room, room_item, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)                          \
	M(monitor_room, rooms_end, EDGE_FROM_FIRST, MONITOR_ROOM_BROKER, EDGE_NO_FD)

#define monitor_room_setting_FIELDS(F) F(str, name, 64) F(str, value, 16384)
#define monitor_room_descriptor_FIELDS(F) F(str, purpose, 64) F(str, name, 4096)
#define monitor_room_begin_FIELDS(F)
#define monitor_room_ready_FIELDS(F) F(str, missing, 512)
#define monitor_room_failed_FIELDS(F) F(str, sentence, 767)
#define monitor_room_reload_FIELDS(F)
#define monitor_room_reloaded_FIELDS(F) F(u8, good, 0) F(str, sentence, 767)
#define monitor_room_reload_wanted_FIELDS(F)
#define monitor_room_reload_over_FIELDS(F) F(u8, good, 0) F(str, sentence, 767)
#define monitor_room_worker_FIELDS(F) F(u64, worker, 0)
/* proxied: the address is that of a trusted sender (proxy_protocol_from), who says first where the client is */
#define monitor_room_worker_client_FIELDS(F) \
	F(u64, worker, 0) F(str, address, 64) F(u32, port, 0) F(u8, listener, 0) F(u8, proxied, 0)
#define monitor_room_door_one_FIELDS(F) F(u64, worker, 0)
#define monitor_room_undecided_FIELDS(F) F(u64, worker, 0)
#define monitor_room_kill_worker_FIELDS(F) F(u64, worker, 0)
#define monitor_room_conversation_wanted_FIELDS(F)
#define monitor_room_conversation_FIELDS(F)
#define monitor_room_conversation_failed_FIELDS(F)
#define monitor_room_fork_worker_FIELDS(F) F(u64, worker, 0)
#define monitor_room_worker_forked_FIELDS(F) F(u64, worker, 0)
#define monitor_room_broker_edge_FIELDS(F)
#define monitor_room_signer_edge_FIELDS(F)
#define monitor_room_client_FIELDS(F) F(str, address, 64) F(u32, port, 0) F(u8, listener, 0) F(u8, proxied, 0)
#define monitor_room_client_behind_FIELDS(F) F(u64, worker, 0) F(str, address, 64)
#define monitor_room_client_welcome_FIELDS(F)
#define monitor_room_list_wanted_FIELDS(F) F(str, issuer, 32)
#define monitor_room_list_missing_FIELDS(F) F(str, issuer, 32) F(str, sentence, 767)
#define monitor_room_hand_over_FIELDS(F)
#define monitor_room_keep_FIELDS(F) F(u8, kind, 0) F(u64, number, 0)
#define monitor_room_busy_FIELDS(F) F(u32, sessions, 0) F(u32, tunnels, 0) F(u8, trouble, 0)
#define monitor_room_counts_wanted_FIELDS(F)
#define monitor_room_counts_FIELDS(F) \
	F(u64, dropped_source, 0) F(u64, dropped_early, 0) F(u64, evicted, 0) F(u32, strangers, 0) F(u32, workers, 0)
#define monitor_room_rooms_wanted_FIELDS(F)
/* process 0: it does not run now. restarts: since the monitor's own start */
#define monitor_room_room_item_FIELDS(F) F(str, room, 64) F(u32, process, 0) F(u64, age_ms, 0) F(u32, restarts, 0)
#define monitor_room_rooms_end_FIELDS(F) F(u32, workers, 0) F(u32, spares, 0) F(u32, strangers, 0) F(u32, conversations, 0)
#define monitor_room_stop_FIELDS(F)
#define monitor_room_login_refused_FIELDS(F) F(str, address, 64)
#define monitor_room_room_restarted_FIELDS(F) F(str, room, 64) F(str, cause, 64)
#define monitor_room_sources_wanted_FIELDS(F)
#define monitor_room_source_item_FIELDS(F) \
	F(str, source, 64) F(u64, penalty_ms, 0) F(u8, refusing, 0) F(u32, failures, 0) F(u32, refused, 0)
#define monitor_room_sources_end_FIELDS(F) \
	F(u64, dropped_source, 0) F(u64, dropped_early, 0) F(u64, evicted, 0) F(u32, strangers, 0) F(u32, remembered, 0) F(u32, places, 0)
#define monitor_room_sources_clear_FIELDS(F) F(str, source, 64)
#define monitor_room_sources_cleared_FIELDS(F) F(u8, good, 0) F(u32, count, 0)
EDGE_DECLARE(monitor_room)

#define MONITOR_ROOM_SOURCE_CHARACTERS 64

/* Purposes of `descriptor`. Files are opened read-only by the monitor and checked for owner and mode. */
#define MONITOR_ROOM_PURPOSE_SERVER_KEY "server_key"                 /* signer; the PIN when the key is in a token */
#define MONITOR_ROOM_PURPOSE_AUTHORITY_KEY "device_authority_key"    /* signer; the same */
#define MONITOR_ROOM_PURPOSE_AUTHORITY "device_authority"            /* signer, template, broker (PEM) */
#define MONITOR_ROOM_PURPOSE_SERVER_CERTIFICATE "server_certificate" /* template, signer, broker (PEM chain) */
#define MONITOR_ROOM_PURPOSE_SERVER_AUTHORITY "server_authority"     /* template, broker (PEM); only when configured */
#define MONITOR_ROOM_PURPOSE_POLICY "policy"                         /* broker; name is the path; once per file, in order */
#define MONITOR_ROOM_PURPOSE_ADMIN_LISTENER "admin_listener"         /* broker; a listening unix stream socket */
#define MONITOR_ROOM_PURPOSE_FACTOR_LISTENER "factor_listener"       /* broker; a listening unix stream socket */
#define MONITOR_ROOM_PURPOSE_METRICS_LISTENER "metrics_listener"     /* broker; a listening stream socket, unix or of loopback; when configured */
#define MONITOR_ROOM_PURPOSE_ALERT_SECRET "alert_secret"             /* courier; name is the alert's */
#define MONITOR_ROOM_PURPOSE_AUDIT_KEY "audit_key"                   /* signer; not there when there is no such file */
#define MONITOR_ROOM_PURPOSE_FACTOR_KEY "factor_key"                 /* broker; not there when there is no such file */
#define MONITOR_ROOM_PURPOSE_ISSUER "issuer"           /* signer, broker; name is the authority section's (PEM) */
#define MONITOR_ROOM_PURPOSE_ISSUER_LIST "issuer_list" /* broker, in its working state; name is the section's */
/* The two ends of the broker_signer edge, and of broker_courier. At the start of both; and again, in the working state, to the one
 * that lives on when the other was started anew: then it takes the place of the old edge at once. */
#define MONITOR_ROOM_PURPOSE_BROKER_EDGE "broker_edge" /* signer, courier: its edge to the broker */
#define MONITOR_ROOM_PURPOSE_SIGNER_EDGE "signer_edge" /* broker: its edge to the signer */
#define MONITOR_ROOM_PURPOSE_COURIER_EDGE "courier_edge" /* broker: its edge to the courier */
/* What the former broker has left (edge/handover.h); name is the number of the worker, tunnel or session. */
#define MONITOR_ROOM_PURPOSE_KEPT_EDGE "kept_edge"     /* broker */
#define MONITOR_ROOM_PURPOSE_KEPT_TARGET "kept_target" /* broker */
#define MONITOR_ROOM_PURPOSE_KEPT_STATE "kept_state"   /* broker */
#define MONITOR_ROOM_PURPOSE_KEPT_PAM_SESSION "kept_pam_session" /* broker */

#endif
