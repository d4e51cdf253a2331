/* conf_page.c: prints sallyport-gateway.conf(5) in scdoc's language: a frame, and the table of keys.
 *
 * Run by the build only. The keys come from conf.h, so that page, parser and defaults cannot disagree.
 */
#include <inttypes.h>
#include <stdio.h>

#include "sallyport/alert.h"
#include "sallyport/conf.h"
#include "sallyport/issuer.h"

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

static const char alerts[] =
	"# ALERTS\n\n"
	"An *alert* section says which events are told to whom. What is told waits in the store, in the same commit as its row of\n"
	"the audit record, until the other side has taken it: nothing is lost while it is away, and nothing waits for it. What\n"
	"cannot be delivered is tried again, from 10 s to 15 min later, in order; one that is refused for what it says is set aside\n"
	"(*sallyport-admin alert spool*). From the eleventh on, waiting events of one kind about the same device and user are counted\n"
	"with the tenth. A message may come twice when the gateway is killed in between; its number tells.\n\n"
	"```\n"
	"alert \"admins\" {\n"
	"  events = {\"all\"}\n"
	"  to = \"mailto:security@corp.example\"\n"
	"  server = \"smtp://mail.corp.example:587\"  from = \"sallyport@corp.example\"\n"
	"  user = \"sallyport\"  secret_file = \"/etc/sallyport/mail.secret\"\n"
	"  at_most = \"12/1h\"  quiet_hours = \"22:00-06:00\"\n"
	"}\n"
	"alert \"pager\" { events = {\"copied-key\", \"break-glass\"}  to = \"https://events.pagerduty.com/v2/enqueue\"\n"
	"  shape = \"pagerduty\"  secret_file = \"/etc/sallyport/pager.secret\" }\n"
	"alert \"log\" { events = {\"all\", \"checkpoint\"}  to = \"syslog+tcp://log.corp.example:601\" }\n"
	"```\n\n";

static const char after_fields[] =
	"A generic webhook is a POST of JSON: _gateway_, _alert_, _text_, _more_ (how many others wait) and _events_, each with\n"
	"_id_, _event_, _time_, _sequence_ (of its row of the record), _code_, _device_, _user_, _address_, _detail_. With a\n"
	"*secret\\_file* it carries _X-Sallyport-Timestamp_ and _X-Sallyport-Signature: sha256=HEX_, the HMAC-SHA-256 of the\n"
	"timestamp, a full stop and the body; check it, and refuse an old timestamp. Any status from 200 to 299 is a receipt; 400,\n"
	"413 and 422 refuse this message, everything else is tried again. Redirects are not followed.\n\n"
	"Mail without *tls = \"never\"* goes out by TLS only, to a server whose certificate is good. Syslog is RFC 5424, over TCP with\n"
	"octet counting (RFC 6587), without TLS: send it to a log server of this network, or to the local one.\n\n"
	"Without *at\\_most* mail goes out 12 times and a webhook 60 times an hour at most, and syslog always.\n\n"
	"## EVENTS\n\n";

static const char authorities[] =
	"# AUTHORITIES\n\n"
	"An *authority* section is about another authority that is among those in *device\\_authority* (*sallyport-admin ca trust*)\n"
	"and whose devices were adopted: what it has revoked is refused here too, with *certificate\\_revoked*, and a new list that\n"
	"names a device ends its sessions and tunnels at once.\n\n"
	"```\n"
	"authority \"corp\" {\n"
	"  certificate = \"/etc/sallyport/corp-ca.crt\"\n"
	"  crl = \"http://pki.corp.example/devices.crl\"  crl_every = \"1h\"  crl_grace = \"1d\"\n"
	"}\n"
	"```\n\n"
	"A list says when the next one is due. When that time has passed and no newer list could be read, the event *crl-stale* is\n"
	"raised, once; *crl\\_grace* later all devices of that authority are refused with *crl\\_stale*, and their connections end, until\n"
	"there is a good list again. The same holds before the first list was read. The last good list is kept in the store. A list\n"
	"with a lower number, or an earlier date, than the last one is not taken, nor one with critical extensions: a part of a list,\n"
	"or one of several authorities. What an entry is on the list for does not matter; who is no longer on it is let in again.\n"
	"*sallyport-admin reload* reads all lists anew; *ca show* and *status* tell how they stand.\n\n"
	"With *ocsp* the responder that a certificate names is asked as well, or instead of a list: when its device has proven its\n"
	"key, and again while it is connected. An answer counts until the time that it says, one hour at most and two seconds at\n"
	"least; _revoked_ and _unknown_ mean no. While the responder does not answer, the last good answer counts for *ocsp\\_grace*\n"
	"longer, then the device is refused with *ocsp\\_unavailable*; who was never asked about is refused at once, and answers are\n"
	"not kept over a restart. Where the responder's silence begins, *crl-stale* is raised, once.\n\n"
	"A device whose authority was not known when it was adopted (an intermediate one, which is not in\n"
	"*device\\_authority*) counts as one of every authority with a list; no responder is asked about it.\n\n";

