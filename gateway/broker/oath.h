/* oath.h: one-time codes by time (RFC 6238: SHA-1, 30 s, six digits), and their spelling. liboath is oath.c's. */
#ifndef SALLYPORT_BROKER_OATH_H
#define SALLYPORT_BROKER_OATH_H

#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define OATH_SECRET_BYTES 20
#define OATH_SECRET_CHARACTERS 32
#define OATH_DIGITS 6
#define OATH_STEP_MS 30000
#define OATH_RECOVERY_CHARACTERS 12

enum oath_match { OATH_WRONG, OATH_RIGHT, OATH_REPLAYED };

/* ERR_SYSTEM when liboath cannot be used. Before any other call. */
[[nodiscard]] int oath_begin(void);
/* Compares with the codes of `window` steps before and after `step`. Only one of a step above `last_step` is right. */
enum oath_match oath_judge(struct view secret, const char *code, int64_t step, unsigned window, int64_t last_step,
			   int64_t *out_step);
/* Base32 (RFC 4648) of OATH_SECRET_BYTES. */
void oath_spell_secret(const uint8_t *secret, char out_text[OATH_SECRET_CHARACTERS + 1]);
/* A random recovery code of 60 bits, as it is kept: lower-case letters and digits. */
void oath_make_recovery(char out_text[OATH_RECOVERY_CHARACTERS + 1]);
/* The same as people read it: "abcd-efgh-ijkl". */
#define OATH_RECOVERY_SPELLED 14
void oath_spell_recovery(const char *code, char out_text[OATH_RECOVERY_SPELLED + 1]);
/* Appends what authenticator programs read from a QR code (otpauth:); ERR_LIMIT. */
#define OATH_URI_MAX 4096
[[nodiscard]] int oath_spell_uri(const char *gateway, const char *user, const char *secret, struct buf *out_uri);
/* What a user typed, without spaces and dashes, in lower case. ERR_BAD_INPUT when it is no code of either kind. */
[[nodiscard]] int oath_read_code(const char *typed, char out_code[OATH_RECOVERY_CHARACTERS + 1]);

#endif
