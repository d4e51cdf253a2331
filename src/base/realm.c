/* realm.c: realms as one line each, and which of them a login belongs to. Pure. See realm.h. */
#include "sallyport/realm.h"

#include <ctype.h>
#include <string.h>

#include "sallyport/str.h"

/* A line is NAME, SERVICE, FLAGS, GROUPS, TAGS, separated by FIELD; the words of a list are separated by WORD. */
enum { FIELD = 0x1f, WORD = 0x1e, FIELDS = 5 };
enum { ON_REQUEST = 'r', BREAK_GLASS = 'b', BROWSER = 'w' };

/* ---- reading ---- */

static bool cut(struct view *rest, uint8_t separator, struct view *out_piece)
{
	if (!rest->data)
		return false;
	const uint8_t *end = rest->size ? memchr(rest->data, separator, rest->size) : NULL;
	size_t size = end ? (size_t)(end - rest->data) : rest->size;
	*out_piece = view_of(rest->data, size);
	*rest = end ? view_of(end + 1, rest->size - size - 1) : (struct view){0};
	return true;
}

static bool has_flag(struct view flags, int flag)
{
	return flags.size && memchr(flags.data, flag, flags.size);
}

static bool read_line(struct view line, struct realm *out_realm)
{
	struct view field[FIELDS];
	for (size_t i = 0; i < FIELDS; i++)
		if (!cut(&line, FIELD, &field[i]))
			return false;
	*out_realm = (struct realm){.name = field[0], .pam_service = field[1], .groups = field[3], .device_tags = field[4]};
	out_realm->break_glass = has_flag(field[2], BREAK_GLASS);
	out_realm->on_request = out_realm->break_glass || has_flag(field[2], ON_REQUEST);
	out_realm->browser = has_flag(field[2], BROWSER);
	return line.data == NULL;
}

bool realm_next(const char *text, size_t *position, struct realm *out_realm)
{
	const char *start = text + *position;
	if (!*start)
		return false;
	size_t length = strcspn(start, "\n");
	*position += length + (start[length] == '\n');
	return read_line(view_of(start, length), out_realm);
}

bool realm_word_next(struct view list, size_t *position, struct view *out_word)
{
	if (*position >= list.size)
		return false;
	struct view rest = view_of(list.data + *position, list.size - *position);
	bool there = cut(&rest, WORD, out_word);
	*position += out_word->size + 1;
	return there;
}

bool realm_find(const char *text, struct view name, struct realm *out_realm)
{
	struct realm realm;
	size_t position = 0;
	while (realm_next(text, &position, &realm))
		if (view_equal(realm.name, name)) {
			*out_realm = realm;
			return true;
		}
	return false;
}

/* ---- checking ---- */

static bool is_word_of(struct view text, const char *more, size_t most)
{
	bool good = text.size >= 1 && text.size <= most && isalnum(text.data[0]);
	for (size_t i = 0; good && i < text.size; i++)
		good = isascii(text.data[i]) && (isalnum(text.data[i]) || strchr(more, text.data[i])) && text.data[i];
	return good;
}

static int check(const struct realm *realm, struct diag *diag)
{
	if (!is_word_of(realm->name, "._-", REALM_NAME_MAX))
		return diag_set(diag, ERR_BAD_CONFIG, "a realm's name has 1 to %d of a-z A-Z 0-9 . _ -, beginning with a letter or digit",
				REALM_NAME_MAX);
	if (view_is(realm->name, REALM_DEFAULT))
		return diag_set(diag, ERR_BAD_CONFIG, "the realm \"default\" is there already: it is what pam_service names");
	if (!is_word_of(realm->pam_service, "._-", REALM_SERVICE_MAX))
		return diag_set(diag, ERR_BAD_CONFIG, "the realm \"%.*s\" needs pam_service: the name of a PAM service file",
				(int)realm->name.size, (const char *)realm->name.data);
	return 0;
}

int realms_check(const char *text, struct diag *diag)
{
	struct realm realm, other;
	size_t position = 0, next;
	if (strlen(text) > REALM_BYTES_MAX)
		return diag_set(diag, ERR_BAD_CONFIG, "the realms are longer than %d characters together", REALM_BYTES_MAX);
	while (text[position]) {
		if (!realm_next(text, &position, &realm))
			return diag_set(diag, ERR_BAD_CONFIG, "a realm is a section: realm \"NAME\" { pam_service = \"...\" }");
		int result = check(&realm, diag);
		if (result < 0)
			return result;
		for (next = position; realm_next(text, &next, &other);)
			if (view_equal(realm.name, other.name))
				return diag_set(diag, ERR_BAD_CONFIG, "there are two realms \"%.*s\"", (int)realm.name.size,
						(const char *)realm.name.data);
	}
	return 0;
}

/* ---- choosing ---- */

