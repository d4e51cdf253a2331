/* tls_world.c: see tls_world.h. */
#include "tls_world.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { YEAR_S = 365 * 86400 };

void world_issue(struct world_identity *identity, enum x509_purpose purpose, const char *name, const char *key_pem,
		 const struct world_identity *issuer, int64_t not_before_s, int64_t not_after_s)
{
	identity->key_pem = BUF_INIT(X509_INPUT_MAX);
	identity->certificate_der = BUF_INIT(X509_INPUT_MAX);
	identity->certificate_pem = BUF_INIT(X509_INPUT_MAX);
	struct diag diag = {""};
	OWN_BUF struct buf public_key = BUF_INIT(X509_INPUT_MAX);
	if (key_pem)
		assert_int_equal(buf_add_string(&identity->key_pem, key_pem), 0);
	else
		assert_int_equal(x509_key_make(&identity->key_pem, &diag), 0);
	assert_int_equal(x509_key_public(buf_view(&identity->key_pem), &public_key, &diag), 0);
	struct x509_order order = {
		.purpose = purpose, .name = name, .public_key = buf_view(&public_key),
		.not_before_s = not_before_s, .not_after_s = not_after_s,
		.issuer_certificate = issuer ? buf_view(&issuer->certificate_der) : view_of(NULL, 0),
		.issuer_key_pem = buf_view(issuer ? &issuer->key_pem : &identity->key_pem),
	};
	if (x509_issue(&order, &identity->certificate_der, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(x509_der_to_pem(buf_view(&identity->certificate_der), "CERTIFICATE",
					 &identity->certificate_pem), 0);
}

void world_identity_fini(struct world_identity *identity)
{
	buf_wipe(&identity->key_pem);
	buf_fini(&identity->certificate_der);
	buf_fini(&identity->certificate_pem);
}

void world_init(struct world *world)
{
	int64_t now = time(NULL);
	world_issue(&world->device_authority, X509_AUTHORITY, "Device authority", NULL, NULL, now - 60, now + YEAR_S);
	world_issue(&world->server_authority, X509_AUTHORITY, "Server authority", NULL, NULL, now - 60, now + YEAR_S);
	world_issue(&world->server, X509_SERVER, WORLD_HOST, NULL, &world->server_authority, now - 60, now + YEAR_S);
	world_issue(&world->device, X509_DEVICE, "laptop", NULL, &world->device_authority, now - 60, now + YEAR_S);
	struct diag diag = {""};
	if (tls_credentials_server(buf_view(&world->server.certificate_pem),
				   buf_view(&world->device_authority.certificate_pem), &world->server_credentials, &diag) < 0)
		fail_msg("%s", diag.text);
}

void world_fini(struct world *world)
{
	tls_credentials_free(world->server_credentials);
	world_identity_fini(&world->device_authority);
	world_identity_fini(&world->server_authority);
	world_identity_fini(&world->server);
	world_identity_fini(&world->device);
}

/* ---- the signer's part ---- */

static void make_content(const char *context, enum tls_hash hash, struct view transcript, struct buf *out_content)
{
	gnutls_digest_algorithm_t algorithm = hash == TLS_SHA256 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA384;
	uint8_t spaces[64], digest[64];
	memset(spaces, 0x20, sizeof(spaces));
	gnutls_hash_fast(algorithm, transcript.data, transcript.size, digest);
	assert_int_equal(buf_add(out_content, view_of(spaces, sizeof(spaces))), 0);
	assert_int_equal(buf_add(out_content, view_of(context, strlen(context) + 1)), 0);
	assert_int_equal(buf_add(out_content, view_of(digest, gnutls_hash_get_len(algorithm))), 0);
}

int meeting_sign(void *owner, const struct tls_signing *signing, struct buf *out_signature)
{
	struct meeting *meeting = owner;
	meeting->signatures++;
	meeting->hash = signing->hash;
	buf_reset(&meeting->transcript);
	assert_int_equal(buf_add(&meeting->transcript, signing->transcript), 0);
	assert_int_equal(signing->scheme, 0x0403);
	OWN_BUF struct buf content = BUF_INIT(1024);
	make_content("TLS 1.3, server CertificateVerify", signing->hash, signing->transcript, &content);
	gnutls_privkey_t key;
	struct world_identity *server = &meeting->world->server;
	gnutls_datum_t pem = {server->key_pem.data, (unsigned)server->key_pem.size}, signature;
	gnutls_datum_t data = {content.data, (unsigned)content.size};
	assert_int_equal(gnutls_privkey_init(&key), 0);
	assert_int_equal(gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
	assert_int_equal(gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, 0, &data, &signature), 0);
	int result = buf_add(out_signature, view_of(signature.data, signature.size));
	gnutls_free(signature.data);
	gnutls_privkey_deinit(key);
	return result;
}

bool meeting_proof_holds(const struct meeting *meeting, const struct tls_proof *proof,
			 const struct world_identity *device)
{
	OWN_BUF struct buf whole = BUF_INIT(131072);
	OWN_BUF struct buf content = BUF_INIT(1024);
	OWN_BUF struct buf public_key = BUF_INIT(X509_INPUT_MAX);
	/* From the signer's own copy of the transcript, not from what the proof says. */
	assert_int_equal(buf_add(&whole, buf_view(&meeting->transcript)), 0);
	assert_int_equal(buf_add(&whole, proof->rest), 0);
	make_content("TLS 1.3, client CertificateVerify", meeting->hash, buf_view(&whole), &content);
	assert_int_equal(x509_certificate_public_key(buf_view(&device->certificate_der), &public_key, NULL), 0);
	gnutls_pubkey_t key;
	gnutls_datum_t der = {public_key.data, (unsigned)public_key.size};
	gnutls_datum_t data = {content.data, (unsigned)content.size};
	gnutls_datum_t signature = {(unsigned char *)(uintptr_t)proof->signature.data, (unsigned)proof->signature.size};
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER), 0);
	gnutls_sign_algorithm_t algorithm = proof->scheme == 0x0403   ? GNUTLS_SIGN_ECDSA_SECP256R1_SHA256
					    : proof->scheme == 0x0503 ? GNUTLS_SIGN_ECDSA_SECP384R1_SHA384
					    : proof->scheme == 0x0807 ? GNUTLS_SIGN_EDDSA_ED25519
					    : proof->scheme == 0x0804 ? GNUTLS_SIGN_RSA_PSS_RSAE_SHA256
								      : GNUTLS_SIGN_UNKNOWN;
	bool holds = gnutls_pubkey_verify_data2(key, algorithm, 0, &data, &signature) >= 0;
	gnutls_pubkey_deinit(key);
	return holds;
}

