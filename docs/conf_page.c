/* conf_page.c: prints sallyport-gateway.conf(5) in scdoc's language: a frame, and the table of keys.
 *
 * Run by the build only. The keys come from conf.h, so that page, parser and defaults cannot disagree.
 */
#include <inttypes.h>
#include <stdio.h>

#include "sallyport/conf.h"

static const char head[] =
	"sallyport-gateway.conf(5)\n\n"
	"# NAME\n\n"
	"sallyport-gateway.conf - configuration of the Sallyport gateway\n\n"
	"# DESCRIPTION\n\n"
	"The file _/etc/sallyport/gateway.conf_ holds one *key = value* on a line; *#* begins a comment. Text stands in\n"
	"quotes. A list stands in braces: *{\"one\", \"two\"}*. Durations carry a unit (ms, s, m, h, d), sizes as well\n"
	"(B, KiB, MiB, GiB). An unknown key, a wrong unit or a value out of its bounds is refused with file and line;\n"
	"then nothing changes. *sallyport-gateway -T* prints what is in force. SIGHUP reads the file again.\n\n"
	"# KEYS\n\n";

static const char tail[] =
	"# POLICY\n\n"
	"_policy.conf_ and _policy.d/\\*.conf_ hold *resource* and *rule* sections. Nothing is allowed unless a rule\n"
	"allows it; a rule with *deny = true* wins over all.\n\n"
	"```\n"
	"resource \"wiki\" { address = {\"wiki.corp.example:443\"}  description = \"Company wiki\" }\n"
	"resource \"db\"   { address = {\"db1.corp.example:5432\", \"10.20.0.0/24:5432\"} }\n"
	"rule \"staff read the wiki\" { groups = {\"staff\"}  resources = {\"wiki\"} }\n"
	"rule \"DBAs\" { groups = {\"dba\"}  device_tags = {\"managed\"}  resources = {\"db\"} }\n"
	"```\n\n"
	"A name that resolves to a loopback, link-local, metadata, multicast or unspecified address, or to the gateway\n"
	"itself, is refused unless a resource names that literal address.\n\n"
	"# SEE ALSO\n\n"
	"*sallyport-gateway*(8), *sallyport-admin*(8), *sallyport*(1)\n";

static const char *const kinds[] = {
	[CONF_TEXT] = "text", [CONF_PATH] = "absolute path", [CONF_DURATION] = "duration", [CONF_SIZE] = "size",
	[CONF_COUNT] = "number", [CONF_FLAG] = "yes or no", [CONF_LIST] = "list", [CONF_KEY] = "absolute path or pkcs11: URL",
};

/* scdoc takes _ and * for markup. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (*text == '_' || *text == '*' || *text == '\\' || *text == '<' || *text == '#')
			putchar('\\');
		if (*text == '\n')
			putchar(' ');
		else
			putchar(*text);
	}
}

static void print_key(const struct conf_key *key)
{
	putchar('*');
	print_plain(key->name);
	printf("* (%s)\n\t", kinds[key->kind]);
	print_plain(key->documentation);
	if (*key->initial) {
		printf(" Default: ");
		print_plain(key->initial);
	}
	printf("\n\n");
}

int main(void)
{
	fputs(head, stdout);
	for (size_t i = 0; i < conf_key_count; i++)
		print_key(&conf_keys[i]);
	fputs(tail, stdout);
	return 0;
}
