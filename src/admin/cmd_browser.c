/* cmd_browser.c: sallyport-admin browser policy: asks the gateway what a browser of the fleet must know, and prints it as the file
 * that the browser reads. What belongs beside the file is said on standard error.
 */
#include <stdio.h>
#include <string.h>

#include "authority.h"
#include "browser_policy.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/pac.h"
#include "sallyport/str.h"

#define AUTHORITY_FILE "/etc/firefox/policies/sallyport-ca.crt"

enum { URL_MAX = 4 * PAC_BYTES_MAX };

DEFINE_OWN(json, json_t *, json_decref)
#define OWN_JSON OWN(own_json)

/* ---- where the gateway is ---- */

struct place {
	char host[256];
	uint16_t port;
	char origin[300];
};

/* "https://gw.example.com:8443", or without the first or the last part. */
static int take_place(const char *url, struct place *out_place)
{
	char text[320];
	const char *begin = strncmp(url, "https://", 8) == 0 ? url + 8 : url;
	size_t length = strlen(begin);
	length -= length && begin[length - 1] == '/';
	snprintf(text, sizeof(text), "%.*s", (int)length, begin);
	if (length < sizeof(text) - 5 && str_split_authority(view_string(text), out_place->host, sizeof(out_place->host), &out_place->port) < 0)
		snprintf(text + length, sizeof(text) - length, ":443");
	if (length >= sizeof(text) - 5 || strpbrk(text, "/?#@\"\\ *") ||
	    str_split_authority(view_string(text), out_place->host, sizeof(out_place->host), &out_place->port) < 0)
		return admin_say(ADMIN_USAGE, "\"%s\" is not where browsers reach a gateway: https://HOST or https://HOST:PORT", url);
	bool six = strchr(out_place->host, ':');
	snprintf(out_place->origin, sizeof(out_place->origin), out_place->port == 443 ? "https://%s%s%s" : "https://%s%s%s:%u", six ? "[" : "",
		 out_place->host, six ? "]" : "", out_place->port);
	return ADMIN_DONE;
}

/* ---- authorities ---- */

