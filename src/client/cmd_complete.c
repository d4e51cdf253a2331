/* cmd_complete.c: `sallyport complete WHAT`: the words that the shells' completions offer (packaging/completions).
 *
 * Somebody waits with a finger on the key: an agent that runs is asked and none is started, nobody is asked anything, and
 * after a second it ends with what it has. What goes wrong is no word at all.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "profile.h"
#include "reach.h"
#include "sallyport/own.h"

enum { LIMIT_S = 1, ANSWER_BYTES_MAX = 8 * 1024 * 1024 };

static void on_limit(int number)
{
	(void)number;
	_exit(STATUS_OK);
}

static int print_host(const struct reach_place *place, void *context)
{
	(void)context;
	if (place->is_pattern || place->first_port != place->last_port)
		return 0;
	printf(strchr(place->host, ':') ? "[%s]:%u\n" : "%s:%u\n", place->host, place->first_port);
	if (place->alias)
		printf("%s:%u\n", place->alias, place->first_port);
	return 0;
}

static void print_hosts(const struct answer_resources *resources)
{
	(void)!reach_each(resources, print_host, NULL);
}

static void print_names(const struct answer_resources *resources)
{
	for (size_t i = 0; i < resources->count; i++)
		if (reach_is_name(resources->item[i].name))
			puts(resources->item[i].name);
}

static int ask(const struct settings *settings, void (*print)(const struct answer_resources *resources), struct diag *diag)
{
	OWN_CLIENT struct client client = {.agent.socket = -1};
	OWN_BUF struct buf body = BUF_INIT(ANSWER_BYTES_MAX);
	struct answer_resources resources;
	int status = client_init(&client, settings, diag);
	if (status == STATUS_OK)
		status = agent_call_open(&client.agent, settings, AGENT_CALL_GLANCE, diag);
	if (status != STATUS_OK || client.agent.socket < 0)
		return status;
	status = client_ask(&client, "GET", "/v1/resources", &body, NULL, diag);
	if (status == STATUS_OK)
		status = answer_parse_resources(buf_view(&body), &resources, diag);
	if (status != STATUS_OK)
		return status;
	print(&resources);
	answer_resources_fini(&resources);
	return STATUS_OK;
}

static int hosts(const struct settings *settings, struct diag *diag)
{
	return ask(settings, print_hosts, diag);
}

static int names(const struct settings *settings, struct diag *diag)
{
	return ask(settings, print_names, diag);
}

static int forwards(const struct settings *settings, struct diag *diag)
{
	struct agent_call call;
	struct answer_forwards kept;
	OWN_BUF struct buf report = BUF_INIT(ANSWER_BYTES_MAX);
	int status = agent_call_open(&call, settings, AGENT_CALL_GLANCE, diag);
	if (status == STATUS_OK && call.socket >= 0)
		status = agent_call_report(&call, &report, diag);
	if (status == STATUS_OK && report.size && answer_parse_forwards(buf_view(&report), &kept, diag) == STATUS_OK) {
		for (size_t i = 0; i < kept.count; i++) {
			const char *port = strrchr(kept.item[i].listen, ':');
			if (kept.item[i].kept && port)
				puts(port + 1);
		}
		answer_forwards_fini(&kept);
	}
	agent_call_close(&call);
	return status;
}

static int profiles(const struct settings *settings, struct diag *diag)
{
	(void)settings, (void)diag;
	char path[4096];
	DIR *folder = profile_path("", path, sizeof(path)) ? opendir(path) : NULL;
	for (const struct dirent *file; folder && (file = readdir(folder));)
		if (file->d_name[0] != '.')
			puts(file->d_name);
	if (folder)
		closedir(folder);
	return STATUS_OK;
}

static const struct {
	const char *name;
	bool needs_gateway;
	int (*print)(const struct settings *settings, struct diag *diag);
} words[] = {{"hosts", true, hosts}, {"resources", true, names}, {"forwards", true, forwards}, {"profiles", false, profiles}};

int cmd_complete(const struct options *options, struct diag *diag)
{
	struct settings settings = {.profile = options->settings.profile};
	int status = STATUS_OK;
	signal(SIGALRM, on_limit);
	alarm(LIMIT_S);
	for (size_t i = 0; i < SETTING_COUNT && status == STATUS_OK; i++)
		status = settings_offer(&settings, i, options->settings.value[i], diag);
	for (size_t i = 0; options->argument && i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(options->argument, words[i].name) != 0)
			continue;
		if (status == STATUS_OK && words[i].needs_gateway)
			status = settings_complete(&settings, diag);
		if (status == STATUS_OK && words[i].needs_gateway)
			status = settings_check(&settings, diag);
		if (status == STATUS_OK)
			status = words[i].print(&settings, diag);
	}
	settings_fini(&settings);
	return status;
}
