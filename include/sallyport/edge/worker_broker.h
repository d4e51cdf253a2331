/* worker_broker.h: what one client's worker may ask the broker, and what it is told.
 *
 * First end: a worker. Second end: the broker. `request` is the worker's number of one HTTP request on
 * this connection; every request is answered once, by `problem` or by its own answer. The id that a user
 * sees (request_id) and the audit log holds is "CONNECTION-REQUEST": the connection's id comes with
 * `accepted`. Counterparts: gateway/worker/broker_edge.c and gateway/broker/worker_edge.c.
 */
#ifndef SALLYPORT_EDGE_WORKER_BROKER_H
#define SALLYPORT_EDGE_WORKER_BROKER_H

#include "sallyport/edge.h"

/* States of the broker's end. */
enum worker_broker_state {
	WORKER_BROKER_NEW = 1 << 0,      /* no device yet */
	WORKER_BROKER_PROVING = 1 << 1,  /* registry and signer are asked */
	WORKER_BROKER_ACCEPTED = 1 << 2, /* door one is open */
	WORKER_BROKER_ENDING = 1 << 3,   /* ordered to end; reports only */
	WORKER_BROKER_ENROLLING = 1 << 4, /* the enrolment listener: no device, and no other request */
	WORKER_BROKER_RETURNING = 1 << 5, /* an expired device within renew_grace: login and renewal only */
	WORKER_BROKER_HOST = 1 << 6, /* an internal host: asks for presence, renews its certificate, and nothing else */
};
#define WORKER_BROKER_DEVICE (WORKER_BROKER_ACCEPTED | WORKER_BROKER_RETURNING)
#define WORKER_BROKER_REPORTS \
	(WORKER_BROKER_ACCEPTED | WORKER_BROKER_ENDING | WORKER_BROKER_ENROLLING | WORKER_BROKER_RETURNING | WORKER_BROKER_HOST)

/* `event`s of a feed: it has begun; something ends later than was said; will end; has ended, by order. */
enum worker_broker_event_kind {
	WORKER_BROKER_EVENT_BEGIN = 1,
	WORKER_BROKER_EVENT_EXTENDED,
	WORKER_BROKER_EVENT_ENDING,
	WORKER_BROKER_EVENT_ENDED,
};

/* What `open` is for: a tunnel of the client's, or a request that the worker carries to the target. */
enum worker_broker_form { WORKER_BROKER_CONNECT, WORKER_BROKER_REQUEST, WORKER_BROKER_FORM_COUNT };

#define WORKER_BROKER_TOKEN_MAX 128
#define WORKER_BROKER_CONVERSATION_MAX 32 /* hexadecimal id of a conversation */

