/* cmd_config.c: `sallyport ssh-config` and `sallyport pac`: what other programs must know to find their way through the
 * gateway, made from what the user may reach. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "reach.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/pac.h"
#include "say.h"

enum { TEXT_BYTES_MAX = 4 * 1024 * 1024, SSH_PORT = 22 };

static int collect(const struct options *options, reach_handler add, void *context, struct diag *diag)
{
	struct answer_resources resources;
	int status = reach_ask(&options->settings, &resources, diag);
	if (status != STATUS_OK)
		return status;
	if (reach_each(&resources, add, context) < 0)
		status = diag_set(diag, STATUS_FAILED, _("There are too many resources"));
	answer_resources_fini(&resources);
	return status;
}

static int print(const struct buf *text, struct diag *diag)
{
	fwrite(text->data, 1, text->size, stdout);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

/* ---- ssh ---- */

/* What the policy calls ssh, and what it calls nothing where ssh would be. */
static bool is_for_ssh(const struct reach_place *place)
{
	const char *kind = place->resource->kind;
	bool is_usual = place->first_port <= SSH_PORT && place->last_port >= SSH_PORT;
	return strcmp(kind, "ssh") == 0 || ((!*kind || strcmp(kind, "tcp") == 0) && is_usual);
}

struct ssh_lines {
	struct buf text;
	char profile[80]; /* "-p NAME ", or nothing */
};

static int add_ssh_lines(const struct reach_place *place, void *context)
{
	struct ssh_lines *lines = context;
	struct buf *out_text = &lines->text;
	if (!is_for_ssh(place))
		return 0;
	int result = place->is_pattern ? buf_add_format(out_text, "\nMatch host \"%s\"\n", place->host)
				       : buf_add_format(out_text, "\nHost %s%s%s\n", place->host, place->alias ? " " : "",
							place->alias ? place->alias : "");
	if (result == 0 && place->first_port == place->last_port && place->first_port != SSH_PORT)
		result = buf_add_format(out_text, "\tPort %u\n", place->first_port);
	if (result == 0)
		result = buf_add_format(out_text, "\tProxyCommand sallyport %s-W %s:%%p\n", lines->profile, strchr(place->host, ':') ? "[%h]" : "%h");
	return result;
}

static int make_ssh_config(const struct options *options, struct buf *out_text, struct diag *diag)
{
	struct ssh_lines lines = {.text = BUF_INIT(TEXT_BYTES_MAX)};
	const char *profile = options->settings.profile;
	snprintf(lines.profile, sizeof(lines.profile), profile ? "-p %s " : "%s", profile ? profile : "");
	int status = collect(options, add_ssh_lines, &lines, diag);
	if (status == STATUS_OK && !lines.text.size)
		status = diag_set(diag, STATUS_FAILED, _("There is no host that you may reach by ssh; see what there is with: sallyport ls"));
	if (status == STATUS_OK && (buf_add_string(out_text, "# By: sallyport ssh-config. Again after a change of what you may reach.\n") < 0 ||
				    buf_add(out_text, buf_view(&lines.text)) < 0))
		status = diag_set(diag, STATUS_FAILED, _("There are too many hosts"));
	buf_fini(&lines.text);
	return status;
}

#define SSH_FILE "sallyport_config"

/* Each profile has a file of its own. `Include` must stand before the first `Host`: at the very front. */
static int include_it(const char *folder, const char *name, struct diag *diag)
{
	char path[4096], line[128];
	struct stat found;
	snprintf(line, sizeof(line), "Include %s\n", name);
	OWN_BUF struct buf text = BUF_INIT(TEXT_BYTES_MAX + sizeof(line));
	snprintf(path, sizeof(path), "%s/config", folder);
	OWN_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	mode_t mode = fd >= 0 && fstat(fd, &found) == 0 ? found.st_mode & 0777 : 0600;
	if ((fd < 0 && errno != ENOENT) || buf_add_string(&text, line) < 0)
		return diag_set(diag, STATUS_FAILED, _("cannot read %s"), path);
	OWN_BUF struct buf present = BUF_INIT(TEXT_BYTES_MAX);
	if (fd >= 0 && fd_read_all(fd, &present) < 0)
		return diag_set(diag, STATUS_FAILED, _("cannot read %s"), path);
	if (memmem(present.data, present.size, line, strlen(line)))
		return STATUS_OK;
	if (buf_add(&text, buf_view(&present)) < 0)
		return diag_set(diag, STATUS_FAILED, _("%s is too long"), path);
	return fd_write_file(path, mode, 1, buf_view(&text), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

static int install(const struct buf *text, const char *profile, struct diag *diag)
{
	char folder[3072], path[4096], name[96];
	const char *home = getenv("HOME");
	if (!home || home[0] != '/')
		return diag_set(diag, STATUS_FAILED, _("HOME is not set"));
	snprintf(folder, sizeof(folder), "%s/.ssh", home);
	snprintf(name, sizeof(name), SSH_FILE "%s%s", profile ? "." : "", profile ? profile : "");
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)!mkdir(folder, 0700);
	if (fd_write_file(path, 0600, 1, buf_view(text), diag) < 0)
		return STATUS_FAILED;
	int status = include_it(folder, name, diag);
	if (status == STATUS_OK)
		printf(_("Written to %s, which %s/config includes. Again after a change of what you may reach.\n"), path, folder);
	return status;
}

int cmd_ssh_config(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(TEXT_BYTES_MAX);
	int status = make_ssh_config(options, &text, diag);
	if (status != STATUS_OK)
		return status;
	return options->install ? install(&text, options->settings.profile, diag) : print(&text, diag);
}

/* ---- browsers ---- */

static int add_resources(const struct answer_resources *resources, struct pac *pac, struct diag *diag)
{
	int result = 0;
	for (size_t i = 0; i < resources->count && result == 0; i++)
		result = pac_add(pac, view_string(resources->item[i].name), view_string(resources->item[i].addresses));
	return result < 0 ? diag_set(diag, STATUS_FAILED, _("There are too many hosts")) : STATUS_OK;
}

static int make_pac(const struct options *options, uint16_t port, struct buf *out_text, struct diag *diag)
{
	OWN_PAC struct pac pac;
	struct answer_resources resources;
	const struct pac_proxy proxy = {.host = "127.0.0.1", .port = port};
	pac_init(&pac);
	int status = reach_ask(&options->settings, &resources, diag);
	if (status != STATUS_OK)
		return status;
	status = add_resources(&resources, &pac, diag);
	answer_resources_fini(&resources);
	if (status == STATUS_OK && (buf_add_format(out_text, "// By: sallyport pac. Needs: sallyport http-proxy %u\n", port) < 0 ||
				    pac_write(&pac, &proxy, out_text) < 0))
		status = diag_set(diag, STATUS_FAILED, _("There are too many hosts"));
	return status;
}

int cmd_pac(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(PAC_BYTES_MAX);
	struct forward forward;
	int status = forward_parse_kind(FORWARD_HTTP, options->argument ? options->argument : HTTP_PROXY_PORT, &forward, diag);
	if (status == STATUS_OK)
		status = make_pac(options, forward.port, &text, diag);
	return status == STATUS_OK ? print(&text, diag) : status;
}
