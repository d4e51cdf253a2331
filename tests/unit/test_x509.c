/* test_x509.c: requests, the profile of a device's leaf, certificates of our own making. */
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tls_world.h"

static struct world_identity authority;

/* A leaf with chosen oddities, signed by the authority. */
struct odd {
	const char *common_name, *second_common_name;
	const char *dns[2];
	const char *purpose;
	bool is_authority, sha1;
	unsigned usage;
	gnutls_pk_algorithm_t algorithm;
	unsigned bits;
};

static void make_leaf(const struct odd *odd, struct buf *out_der)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t leaf, issuer;
	gnutls_privkey_t issuer_key;
	gnutls_datum_t pem = {authority.key_pem.data, (unsigned)authority.key_pem.size};
	gnutls_datum_t issuer_der = {authority.certificate_der.data, (unsigned)authority.certificate_der.size}, der;
	gnutls_x509_privkey_init(&key);
	gnutls_pk_algorithm_t algorithm = odd->algorithm ? odd->algorithm : GNUTLS_PK_ECDSA;
	unsigned bits = odd->bits ? odd->bits : GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
	assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
	gnutls_x509_crt_init(&issuer);
	gnutls_x509_crt_import(issuer, &issuer_der, GNUTLS_X509_FMT_DER);
	gnutls_privkey_init(&issuer_key);
	gnutls_privkey_import_x509_raw(issuer_key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_x509_crt_init(&leaf);
	gnutls_x509_crt_set_version(leaf, 3);
	gnutls_x509_crt_set_serial(leaf, "\x41", 1);
	gnutls_x509_crt_set_activation_time(leaf, time(NULL) - 60);
	gnutls_x509_crt_set_expiration_time(leaf, time(NULL) + 3600);
	gnutls_x509_crt_set_key(leaf, key);
	if (odd->common_name)
		gnutls_x509_crt_set_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 0, odd->common_name,
					      (unsigned)strlen(odd->common_name));
	if (odd->second_common_name)
		gnutls_x509_crt_set_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 0, odd->second_common_name,
					      (unsigned)strlen(odd->second_common_name));
	for (int i = 0; i < 2; i++)
		if (odd->dns[i])
			gnutls_x509_crt_set_subject_alt_name(leaf, GNUTLS_SAN_DNSNAME, odd->dns[i],
							     (unsigned)strlen(odd->dns[i]), GNUTLS_FSAN_APPEND);
	if (odd->purpose)
		gnutls_x509_crt_set_key_purpose_oid(leaf, odd->purpose, 0);
	if (odd->usage)
		gnutls_x509_crt_set_key_usage(leaf, odd->usage);
	gnutls_x509_crt_set_basic_constraints(leaf, odd->is_authority, -1);
	assert_int_equal(gnutls_x509_crt_privkey_sign(leaf, issuer, issuer_key,
						      odd->sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(leaf, GNUTLS_X509_FMT_DER, &der), 0);
	assert_int_equal(buf_add(out_der, view_of(der.data, der.size)), 0);
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(leaf);
	gnutls_x509_crt_deinit(issuer);
	gnutls_privkey_deinit(issuer_key);
	gnutls_x509_privkey_deinit(key);
}

