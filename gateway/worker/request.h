/* request.h: what strangers write, as pure functions: bodies, authorization, what is accepted. Each has a fuzz target. */
#ifndef SALLYPORT_WORKER_REQUEST_H
#define SALLYPORT_WORKER_REQUEST_H

#include "sallyport/buf.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/err.h"

/* {"user":"alice"}, perhaps with "realm" and "portal", and nothing else. ERR_BAD_INPUT with a sentence. */
struct request_login {
	char user[257];
	char realm[33]; /* empty: none is asked for */
	bool portal;    /* the token shall become a cookie */
};
[[nodiscard]] int request_login(struct view body, struct request_login *out_login, struct diag *diag);

/* {"user":"alice"}, perhaps with "service", "fresh" (seconds), and "source" with "target" ("ADDRESS:PORT" each). */
struct request_end {
	uint8_t bytes[16];
	size_t size; /* 4 or 16; 0: not given */
	uint16_t port;
};
struct request_presence {
	char user[257], service[65];
	uint64_t fresh_ms;
	struct request_end source, target;
};
[[nodiscard]] int request_presence(struct view body, struct request_presence *out_presence, struct diag *diag);

/* {"answers":["...", ...]}: exactly that. The answers are heap memory; wipe and free with request_answers_fini. */
struct request_answers {
	struct buf list[CONVERSATION_MESSAGES_MAX];
	uint32_t count;
};
[[nodiscard]] int request_answers(struct view body, struct request_answers *out_answers, struct diag *diag);
void request_answers_fini(struct request_answers *answers);

/* {"MEMBER":"text"} and nothing else: the text, of 1 to capacity - 1 bytes. */
[[nodiscard]] int request_member(struct view body, const char *member, char *out_text, size_t capacity, struct diag *diag);

/* "Bearer TOKEN", or "Basic base64(USER:TOKEN)" (RFC 6750, RFC 7617; the scheme in any case). out_user is empty for
 * Bearer (257 characters); out_token takes WORKER_BROKER_TOKEN_MAX + 1. ERR_NOT_FOUND for an empty header,
 * ERR_BAD_INPUT with a sentence. */
[[nodiscard]] int request_authorization(struct view header, char *out_user, char *out_token, struct diag *diag);

/* Whether a request's Accept (RFC 9110 12.5.1) would rather have a page than JSON: browsers name text/html, programs do not. */
bool request_wants_page(struct view accept);

/* Once, at the start of the process: JSON's memory is wiped when it is freed (answers are secrets), and its hash tables
 * get their seed now, since behind the walls there is no /dev/urandom for jansson to read. */
void request_prepare_json(void);

#endif
