/* test_tls.c: handshake, device proof, refusals, records. */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_world.h"

static struct world world;

static void expect_proof(const char *priority, enum tls_hash hash, const char *suite)
{
	struct meeting meeting;
	meeting_init(&meeting, &world, &world.device, priority);
	meeting_shake(&meeting);
	if (meeting.server_result < 0)
		fail_msg("%s: %s", priority, meeting.server_diag.text);
	assert_int_equal(meeting.client_result, 0);
	assert_int_equal(meeting.signatures, 1);
	assert_string_equal(tls_protocol_name(meeting.server), "TLS1.3");
	assert_string_equal(tls_suite_name(meeting.server), suite);
	struct tls_proof proof;
	assert_int_equal(tls_proof(meeting.server, &proof), 0);
	assert_int_equal(proof.hash, hash);
	assert_true(view_equal(proof.transcript, buf_view(&meeting.transcript)));
	assert_true(meeting_proof_holds(&meeting, &proof, &world.device));
	assert_false(meeting_proof_holds(&meeting, &proof, &world.server));
	/* One flipped bit anywhere is noticed. */
	((uint8_t *)(uintptr_t)proof.rest.data)[proof.rest.size / 2] ^= 1;
	assert_false(meeting_proof_holds(&meeting, &proof, &world.device));
	tls_proof_release(meeting.server);
	assert_int_equal(tls_proof(meeting.server, &proof), ERR_NOT_FOUND);
	uint8_t fingerprint[TLS_FINGERPRINT_SIZE], expected[TLS_FINGERPRINT_SIZE];
	assert_int_equal(tls_peer_fingerprint(meeting.server, fingerprint), 0);
	x509_fingerprint(buf_view(&world.device.certificate_der), expected);
	assert_memory_equal(fingerprint, expected, sizeof(expected));
	meeting_fini(&meeting);
}

static void test_A2_device_proof_holds_for_every_suite(void **state)
{
	(void)state;
	expect_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM", TLS_SHA256, "TLS_AES_128_GCM_SHA256");
	expect_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM", TLS_SHA384, "TLS_AES_256_GCM_SHA384");
	expect_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305", TLS_SHA256,
		     "TLS_CHACHA20_POLY1305_SHA256");
}

/* The client's key share is for a group that the server does not take, so that it is asked to retry. */
static void test_A2_device_proof_holds_after_hello_retry_request(void **state)
{
	(void)state;
	static const char groups[] = "-GROUP-ALL:+GROUP-SECP521R1:+GROUP-X448:+GROUP-X25519:+GROUP-SECP256R1";
	char priority[256];
	snprintf(priority, sizeof(priority), "NORMAL:-VERS-ALL:+VERS-TLS1.3:%s:-CIPHER-ALL:+AES-128-GCM", groups);
	expect_proof(priority, TLS_SHA256, "TLS_AES_128_GCM_SHA256");
	snprintf(priority, sizeof(priority), "NORMAL:-VERS-ALL:+VERS-TLS1.3:%s:-CIPHER-ALL:+AES-256-GCM", groups);
	expect_proof(priority, TLS_SHA384, "TLS_AES_256_GCM_SHA384");
	struct meeting meeting;
	meeting_init(&meeting, &world, &world.device, priority);
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, 0);
	assert_int_equal(meeting.transcript.data[0], 254); /* message_hash: there was a retry */
	meeting_fini(&meeting);
}

static void make_key(gnutls_pk_algorithm_t algorithm, unsigned bits, char *out_pem, size_t capacity)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_privkey_init(&key);
	assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
	assert_int_equal(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, out_pem,
							  &capacity), 0);
	out_pem[capacity] = 0;
	gnutls_x509_privkey_deinit(key);
}

