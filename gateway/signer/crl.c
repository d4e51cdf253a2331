/* crl.c: walks over the DER of a list of revoked certificates. See crl.h. */
#include "crl.h"

#include <stdio.h>
#include <string.h>

enum tag { TAG_INTEGER = 0x02, TAG_BITS = 0x03, TAG_BYTES = 0x04, TAG_OID = 0x06, TAG_BOOLEAN = 0x01, TAG_SEQUENCE = 0x30,
	   TAG_UTC_TIME = 0x17, TAG_GENERAL_TIME = 0x18, TAG_EXTENSIONS = 0xa0 };

/* ---- DER ---- */

/* Takes the next element: its tag, what is in it, and all of it. Lengths of at most four bytes, in their shortest form. */
static bool take(struct view *from, uint8_t *out_tag, struct view *out_content, struct view *out_whole)
{
	size_t head = 2, length;
	if (from->size < 2 || (from->data[0] & 0x1f) == 0x1f)
		return false;
	length = from->data[1];
	if (length & 0x80) {
		size_t count = length & 0x7f;
		if (count == 0 || count > 4 || from->size < 2 + count || from->data[2] == 0)
			return false;
		length = 0;
		for (size_t i = 0; i < count; i++)
			length = length << 8 | from->data[2 + i];
		head += count;
		if (length < 0x80)
			return false;
	}
	if (length > from->size - head)
		return false;
	*out_tag = from->data[0];
	*out_content = view_of(from->data + head, length);
	if (out_whole)
		*out_whole = view_of(from->data, head + length);
	*from = view_of(from->data + head + length, from->size - head - length);
	return true;
}

static bool take_kind(struct view *from, uint8_t tag, struct view *out_content)
{
	uint8_t found;
	return take(from, &found, out_content, NULL) && found == tag;
}

static bool comes(struct view from, uint8_t tag)
{
	return from.size > 0 && from.data[0] == tag;
}

/* ---- values ---- */

/* Positive, at most 20 bytes (RFC 5280 5.1.2.6, 5.2.3). */
static bool read_number(struct view content, uint8_t *out_bytes)
{
	if (content.size == 0 || (content.data[0] & 0x80))
		return false;
	while (content.size > 1 && content.data[0] == 0)
		content = view_of(content.data + 1, content.size - 1);
	if (content.size > CRL_SERIAL_BYTES)
		return false;
	memset(out_bytes, 0, CRL_SERIAL_BYTES);
	memcpy(out_bytes + CRL_SERIAL_BYTES - content.size, content.data, content.size);
	return true;
}

static bool read_oid(struct view content, char *out_text)
{
	size_t used = 0;
	uint64_t arc = 0;
	bool first = true;
	if (content.size == 0 || (content.data[content.size - 1] & 0x80))
		return false;
	for (size_t i = 0; i < content.size; i++) {
		if (arc >> 32)
			return false;
		arc = arc << 7 | (content.data[i] & 0x7f);
		if (content.data[i] & 0x80)
			continue;
		uint64_t top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
		int written = first ? snprintf(out_text, CRL_OID_MAX, "%llu.%llu", (unsigned long long)top,
					       (unsigned long long)(arc - 40 * top))
				    : snprintf(out_text + used, CRL_OID_MAX - used, ".%llu", (unsigned long long)arc);
		used += (size_t)written;
		if (used >= CRL_OID_MAX)
			return false;
		first = false;
		arc = 0;
	}
	return true;
}

static bool two_digits(const uint8_t *text, int least, int most, int *out_number)
{
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return false;
	*out_number = 10 * (text[0] - '0') + text[1] - '0';
	return *out_number >= least && *out_number <= most;
}

