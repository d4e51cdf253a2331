/* line.c: one line from a descriptor, while signals are heard. */
#include "line.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"

void line_init(struct line_reader *reader, int fd)
{
	*reader = (struct line_reader){.fd = fd, .wake_fd = -1, .pending = BUF_INIT(LINE_BYTES_MAX + 1)};
}

void line_fini(struct line_reader *reader)
{
	buf_wipe(&reader->pending);
}

/* Hands out the line at the start of what is pending; false when there is no whole one. */
static bool take_line(struct line_reader *reader, struct buf *out_line)
{
	struct buf *pending = &reader->pending;
	const uint8_t *end = pending->size ? memchr(pending->data, '\n', pending->size) : NULL;
	if (!end)
		return false;
	size_t length = (size_t)(end - pending->data);
	bool added = buf_add(out_line, view_of(pending->data, length)) == 0;
	buf_consume(pending, length + 1);
	return added;
}

static enum line_result wait_readable(const struct line_reader *reader)
{
	struct pollfd waits[] = {
		{.fd = signals_fd(), .events = POLLIN},
		{.fd = reader->wake_fd, .events = POLLIN},
		{.fd = reader->fd, .events = POLLIN},
	};
	while (poll(waits, 3, -1) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return LINE_FAILED;
	if (waits[0].revents && signals_caught())
		return LINE_SIGNAL;
	if (waits[1].revents)
		return LINE_WAKE;
	return LINE_OK;
}

/* Reads once. LINE_OK also when nothing came after all. */
static enum line_result read_more(struct line_reader *reader)
{
	char piece[4096];
	size_t room = reader->pending.limit - reader->pending.size;
	if (room == 0)
		return LINE_LONG;
	ssize_t count = read(reader->fd, piece, room < sizeof(piece) ? room : sizeof(piece));
	if (count < 0)
		return errno == EINTR || errno == EAGAIN ? LINE_OK : LINE_FAILED;
	if (count == 0)
		return LINE_END;
	int added = buf_add(&reader->pending, view_of(piece, (size_t)count));
	wipe(piece, sizeof(piece));
	return added < 0 ? LINE_FAILED : LINE_OK;
}

enum line_result line_read(struct line_reader *reader, struct buf *out_line)
{
	while (!take_line(reader, out_line)) {
		enum line_result result = wait_readable(reader);
		if (result == LINE_OK)
			result = read_more(reader);
		if (result == LINE_END && reader->pending.size) {
			int added = buf_add(out_line, buf_view(&reader->pending));
			buf_reset(&reader->pending);
			return added < 0 ? LINE_FAILED : LINE_OK;
		}
		if (result != LINE_OK)
			return result;
	}
	return LINE_OK;
}
