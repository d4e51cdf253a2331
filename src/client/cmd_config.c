/* cmd_config.c: `sallyport ssh-config` and `sallyport pac`: what other programs must know to find their way through the
 * gateway, made from what the user may reach. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "commands.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"

enum { TEXT_BYTES_MAX = 1024 * 1024, HOST_MAX = 255 };

/* ---- what may be reached ---- */

typedef int (*pattern_handler)(const char *host, const char *port, struct buf *out_text);

/* "10.20.0.0/24" as people's programs write it: "10.20.0.*". Other widths have no such form. */
static bool widen(char *host)
{
	char *slash = strchr(host, '/');
	if (!slash)
		return true;
	unsigned octets = strcmp(slash, "/8") == 0 ? 1 : strcmp(slash, "/16") == 0 ? 2 : strcmp(slash, "/24") == 0 ? 3 : 0;
	if (!octets || strchr(host, ':'))
		return false;
	char *at = host;
	for (unsigned i = 0; i < octets && at; i++)
		at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL;
	if (at)
		memcpy(at, "*", 2);
	return at;
}

static bool is_plain(const char *host)
{
	for (const char *at = host; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr(".-_*:", *at))
			return false;
	return *host;
}

/* "host:22" of the gateway's list: foreign text that goes into a configuration. */
static int take_address(const char *address, size_t length, pattern_handler add, struct buf *out_text)
{
	char text[HOST_MAX + 64];
	if (length >= sizeof(text))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)length, address);
	char *port = strrchr(text, ':'), *host = text;
	if (!port)
		return 0;
	*port++ = 0;
	if (host[0] == '[') {
		host++;
		host[strcspn(host, "]")] = 0;
	}
	return widen(host) && is_plain(host) ? add(host, port, out_text) : 0;
}

static int add_all(const struct answer_resources *resources, pattern_handler add, struct buf *out_text)
{
	int result = 0;
	for (size_t i = 0; i < resources->count && result == 0; i++) {
		const char *at = resources->item[i].addresses;
		while (*at && result == 0) {
			size_t length = strcspn(at, ", ");
			result = take_address(at, length, add, out_text);
			at += length;
			at += strspn(at, ", ");
		}
	}
	return result;
}

static int collect(const struct options *options, pattern_handler add, struct buf *out_text, struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	OWN_BUF struct buf body = BUF_INIT(8 * 1024 * 1024);
	struct answer_resources resources;
	int status = client_init(&client, &options->settings, diag);
	if (status == STATUS_OK)
		status = client_look_for_session(&client, diag);
	if (status == STATUS_OK)
		status = client_attach(&client, diag);
	if (status == STATUS_OK)
		status = client_ask(&client, "GET", "/v1/resources", &body, NULL, diag);
	if (status == STATUS_OK)
		status = answer_parse_resources(buf_view(&body), &resources, diag);
	if (status != STATUS_OK)
		return status;
	if (add_all(&resources, add, out_text) < 0)
		status = diag_set(diag, STATUS_FAILED, "There are too many resources");
	answer_resources_fini(&resources);
	return status;
}

static int print(const struct buf *text, struct diag *diag)
{
	fwrite(text->data, 1, text->size, stdout);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, "cannot write to standard output");
}

/* ---- ssh ---- */

/* Names of other ports are web sites and databases; ssh to them would be a mistake, yet a port of its own is common. */
static int add_ssh_host(const char *host, const char *port, struct buf *out_text)
{
	static const char *const others[] = {"80", "443", "5432", "3306", "8080", "8443"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(port, others[i]) == 0)
			return 0;
	/* ssh's Match knows no port of the command line before 9.x: the host alone decides. */
	return buf_add_format(out_text, " %s", host);
}

static int make_ssh_config(const struct options *options, struct buf *out_text, struct diag *diag)
{
	OWN_BUF struct buf hosts = BUF_INIT(TEXT_BYTES_MAX);
	const char *profile = options->settings.profile;
	int status = collect(options, add_ssh_host, &hosts, diag);
	if (status != STATUS_OK)
		return status;
	if (!hosts.size)
		return diag_set(diag, STATUS_FAILED, "There is no host that you may reach by ssh; see: sallyport ls");
	int result = buf_add_format(out_text, "# By: sallyport ssh-config\nHost%.*s\n\tProxyCommand sallyport %s%s%s-W %%h:%%p\n",
				    (int)hosts.size, (const char *)hosts.data, profile ? "-p " : "", profile ? profile : "",
				    profile ? " " : "");
	return result < 0 ? diag_set(diag, STATUS_FAILED, "There are too many hosts") : STATUS_OK;
}

