/* request.c: strangers' text into bounded values. Pure but for memory. */
#include "request.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static void free_wiped(void *memory)
{
	if (memory)
		wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void request_prepare_json(void)
{
	size_t seed = 0;
	json_set_alloc_funcs(malloc, free_wiped);
	fd_random(&seed, sizeof(seed));
	/* 0 would mean: find one by yourself. */
	json_object_seed(seed ? seed : 1);
}

static bool is_among(const char *name, const char *const *others)
{
	while (*others && strcmp(*others, name) != 0)
		others++;
	return *others != NULL;
}

/* An object with a member of that name, perhaps the others (NULL ends them), and nothing else. */
static int load_object(struct view body, const char *member, const char *const *others, json_t **out_json, struct diag *diag)
{
	json_error_t error;
	if (body.size == 0)
		return diag_set(diag, ERR_BAD_INPUT, "The body is empty; it must be a JSON object with \"%s\".", member);
	OWN_JSON json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	/* Not jansson's own sentence: it quotes the place, which may be a password. */
	if (!json)
		return diag_set(diag, ERR_BAD_INPUT, "The body is not JSON (line %d, column %d).", error.line, error.column);
	const char *name;
	json_t *value;
	json_object_foreach(json, name, value)
		if (strcmp(name, member) != 0 && !is_among(name, others))
			return diag_set(diag, ERR_BAD_INPUT, "The body has a member that is not known; only \"%s\" is.", member);
	if (!json_object_get(json, member))
		return diag_set(diag, ERR_BAD_INPUT, "The body must be a JSON object with \"%s\".", member);
	*out_json = take_pointer(&json);
	return 0;
}

static int take_text(const json_t *value, char *out_text, size_t capacity)
{
	struct view text = view_of(json_string_value(value), json_string_length(value));
	bool good = json_is_string(value) && text.size > 0 && view_is_utf8(text);
	return good ? view_to_string(text, out_text, capacity) : ERR_BAD_INPUT;
}

int request_login(struct view body, struct request_login *out_login, struct diag *diag)
{
	OWN_JSON json_t *json = NULL;
	int result = load_object(body, "user", (const char *const[]){"realm", "portal", NULL}, &json, diag);
	if (result < 0)
		return result;
	const json_t *realm = json_object_get(json, "realm"), *portal = json_object_get(json, "portal");
	out_login->realm[0] = 0;
	if (take_text(json_object_get(json, "user"), out_login->user, sizeof(out_login->user)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"user\" must be a text of 1 to 256 bytes without NUL.");
	if (realm && take_text(realm, out_login->realm, sizeof(out_login->realm)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"realm\" must be a text of 1 to 32 bytes without NUL.");
	if (portal && !json_is_boolean(portal))
		return diag_set(diag, ERR_BAD_INPUT, "\"portal\" must be true or false.");
	out_login->portal = json_is_true(portal);
	return 0;
}

int request_member(struct view body, const char *member, char *out_text, size_t capacity, struct diag *diag)
{
	OWN_JSON json_t *json = NULL;
	int result = load_object(body, member, (const char *const[]){NULL}, &json, diag);
	if (result == 0 && take_text(json_object_get(json, member), out_text, capacity) < 0)
		result = diag_set(diag, ERR_BAD_INPUT, "\"%s\" must be a text of 1 to %zu bytes without NUL.", member, capacity - 1);
	return result;
}

/* ---- presence ---- */

/* A listener for both families sees IPv4 inside IPv6 (RFC 4291 2.5.5.2). */
static void unmap(struct request_end *end)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (end->size != 16 || memcmp(end->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(end->bytes, end->bytes + 12, 4);
	end->size = 4;
}

static int take_end(const json_t *value, struct request_end *end)
{
	char host[256];
	struct view text = view_of(json_string_value(value), json_string_length(value));
	if (!json_is_string(value) || str_split_authority(text, host, sizeof(host), &end->port) < 0)
		return ERR_BAD_INPUT;
	end->size = inet_pton(AF_INET, host, end->bytes) == 1 ? 4 : inet_pton(AF_INET6, host, end->bytes) == 1 ? 16 : 0;
	unmap(end);
	return end->size ? 0 : ERR_BAD_INPUT;
}

static int take_way(const json_t *json, struct request_presence *presence)
{
	const json_t *source = json_object_get(json, "source"), *target = json_object_get(json, "target");
	if (!source && !target)
		return 0;
	return take_end(source, &presence->source) < 0 ? ERR_BAD_INPUT : take_end(target, &presence->target);
}

int request_presence(struct view body, struct request_presence *out_presence, struct diag *diag)
{
	static const char *const others[] = {"service", "fresh", "source", "target", NULL};
	enum { YEAR_S = 366 * 86400 };
	OWN_JSON json_t *json = NULL;
	struct request_presence presence = {.fresh_ms = 0};
	int result = load_object(body, "user", others, &json, diag);
	if (result < 0)
		return result;
	const json_t *service = json_object_get(json, "service"), *fresh = json_object_get(json, "fresh");
	if (take_text(json_object_get(json, "user"), presence.user, sizeof(presence.user)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"user\" must be a text of 1 to 256 bytes without NUL.");
	if (service && take_text(service, presence.service, sizeof(presence.service)) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"service\" must be a text of 1 to 64 bytes without NUL.");
	if (fresh && (!json_is_integer(fresh) || json_integer_value(fresh) < 1 || json_integer_value(fresh) > YEAR_S))
		return diag_set(diag, ERR_BAD_INPUT, "\"fresh\" must be a number of seconds, from 1 to a year.");
	if (take_way(json, &presence) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "\"source\" and \"target\" must be ADDRESS:PORT, both of them.");
	presence.fresh_ms = fresh ? (uint64_t)json_integer_value(fresh) * 1000 : 0;
	*out_presence = presence;
	return 0;
}

/* ---- answers ---- */

void request_answers_fini(struct request_answers *answers)
{
	for (uint32_t i = 0; i < answers->count; i++)
		buf_wipe(&answers->list[i]);
	answers->count = 0;
}

static int take_answer(const json_t *item, struct request_answers *answers, struct diag *diag)
{
	struct view text = view_of(json_string_value(item), json_string_length(item));
	if (!json_is_string(item))
		return diag_set(diag, ERR_BAD_INPUT, "\"answers\" must be a list of texts.");
	/* PAM's answers are C strings: what stands behind a NUL would not be judged. */
	if (text.size && memchr(text.data, 0, text.size))
		return diag_set(diag, ERR_BAD_INPUT, "An answer holds a NUL, which PAM cannot take.");
	struct buf *place = &answers->list[answers->count++];
	*place = BUF_INIT(CONVERSATION_ANSWER_MAX);
	if (buf_add(place, text) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "An answer is longer than %d bytes.", CONVERSATION_ANSWER_MAX);
	return 0;
}

int request_answers(struct view body, struct request_answers *out_answers, struct diag *diag)
{
	OWN_JSON json_t *json = NULL;
	struct request_answers answers = {.count = 0};
	size_t index;
	const json_t *item;
	int result = load_object(body, "answers", (const char *const[]){NULL}, &json, diag);
	if (result < 0)
		return result;
	const json_t *list = json_object_get(json, "answers");
	if (!json_is_array(list) || json_array_size(list) > CONVERSATION_MESSAGES_MAX)
		return diag_set(diag, ERR_BAD_INPUT, "\"answers\" must be a list of at most %d texts.", CONVERSATION_MESSAGES_MAX);
	json_array_foreach(list, index, item) {
		result = take_answer(item, &answers, diag);
		if (result < 0) {
			request_answers_fini(&answers);
			return result;
		}
	}
	*out_answers = answers;
	return 0;
}

/* ---- authorization ---- */

static bool take_scheme(struct view *header, const char *scheme)
{
	size_t length = strlen(scheme);
	if (header->size <= length || strncasecmp((const char *)header->data, scheme, length) != 0 || header->data[length] != ' ')
		return false;
	*header = view_of(header->data + length + 1, header->size - length - 1);
	while (header->size && header->data[0] == ' ')
		*header = view_of(header->data + 1, header->size - 1);
	return true;
}

static int take_token(struct view token, char *out_token, struct diag *diag)
{
	if (token.size == 0 || !view_is_utf8(token) || view_to_string(token, out_token, WORKER_BROKER_TOKEN_MAX + 1) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "The authorization holds no token of this gateway.");
	return 0;
}

static int take_basic(struct view text, char *out_user, char *out_token, struct diag *diag)
{
	gnutls_datum_t encoded = {.data = (unsigned char *)(uintptr_t)text.data, .size = (unsigned)text.size}, plain = {0};
	if (text.size > 1024 || gnutls_base64_decode2(&encoded, &plain) < 0)
		return diag_set(diag, ERR_BAD_INPUT, "The Basic authorization is not valid base64.");
	const uint8_t *colon = plain.size ? memchr(plain.data, ':', plain.size) : NULL;
	size_t user_size = colon ? (size_t)(colon - plain.data) : 0;
	struct view user = view_of(plain.data, user_size);
	int result = colon && view_is_utf8(user) && view_to_string(user, out_user, 257) == 0
			     ? take_token(view_of(colon + 1, plain.size - user_size - 1), out_token, diag)
			     : diag_set(diag, ERR_BAD_INPUT, "The Basic authorization must be USER:TOKEN.");
	wipe(plain.data, plain.size);
	gnutls_free(plain.data);
	return result;
}

int request_authorization(struct view header, char *out_user, char *out_token, struct diag *diag)
{
	out_user[0] = 0;
	if (header.size == 0)
		return diag_set(diag, ERR_NOT_FOUND, "Log in first.");
	if (take_scheme(&header, "Bearer"))
		return take_token(header, out_token, diag);
	if (take_scheme(&header, "Basic"))
		return take_basic(header, out_user, out_token, diag);
	return diag_set(diag, ERR_BAD_INPUT, "The authorization must be Bearer or Basic.");
}

/* ---- Accept ---- */

/* What stands before the mark; the rest stays in `text`. */
static struct view take_part(struct view *text, char mark)
{
	const uint8_t *end = text->size ? memchr(text->data, mark, text->size) : NULL;
	struct view part = end ? view_of(text->data, (size_t)(end - text->data)) : *text;
	*text = view_of(text->data + part.size + (end ? 1 : 0), text->size - part.size - (end ? 1 : 0));
	return view_trim(part, " \t");
}

/* "q=0.75" in thousandths; 1000 for what is no weight, and for one that is written otherwise. */
static unsigned weight_of(struct view parameter)
{
	unsigned digits = 0, weight = 0;
	if (parameter.size < 3 || parameter.size > 7 || (parameter.data[0] | 0x20) != 'q' || parameter.data[1] != '=' ||
	    parameter.data[2] != '0')
		return 1000;
	for (size_t i = 4; i < parameter.size && parameter.data[i] >= '0' && parameter.data[i] <= '9'; i++, digits++)
		weight = weight * 10 + parameter.data[i] - '0';
	while (digits++ < 3)
		weight *= 10;
	return weight;
}

bool request_wants_page(struct view accept)
{
	unsigned page = 0, json = 0;
	while (accept.size) {
		struct view range = take_part(&accept, ',');
		struct view type = take_part(&range, ';');
		unsigned weight = 1000;
		while (range.size && weight == 1000)
			weight = weight_of(take_part(&range, ';'));
		if (view_is(type, "text/html"))
			page = weight;
		else if (view_is(type, "application/json"))
			json = weight;
	}
	return page > 0 && page >= json;
}
