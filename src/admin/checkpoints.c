/* checkpoints.c: reads checkpoints and keys, checks signatures. */
#include "checkpoints.h"

#include <gnutls/x509.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { KEY_FILE_MAX = 1 << 20, HASH_BYTES = 32 };

DEFINE_OWN(json, json_t *, json_decref)
DEFINE_OWN(file, FILE *, fclose)

/* ---- keys ---- */

static int add_key(struct checkpoint_keys *keys, const char *pem, size_t size, const char *path, struct diag *diag)
{
	if (keys->count == CHECKPOINT_KEYS_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "%s holds more than %d keys", path, CHECKPOINT_KEYS_MAX);
	uint8_t id[HASH_BYTES];
	size_t id_size = sizeof(id);
	gnutls_datum_t datum = {.data = (unsigned char *)(uintptr_t)pem, .size = (unsigned)size};
	gnutls_pubkey_t *key = &keys->list[keys->count];
	if (gnutls_pubkey_init(key) < 0)
		return diag_system(diag, "memory");
	keys->count++;
	int code = gnutls_pubkey_import(*key, &datum, GNUTLS_X509_FMT_PEM);
	if (code == 0)
		code = gnutls_pubkey_get_key_id(*key, GNUTLS_KEYID_USE_SHA256, id, &id_size);
	if (code < 0)
		return diag_set(diag, ERR_BAD_INPUT, "%s: a key cannot be read (%s)", path, gnutls_strerror(code));
	str_hex(view_of(id, sizeof(id)), keys->ids[keys->count - 1]);
	return 0;
}

int checkpoint_keys_read(const char *path, struct checkpoint_keys *out_keys, struct diag *diag)
{
	static const char begin[] = "-----BEGIN PUBLIC KEY-----", end[] = "-----END PUBLIC KEY-----";
	OWN_BUF struct buf pem = BUF_INIT(KEY_FILE_MAX);
	*out_keys = (struct checkpoint_keys){.count = 0};
	int result = fd_read_file(path, &pem, diag);
	if (result == 0)
		result = buf_add(&pem, view_of("", 1));
	const char *from = result == 0 ? strstr((const char *)pem.data, begin) : NULL;
	while (result == 0 && from) {
		const char *to = strstr(from, end);
		if (!to)
			break;
		to += sizeof(end) - 1;
		result = add_key(out_keys, from, (size_t)(to - from), path, diag);
		from = strstr(to, begin);
	}
	if (result == 0 && out_keys->count == 0)
		result = diag_set(diag, ERR_BAD_INPUT, "%s holds no public key (PEM)", path);
	return result;
}

void checkpoint_keys_fini(struct checkpoint_keys *keys)
{
	for (unsigned i = 0; i < keys->count; i++)
		gnutls_pubkey_deinit(keys->list[i]);
	keys->count = 0;
}

static gnutls_pubkey_t find_key(const struct checkpoint_keys *keys, const char *id)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (strcmp(keys->ids[i], id) == 0)
			return keys->list[i];
	return NULL;
}

/* ECDSA or RSA with SHA-256, Ed25519 as it is. */
static gnutls_sign_algorithm_t algorithm_of(gnutls_pubkey_t key)
{
	int kind = gnutls_pubkey_get_pk_algorithm(key, NULL);
	return kind == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_SIGN_EDDSA_ED25519
					       : gnutls_pk_to_sign((gnutls_pk_algorithm_t)kind, GNUTLS_DIG_SHA256);
}

enum checkpoint_verdict checkpoint_judge(const struct checkpoint_keys *keys, const struct checkpoint *checkpoint)
{
	uint8_t signature[CHECKPOINT_SIGNATURE_MAX];
	size_t size = strlen(checkpoint->signature) / 2;
	OWN_BUF struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
	gnutls_pubkey_t key = find_key(keys, checkpoint->key);
	if (!key)
		return CHECKPOINT_OF_NO_KNOWN_KEY;
	if (size == 0 || size > sizeof(signature) || str_from_hex(view_string(checkpoint->signature), signature, size) < 0 ||
	    checkpoint_text(checkpoint, &text) < 0)
		return CHECKPOINT_FORGED;
	const gnutls_datum_t data = {text.data, (unsigned)text.size}, sign = {signature, (unsigned)size};
	return gnutls_pubkey_verify_data2(key, algorithm_of(key), 0, &data, &sign) >= 0 ? CHECKPOINT_GOOD : CHECKPOINT_FORGED;
}

