/* words.c: finds the user's language. The sentences are where they are said; their translations are in po/. */
#include "words.h"

#include <locale.h>
#include <stddef.h>

void words_prepare(void)
{
	/* The libraries whose sentences are shown as well (what errno means, what is wrong with a certificate): without LC_CTYPE
	 * they would fall back to ASCII. With it, letters would be compared by the rules of a language. */
	static const char *const others[] = {"libc", "gnutls30"};
	setlocale(LC_MESSAGES, "");
	bindtextdomain(WORDS_DOMAIN, SALLYPORT_LOCALE_DIRECTORY);
	bind_textdomain_codeset(WORDS_DOMAIN, "UTF-8");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		bind_textdomain_codeset(others[i], "UTF-8");
}
