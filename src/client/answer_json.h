/* answer_json.h: members of the gateway's JSON, checked. Between the files that say what it means: answer*.c. */
#ifndef CLIENT_ANSWER_JSON_H
#define CLIENT_ANSWER_JSON_H

#include <jansson.h>
#include <string.h>

#include "answer.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "words.h"

static inline void release_json(json_t **json)
{
	json_decref(*json);
}
#define OWN_JSON OWN(release_json)

static inline int bad(struct diag *diag, const char *what)
{
	return diag_set(diag, STATUS_FAILED, _("The gateway's answer makes no sense: %s"), what);
}

static inline json_t *load(struct view body)
{
	json_t *root = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
	if (root && json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

/* A text member; "" when it is absent or of another type. */
static inline const char *member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static inline bool copy_checked(const json_t *object, const char *name, const char *alphabet, char *out_text, size_t capacity)
{
	const char *text = member(object, name);
	return *text && strspn(text, alphabet) == strlen(text) && str_copy(out_text, capacity, text);
}

/* A time is shown and never computed with: only its form is checked. */
static inline bool copy_time(const json_t *object, const char *name, char out_text[ANSWER_TIME_MAX])
{
	return copy_checked(object, name, "0123456789-:.TZ+", out_text, ANSWER_TIME_MAX);
}

static inline bool copy_text(const json_t *object, const char *name, char **out_text)
{
	*out_text = strdup(member(object, name));
	return *out_text != NULL;
}

#endif
