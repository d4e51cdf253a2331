/* portal.c: the portal, for whoever comes with a browser: `GET /` as a page, and its assets, from memory.
 *
 * The page is the same for everybody; whose device this is, and all else, its script asks the API. So nothing that
 * somebody has written is ever put into HTML here. The page itself is in portal/, made into C by portal/embed.py.
 */
#include "portal_assets.h"
#include "worker.h"

/* Nothing from elsewhere, nothing inline, no frame, no form that is sent without the script; text is never made markup. */
#define POLICY                                                                                                      \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "      \
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
/* What a page may ask of the browser: to copy a token or recovery codes when the user says so. */
#define PERMISSIONS                                                                                             \
	"accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), "  \
	"gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), "                          \
	"publickey-credentials-get=(), screen-wake-lock=(), usb=(), xr-spatial-tracking=(), clipboard-read=(), "               \
	"clipboard-write=(self)"

static void serve_page(struct exchange *exchange)
{
	const struct http_header headers[] = {
		HTTP_HEADER("content-type", portal_page.content_type),
		HTTP_HEADER("cache-control", "no-store"),
		HTTP_HEADER("vary", "accept"),
		HTTP_HEADER("content-security-policy", POLICY),
		HTTP_HEADER("x-frame-options", "DENY"),
		HTTP_HEADER("cross-origin-opener-policy", "same-origin"),
		HTTP_HEADER("permissions-policy", PERMISSIONS),
	};
	exchange_bytes(exchange, headers, sizeof(headers) / sizeof(headers[0]), portal_page.bytes);
}

/* For programs, and for the page's script: it does not see the cookie, and without one there is no session to ask for. */
static void serve_json(struct exchange *exchange)
{
	exchange_answer(exchange, 200, json_pack("{s:s, s:s, s:s, s:b}", "gateway", exchange->worker->conf->name, "device",
						 exchange->worker->client.device, "login", "POST /v1/login", "cookie",
						 (int)exchange->shows_cookie));
}

void portal_front(struct exchange *exchange)
{
	if (exchange->wants_page)
		serve_page(exchange);
	else
		serve_json(exchange);
}

static void serve_asset(struct exchange *exchange, const struct portal_asset *asset)
{
	const struct http_header headers[] = {
		HTTP_HEADER("content-type", asset->content_type),
		HTTP_HEADER("cache-control", "public, max-age=31536000, immutable"),
	};
	exchange_bytes(exchange, headers, sizeof(headers) / sizeof(headers[0]), asset->bytes);
}

void portal_style(struct exchange *exchange)
{
	serve_asset(exchange, &portal_css);
}

void portal_script(struct exchange *exchange)
{
	serve_asset(exchange, &portal_js);
}

void portal_icon(struct exchange *exchange)
{
	serve_asset(exchange, &portal_svg);
}
