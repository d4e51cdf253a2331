/* issuers.c: what other authorities have revoked: asked, loaded. Filling the lists: issuer_watch.c. */
#include "issuers.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ocsp.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { LIST_BYTES_MAX = (BROKER_SIGNER_LIST_SERIALS_MAX + 1) * ISSUER_SERIAL_BYTES };

/* The codes of refusals; as literals of one place they are compared by address. */
static const char revoked_code[] = "certificate_revoked", stale_code[] = "crl_stale";

/* ---- asking ---- */

static int compare(const void *one, const void *other)
{
	return memcmp(one, other, ISSUER_SERIAL_BYTES);
}

void issuer_sort(struct buf *serials)
{
	if (serials->size)
		qsort(serials->data, serials->size / ISSUER_SERIAL_BYTES, ISSUER_SERIAL_BYTES, compare);
}

/* A serial number as the registry writes it: hexadecimal, perhaps with a zero in front. */
bool issuer_read_serial(const char *text, uint8_t *out_bytes)
{
	while (text[0] == '0' && text[1] == '0')
		text += 2;
	size_t digits = strlen(text);
	memset(out_bytes, 0, ISSUER_SERIAL_BYTES);
	return digits % 2 == 0 && digits <= 2 * ISSUER_SERIAL_BYTES &&
	       str_from_hex(view_string(text), out_bytes + ISSUER_SERIAL_BYTES - digits / 2, digits / 2) == 0;
}

/* A number that cannot be read counts as revoked. */
static bool list_has(const struct issuer_list *list, const char *serial)
{
	uint8_t bytes[ISSUER_SERIAL_BYTES];
	if (!issuer_read_serial(serial, bytes))
		return true;
	return list->serials.size && bsearch(bytes, list->serials.data, list->serials.size / ISSUER_SERIAL_BYTES, ISSUER_SERIAL_BYTES,
					     compare);
}

bool issuer_is_stale(const struct issuer_watch *watch, uint64_t now_ms)
{
	return *watch->place && now_ms >= watch->list->next_ms;
}

bool issuer_is_over(const struct issuer_watch *watch, uint64_t now_ms)
{
	return *watch->place && (watch->list->next_ms == 0 || now_ms >= watch->list->next_ms + watch->grace_ms);
}

unsigned issuers_count_stale(const struct issuers *issuers, uint64_t now_ms)
{
	unsigned count = 0;
	for (unsigned i = 0; i < issuers->count; i++)
		count += issuer_is_stale(&issuers->watches[i], now_ms);
	return count;
}

/* An adopted certificate that lives. One whose issuer was not known counts as every authority's. */
static bool is_under(const struct certificate *certificate, const struct issuer_watch *watch, uint64_t now_ms)
{
	return *watch->place && !*certificate->authority && now_ms < certificate->not_after_ms &&
	       (!*certificate->issuer || strcmp(certificate->issuer, watch->list->authority) == 0);
}

static int ask(const struct issuer_watch *watch, const struct certificate *certificate, uint64_t now_ms, const char **out_code,
	       const char **out_sentence)
{
	if (!is_under(certificate, watch, now_ms))
		return 0;
	if (list_has(watch->list, certificate->serial)) {
		*out_code = revoked_code;
		*out_sentence = "its authority has revoked it";
		return ERR_DENIED;
	}
	if (!issuer_is_over(watch, now_ms))
		return 0;
	*out_code = stale_code;
	*out_sentence = watch->list->next_ms ? "the list of revoked certificates of its authority was not renewed in time"
					     : "no list of revoked certificates of its authority was read yet";
	return ERR_DENIED;
}

int issuers_judge(const struct issuers *issuers, const struct certificate *certificate, uint64_t now_ms, const char **out_code,
		  const char **out_sentence)
{
	int result = 0;
	for (unsigned i = 0; result == 0 && i < issuers->count; i++)
		result = ask(&issuers->watches[i], certificate, now_ms, out_code, out_sentence);
	return result;
}

int issuers_judge_device(const struct broker *broker, const struct device *device, uint64_t now_ms, const char **out_code,
			 const char **out_sentence)
{
	const struct certificate *certificate;
	int result = 0;
	/* The use of a newer one has superseded those before it. */
	LIST_FOREACH(certificate, &device->certificates, of_device)
		if (result == 0 && certificate->state == CERTIFICATE_ACTIVE && certificate->first_used_at_ms) {
			result = issuers_judge(&broker->issuers, certificate, now_ms, out_code, out_sentence);
			/* Not before its responder was asked at all: the section may be new. */
			if (result == 0 && certificate->ocsp.again_at_ms)
				result = ocsp_judge(broker, certificate, now_ms, out_code, out_sentence);
		}
	return result;
}

/* ---- memory ---- */

struct issuer_list *issuer_list_of(struct issuers *issuers, const char *authority)
{
	struct issuer_list *list;
	LIST_FOREACH(list, &issuers->lists, all)
		if (strcmp(list->authority, authority) == 0)
			return list;
	list = calloc(1, sizeof(*list));
	if (!list)
		return NULL;
	str_copy(list->authority, sizeof(list->authority), authority);
	list->serials = BUF_INIT(LIST_BYTES_MAX);
	LIST_INSERT_HEAD(&issuers->lists, list, all);
	return list;
}

static int take_serials(struct issuer_list *list, struct view hex)
{
	size_t size = hex.size / 2;
	uint8_t *place = size ? buf_reserve(&list->serials, size) : NULL;
	if (!size)
		return 0;
	if (size % ISSUER_SERIAL_BYTES || !place || str_from_hex(hex, place, size) < 0)
		return ERR_BAD_INPUT;
	buf_grown(&list->serials, size);
	return 0;
}

static int take_list(void *self, const struct store_row *row, struct diag *diag)
{
	struct issuer_list *list = issuer_list_of(self, store_row_text(row, 0));
	if (!list)
		return diag_system(diag, "memory");
	str_copy(list->number, sizeof(list->number), store_row_text(row, 1));
	list->this_ms = (uint64_t)store_row_number(row, 2);
	list->next_ms = (uint64_t)store_row_number(row, 3);
	list->noticed_at_ms = (uint64_t)store_row_number(row, 4);
	return take_serials(list, view_string(store_row_text(row, 5))) < 0
		       ? diag_set(diag, ERR_SYSTEM, "a list of revoked certificates is damaged in the store")
		       : 0;
}

static int load(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	return STORE_QUERY_ALL(db, diag, issuer_list_all, take_list, operation->context);
}

int issuers_load(struct broker *broker, struct diag *diag)
{
	struct store_operation operation = {.work = load, .context = &broker->issuers};
	return store_now(broker->store, &operation, diag);
}
