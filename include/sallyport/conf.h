/* conf.h: the one table of configuration keys of gateway.conf.
 *
 * Parser (gateway/monitor/conf_file.c), `-T`, the sample file of `init`, the man page and the settings
 * that travel to the rooms all come from CONF_KEYS. To add a key, add a row.
 *
 * Row: K(kind, name, default, minimum, maximum, rooms, documentation). Kinds: TEXT, PATH (absolute), KEY (a
 * private key: an absolute path or the URL of a token's object, token_url.h),
 * DURATION (milliseconds inside, unit demanded in the file), SIZE (bytes, unit demanded), COUNT, FLAG
 * ("yes"/"no" in text), LIST (of text; held as one string with a newline after each item), REALMS, ALERTS and
 * ISSUERS (sections: realm.h, alert.h, issuer.h).
 */
#ifndef SALLYPORT_CONF_H
#define SALLYPORT_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

enum conf_room {
	CONF_MONITOR = 1 << 0,
	CONF_WORKER = 1 << 1,
	CONF_SIGNER = 1 << 2,
	CONF_BROKER = 1 << 3,
	CONF_CONVERSATION = 1 << 4,
	CONF_COURIER = 1 << 5,
};

#define CONF_SECOND 1000
#define CONF_MINUTE (60 * CONF_SECOND)
#define CONF_HOUR (60 * CONF_MINUTE)
#define CONF_DAY (24 * CONF_HOUR)

