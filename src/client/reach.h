/* reach.h: what the user may reach, for other programs: the gateway's list of resources, its addresses taken apart. */
#ifndef CLIENT_REACH_H
#define CLIENT_REACH_H

#include "answer.h"
#include "settings.h"

/* One address of a resource. Its text is the gateway's, and checked: fit for a configuration file. */
struct reach_place {
	const struct answer_resource *resource;
	/* A name or an address (IPv6 without brackets); or what leads to many: patterns with "*", separated by commas. */
	const char *host;
	bool is_pattern;
	unsigned first_port, last_port;
	/* The name of a resource with one host leads there as well (sallyport-policy.conf(5)); else NULL. */
	const char *alias;
};
/* Of ASCII letters, digits, ".", "-" and "_": nothing that a shell, a terminal or ssh reads as more than a name. */
bool reach_is_name(const char *text);
typedef int (*reach_handler)(const struct reach_place *place, void *context);

/* Asks the gateway: the answer as it came, into a buffer of REACH_BYTES_MAX. */
enum { REACH_BYTES_MAX = 8 * 1024 * 1024 };
[[nodiscard]] int reach_ask_text(const struct settings *settings, struct buf *out_body, struct diag *diag);
/* The same, parsed. Release with answer_resources_fini. */
[[nodiscard]] int reach_ask(const struct settings *settings, struct answer_resources *out_resources, struct diag *diag);
/* Calls the handler for each address that other programs can be told. Its first result that is not 0. Pure. */
[[nodiscard]] int reach_each(const struct answer_resources *resources, reach_handler handler, void *context);

#endif
