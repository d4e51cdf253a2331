/* issuer.c: authority sections as one line each, and what they mean. Pure. See issuer.h. */
#include "sallyport/issuer.h"

#include <ctype.h>
#include <string.h>

#include "sallyport/str.h"

enum { FIELD = 0x1f, PATH_MAX_BYTES = 4095, URL_MAX_BYTES = 2048 };
#define SECOND_MS 1000ULL
#define DAY_MS (24 * 3600 * SECOND_MS)

#define FIELD_ROW(name_, documentation_) {.name = #name_, .offset = offsetof(struct issuer, name_), .documentation = documentation_},
const struct issuer_field issuer_fields[] = {ISSUER_FIELDS(FIELD_ROW)};
const size_t issuer_field_count = sizeof(issuer_fields) / sizeof(issuer_fields[0]);

static struct view *place_of(const struct issuer *issuer, const struct issuer_field *field)
{
	return (struct view *)(void *)((char *)(uintptr_t)issuer + field->offset);
}

/* ---- reading ---- */

static bool cut(struct view *rest, struct view *out_piece)
{
	if (!rest->data)
		return false;
	const uint8_t *end = rest->size ? memchr(rest->data, FIELD, rest->size) : NULL;
	size_t size = end ? (size_t)(end - rest->data) : rest->size;
	*out_piece = view_of(rest->data, size);
	*rest = end ? view_of(end + 1, rest->size - size - 1) : (struct view){0};
	return true;
}

bool issuer_next(const char *text, size_t *position, struct issuer *out_issuer)
{
	const char *start = text + *position;
	if (!*start)
		return false;
	size_t length = strcspn(start, "\n");
	*position += length + (start[length] == '\n');
	struct view line = view_of(start, length);
	if (!cut(&line, &out_issuer->name))
		return false;
	for (size_t i = 0; i < issuer_field_count; i++)
		if (!cut(&line, place_of(out_issuer, &issuer_fields[i])))
			return false;
	return line.data == NULL;
}

bool issuer_find(const char *text, struct view name, struct issuer *out_issuer)
{
	struct issuer issuer;
	size_t position = 0;
	while (issuer_next(text, &position, &issuer))
		if (view_equal(issuer.name, name)) {
			*out_issuer = issuer;
			return true;
		}
	return false;
}

/* ---- meaning ---- */

static bool begins(struct view text, const char *start)
{
	size_t length = strlen(start);
	return text.size >= length && memcmp(text.data, start, length) == 0;
}

bool issuer_is_remote(const struct issuer *issuer)
{
	return begins(issuer->crl, "http://") || begins(issuer->crl, "https://");
}

static int duration(struct view text, uint64_t fallback, uint64_t least, uint64_t most, uint64_t *out_ms)
{
	*out_ms = fallback;
	if (text.size && str_to_duration_ms(text, out_ms) < 0)
		return ERR_BAD_CONFIG;
	return *out_ms < least || *out_ms > most ? ERR_BAD_CONFIG : 0;
}

bool issuer_wants_ocsp(const struct issuer *issuer)
{
	return view_is(issuer->ocsp, "yes");
}

int issuer_times(const struct issuer *issuer, uint64_t *out_every_ms, uint64_t *out_grace_ms, uint64_t *out_ocsp_grace_ms)
{
	int result = duration(issuer->crl_every, 3600 * SECOND_MS, SECOND_MS, 7 * DAY_MS, out_every_ms);
	if (result == 0)
		result = duration(issuer->crl_grace, DAY_MS, 0, 90 * DAY_MS, out_grace_ms);
	return result < 0 ? result : duration(issuer->ocsp_grace, 3600 * SECOND_MS, 0, 7 * DAY_MS, out_ocsp_grace_ms);
}

/* ---- checking ---- */

#define SAY(...) diag_set(diag, ERR_BAD_CONFIG, __VA_ARGS__)
#define NAME(issuer) (int)(issuer)->name.size, (const char *)(issuer)->name.data

static bool is_name(struct view name)
{
	bool good = name.size >= 1 && name.size <= ISSUER_NAME_MAX && isalnum(name.data[0]);
	for (size_t i = 0; good && i < name.size; i++)
		good = isascii(name.data[i]) && (isalnum(name.data[i]) || strchr("._-", name.data[i]));
	return good;
}

