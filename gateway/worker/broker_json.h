/* broker_json.h: fields of the broker's answers as JSON. Between the files that take them: broker_edge.c, self_service.c. */
#ifndef SALLYPORT_WORKER_BROKER_JSON_H
#define SALLYPORT_WORKER_BROKER_JSON_H

#include <jansson.h>

#include "sallyport/clock.h"
#include "sallyport/own.h"
#include "worker.h"

static inline json_t *json_of(struct view text)
{
	return json_stringn(text.size ? (const char *)text.data : "", text.size);
}

static inline json_t *json_time(uint64_t wall_ms)
{
	char text[32];
	clock_format(wall_ms, text, sizeof(text));
	return json_string(text);
}

/* What came before the end of an answer: messages, resources, devices. Always an array, also when there was none. */
static inline json_t *take_items(struct exchange *exchange)
{
	json_t *items = take_pointer(&exchange->items);
	return items ? items : json_array();
}

static inline void add_item(struct worker *worker, uint32_t request, json_t *item)
{
	struct exchange *exchange = exchange_find(worker, request);
	if (!exchange) {
		json_decref(item);
		return;
	}
	if (!exchange->items)
		exchange->items = json_array();
	json_array_append_new(exchange->items, item);
}

/* The first line of a text, without its end; `text` goes on behind it. False at the end. */
static inline bool next_line(struct view *text, struct view *out_line)
{
	size_t length = 0;
	if (!text->size)
		return false;
	while (length < text->size && text->data[length] != '\n')
		length++;
	*out_line = view_of(text->data, length);
	length += length < text->size;
	*text = view_of(text->data + length, text->size - length);
	return true;
}

/* One item a line. */
static inline json_t *lines(struct view text)
{
	json_t *array = json_array();
	struct view line;
	while (next_line(&text, &line))
		json_array_append_new(array, json_of(line));
	return array;
}

#endif
