/* test_signer.c: the signer's parts against real TLS handshakes (src/net/tls at one end, bare GnuTLS at the
 * other), and the certificates that it makes. Hostile workers: tests/room/test_signer.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../gateway/signer/issue.h"
#include "../../gateway/signer/sign.h"
#include "tls_world.h"

static struct world world;
static struct keyring keyring;

struct bench {
	struct meeting meeting;
	struct proof proof;
	struct diag diag;
};

/* ---- keys ---- */

static void import_key(const struct world_identity *identity, gnutls_privkey_t *out_key)
{
	gnutls_datum_t pem = {identity->key_pem.data, (unsigned)identity->key_pem.size};
	assert_int_equal(gnutls_privkey_init(out_key), 0);
	assert_int_equal(gnutls_privkey_import_x509_raw(*out_key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
}

static int set_up(void **state)
{
	(void)state;
	world_init(&world);
	gnutls_datum_t authority = {world.device_authority.certificate_der.data,
				    (unsigned)world.device_authority.certificate_der.size};
	import_key(&world.server, &keyring.server_key);
	import_key(&world.device_authority, &keyring.authority_key);
	assert_int_equal(gnutls_pubkey_init(&keyring.server_public), 0);
	assert_int_equal(gnutls_pubkey_import_privkey(keyring.server_public, keyring.server_key, 0, 0), 0);
	assert_int_equal(gnutls_x509_crt_init(&keyring.authority), 0);
	assert_int_equal(gnutls_x509_crt_import(keyring.authority, &authority, GNUTLS_X509_FMT_DER), 0);
	keyring.server_leaf = BUF_INIT(65536);
	return buf_add(&keyring.server_leaf, buf_view(&world.server.certificate_der));
}

static int tear_down(void **state)
{
	(void)state;
	gnutls_privkey_deinit(keyring.server_key);
	gnutls_privkey_deinit(keyring.authority_key);
	gnutls_pubkey_deinit(keyring.server_public);
	gnutls_x509_crt_deinit(keyring.authority);
	buf_fini(&keyring.server_leaf);
	world_fini(&world);
	return 0;
}

/* ---- handshakes ---- */

static int sign_by_proof(void *owner, const struct tls_signing *signing, struct buf *out_signature)
{
	struct bench *bench = owner;
	struct worker_signer_sign message = {
		.hash = (uint8_t)signing->hash, .scheme = signing->scheme, .transcript = signing->transcript};
	int result = proof_sign(&bench->proof, &keyring, &message, &bench->diag);
	return result < 0 ? result : buf_add(out_signature, buf_view(&bench->proof.own_signature));
}

/* A meeting whose server asks the real signer's code. */
static void bench_init(struct bench *bench, const struct world_identity *device, const char *priority)
{
	meeting_init(&bench->meeting, &world, device, priority);
	tls_free(bench->meeting.server);
	proof_init(&bench->proof);
	struct tls_server_options options = {.input_limit_bytes = 65536, .sign = sign_by_proof, .owner = bench};
	assert_int_equal(tls_new_server(world.server_credentials, bench->meeting.server_fd, &options,
					&bench->meeting.server, NULL),
			 0);
	meeting_shake(&bench->meeting);
	if (bench->meeting.server_result < 0)
		fail_msg("%s; %s", bench->meeting.server_diag.text, bench->diag.text);
}

static void bench_fini(struct bench *bench)
{
	proof_fini(&bench->proof);
	meeting_fini(&bench->meeting);
}

static void public_of(const struct world_identity *identity, struct buf *out_public)
{
	*out_public = BUF_INIT(X509_INPUT_MAX);
	assert_int_equal(x509_certificate_public_key(buf_view(&identity->certificate_der), out_public, NULL), 0);
}

static struct worker_signer_proof message_of(const struct bench *bench)
{
	struct tls_proof proof;
	assert_int_equal(tls_proof(bench->meeting.server, &proof), 0);
	return (struct worker_signer_proof){.rest = proof.rest, .scheme = proof.scheme, .signature = proof.signature};
}

static void expect_good_proof(const char *priority)
{
	struct bench bench;
	OWN_BUF struct buf public_key;
	public_of(&world.device, &public_key);
	bench_init(&bench, &world.device, priority);
	struct worker_signer_proof message = message_of(&bench);
	if (proof_keep(&bench.proof, &message, &bench.diag) < 0)
		fail_msg("%s: %s", priority, bench.diag.text);
	if (proof_verify(&bench.proof, buf_view(&public_key), &bench.diag) < 0)
		fail_msg("%s: %s", priority, bench.diag.text);
	assert_int_equal(proof_verify(&bench.proof, buf_view(&public_key), &bench.diag), ERR_NOT_FOUND);
	bench_fini(&bench);
}

static void test_A2_proof_of_real_handshakes(void **state)
{
	(void)state;
	expect_good_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM");
	expect_good_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM");
	expect_good_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305");
}

static void test_A2_proof_after_hello_retry_request(void **state)
{
	(void)state;
	expect_good_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP521R1:+GROUP-X448:+GROUP-X25519:"
			  "+GROUP-SECP256R1:-CIPHER-ALL:+AES-128-GCM");
	expect_good_proof("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP521R1:+GROUP-X448:+GROUP-X25519:"
			  "+GROUP-SECP256R1:-CIPHER-ALL:+AES-256-GCM");
}

static void test_A2_other_key_and_altered_rest(void **state)
{
	(void)state;
	OWN_BUF struct buf server_key, device_key;
	public_of(&world.server, &server_key);
	public_of(&world.device, &device_key);
	struct bench bench;
	bench_init(&bench, &world.device, NULL);
	struct worker_signer_proof message = message_of(&bench);
	assert_int_equal(proof_keep(&bench.proof, &message, &bench.diag), 0);
	assert_int_equal(proof_keep(&bench.proof, &message, &bench.diag), ERR_BAD_PEER);
	assert_int_equal(proof_verify(&bench.proof, buf_view(&server_key), &bench.diag), ERR_DENIED);
	bench_fini(&bench);
	bench_init(&bench, &world.device, NULL);
	message = message_of(&bench);
	((uint8_t *)(uintptr_t)message.rest.data)[message.rest.size - 5] ^= 1;
	assert_int_equal(proof_keep(&bench.proof, &message, &bench.diag), 0);
	assert_int_equal(proof_verify(&bench.proof, buf_view(&device_key), &bench.diag), ERR_DENIED);
	bench_fini(&bench);
}

/* Every cut of a real transcript is refused: nothing but the whole is signed. */
static void test_F2_cut_transcripts_are_refused(void **state)
{
	bool asked = false;
	(void)state;
	struct bench bench;
	struct tls_proof real;
	struct diag diag;
	bench_init(&bench, &world.device, NULL);
	assert_int_equal(tls_proof(bench.meeting.server, &real), 0);
	struct view leaf = buf_view(&keyring.server_leaf);
	assert_int_equal(transcript_check_start(real.transcript, leaf, &asked, &diag), 0);
	assert_true(asked);
	for (size_t size = 0; size < real.transcript.size; size++)
		assert_int_equal(transcript_check_start(view_of(real.transcript.data, size), leaf, &asked, &diag),
				 ERR_BAD_PEER);
	struct view signature = buf_view(&bench.proof.own_signature);
	assert_int_equal(transcript_check_rest(real.rest, 0x0403, signature, &diag), 0);
	for (size_t size = 0; size < real.rest.size; size++)
		assert_int_equal(transcript_check_rest(view_of(real.rest.data, size), 0x0403, signature, &diag),
				 ERR_BAD_PEER);
	bench_fini(&bench);
}

/* ---- certificates ---- */

static struct broker_signer_issue order_for(const struct buf *public_key)
{
	static const uint8_t serial[ISSUE_SERIAL_SIZE] = {0x80, 1, 2, 3};
	uint64_t now = (uint64_t)time(NULL);
	return (struct broker_signer_issue){.request = 1,
					    .public_key = buf_view(public_key),
					    .device_id = view_string("d7"),
					    .device_name = view_string("alice-laptop"),
					    .serial = view_of(serial, sizeof(serial)),
					    .not_before_s = now - 60,
					    .not_after_s = now + 3600};
}

/* What the signer issues, door one accepts: the profile's checks, and a handshake. */
static void test_issued_certificate_opens_door_one(void **state)
{
	(void)state;
	struct world_identity device = {
		.key_pem = BUF_INIT(65536), .certificate_der = BUF_INIT(65536), .certificate_pem = BUF_INIT(65536)};
	OWN_BUF struct buf public_key = BUF_INIT(4096);
	struct diag diag = {""};
	const char *code = "";
	assert_int_equal(x509_key_make(&device.key_pem, &diag), 0);
	assert_int_equal(x509_key_public(buf_view(&device.key_pem), &public_key, &diag), 0);
	struct broker_signer_issue order = order_for(&public_key);
	assert_int_equal(issue_certificate(&keyring, &order, &device.certificate_der, &diag), 0);
	if (x509_check_leaf(buf_view(&device.certificate_der), &code, &diag) < 0)
		fail_msg("%s: %s", code, diag.text);
	assert_int_equal(x509_der_to_pem(buf_view(&device.certificate_der), "CERTIFICATE", &device.certificate_pem), 0);
	struct bench bench;
	bench_init(&bench, &device, NULL);
	struct worker_signer_proof message = message_of(&bench);
	assert_int_equal(proof_keep(&bench.proof, &message, &bench.diag), 0);
	assert_int_equal(proof_verify(&bench.proof, buf_view(&public_key), &bench.diag), 0);
	bench_fini(&bench);
	struct x509_facts facts;
	assert_int_equal(x509_facts(buf_view(&device.certificate_der), &facts, &diag), 0);
	assert_string_equal(facts.name, "alice-laptop");
	assert_string_equal(facts.serial, "40010203000000000000000000000000");
	world_identity_fini(&device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A2_proof_of_real_handshakes),
		cmocka_unit_test(test_A2_proof_after_hello_retry_request),
		cmocka_unit_test(test_A2_other_key_and_altered_rest),
		cmocka_unit_test(test_F2_cut_transcripts_are_refused),
		cmocka_unit_test(test_issued_certificate_opens_door_one),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