/* Days from 1970-01-01 to that one of the Gregorian calendar. */
static int64_t days_until(int64_t year, int month, int day)
{
	int64_t shifted = year - (month <= 2), era = shifted / 400, of_era = shifted - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYMMDDHHMMSSZ, or with four digits of the year: the only forms that RFC 5280 4.1.2.5 has. */
static bool read_time(uint8_t tag, struct view content, int64_t *out_s)
{
	int part[7] = {0}, century = 0;
	static const int least[] = {0, 1, 1, 0, 0, 0}, most[] = {99, 12, 31, 23, 59, 60};
	const uint8_t *at = content.data;
	bool is_long = tag == TAG_GENERAL_TIME;
	if ((tag != TAG_UTC_TIME && !is_long) || content.size != (is_long ? 15U : 13U) || at[content.size - 1] != 'Z')
		return false;
	if (is_long && !two_digits(at, 0, 99, &century))
		return false;
	at += is_long ? 2 : 0;
	for (int i = 0; i < 6; i++, at += 2)
		if (!two_digits(at, least[i], most[i], &part[i]))
			return false;
	int64_t year = is_long ? 100 * century + part[0] : part[0] + (part[0] < 50 ? 2000 : 1900);
	*out_s = days_until(year, part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 + part[5];
	return true;
}

static bool take_time(struct view *from, int64_t *out_s)
{
	uint8_t tag;
	struct view content;
	return take(from, &tag, &content, NULL) && read_time(tag, content, out_s);
}

/* ---- the list ---- */

static bool take_algorithm(struct view *from, struct view *out_whole, char *out_oid)
{
	uint8_t tag;
	struct view content, oid;
	return take(from, &tag, &content, out_whole) && tag == TAG_SEQUENCE && take_kind(&content, TAG_OID, &oid) &&
	       read_oid(oid, out_oid);
}

static bool take_bits(struct view *from, struct view *out_bits)
{
	struct view content;
	if (!take_kind(from, TAG_BITS, &content) || content.size < 2 || content.data[0] != 0)
		return false;
	*out_bits = view_of(content.data + 1, content.size - 1);
	return true;
}

/* Version 2 has a number in front, version 1 has none. */
static bool open_signed(struct crl *crl, struct view content)
{
	char oid[CRL_OID_MAX];
	uint8_t tag;
	struct view version, name;
	if (comes(content, TAG_INTEGER) && (!take_kind(&content, TAG_INTEGER, &version) || version.size != 1 || version.data[0] != 1))
		return false;
	if (!take_algorithm(&content, &crl->inner_algorithm, oid) || !take(&content, &tag, &name, &crl->issuer) || tag != TAG_SEQUENCE)
		return false;
	crl->rest = content;
	return true;
}

int crl_open(struct view der, struct crl *out_crl, struct diag *diag)
{
	struct view list, content, algorithm;
	uint8_t tag;
	*out_crl = (struct crl){.next_s = 0};
	bool good = take_kind(&der, TAG_SEQUENCE, &list) && der.size == 0 && take(&list, &tag, &content, &out_crl->to_be_signed) &&
		    tag == TAG_SEQUENCE && take_algorithm(&list, &algorithm, out_crl->algorithm) &&
		    take_bits(&list, &out_crl->signature) && list.size == 0 && open_signed(out_crl, content) &&
		    view_equal(algorithm, out_crl->inner_algorithm);
	return good ? 0 : diag_set(diag, ERR_BAD_INPUT, "it is no list of revoked certificates (CRL, in DER or PEM)");
}

static int read_extension(struct crl *crl, struct view extension, struct diag *diag)
{
	static const uint8_t number_oid[] = {0x55, 0x1d, 0x14};
	struct view oid, critical = {0}, value, number;
	char name[CRL_OID_MAX] = "?";
	if (!take_kind(&extension, TAG_OID, &oid) ||
	    (comes(extension, TAG_BOOLEAN) && !take_kind(&extension, TAG_BOOLEAN, &critical)) ||
	    !take_kind(&extension, TAG_BYTES, &value) || extension.size)
		return diag_set(diag, ERR_BAD_INPUT, "an extension of the list is damaged");
	if (view_equal(oid, view_of(number_oid, sizeof(number_oid))))
		return take_kind(&value, TAG_INTEGER, &number) && value.size == 0 && read_number(number, crl->number)
			       ? 0 : diag_set(diag, ERR_BAD_INPUT, "the list's number is damaged");
	if (!critical.size || critical.data[0] == 0)
		return 0;
	(void)read_oid(oid, name);
	return diag_set(diag, ERR_DENIED, "it is a list of a kind that is not taken (critical extension %s): only a whole one of this "
					  "authority is", name);
}

static int read_extensions(struct crl *crl, struct view content, struct diag *diag)
{
	struct view list, one;
	int result = 0;
	if (!take_kind(&content, TAG_SEQUENCE, &list) || content.size)
		return diag_set(diag, ERR_BAD_INPUT, "the extensions of the list are damaged");
	while (result == 0 && list.size)
		result = take_kind(&list, TAG_SEQUENCE, &one) ? read_extension(crl, one, diag)
							      : diag_set(diag, ERR_BAD_INPUT, "an extension of the list is damaged");
	return result;
}

int crl_read(struct crl *crl, struct diag *diag)
{
	struct view content, at = crl->rest;
	bool has_next = false, good = take_time(&at, &crl->this_s);
	if (good && (comes(at, TAG_UTC_TIME) || comes(at, TAG_GENERAL_TIME)))
		good = has_next = take_time(&at, &crl->next_s);
	if (good && comes(at, TAG_SEQUENCE))
		good = take_kind(&at, TAG_SEQUENCE, &crl->entries);
	if (!good)
		return diag_set(diag, ERR_BAD_INPUT, "the list is damaged");
	if (!has_next || crl->next_s <= 0 || crl->this_s <= 0)
		return diag_set(diag, ERR_DENIED, "the list does not say when the next one is due (nextUpdate)");
	int result = 0;
	if (comes(at, TAG_EXTENSIONS))
		result = take_kind(&at, TAG_EXTENSIONS, &content) ? read_extensions(crl, content, diag)
								  : diag_set(diag, ERR_BAD_INPUT, "the list is damaged");
	return result == 0 && at.size ? diag_set(diag, ERR_BAD_INPUT, "the list goes on behind its end") : result;
}

int crl_next(struct crl *crl, uint8_t *out_serial)
{
	struct view entry, serial;
	if (crl->entries.size == 0)
		return 0;
	return take_kind(&crl->entries, TAG_SEQUENCE, &entry) && take_kind(&entry, TAG_INTEGER, &serial) && read_number(serial, out_serial)
		       ? 1 : ERR_BAD_INPUT;
}

bool crl_key_bits(struct view public_key, struct view *out_bits)
{
	struct view content, algorithm;
	return take_kind(&public_key, TAG_SEQUENCE, &content) && take_kind(&content, TAG_SEQUENCE, &algorithm) &&
	       take_bits(&content, out_bits);
}