static void test_A6_profile_of_a_leaf(void **state)
{
	(void)state;
#define CLIENT .purpose = GNUTLS_KP_TLS_WWW_CLIENT
	static const struct {
		struct odd odd;
		const char *code;
	} rows[] = {
		{{.common_name = "laptop", CLIENT}, NULL},
		{{.common_name = "laptop", .dns = {"laptop"}, CLIENT}, NULL},
		{{.common_name = "laptop", .dns = {"laptop.corp.example"}, CLIENT}, NULL},
		{{.dns = {"laptop.corp.example"}, CLIENT}, NULL},
		{{CLIENT}, NULL},
		{{.common_name = "laptop", .usage = GNUTLS_KEY_DIGITAL_SIGNATURE, CLIENT}, NULL},
		{{.common_name = "laptop"}, "wrong_purpose"},
		{{.common_name = "laptop", .purpose = GNUTLS_KP_ANY}, "wrong_purpose"},
		{{.common_name = "laptop", .purpose = GNUTLS_KP_TLS_WWW_SERVER}, "wrong_purpose"},
		{{.common_name = "laptop", .is_authority = true, CLIENT}, "wrong_purpose"},
		{{.common_name = "laptop", .usage = GNUTLS_KEY_KEY_ENCIPHERMENT, CLIENT}, "wrong_purpose"},
		{{.common_name = "*", CLIENT}, "wrong_purpose"},
		{{.common_name = "*.corp.example", CLIENT}, "wrong_purpose"},
		{{.dns = {"*.corp.example"}, CLIENT}, "wrong_purpose"},
		{{.common_name = "laptop", .second_common_name = "desktop", CLIENT}, "wrong_purpose"},
		{{.common_name = "laptop", .dns = {"desktop"}, CLIENT}, "wrong_purpose"},
		{{.common_name = "laptop", .dns = {"laptop", "desktop"}, CLIENT}, "wrong_purpose"},
		{{.common_name = "laptop", .sha1 = true, CLIENT}, "weak_key"},
		{{.common_name = "laptop", .algorithm = GNUTLS_PK_RSA, .bits = 1024, CLIENT}, "weak_key"},
		{{.common_name = "laptop", .algorithm = GNUTLS_PK_RSA, .bits = 2048, CLIENT}, NULL},
		{{.common_name = "laptop", .algorithm = GNUTLS_PK_EDDSA_ED448,
		  .bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED448), CLIENT}, "weak_key"},
		{{.common_name = "laptop", .bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP521R1), CLIENT}, "weak_key"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf der = BUF_INIT(X509_INPUT_MAX);
		const char *code = NULL;
		struct diag diag = {""};
		make_leaf(&rows[i].odd, &der);
		int result = x509_check_leaf(buf_view(&der), &code, &diag);
		if ((rows[i].code == NULL) != (result == 0))
			fail_msg("row %zu: %d %s", i, result, diag.text);
		if (rows[i].code) {
			assert_string_equal(code, rows[i].code);
			print_message("%s: %s\n", code, diag.text);
		}
	}
	const char *code = NULL;
	assert_int_equal(x509_check_leaf(view_string("garbage"), &code, NULL), ERR_BAD_INPUT);
	assert_string_equal(code, "not_trusted");
}

static void test_certificates_of_our_own_making(void **state)
{
	(void)state;
	int64_t now = time(NULL);
	struct world_identity server, device;
	world_issue(&server, X509_SERVER, "2001:db8::1", NULL, &authority, now, now + 3600);
	world_issue(&device, X509_DEVICE, "alice-laptop", NULL, &authority, now, now + 86400);
	struct x509_facts facts;
	assert_int_equal(x509_facts(buf_view(&device.certificate_pem), &facts, NULL), 0);
	assert_string_equal(facts.name, "alice-laptop");
	assert_string_equal(facts.issuer, "Device authority");
	assert_string_equal(facts.key_kind, "ec-p256");
	assert_int_equal(strlen(facts.serial), 2 * X509_SERIAL_SIZE);
	assert_int_equal(facts.not_after_s - facts.not_before_s, 86400);
	uint8_t fingerprint[X509_FINGERPRINT_SIZE];
	x509_fingerprint(buf_view(&device.certificate_der), fingerprint);
	assert_memory_equal(fingerprint, facts.fingerprint, sizeof(fingerprint));
	const char *code = NULL;
	assert_int_equal(x509_check_leaf(buf_view(&device.certificate_der), &code, NULL), 0);
	gnutls_x509_crt_t certificate;
	gnutls_datum_t der = {server.certificate_der.data, (unsigned)server.certificate_der.size};
	gnutls_x509_crt_init(&certificate);
	gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER);
	assert_true(gnutls_x509_crt_check_hostname(certificate, "2001:db8::1"));
	assert_false(gnutls_x509_crt_check_hostname(certificate, "2001:db8::2"));
	gnutls_x509_crt_deinit(certificate);
	/* PEM and back. */
	OWN_BUF struct buf back = BUF_INIT(X509_INPUT_MAX);
	assert_int_equal(x509_pem_to_der(buf_view(&device.certificate_pem), "CERTIFICATE", &back), 0);
	assert_true(view_equal(buf_view(&back), buf_view(&device.certificate_der)));
	assert_int_equal(x509_pem_to_der(buf_view(&device.certificate_pem), "CERTIFICATE REQUEST", &back), ERR_BAD_INPUT);
	world_identity_fini(&server);
	world_identity_fini(&device);
}

