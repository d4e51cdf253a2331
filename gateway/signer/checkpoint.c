/* checkpoint.c: signs checkpoints of the record. No I/O but the clock. */
#include "checkpoint.h"

#include <string.h>

#include "sallyport/clock.h"
#include "sallyport/str.h"

enum { HASH_BYTES = 32 };

static int check_order(const struct checkpoint_memory *memory, const struct broker_signer_checkpoint *order, struct diag *diag)
{
	bool is_cut = order->kind == CHECKPOINT_CUT;
	if (!checkpoint_kind_name((enum checkpoint_kind)order->kind) || order->hash.size != HASH_BYTES || order->sequence == 0)
		return diag_set(diag, ERR_BAD_INPUT, "that is no place in the record");
	if (is_cut ? order->sequence < memory->cut || order->sequence > memory->sequence : order->sequence < memory->sequence)
		return diag_set(diag, ERR_DENIED, "a checkpoint of record %llu was signed already; the record does not go back",
				(unsigned long long)memory->sequence);
	if (order->sequence == memory->sequence && memcmp(order->hash.data, memory->hash, HASH_BYTES) != 0)
		return diag_set(diag, ERR_DENIED, "record %llu had another hash when its checkpoint was signed",
				(unsigned long long)order->sequence);
	return 0;
}

static void remember(struct checkpoint_memory *memory, const struct broker_signer_checkpoint *order)
{
	if (order->kind == CHECKPOINT_CUT) {
		memory->cut = order->sequence;
		return;
	}
	memory->sequence = order->sequence;
	memcpy(memory->hash, order->hash.data, HASH_BYTES);
}

static int sign(gnutls_privkey_t key, struct view text, uint8_t *out_signature, size_t *out_size, struct diag *diag)
{
	gnutls_datum_t data = {.data = (unsigned char *)(uintptr_t)text.data, .size = (unsigned)text.size}, signature = {NULL, 0};
	int code = gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &signature);
	if (code < 0 || signature.size > CHECKPOINT_SIGNATURE_MAX) {
		gnutls_free(signature.data);
		return diag_set(diag, ERR_SYSTEM, "audit_key does not sign (%s)", gnutls_strerror(code));
	}
	memcpy(out_signature, signature.data, signature.size);
	*out_size = signature.size;
	gnutls_free(signature.data);
	return 0;
}

int checkpoint_sign(const struct keyring *keyring, struct checkpoint_memory *memory, const char *gateway,
		    const struct broker_signer_checkpoint *order, struct checkpoint *out_checkpoint, uint8_t *out_signature,
		    size_t *out_size, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
	if (!keyring->audit_key)
		return diag_set(diag, ERR_NOT_FOUND, "there is no audit_key; make one with: sallyport-admin audit key");
	int result = check_order(memory, order, diag);
	if (result < 0)
		return result;
	*out_checkpoint = (struct checkpoint){
		.kind = (enum checkpoint_kind)order->kind, .sequence = order->sequence, .at_ms = clock_wall_ms()};
	if (!str_copy(out_checkpoint->gateway, sizeof(out_checkpoint->gateway), gateway))
		return diag_set(diag, ERR_BAD_INPUT, "the gateway's name is too long");
	str_hex(order->hash, out_checkpoint->hash);
	if (checkpoint_text(out_checkpoint, &text) < 0)
		return diag_set(diag, ERR_SYSTEM, "memory");
	result = sign(keyring->audit_key, buf_view(&text), out_signature, out_size, diag);
	if (result == 0)
		remember(memory, order);
	return result;
}
