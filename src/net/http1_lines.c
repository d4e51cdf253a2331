/* http1_lines.c: the lines of a head, looked over before anybody reads a meaning into them. */
#include "http1_lines.h"

#include <string.h>

const char *http1_look_over(struct view head, size_t *looked_over)
{
	for (; *looked_over < head.size; ++*looked_over) {
		uint8_t c = head.data[*looked_over];
		uint8_t before = *looked_over ? head.data[*looked_over - 1] : 0;
		if ((c == '\n') != (before == '\r'))
			return "a line of the head does not end in CRLF";
		if ((c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
			return "the head holds a control character";
	}
	return NULL;
}

bool http1_is_token(struct view text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z', digit = c >= '0' && c <= '9';
		if (!letter && !digit && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.size != 0;
}

/* Takes the first line off, with its CRLF; what it returns is without. */
static struct view take_line(struct view *rest)
{
	const uint8_t *newline = memchr(rest->data, '\n', rest->size);
	size_t size = (size_t)(newline - rest->data) + 1;
	struct view line = view_of(rest->data, size - 2);
	*rest = view_of(rest->data + size, rest->size - size);
	return line;
}

struct view http1_first_line(struct view head)
{
	return take_line(&head);
}

bool http1_has_odd_spaces(struct view line)
{
	unsigned spaces = 0;
	for (size_t i = 0; i < line.size; i++) {
		if (line.data[i] == '\t' || (line.data[i] == ' ' && (i == 0 || line.data[i - 1] == ' ')))
			return true;
		spaces += line.data[i] == ' ';
	}
	return spaces > 2;
}

static struct view name_of(struct view line)
{
	const uint8_t *colon = line.size ? memchr(line.data, ':', line.size) : NULL;
	return view_of(line.data, colon ? (size_t)(colon - line.data) : 0);
}

const char *http1_look_over_fields(struct view head, size_t *out_count)
{
	size_t count = 0;
	(void)take_line(&head);
	for (struct view line = take_line(&head); line.size; line = take_line(&head)) {
		if (line.data[0] == ' ' || line.data[0] == '\t')
			return "a header line is folded";
		if (!http1_is_token(name_of(line)))
			return "a header line has no proper name";
		count++;
	}
	*out_count = count;
	return NULL;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct view http1_without_blanks(struct view text)
{
	while (text.size && is_blank(text.data[0]))
		text = view_of(text.data + 1, text.size - 1);
	while (text.size && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

void http1_fields(struct view head, struct http_header *out_fields)
{
	(void)take_line(&head);
	for (struct view line = take_line(&head); line.size; line = take_line(&head)) {
		struct view name = name_of(line);
		struct view value = view_of(name.data + name.size + 1, line.size - name.size - 1);
		*out_fields++ = (struct http_header){.name = name, .value = http1_without_blanks(value)};
	}
}
