/* cmd_export.c: sallyport-admin audit checkpoints, audit export: the record with what proves it, for others' eyes.
 *
 * Both read the store itself. docs/record.md has the few lines with which an outsider verifies what `export` has written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "record_read.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { KEY_BYTES_MAX = 1 << 20 };

DEFINE_OWN(json, json_t *, json_decref)
DEFINE_OWN(file, FILE *, fclose)

/* ---- checkpoints ---- */

static int print_checkpoint(void *self, const struct checkpoint *checkpoint, struct diag *diag)
{
	char line[CHECKPOINT_LINE_MAX + 1];
	if (!checkpoint_line(checkpoint, line, sizeof(line)))
		return diag_set(diag, ERR_BAD_INPUT, "the checkpoint of record %" PRIu64 " is none that a gateway has written",
				checkpoint->sequence);
	return fprintf(self, "%s\n", line) < 0 ? diag_system(diag, "cannot write") : 0;
}

int cmd_audit_checkpoints(const struct admin_options *options)
{
	OWN(own_record_store) struct record_store *store = NULL;
	struct diag diag;
	int result = record_store_open(admin_store(options), &store, &diag);
	if (result == 0)
		result = record_read_checkpoints(store, print_checkpoint, stdout, &diag);
	return result < 0 ? admin_say(ADMIN_FAILED, "%s", diag.text) : ADMIN_DONE;
}

/* ---- records ---- */

static int print_json(void *self, const struct record *record, struct diag *diag)
{
	OWN(own_json) json_t *row = json_pack("{s:I, s:I}", "sequence", (json_int_t)record->sequence, "at", (json_int_t)record->at_ms);
	for (int i = 0; i < RECORD_TEXTS; i++) {
		json_t *text = json_stringn((const char *)record->texts[i].data, record->texts[i].size);
		if (!text || json_object_set_new(row, record_text_names[i], text) < 0)
			return diag_set(diag, ERR_BAD_INPUT, "record %" PRId64 " is none that a gateway has written: see audit verify",
					record->sequence);
	}
	return json_dumpf(row, self, JSON_COMPACT) < 0 || fputc('\n', self) == EOF ? diag_system(diag, "cannot write") : 0;
}

/* RFC 4180; every text in quotes. */
static void print_csv_text(FILE *file, struct view text)
{
	putc('"', file);
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '"')
			putc('"', file);
		putc(text.data[i], file);
	}
	putc('"', file);
}

static int print_csv(void *self, const struct record *record, struct diag *diag)
{
	FILE *file = self;
	fprintf(file, "%" PRId64 ",%" PRId64, record->sequence, record->at_ms);
	for (int i = 0; i < RECORD_TEXTS; i++) {
		putc(',', file);
		print_csv_text(file, record->texts[i]);
	}
	return fputs("\r\n", file) < 0 ? diag_system(diag, "cannot write") : 0;
}

static int print_csv_head(FILE *file, struct diag *diag)
{
	fputs("sequence,at", file);
	for (int i = 0; i < RECORD_TEXTS; i++)
		fprintf(file, ",%s", record_text_names[i]);
	return fputs("\r\n", file) < 0 ? diag_system(diag, "cannot write") : 0;
}

/* ---- export ---- */

struct export {
	const char *folder;
	struct record_store *store;
	int64_t after;
	bool csv;
};

static int open_in(const struct export *export, const char *name, FILE **out_file, struct diag *diag)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", export->folder, name) >= sizeof(path))
		return diag_set(diag, ERR_BAD_INPUT, "the folder's name is too long");
	*out_file = fopen(path, "wxe");
	return *out_file ? 0 : diag_system(diag, "cannot make %s", path);
}

static int finish(FILE *file, const char *name, struct diag *diag)
{
	return fflush(file) != 0 || fsync(fileno(file)) < 0 ? diag_system(diag, "cannot write %s", name) : 0;
}

static int write_records(const struct export *export, struct diag *diag)
{
	OWN(own_file) FILE *file = NULL;
	const char *name = export->csv ? "records.csv" : "records.jsonl";
	int result = open_in(export, name, &file, diag);
	if (result == 0 && export->csv)
		result = print_csv_head(file, diag);
	if (result == 0)
		result = record_read(export->store, export->after, export->csv ? print_csv : print_json, file, diag);
	return result < 0 ? result : finish(file, name, diag);
}

static int write_checkpoints(const struct export *export, struct diag *diag)
{
	OWN(own_file) FILE *file = NULL;
	int result = open_in(export, "checkpoints.jsonl", &file, diag);
	if (result == 0)
		result = record_read_checkpoints(export->store, print_checkpoint, file, diag);
	return result < 0 ? result : finish(file, "checkpoints.jsonl", diag);
}

/* The key is only a convenience: whoever verifies takes it from where he trusts it. */
static int write_key(const struct export *export, const struct admin_options *options, struct diag *diag)
{
	const char *path = options->key ? options->key : ADMIN_AUDIT_PUBLIC_KEY;
	OWN_BUF struct buf pem = BUF_INIT(KEY_BYTES_MAX);
	char copy[4096];
	if (!options->key && access(path, F_OK) < 0)
		return 0;
	if ((size_t)snprintf(copy, sizeof(copy), "%s/audit.pub", export->folder) >= sizeof(copy))
		return diag_set(diag, ERR_BAD_INPUT, "the folder's name is too long");
	int result = fd_read_file(path, &pem, diag);
	return result < 0 ? result : fd_write_file(copy, 0644, 0, buf_view(&pem), diag);
}

int cmd_audit_export(const struct admin_options *options)
{
	OWN(own_record_store) struct record_store *store = NULL;
	struct export export = {.folder = options->words[0], .csv = options->csv};
	struct diag diag;
	uint64_t after = 0;
	if (options->after && str_to_u64(view_string(options->after), 0, INT64_MAX, &after) < 0)
		return admin_say(ADMIN_USAGE, "--after takes the number of a record, not \"%s\"", options->after);
	export.after = (int64_t)after;
	int result = record_store_open(admin_store(options), &store, &diag);
	if (result == 0 && mkdir(export.folder, 0700) < 0)
		result = errno == EEXIST ? diag_set(&diag, ERR_DENIED, "%s exists already; export never overwrites", export.folder)
					 : diag_system(&diag, "cannot make %s", export.folder);
	export.store = store;
	if (result == 0)
		result = write_records(&export, &diag);
	if (result == 0)
		result = write_checkpoints(&export, &diag);
	if (result == 0)
		result = write_key(&export, options, &diag);
	return result < 0 ? admin_say(ADMIN_FAILED, "%s", diag.text) : ADMIN_DONE;
}
