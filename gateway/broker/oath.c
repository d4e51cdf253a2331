/* oath.c: one-time codes by liboath; the only file that knows it. */
#include "oath.h"

#include <ctype.h>
#include <liboath/oath.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/fd.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

int oath_begin(void)
{
	return oath_init() == OATH_OK ? 0 : ERR_SYSTEM;
}

/* Every step is computed, so that the time tells nothing of which one fits. */
enum oath_match oath_judge(struct view secret, const char *code, int64_t step, unsigned window, int64_t last_step,
			   int64_t *out_step)
{
	enum oath_match match = OATH_WRONG;
	for (int64_t tried = step - (int64_t)window; tried <= step + (int64_t)window; tried++) {
		char expected[OATH_DIGITS + 1] = "";
		int code_made = tried < 0 ? OATH_INVALID_COUNTER
					  : oath_hotp_generate((const char *)secret.data, secret.size, (uint64_t)tried,
							       OATH_DIGITS, false, OATH_HOTP_DYNAMIC_TRUNCATION, expected);
		if (code_made != OATH_OK)
			continue;
		bool fits = view_equal_secret(view_string(expected), view_string(code));
		wipe(expected, sizeof(expected));
		if (!fits || match == OATH_RIGHT)
			continue;
		match = tried > last_step ? OATH_RIGHT : OATH_REPLAYED;
		*out_step = tried;
	}
	return match;
}

void oath_spell_secret(const uint8_t *secret, char out_text[OATH_SECRET_CHARACTERS + 1])
{
	unsigned bits = 0, held = 0, place = 0;
	for (unsigned i = 0; i < OATH_SECRET_BYTES; i++) {
		bits = bits << 8 | secret[i];
		for (held += 8; held >= 5; held -= 5)
			out_text[place++] = letters[bits >> (held - 5) & 31];
	}
	out_text[place] = 0;
}

void oath_make_recovery(char out_text[OATH_RECOVERY_CHARACTERS + 1])
{
	uint8_t random[OATH_RECOVERY_CHARACTERS];
	fd_random(random, sizeof(random));
	for (unsigned i = 0; i < OATH_RECOVERY_CHARACTERS; i++)
		out_text[i] = (char)tolower(letters[random[i] & 31]);
	out_text[OATH_RECOVERY_CHARACTERS] = 0;
	wipe(random, sizeof(random));
}

void oath_spell_recovery(const char *code, char out_text[OATH_RECOVERY_SPELLED + 1])
{
	snprintf(out_text, OATH_RECOVERY_SPELLED + 1, "%.4s-%.4s-%.4s", code, code + 4, code + 8);
}

/* Appends text as a URI takes it (RFC 3986 2.1). */
static int add_escaped(struct buf *uri, const char *text)
{
	int result = 0;
	for (; result == 0 && *text; text++)
		result = isalnum((unsigned char)*text) || strchr("-._~", *text)
				 ? buf_add(uri, view_of(text, 1))
				 : buf_add_format(uri, "%%%02X", (unsigned char)*text);
	return result;
}

int oath_spell_uri(const char *gateway, const char *user, const char *secret, struct buf *out_uri)
{
	int result = buf_add_string(out_uri, "otpauth://totp/");
	if (result == 0)
		result = add_escaped(out_uri, gateway);
	if (result == 0)
		result = buf_add_string(out_uri, ":");
	if (result == 0)
		result = add_escaped(out_uri, user);
	if (result == 0)
		result = buf_add_format(out_uri, "?secret=%s&issuer=", secret);
	return result < 0 ? result : add_escaped(out_uri, gateway);
}

int oath_read_code(const char *typed, char out_code[OATH_RECOVERY_CHARACTERS + 1])
{
	size_t length = 0;
	for (; *typed; typed++) {
		if (*typed == ' ' || *typed == '-')
			continue;
		if (length == OATH_RECOVERY_CHARACTERS || !isalnum((unsigned char)*typed))
			return ERR_BAD_INPUT;
		out_code[length++] = (char)tolower((unsigned char)*typed);
	}
	out_code[length] = 0;
	if (length == OATH_RECOVERY_CHARACTERS)
		return 0;
	return length == OATH_DIGITS && strspn(out_code, "0123456789") == length ? 0 : ERR_BAD_INPUT;
}
