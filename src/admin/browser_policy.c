/* browser_policy.c: managed policies of Chromium and Firefox, in their own words; docs/browsers.md says what was measured.
 *
 * Chromium's loader of scripts shows no certificate, so that a script of the gateway's own listener does not reach it; Firefox
 * asks again until it has one, but by itself not often.
 */
#include "browser_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/x509.h"

/* How long Firefox waits at most until it asks again for a script that it could not have. Each time is a row of the record. */
enum { RETRY_SECONDS = 30 };

int browser_policy_base64(struct view bytes, struct buf *out_text)
{
	OWN_BUF struct buf lines = BUF_INIT(2 * bytes.size + 1024);
	int result = x509_to_base64(bytes, &lines);
	for (size_t begin = 0; result == 0 && begin < lines.size;) {
		const uint8_t *end = memchr(lines.data + begin, '\n', lines.size - begin);
		size_t length = (end ? (size_t)(end - lines.data) : lines.size) - begin;
		result = buf_add(out_text, view_of(lines.data + begin, length));
		begin += length + 1;
	}
	return result < 0 ? result : buf_add(out_text, view_of("", 1));
}

int browser_policy_inline(struct view script, struct buf *out_url)
{
	int result = buf_add_string(out_url, "data:application/x-ns-proxy-autoconfig;base64,");
	return result < 0 ? result : browser_policy_base64(script, out_url);
}

/* Both browsers know the same form. */
static json_t *bookmarks(const struct browser_policy *policy)
{
	return json_pack("[{s:s}, {s:s, s:s+}]", "toplevel_name", policy->bookmark, "name", policy->bookmark, "url", policy->origin, "/");
}

static json_t *page(const struct browser_policy *policy)
{
	return json_sprintf("%s/", policy->origin);
}

/* ---- Chromium ---- */

/* Each item is text, and the text JSON. Several of one pattern: one of them must fit. */
static json_t *selections(const struct browser_policy *policy)
{
	size_t index;
	const json_t *issuer;
	json_t *array = json_array();
	json_array_foreach(policy->issuers, index, issuer) {
		bool is_named = *json_string_value(issuer);
		json_t *item = is_named ? json_pack("{s:s, s:{s:{s:O}}}", "pattern", policy->origin, "filter", "ISSUER", "CN", issuer)
					: json_pack("{s:s, s:{}}", "pattern", policy->origin, "filter");
		OWN_MEMORY char *text = item ? json_dumps(item, JSON_COMPACT) : NULL;
		json_array_append_new(array, json_string(text));
		json_decref(item);
	}
	return array;
}

json_t *browser_policy_chromium(const struct browser_policy *policy)
{
	json_t *json = json_pack("{s:o}", "AutoSelectCertificateForUrls", selections(policy));
	if (policy->authority)
		json_object_set_new(json, "CACertificates", json_pack("[s]", policy->authority));
	if (policy->pac)
		json_object_set_new(json, "ProxySettings", json_pack("{s:s, s:s}", "ProxyMode", "pac_script", "ProxyPacUrl", policy->pac));
	if (policy->bookmark)
		json_object_set_new(json, "ManagedBookmarks", bookmarks(policy));
	if (policy->is_home) {
		json_object_set_new(json, "HomepageLocation", page(policy));
		json_object_set_new(json, "HomepageIsNewTabPage", json_false());
		json_object_set_new(json, "RestoreOnStartup", json_integer(4)); /* the pages of the list */
		json_object_set_new(json, "RestoreOnStartupURLs", json_pack("[o]", page(policy)));
	}
	return json;
}

/* ---- Firefox ---- */

static json_t *preferences(const struct browser_policy *policy)
{
	json_t *json = json_pack("{s:{s:s, s:s}}", "security.default_personal_cert", "Value", "Select Automatically", "Status", "locked");
	if (policy->pac)
		json_object_set_new(json, "network.proxy.autoconfig_retry_interval_max",
				    json_pack("{s:i, s:s, s:s}", "Value", RETRY_SECONDS, "Type", "number", "Status", "locked"));
	return json;
}

json_t *browser_policy_firefox(const struct browser_policy *policy)
{
	json_t *json = json_pack("{s:o}", "Preferences", preferences(policy));
	if (policy->authority)
		json_object_set_new(json, "Certificates", json_pack("{s:[s]}", "Install", policy->authority_file));
	if (policy->pac)
		json_object_set_new(json, "Proxy", json_pack("{s:s, s:s, s:b}", "Mode", "autoConfig", "AutoConfigURL", policy->pac, "Locked", 1));
	if (policy->bookmark)
		json_object_set_new(json, "ManagedBookmarks", bookmarks(policy));
	if (policy->is_home)
		json_object_set_new(json, "Homepage", json_pack("{s:o, s:s}", "URL", page(policy), "StartPage", "homepage"));
	return json_pack("{s:o}", "policies", json);
}
