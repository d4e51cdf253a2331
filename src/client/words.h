/* words.h: the user's language. A sentence for people is written in English where it is needed, inside _(); N_() marks one
 * that stands in a table and is translated where it is used, P_() one that depends on a number. The translations are in po/
 * (docs/developers-handbook.md, "A sentence for users").
 *
 * Not marked: what programs read (JSON, words of the wire, names of columns and rows), files that are written, what -v tells.
 * Without a translation the English sentence is used.
 */
#ifndef CLIENT_WORDS_H
#define CLIENT_WORDS_H

#include <libintl.h>

#define WORDS_DOMAIN "sallyport"

/* Straight to the library, so that the compiler goes on checking the formats. Never of "", which is the catalogue's head. */
#define _(text) dgettext(WORDS_DOMAIN, text)
#define N_(text) text
#define P_(one, many, count) dngettext(WORDS_DOMAIN, one, many, count)

/* Before the first sentence: the language of the environment (LANGUAGE, LC_ALL, LC_MESSAGES, LANG). Numbers, letters and
 * times stay as programs expect them. */
void words_prepare(void);

#endif
