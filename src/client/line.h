/* line.h: one line from a descriptor, while signals are heard. */
#ifndef CLIENT_LINE_H
#define CLIENT_LINE_H

#include "sallyport/buf.h"

/* The longest answer that the gateway takes (65,536 bytes) fits. */
enum { LINE_BYTES_MAX = 65536 };

struct line_reader {
	int fd;      /* blocking or not; not owned */
	int wake_fd; /* another descriptor whose readability ends the wait, or -1 */
	struct buf pending; /* read, but not yet handed out; wiped by line_fini */
};

enum line_result {
	LINE_OK,
	LINE_END,    /* the end, with no line before it */
	LINE_SIGNAL, /* signals_caught has one */
	LINE_WAKE,   /* wake_fd is readable */
	LINE_LONG,   /* longer than LINE_BYTES_MAX */
	LINE_FAILED, /* errno says why */
};

void line_init(struct line_reader *reader, int fd);
void line_fini(struct line_reader *reader);
/* Waits for the next line and appends it, without its line feed. A last line without one counts. */
enum line_result line_read(struct line_reader *reader, struct buf *out_line);

#endif
