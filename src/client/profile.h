/* profile.h: the profile file: `key = value` lines, the last place where settings are looked up.
 *
 *   # ~/.config/sallyport/profile (or $XDG_CONFIG_HOME/sallyport/profile)
 *   gateway = https://gw.corp.example
 *   cert    = ~/.config/sallyport/laptop.crt
 *
 * Keys are the names of settings.h. Values may stand in double quotes. Paths are absolute or begin with
 * "~/". A key twice, an unknown key or a line of another form is an error: file and line are named.
 */
#ifndef CLIENT_PROFILE_H
#define CLIENT_PROFILE_H

#include "sallyport/buf.h"
#include "settings.h"

/* Where the profile is, or the one of that name (profiles/NAME); false when neither XDG_CONFIG_HOME nor HOME says. */
bool profile_path(const char *name, char *out_path, size_t capacity);
/* Reads the profile file, if there is one, and offers its values. A file that others could have written
 * is refused, as ssh does with its own: it names the authority to trust. */
[[nodiscard]] int profile_load(struct settings *settings, struct diag *diag);
/* The same from text; `path` is for the sentences, `home` replaces "~". */
[[nodiscard]] int profile_parse(struct view text, const char *path, const char *home, struct settings *settings,
				struct diag *diag);

/* One line of `key = value` text, for the files that this program keeps. */
enum profile_line { PROFILE_NOTHING, PROFILE_PAIR, PROFILE_BAD };
/* Takes the next line off `rest`; PROFILE_NOTHING for an empty line or a comment. */
enum profile_line profile_next(struct view *rest, struct view *out_key, struct view *out_value);

#endif
