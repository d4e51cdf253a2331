/* policy_record.c: writes down each policy that comes into force: a version, its text once, and a record that names both. */
#include "policy_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { BYTES_MAX = 32 << 20, AGAIN_MS = 2000 };

/* ---- texts ---- */

void policy_texts_free(struct policy_texts *texts)
{
	for (size_t i = 0; texts && i < texts->count; i++) {
		free((char *)(uintptr_t)texts->list[i].name);
		free((char *)(uintptr_t)texts->list[i].text);
	}
	if (texts)
		free(texts->list);
	free(texts);
}
DEFINE_OWN(texts, struct policy_texts *, policy_texts_free)

int policy_texts_add(struct policy_texts *texts, const char *name, const char *text)
{
	struct policy_file *grown = reallocarray(texts->list, texts->count + 1, sizeof(*grown));
	if (!grown)
		return ERR_SYSTEM;
	texts->list = grown;
	struct policy_file *file = &grown[texts->count++];
	*file = (struct policy_file){.name = strdup(name), .text = strdup(text)};
	return file->name && file->text ? 0 : ERR_SYSTEM;
}

int policy_texts_print(const struct policy_texts *texts, char out_print[2 * HASH_BYTES + 1])
{
	OWN_BUF struct buf all = BUF_INIT(BYTES_MAX);
	int result = 0;
	for (size_t i = 0; result == 0 && i < texts->count; i++) {
		result = buf_add_format(&all, "%zu:", strlen(texts->list[i].text));
		if (result == 0)
			result = buf_add_string(&all, texts->list[i].text);
	}
	if (result == 0)
		hash_sha256_hex(buf_view(&all), out_print);
	return result < 0 ? ERR_SYSTEM : 0;
}

static int take_file(const struct room_descriptor *found, struct policy_texts *texts, struct diag *diag)
{
	OWN_BUF struct buf text = BUF_INIT(BYTES_MAX);
	int result = fd_read_all(found->fd, &text);
	if (result == 0)
		result = buf_add(&text, view_of("", 1));
	if (result < 0)
		return diag_set(diag, result, "the policy file %s cannot be read (%s)", found->name, err_name(result));
	return policy_texts_add(texts, found->name, (const char *)text.data) < 0 ? diag_system(diag, "memory") : 0;
}

int policy_texts_take(struct room *room, struct policy_texts **out_texts, struct diag *diag)
{
	OWN(own_texts) struct policy_texts *texts = calloc(1, sizeof(*texts));
	const struct room_descriptor *found;
	size_t position = 0;
	int result = texts ? 0 : diag_system(diag, "memory");
	while (result == 0 && (found = room_descriptor(room, MONITOR_ROOM_PURPOSE_POLICY, &position)))
		result = take_file(found, texts, diag);
	if (result == 0 && policy_texts_print(texts, texts->print) < 0)
		result = diag_system(diag, "memory");
	if (result == 0)
		*out_texts = take_pointer(&texts);
	return result;
}

/* ---- the store ---- */

struct policy_writing {
	struct store_operation operation;
	struct broker *broker;
	struct policy_texts *texts;
	uint64_t since_ms; /* that it is in force */
	bool on_its_way, complained;
	uint64_t again_at_ms; /* monotonic */
};

struct version {
	uint64_t number; /* 0: there is none */
	char print[2 * HASH_BYTES + 1];
};

static int take_version(void *self, const struct store_row *row, struct diag *diag)
{
	struct version *version = self;
	(void)diag;
	version->number = (uint64_t)store_row_number(row, 0);
	str_copy(version->print, sizeof(version->print), store_row_text(row, 1));
	return 0;
}

static int take_number(void *self, const struct store_row *row, struct diag *diag)
{
	(void)diag;
	*(int64_t *)self = store_row_number(row, 0);
	return 0;
}

static int keep_files(struct store_db *db, const struct policy_texts *texts, struct diag *diag)
{
	int64_t kept = 0;
	int result = STORE_QUERY(db, diag, policy_file_count, take_number, &kept, TEXT(texts->print));
	for (size_t i = 0; result == 0 && kept == 0 && i < texts->count; i++)
		result = STORE_RUN(db, diag, policy_file_insert, TEXT(texts->print), NUMBER(i), TEXT(texts->list[i].name),
				   TEXT(texts->list[i].text));
	return result;
}