bool realm_fits_device(const struct realm *realm, const char *tags)
{
	size_t position = 0;
	struct view word;
	if (realm->device_tags.size == 0)
		return true;
	while (realm_word_next(realm->device_tags, &position, &word))
		for (const char *tag = tags; *tag; tag += strcspn(tag, "\n"), tag += *tag == '\n')
			if (view_equal(word, view_of(tag, strcspn(tag, "\n"))))
				return true;
	return false;
}

bool realm_fits_groups(const struct realm *realm, const char *const *groups, size_t count)
{
	size_t position = 0;
	struct view word;
	if (realm->groups.size == 0)
		return true;
	while (realm_word_next(realm->groups, &position, &word))
		for (size_t i = 0; i < count; i++)
			if (view_is(word, groups[i]))
				return true;
	return false;
}

bool realm_choose(const char *text, const char *tags, const char *const *groups, size_t count, struct realm *out_realm)
{
	struct realm realm;
	size_t position = 0;
	while (realm_next(text, &position, &realm))
		if (!realm.on_request && realm_fits_device(&realm, tags) && realm_fits_groups(&realm, groups, count)) {
			*out_realm = realm;
			return true;
		}
	return false;
}

bool realm_choice_needs_groups(const char *text, const char *tags)
{
	struct realm realm;
	size_t position = 0;
	while (realm_next(text, &position, &realm))
		if (!realm.on_request && realm_fits_device(&realm, tags))
			return realm.groups.size > 0;
	return false;
}

bool realm_is_right(const char *text, struct view name, const char *tags, const char *const *groups, size_t count)
{
	struct realm realm;
	if (realm_find(text, name, &realm) && realm.on_request)
		return realm_fits_device(&realm, tags) && realm_fits_groups(&realm, groups, count);
	if (realm_choose(text, tags, groups, count, &realm))
		return view_equal(realm.name, name);
	return view_is(name, REALM_DEFAULT);
}

bool realm_right_needs_groups(const char *text, struct view name, const char *tags)
{
	struct realm realm;
	if (realm_find(text, name, &realm) && realm.on_request)
		return realm.groups.size > 0;
	return realm_choice_needs_groups(text, tags);
}

/* ---- writing ---- */

int realm_add_word(struct buf *list, const char *word)
{
	for (const char *c = word; *c; c++)
		if ((unsigned char)*c < ' ')
			return ERR_BAD_CONFIG;
	if (!*word || strlen(word) > 256)
		return ERR_BAD_CONFIG;
	int result = list->size ? buf_add(list, view_of((const uint8_t[]){WORD}, 1)) : 0;
	return result < 0 ? result : buf_add_string(list, word);
}

static int add_field(struct buf *text, struct view field, char end)
{
	int result = buf_add(text, field);
	return result < 0 ? result : buf_add(text, view_of(&end, 1));
}

int realm_write(const struct realm *realm, struct buf *out_text, struct diag *diag)
{
	char flags[4];
	size_t count = 0;
	int result = check(realm, diag);
	if (result < 0)
		return result;
	const struct {
		bool set;
		char letter;
	} all[] = {{realm->on_request, ON_REQUEST}, {realm->break_glass, BREAK_GLASS}, {realm->browser, BROWSER}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].set)
			flags[count++] = all[i].letter;
	const struct view fields[FIELDS] = {realm->name, realm->pam_service, view_of(flags, count), realm->groups,
					    realm->device_tags};
	for (size_t i = 0; result == 0 && i < FIELDS; i++)
		result = add_field(out_text, fields[i], i + 1 < FIELDS ? FIELD : '\n');
	return result < 0 ? diag_set(diag, result, "the realms are too long together") : 0;
}

static int print_list(const char *key, struct view list, struct buf *out_text)
{
	size_t position = 0;
	struct view word;
	int result = list.size ? buf_add_format(out_text, "  %s = {", key) : 0;
	for (bool first = true; result == 0 && realm_word_next(list, &position, &word); first = false)
		result = buf_add_format(out_text, "%s\"%.*s\"", first ? "" : ", ", (int)word.size, (const char *)word.data);
	return result == 0 && list.size ? buf_add_string(out_text, "}") : result;
}

int realm_print(const struct realm *realm, struct buf *out_text)
{
	int result = buf_add_format(out_text, "realm \"%.*s\" {  pam_service = \"%.*s\"", (int)realm->name.size,
				    (const char *)realm->name.data, (int)realm->pam_service.size,
				    (const char *)realm->pam_service.data);
	if (result == 0)
		result = print_list("groups", realm->groups, out_text);
	if (result == 0)
		result = print_list("device_tags", realm->device_tags, out_text);
	const char *flags = realm->break_glass ? "  break_glass = true" : realm->on_request ? "  on_request = true" : "";
	if (result == 0)
		result = buf_add_format(out_text, "%s%s  }", flags, realm->browser ? "  browser = true" : "");
	return result;
}