/* ---- a connection ---- */

static void client_init(struct meeting *meeting, const struct world_identity *identity, const char *priority)
{
	assert_int_equal(gnutls_certificate_allocate_credentials(&meeting->client_credentials), 0);
	if (identity) {
		gnutls_datum_t certificate = {identity->certificate_pem.data, (unsigned)identity->certificate_pem.size};
		gnutls_datum_t key = {identity->key_pem.data, (unsigned)identity->key_pem.size};
		assert_true(gnutls_certificate_set_x509_key_mem(meeting->client_credentials, &certificate, &key,
								GNUTLS_X509_FMT_PEM) >= 0);
	}
	assert_int_equal(gnutls_init(&meeting->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
							       GNUTLS_FORCE_CLIENT_CERT), 0);
	const char *where = "";
	if (gnutls_priority_set_direct(meeting->client, priority ? priority : "NORMAL:-VERS-ALL:+VERS-TLS1.3", &where) < 0)
		fail_msg("%s", where);
	gnutls_credentials_set(meeting->client, GNUTLS_CRD_CERTIFICATE, meeting->client_credentials);
	gnutls_transport_set_int(meeting->client, meeting->client_fd);
	gnutls_handshake_set_timeout(meeting->client, GNUTLS_INDEFINITE_TIMEOUT);
}

void meeting_init(struct meeting *meeting, struct world *world, const struct world_identity *identity,
		  const char *priority)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*meeting = (struct meeting){.world = world, .server_fd = fds[0], .client_fd = fds[1],
				    .transcript = BUF_INIT(65536), .server_result = ERR_AGAIN,
				    .client_result = GNUTLS_E_AGAIN};
	struct tls_server_options options = {.input_limit_bytes = 65536, .sign = meeting_sign, .owner = meeting};
	assert_int_equal(tls_new_server(world->server_credentials, fds[0], &options, &meeting->server, NULL), 0);
	client_init(meeting, identity, priority);
}

int server_turn(struct tls *server, struct diag *diag)
{
	int result = tls_handshake(server, diag);
	if (result < 0 && result != ERR_AGAIN)
		(void)!tls_flush(server);
	return result;
}

void meeting_shake(struct meeting *meeting)
{
	for (int turn = 0; turn < 100; turn++) {
		if (meeting->client_result == GNUTLS_E_AGAIN)
			meeting->client_result = gnutls_handshake(meeting->client);
		if (meeting->client_result < 0 && gnutls_error_is_fatal(meeting->client_result))
			gnutls_alert_send_appropriate(meeting->client, meeting->client_result);
		if (meeting->server_result == ERR_AGAIN)
			meeting->server_result = server_turn(meeting->server, &meeting->server_diag);
	}
}

void meeting_fini(struct meeting *meeting)
{
	gnutls_deinit(meeting->client);
	gnutls_certificate_free_credentials(meeting->client_credentials);
	tls_free(meeting->server);
	close(meeting->server_fd);
	close(meeting->client_fd);
	buf_fini(&meeting->transcript);
}