static void test_A6_key_kinds_of_devices(void **state)
{
	(void)state;
	static const struct {
		gnutls_pk_algorithm_t algorithm;
		unsigned bits;
		const char *refusal;
	} rows[] = {
		{GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), NULL},
		{GNUTLS_PK_EDDSA_ED25519, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), NULL},
		{GNUTLS_PK_RSA, 2048, NULL},
		{GNUTLS_PK_RSA, 1024, "weak_key"},
	};
	int64_t now = time(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char pem[8192];
		make_key(rows[i].algorithm, rows[i].bits, pem, sizeof(pem) - 1);
		struct world_identity device;
		struct meeting meeting;
		world_issue(&device, X509_DEVICE, "laptop", pem, &world.device_authority, now - 60, now + 3600);
		meeting_init(&meeting, &world, &device, NULL);
		meeting_shake(&meeting);
		if (rows[i].refusal) {
			print_message("%s: %s\n", rows[i].refusal, meeting.server_diag.text);
			assert_int_equal(meeting.server_result, ERR_DENIED);
			assert_string_equal(tls_refusal(meeting.server), rows[i].refusal);
		} else {
			struct tls_proof proof;
			if (meeting.server_result < 0)
				fail_msg("%zu: %s", i, meeting.server_diag.text);
			assert_int_equal(tls_proof(meeting.server, &proof), 0);
			assert_true(meeting_proof_holds(&meeting, &proof, &device));
		}
		meeting_fini(&meeting);
		world_identity_fini(&device);
	}
}

/* The alert that the client reads, after its own side of the handshake was done. */
static int alert_at_client(struct meeting *meeting)
{
	char bytes[16];
	for (int i = 0; i < 10; i++) {
		(void)tls_flush(meeting->server);
		ssize_t result = meeting->client_result < 0 ? meeting->client_result
							     : gnutls_record_recv(meeting->client, bytes, sizeof(bytes));
		if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
			return (int)gnutls_alert_get(meeting->client);
	}
	return -1;
}

static void expect_refusal(const struct world_identity *identity, const char *code, enum tls_alert alert)
{
	struct meeting meeting;
	meeting_init(&meeting, &world, identity, NULL);
	meeting_shake(&meeting);
	print_message("%s: %s\n", code, meeting.server_diag.text);
	assert_int_equal(meeting.server_result, ERR_DENIED);
	assert_string_equal(tls_refusal(meeting.server), code);
	assert_int_equal(alert_at_client(&meeting), alert);
	assert_int_equal(tls_is_undecided(meeting.server), identity == NULL);
	struct tls_proof proof;
	assert_int_equal(tls_proof(meeting.server, &proof), ERR_NOT_FOUND);
	meeting_fini(&meeting);
}

static void test_A1_refusals_by_door_one(void **state)
{
	(void)state;
	int64_t now = time(NULL);
	struct world_identity other_authority, identity;
	world_issue(&other_authority, X509_AUTHORITY, "Device authority", NULL, NULL, now - 60, now + 3600);
	const struct {
		enum x509_purpose purpose;
		const struct world_identity *issuer;
		int64_t from, to;
		const char *code;
		enum tls_alert alert;
	} rows[] = {
		{X509_DEVICE, &other_authority, -60, 3600, "not_trusted", TLS_ALERT_UNKNOWN_CA},
		{X509_DEVICE, NULL, -60, 3600, "not_trusted", TLS_ALERT_UNKNOWN_CA},
		{X509_DEVICE, &world.server_authority, -60, 3600, "not_trusted", TLS_ALERT_UNKNOWN_CA},
		{X509_DEVICE, &world.device_authority, -3600, -60, "certificate_expired", TLS_ALERT_CERTIFICATE_EXPIRED},
		{X509_DEVICE, &world.device_authority, 3600, 7200, "not_yet_valid", TLS_ALERT_CERTIFICATE_EXPIRED},
		{X509_SERVER, &world.device_authority, -60, 3600, "wrong_purpose", TLS_ALERT_UNSUPPORTED_CERTIFICATE},
	};
	expect_refusal(NULL, "no_certificate", TLS_ALERT_CERTIFICATE_REQUIRED);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_issue(&identity, rows[i].purpose, "laptop", NULL, rows[i].issuer, now + rows[i].from, now + rows[i].to);
		expect_refusal(&identity, rows[i].code, rows[i].alert);
		world_identity_fini(&identity);
	}
	world_identity_fini(&other_authority);
}

