/* alert.h: whom the gateway tells of what, and how.
 *
 * gateway.conf holds `alert "NAME" { ... }` sections. They travel and are kept as the value of one key (conf.h), one alert
 * on a line, its fields separated by control characters, as realms do (realm.h). To add a field, add a row to ALERT_FIELDS;
 * to add an event, add one to ALERT_EVENTS. All functions are pure.
 */
#ifndef SALLYPORT_ALERT_H
#define SALLYPORT_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define ALERT_NAME_MAX 32
#define ALERT_BYTES_MAX 12000 /* all alerts together, as they travel */
#define ALERTS_MAX 16

/* E(symbol, name, urgent, syslog severity (RFC 5424), what it means). An urgent one waits for neither quiet hours nor
 * at_most. */
#define ALERT_EVENTS(E)                                                                                               \
	E(COPIED_KEY, "copied-key", true, 1, "a certificate was used whose successor is in use: somebody has a copy of the key") \
	E(BREAK_GLASS, "break-glass", true, 1, "somebody has used, or tried, a realm for emergencies")                \
	E(STORE_TROUBLE, "store-trouble", true, 2, "the record cannot be written, or can be again")                   \
	E(FIRST_LOGIN, "first-login", false, 5, "the first login of a user on a device")                              \
	E(NEW_NETWORK, "new-network", false, 5, "a login from a network that the user never came from (IPv4 /24, IPv6 /48)") \
	E(ODD_HOURS, "odd-hours", false, 4, "a login outside of the alert's work_hours")                             \
	E(WRONG_DEVICE, "wrong-device", false, 4, "good credentials on a device that is not that user's")             \
	E(BARRED_DEVICE, "barred-device", false, 4, "a locked or revoked device was used")                            \
	E(DEVICE_LOST, "device-lost", false, 4, "a user has declared a device lost, and it is locked")               \
	E(LOCK_OUT, "lock-out", false, 4, "so many failed logins that a user or a device must wait")                  \
	E(MANY_REFUSALS, "many-refusals", false, 4, "many refusals in a short time, wherever they come from; and their sum") \
	E(BREACH, "breach", false, 2, "a worker broke the protocol between the rooms and was killed")                 \
	E(TWO_NETWORKS, "two-networks", false, 4, "one device is connected from two networks at once (IPv4 /24, IPv6 /48)") \
	E(WAITING, "waiting", false, 5, "an enrolment, a late renewal or an unknown device waits for an administrator") \
	E(CERTIFICATE_ENDING, "certificate-ending", false, 5, "a device's certificate ends soon and was not renewed") \
	E(CRL_STALE, "crl-stale", false, 4, "the list of revoked certificates of another authority was not renewed in time, or its OCSP responder does not answer; its devices are refused, or will be") \
	E(GATEWAY_CHANGED, "gateway-changed", false, 5, "the policy, or the gateway's certificate or authority, is another one") \
	E(ROOM_RESTARTED, "room-restarted", false, 3, "a room of the gateway ended and was started again")            \
	E(CHECKPOINT, "checkpoint", false, 6, "a signed checkpoint of the audit record; not among \"all\"")

#define ALERT_EVENT_SYMBOL(symbol, ...) ALERT_##symbol,
enum alert_event { ALERT_EVENTS(ALERT_EVENT_SYMBOL) ALERT_EVENT_COUNT };

struct alert_event_row {
	const char *name;
	bool urgent;
	uint8_t severity;
	const char *meaning;
};
extern const struct alert_event_row alert_events[ALERT_EVENT_COUNT];
/* ALERT_EVENT_COUNT when there is none of that name. */
enum alert_event alert_event_find(struct view name);

/* F(kind, name, documentation): kinds are TEXT and WORDS (a list). */
#define ALERT_FIELDS(F)                                                                                               \
	F(WORDS, events, "Which events: names of them, or \"all\".")                                                  \
	F(TEXT, to, "Where to: mailto:ADDRESS[,ADDRESS], https://..., syslog:, syslog:/PATH, syslog+udp://HOST:PORT, syslog+tcp://HOST:PORT or journal:.") \
	F(TEXT, shape, "Body of a webhook: generic, slack or pagerduty.")                                             \
	F(TEXT, server, "Of mail: smtp://HOST:PORT (STARTTLS) or smtps://HOST:PORT.")                                 \
	F(TEXT, from, "Of mail: the sender's address.")                                                               \
	F(TEXT, user, "Of mail: who logs in at the server.")                                                          \
	F(TEXT, secret_file, "File, readable by root only, with the password of user, the key that signs a generic webhook, the whole URL of a slack one, or the routing key of pagerduty.") \
	F(TEXT, authority, "Authorities that the server's certificate must chain to (PEM), instead of the system's.") \
	F(TEXT, tls, "Of mail: required, or never: for a server on this machine.")                                    \
	F(TEXT, at_most, "So many messages in so long a time, as 12/1h; what is more is gathered in the next one.")   \
	F(TEXT, quiet_hours, "Local time in which only urgent events are sent, as 22:00-07:00.")                      \
	F(TEXT, work_hours, "Local time outside of which a login is odd-hours, as 06:00-21:00.")

enum alert_field_kind { ALERT_TEXT, ALERT_WORDS };
#define ALERT_FIELD_MEMBER(kind, name, documentation) struct view name;
/* The members borrow from the text that was read. Lists are walked with alert_word_next. */
struct alert {
	struct view name;
	ALERT_FIELDS(ALERT_FIELD_MEMBER)
};
struct alert_field {
	const char *name;
	enum alert_field_kind kind;
	size_t offset;
	const char *documentation;
};
extern const struct alert_field alert_fields[];
extern const size_t alert_field_count;

/* How it travels. */
enum alert_way { ALERT_MAIL, ALERT_WEBHOOK, ALERT_SYSLOG_LOCAL, ALERT_SYSLOG_UDP, ALERT_SYSLOG_TCP, ALERT_JOURNAL, ALERT_WAY_COUNT };
enum alert_way alert_way(const struct alert *alert);
/* What stands in `to` behind the scheme. */
struct view alert_place(const struct alert *alert);

/* Appends one line. ERR_BAD_CONFIG with a sentence that says what is wrong with it. */
[[nodiscard]] int alert_write(const struct alert *alert, struct buf *out_text, struct diag *diag);
/* A list out of words. ERR_BAD_CONFIG for a word that cannot be one. */
[[nodiscard]] int alert_add_word(struct buf *list, const char *word);
bool alert_next(const char *text, size_t *position, struct alert *out_alert);
bool alert_word_next(struct view list, size_t *position, struct view *out_word);
bool alert_find(const char *text, struct view name, struct alert *out_alert);
[[nodiscard]] int alerts_check(const char *text, struct diag *diag);
bool alert_wants(const struct alert *alert, enum alert_event event);
/* The section as gateway.conf wants it. */
[[nodiscard]] int alert_print(const struct alert *alert, struct buf *out_text);

/* "12/1h" to a count and milliseconds; empty: the way's default (0: no limit). */
[[nodiscard]] int alert_rate(const struct alert *alert, uint64_t *out_count, uint64_t *out_period_ms);
/* Whether a minute of the day (local) lies in "22:00-07:00"; never in an empty one. */
bool alert_hours_hold(struct view hours, unsigned minute);

#endif
