/* buf.c: borrowed and owned bytes. */
#include "sallyport/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/err.h"

struct view view_string(const char *text)
{
	return view_of(text, text ? strlen(text) : 0);
}

bool view_equal(struct view a, struct view b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool view_is(struct view view, const char *text)
{
	return view_equal(view, view_string(text));
}

struct view view_trim(struct view view, const char *blanks)
{
	size_t count = strlen(blanks);
	while (view.size && memchr(blanks, view.data[0], count))
		view = view_of(view.data + 1, view.size - 1);
	while (view.size && memchr(blanks, view.data[view.size - 1], count))
		view.size--;
	return view;
}

bool view_equal_secret(struct view a, struct view b)
{
	if (a.size != b.size)
		return false;
	volatile uint8_t difference = 0;
	for (size_t i = 0; i < a.size; i++)
		difference = difference | (a.data[i] ^ b.data[i]);
	return difference == 0;
}

int view_to_string(struct view view, char *out_text, size_t capacity)
{
	if (view.size >= capacity)
		return ERR_LIMIT;
	if (view.size && memchr(view.data, 0, view.size))
		return ERR_BAD_INPUT;
	if (view.size)
		memcpy(out_text, view.data, view.size);
	out_text[view.size] = 0;
	return 0;
}

char *view_duplicate(struct view view)
{
	char *copy = malloc(view.size + 1);
	if (!copy)
		return NULL;
	if (view.size)
		memcpy(copy, view.data, view.size);
	copy[view.size] = 0;
	return copy;
}

/* Length of the UTF-8 sequence at the start of `rest`, 0 when there is none that RFC 3629 allows. */
static size_t utf8_sequence(struct view rest)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 1}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	for (size_t more = 0; more < 4; more++) {
		if ((rest.data[0] & forms[more].mask) != forms[more].lead)
			continue;
		if (rest.size <= more)
			return 0;
		uint32_t point = rest.data[0] & (uint8_t)~forms[more].mask;
		for (size_t i = 1; i <= more; i++) {
			if ((rest.data[i] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (rest.data[i] & 0x3f);
		}
		bool surrogate = point >= 0xd800 && point <= 0xdfff;
		return point < forms[more].least || point > 0x10ffff || surrogate ? 0 : more + 1;
	}
	return 0;
}

bool view_is_utf8(struct view view)
{
	while (view.size) {
		size_t length = utf8_sequence(view);
		if (!length)
			return false;
		view.data += length;
		view.size -= length;
	}
	return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t size)
{
	if (size > buf->limit || buf->size > buf->limit - size)
		return NULL;
	size_t needed = buf->size + size;
	if (needed <= buf->capacity && buf->data)
		return buf->data + buf->size;
	size_t capacity = buf->capacity ? buf->capacity : 64;
	while (capacity < needed)
		capacity *= 2;
	/* Not realloc: a secret must not stay behind in memory that was given back. */
	uint8_t *moved = malloc(capacity);
	if (!moved)
		return NULL;
	if (buf->size)
		memcpy(moved, buf->data, buf->size);
	size_t limit = buf->limit, used = buf->size;
	buf_wipe(buf);
	*buf = (struct buf){.data = moved, .size = used, .capacity = capacity, .limit = limit};
	return buf->data + buf->size;
}

void buf_grown(struct buf *buf, size_t size)
{
	buf->size += size;
}

int buf_add(struct buf *buf, struct view bytes)
{
	if (bytes.size == 0)
		return 0;
	if (bytes.size > buf->limit || buf->size > buf->limit - bytes.size)
		return ERR_LIMIT;
	uint8_t *place = buf_reserve(buf, bytes.size);
	if (!place)
		return ERR_SYSTEM;
	memcpy(place, bytes.data, bytes.size);
	buf_grown(buf, bytes.size);
	return 0;
}

int buf_add_string(struct buf *buf, const char *text)
{
	return buf_add(buf, view_string(text));
}

int buf_add_format(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *text = NULL;
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return ERR_SYSTEM;
	int result = buf_add(buf, view_of(text, (size_t)length));
	free(text);
	return result;
}

void buf_consume(struct buf *buf, size_t size)
{
	if (size >= buf->size) {
		buf->size = 0;
		return;
	}
	memmove(buf->data, buf->data + size, buf->size - size);
	buf->size -= size;
}

void buf_reset(struct buf *buf)
{
	buf->size = 0;
}

void buf_fini(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.limit = buf->limit};
}

void buf_wipe(struct buf *buf)
{
	if (buf->data)
		wipe(buf->data, buf->capacity);
	buf_fini(buf);
}

void wipe(void *memory, size_t size)
{
	explicit_bzero(memory, size);
}
