/* connection.c: dialing, handshake, and bytes both ways without blocking. */
#include "connection.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fail.h"

/* The same suite and group for every peer, so that all do the same work. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"
/* Reads and writes of one turn: others get theirs in between. */
#define TURN_MAX 16

static uint8_t space[CONNECTION_OUT_SIZE];

void tls_settings_load(struct tls_settings *settings, const char *authority, const char *certificate, const char *key)
{
	if (gnutls_certificate_allocate_credentials(&settings->credentials) < 0)
		fail("no memory for credentials");
	if (gnutls_certificate_set_x509_trust_file(settings->credentials, authority, GNUTLS_X509_FMT_PEM) < 1)
		fail("no authority in %s", authority);
	int result = gnutls_certificate_set_x509_key_file(settings->credentials, certificate, key, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		fail("certificate %s, key %s: %s", certificate, key, gnutls_strerror(result));
	result = gnutls_priority_init(&settings->priority, PRIORITY, NULL);
	if (result < 0)
		fail("priority: %s", gnutls_strerror(result));
}

static void set_up_tls(struct connection *connection, const struct tls_settings *settings)
{
	if (gnutls_init(&connection->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0)
		fail("no memory for a TLS session");
	gnutls_session_t tls = connection->tls;
	gnutls_priority_set(tls, settings->priority);
	gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, settings->credentials);
	gnutls_server_name_set(tls, GNUTLS_NAME_DNS, settings->server_name, strlen(settings->server_name));
	gnutls_session_set_verify_cert(tls, settings->server_name, 0);
	gnutls_handshake_set_timeout(tls, 0);
	if (settings->protocol) {
		gnutls_datum_t protocol = {(unsigned char *)settings->protocol, (unsigned)strlen(settings->protocol)};
		gnutls_alpn_set_protocols(tls, &protocol, 1, GNUTLS_ALPN_MANDATORY);
	}
	if (settings->ticket.size)
		gnutls_session_set_data(tls, settings->ticket.data, settings->ticket.size);
	gnutls_transport_set_int(tls, connection->watch.fd);
}

static bool is_open(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN;
}

static void end(struct connection *connection, const char *why)
{
	connection_close(connection);
	connection->user->ended(connection, why);
}

static ssize_t receive(struct connection *connection)
{
	if (connection->tls)
		return gnutls_record_recv(connection->tls, space, sizeof(space));
	ssize_t size = recv(connection->watch.fd, space, sizeof(space), 0);
	return size < 0 ? (errno == EAGAIN ? GNUTLS_E_AGAIN : GNUTLS_E_PULL_ERROR) : size;
}

static ssize_t send_some(struct connection *connection, const uint8_t *bytes, size_t size)
{
	if (connection->tls)
		return gnutls_record_send(connection->tls, bytes, size);
	ssize_t sent = send(connection->watch.fd, bytes, size, MSG_NOSIGNAL);
	return sent < 0 ? (errno == EAGAIN ? GNUTLS_E_AGAIN : GNUTLS_E_PUSH_ERROR) : sent;
}

static bool should_try_again(ssize_t result)
{
	return result < 0 && !gnutls_error_is_fatal((int)result);
}

static void read_turn(struct connection *connection)
{
	for (int i = 0; i < TURN_MAX && is_open(connection); i++) {
		ssize_t size = receive(connection);
		if (size == GNUTLS_E_AGAIN)
			return;
		if (size > 0)
			connection->user->received(connection, space, (size_t)size);
		else if (!should_try_again(size))
			end(connection, size == 0 ? "closed" : gnutls_strerror((int)size));
	}
}

static void drop_out(struct connection *connection)
{
	free(connection->out);
	connection->out = NULL;
	connection->out_size = connection->out_sent = 0;
}

/* True when there is something to send. */
static bool refill(struct connection *connection)
{
	if (connection->out_sent < connection->out_size)
		return true;
	if (!connection->out)
		connection->out = must_allocate(CONNECTION_OUT_SIZE);
	connection->out_sent = 0;
	connection->out_size = connection->user->produce(connection, connection->out, CONNECTION_OUT_SIZE);
	return connection->out_size > 0;
}

/* True when the socket may take more at once. */
static bool send_piece(struct connection *connection)
{
	ssize_t sent = send_some(connection, connection->out + connection->out_sent,
				 connection->out_size - connection->out_sent);
	if (sent > 0)
		connection->out_sent += (size_t)sent;
	else if (!should_try_again(sent))
		end(connection, gnutls_strerror((int)sent));
	return sent > 0;
}

void connection_flush(struct connection *connection)
{
	bool more = false;
	for (int i = 0; i < TURN_MAX && is_open(connection); i++) {
		more = refill(connection);
		if (!more)
			drop_out(connection);
		if (!more || !send_piece(connection))
			break;
	}
	if (is_open(connection))
		loop_change(&connection->watch, EPOLLIN | (more ? EPOLLOUT : 0U));
}

static void become_open(struct connection *connection)
{
	connection->state = CONNECTION_OPEN;
	loop_change(&connection->watch, EPOLLIN);
	connection->user->opened(connection);
}

static void shake_hands(struct connection *connection)
{
	int result = gnutls_handshake(connection->tls);
	if (result == 0)
		become_open(connection);
	else if (should_try_again(result))
		loop_change(&connection->watch, gnutls_record_get_direction(connection->tls) ? EPOLLOUT : EPOLLIN);
	else
		fail("handshake: %s", gnutls_strerror(result));
}

static void finish_dialing(struct connection *connection)
{
	int error = 0;
	socklen_t size = sizeof(error);
	getsockopt(connection->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		fail("cannot connect: %s", strerror(error));
	connection->state = CONNECTION_HANDSHAKE;
	if (connection->tls)
		shake_hands(connection);
	else
		become_open(connection);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = OWNER_OF(watch, struct connection, watch);
	if (connection->state == CONNECTION_DIALING) {
		finish_dialing(connection);
		return;
	}
	if (connection->state == CONNECTION_HANDSHAKE) {
		shake_hands(connection);
		return;
	}
	if (events & ~(uint32_t)EPOLLOUT)
		read_turn(connection);
	if (is_open(connection) && (events & EPOLLOUT))
		connection_flush(connection);
}

void connection_open(struct connection *connection, uint16_t port, const struct tls_settings *tls,
		     const struct connection_user *user)
{
	connection->user = user;
	connection->state = CONNECTION_DIALING;
	connection->watch.ready = on_ready;
	loop_watch(&connection->watch, dial_port(port), EPOLLOUT);
	if (tls)
		set_up_tls(connection, tls);
}

void connection_close(struct connection *connection)
{
	if (connection->state == CONNECTION_CLOSED)
		return;
	if (is_open(connection) && connection->tls)
		gnutls_bye(connection->tls, GNUTLS_SHUT_WR);
	connection->state = CONNECTION_CLOSED;
	loop_close(&connection->watch);
	if (connection->tls)
		gnutls_deinit(connection->tls);
	connection->tls = NULL;
	drop_out(connection);
}

bool connection_was_resumed(const struct connection *connection)
{
	return connection->tls && gnutls_session_is_resumed(connection->tls);
}

void connection_keep_ticket(const struct connection *connection, struct tls_settings *settings)
{
	if (!(gnutls_session_get_flags(connection->tls) & GNUTLS_SFLAGS_SESSION_TICKET))
		fail("the server gives no session ticket");
	if (gnutls_session_get_data2(connection->tls, &settings->ticket) < 0)
		fail("the session ticket cannot be kept");
}