static int name_it(struct store_db *db, const struct version *version, struct diag *diag)
{
	struct audit_entry entry = {.code = ""};
	audit_fill(&entry, "policy_in_force", "version %" PRIu64 ", SHA-256 %s", version->number, version->print);
	return audit_append(db, &entry, diag);
}

static int write_down(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct policy_writing *writing = operation->context;
	const struct policy_texts *texts = writing->texts;
	struct version version = {.number = 0};
	int result = STORE_QUERY_ALL(db, diag, policy_version_last, take_version, &version);
	if (result < 0 || strcmp(version.print, texts->print) == 0)
		return result;
	version.number++;
	str_copy(version.print, sizeof(version.print), texts->print);
	result = keep_files(db, texts, diag);
	if (result == 0)
		result = STORE_RUN(db, diag, policy_version_insert, NUMBER(version.number), NUMBER(writing->since_ms), TEXT(version.print),
				   NUMBER(clock_wall_ms()));
	return result < 0 ? result : name_it(db, &version, diag);
}

int policy_record_age(struct store_db *db, uint64_t before_ms, struct diag *diag)
{
	struct version version = {.number = 0};
	int result = STORE_RUN(db, diag, policy_version_old, NUMBER(before_ms));
	if (result == 0)
		result = STORE_RUN(db, diag, policy_file_old);
	if (result == 0)
		result = STORE_QUERY(db, diag, policy_version_unnamed, take_version, &version, NUMBER(before_ms));
	if (result == 0 && version.number)
		result = STORE_RUN(db, diag, policy_version_named, NUMBER(clock_wall_ms()), NUMBER(version.number));
	return result == 0 && version.number ? name_it(db, &version, diag) : result;
}

/* ---- in force ---- */

int policy_record_start(struct broker *broker, struct policy_texts *texts, struct diag *diag)
{
	OWN(own_texts) struct policy_texts *owned = texts;
	struct policy_writing writing = {.texts = owned, .since_ms = clock_wall_ms()};
	writing.operation = (struct store_operation){.work = write_down, .context = &writing};
	return store_now(broker->store, &writing.operation, diag);
}

static void writing_free(struct policy_writing *writing)
{
	policy_texts_free(writing->texts);
	free(writing);
}

static void on_written(struct store_operation *operation, int result, const struct diag *diag)
{
	struct policy_writing *writing = operation->context;
	struct broker *broker = writing->broker;
	writing->on_its_way = false;
	if (result < 0 && !writing->complained)
		log_error("the policy that is in force is not in the record yet: %s", diag->text);
	writing->complained = true;
	/* A later one may have taken its place. */
	if (result == 0 && broker->policy_writing == writing)
		broker->policy_writing = NULL;
	if (broker->policy_writing != writing)
		writing_free(writing);
	else
		writing->again_at_ms = clock_monotonic_ms() + AGAIN_MS;
}

static void submit(struct policy_writing *writing)
{
	writing->on_its_way = true;
	writing->operation = (struct store_operation){.work = write_down, .done = on_written, .context = writing};
	store_submit(writing->broker->store, &writing->operation);
}

void policy_record_reload(struct broker *broker, struct policy_texts *texts)
{
	struct policy_writing *writing = calloc(1, sizeof(*writing));
	if (!writing) {
		log_error("the policy that is in force is not in the record: no memory");
		policy_texts_free(texts);
		return;
	}
	if (broker->policy_writing && !broker->policy_writing->on_its_way)
		writing_free(broker->policy_writing);
	*writing = (struct policy_writing){.broker = broker, .texts = texts, .since_ms = clock_wall_ms()};
	broker->policy_writing = writing;
	submit(writing);
}

void policy_record_look(struct broker *broker)
{
	struct policy_writing *writing = broker->policy_writing;
	if (writing && !writing->on_its_way && clock_monotonic_ms() >= writing->again_at_ms)
		submit(writing);
}
