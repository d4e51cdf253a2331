/* buf.h: bytes, borrowed (struct view) and owned (struct buf). */
#ifndef SALLYPORT_BUF_H
#define SALLYPORT_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes: valid as long as their owner says. Not terminated by NUL. */
struct view {
	const uint8_t *data;
	size_t size;
};

/* Owned bytes that grow up to `limit`. `limit` 0 means that nothing may be added. */
struct buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
	size_t limit;
};

static inline struct view view_of(const void *data, size_t size)
{
	return (struct view){.data = data, .size = size};
}
/* The characters of a C string without its NUL; an empty view for NULL. */
struct view view_string(const char *text);
bool view_equal(struct view a, struct view b);
bool view_is(struct view view, const char *text);
/* Without what is among `blanks` at both ends. */
struct view view_trim(struct view view, const char *blanks);
/* Compares in time that depends on the sizes only. */
bool view_equal_secret(struct view a, struct view b);
/* Copies into a C string. ERR_LIMIT when it does not fit, ERR_BAD_INPUT when it holds a NUL. */
[[nodiscard]] int view_to_string(struct view view, char *out_text, size_t capacity);
/* A heap copy, NUL-terminated (the NUL is not counted); NULL when memory is out. Caller frees. */
char *view_duplicate(struct view view);
/* True when the bytes are valid UTF-8 (RFC 3629) without NUL. */
bool view_is_utf8(struct view view);

#define BUF_INIT(limit_bytes) ((struct buf){.limit = (limit_bytes)})
static inline struct view buf_view(const struct buf *buf)
{
	return (struct view){.data = buf->data, .size = buf->size};
}
/* Adds bytes. ERR_LIMIT past the limit (nothing is added then), ERR_SYSTEM without memory. */
[[nodiscard]] int buf_add(struct buf *buf, struct view bytes);
[[nodiscard]] int buf_add_string(struct buf *buf, const char *text);
[[gnu::format(printf, 2, 3)]] [[nodiscard]] int buf_add_format(struct buf *buf, const char *format, ...);
/* Makes room for `size` more bytes and returns where to write them; NULL past the limit or
 * without memory. After writing, call buf_grown with what was written. */
uint8_t *buf_reserve(struct buf *buf, size_t size);
void buf_grown(struct buf *buf, size_t size);
/* Drops the first `size` bytes. */
void buf_consume(struct buf *buf, size_t size);
/* Empties, keeps the memory. */
void buf_reset(struct buf *buf);
/* Releases the memory. The same with wiping before. Both leave an empty buf with its limit. */
void buf_fini(struct buf *buf);
void buf_wipe(struct buf *buf);

#define OWN_BUF __attribute__((cleanup(buf_fini)))
#define OWN_SECRET_BUF __attribute__((cleanup(buf_wipe)))

/* Overwrites memory in a way that the compiler keeps (explicit_bzero). */
void wipe(void *memory, size_t size);

#endif