#define CONF_KEYS(K)                                                                                                  \
	/* where */                                                                                                   \
	K(TEXT, name, "", 1, 253, CONF_MONITOR | CONF_WORKER | CONF_BROKER | CONF_SIGNER | CONF_COURIER, "Host name of this gateway, as clients know it.") \
	K(LIST, listen, "0.0.0.0:443\n[::]:443\n", 1, 16, CONF_MONITOR | CONF_WORKER | CONF_BROKER, "Addresses of the main listener, as ADDRESS:PORT.") \
	K(LIST, enroll_listen, "", 0, 16, CONF_MONITOR | CONF_BROKER, "Addresses of the enrolment listener, as ADDRESS:PORT; empty: nobody can enrol.") \
	K(TEXT, public_address, "", 0, 300, CONF_WORKER | CONF_BROKER, "HOST:PORT of the main listener as laptops reach it; empty: name, and the port of the first listen.") \
	K(TEXT, public_enroll_address, "", 0, 300, CONF_BROKER, "HOST:PORT of the enrolment listener as laptops reach it; empty: name, and the port of the first enroll_listen.") \
	K(PATH, store, "/var/lib/sallyport/sallyport.db", 1, 4095, CONF_MONITOR | CONF_BROKER, "The SQLite store; its folder belongs to broker_user.") \
	K(PATH, policy, "/etc/sallyport/policy.conf", 1, 4095, CONF_MONITOR | CONF_BROKER, "The policy file.")        \
	K(PATH, policy_directory, "/etc/sallyport/policy.d", 0, 4095, CONF_MONITOR | CONF_BROKER, "More policy files (*.conf), read after the policy file in the order of their names; and expectations (*.expect) for sallyport-admin policy check.") \
	K(PATH, admin_socket, "/run/sallyport/admin.sock", 1, 107, CONF_MONITOR | CONF_BROKER, "Socket of sallyport-admin.") \
	K(TEXT, metrics_listen, "", 0, 107, CONF_MONITOR | CONF_BROKER, "Where Prometheus reads metrics: the path of a socket, which root and admin_users may use, or a loopback address with port (127.0.0.1:9469), which every process of this host may use; empty: nowhere. Takes a restart.") \
	K(LIST, admin_users, "", 0, 64, CONF_BROKER, "Users who may use the admin socket besides root.")              \
	/* keys */                                                                                                    \
	K(PATH, server_certificate, "/etc/sallyport/server.crt", 1, 4095, CONF_MONITOR | CONF_BROKER, "Certificate chain that the gateway shows (PEM).") \
	K(KEY, server_key, "/etc/sallyport/server.key", 1, 4095, CONF_MONITOR | CONF_SIGNER | CONF_BROKER, "Its private key: a PEM file readable by root only, or pkcs11:...?pin-source=file:/PATH of a key in a token.") \
	K(PATH, server_authority, "", 0, 4095, CONF_MONITOR | CONF_BROKER, "What laptops must trust to know this gateway (PEM), pinned by invitations; empty: their system's trust list.") \
	K(PATH, server_authority_key, "", 0, 4095, CONF_BROKER, "Its private key (PEM), where it is the gateway's own: for sallyport-admin server renew.") \
	K(PATH, device_authority, "/etc/sallyport/device-ca.crt", 1, 4095, CONF_MONITOR | CONF_BROKER, "Authorities that device certificates must chain to (PEM): the own one, and others that are trusted or retired.") \
	K(KEY, device_authority_key, "/etc/sallyport/device-ca.key", 1, 4095, CONF_MONITOR | CONF_SIGNER | CONF_BROKER, "The private key of the own authority: a PEM file readable by root only, or pkcs11:...?pin-source=file:/PATH.") \
	K(PATH, token_module, "", 0, 4095, CONF_SIGNER | CONF_BROKER, "PKCS#11 module of keys in tokens, instead of those that p11-kit is configured with.") \
	K(LIST, token_paths, "", 0, 16, CONF_SIGNER, "Files, folders and devices that the PKCS#11 module reads and writes at work.") \
	K(LIST, token_environment, "", 0, 16, CONF_SIGNER | CONF_BROKER, "Environment that the PKCS#11 module wants, as NAME=VALUE.") \
	K(ISSUERS, authority, "", 0, 16, CONF_MONITOR | CONF_BROKER, "Sections of other authorities whose device certificates count: where their lists of revoked certificates are; see AUTHORITIES.") \
	K(DURATION, certificate_life, "30d", CONF_HOUR, 825ULL * CONF_DAY, CONF_BROKER, "Life of a new device certificate.") \
	K(DURATION, renew_grace, "0s", 0, 365ULL * CONF_DAY, CONF_WORKER | CONF_BROKER, "For so long after its end a certificate may still be renewed, after a login of one of the device's users; for nothing else.") \
	K(DURATION, renew_overlap, "10m", 0, CONF_DAY, CONF_BROKER, "For so long after the first use of its successor a certificate is refused without an alarm.") \
	K(FLAG, copied_key_locks, "yes", 0, 0, CONF_BROKER, "Lock a device whose superseded certificate is used (a copied key); no: only raise the alarm.") \
	/* enrolment */                                                                                               \
	K(FLAG, adopt_unknown, "no", 0, 0, CONF_BROKER, "Keep unknown certificates that chain to a trusted authority for: sallyport-admin device pending, device adopt.") \
	K(DURATION, invitation_life, "1d", CONF_MINUTE, 90ULL * CONF_DAY, CONF_BROKER, "How long an invitation is good for.") \
	K(COUNT, invitation_attempts, "5", 1, 1000, CONF_BROKER, "Wrong secrets until an invitation is withdrawn.")   \
	K(FLAG, enroll_needs_approval, "no", 0, 0, CONF_BROKER, "An enrolment waits for: sallyport-admin device approve.") \
	K(COUNT, devices_per_user, "10", 1, 100000, CONF_BROKER, "Most devices of one user, open invitations included.") \
	/* identities */                                                                                              \
	K(TEXT, worker_user, "sallyport-worker", 1, 64, CONF_MONITOR | CONF_WORKER, "Identity of the workers: a user name or a number.") \
	K(TEXT, signer_user, "sallyport-signer", 1, 64, CONF_MONITOR | CONF_SIGNER, "Identity of the signer: a user name or a number.") \
	K(TEXT, broker_user, "sallyport-broker", 1, 64, CONF_MONITOR | CONF_BROKER, "Identity of the broker: a user name or a number.") \
	K(TEXT, conversation_user, "root", 1, 64, CONF_MONITOR | CONF_BROKER | CONF_CONVERSATION, "Identity in which PAM runs: a user name or a number; pam_unix needs root.") \
	K(TEXT, courier_user, "sallyport-courier", 1, 64, CONF_MONITOR | CONF_COURIER, "Identity of the courier: a user name or a number.") \
	/* the user's door */                                                                                         \
	K(TEXT, pam_service, "sallyport", 1, 64, CONF_MONITOR | CONF_CONVERSATION, "PAM service of the user's door.")  \
	K(REALMS, realm, "", 0, 32, CONF_MONITOR | CONF_BROKER | CONF_CONVERSATION, "Sections with a PAM service of their own: the first one that fits the user's groups and the device's tags is taken; without one pam_service.") \
	K(FLAG, browser, "no", 0, 0, CONF_BROKER, "Let browsers in by sessions of the realm default that the portal has opened: a proxy request without a token, from the same device, counts for such a session. Other realms say so themselves; see REALMS.") \
	K(PATH, pam_directory, "", 0, 4095, CONF_MONITOR | CONF_CONVERSATION, "Folder of the PAM service file, instead of /etc/pam.d.") \
	K(PATH, factor_socket, "/run/sallyport/factor.sock", 1, 107, CONF_MONITOR | CONF_BROKER, "Socket of pam_sallyport's second factor; root and conversation_user may use it.") \
	K(PATH, factor_key, "/etc/sallyport/factor.key", 1, 4095, CONF_MONITOR, "Key that seals the second factors in the store; readable by root only, read at start. Without the file nobody has a second factor here.") \
	K(TEXT, factor_enroll, "admin", 1, 16, CONF_BROKER, "Who enrols a second factor: admin, or first-login: the user himself too, in the conversation or when he is logged in.") \
	K(COUNT, factor_window, "1", 0, 20, CONF_BROKER, "A one-time code is taken so many steps of 30 s before and after its own.") \
	K(COUNT, factor_attempts, "5", 1, 1000, CONF_BROKER, "From so many wrong codes in a row on, each further one doubles the wait, from 30 s to an hour.") \
	K(FLAG, self_service, "yes", 0, 0, CONF_BROKER, "Users may themselves declare a device of theirs lost, which locks it, replace their second factor, and make new recovery codes. What they have they see in any case.") \
	K(DURATION, self_service_fresh_login, "10m", CONF_SECOND, CONF_DAY, CONF_BROKER, "For a new second factor or new recovery codes the login may be so old at most; where there is a factor, it must have been given in that login.") \
	K(LIST, pam_writable, "/run/faillock\n/var/run/faillock\n/var/lib/sallyport-pam\n", 0, 32, CONF_CONVERSATION, "Paths below which PAM modules may write.") \
	K(DURATION, login_time_limit, "2m", CONF_SECOND, CONF_HOUR, CONF_BROKER | CONF_CONVERSATION, "Longest time of one login.") \
	K(DURATION, login_absence, "1m", CONF_SECOND, CONF_HOUR, CONF_BROKER, "A login whose connection was cut, and not closed in good order, is given up when nobody comes back to it for so long.") \
	K(DURATION, login_refusal, "300ms", 0, CONF_MINUTE, CONF_BROKER, "A login is refused no sooner than so long after the last answer, so that the time that modules take for a name tells nothing. With modules that themselves wait after a failure: more than they do.") \
	K(COUNT, login_rounds, "20", 1, 100, CONF_BROKER | CONF_CONVERSATION, "Most rounds of prompts in one login.")  \
	K(COUNT, login_failures, "5", 1, 1000, CONF_BROKER, "Failed logins of a user or of a device before the next must wait.") \
	K(DURATION, login_wait, "15m", CONF_SECOND, CONF_DAY, CONF_BROKER, "Longest wait after failed logins; the first is 2 s, and it doubles.") \
	K(COUNT, conversations, "64", 1, 4096, CONF_BROKER, "Most logins at the same time.")                          \
	K(COUNT, conversations_per_device, "4", 1, 64, CONF_BROKER, "Most logins at the same time from one device.")   \
	K(COUNT, logins_per_device, "120", 1, 60000, CONF_BROKER, "Most logins that one device may begin in a minute, in the long run.") \
	K(COUNT, connections_per_device, "6000", 1, 60000, CONF_BROKER, "Connections that one device may begin in a minute, in the long run.") \
	K(COUNT, device_connections, "1024", 1, 1000000, CONF_BROKER, "Most connections of one device at the same time.") \
	K(COUNT, logins_per_user, "120", 1, 60000, CONF_BROKER, "Most logins that may begin for one user in a minute, in the long run, from devices that are bound to him.") \
	K(COUNT, logins_per_source, "300", 1, 60000, CONF_BROKER, "Most logins that may begin in a minute, in the long run, from one source: an IPv4 address or an IPv6 /64.") \
	K(DURATION, lease, "12h", CONF_SECOND, 30ULL * CONF_DAY, CONF_BROKER, "How long a login lasts.")              \
	K(DURATION, warn_before, "5m", 0, CONF_DAY, CONF_BROKER, "So long before a session or a tunnel ends, who listens to its events is told.") \
	K(COUNT, sessions_per_user, "32", 1, 100000, CONF_BROKER, "Most sessions of one user at the same time.")      \
	K(COUNT, sessions_per_device, "32", 1, 100000, CONF_BROKER, "Most sessions of one device at the same time.")  \
	K(TEXT, sessions_full, "end-oldest", 1, 16, CONF_BROKER, "What a login beyond these does: end-oldest: the oldest session without a tunnel makes room, else the oldest one; refuse: it is refused.") \
	/* bounds before door one */                                                                                  \
	K(DURATION, login_grace, "10s", CONF_SECOND, 10 * CONF_MINUTE, CONF_MONITOR | CONF_WORKER, "Time from connecting until the device is accepted.") \
	K(SIZE, handshake_bytes, "64KiB", 4096, 1048576, CONF_WORKER, "Most bytes that a client may send before its device is accepted.") \
	K(COUNT, unauthenticated_start, "100", 1, 100000, CONF_MONITOR, "From so many connections before door one on, new ones are dropped at random, or the longest waiting one makes room.") \
	K(COUNT, unauthenticated_full, "400", 1, 100000, CONF_MONITOR, "So many connections before door one at most: a new one is dropped, or the longest waiting one makes room.") \
	K(COUNT, source_rate, "20", 1, 1000, CONF_MONITOR, "Connections per second from one source: an IPv4 address or an IPv6 /64.") \
	K(COUNT, source_burst, "200", 1, 100000, CONF_MONITOR, "Connections at once from one source, before source_rate holds it.") \
	K(DURATION, source_penalty_stranger, "1s", 0, CONF_HOUR, CONF_MONITOR, "Penalty of a source for each connection that showed no accepted device.") \
	K(DURATION, source_penalty_undecided, "100ms", 0, CONF_HOUR, CONF_MONITOR, "Penalty instead where the client left, or waited too long, before it showed a certificate: so do browsers while a person still chooses one.") \
	K(DURATION, source_penalty_login, "5s", 0, CONF_HOUR, CONF_MONITOR, "Penalty of a source for each refused login.") \
	K(DURATION, source_penalty_least, "15s", 0, CONF_DAY, CONF_MONITOR, "From so much penalty on a source is refused until time has taken all of it away.") \
	K(DURATION, source_penalty_most, "10m", CONF_SECOND, 30ULL * CONF_DAY, CONF_MONITOR, "Penalties add up to so much and no more.") \
	K(LIST, source_exempt, "127.0.0.0/8\n::1/128\n", 0, 64, CONF_MONITOR | CONF_BROKER, "Addresses and networks whose connections have neither rate nor penalty, such as a load balancer.") \
	K(LIST, proxy_protocol_from, "", 0, 64, CONF_MONITOR, "Addresses and networks of load balancers that say in front of each connection where its client is (PROXY protocol 1 or 2): the limits count that client. From there no connection without it is served; from elsewhere none with it.") \
	K(COUNT, source_table, "200000", 8, 10000000, CONF_MONITOR, "Sources that are remembered, 64 bytes each; takes a restart.") \
	K(COUNT, connections, "8192", 1, 1000000, CONF_MONITOR, "Most connections altogether.")                       \
	K(COUNT, spare_workers, "4", 1, 256, CONF_MONITOR, "Workers that wait for the next client.")                  \
	/* bounds of a connection */                                                                                  \
	K(COUNT, requests_per_connection, "100000", 1, 1000000000, CONF_WORKER, "Most requests on one connection.")    \
	K(COUNT, streams_per_connection, "1024", 1, 100000, CONF_WORKER, "Most requests and tunnels at the same time on one connection; when it enrols, 8 at most.") \
	K(SIZE, head_bytes, "16KiB", 1024, 1048576, CONF_WORKER, "Largest request head.")                             \
	K(SIZE, body_bytes, "160KiB", 1024, 16777216, CONF_WORKER, "Largest request body.")                           \
	K(DURATION, request_time_limit, "30s", CONF_SECOND, CONF_HOUR, CONF_WORKER, "Longest time for a request to arrive whole.") \
	K(DURATION, connection_idle, "10m", CONF_SECOND, CONF_DAY, CONF_WORKER, "A connection without a tunnel and without a request for so long is closed.") \
	K(DURATION, client_silence, "6m", 0, CONF_DAY, CONF_MONITOR | CONF_WORKER, "A client that is silently gone for so long is noticed, and its tunnels end; 0s: as the kernel does. Longer than a laptop may be without a network and keep its tunnels.") \
	K(SIZE, stream_window, "256KiB", 65536, 16777216, CONF_WORKER, "Bytes that a client may send ahead on one tunnel, at first.") \
	K(SIZE, stream_window_growth, "32MiB", 0, 1073741824, CONF_WORKER, "Bytes that all tunnels of one connection may be sent ahead beyond that, together, where the way is long and the targets keep up; one tunnel grows up to 32MiB.") \
	/* tunnels */                                                                                                 \
	K(COUNT, tunnels_per_session, "1024", 1, 100000, CONF_BROKER, "Most tunnels of one session at the same time.") \
	K(LIST, resolver, "", 0, 16, CONF_BROKER, "Name servers, as ADDRESS or ADDRESS:PORT, instead of the system's.") \
	K(DURATION, resolve_time_limit, "5s", 100, CONF_MINUTE, CONF_BROKER, "Longest time of a name look-up.")       \
	K(DURATION, dial_time_limit, "10s", 100, 5 * CONF_MINUTE, CONF_BROKER, "Longest time of dialing, all addresses together.") \
	K(DURATION, dial_attempt_delay, "250ms", 10, 10 * CONF_SECOND, CONF_BROKER, "Wait before the next address is tried as well (RFC 8305).") \
	K(LIST, dial_source, "", 0, 2, CONF_BROKER, "Addresses that targets are dialed from, one of IPv4 and one of IPv6; empty: as the kernel chooses. The first one takes a restart.") \
	K(TEXT, dial_interface, "", 0, 15, CONF_BROKER, "Network interface that targets are dialed through; empty: as the kernel chooses.") \
	K(DURATION, dial_keepalive, "2m", 0, CONF_DAY, CONF_BROKER, "A target that is silently gone for so long is noticed (TCP keepalive); 0s: never.") \
	K(DURATION, end_grace, "400ms", 10, CONF_SECOND, CONF_BROKER, "A worker that has not closed what it was told to close within this time is killed.") \
	K(DURATION, answer_time_limit, "5m", CONF_SECOND, CONF_HOUR, CONF_WORKER, "Longest time until the target of a plain http request begins to answer, once it was asked.") \
	K(DURATION, handover_limit, "15s", CONF_SECOND, 2 * CONF_MINUTE, CONF_WORKER, "Live tunnels outlive a restart of the gateway; one that nobody has taken over within this time ends.") \
	/* the record */                                                                                              \
	K(PATH, audit_key, "/etc/sallyport/audit.key", 1, 4095, CONF_MONITOR, "Key that signs checkpoints of the audit record; readable by root only. Without the file none are signed.") \
	K(COUNT, audit_checkpoint_records, "1000", 1, 1000000, CONF_BROKER, "After so many new records the signer signs a checkpoint.") \
	K(DURATION, audit_checkpoint_time, "10m", CONF_SECOND, CONF_DAY, CONF_BROKER, "A new record waits no longer for a checkpoint.") \
	K(DURATION, audit_keep, "0s", 0, 36500ULL * CONF_DAY, CONF_BROKER, "Records of the audit log that are older are removed, behind a signed checkpoint; 0s: never.") \
	/* alerts */                                                                                                  \
	K(ALERTS, alert, "", 0, 16, CONF_MONITOR | CONF_BROKER | CONF_COURIER, "Sections that say who is told of what, and how; see ALERTS.") \
	K(COUNT, alert_refusals, "30", 1, 1000000, CONF_BROKER, "From so many refused connections, logins and enrolments within alert_refusals_time on, many-refusals is raised.") \
	K(DURATION, alert_refusals_time, "5m", CONF_SECOND, CONF_DAY, CONF_BROKER, "See alert_refusals; it is raised once, and at the end of this time their sum is told, again and again as long as they stay so many.") \
	K(TEXT, log_level, "notice", 1, 16, CONF_MONITOR | CONF_WORKER | CONF_SIGNER | CONF_BROKER | CONF_CONVERSATION | CONF_COURIER, "error, warning, notice or debug.")