static const char tail[] =
	"# REALMS\n\n"
	"A *realm* section gives a PAM stack to some of the users. A login belongs to the first realm, in the order of the\n"
	"file, whose conditions hold; where none does, to the realm _default_, whose stack is *pam\\_service*.\n\n"
	"```\n"
	"realm \"staff\" { pam_service = \"sallyport-staff\"  groups = {\"staff\"} }\n"
	"realm \"kiosk\" { pam_service = \"sallyport-kiosk\"  device_tags = {\"kiosk\"} }\n"
	"realm \"glass\" { pam_service = \"sallyport-glass\"  break_glass = true }\n"
	"```\n\n"
	"*pam\\_service*\n\tThe stack: a file in /etc/pam.d (or *pam\\_directory*). Must be there.\n\n"
	"*groups*\n\tThe user must be a member of one of them, by the name services.\n\n"
	"*device\\_tags*\n\tThe device must have one of them.\n\n"
	"*on\\_request*\n\tOnly for whoever asks for it: *sallyport login --realm* _NAME_. A realm without this is never\n"
	"\tentered by asking when another one is the right one.\n\n"
	"*break\\_glass*\n\tFor emergencies: only on request; every login, and every refused one that was answered, is an\n"
	"\talarm in the record and in the log, and *sallyport-admin status* counts its sessions.\n\n"
	"*browser*\n\tLet browsers in by sessions of this realm that the portal has opened. A browser sends a proxy no token; with\n"
	"\tthis its CONNECT (or a page by http) counts for the session that the portal has opened on the same device, the newest\n"
	"\tone, if all that it has opened there are one person's. So whoever uses that device while the session lives, in any\n"
	"\tprogram that can use its certificate, is that person: lock the screen, keep the *lease* short, and leave it away for\n"
	"\tdevices that people share. Without it, and where several people are logged in, the browser asks for the user name and\n"
	"\tthe browser token that the portal shows. For the realm _default_ it is the key *browser* above.\n\n"
	"The conditions are judged again for the user whom PAM names at the end. Rules of the policy can ask for a session's\n"
	"realm (*realms*, sallyport-policy.conf(5)); a rule that does not takes sessions of every realm, so a stack that asks for\n"
	"less opens all of those too. With realms that are chosen by *groups* the questions may tell a stranger on\n"
	"an enrolled device in which group a user is: choose by *device\\_tags* where that matters.\n\n"
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
	[CONF_REALMS] = "sections", [CONF_ALERTS] = "sections", [CONF_ISSUERS] = "sections",
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
	fputs(alerts, stdout);
	for (size_t i = 0; i < alert_field_count; i++) {
		printf("*");
		print_plain(alert_fields[i].name);
		printf("*\n\t");
		print_plain(alert_fields[i].documentation);
		printf("\n\n");
	}
	fputs(after_fields, stdout);
	for (int i = 0; i < ALERT_EVENT_COUNT; i++) {
		printf("*%s*\n\t%s", alert_events[i].name, alert_events[i].urgent ? "Urgent: " : "");
		print_plain(alert_events[i].meaning);
		printf(".\n\n");
	}
	fputs(authorities, stdout);
	for (size_t i = 0; i < issuer_field_count; i++) {
		printf("*");
		print_plain(issuer_fields[i].name);
		printf("*\n\t");
		print_plain(issuer_fields[i].documentation);
		printf("\n\n");
	}
	fputs(tail, stdout);
	return 0;
}