#define SSH_FILE "sallyport_config"

/* `Include` must stand before the first `Host`: at the very front. */
static int include_it(const char *folder, struct diag *diag)
{
	static const char line[] = "Include " SSH_FILE "\n";
	char path[4096];
	struct stat found;
	OWN_BUF struct buf text = BUF_INIT(TEXT_BYTES_MAX + sizeof(line));
	snprintf(path, sizeof(path), "%s/config", folder);
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	mode_t mode = fd >= 0 && fstat(fd, &found) == 0 ? found.st_mode & 0777 : 0600;
	if ((fd < 0 && errno != ENOENT) || buf_add_string(&text, line) < 0)
		return diag_set(diag, STATUS_FAILED, "cannot read %s", path);
	OWN_BUF struct buf present = BUF_INIT(TEXT_BYTES_MAX);
	if (fd >= 0 && fd_read_all(fd, &present) < 0)
		return diag_set(diag, STATUS_FAILED, "cannot read %s", path);
	if (memmem(present.data, present.size, line, strlen(line)))
		return STATUS_OK;
	if (buf_add(&text, buf_view(&present)) < 0)
		return diag_set(diag, STATUS_FAILED, "%s is too long", path);
	return fd_write_file(path, mode, 1, buf_view(&text), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

static int install(const struct buf *text, struct diag *diag)
{
	char folder[3072], path[4096];
	const char *home = getenv("HOME");
	if (!home || home[0] != '/')
		return diag_set(diag, STATUS_FAILED, "HOME is not set");
	snprintf(folder, sizeof(folder), "%s/.ssh", home);
	snprintf(path, sizeof(path), "%s/" SSH_FILE, folder);
	(void)!mkdir(folder, 0700);
	if (fd_write_file(path, 0600, 1, buf_view(text), diag) < 0)
		return STATUS_FAILED;
	int status = include_it(folder, diag);
	if (status == STATUS_OK)
		printf("Written to %s, which %s/config includes. Again after a change of what you may reach.\n", path, folder);
	return status;
}

int cmd_ssh_config(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(TEXT_BYTES_MAX);
	int status = make_ssh_config(options, &text, diag);
	if (status != STATUS_OK)
		return status;
	return options->install ? install(&text, diag) : print(&text, diag);
}

/* ---- browsers ---- */

static int add_pac_host(const char *host, const char *port, struct buf *out_text)
{
	(void)port;
	return buf_add_format(out_text, "%s\"%s\"", out_text->size ? ", " : "", host);
}

int cmd_pac(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf hosts = BUF_INIT(TEXT_BYTES_MAX);
	OWN_BUF struct buf text = BUF_INIT(TEXT_BYTES_MAX + 1024);
	struct forward forward;
	int status = forward_parse_kind(FORWARD_HTTP, options->argument ? options->argument : HTTP_PROXY_PORT, &forward, diag);
	if (status == STATUS_OK)
		status = collect(options, add_pac_host, &hosts, diag);
	if (status != STATUS_OK)
		return status;
	int result = buf_add_format(&text,
				    "// By: sallyport pac. Needs: sallyport http-proxy %u\n"
				    "var inside = [%.*s];\n"
				    "function FindProxyForURL(url, host) {\n"
				    "\tfor (var i = 0; i < inside.length; i++)\n"
				    "\t\tif (shExpMatch(host.toLowerCase(), inside[i]))\n"
				    "\t\t\treturn \"PROXY 127.0.0.1:%u\";\n"
				    "\treturn \"DIRECT\";\n"
				    "}\n", forward.port, (int)hosts.size, hosts.size ? (const char *)hosts.data : "", forward.port);
	return result < 0 ? diag_set(diag, STATUS_FAILED, "There are too many hosts") : print(&text, diag);
}