/* ---- lists ---- */

static bool take_text(const json_t *json, const char *key, char *out_text, size_t capacity)
{
	const json_t *value = json_object_get(json, key);
	return json_is_string(value) && json_string_length(value) == strlen(json_string_value(value)) &&
	       str_copy(out_text, capacity, json_string_value(value));
}

static bool take_number(const json_t *json, const char *key, uint64_t *out_number)
{
	const json_t *value = json_object_get(json, key);
	*out_number = (uint64_t)json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* In front of it and behind it other text may stand: a log's prefix, a message's end. */
int checkpoint_parse(const char *line, struct checkpoint *out_checkpoint)
{
	char kind[16];
	struct checkpoint found = {.kind = (enum checkpoint_kind)0};
	const char *start = strstr(line, "{\"checkpoint\":");
	if (!start)
		return ERR_NOT_FOUND;
	OWN(own_json) json_t *json = json_loads(start, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
	if (!json || !take_text(json, "checkpoint", kind, sizeof(kind)) || !(found.kind = checkpoint_kind_find(kind)) ||
	    !take_text(json, "gateway", found.gateway, sizeof(found.gateway)) || !take_number(json, "sequence", &found.sequence) ||
	    !take_text(json, "hash", found.hash, sizeof(found.hash)) || !take_number(json, "at", &found.at_ms) ||
	    !take_text(json, "key", found.key, sizeof(found.key)) ||
	    !take_text(json, "signature", found.signature, sizeof(found.signature)))
		return ERR_BAD_INPUT;
	*out_checkpoint = found;
	return 0;
}

int checkpoints_add(struct checkpoints *checkpoints, const struct checkpoint *checkpoint, bool is_from_elsewhere,
		    struct diag *diag)
{
	if (checkpoints->count == checkpoints->capacity) {
		size_t capacity = checkpoints->capacity ? 2 * checkpoints->capacity : 64;
		struct kept_checkpoint *list = reallocarray(checkpoints->list, capacity, sizeof(*list));
		if (!list)
			return diag_system(diag, "memory");
		checkpoints->list = list;
		checkpoints->capacity = capacity;
	}
	checkpoints->list[checkpoints->count++] =
		(struct kept_checkpoint){.checkpoint = *checkpoint, .is_from_elsewhere = is_from_elsewhere};
	return 0;
}

static int read_lines(struct checkpoints *checkpoints, const char *name, FILE *file, struct diag *diag)
{
	OWN_MEMORY char *line = NULL;
	size_t capacity = 0, before = checkpoints->count;
	struct checkpoint checkpoint;
	for (unsigned number = 1; getline(&line, &capacity, file) >= 0; number++) {
		int result = checkpoint_parse(line, &checkpoint);
		if (result == ERR_NOT_FOUND)
			continue;
		if (result == 0)
			result = checkpoints_add(checkpoints, &checkpoint, true, diag);
		else
			diag_set(diag, result, "%s:%u: the checkpoint in this line is damaged", name, number);
		if (result < 0)
			return result;
	}
	if (ferror(file))
		return diag_system(diag, "%s", name);
	return checkpoints->count > before ? 0 : diag_set(diag, ERR_BAD_INPUT, "%s holds no checkpoint", name);
}

int checkpoints_read(struct checkpoints *checkpoints, const char *name, struct diag *diag)
{
	OWN(own_file) FILE *file = fopen(name, "re");
	return file ? read_lines(checkpoints, name, file, diag) : diag_system(diag, "%s", name);
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t left = ((const struct kept_checkpoint *)a)->checkpoint.sequence;
	uint64_t right = ((const struct kept_checkpoint *)b)->checkpoint.sequence;
	return (left > right) - (left < right);
}

void checkpoints_sort(struct checkpoints *checkpoints)
{
	if (checkpoints->count)
		qsort(checkpoints->list, checkpoints->count, sizeof(*checkpoints->list), by_sequence);
}

void checkpoints_fini(struct checkpoints *checkpoints)
{
	free(checkpoints->list);
	*checkpoints = (struct checkpoints){.list = NULL};
}
