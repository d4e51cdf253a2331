/* pac.c: GET /proxy.pac: what the session may reach, as the script that leads a browser (include/sallyport/pac.h).
 *
 * Browsers fetch it without cookie and without token, so that the broker looks for the portal's one session of this device;
 * without one the answer is a refusal, which has them ask again. The script names the gateway as the client has called it,
 * where that is a name of its certificate.
 */
#include <string.h>

#include "browser.h"
#include "sallyport/own.h"
#include "sallyport/pac.h"
#include "sallyport/str.h"
#include "sallyport/x509.h"
#include "worker.h"

enum { HTTPS_PORT = 443 };

void pac_ask(struct exchange *exchange)
{
	exchange->is_script = true;
	EXCHANGE_ASK(exchange, proxy_script, .token = view_string(exchange->token));
	wipe(exchange->token, sizeof(exchange->token));
}

/* Where the client is, it reaches the gateway by that port, whatever stands between them. */
static struct pac_proxy spell_proxy(const struct exchange *exchange, char host[BROWSER_HOST_MAX + 1])
{
	char unused[BROWSER_HOST_MAX + 1];
	struct view authority = view_string(exchange->authority);
	struct pac_proxy proxy = {.is_tls = true, .host = exchange->worker->conf->name, .port = HTTPS_PORT};
	if (str_split_authority(authority, unused, sizeof(unused), &proxy.port) < 0)
		proxy.port = HTTPS_PORT;
	if (browser_host(authority, host, BROWSER_HOST_MAX + 1) == 0 && x509_names_host(exchange->worker->certificate, host))
		proxy.host = host;
	return proxy;
}

static int add_resource(struct pac *pac, const json_t *resource)
{
	OWN_BUF struct buf lines = BUF_INIT(PAC_BYTES_MAX);
	size_t index;
	const json_t *address;
	int result = 0;
	json_array_foreach(json_object_get(resource, "addresses"), index, address)
		if (result == 0)
			result = buf_add_format(&lines, "%s\n", json_string_value(address));
	return result < 0 ? result : pac_add(pac, view_string(json_string_value(json_object_get(resource, "name"))), buf_view(&lines));
}

static int write_script(const struct exchange *exchange, const json_t *resources, struct buf *out_script)
{
	OWN_PAC struct pac pac;
	char host[BROWSER_HOST_MAX + 1];
	const struct pac_proxy proxy = spell_proxy(exchange, host);
	size_t index;
	const json_t *resource;
	pac_init(&pac);
	int result = buf_add_string(out_script, "// By the gateway: what you may reach goes through it, everything else its own way.\n");
	json_array_foreach(resources, index, resource)
		if (result == 0)
			result = add_resource(&pac, resource);
	return result < 0 ? result : pac_write(&pac, &proxy, out_script);
}

void pac_answer(struct exchange *exchange, const json_t *resources)
{
	const struct http_header headers[] = {HTTP_HEADER("content-type", "application/x-ns-proxy-autoconfig"),
					      HTTP_HEADER("cache-control", "no-store")};
	OWN_BUF struct buf script = BUF_INIT(PAC_BYTES_MAX);
	if (write_script(exchange, resources, &script) < 0)
		exchange_refuse(exchange, 503, "unavailable", "You may reach more than a browser's script can hold.");
	else
		exchange_bytes(exchange, headers, sizeof(headers) / sizeof(headers[0]), buf_view(&script));
}