/* Everyone who may have issued a certificate that the gateway takes. */
static int list_issuers(const struct authority_files *files, json_t *issuers)
{
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct diag diag;
	if (authority_bundle_read(files->device_authority, &bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	for (unsigned i = 0; i < bundle.count; i++) {
		struct x509_facts facts;
		if (x509_facts(buf_view(&bundle.list[i]), &facts, &diag) < 0)
			return admin_say(ADMIN_FAILED, "%s: %s", files->device_authority, diag.text);
		json_array_append_new(issuers, json_string(facts.name));
	}
	return ADMIN_DONE;
}

/* Who vouches for the gateway itself, in base64; nothing where it is somebody whom browsers know. */
static int read_authority(const struct authority_files *files, struct buf *out_base64)
{
	OWN_BUNDLE struct authority_bundle bundle = {.count = 0};
	struct diag diag;
	if (!*files->server_authority)
		return ADMIN_DONE;
	if (authority_bundle_read(files->server_authority, &bundle, &diag) < 0)
		return admin_say(ADMIN_FAILED, "%s", diag.text);
	if (browser_policy_base64(buf_view(&bundle.list[0]), out_base64) < 0)
		return admin_say(ADMIN_FAILED, "%s is too large", files->server_authority);
	return ADMIN_DONE;
}

/* ---- the script ---- */

/* Of several users and groups: each resource once. */
static int ask_resources(const struct admin_options *options, const char *key, const char *value, json_t *by_name)
{
	OWN_JSON json_t *answer = NULL;
	char path[2048];
	size_t index;
	json_t *resource;
	snprintf(path, sizeof(path), "/v1/policy/resources%s%s%s", key ? "?" : "", key ? key : "", key ? "=" : "");
	if (key && call_escape(path, sizeof(path), value) < 0)
		return admin_say(ADMIN_USAGE, "\"%s\" is too long", value);
	int status = call(options, "GET", path, NULL, &answer);
	json_array_foreach(json_object_get(answer, "resources"), index, resource)
		json_object_set(by_name, json_string_value(json_object_get(resource, "name")), json_object_get(resource, "addresses"));
	return status;
}

static int ask_all(const struct admin_options *options, json_t *by_name)
{
	int status = ADMIN_DONE;
	for (unsigned i = 0; status == ADMIN_DONE && i < options->users.count; i++)
		status = ask_resources(options, "user", options->users.list[i], by_name);
	for (unsigned i = 0; status == ADMIN_DONE && i < options->groups.count; i++)
		status = ask_resources(options, "group", options->groups.list[i], by_name);
	if (status == ADMIN_DONE && !options->users.count && !options->groups.count)
		status = ask_resources(options, NULL, NULL, by_name);
	if (status == ADMIN_DONE && !json_object_size(by_name))
		return admin_say(ADMIN_FAILED, "no rule of the policy lets any of them reach anything: there is nothing to lead through the gateway");
	return status;
}

static int add_resource(struct pac *pac, const char *name, const json_t *addresses)
{
	OWN_BUF struct buf lines = BUF_INIT(PAC_BYTES_MAX);
	size_t index;
	const json_t *address;
	int result = 0;
	json_array_foreach(addresses, index, address)
		if (result == 0)
			result = buf_add_format(&lines, "%s\n", json_string_value(address));
	return result < 0 ? result : pac_add(pac, view_string(name), buf_view(&lines));
}

static int make_inline(const struct admin_options *options, const struct place *place, struct buf *out_url)
{
	OWN_JSON json_t *by_name = json_object();
	OWN_PAC struct pac pac;
	OWN_BUF struct buf script = BUF_INIT(PAC_BYTES_MAX);
	const char *name;
	json_t *addresses;
	const struct pac_proxy proxy = {.is_tls = true, .host = place->host, .port = place->port};
	pac_init(&pac);
	int status = ask_all(options, by_name);
	if (status != ADMIN_DONE)
		return status;
	int result = buf_add_string(&script, "// By: sallyport-admin browser policy. Again after a change of the policy's resources.\n");
	json_object_foreach(by_name, name, addresses)
		if (result == 0)
			result = add_resource(&pac, name, addresses);
	if (result == 0)
		result = pac_write(&pac, &proxy, &script);
	if (result == 0)
		result = browser_policy_inline(buf_view(&script), out_url);
	if (result == ERR_BAD_INPUT)
		return admin_say(ADMIN_USAGE, "\"%s\" is no host that a script can name", place->host);
	return result < 0 ? admin_say(ADMIN_FAILED, "the policy names more than a browser's script can hold: choose by --user or --group") : ADMIN_DONE;
}

static int make_pac(const struct admin_options *options, const struct place *place, struct buf *out_url)
{
	/* Chromium cannot have it from the gateway. */
	const char *way = options->pac ? options->pac : options->chromium ? "inline" : "url";
	if (strcmp(way, "inline") == 0)
		return make_inline(options, place, out_url);
	if (options->users.count || options->groups.count)
		return admin_say(ADMIN_USAGE, "--user and --group choose what is in the script: they belong to --pac inline");
	if (strcmp(way, "none") == 0)
		return ADMIN_DONE;
	if (strcmp(way, "url") != 0)
		return admin_say(ADMIN_USAGE, "--pac takes inline, url or none, not \"%s\"", way);
	return buf_add_format(out_url, "%s/proxy.pac%c", place->origin, 0) < 0 ? admin_say(ADMIN_FAILED, "no memory") : ADMIN_DONE;
}

/* ---- the command ---- */

static void tell(const struct admin_options *options, const struct authority_files *files, const struct browser_policy *policy)
{
	if (options->firefox && policy->authority)
		fprintf(stderr, "Copy %s to every laptop, as %s\n", files->server_authority, policy->authority_file);
	if (options->chromium && options->pac && strcmp(options->pac, "url") == 0)
		fputs("Chromium asks for that script without a certificate, and will not get it before the portal was visited: see docs/browsers.md\n",
		      stderr);
}

static int print(const struct admin_options *options, const struct authority_files *files, const struct place *place)
{
	OWN_JSON json_t *issuers = json_array();
	OWN_BUF struct buf authority = BUF_INIT(2 * X509_INPUT_MAX);
	OWN_BUF struct buf pac = BUF_INIT(URL_MAX);
	int status = list_issuers(files, issuers);
	if (status == ADMIN_DONE)
		status = read_authority(files, &authority);
	if (status == ADMIN_DONE)
		status = make_pac(options, place, &pac);
	if (status != ADMIN_DONE)
		return status;
	const struct browser_policy policy = {
		.origin = place->origin, .issuers = issuers, .authority = (const char *)authority.data,
		.authority_file = options->authority_file ? options->authority_file : AUTHORITY_FILE, .pac = (const char *)pac.data,
		.bookmark = options->bookmark, .is_home = options->home};
	OWN_JSON json_t *json = options->chromium ? browser_policy_chromium(&policy) : browser_policy_firefox(&policy);
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF)
		return admin_say(ADMIN_FAILED, "cannot write the output");
	tell(options, files, &policy);
	return ADMIN_DONE;
}

int cmd_browser_policy(const struct admin_options *options)
{
	OWN_FILES struct authority_files files = {.answer = NULL};
	struct place place;
	if (options->chromium == options->firefox)
		return admin_say(ADMIN_USAGE, "for which browser? --chromium or --firefox");
	if (options->authority_file && options->authority_file[0] != '/')
		return admin_say(ADMIN_USAGE, "--authority-file takes a whole path, not \"%s\"", options->authority_file);
	int status = authority_files(options, &files);
	if (status == ADMIN_DONE && !options->url && !*files.address)
		return admin_say(ADMIN_FAILED, "the address of the main listener cannot be told: set public_address, or give --url");
	if (status == ADMIN_DONE)
		status = take_place(options->url ? options->url : files.address, &place);
	return status == ADMIN_DONE ? print(options, &files, &place) : status;
}