/* A certificate whose private key the client does not have: its own key signs. */
static void test_A1_certificate_without_its_key(void **state)
{
	(void)state;
	struct world_identity thief = world.device;
	thief.key_pem = world.server.key_pem;
	struct meeting meeting;
	meeting_init(&meeting, &world, NULL, NULL);
	gnutls_certificate_set_flags(meeting.client_credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	gnutls_datum_t certificate = {thief.certificate_pem.data, (unsigned)thief.certificate_pem.size};
	gnutls_datum_t key = {thief.key_pem.data, (unsigned)thief.key_pem.size};
	assert_true(gnutls_certificate_set_x509_key_mem(meeting.client_credentials, &certificate, &key,
							GNUTLS_X509_FMT_PEM) >= 0);
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, ERR_DENIED);
	assert_string_equal(tls_refusal(meeting.server), "proof_failed");
	assert_int_equal(alert_at_client(&meeting), TLS_ALERT_DECRYPT_ERROR);
	meeting_fini(&meeting);
}

static void test_A6_tls_1_2_is_refused(void **state)
{
	(void)state;
	struct meeting meeting;
	meeting_init(&meeting, &world, &world.device, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, ERR_BAD_PEER);
	assert_string_equal(tls_alert_name((enum tls_alert)alert_at_client(&meeting)), "protocol version");
	meeting_fini(&meeting);
}

static void expect_alpn(const char *first, const char *second, int result, enum tls_application application)
{
	struct meeting meeting;
	gnutls_datum_t names[2] = {{(unsigned char *)(uintptr_t)first, first ? (unsigned)strlen(first) : 0},
				   {(unsigned char *)(uintptr_t)second, second ? (unsigned)strlen(second) : 0}};
	meeting_init(&meeting, &world, &world.device, NULL);
	if (first)
		gnutls_alpn_set_protocols(meeting.client, names, second ? 2 : 1, 0);
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, result);
	if (result == 0)
		assert_int_equal(tls_application(meeting.server), application);
	else
		assert_int_equal(alert_at_client(&meeting), TLS_ALERT_NO_APPLICATION_PROTOCOL);
	meeting_fini(&meeting);
}

static void test_alpn(void **state)
{
	(void)state;
	expect_alpn("http/1.1", "h2", 0, TLS_HTTP2);
	expect_alpn("http/1.1", NULL, 0, TLS_HTTP1);
	expect_alpn(NULL, NULL, 0, TLS_HTTP1);
	expect_alpn("imap", NULL, ERR_BAD_PEER, TLS_HTTP1);
}

static int refuse_to_sign(void *owner, const struct tls_signing *signing, struct buf *out_signature)
{
	(void)owner, (void)signing, (void)out_signature;
	return ERR_DENIED;
}

static void test_a_signer_that_refuses_ends_the_handshake(void **state)
{
	(void)state;
	struct meeting meeting;
	meeting_init(&meeting, &world, &world.device, NULL);
	tls_free(meeting.server);
	struct tls_server_options options = {.input_limit_bytes = 65536, .sign = refuse_to_sign};
	assert_int_equal(tls_new_server(world.server_credentials, meeting.server_fd, &options, &meeting.server, NULL), 0);
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, ERR_DENIED);
	assert_null(tls_refusal(meeting.server));
	assert_int_equal(alert_at_client(&meeting), TLS_ALERT_INTERNAL_ERROR);
	meeting_fini(&meeting);
}

static void test_E2_input_before_acceptance_is_bounded(void **state)
{
	(void)state;
	struct meeting meeting;
	meeting_init(&meeting, &world, &world.device, NULL);
	meeting_shake(&meeting);
	assert_int_equal(meeting.server_result, 0);
	static char much[16384];
	for (int i = 0; i < 6; i++)
		(void)!gnutls_record_send(meeting.client, much, sizeof(much));
	struct view bytes;
	int result;
	do
		result = tls_read(meeting.server, &bytes);
	while (result == 0);
	assert_int_equal(result, ERR_LIMIT);
	meeting_fini(&meeting);
}