static bool is_path(struct view text)
{
	return text.size > 0 && text.size <= PATH_MAX_BYTES && text.data[0] == '/';
}

static bool has_blank(struct view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] <= ' ' || text.data[i] == 0x7f)
			return true;
	return false;
}

static int check(const struct issuer *issuer, struct diag *diag)
{
	uint64_t every, grace, ocsp_grace;
	if (!is_name(issuer->name))
		return SAY("an authority's name has 1 to %d of a-z A-Z 0-9 . _ -, beginning with a letter or digit", ISSUER_NAME_MAX);
	if (!is_path(issuer->certificate))
		return SAY("the authority \"%.*s\" needs certificate: the absolute path of its certificate (PEM)", NAME(issuer));
	bool is_url = issuer_is_remote(issuer) && issuer->crl.size <= URL_MAX_BYTES && !has_blank(issuer->crl);
	if (issuer->ocsp.size && !issuer_wants_ocsp(issuer) && !view_is(issuer->ocsp, "no"))
		return SAY("the authority \"%.*s\": ocsp is yes or no", NAME(issuer));
	if (!is_url && !is_path(issuer->crl) && (issuer->crl.size || !issuer_wants_ocsp(issuer)))
		return SAY("the authority \"%.*s\" needs crl: an absolute path, or an http:// or https:// URL; or ocsp = yes", NAME(issuer));
	if (issuer_times(issuer, &every, &grace, &ocsp_grace) < 0)
		return SAY("the authority \"%.*s\": crl_every is from 1s to 7d, crl_grace from 0s to 90d, ocsp_grace from 0s to 7d, such as "
			   "\"12h\"", NAME(issuer));
	return 0;
}

int issuers_check(const char *text, struct diag *diag)
{
	struct issuer issuer, other;
	size_t position = 0, next, count = 0;
	if (strlen(text) > ISSUER_BYTES_MAX)
		return SAY("the authorities are longer than %d characters together", ISSUER_BYTES_MAX);
	while (text[position]) {
		if (!issuer_next(text, &position, &issuer))
			return SAY("an authority is a section: authority \"NAME\" { certificate = \"/...\" crl = \"...\" }");
		int result = check(&issuer, diag);
		if (result < 0)
			return result;
		if (++count > ISSUERS_MAX)
			return SAY("there are more than %d authorities", ISSUERS_MAX);
		for (next = position; issuer_next(text, &next, &other);)
			if (view_equal(issuer.name, other.name))
				return SAY("there are two authorities \"%.*s\"", NAME(&issuer));
	}
	return 0;
}

/* ---- writing ---- */

static bool has_control(struct view text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < ' ')
			return true;
	return false;
}

int issuer_write(const struct issuer *issuer, struct buf *out_text, struct diag *diag)
{
	int result = check(issuer, diag);
	if (result < 0)
		return result;
	result = buf_add(out_text, issuer->name);
	for (size_t i = 0; result == 0 && i < issuer_field_count; i++) {
		struct view value = *place_of(issuer, &issuer_fields[i]);
		if (has_control(value))
			return SAY("the authority \"%.*s\": %s holds a control character", NAME(issuer), issuer_fields[i].name);
		result = buf_add(out_text, view_of((const uint8_t[]){FIELD}, 1));
		if (result == 0)
			result = buf_add(out_text, value);
	}
	if (result == 0)
		result = buf_add_string(out_text, "\n");
	return result < 0 ? diag_set(diag, result, "the authorities are too long together") : 0;
}

int issuer_print(const struct issuer *issuer, struct buf *out_text)
{
	int result = buf_add_format(out_text, "authority \"%.*s\" {", NAME(issuer));
	for (size_t i = 0; result == 0 && i < issuer_field_count; i++) {
		struct view value = *place_of(issuer, &issuer_fields[i]);
		if (value.size)
			result = buf_add_format(out_text, "  %s = \"%.*s\"", issuer_fields[i].name, (int)value.size,
						(const char *)value.data);
	}
	return result < 0 ? result : buf_add_string(out_text, "  }");
}
