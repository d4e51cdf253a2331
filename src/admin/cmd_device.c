/* cmd_device.c: sallyport-admin device ...: the registry. */
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

static const char *const list_columns[] = {"NAME", "name", "STATE", "state", "USERS", "users", "TAGS", "tags", "SESSIONS",
					   "sessions", "TUNNELS", "tunnels", "KEY", "key_kind", "KEY IN (CLAIMED)", "key_store", "UNTIL",
					   "certificate_until", "RENEWALS", "renewals", "NETWORKS", "networks", "LAST SEEN", "last_seen_at", "FROM", "last_seen_from", NULL};
static const char *const host_columns[] = {"NAME", "name", "STATE", "state", "TAGS", "tags", "KEY", "key_kind", "UNTIL",
					   "certificate_until", "LAST SEEN", "last_seen_at", "FROM", "last_seen_from", NULL};
static const char *const show_pairs[] = {"name", "name", "kind", "kind", "id", "id", "state", "state", "users", "users", "tags", "tags", "created",
					 "created_at", "last seen", "last_seen_at", "from", "last_seen_from", "sessions",
					 "sessions", "tunnels", "tunnels", "renewals", "renewals", "networks at once", "networks", NULL};
static const char *const connection_columns[] = {"CONNECTION", "connection", "FROM", "address", NULL};
static const char *const certificate_columns[] = {"SERIAL", "serial", "GENERATION", "generation", "STATE", "state", "KEY", "key_kind",
						  "KEY IN (CLAIMED)", "key_store", "FROM", "not_before",
						  "UNTIL", "not_after", "FIRST USED", "first_used_at", "FINGERPRINT", "fingerprint", NULL};

/* A name that can stand in a command, a path and a certificate. */
static bool is_device_name(const char *name)
{
	size_t length = strlen(name);
	return length >= 1 && length <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length &&
	       name[0] != '.' && name[0] != '-' && name[0] != '_';
}

static int read_request(const char *file, struct buf *out_request, struct diag *diag)
{
	if (strcmp(file, "-") != 0)
		return fd_read_file(file, out_request, diag);
	for (;;) {
		uint8_t *place = buf_reserve(out_request, 4096);
		ssize_t count = place ? read(STDIN_FILENO, place, 4096) : -1;
		if (count < 0)
			return diag_set(diag, ERR_BAD_INPUT, "standard input cannot be read or is too long");
		if (count == 0)
			return 0;
		buf_grown(out_request, (size_t)count);
	}
}

static json_t *base64_of(struct view bytes)
{
	const gnutls_datum_t data = {.data = (unsigned char *)(uintptr_t)bytes.data, .size = (unsigned)bytes.size};
	gnutls_datum_t text = {0};
	if (gnutls_base64_encode2(&data, &text) < 0)
		return NULL;
	json_t *json = json_stringn((const char *)text.data, text.size);
	gnutls_free(text.data);
	return json;
}

static json_t *words(const char *const *list, unsigned count)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

