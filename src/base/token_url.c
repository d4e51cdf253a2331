/* token_url.c: takes the URL of a token's key apart (RFC 7512): the PIN's file on one side, the rest on the other. */
#include "sallyport/token_url.h"

#include <stdio.h>
#include <string.h>

#include "sallyport/str.h"

static const char scheme[] = "pkcs11:";

bool token_url_is(const char *text)
{
	return strncmp(text, scheme, sizeof(scheme) - 1) == 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
	return found ? (int)(found - digits) : -1;
}

/* Percent-decoded; false when it does not fit or is damaged. */
static bool decode(struct view text, char *out_text, size_t capacity)
{
	size_t used = 0;
	for (size_t i = 0; i < text.size; i++) {
		int byte = text.data[i];
		if (byte == '%') {
			int high = i + 2 < text.size ? hex_digit((char)text.data[i + 1]) : -1;
			int low = i + 2 < text.size ? hex_digit((char)text.data[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			byte = high << 4 | low;
			i += 2;
		}
		if (byte == 0 || used + 1 >= capacity)
			return false;
		out_text[used++] = (char)byte;
	}
	out_text[used] = 0;
	return true;
}

static bool begins_with(struct view attribute, const char *name, struct view *out_value)
{
	size_t length = strlen(name);
	if (attribute.size < length || memcmp(attribute.data, name, length) != 0)
		return false;
	*out_value = view_of(attribute.data + length, attribute.size - length);
	return true;
}

static int take_pin_source(struct view value, struct token_url *url, struct diag *diag)
{
	static const char file[] = "file:";
	if (!decode(value, url->pin_file, sizeof(url->pin_file)))
		return diag_set(diag, ERR_BAD_CONFIG, "the pin-source of a token's URL is damaged or too long");
	if (strncmp(url->pin_file, file, sizeof(file) - 1) == 0)
		memmove(url->pin_file, url->pin_file + sizeof(file) - 1, strlen(url->pin_file) - sizeof(file) + 2);
	if (url->pin_file[0] != '/')
		return diag_set(diag, ERR_BAD_CONFIG, "the pin-source of a token's URL must be file: and an absolute path");
	return 0;
}

/* Attributes stand between ";", and behind a "?" between "&". */
static int take_attribute(struct view attribute, char before, struct token_url *url, struct diag *diag)
{
	struct view value;
	size_t used = strlen(url->url);
	if (begins_with(attribute, "pin-value=", &value))
		return diag_set(diag, ERR_BAD_CONFIG,
				"a token's URL must not hold the PIN itself, which everybody could read: put it into a file "
				"of mode 0600 and write pin-source=file:/PATH");
	if (begins_with(attribute, "pin-source=", &value))
		return take_pin_source(value, url, diag);
	if ((size_t)snprintf(url->url + used, sizeof(url->url) - used, "%c%.*s", before, (int)attribute.size,
			     (const char *)attribute.data) >= sizeof(url->url) - used)
		return diag_set(diag, ERR_BAD_CONFIG, "a token's URL is too long");
	return 0;
}

int token_url_parse(const char *text, struct token_url *out_url, struct diag *diag)
{
	*out_url = (struct token_url){.url = "pkcs11", .pin_file = ""};
	if (!token_url_is(text))
		return diag_set(diag, ERR_BAD_CONFIG, "a token's URL begins with pkcs11:");
	bool queried = false;
	char before = ':';
	const char *rest = text + sizeof(scheme) - 1;
	for (;;) {
		size_t length = strcspn(rest, ";?&");
		int result = take_attribute(view_of(rest, length), before, out_url, diag);
		if (result < 0)
			return result;
		char next = rest[length];
		if (!next)
			return 0;
		/* The first one that stays behind "?" keeps it. */
		before = next == '&' && !queried ? '?' : next;
		queried = queried || (before == '?' && strncmp(rest + length + 1, "pin-source=", 11) != 0);
		rest += length + 1;
	}
}
