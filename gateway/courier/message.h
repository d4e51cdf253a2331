/* message.h: events as what travels: mail, JSON, syslog, journal. Pure. */
#ifndef SALLYPORT_COURIER_MESSAGE_H
#define SALLYPORT_COURIER_MESSAGE_H

#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

struct message_item {
	uint64_t id, at_ms, sequence;
	char event[65], code[65], device[65], user[257], address[65], detail[1024];
};

struct message {
	const char *gateway, *alert;
	const struct message_item *items;
	size_t count;    /* at least 1 */
	unsigned more;   /* how many others wait */
	uint64_t now_ms; /* of sending */
};

/* "copied-key: alice on laptop1", "7 alerts: copied-key, lock-out, ...". One line of printable ASCII. */
[[nodiscard]] int message_subject(const struct message *message, struct buf *out_text);
/* RFC 5322, lines end with CRLF. `to` is the address list as configured. */
[[nodiscard]] int message_mail(const struct message *message, const char *from, const char *to, struct buf *out_text);
/* `secret` is the routing key where the shape is pagerduty. */
enum message_shape { MESSAGE_GENERIC, MESSAGE_SLACK, MESSAGE_PAGERDUTY };
[[nodiscard]] int message_json(const struct message *message, enum message_shape shape, const char *secret, struct buf *out_text);
/* RFC 5424, one event. */
[[nodiscard]] int message_syslog(const struct message *message, const struct message_item *item, struct buf *out_text);
/* The journal's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL), one event. */
[[nodiscard]] int message_journal(const struct message *message, const struct message_item *item, struct buf *out_text);

#endif
