/* str.c: bounded text. Pure functions. */
#include "sallyport/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sallyport/err.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* From large to small: the first that divides gives the shortest exact spelling. */
static const struct unit duration_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit size_units[] = {
	{"GiB", 1073741824}, {"MiB", 1048576}, {"KiB", 1024}, {"B", 1}, {NULL, 0}};

int str_to_u64(struct view text, uint64_t minimum, uint64_t maximum, uint64_t *out_number)
{
	if (text.size == 0 || text.size > 20)
		return ERR_BAD_INPUT;
	uint64_t number = 0;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return ERR_BAD_INPUT;
	}
	if (number < minimum || number > maximum)
		return ERR_BAD_INPUT;
	*out_number = number;
	return 0;
}

static int with_unit(struct view text, const struct unit *units, uint64_t *out_number)
{
	size_t digits = 0;
	while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	uint64_t number = 0;
	if (str_to_u64(view_of(text.data, digits), 0, UINT64_MAX, &number) < 0)
		return ERR_BAD_INPUT;
	struct view unit = view_of(text.data + digits, text.size - digits);
	if (unit.size == 0 && number == 0) {
		*out_number = 0;
		return 0;
	}
	for (; units->name; units++) {
		if (!view_is(unit, units->name))
			continue;
		if (__builtin_mul_overflow(number, units->factor, &number))
			return ERR_BAD_INPUT;
		*out_number = number;
		return 0;
	}
	return ERR_BAD_INPUT;
}

static void spell_unit(uint64_t number, const struct unit *units, char *out_text, size_t capacity)
{
	for (; units->name; units++) {
		if (number && number % units->factor == 0) {
			snprintf(out_text, capacity, "%" PRIu64 "%s", number / units->factor, units->name);
			return;
		}
	}
	snprintf(out_text, capacity, "0");
}

int str_to_duration_ms(struct view text, uint64_t *out_ms)
{
	return with_unit(text, duration_units, out_ms);
}

int str_to_size_bytes(struct view text, uint64_t *out_bytes)
{
	return with_unit(text, size_units, out_bytes);
}

void str_from_duration_ms(uint64_t ms, char *out_text, size_t capacity)
{
	spell_unit(ms, duration_units, out_text, capacity);
}

void str_from_size_bytes(uint64_t bytes, char *out_text, size_t capacity)
{
	spell_unit(bytes, size_units, out_text, capacity);
}

void str_hex(struct view bytes, char *out_text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < bytes.size; i++) {
		out_text[2 * i] = digits[bytes.data[i] >> 4];
		out_text[2 * i + 1] = digits[bytes.data[i] & 15];
	}
	out_text[2 * bytes.size] = 0;
}

static int hex_digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	uint8_t lower = character | 0x20;
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int str_from_hex(struct view text, uint8_t *out_bytes, size_t size)
{
	if (text.size != 2 * size)
		return ERR_BAD_INPUT;
	for (size_t i = 0; i < text.size; i++)
		if (hex_digit(text.data[i]) < 0)
			return ERR_BAD_INPUT;
	for (size_t i = 0; i < size; i++)
		out_bytes[i] = (uint8_t)(hex_digit(text.data[2 * i]) << 4 | hex_digit(text.data[2 * i + 1]));
	return 0;
}

bool str_copy(char *out_text, size_t capacity, const char *text)
{
	return (size_t)snprintf(out_text, capacity, "%s", text) < capacity;
}