static void test_garbage_is_not_tls(void **state)
{
	(void)state;
	static const char *const rows[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\xff\xff"};
	for (size_t i = 0; i < 3; i++) {
		struct meeting meeting;
		meeting_init(&meeting, &world, &world.device, NULL);
		meeting.client_result = -1;
		assert_true(write(meeting.client_fd, rows[i], strlen(rows[i])) > 0);
		shutdown(meeting.client_fd, SHUT_WR);
		meeting_shake(&meeting);
		print_message("%s\n", meeting.server_diag.text);
		assert_true(meeting.server_result == ERR_BAD_PEER || meeting.server_result == ERR_CLOSED);
		assert_null(tls_refusal(meeting.server));
		assert_false(tls_is_undecided(meeting.server));
		meeting_fini(&meeting);
	}
}

/* A client that has heard the server out, and then does something else than to show its certificate. */
static void expect_undecided(struct view sent, bool undecided)
{
	struct meeting meeting;
	struct diag diag = {""};
	meeting_init(&meeting, &world, NULL, NULL);
	assert_int_equal(server_turn(meeting.server, &diag), ERR_AGAIN);
	assert_false(tls_is_undecided(meeting.server));
	assert_int_equal(gnutls_handshake(meeting.client), GNUTLS_E_AGAIN);
	assert_int_equal(server_turn(meeting.server, &diag), ERR_AGAIN);
	assert_true(tls_is_undecided(meeting.server));
	assert_int_equal(write(meeting.client_fd, sent.data, sent.size), sent.size);
	shutdown(meeting.client_fd, SHUT_WR);
	assert_true(server_turn(meeting.server, &diag) < 0);
	print_message("%s\n", diag.text);
	assert_int_equal(tls_is_undecided(meeting.server), undecided);
	meeting_fini(&meeting);
}

static void test_who_leaves_before_showing_a_certificate_is_undecided(void **state)
{
	(void)state;
	static const uint8_t no_record_of_this_session[5 + 64] = {0x17, 3, 3, 0, 64};
	expect_undecided(view_string(""), true);
	expect_undecided(view_string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), false);
	expect_undecided(view_of(no_record_of_this_session, sizeof(no_record_of_this_session)), false);
}

/* ---- records ---- */

static void accepted_meeting(struct meeting *meeting)
{
	meeting_init(meeting, &world, &world.device, NULL);
	meeting_shake(meeting);
	assert_int_equal(meeting->server_result, 0);
	tls_proof_release(meeting->server);
	tls_accept(meeting->server);
}

static void test_bytes_travel_both_ways(void **state)
{
	(void)state;
	struct meeting meeting;
	accepted_meeting(&meeting);
	static uint8_t sent[300000], received[sizeof(sent)];
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 13);
	size_t written = 0, read_size = 0, step = 1;
	bool refused = false;
	while (read_size < sizeof(sent)) {
		while (written < sizeof(sent)) {
			size_t piece = step < sizeof(sent) - written ? step : sizeof(sent) - written;
			int result = tls_write(meeting.server, view_of(sent + written, piece));
			refused = refused || result == ERR_AGAIN;
			if (result == ERR_AGAIN)
				break;
			assert_int_equal(result, 0);
			written += piece;
			step = step * 3 % 40009 + 1;
		}
		int flushed = tls_flush(meeting.server);
		assert_true(flushed == 0 || flushed == ERR_AGAIN);
		assert_int_equal(flushed == ERR_AGAIN, tls_wants_write(meeting.server));
		for (;;) {
			ssize_t got = gnutls_record_recv(meeting.client, received + read_size, sizeof(received) - read_size);
			if (got <= 0)
				break;
			read_size += (size_t)got;
		}
	}
	assert_true(refused); /* the batch is bounded */
	assert_memory_equal(sent, received, sizeof(sent));
	size_t offset = 0, sent_size = 0;
	while (offset < sizeof(sent)) {
		size_t left = sizeof(sent) - sent_size;
		ssize_t put = left ? gnutls_record_send(meeting.client, sent + sent_size, left < 5000 ? left : 5000) : 0;
		sent_size += put > 0 ? (size_t)put : 0;
		struct view bytes;
		int result;
		while ((result = tls_read(meeting.server, &bytes)) == 0) {
			assert_memory_equal(sent + offset, bytes.data, bytes.size);
			offset += bytes.size;
		}
		assert_int_equal(result, ERR_AGAIN);
	}
	meeting_fini(&meeting);
}

