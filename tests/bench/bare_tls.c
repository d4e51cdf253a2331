/* bare_tls.c: GnuTLS in one process with nothing around it: no proxy, no second connection, no loop.
 *
 * Serves one client at a time, demands its certificate, and is the target itself (orders as in target.c). It shows
 * what the library alone costs per handshake and per byte.
 *
 * Usage: bare_tls PORT CERTIFICATE KEY CLIENT_AUTHORITY
 */
#include <gnutls/gnutls.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"

#define ORDER_SIZE 9
#define RECORD_SIZE 16384

static uint8_t space[RECORD_SIZE];

static gnutls_certificate_credentials_t load_credentials(char **files)
{
	gnutls_certificate_credentials_t credentials;
	if (gnutls_certificate_allocate_credentials(&credentials) < 0 ||
	    gnutls_certificate_set_x509_key_file(credentials, files[0], files[1], GNUTLS_X509_FMT_PEM) < 0 ||
	    gnutls_certificate_set_x509_trust_file(credentials, files[2], GNUTLS_X509_FMT_PEM) < 1)
		fail("certificate, key or authority cannot be read");
	return credentials;
}

static bool send_all(gnutls_session_t session, uint64_t size)
{
	while (size) {
		ssize_t sent = gnutls_record_send(session, space, size < RECORD_SIZE ? size : RECORD_SIZE);
		if (sent < 0)
			return false;
		size -= (uint64_t)sent;
	}
	return true;
}

static bool receive_exactly(gnutls_session_t session, uint8_t *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t received = gnutls_record_recv(session, bytes + done, size - done);
		if (received <= 0)
			return false;
		done += (size_t)received;
	}
	return true;
}

static void echo(gnutls_session_t session)
{
	for (;;) {
		ssize_t size = gnutls_record_recv(session, space, sizeof(space));
		if (size <= 0 || gnutls_record_send(session, space, (size_t)size) != size)
			return;
	}
}

static bool sink(gnutls_session_t session, uint64_t left)
{
	while (left) {
		ssize_t size = gnutls_record_recv(session, space, sizeof(space));
		if (size <= 0 || (uint64_t)size > left)
			return false;
		left -= (uint64_t)size;
	}
	return send_all(session, 1);
}

static uint64_t read_number(const uint8_t *bytes)
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void serve_orders(gnutls_session_t session)
{
	uint8_t order[ORDER_SIZE];
	while (receive_exactly(session, order, 1)) {
		if (order[0] == 'e') {
			echo(session);
			return;
		}
		if (!receive_exactly(session, order + 1, ORDER_SIZE - 1))
			return;
		uint64_t number = read_number(order + 1);
		if (!(order[0] == 's' ? sink(session, number) : send_all(session, number)))
			return;
	}
}

static void serve(int client, gnutls_certificate_credentials_t credentials)
{
	gnutls_session_t session;
	if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0)
		fail("no memory for a session");
	if (gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) < 0)
		fail("a session cannot be set up");
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert(session, NULL, 0);
	gnutls_transport_set_int(session, client);
	int result;
	do
		result = gnutls_handshake(session);
	while (result < 0 && !gnutls_error_is_fatal(result));
	if (result == 0)
		serve_orders(session);
	gnutls_deinit(session);
	close(client);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: bare_tls PORT CERTIFICATE KEY CLIENT_AUTHORITY");
	signal(SIGPIPE, SIG_IGN);
	gnutls_certificate_credentials_t credentials = load_credentials(argv + 2);
	struct pollfd listener = {.fd = listen_on((uint16_t)must_number(argv[1], "PORT", UINT16_MAX)), .events = POLLIN};
	for (;;) {
		poll(&listener, 1, -1);
		int client = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
		if (client >= 0)
			serve(client, credentials);
	}
}
