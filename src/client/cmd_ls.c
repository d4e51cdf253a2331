/* cmd_ls.c: `sallyport ls`: what the user may reach from this device, and what is missing for the rest. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "reach.h"
#include "sallyport/own.h"
#include "say.h"
#include "table.h"

/* To add a column, add a row. */
static const struct column {
	const char *title;
	size_t offset; /* of the text in struct answer_resource */
} columns[] = {
	{"NAME", offsetof(struct answer_resource, name)},
	{"ADDRESSES", offsetof(struct answer_resource, addresses)},
	{"ACCESS", offsetof(struct answer_resource, missing)},
	{"DESCRIPTION", offsetof(struct answer_resource, description)},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static const char *cell(const void *rows, size_t row, size_t column)
{
	const struct answer_resource *resource = &((const struct answer_resources *)rows)->item[row];
	const char *text = *(char *const *)((const char *)resource + columns[column].offset);
	if (columns[column].offset == offsetof(struct answer_resource, missing) && !*text)
		return resource->allowed ? _("allowed") : _("not allowed");
	return text;
}

static const char *title(size_t column)
{
	return columns[column].title;
}

static int print_table(struct view body, struct diag *diag)
{
	struct answer_resources resources;
	int status = answer_parse_resources(body, &resources, diag);
	if (status != STATUS_OK)
		return status;
	if (resources.count)
		table_print(&(struct table){.columns = COLUMNS, .title = title, .rows = resources.count, .cell = cell, .owner = &resources});
	else
		puts(_("There is nothing that you may reach."));
	answer_resources_fini(&resources);
	return STATUS_OK;
}

int cmd_ls(const struct options *options, struct diag *diag)
{
	OWN_BUF struct buf body = BUF_INIT(REACH_BYTES_MAX);
	int status = reach_ask_text(&options->settings, &body, diag);
	if (status == STATUS_OK)
		status = options->json ? client_print_json(buf_view(&body), diag) : print_table(buf_view(&body), diag);
	if (status == STATUS_OK && !say_finished())
		return diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
	return status;
}
