/* codec.c: frames of every edge, encoded and decoded by the rows of its table.
 *
 * A frame is: type (16 bits), then the fields in order; numbers in the machine's byte order (both ends
 * are the same machine), str/bytes/secret with a 32-bit length in front. Pure functions.
 */
#include "sallyport/edge.h"

#include <string.h>
#include <unistd.h>

static bool is_view(enum edge_kind kind)
{
	return kind >= EDGE_str;
}

static size_t number_size(enum edge_kind kind)
{
	static const size_t sizes[] = {[EDGE_u8] = 1, [EDGE_u32] = 4, [EDGE_u64] = 8};
	return sizes[kind];
}

static int encode_field(const struct edge_field *field, const uint8_t *place, struct buf *out_frame)
{
	if (!is_view(field->kind))
		return buf_add(out_frame, view_of(place, number_size(field->kind)));
	const struct view *view = (const struct view *)(const void *)place;
	if (view->size > field->max)
		return ERR_BUG;
	uint32_t length = (uint32_t)view->size;
	int result = buf_add(out_frame, view_of(&length, sizeof(length)));
	return result < 0 ? result : buf_add(out_frame, *view);
}

int edge_encode(const struct edge *edge, unsigned type, const void *message, struct buf *out_frame)
{
	if (type >= edge->message_count)
		return ERR_BUG;
	const struct edge_message *row = &edge->messages[type];
	uint16_t number = (uint16_t)type;
	int result = buf_add(out_frame, view_of(&number, sizeof(number)));
	for (size_t i = 0; result == 0 && i < row->field_count; i++)
		result = encode_field(&row->fields[i], (const uint8_t *)message + row->fields[i].offset, out_frame);
	return result;
}

static bool take_bytes(struct view *rest, void *out_bytes, size_t size)
{
	if (rest->size < size)
		return false;
	memcpy(out_bytes, rest->data, size);
	rest->data += size;
	rest->size -= size;
	return true;
}

static bool decode_view(const struct edge_field *field, struct view *rest, struct view *out_view)
{
	uint32_t length = 0;
	if (!take_bytes(rest, &length, sizeof(length)) || length > field->max || length > rest->size)
		return false;
	*out_view = view_of(rest->data, length);
	rest->data += length;
	rest->size -= length;
	return field->kind != EDGE_str || view_is_utf8(*out_view);
}

static bool decode_field(const struct edge_field *field, struct view *rest, uint8_t *place)
{
	if (is_view(field->kind))
		return decode_view(field, rest, (struct view *)(void *)place);
	return take_bytes(rest, place, number_size(field->kind));
}

static int check_row(const struct edge *edge, const struct edge_message *row, enum edge_sender sender,
		     uint32_t state, const struct edge_frame *frame, struct diag *diag)
{
	if (row->sender != sender)
		return diag_set(diag, ERR_BAD_PEER, "%s: %s comes from the wrong end", edge->name, row->name);
	if (!(row->states & state))
		return diag_set(diag, ERR_BAD_PEER, "%s: %s is not allowed now", edge->name, row->name);
	if ((row->descriptor == EDGE_WITH_FD) != (frame->fd >= 0))
		return diag_set(diag, ERR_BAD_PEER, "%s: %s %s a descriptor", edge->name, row->name,
				frame->fd >= 0 ? "must not carry" : "must carry");
	return 0;
}

int edge_decode(const struct edge *edge, enum edge_sender sender, uint32_t state, const struct edge_frame *frame,
		unsigned *out_type, void *out_message, struct diag *diag)
{
	struct view rest = view_of(frame->data, frame->size);
	uint16_t type = 0;
	if (!take_bytes(&rest, &type, sizeof(type)) || type >= edge->message_count)
		return diag_set(diag, ERR_BAD_PEER, "%s: a frame of no known type", edge->name);
	const struct edge_message *row = &edge->messages[type];
	int result = check_row(edge, row, sender, state, frame, diag);
	if (result < 0)
		return result;
	for (size_t i = 0; i < row->field_count; i++)
		if (!decode_field(&row->fields[i], &rest, (uint8_t *)out_message + row->fields[i].offset))
			return diag_set(diag, ERR_BAD_PEER, "%s: %s: the field %s is not valid", edge->name,
					row->name, row->fields[i].name);
	if (rest.size)
		return diag_set(diag, ERR_BAD_PEER, "%s: %s is too long", edge->name, row->name);
	*out_type = type;
	return 0;
}

static bool has_secret(const struct edge_message *row)
{
	for (size_t i = 0; i < row->field_count; i++)
		if (row->fields[i].kind == EDGE_secret)
			return true;
	return false;
}

void edge_frame_release(const struct edge *edge, struct edge_frame *frame)
{
	uint16_t type = 0;
	if (frame->size >= sizeof(type))
		memcpy(&type, frame->data, sizeof(type));
	if (type >= edge->message_count || has_secret(&edge->messages[type]))
		wipe(frame->data, frame->size);
	if (frame->fd >= 0)
		close(frame->fd);
	frame->fd = -1;
}

/* FNV-1a */
static uint32_t add_bytes(uint32_t sum, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ ((const uint8_t *)bytes)[i]) * 16777619u;
	return sum;
}

static uint32_t add_number(uint32_t sum, size_t number)
{
	return add_bytes(sum, &number, sizeof(number));
}

uint32_t edge_sum(const struct edge *edge, uint32_t states)
{
	uint32_t sum = 2166136261u;
	for (size_t type = 0; type < edge->message_count; type++) {
		const struct edge_message *row = &edge->messages[type];
		if (!(row->states & states))
			continue;
		sum = add_number(add_bytes(sum, row->name, strlen(row->name) + 1), type);
		sum = add_number(add_number(add_number(sum, row->sender), row->descriptor), row->states);
		for (size_t i = 0; i < row->field_count; i++) {
			sum = add_bytes(sum, row->fields[i].name, strlen(row->fields[i].name) + 1);
			sum = add_number(add_number(sum, row->fields[i].kind), row->fields[i].max);
		}
	}
	return sum;
}
