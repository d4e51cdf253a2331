/* policy_syntax.c: reads the text of a policy into a tree; each word keeps its line and column. See policy_syntax.h. */
#include "policy_syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/str.h"

/* ---- errors ---- */

static void copy_line(struct policy_place place, char *out_text, size_t capacity)
{
	const char *at = place.file->text;
	for (int line = 1; line < place.line && at; line++) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	size_t length = at ? strcspn(at, "\n") : 0;
	snprintf(out_text, capacity, "%.*s", (int)(length < capacity ? length : capacity - 1), at ? at : "");
	str_make_printable(out_text);
}

[[gnu::format(printf, 3, 0)]] static void spell(struct diag *diag, struct policy_place place, const char *format, va_list arguments)
{
	char sentence[600];
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	diag_set(diag, ERR_BAD_CONFIG, "%s:%d:%d: %s", place.file->name, place.line, place.column, sentence);
}

void policy_fail(struct policy_errors *errors, struct policy_place place, const char *format, ...)
{
	unsigned number = errors->count++;
	va_list arguments;
	if (number >= POLICY_ERRORS_MAX)
		return;
	va_start(arguments, format);
	spell(&errors->list[number], place, format, arguments);
	va_end(arguments);
	errors->columns[number] = place.column;
	copy_line(place, errors->lines[number], sizeof(errors->lines[number]));
}

void policy_warn(struct policy_errors *errors, struct policy_place place, const char *format, ...)
{
	unsigned number = errors->warning_count++;
	va_list arguments;
	if (number >= POLICY_WARNINGS_MAX)
		return;
	va_start(arguments, format);
	spell(&errors->warnings[number], place, format, arguments);
	va_end(arguments);
}

/* ---- words ---- */

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_SIGN, TOKEN_BROKEN };

struct reader {
	const char *at, *line_begin;
	struct policy_place here;
	struct policy_tree *tree;
	struct policy_errors *errors;
	/* the present token */
	enum token_kind kind;
	char sign;
	struct policy_place place;
	struct buf text;
};

static void step(struct reader *reader)
{
	if (*reader->at++ == '\n') {
		reader->here.line++;
		reader->line_begin = reader->at;
	}
	reader->here.column = (int)(reader->at - reader->line_begin) + 1;
}

static void skip_until(struct reader *reader, const char *end)
{
	while (*reader->at && strncmp(reader->at, end, strlen(end)) != 0)
		step(reader);
}

static void skip_space(struct reader *reader)
{
	for (;;) {
		if (*reader->at && strchr(" \t\r\n", *reader->at)) {
			step(reader);
		} else if (*reader->at == '#' || strncmp(reader->at, "//", 2) == 0) {
			skip_until(reader, "\n");
		} else if (strncmp(reader->at, "/*", 2) == 0) {
			step(reader);
			step(reader);
			skip_until(reader, "*/");
			for (int i = 0; i < 2 && *reader->at; i++)
				step(reader);
		} else {
			return;
		}
	}
}

static void keep(struct reader *reader, const char *character)
{
	if (buf_add(&reader->text, view_of(character, 1)) < 0)
		reader->tree->out_of_memory = true;
}

static void read_string(struct reader *reader)
{
	char quote = *reader->at;
	step(reader);
	while (*reader->at && *reader->at != quote && *reader->at != '\n') {
		if (*reader->at == '\\' && quote == '"' && (reader->at[1] == '"' || reader->at[1] == '\\'))
			step(reader);
		keep(reader, reader->at);
		step(reader);
	}
	reader->kind = *reader->at == quote ? TOKEN_STRING : TOKEN_BROKEN;
	if (reader->kind == TOKEN_STRING)
		step(reader);
	else
		policy_fail(reader->errors, reader->place, "the quote is not closed on its line");
}

static void read_word(struct reader *reader)
{
	static const char end[] = " \t\r\n{}=,\"'#";
	reader->kind = TOKEN_WORD;
	while (*reader->at && !strchr(end, *reader->at)) {
		keep(reader, reader->at);
		step(reader);
	}
}

static void next(struct reader *reader)
{
	skip_space(reader);
	buf_reset(&reader->text);
	reader->place = reader->here;
	if (!*reader->at) {
		reader->kind = TOKEN_END;
	} else if (strchr("{}=,", *reader->at)) {
		reader->kind = TOKEN_SIGN;
		reader->sign = *reader->at;
		step(reader);
	} else if (*reader->at == '"' || *reader->at == '\'') {
		read_string(reader);
	} else {
		read_word(reader);
	}
}

static bool is_sign(const struct reader *reader, char sign)
{
	return reader->kind == TOKEN_SIGN && reader->sign == sign;
}

static bool is_text(const struct reader *reader)
{
	return reader->kind == TOKEN_WORD || reader->kind == TOKEN_STRING;
}