static void test_close_notify_cut_and_reset_are_told_apart(void **state)
{
	(void)state;
	struct view bytes;
	struct meeting meeting;
	accepted_meeting(&meeting);
	gnutls_bye(meeting.client, GNUTLS_SHUT_WR);
	assert_int_equal(tls_read(meeting.server, &bytes), ERR_CLOSED);
	assert_int_equal(tls_ending(meeting.server), TLS_CLOSED);
	/* The other direction is still open. */
	char text[8] = "";
	assert_int_equal(tls_write(meeting.server, view_string("late")), 0);
	assert_int_equal(tls_close_write(meeting.server), 0);
	assert_int_equal(tls_write(meeting.server, view_string("never")), ERR_CLOSED);
	assert_int_equal(tls_flush(meeting.server), 0);
	assert_int_equal(gnutls_record_recv(meeting.client, text, sizeof(text)), 4);
	assert_int_equal(gnutls_record_recv(meeting.client, text, sizeof(text)), 0);
	meeting_fini(&meeting);

	accepted_meeting(&meeting);
	shutdown(meeting.client_fd, SHUT_WR);
	assert_int_equal(tls_read(meeting.server, &bytes), ERR_BAD_PEER);
	assert_int_equal(tls_ending(meeting.server), TLS_CUT);
	meeting_fini(&meeting);

	accepted_meeting(&meeting);
	gnutls_alert_send(meeting.client, GNUTLS_AL_FATAL, GNUTLS_A_USER_CANCELED);
	assert_int_equal(tls_read(meeting.server, &bytes), ERR_BAD_PEER);
	assert_int_equal(tls_ending(meeting.server), TLS_ALERTED);
	assert_int_equal(tls_alert_received(meeting.server), TLS_ALERT_USER_CANCELED);
	meeting_fini(&meeting);

	accepted_meeting(&meeting);
	assert_true(write(meeting.client_fd, "\x17\x03\x03\x00\x20 0123456789012345678901234567890123456789", 40) > 0);
	assert_int_equal(tls_read(meeting.server, &bytes), ERR_BAD_PEER);
	assert_int_equal(tls_ending(meeting.server), TLS_BROKEN);
	meeting_fini(&meeting);
}

static void test_an_empty_record_is_not_the_end(void **state)
{
	(void)state;
	struct meeting meeting;
	accepted_meeting(&meeting);
	struct view bytes = {0};
	(void)!gnutls_record_send(meeting.client, "", 0);
	(void)!gnutls_record_send(meeting.client, "x", 1);
	int result;
	while ((result = tls_read(meeting.server, &bytes)) == ERR_AGAIN)
		;
	assert_int_equal(result, 0);
	assert_true(view_is(bytes, "x"));
	meeting_fini(&meeting);
}

static void test_alert_after_the_handshake(void **state)
{
	(void)state;
	struct meeting meeting;
	accepted_meeting(&meeting);
	assert_int_equal(tls_send_alert(meeting.server, tls_alert_for(view_string("device_revoked"))), 0);
	assert_int_equal(alert_at_client(&meeting), TLS_ALERT_CERTIFICATE_REVOKED);
	meeting_fini(&meeting);
}

/* ---- our own client ---- */

static void write_file(const char *path, struct view bytes)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
	fclose(file);
}

struct pair {
	char folder[64];
	struct tls_credentials *credentials;
	struct meeting meeting; /* its GnuTLS client is not used */
	struct tls *client;
	struct diag client_diag;
};

static void pair_init(struct pair *pair, const struct world_identity *authority, const struct world_identity *device,
		      const char *host)
{
	char ca[96], certificate[96], key[96];
	strcpy(pair->folder, "/tmp/sallyport-test-XXXXXX");
	assert_non_null(mkdtemp(pair->folder));
	snprintf(ca, sizeof(ca), "%s/ca", pair->folder);
	snprintf(certificate, sizeof(certificate), "%s/crt", pair->folder);
	snprintf(key, sizeof(key), "%s/key", pair->folder);
	write_file(ca, buf_view(&authority->certificate_pem));
	write_file(certificate, buf_view(&device->certificate_pem));
	write_file(key, buf_view(&device->key_pem));
	struct diag diag;
	struct tls_client_files files = {ca, certificate, key};
	if (tls_credentials_client(&files, &pair->credentials, &diag) < 0)
		fail_msg("%s", diag.text);
	unlink(ca);
	unlink(certificate);
	unlink(key);
	rmdir(pair->folder);
	meeting_init(&pair->meeting, &world, NULL, NULL);
	assert_int_equal(tls_new_client(pair->credentials, pair->meeting.client_fd, host, &pair->client, &diag), 0);
}

static int pair_shake(struct pair *pair)
{
	int client = ERR_AGAIN;
	for (int turn = 0; turn < 100; turn++) {
		if (client == ERR_AGAIN)
			client = tls_handshake(pair->client, &pair->client_diag);
		if (pair->meeting.server_result == ERR_AGAIN)
			pair->meeting.server_result = server_turn(pair->meeting.server, &pair->meeting.server_diag);
	}
	return client;
}

