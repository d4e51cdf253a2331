/* connection.h: one connection to the server under measurement, plain TCP or TLS 1.3 with a client certificate.
 *
 * Bytes to send are pulled: whenever the socket can take more, the connection asks its user to produce some.
 * Used by direct.c (the connection is the tunnel) and h2.c (it carries many).
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include <gnutls/gnutls.h>

#include "loop.h"

#define CONNECTION_OUT_SIZE 16384

struct connection;

struct connection_user {
	void (*opened)(struct connection *connection);
	void (*received)(struct connection *connection, const uint8_t *bytes, size_t size);
	/* Writes up to `size` bytes to send; 0 when there are none until connection_flush is called again. */
	size_t (*produce)(struct connection *connection, uint8_t *space, size_t size);
	/* The other side ended the connection, in order or not; `why` says which. */
	void (*ended)(struct connection *connection, const char *why);
};

/* What all TLS connections of a run share. */
struct tls_settings {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	const char *server_name;
	const char *protocol; /* for ALPN, or NULL */
	gnutls_datum_t ticket; /* resume with it when it has bytes */
};

enum connection_state { CONNECTION_DIALING, CONNECTION_HANDSHAKE, CONNECTION_OPEN, CONNECTION_CLOSED };

struct connection {
	struct watch watch;
	enum connection_state state;
	const struct connection_user *user;
	gnutls_session_t tls; /* NULL for plain TCP */
	uint8_t *out;         /* produced and not yet taken by the socket; memory only while there is any */
	size_t out_size, out_sent;
};

/* Reads certificate and key; ends the program when they are not good. */
void tls_settings_load(struct tls_settings *settings, const char *authority, const char *certificate, const char *key);
/* Dials; `tls` is NULL for plain TCP and must outlive the connection. */
void connection_open(struct connection *connection, uint16_t port, const struct tls_settings *tls,
		     const struct connection_user *user);
/* Sends what can be sent now, the rest when the socket allows. */
void connection_flush(struct connection *connection);
/* Says goodbye and closes; no callback follows. The memory stays the caller's (see loop_bury). */
void connection_close(struct connection *connection);
bool connection_was_resumed(const struct connection *connection);
/* Keeps the server's session ticket in the settings; ends the program when there is none. */
void connection_keep_ticket(const struct connection *connection, struct tls_settings *settings);

#endif
