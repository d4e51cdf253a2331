/* portal_assets.h: the portal's page and what belongs to it, as portal/embed.py has made them of the files in portal/. */
#ifndef SALLYPORT_WORKER_PORTAL_ASSETS_H
#define SALLYPORT_WORKER_PORTAL_ASSETS_H

#include "sallyport/buf.h"

struct portal_asset {
	const char *content_type;
	struct view bytes;
};

extern const struct portal_asset portal_page, portal_css, portal_js, portal_svg;
/* Where they are: the address holds 16 digits of the SHA-256, so what is there never changes. */
extern const char portal_css_path[], portal_js_path[], portal_svg_path[];

#endif
