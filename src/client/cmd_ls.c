/* cmd_ls.c: `sallyport ls`: what the user may reach from this device, and what is missing for the rest. */
#include <stdio.h>

#include "client.h"
#include "commands.h"
#include "reach.h"
#include "sallyport/own.h"
#include "say.h"

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

static const char *cell(const struct answer_resource *resource, const struct column *column)
{
	const char *text = *(char *const *)((const char *)resource + column->offset);
	if (column->offset == offsetof(struct answer_resource, missing) && !*text)
		return resource->allowed ? _("allowed") : _("not allowed");
	return text;
}

static void measure(const struct answer_resources *resources, size_t width[COLUMNS])
{
	for (size_t c = 0; c < COLUMNS; c++) {
		width[c] = say_cell_width(columns[c].title);
		for (size_t i = 0; i < resources->count; i++) {
			size_t needed = say_cell_width(cell(&resources->item[i], &columns[c]));
			width[c] = needed > width[c] ? needed : width[c];
		}
	}
}

static void print_line(const struct answer_resource *resource, const size_t width[COLUMNS])
{
	for (size_t c = 0; c < COLUMNS; c++) {
		const char *text = resource ? cell(resource, &columns[c]) : columns[c].title;
		bool last = c + 1 == COLUMNS;
		say_cell(stdout, text, last ? 0 : width[c]);
		fputs(last ? "\n" : "  ", stdout);
	}
}

static int print_table(struct view body, struct diag *diag)
{
	struct answer_resources resources;
	size_t width[COLUMNS];
	int status = answer_parse_resources(body, &resources, diag);
	if (status != STATUS_OK)
		return status;
	measure(&resources, width);
	if (resources.count)
		print_line(NULL, width);
	else
		puts(_("There is nothing that you may reach."));
	for (size_t i = 0; i < resources.count; i++)
		print_line(&resources.item[i], width);
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