static void pair_fini(struct pair *pair)
{
	tls_free(pair->client);
	tls_credentials_free(pair->credentials);
	meeting_fini(&pair->meeting);
}

static void test_client_meets_server(void **state)
{
	(void)state;
	struct pair pair = {0};
	pair_init(&pair, &world.server_authority, &world.device, WORLD_HOST);
	if (pair_shake(&pair) < 0)
		fail_msg("%s", pair.client_diag.text);
	assert_int_equal(pair.meeting.server_result, 0);
	assert_int_equal(tls_application(pair.client), TLS_HTTP2);
	struct view bytes;
	assert_int_equal(tls_write(pair.client, view_string("hello")), 0);
	assert_int_equal(tls_flush(pair.client), 0);
	assert_int_equal(tls_read(pair.meeting.server, &bytes), 0);
	assert_true(view_is(bytes, "hello"));
	pair_fini(&pair);
}

static void test_client_checks_the_server(void **state)
{
	(void)state;
	static const struct {
		bool other_authority;
		const char *host, *code;
	} rows[] = {
		{true, WORLD_HOST, "not_trusted"}, {false, "other.test", "wrong_name"}, {false, "127.0.0.1", "wrong_name"},
	};
	for (size_t i = 0; i < 3; i++) {
		struct pair pair = {0};
		pair_init(&pair, rows[i].other_authority ? &world.device_authority : &world.server_authority, &world.device,
			  rows[i].host);
		assert_int_equal(pair_shake(&pair), ERR_DENIED);
		print_message("%s\n", pair.client_diag.text);
		assert_string_equal(tls_refusal(pair.client), rows[i].code);
		assert_int_equal(pair.meeting.server_result, ERR_BAD_PEER);
		pair_fini(&pair);
	}
}

static void test_client_is_told_why_it_was_refused(void **state)
{
	(void)state;
	struct pair pair = {0};
	struct world_identity stranger;
	int64_t now = time(NULL);
	world_issue(&stranger, X509_DEVICE, "laptop", NULL, &world.server_authority, now - 60, now + 3600);
	pair_init(&pair, &world.server_authority, &stranger, WORLD_HOST);
	/* In TLS 1.3 the client is done before the server has judged it. */
	assert_int_equal(pair_shake(&pair), 0);
	assert_int_equal(pair.meeting.server_result, ERR_DENIED);
	(void)tls_flush(pair.meeting.server);
	struct view bytes;
	assert_int_equal(tls_read(pair.client, &bytes), ERR_BAD_PEER);
	assert_int_equal(tls_alert_received(pair.client), TLS_ALERT_UNKNOWN_CA);
	struct diag diag;
	tls_explain(pair.client, &diag);
	print_message("%s\n", diag.text);
	assert_non_null(strstr(diag.text, "not issued by the gateway's device authority"));
	pair_fini(&pair);
	world_identity_fini(&stranger);
}

static int set_up(void **state)
{
	(void)state;
	world_init(&world);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A2_device_proof_holds_for_every_suite),
		cmocka_unit_test(test_A2_device_proof_holds_after_hello_retry_request),
		cmocka_unit_test(test_A6_key_kinds_of_devices),
		cmocka_unit_test(test_A1_refusals_by_door_one),
		cmocka_unit_test(test_A1_certificate_without_its_key),
		cmocka_unit_test(test_A6_tls_1_2_is_refused),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_a_signer_that_refuses_ends_the_handshake),
		cmocka_unit_test(test_E2_input_before_acceptance_is_bounded),
		cmocka_unit_test(test_garbage_is_not_tls),
		cmocka_unit_test(test_who_leaves_before_showing_a_certificate_is_undecided),
		cmocka_unit_test(test_bytes_travel_both_ways),
		cmocka_unit_test(test_close_notify_cut_and_reset_are_told_apart),
		cmocka_unit_test(test_an_empty_record_is_not_the_end),
		cmocka_unit_test(test_alert_after_the_handshake),
		cmocka_unit_test(test_client_meets_server),
		cmocka_unit_test(test_client_checks_the_server),
		cmocka_unit_test(test_client_is_told_why_it_was_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