static char *take_text(struct reader *reader)
{
	char *text = view_duplicate(buf_view(&reader->text));
	if (!text)
		reader->tree->out_of_memory = true;
	return text ? text : strdup("");
}

/* ---- sections ---- */

/* Makes room for one more behind `count`, doubling; the new one is zeroed. NULL without memory. */
static void *append(struct reader *reader, void *array, size_t count, size_t size)
{
	void **place = array;
	if ((count & (count - 1)) == 0) {
		void *grown = reallocarray(*place, count ? 2 * count : 1, size);
		if (!grown) {
			reader->tree->out_of_memory = true;
			return NULL;
		}
		*place = grown;
	}
	return memset((char *)*place + count * size, 0, size);
}

static bool expect(struct reader *reader, char sign, const char *where)
{
	if (is_sign(reader, sign)) {
		next(reader);
		return true;
	}
	/* What is broken was told already. */
	if (reader->kind != TOKEN_BROKEN)
		policy_fail(reader->errors, reader->place, "a '%c' is wanted %s", sign, where);
	return false;
}

static bool read_value(struct reader *reader, struct policy_key *key)
{
	if (!is_text(reader)) {
		if (reader->kind != TOKEN_BROKEN)
			policy_fail(reader->errors, reader->place, "a value of \"%s\" is wanted here", key->name);
		return false;
	}
	struct policy_value *value = append(reader, &key->values, key->value_count, sizeof(*value));
	if (!value)
		return false;
	key->value_count++;
	value->place = reader->place;
	value->text = take_text(reader);
	next(reader);
	return true;
}

static bool read_values(struct reader *reader, struct policy_key *key)
{
	if (!is_sign(reader, '{'))
		return read_value(reader, key);
	next(reader);
	while (!is_sign(reader, '}')) {
		if (!read_value(reader, key))
			return false;
		if (is_sign(reader, ','))
			next(reader);
		else if (!is_sign(reader, '}'))
			return expect(reader, '}', "behind the last value of the list");
	}
	next(reader);
	return true;
}

static bool read_key(struct reader *reader, struct policy_section *section)
{
	if (!is_text(reader)) {
		if (reader->kind != TOKEN_BROKEN)
			policy_fail(reader->errors, reader->place, "a key or the closing '}' of %s \"%s\" is wanted here", section->kind,
				    section->title);
		return false;
	}
	struct policy_key *key = append(reader, &section->keys, section->key_count, sizeof(*key));
	if (!key)
		return false;
	section->key_count++;
	key->place = reader->place;
	key->name = take_text(reader);
	next(reader);
	return expect(reader, '=', "behind the name of a key") && read_values(reader, key);
}

static bool read_section(struct reader *reader)
{
	if (!is_text(reader)) {
		if (reader->kind != TOKEN_BROKEN)
			policy_fail(reader->errors, reader->place, "a section such as resource \"name\" { ... } is wanted here");
		return false;
	}
	struct policy_section *section = append(reader, &reader->tree->sections, reader->tree->section_count, sizeof(*section));
	if (!section)
		return false;
	reader->tree->section_count++;
	section->place = reader->place;
	section->kind = take_text(reader);
	next(reader);
	section->title = take_text(reader);
	if (is_text(reader))
		next(reader);
	if (!expect(reader, '{', "before the keys of a section"))
		return false;
	while (!is_sign(reader, '}'))
		if (!read_key(reader, section))
			return false;
	next(reader);
	return true;
}

/* Goes on behind what is broken: at the next word in the first column, where sections begin. */
static void recover(struct reader *reader)
{
	do
		next(reader);
	while (reader->kind != TOKEN_END && !(reader->kind == TOKEN_WORD && reader->place.column == 1));
}

void policy_syntax_read(const struct policy_file *file, struct policy_tree *tree, struct policy_errors *errors)
{
	struct reader reader = {.at = file->text, .line_begin = file->text, .here = {file, 1, 1}, .tree = tree, .errors = errors,
				.text = BUF_INIT(1 << 20)};
	next(&reader);
	while (reader.kind != TOKEN_END && !tree->out_of_memory)
		if (!read_section(&reader))
			recover(&reader);
	buf_fini(&reader.text);
}

static void key_fini(struct policy_key *key)
{
	for (size_t i = 0; i < key->value_count; i++)
		free(key->values[i].text);
	free(key->values);
	free(key->name);
}

void policy_tree_fini(struct policy_tree *tree)
{
	for (size_t i = 0; i < tree->section_count; i++) {
		struct policy_section *section = &tree->sections[i];
		for (size_t j = 0; j < section->key_count; j++)
			key_fini(&section->keys[j]);
		free(section->keys);
		free(section->kind);
		free(section->title);
	}
	free(tree->sections);
	*tree = (struct policy_tree){.sections = NULL};
}