#define worker_broker_MESSAGES(M)                                                                             \
	/* ---- door one ---- */                                                                              \
	/* worker: this leaf (SHA-256 of its DER) was proven; the signer holds the proof */                   \
	M(worker_broker, peer, EDGE_FROM_FIRST, WORKER_BROKER_NEW, EDGE_NO_FD)                                \
	/* worker: door one stays shut, by the worker's own checks (a claim); `rejected` comes when it is recorded */              \
	M(worker_broker, peer_refused, EDGE_FROM_FIRST, WORKER_BROKER_NEW | WORKER_BROKER_ENROLLING, EDGE_NO_FD)                        \
	/* broker: the device is known, active and proven */                                                  \
	M(worker_broker, accepted, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                    \
	/* broker: it is not: send the alert that fits the code, and end */                                   \
	M(worker_broker, rejected, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                    \
	/* ---- door two ---- */                                                                              \
	M(worker_broker, login_start, EDGE_FROM_FIRST, WORKER_BROKER_DEVICE, EDGE_NO_FD)                    \
	/* worker: one answer; `login_answer` follows after the last */                                       \
	M(worker_broker, answer_item, EDGE_FROM_FIRST, WORKER_BROKER_DEVICE, EDGE_NO_FD)                    \
	M(worker_broker, login_answer, EDGE_FROM_FIRST, WORKER_BROKER_DEVICE, EDGE_NO_FD)                   \
	/* worker: the user gives up; answered by `login_state` with no messages */                          \
	M(worker_broker, login_cancel, EDGE_FROM_FIRST, WORKER_BROKER_DEVICE, EDGE_NO_FD)                   \
	/* worker: that request about a login, which is not answered yet, has no client any more */            \
	M(worker_broker, login_left, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                      \
	/* worker: the client ends the connection in good order (close_notify), or the worker does */          \
	M(worker_broker, goodbye, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                         \
	/* broker: one message of the conversation; `login_state` follows after the last */                   \
	M(worker_broker, login_message, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	M(worker_broker, login_state, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                 \
	/* broker: the session; `resource_item`s of the same request came before */                           \
	M(worker_broker, login_granted, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	/* ---- session ---- */                                                                               \
	M(worker_broker, session_get, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                    \
	M(worker_broker, session_renew, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                  \
	M(worker_broker, session_end, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                    \
	/* broker: answers session_get and session_renew */                                                   \
	M(worker_broker, session_state, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	/* broker: answers session_end */                                                                     \
	M(worker_broker, session_ended, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	M(worker_broker, resources, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                      \
	/* broker: one resource; `resources_end` (or login_granted) follows after the last */                 \
	M(worker_broker, resource_item, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	M(worker_broker, resources_end, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	/* worker: the portal wants a token for a browser's proxy dialogue; broker: here it is, committed */  \
	M(worker_broker, browser_token, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                  \
	M(worker_broker, browser_token_made, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                          \
	/* worker: what a browser shall send through the gateway; answered as `resources` */                  \
	M(worker_broker, proxy_script, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                   \
	/* ---- tunnels ---- */                                                                               \
	/* worker: open a tunnel; host as the client wrote it; user is empty unless Basic named one. Without a \
	 * token: for the one session of this device that the portal has opened, if its realm has `browser` */ \
	M(worker_broker, open, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                           \
	/* worker: the client no longer waits for that `open`; if it was opened, close it */                  \
	M(worker_broker, open_cancel, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                     \
	/* broker: the row is committed; the descriptor is the connected socket */                            \
	M(worker_broker, opened, EDGE_FROM_SECOND, EDGE_ANY, EDGE_WITH_FD)                                    \
	/* worker: the tunnel is over (byte counts are the worker's claim) */                                 \
	M(worker_broker, tunnel_closed, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                   \
	/* ---- certificates ---- */                                                                           \
	/* worker: a laptop with an invitation wants its first certificate */                                 \
	M(worker_broker, enroll, EDGE_FROM_FIRST, WORKER_BROKER_ENROLLING, EDGE_NO_FD)                        \
	/* worker: this device wants its next certificate */                                                  \
	M(worker_broker, renew, EDGE_FROM_FIRST, WORKER_BROKER_DEVICE | WORKER_BROKER_HOST, EDGE_NO_FD)                            \
	/* broker: here it is (DER), committed */                                                             \
	M(worker_broker, certificate, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                 \
	/* worker: the list of revoked certificates (CRL) is wanted; broker: here it is (DER) */              \
	M(worker_broker, revocations, EDGE_FROM_FIRST, WORKER_BROKER_ENROLLING, EDGE_NO_FD)                   \
	M(worker_broker, revocation_list, EDGE_FROM_SECOND, EDGE_ANY, EDGE_WITH_FD)                           \
	/* broker: an admin must approve it first; ask again with the same key */                             \
	M(worker_broker, pending, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                     \
	/* ---- presence ---- */                                                                              \
	/* worker: a host asks whether that user is here now; broker: the answer, recorded */                 \
	M(worker_broker, presence, EDGE_FROM_FIRST, WORKER_BROKER_HOST, EDGE_NO_FD)                           \
	M(worker_broker, presence_state, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                              \
	/* ---- what a user does by himself ---- */                                                           \
	/* worker: which devices are this user's? `device_item`s, then `devices_end` */                       \
	M(worker_broker, devices, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                        \
	M(worker_broker, device_item, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                 \
	M(worker_broker, devices_end, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                 \
	/* worker: that device of his is lost; broker: it is locked (and `end` follows, when it is this one) */ \
	M(worker_broker, device_lost, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                    \
	M(worker_broker, device_locked, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                               \
	/* worker: his second factor; a new one, its first code, new recovery codes */                        \
	M(worker_broker, factor_get, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                     \
	M(worker_broker, factor_new, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                     \
	M(worker_broker, factor_confirm, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                 \
	M(worker_broker, factor_codes, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                   \
	/* broker: answers factor_get; factor_new; factor_confirm and factor_codes */                         \
	M(worker_broker, factor_state, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                \
	M(worker_broker, factor_made, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                 \
	M(worker_broker, recovery_codes, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                              \
	/* ---- refusals, orders ---- */                                                                      \
	/* broker: the answer to any request that is refused */                                               \
	M(worker_broker, problem, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                     \
	/* worker: a request that the worker refuses by itself; `problem` comes when it is recorded */                            \
	M(worker_broker, refusal, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                         \
	/* broker: close that tunnel; with tunnel = 0 every tunnel of that session, with session = 0 too every \
	 * one; report each, then `ended`; with connection = 1 end the connection too */                      \
	M(worker_broker, end, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                         \
	/* worker: that order is carried out */                                                               \
	M(worker_broker, ended, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                           \
	/* ---- limits ---- */                                                                                \
	/* broker: another limit: of one tunnel, or (tunnel 0) of all of the group; rate 0: none */           \
	M(worker_broker, rate, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                        \
	/* ---- events ---- */                                                                                \
	/* worker: tell what ends, until `events_stop`, the session's end, or the connection's */             \
	M(worker_broker, events, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED, EDGE_NO_FD)                         \
	M(worker_broker, events_stop, EDGE_FROM_FIRST, WORKER_BROKER_REPORTS, EDGE_NO_FD)                     \
	M(worker_broker, event, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                       \
	/* broker: one of the session's tunnels; session_state follows after the last */                      \
	M(worker_broker, session_tunnel, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                              \
	/* ---- before door one ---- */                                                                       \
	/* worker: so says the trusted sender of its client (empty: it speaks for itself); believed only where the monitor \
	 * has told of such a sender */                                                                       \
	M(worker_broker, proxied, EDGE_FROM_FIRST, WORKER_BROKER_NEW | WORKER_BROKER_ENROLLING, EDGE_NO_FD) \
	/* ---- a restart of the gateway ---- */                                                              \
	/* broker: my last word. What follows the first `taken` messages of yours is for my successor; what I took and have not \
	 * answered, nobody answers. The edge stays; without `adopted` within handover_limit: end */          \
	M(worker_broker, handover, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)                                    \
	/* the next broker: you and your tunnels are known */                                                 \
	M(worker_broker, adopted, EDGE_FROM_SECOND, EDGE_ANY, EDGE_NO_FD)

/* leaf: the DER behind the fingerprint; kept only where unknown devices may be adopted */
#define worker_broker_peer_FIELDS(F) \
	F(bytes, fingerprint, 32) F(str, protocol, 16) F(str, suite, 64) F(bytes, leaf, 16384)
#define worker_broker_peer_refused_FIELDS(F) F(str, code, 32) F(str, detail, 512) F(bytes, fingerprint, 32) F(u8, undecided, 0)
/* device: empty on the enrolment listener. returning: WORKER_BROKER_RETURNING; host: WORKER_BROKER_HOST */
#define worker_broker_accepted_FIELDS(F) F(str, connection, 32) F(str, device, 64) F(u8, returning, 0) F(u8, host, 0)
#define worker_broker_rejected_FIELDS(F) F(str, code, 32)
/* realm: empty: the gateway chooses. portal: 1: a login by the portal; its token becomes a cookie */
#define worker_broker_login_start_FIELDS(F) F(u32, request, 0) F(str, user, 256) F(str, realm, 32) F(u8, portal, 0)
#define worker_broker_answer_item_FIELDS(F) F(u32, request, 0) F(secret, text, 65536)
#define worker_broker_login_answer_FIELDS(F)                                                          \
	F(u32, request, 0) F(str, conversation, WORKER_BROKER_CONVERSATION_MAX) F(u32, answers, 0)
#define worker_broker_login_cancel_FIELDS(F)                                                          \
	F(u32, request, 0) F(str, conversation, WORKER_BROKER_CONVERSATION_MAX)
#define worker_broker_login_left_FIELDS(F) F(u32, request, 0)
#define worker_broker_goodbye_FIELDS(F)
/* style: enum conversation_style */
#define worker_broker_login_message_FIELDS(F) F(u32, request, 0) F(u8, style, 0) F(str, text, 8192)
/* prompting: 1 when answers are wanted ("prompt"), 0 when there is only text to show ("info") */
#define worker_broker_login_state_FIELDS(F)                                                           \
	F(u32, request, 0) F(str, conversation, WORKER_BROKER_CONVERSATION_MAX) F(u8, prompting, 0)
#define worker_broker_login_granted_FIELDS(F)                                                         \
	F(u32, request, 0) F(str, user, 256) F(secret, token, WORKER_BROKER_TOKEN_MAX) F(u64, expires_at_ms, 0) \
	F(u8, portal, 0)
#define worker_broker_session_get_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_session_renew_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_session_end_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* portal: the portal has opened it; browser: its realm lets a browser in by it, without a token */
#define worker_broker_session_state_FIELDS(F)                                                         \
	F(u32, request, 0) F(str, session, 32) F(str, user, 256) F(str, device, 64)                   \
	F(u64, created_at_ms, 0) F(u64, expires_at_ms, 0) F(u64, login_at_ms, 0) F(u32, tunnels, 0)                   \
	F(str, realm, 32) F(u8, portal, 0) F(u8, browser, 0)
#define worker_broker_session_ended_FIELDS(F) F(u32, request, 0) F(u32, tunnels, 0)
#define worker_broker_resources_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* kind: as in the policy; addresses: one per line; missing: empty when allowed, else what the user may know is missing */
#define worker_broker_resource_item_FIELDS(F)                                                         \
	F(u32, request, 0) F(str, name, 128) F(str, description, 512) F(str, kind, 16) F(str, addresses, 8192) \
	F(u8, allowed, 0) F(str, missing, 256) F(str, code, 32)
#define worker_broker_resources_end_FIELDS(F) F(u32, request, 0)
#define worker_broker_browser_token_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_browser_token_made_FIELDS(F)                                                    \
	F(u32, request, 0) F(str, user, 256) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* token: as for `open` */
#define worker_broker_proxy_script_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* form: enum worker_broker_form */
#define worker_broker_open_FIELDS(F)                                                                  \
	F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX) F(str, user, 256)                \
	F(str, host, 255) F(u32, port, 0) F(u8, form, 0)
#define worker_broker_open_cancel_FIELDS(F) F(u32, request, 0)
/* rate: bytes a second, each way, that this worker's tunnels of the group share; 0: no limit */
#define worker_broker_opened_FIELDS(F)                                                                \
	F(u32, request, 0) F(u64, tunnel, 0) F(u64, session, 0) F(u64, rate_group, 0) F(u64, rate, 0)
#define worker_broker_proxied_FIELDS(F) F(str, address, 64) F(u32, port, 0)
#define worker_broker_events_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_events_stop_FIELDS(F) F(u32, request, 0)
/* kind: enum worker_broker_event_kind; tunnel 0: of the session, and its ENDED is the last one; at_ms: when it ends or ended */
#define worker_broker_event_FIELDS(F)                                                                 \
	F(u32, request, 0) F(u8, kind, 0) F(u64, tunnel, 0) F(str, host, 255) F(u32, port, 0)         \
	F(u64, at_ms, 0) F(str, reason, 32)
/* ends_at_ms 0: not within a day; idle_limit_ms, rate 0: none */
#define worker_broker_session_tunnel_FIELDS(F)                                                        \
	F(u32, request, 0) F(u64, tunnel, 0) F(str, host, 255) F(u32, port, 0) F(u64, opened_at_ms, 0) \
	F(u64, ends_at_ms, 0) F(str, reason, 32) F(u64, idle_limit_ms, 0) F(u64, rate, 0)
#define worker_broker_rate_FIELDS(F) F(u64, tunnel, 0) F(u64, rate_group, 0) F(u64, rate, 0)
/* names: that the request asks for, one a line. key_kind: "ec-p256", of the key itself; key_store: "software" "pkcs11" "tpm" or empty, the laptop's claim */
#define worker_broker_enroll_FIELDS(F)                                                                \
	F(u32, request, 0) F(str, invitation, 32) F(secret, secret, WORKER_BROKER_TOKEN_MAX)          \
	F(bytes, public_key, 4096) F(str, key_kind, 16) F(str, key_store, 16) F(str, names, 1024)
#define worker_broker_renew_FIELDS(F)                                                                 \
	F(u32, request, 0) F(bytes, public_key, 4096) F(str, key_kind, 16) F(str, key_store, 16) F(str, names, 1024)
#define worker_broker_certificate_FIELDS(F) F(u32, request, 0) F(bytes, certificate, 16384)
#define worker_broker_revocations_FIELDS(F) F(u32, request, 0)
#define worker_broker_revocation_list_FIELDS(F) F(u32, request, 0) F(u32, size, 0)
#define worker_broker_pending_FIELDS(F) F(u32, request, 0) F(u32, retry_after_s, 0)
/* reason: "client_fin" "target_fin" "client_reset" "target_reset" "ended" "connection_lost" ... */
#define worker_broker_tunnel_closed_FIELDS(F)                                                         \
	F(u64, tunnel, 0) F(u64, bytes_to_target, 0) F(u64, bytes_to_client, 0) F(str, reason, 32)
/* fresh_ms: how old the login may be; 0: any. source, target: the ends of the user's connection to the host, as the host
 * sees them (4 or 16 bytes, in the order of the network); both empty: it is not asked by which way he came */
#define worker_broker_presence_FIELDS(F)                                                              \
	F(u32, request, 0) F(str, user, 256) F(str, service, 64) F(u64, fresh_ms, 0)                  \
	F(bytes, source, 16) F(u32, source_port, 0) F(bytes, target, 16) F(u32, target_port, 0)
/* code: why not; empty when present */
#define worker_broker_presence_state_FIELDS(F) F(u32, request, 0) F(u8, present, 0) F(str, code, 32)
#define worker_broker_devices_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* times 0: never, or none; places: "MILLISECONDS ADDRESS", one a line, the newest first; sessions: his live ones there */
#define worker_broker_device_item_FIELDS(F)                                                           \
	F(u32, request, 0) F(str, name, 64) F(str, state, 16) F(u8, is_this, 0) F(u64, enrolled_at_ms, 0) \
	F(u64, expires_at_ms, 0) F(u64, last_seen_at_ms, 0) F(str, last_address, 64)                  \
	F(str, places, 1024) F(u32, sessions, 0)
/* self_service: the user may change something himself */
#define worker_broker_devices_end_FIELDS(F) F(u32, request, 0) F(u8, self_service, 0)
#define worker_broker_device_lost_FIELDS(F)                                                           \
	F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX) F(str, device, 64)
#define worker_broker_device_locked_FIELDS(F) F(u32, request, 0) F(u32, sessions, 0) F(u32, tunnels, 0)
#define worker_broker_factor_get_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_factor_new_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
#define worker_broker_factor_confirm_FIELDS(F)                                                        \
	F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX) F(secret, code, 128)
#define worker_broker_factor_codes_FIELDS(F) F(u32, request, 0) F(secret, token, WORKER_BROKER_TOKEN_MAX)
/* managed: the gateway keeps second factors; state: "none" "pending" "active"; times 0: never */
#define worker_broker_factor_state_FIELDS(F)                                                          \
	F(u32, request, 0) F(u8, managed, 0) F(u8, self_service, 0) F(str, state, 16)                 \
	F(u64, created_at_ms, 0) F(u64, used_at_ms, 0) F(u32, recovery_left, 0)
#define worker_broker_factor_made_FIELDS(F) F(u32, request, 0) F(secret, secret, 64) F(secret, uri, 4096)
/* one a line */
#define worker_broker_recovery_codes_FIELDS(F) F(u32, request, 0) F(secret, codes, 512)
#define worker_broker_problem_FIELDS(F)                                                               \
	F(u32, request, 0) F(u32, status, 0) F(str, code, 32) F(str, sentence, 512) F(u32, retry_after_s, 0)
#define worker_broker_handover_FIELDS(F) F(u64, taken, 0)
#define worker_broker_adopted_FIELDS(F)
#define worker_broker_refusal_FIELDS(F) F(u32, request, 0) F(u32, status, 0) F(str, code, 32) F(str, sentence, 512)
#define worker_broker_end_FIELDS(F)                                                                   \
	F(u32, order, 0) F(u64, session, 0) F(u64, tunnel, 0) F(u8, connection, 0) F(str, reason, 32)
#define worker_broker_ended_FIELDS(F) F(u32, order, 0) F(u32, tunnels, 0)
EDGE_DECLARE(worker_broker)

#endif
