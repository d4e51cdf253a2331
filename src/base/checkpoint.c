/* checkpoint.c: the signed text of a checkpoint, and its line. Pure. See checkpoint.h. */
#include "sallyport/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char context[] = "sallyport-audit-checkpoint-1";

static const struct {
	enum checkpoint_kind kind;
	const char *name;
} kinds[] = {{CHECKPOINT_RECORD, "record"}, {CHECKPOINT_CUT, "cut"}};

const char *checkpoint_kind_name(enum checkpoint_kind kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return NULL;
}

enum checkpoint_kind checkpoint_kind_find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	return (enum checkpoint_kind)0;
}

int checkpoint_field(struct buf *out_text, struct view field)
{
	int result = buf_add_format(out_text, "%zu:", field.size);
	if (result == 0)
		result = buf_add(out_text, field);
	return result < 0 ? result : buf_add(out_text, view_of(",", 1));
}

int checkpoint_number(struct buf *out_text, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, number);
	return checkpoint_field(out_text, view_string(text));
}

int checkpoint_text(const struct checkpoint *checkpoint, struct buf *out_text)
{
	const char *kind = checkpoint_kind_name(checkpoint->kind);
	if (!kind)
		return ERR_BAD_INPUT;
	int result = checkpoint_field(out_text, view_string(context));
	if (result == 0)
		result = checkpoint_field(out_text, view_string(kind));
	if (result == 0)
		result = checkpoint_field(out_text, view_string(checkpoint->gateway));
	if (result == 0)
		result = checkpoint_number(out_text, checkpoint->sequence);
	if (result == 0)
		result = checkpoint_field(out_text, view_string(checkpoint->hash));
	return result < 0 ? result : checkpoint_number(out_text, checkpoint->at_ms);
}

static bool can_stand(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < 0x20 || *name == '"' || *name == '\\' || *name == 0x7f)
			return false;
	return true;
}

bool checkpoint_line(const struct checkpoint *checkpoint, char *out_line, size_t capacity)
{
	const char *kind = checkpoint_kind_name(checkpoint->kind);
	if (!kind || !can_stand(checkpoint->gateway))
		return false;
	int size = snprintf(out_line, capacity,
			    "{\"checkpoint\":\"%s\",\"gateway\":\"%s\",\"sequence\":%" PRIu64 ",\"hash\":\"%s\",\"at\":%" PRIu64
			    ",\"key\":\"%s\",\"signature\":\"%s\"}",
			    kind, checkpoint->gateway, checkpoint->sequence, checkpoint->hash, checkpoint->at_ms, checkpoint->key,
			    checkpoint->signature);
	return size > 0 && (size_t)size < capacity;
}
