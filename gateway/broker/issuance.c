/* issuance.c: asks the signer for a certificate and records it. Who gets one is decided by its owners: registry_add.c,
 * enrolment.c, renewal.c. */
#include "issuance.h"

#include <stdlib.h>

#include "broker.h"
#include "hash.h"
#include "registry_memory.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

/* Clocks of laptops differ a little. */
enum { BACKDATE_S = 300 };
enum { KEY_HEX_MAX = 2 * 4096 + 1 };

void issuance_random_hex(char *out_text, size_t bytes)
{
	uint8_t random[SERIAL_BYTES];
	fd_random(random, bytes);
	random[0] &= 0x7f; /* a serial is a positive number of at most 20 bytes (RFC 5280) */
	random[0] |= 0x40;
	str_hex(view_of(random, bytes), out_text);
}

struct certificate *issuance_certificate(const struct broker *broker, const struct issuance_key *key, uint32_t generation)
{
	struct certificate *certificate = calloc(1, sizeof(*certificate));
	if (!certificate)
		return NULL;
	if (certificate_set_key(certificate, key->public_key) < 0) {
		certificate_free(certificate);
		return NULL;
	}
	uint64_t now_ms = clock_wall_ms();
	certificate->der = BUF_INIT(ISSUANCE_DER_MAX);
	certificate->generation = generation;
	issuance_random_hex(certificate->serial, SERIAL_BYTES);
	certificate->issued_at_ms = now_ms;
	certificate->not_before_ms = (now_ms / 1000 - BACKDATE_S) * 1000;
	certificate->not_after_ms = now_ms / 1000 * 1000 + broker->room->conf.certificate_life_ms;
	str_copy(certificate->key_kind, sizeof(certificate->key_kind), key->kind ? key->kind : "");
	str_copy(certificate->key_store, sizeof(certificate->key_store), key->store ? key->store : "");
	return certificate;
}

void issuance_fini(struct issuance *issuance)
{
	certificate_free(take_pointer(&issuance->certificate));
}

/* ---- the record ---- */

int registry_record_certificate(struct store_db *db, const char *device_id, const struct certificate *certificate,
				struct diag *diag)
{
	char fingerprint[2 * FINGERPRINT_BYTES + 1], key[KEY_HEX_MAX];
	OWN_MEMORY char *der = malloc(2 * certificate->der.size + 1);
	if (!der)
		return diag_system(diag, "memory");
	str_hex(view_of(certificate->fingerprint, FINGERPRINT_BYTES), fingerprint);
	str_hex(buf_view(&certificate->public_key), key);
	str_hex(buf_view(&certificate->der), der);
	return STORE_RUN(db, diag, certificate_insert, TEXT(fingerprint), TEXT(certificate->serial), TEXT(device_id),
			 NUMBER(certificate->generation), TEXT(key), TEXT(certificate->key_kind),
			 NUMBER(certificate->not_before_ms), NUMBER(certificate->not_after_ms),
			 NUMBER(certificate->issued_at_ms), TEXT(der), TEXT(certificate->key_store),
			 TEXT(certificate->authority), TEXT(certificate->issuer),
			 TEXT(certificate->responder ? certificate->responder : ""));
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	struct issuance *issuance = operation->context;
	int result = issuance->record(db, issuance, diag);
	return result < 0 ? result : registry_record_certificate(db, issuance->device_id, issuance->certificate, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct issuance *issuance = operation->context;
	issuance->done(issuance, result, diag);
}

static void on_failed(struct store_operation *operation, int result, const struct diag *diag)
{
	struct issuance *issuance = operation->context;
	(void)result, (void)diag;
	issuance->done(issuance, issuance->result, &issuance->diag);
}

/* ---- the signer ---- */

static void on_issued(struct signer_issue *ask, int result, struct view der, const struct diag *diag)
{
	struct issuance *issuance = ask->context;
	str_copy(issuance->certificate->authority, sizeof(issuance->certificate->authority), ask->authority);
	if (result == 0 && buf_add(&issuance->certificate->der, der) < 0)
		result = diag_system(&issuance->diag, "memory");
	else if (result < 0)
		issuance->diag = *diag;
	issuance->result = result;
	hash_sha256(der, issuance->certificate->fingerprint);
	issuance->operation = (struct store_operation){.work = result < 0 ? NULL : record,
						       .done = result < 0 ? on_failed : on_recorded,
						       .context = issuance};
	store_submit(issuance->broker->store, &issuance->operation);
}

void issuance_begin(struct issuance *issuance)
{
	const struct certificate *certificate = issuance->certificate;
	uint8_t serial[SERIAL_BYTES];
	(void)!str_from_hex(view_string(certificate->serial), serial, sizeof(serial));
	struct signer_names names = {
		.public_key = buf_view(&certificate->public_key),
		.serial = view_of(serial, sizeof(serial)),
		.device_id = issuance->device_id,
		.device_name = issuance->device_name,
		.not_before_s = certificate->not_before_ms / 1000,
		.not_after_s = certificate->not_after_ms / 1000,
	};
	issuance->ask = (struct signer_issue){.done = on_issued, .context = issuance};
	signer_issue(issuance->broker, &issuance->ask, &names);
}
