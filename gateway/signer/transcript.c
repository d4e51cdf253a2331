/* transcript.c: the order and the bounds of handshake messages, and the content of a CertificateVerify. */
#include "transcript.h"

#include <string.h>

#define SPACES 64
#define CONTEXT_SIZE 34

enum message_type {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2, /* and HelloRetryRequest */
	ENCRYPTED_EXTENSIONS = 8,
	CERTIFICATE = 11,
	CERTIFICATE_REQUEST = 13,
	CERTIFICATE_VERIFY = 15,
	FINISHED = 20,
	MESSAGE_HASH = 254,
};

static uint32_t number(const uint8_t *bytes, size_t size)
{
	uint32_t value = 0;
	while (size--)
		value = value << 8 | *bytes++;
	return value;
}

/* Cuts `size` bytes off the front. */
static bool cut(struct view *rest, size_t size, struct view *out_front)
{
	if (rest->size < size)
		return false;
	*out_front = view_of(rest->data, size);
	rest->data += size;
	rest->size -= size;
	return true;
}

/* Cuts off a vector with its length of `length_size` bytes in front. */
static bool cut_vector(struct view *rest, size_t length_size, struct view *out_vector)
{
	struct view length;
	return cut(rest, length_size, &length) && cut(rest, number(length.data, length_size), out_vector);
}

static bool cut_message(struct view *rest, enum message_type type, struct view *out_body)
{
	struct view byte;
	return rest->size && rest->data[0] == (uint8_t)type && cut(rest, 1, &byte) && cut_vector(rest, 3, out_body);
}

static bool is_retry(struct view transcript)
{
	return transcript.size && transcript.data[0] == MESSAGE_HASH;
}

size_t transcript_content(enum transcript_side side, struct view hash, uint8_t out_content[TRANSCRIPT_CONTENT_MAX])
{
	static const char server[] = "TLS 1.3, server CertificateVerify",
			  client[] = "TLS 1.3, client CertificateVerify";
	_Static_assert(sizeof(server) == CONTEXT_SIZE && sizeof(client) == CONTEXT_SIZE, "a NUL ends the context");
	memset(out_content, ' ', SPACES);
	memcpy(out_content + SPACES, side == TRANSCRIPT_SERVER ? server : client, CONTEXT_SIZE);
	memcpy(out_content + SPACES + CONTEXT_SIZE, hash.data, hash.size);
	return SPACES + CONTEXT_SIZE + hash.size;
}

/* Certificate (RFC 8446 4.4.2): context, list of entries; the first entry's certificate. */
static bool shows_leaf(struct view certificate, struct view leaf)
{
	struct view context, list, first;
	return cut_vector(&certificate, 1, &context) && context.size == 0 && cut_vector(&certificate, 3, &list) &&
	       certificate.size == 0 && cut_vector(&list, 3, &first) && view_equal(first, leaf);
}

static bool cut_in_order(struct view *rest, const enum message_type *order, size_t count, struct view *out_last)
{
	for (size_t i = 0; i < count; i++)
		if (!cut_message(rest, order[i], out_last))
			return false;
	return true;
}

int transcript_check_start(struct view transcript, struct view leaf, bool *out_asked, struct diag *diag)
{
	static const enum message_type retry[] = {MESSAGE_HASH, SERVER_HELLO};
	static const enum message_type order[] = {CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS};
	struct view body = {0};
	bool good = (!is_retry(transcript) || cut_in_order(&transcript, retry, 2, &body)) &&
		    cut_in_order(&transcript, order, sizeof(order) / sizeof(order[0]), &body);
	*out_asked = good && transcript.size && transcript.data[0] == CERTIFICATE_REQUEST;
	if (*out_asked)
		good = cut_message(&transcript, CERTIFICATE_REQUEST, &body);
	if (!good || !cut_message(&transcript, CERTIFICATE, &body) || transcript.size)
		return diag_set(diag, ERR_BAD_PEER,
				"the transcript is not that of a handshake up to the server's Certificate");
	if (!shows_leaf(body, leaf))
		return diag_set(diag, ERR_BAD_PEER, "the transcript shows another certificate than the gateway's");
	return 0;
}

/* CertificateVerify (RFC 8446 4.4.3): scheme, signature. */
static bool holds_signature(struct view verify, uint32_t scheme, struct view signature)
{
	struct view number_bytes, found;
	return cut(&verify, 2, &number_bytes) && number(number_bytes.data, 2) == scheme &&
	       cut_vector(&verify, 2, &found) && verify.size == 0 && view_equal(found, signature);
}

int transcript_check_rest(struct view rest, uint32_t scheme, struct view signature, struct diag *diag)
{
	struct view verify, finished, certificate;
	if (!cut_message(&rest, CERTIFICATE_VERIFY, &verify) || !cut_message(&rest, FINISHED, &finished) ||
	    !cut_message(&rest, CERTIFICATE, &certificate) || rest.size)
		return diag_set(diag, ERR_BAD_PEER,
				"the rest is not that of a handshake up to the client's Certificate");
	if (!holds_signature(verify, scheme, signature))
		return diag_set(diag, ERR_BAD_PEER, "the rest does not begin with the signature that was given");
	return 0;
}