static int send_addition(const struct admin_options *options, struct view public_key)
{
	char kind[32] = "unknown";
	OWN_JSON json_t *answer = NULL;
	(void)!x509_key_kind(public_key, kind, sizeof(kind));
	json_t *body = json_pack("{s:s, s:o, s:o, s:o, s:s}", "name", options->words[0], "users",
				 words(options->users.list, options->users.count), "tags", words(options->tags.list, options->tags.count),
				 "public_key", base64_of(public_key), "key_kind", kind);
	if (!body)
		return admin_say(ADMIN_FAILED, "a user or tag is not valid text");
	int status = call(options, "POST", "/v1/devices", body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	fputs(json_string_value(json_object_get(answer, "certificate")), stdout);
	return ADMIN_DONE;
}

int cmd_device_add(const struct admin_options *options)
{
	OWN_BUF struct buf request = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf public_key = BUF_INIT(8192);
	struct diag diag;
	const char *name = options->words[0];
	if (!is_device_name(name))
		return admin_say(ADMIN_USAGE, "\"%s\" is no device name: 1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit", name);
	if (!options->users.count || !options->csr)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin device add NAME --user USER --csr FILE");
	if (read_request(options->csr, &request, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (x509_request_public_key(buf_view(&request), &public_key, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s: %s", options->csr, diag.text);
	return send_addition(options, buf_view(&public_key));
}

/* ---- list ---- */

enum { PIECE = 200 };

struct filter {
	const char *kind; /* "device" or "host" */
	const char *user, *tag;
	uint64_t expiring_ms, unseen_ms; /* 0: not asked for */
	uint64_t now_ms;
};

static bool has_word(const json_t *array, const char *word)
{
	size_t index;
	const json_t *item;
	json_array_foreach(array, index, item)
		if (json_is_string(item) && strcmp(json_string_value(item), word) == 0)
			return true;
	return false;
}

/* 0 when there is none. */
static uint64_t time_of(const json_t *device, const char *key)
{
	uint64_t ms = 0;
	const char *text = json_string_value(json_object_get(device, key));
	return text && clock_parse(text, &ms) == 0 ? ms : 0;
}

static bool fits(const struct filter *filter, const json_t *device)
{
	const char *kind = json_string_value(json_object_get(device, "kind"));
	if (kind && strcmp(kind, filter->kind) != 0)
		return false;
	if (filter->user && !has_word(json_object_get(device, "users"), filter->user))
		return false;
	if (filter->tag && !has_word(json_object_get(device, "tags"), filter->tag))
		return false;
	/* Neither renews nor comes any more, and need not. */
	const char *state = json_string_value(json_object_get(device, "state"));
	if ((filter->expiring_ms || filter->unseen_ms) && state && strcmp(state, "revoked") == 0)
		return false;
	if (filter->expiring_ms && time_of(device, "certificate_until") > filter->now_ms + filter->expiring_ms)
		return false;
	return !filter->unseen_ms || time_of(device, "last_seen_at") + filter->unseen_ms <= filter->now_ms;
}

static int take_span(const char *option, const char *text, uint64_t *out_ms)
{
	if (!text || str_to_duration_ms(view_string(text), out_ms) == 0)
		return ADMIN_DONE;
	return admin_say(ADMIN_USAGE, "%s %s: wanted is a time with its unit, such as 14d or 12h", option, text);
}

static void drop_others(const struct filter *filter, json_t *devices)
{
	for (size_t i = json_array_size(devices); i-- > 0;)
		if (!fits(filter, json_array_get(devices, i)))
			json_array_remove(devices, i);
}

/* All of them, asked for in pieces, so that nobody else waits for a long list. */
static int fetch(const struct admin_options *options, bool brief, json_t *devices)
{
	char path[128], after[64] = "";
	do {
		OWN_JSON json_t *answer = NULL;
		snprintf(path, sizeof(path), "/v1/devices?limit=%d%s%s%s", PIECE, brief ? "&brief=1" : "", *after ? "&after=" : "", after);
		int status = call(options, "GET", path, NULL, &answer);
		if (status != ADMIN_DONE)
			return status;
		json_array_extend(devices, json_object_get(answer, "devices"));
		const char *next = json_string_value(json_object_get(answer, "next"));
		snprintf(after, sizeof(after), "%s", next ? next : "");
	} while (*after);
	return ADMIN_DONE;
}

static int list(const struct admin_options *options, const char *kind, const char *const *columns)
{
	json_t *devices = json_array();
	OWN_JSON json_t *answer = json_pack("{s:o}", "devices", devices);
	struct filter filter = {.kind = kind,
				.user = options->users.count ? options->users.list[0] : NULL,
				.tag = options->tags.count ? options->tags.list[0] : NULL,
				.now_ms = clock_wall_ms()};
	int status = take_span("--expiring", options->expiring, &filter.expiring_ms);
	if (status == ADMIN_DONE)
		status = take_span("--unseen", options->unseen, &filter.unseen_ms);
	if (status == ADMIN_DONE)
		status = fetch(options, !options->json, devices);
	if (status != ADMIN_DONE)
		return status;
	drop_others(&filter, devices);
	if (options->json)
		return table_print_json(answer);
	(options->csv ? table_print_csv : table_print)(devices, columns);
	return ADMIN_DONE;
}

int cmd_device_list(const struct admin_options *options)
{
	return list(options, "device", list_columns);
}

int cmd_host_list(const struct admin_options *options)
{
	return list(options, "host", host_columns);
}

int cmd_device_show(const struct admin_options *options)
{
	char path[1024] = "/v1/devices/";
	OWN_JSON json_t *answer = NULL;
	if (call_escape(path, sizeof(path), options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name is too long");
	int status = call(options, "GET", path, NULL, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	table_print_object(answer, show_pairs);
	putchar('\n');
	table_print(json_object_get(answer, "certificates"), certificate_columns);
	if (json_array_size(json_object_get(answer, "connections"))) {
		putchar('\n');
		table_print(json_object_get(answer, "connections"), connection_columns);
	}
	return ADMIN_DONE;
}

static int change(const struct admin_options *options, const char *verb, json_t *body, const char *past)
{
	char path[1024] = "/v1/devices/";
	OWN_JSON json_t *answer = NULL;
	if (call_escape(path, sizeof(path) - 16, options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name is too long");
	size_t used = strlen(path);
	snprintf(path + used, sizeof(path) - used, "/%s", verb);
	int status = call(options, "POST", path, body, &answer);
	if (status != ADMIN_DONE)
		return status;
	if (options->json)
		return table_print_json(answer);
	printf("%s is %s; %lld sessions ended, %lld tunnels closed\n", options->words[0], past,
	       (long long)json_integer_value(json_object_get(answer, "sessions_ended")),
	       (long long)json_integer_value(json_object_get(answer, "tunnels_closed")));
	return ADMIN_DONE;
}

static int act(const struct admin_options *options, const char *verb, const char *past)
{
	return change(options, verb, NULL, past);
}

int cmd_device_rename(const struct admin_options *options)
{
	return change(options, "rename", json_pack("{s:s}", "name", options->words[1]), "renamed");
}

int cmd_device_tag(const struct admin_options *options)
{
	json_t *tags = json_array();
	for (int i = 1; i < options->word_count; i++)
		json_array_append_new(tags, json_string(options->words[i]));
	return change(options, "tag", json_pack("{s:o}", "tags", tags), "tagged");
}

int cmd_device_bind(const struct admin_options *options)
{
	if (options->users.count != 1)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin device bind NAME --user USER");
	return change(options, "bind", json_pack("{s:s}", "user", options->users.list[0]), "bound");
}

int cmd_device_unbind(const struct admin_options *options)
{
	if (options->users.count != 1)
		return admin_say(ADMIN_USAGE, "usage: sallyport-admin device unbind NAME --user USER");
	return change(options, "unbind", json_pack("{s:s}", "user", options->users.list[0]), "unbound");
}

int cmd_device_forget(const struct admin_options *options)
{
	return act(options, "forget", "forgotten");
}

int cmd_device_lock(const struct admin_options *options)
{
	return act(options, "lock", "locked");
}

int cmd_device_unlock(const struct admin_options *options)
{
	return act(options, "unlock", "unlocked");
}

int cmd_device_revoke(const struct admin_options *options)
{
	return act(options, "revoke", "revoked");
}

/* ---- hosts ---- */

/* ADMIN_DONE when the name is a host's: a laptop is not revoked by a slip. */
static int check_host(const struct admin_options *options)
{
	char path[1024] = "/v1/devices/";
	OWN_JSON json_t *answer = NULL;
	if (call_escape(path, sizeof(path), options->words[0]) < 0)
		return admin_say(ADMIN_USAGE, "the name is too long");
	int status = call(options, "GET", path, NULL, &answer);
	const char *kind = json_string_value(json_object_get(answer, "kind"));
	if (status == ADMIN_DONE && (!kind || strcmp(kind, "host") != 0))
		return admin_say(ADMIN_FAILED, "\"%s\" is no host but a device of users; see: sallyport-admin device", options->words[0]);
	return status;
}

#define HOST_COMMAND(name)                                                                                          \
	int cmd_host_##name(const struct admin_options *options)                                                    \
	{                                                                                                           \
		int status = check_host(options);                                                                   \
		return status == ADMIN_DONE ? cmd_device_##name(options) : status;                                  \
	}
HOST_COMMAND(show)
HOST_COMMAND(lock)
HOST_COMMAND(unlock)
HOST_COMMAND(revoke)
HOST_COMMAND(forget)
HOST_COMMAND(reinvite)
