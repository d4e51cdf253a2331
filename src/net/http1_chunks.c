/* http1_chunks.c: a machine that reads framing byte by byte, and content in pieces.
 *
 *   SIZE -> (EXTENSION ->) SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *   the last chunk:        SIZE_LF -> TRAILER -> (FIELD -> FIELD_LF -> TRAILER ...) -> END_LF -> WHOLE
 */
#include "http1_chunks.h"

#include <string.h>

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, FIELD, FIELD_LF, END_LF, WHOLE };

/* Of one line with a size; of the whole trailer; 15 digits fit into 63 bits. */
enum { LINE_MAX = 1024, TRAILER_MAX = 16384, DIGITS_MAX = 15 };

static int digit_of(uint8_t c)
{
	uint8_t letter = c | 0x20;
	if (c >= '0' && c <= '9')
		return c - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool is_text(uint8_t c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static int go_on(struct http1_chunks *chunks, enum state state)
{
	chunks->state = state;
	return 0;
}

static int take_size(struct http1_chunks *chunks, uint8_t c)
{
	int digit = digit_of(c);
	if (digit < 0) {
		bool ends = c == '\r' || c == ';' || c == ' ' || c == '\t';
		return ends && chunks->digits ? go_on(chunks, c == '\r' ? SIZE_LF : EXTENSION) : ERR_BAD_PEER;
	}
	if (++chunks->digits > DIGITS_MAX)
		return ERR_BAD_PEER;
	chunks->left = chunks->left << 4 | (uint64_t)digit;
	return 0;
}

static int begin_chunk(struct http1_chunks *chunks)
{
	bool last = chunks->left == 0;
	chunks->digits = chunks->framing = 0;
	return go_on(chunks, last ? TRAILER : DATA);
}

/* Text up to a CR. */
static int take_text(struct http1_chunks *chunks, uint8_t c, enum state after)
{
	if (c == '\r')
		return go_on(chunks, after);
	return is_text(c) ? 0 : ERR_BAD_PEER;
}

static int take_trailer(struct http1_chunks *chunks, uint8_t c)
{
	if (c == '\r')
		return go_on(chunks, END_LF);
	/* A field's first byte; a fold is none. */
	return c > 0x20 && c != 0x7f ? go_on(chunks, FIELD) : ERR_BAD_PEER;
}

static int take_framing(struct http1_chunks *chunks, uint8_t c)
{
	bool trailer = chunks->state == TRAILER || chunks->state == FIELD || chunks->state == FIELD_LF;
	if (++chunks->framing > (trailer ? TRAILER_MAX : LINE_MAX))
		return ERR_BAD_PEER;
	switch ((enum state)chunks->state) {
	case SIZE:
		return take_size(chunks, c);
	case EXTENSION:
		return take_text(chunks, c, SIZE_LF);
	case SIZE_LF:
		return c == '\n' ? begin_chunk(chunks) : ERR_BAD_PEER;
	case DATA_CR:
		return c == '\r' ? go_on(chunks, DATA_LF) : ERR_BAD_PEER;
	case DATA_LF:
		chunks->framing = 0;
		return c == '\n' ? go_on(chunks, SIZE) : ERR_BAD_PEER;
	case TRAILER:
		return take_trailer(chunks, c);
	case FIELD:
		return take_text(chunks, c, FIELD_LF);
	case FIELD_LF:
		return c == '\n' ? go_on(chunks, TRAILER) : ERR_BAD_PEER;
	case END_LF:
		return c == '\n' ? go_on(chunks, WHOLE) : ERR_BAD_PEER;
	default:
		return ERR_BUG;
	}
}

int http1_chunks_take(struct http1_chunks *chunks, uint8_t *bytes, size_t *size)
{
	size_t content = 0;
	for (size_t at = 0; at < *size && chunks->state != WHOLE;) {
		if (chunks->state != DATA) {
			int result = take_framing(chunks, bytes[at++]);
			if (result < 0)
				return result;
			continue;
		}
		size_t part = *size - at < chunks->left ? *size - at : (size_t)chunks->left;
		memmove(bytes + content, bytes + at, part);
		content += part;
		at += part;
		chunks->left -= part;
		if (chunks->left == 0)
			chunks->state = DATA_CR;
	}
	*size = content;
	return 0;
}

bool http1_chunks_are_whole(const struct http1_chunks *chunks)
{
	return chunks->state == WHOLE;
}
