/* str.h: bounded text: numbers, durations, sizes, hexadecimal, nearest word. Pure functions. */
#ifndef SALLYPORT_STR_H
#define SALLYPORT_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"

/* Decimal digits only, no sign, no space, within [minimum, maximum]. ERR_BAD_INPUT otherwise. */
[[nodiscard]] int str_to_u64(struct view text, uint64_t minimum, uint64_t maximum, uint64_t *out_number);
/* "250ms" "10s" "15m" "12h" "30d" to milliseconds. A number without a unit is ERR_BAD_INPUT,
 * except "0". */
[[nodiscard]] int str_to_duration_ms(struct view text, uint64_t *out_ms);
/* "512B" "64KiB" "1MiB" "2GiB" to bytes. A number without a unit is ERR_BAD_INPUT, except "0". */
[[nodiscard]] int str_to_size_bytes(struct view text, uint64_t *out_bytes);
/* The shortest exact spelling of a duration or a size ("15m", "64KiB"). */
void str_from_duration_ms(uint64_t ms, char *out_text, size_t capacity);
void str_from_size_bytes(uint64_t bytes, char *out_text, size_t capacity);
/* Lower-case hexadecimal; out_text takes 2 * bytes.size + 1 characters. */
void str_hex(struct view bytes, char *out_text);
/* ERR_BAD_INPUT unless exactly 2 * size hexadecimal digits. */
[[nodiscard]] int str_from_hex(struct view text, uint8_t *out_bytes, size_t size);
/* "ABCD-EFGH" of a hash's first 40 bits, for two people to compare: digits and capitals without those that are
 * taken for one another. 10 characters with NUL. */
void str_confirmation_code(const uint8_t *hash, char *out_code);
/* Copies text, cutting at capacity; returns false when it was cut. Always terminates. */
bool str_copy(char *out_text, size_t capacity, const char *text);
/* The word of `words` (NULL-terminated) nearest to `text` by edit distance, or NULL when none is
 * near enough to be a likely slip. */
const char *str_nearest(const char *text, const char *const *words);
/* Replaces control characters and bytes that are not UTF-8, so that foreign text can be shown on a
 * terminal or in a log line. In place. */
void str_make_printable(char *text);

/* Puts spaces in place of comments (from # or // to the end of the line, and between slash-star and star-slash) outside
 * of quotes. Line breaks stay, so that a parser counts the lines of the file that the admin sees. In place. */
void str_blank_comments(char *text);

/* "HOST:PORT" or "[V6]:PORT" into host (without brackets, not normalised) and port. Anything else,
 * an empty host, port 0 or above 65535 is ERR_BAD_INPUT. RFC 9110 7.2 / RFC 3986 3.2 authority form. */
[[nodiscard]] int str_split_authority(struct view text, char *out_host, size_t capacity, uint16_t *out_port);
/* The same, where the port may be missing with its colon: then it is default_port. */
[[nodiscard]] int str_split_host(struct view text, uint16_t default_port, char *out_host, size_t capacity, uint16_t *out_port);

#endif