/* Levenshtein distance of two short words; words over 63 characters are infinitely far. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[64];
	size_t length_a = strlen(a), length_b = strlen(b);
	if (length_a > 63 || length_b > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= length_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= length_a; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= length_b; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[length_b];
}

const char *str_nearest(const char *text, const char *const *words)
{
	const char *nearest = NULL;
	size_t best = strlen(text) / 3 + 2;
	for (; *words; words++) {
		size_t distance = edit_distance(text, *words);
		if (distance < best) {
			best = distance;
			nearest = *words;
		}
	}
	return nearest;
}

void str_make_printable(char *text)
{
	bool utf8 = view_is_utf8(view_string(text));
	for (uint8_t *at = (uint8_t *)text; *at; at++) {
		/* C1 controls are 0xc2 0x80..0x9f in UTF-8; terminals obey them like ESC [. */
		bool c1 = utf8 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f;
		if (c1)
			at[0] = '?', at[1] = '?';
		if (*at < 0x20 || *at == 0x7f || (!utf8 && *at >= 0x80))
			*at = '?';
	}
}

/* Length of the comment at the start of `text`; 0 when there is none. */
static size_t comment_length(const char *text)
{
	if (text[0] == '#' || (text[0] == '/' && text[1] == '/'))
		return strcspn(text, "\n");
	if (text[0] != '/' || text[1] != '*')
		return 0;
	const char *end = strstr(text + 2, "*/");
	return end ? (size_t)(end - text) + 2 : strlen(text);
}

void str_blank_comments(char *text)
{
	char quote = 0;
	for (char *at = text; *at; at++) {
		if (quote) {
			if (*at == '\\' && at[1])
				at++;
			else if (*at == quote)
				quote = 0;
			continue;
		}
		if (*at == '"' || *at == '\'')
			quote = *at;
		size_t length = comment_length(at);
		for (size_t i = 0; i < length; i++)
			if (at[i] != '\n')
				at[i] = ' ';
	}
}

static int split_port(struct view text, uint16_t *out_port)
{
	uint64_t port = 0;
	if (str_to_u64(text, 1, 65535, &port) < 0)
		return ERR_BAD_INPUT;
	*out_port = (uint16_t)port;
	return 0;
}

int str_split_authority(struct view text, char *out_host, size_t capacity, uint16_t *out_port)
{
	size_t colon = text.size;
	while (colon > 0 && text.data[colon - 1] != ':')
		colon--;
	if (colon < 2)
		return ERR_BAD_INPUT;
	struct view host = view_of(text.data, colon - 1);
	bool bracketed = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
	if (bracketed)
		host = view_of(host.data + 1, host.size - 2);
	bool colon_inside = host.size && memchr(host.data, ':', host.size) != NULL;
	bool stray_bracket = host.size && (memchr(host.data, '[', host.size) || memchr(host.data, ']', host.size));
	if (host.size == 0 || colon_inside != bracketed || stray_bracket)
		return ERR_BAD_INPUT;
	uint16_t port = 0;
	if (split_port(view_of(text.data + colon, text.size - colon), &port) < 0)
		return ERR_BAD_INPUT;
	if (view_to_string(host, out_host, capacity) < 0)
		return ERR_BAD_INPUT;
	*out_port = port;
	return 0;
}

static bool has_port(struct view text)
{
	bool bracketed = text.size && text.data[text.size - 1] == ']';
	return !bracketed && text.size && memchr(text.data, ':', text.size);
}

int str_split_host(struct view text, uint16_t default_port, char *out_host, size_t capacity, uint16_t *out_port)
{
	char whole[512];
	if (has_port(text))
		return str_split_authority(text, out_host, capacity, out_port);
	if (view_to_string(text, whole, sizeof(whole) - sizeof(":65535")) < 0)
		return ERR_BAD_INPUT;
	snprintf(whole + text.size, sizeof(whole) - text.size, ":%u", default_port);
	return str_split_authority(view_string(whole), out_host, capacity, out_port);
}

void str_confirmation_code(const uint8_t *hash, char *out_code)
{
	static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	uint64_t bits = 0;
	for (int i = 0; i < 5; i++)
		bits = bits << 8 | hash[i];
	for (int i = 0; i < 8; i++)
		out_code[i + (i >= 4)] = letters[bits >> (35 - 5 * i) & 31];
	out_code[4] = '-';
	out_code[9] = 0;
}