static void test_a_request_gives_its_public_key(void **state)
{
	(void)state;
	OWN_SECRET_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf request = BUF_INIT(X509_INPUT_MAX), der = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf found = BUF_INIT(X509_INPUT_MAX), expected = BUF_INIT(X509_INPUT_MAX);
	struct diag diag = {""};
	assert_int_equal(x509_key_make(&key, &diag), 0);
	assert_int_equal(x509_request_make(buf_view(&key), "anything", &request, &diag), 0);
	assert_int_equal(x509_request_public_key(buf_view(&request), &found, &diag), 0);
	assert_int_equal(x509_key_public(buf_view(&key), &expected, &diag), 0);
	assert_true(view_equal(buf_view(&found), buf_view(&expected)));
	/* The same as DER; then with a signature that is not its own. */
	assert_int_equal(x509_pem_to_der(buf_view(&request), "CERTIFICATE REQUEST", &der), 0);
	buf_reset(&found);
	assert_int_equal(x509_request_public_key(buf_view(&der), &found, &diag), 0);
	assert_true(view_equal(buf_view(&found), buf_view(&expected)));
	der.data[der.size - 5] ^= 1;
	buf_reset(&found);
	assert_int_equal(x509_request_public_key(buf_view(&der), &found, &diag), ERR_DENIED);
	print_message("%s\n", diag.text);
	assert_int_equal(found.size, 0);
}

static void weak_request(struct buf *out_pem)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crq_t request;
	gnutls_datum_t pem;
	gnutls_x509_privkey_init(&key);
	gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, 1024, 0);
	gnutls_x509_crq_init(&request);
	gnutls_x509_crq_set_key(request, key);
	gnutls_x509_crq_sign2(request, key, GNUTLS_DIG_SHA256, 0);
	assert_int_equal(gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &pem), 0);
	assert_int_equal(buf_add(out_pem, view_of(pem.data, pem.size)), 0);
	gnutls_free(pem.data);
	gnutls_x509_crq_deinit(request);
	gnutls_x509_privkey_deinit(key);
}

static void test_E5_requests_that_are_none(void **state)
{
	(void)state;
	OWN_BUF struct buf weak = BUF_INIT(X509_INPUT_MAX), large = BUF_INIT(2 * X509_INPUT_MAX);
	weak_request(&weak);
	memset(buf_reserve(&large, X509_INPUT_MAX + 1), 'A', X509_INPUT_MAX + 1);
	buf_grown(&large, X509_INPUT_MAX + 1);
	const struct {
		struct view input;
		int result;
		const char *says;
	} rows[] = {
		{view_string(""), ERR_BAD_INPUT, "not a certificate request"},
		{view_string("hello"), ERR_BAD_INPUT, "not a certificate request"},
		{view_string("-----BEGIN CERTIFICATE REQUEST-----\n!!\n-----END CERTIFICATE REQUEST-----\n"), ERR_BAD_INPUT,
		 "not a certificate request"},
		{buf_view(&authority.certificate_pem), ERR_BAD_INPUT, "not a certificate request"},
		{buf_view(&weak), ERR_DENIED, "1024 bits is too weak"},
		{buf_view(&large), ERR_BAD_INPUT, "too large"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OWN_BUF struct buf key = BUF_INIT(X509_INPUT_MAX);
		struct diag diag = {""};
		assert_int_equal(x509_request_public_key(rows[i].input, &key, &diag), rows[i].result);
		print_message("%s\n", diag.text);
		assert_non_null(strstr(diag.text, rows[i].says));
	}
}

static int set_up(void **state)
{
	(void)state;
	world_issue(&authority, X509_AUTHORITY, "Device authority", NULL, NULL, time(NULL) - 60, time(NULL) + 86400);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_identity_fini(&authority);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_A6_profile_of_a_leaf),
		cmocka_unit_test(test_certificates_of_our_own_making),
		cmocka_unit_test(test_a_request_gives_its_public_key),
		cmocka_unit_test(test_E5_requests_that_are_none),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
