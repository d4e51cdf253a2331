/* browser_policy.h: what a browser of a fleet is told by its own managed policies: facts in, JSON out. Pure. */
#ifndef SALLYPORT_ADMIN_BROWSER_POLICY_H
#define SALLYPORT_ADMIN_BROWSER_POLICY_H

#include <jansson.h>
#include <stdbool.h>

#include "sallyport/buf.h"

struct browser_policy {
	const char *origin; /* of the gateway: "https://gw.example.com:8443"; without the port where it is 443 */
	/* Names of the authorities whose certificates may be shown to it: an array; an empty one: whatever its name. */
	const json_t *issuers;
	/* The authority that vouches for the gateway: base64 of its DER for Chromium, its place on the laptops for Firefox; NULL:
	 * one that browsers know. */
	const char *authority, *authority_file;
	/* A URL of http, or of data: with the script in it (browser_policy_inline); NULL: nothing leads through the gateway. */
	const char *pac;
	const char *bookmark; /* of the portal, by that name; NULL: none */
	bool is_home;         /* the portal is the first page */
};

/* In one line, as JSON and URLs want it. Appends, with its NUL. ERR_LIMIT, ERR_SYSTEM. */
[[nodiscard]] int browser_policy_base64(struct view bytes, struct buf *out_text);
/* A script as a URL. Appends, with its NUL. ERR_LIMIT, ERR_SYSTEM. */
[[nodiscard]] int browser_policy_inline(struct view script, struct buf *out_url);
/* The files' contents; the caller's (json_decref). NULL without memory. */
json_t *browser_policy_chromium(const struct browser_policy *policy);
json_t *browser_policy_firefox(const struct browser_policy *policy);

#endif