enum conf_kind { CONF_TEXT, CONF_PATH, CONF_DURATION, CONF_SIZE, CONF_COUNT, CONF_FLAG, CONF_LIST, CONF_KEY, CONF_REALMS, CONF_ALERTS, CONF_ISSUERS };

#define CONF_MEMBER_TEXT(name) char *name;
#define CONF_MEMBER_PATH(name) char *name;
#define CONF_MEMBER_KEY(name) char *name;
#define CONF_MEMBER_LIST(name) char *name;
#define CONF_MEMBER_REALMS(name) char *name;
#define CONF_MEMBER_ALERTS(name) char *name;
#define CONF_MEMBER_ISSUERS(name) char *name;
#define CONF_MEMBER_DURATION(name) uint64_t name##_ms;
#define CONF_MEMBER_SIZE(name) uint64_t name;
#define CONF_MEMBER_COUNT(name) uint64_t name;
#define CONF_MEMBER_FLAG(name) bool name;
#define CONF_MEMBER(kind, name, ...) CONF_MEMBER_##kind(name)

/* All settings. A room fills only those that it sees; the others keep their defaults. */
struct conf {
	CONF_KEYS(CONF_MEMBER)
};

struct conf_key {
	const char *name;
	enum conf_kind kind;
	const char *initial;      /* default, as conf_set takes it */
	uint64_t minimum, maximum; /* of the number, the text's length, or the list's items */
	unsigned rooms;           /* enum conf_room bits */
	const char *documentation;
	size_t offset;
};

extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;

/* The row of that name, or NULL. */
const struct conf_key *conf_key_find(const char *name);
/* The known key nearest to a mistyped one, or NULL. */
const char *conf_key_nearest(const char *name);

/* Fills in all defaults; release with conf_fini. ERR_SYSTEM without memory. */
[[nodiscard]] int conf_init(struct conf *conf);
void conf_fini(struct conf *conf);
/* Sets one key from text; LIST items are separated by newlines. ERR_NOT_FOUND for an unknown key,
 * ERR_BAD_CONFIG for a value that does not fit; the sentence in diag names key, value and what is expected. */
[[nodiscard]] int conf_set(struct conf *conf, const char *name, struct view value, struct diag *diag);
/* Appends the canonical spelling, as conf_set takes it. */
[[nodiscard]] int conf_spell(const struct conf *conf, const struct conf_key *key, struct buf *out_text);
/* Walks a LIST: returns the item at *position (a view without newline) and moves on; false at the end. */
bool conf_list_next(const char *list, size_t *position, struct view *out_item);
/* "HOST:PORT" of a listener as laptops reach it: as configured, or the gateway's name and the port of the first address in
 * `listen` (a list). ERR_NOT_FOUND when that names none, ERR_LIMIT. */
[[nodiscard]] int conf_public_address(const char *name, const char *configured, const char *listen, char *out_text, size_t capacity);

/* "https://gw.example.com/": where people log in with a browser; with the port when it is not 443. Cut when there is no room. */
void conf_portal(const struct conf *conf, char *out_url, size_t capacity);
/* Appends a commented sample file: each key with its documentation and default, commented out, except
 * those in `conf` that differ from the default. */
[[nodiscard]] int conf_sample(const struct conf *conf, struct buf *out_text);

#endif
