/* settings.h: which gateway, with which certificate, as whom. One table for options, environment, profile
 * and --help. To add a setting, add a row.
 *
 * Row: S(name, environment variable, kind of value, documentation). What an option says wins over the
 * environment, which wins over the profile (profile.h).
 */
#ifndef CLIENT_SETTINGS_H
#define CLIENT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#define SETTINGS(S)                                                                                     \
	S(gateway, "SALLYPORT_URL", "URL", N_("the gateway, https://HOST[:PORT]; several: the next when one is gone")) \
	S(ca, "SALLYPORT_CA", "FILE", N_("authorities that the gateway must chain to (default: the system's)")) \
	S(cert, "SALLYPORT_CERT", "FILE", N_("certificate of this device (PEM)"))                           \
	S(key, "SALLYPORT_KEY", "FILE", N_("its private key (PEM; may be in the certificate's file), or a pkcs11: URL"))                                        \
	S(user, "SALLYPORT_USER", "NAME", N_("your name at the gateway (default: your name on this device)"))

#define SETTING_ENUM(name, ...) SETTING_##name,
enum setting { SETTINGS(SETTING_ENUM) SETTING_COUNT };

struct setting_row {
	const char *name, *environment, *value, *documentation;
};
extern const struct setting_row setting_rows[SETTING_COUNT];

struct settings {
	char *value[SETTING_COUNT]; /* heap; NULL when nobody said */
	const char *profile;        /* -p, or NULL: the one of everyday */
	char host[256];             /* of the gateway in use (the first one), without brackets */
	uint16_t port;
};

/* Sets a value unless it has one already. An empty text counts as absent. STATUS_FAILED without memory. */
[[nodiscard]] int settings_offer(struct settings *settings, enum setting setting, const char *text, struct diag *diag);
/* -p: letters, digits, dot, dash and underscore. STATUS_USAGE otherwise. The text must stay. */
[[nodiscard]] int settings_name_profile(struct settings *settings, const char *name, struct diag *diag);
/* Takes what the environment and the profile file say, for all that is still open. A profile that was named comes
 * before the environment. */
[[nodiscard]] int settings_complete(struct settings *settings, struct diag *diag);
/* Checks that all is there that a connection needs, and fills host and port. */
[[nodiscard]] int settings_check(struct settings *settings, struct diag *diag);
/* How many gateways the setting names (separated by spaces or commas), and one of them into host and port. */
size_t settings_gateway_count(const struct settings *settings);
void settings_gateway_url(const struct settings *settings, size_t place, char *out_url, size_t capacity);
[[nodiscard]] int settings_use_gateway(struct settings *settings, size_t place, struct diag *diag);
void settings_fini(struct settings *settings);

/* "https://HOST[:PORT][/]"; STATUS_USAGE with a sentence for anything else. Pure. */
[[nodiscard]] int settings_parse_url(const char *url, char *out_host, size_t capacity, uint16_t *out_port,
				     struct diag *diag);
/* "HOST:PORT" of the gateway, with brackets around an IPv6 address. */
void settings_authority(const struct settings *settings, char *out_text, size_t capacity);
/* Your name at the gateway: the setting, else the name of the local account. STATUS_USAGE without one. */
[[nodiscard]] int settings_user(const struct settings *settings, const char *named, char *out_user, size_t capacity,
				struct diag *diag);

#endif
