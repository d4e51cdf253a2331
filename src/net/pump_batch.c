/* pump_batch.c: the batch of all pumps of this process: a log of bytes, and a chain of its pieces for each pump. */
#include "pump_batch.h"

#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

enum { BYTES = 1 << 21, PIECES = 1024, PAGE = 4096 };

struct piece {
	struct pump *pump; /* NULL: has left */
	uint32_t at, size;
	uint16_t next; /* of the same pump: its number + 1; 0: the last */
};

static struct {
	size_t size;          /* of the bytes used */
	unsigned count, live; /* pieces used, and those of them that have not left */
	unsigned first;       /* none before it is live */
	struct piece pieces[PIECES];
	alignas(PAGE) uint8_t bytes[BYTES];
} batch;

static void start_afresh(void)
{
	batch.size = 0;
	batch.count = batch.first = 0;
}

/* The same pump's bytes directly behind its last ones. */
static bool extend(struct pump *pump, struct view bytes)
{
	struct piece *last = &batch.pieces[pump->held_last - 1];
	if (last->at + last->size != batch.size)
		return false;
	last->size += (uint32_t)bytes.size;
	return true;
}

static void append(struct pump *pump, struct view bytes)
{
	batch.pieces[batch.count] = (struct piece){.pump = pump, .at = (uint32_t)batch.size, .size = (uint32_t)bytes.size};
	uint16_t number = (uint16_t)++batch.count;
	if (pump->held_first)
		batch.pieces[pump->held_last - 1].next = number;
	else
		pump->held_first = number;
	pump->held_last = number;
	batch.live++;
}

bool pump_batch_add(struct pump *pump, struct view bytes)
{
	if (!batch.live)
		start_afresh();
	if (bytes.size > BYTES - batch.size || batch.count == PIECES)
		return false;
	memcpy(batch.bytes + batch.size, bytes.data, bytes.size);
	if (!pump->held_first || !extend(pump, bytes))
		append(pump, bytes);
	batch.size += bytes.size;
	pump->held_bytes += (uint32_t)bytes.size;
	return true;
}

int pump_batch_take(struct pump *pump, struct iovec *out_parts, int most)
{
	int count = 0;
	for (; pump->held_first && count < most; count++) {
		struct piece *piece = &batch.pieces[pump->held_first - 1];
		out_parts[count] = (struct iovec){batch.bytes + piece->at, piece->size};
		pump->held_bytes -= piece->size;
		pump->held_first = piece->next;
		piece->pump = NULL;
		batch.live--;
	}
	return count;
}

struct pump *pump_batch_next(void)
{
	if (!batch.live)
		return NULL;
	while (!batch.pieces[batch.first].pump)
		batch.first++;
	return batch.pieces[batch.first].pump;
}

void pump_batch_forget(struct pump *pump)
{
	struct iovec ignored;
	while (pump_batch_take(pump, &ignored, 1))
		;
}

void pump_batch_trim(void)
{
	if (!batch.live)
		(void)madvise(batch.bytes, BYTES, MADV_DONTNEED);
}
