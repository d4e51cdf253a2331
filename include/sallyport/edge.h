/* edge.h: a message between two rooms is defined once, as a row of a table.
 *
 * A header edge/A_B.h holds the table of one edge. Its rows look like this:
 *
 *     #define worker_signer_MESSAGES(M) \
 *         M(worker_signer, sign, EDGE_FROM_FIRST, WORKER_SIGNER_FRESH, EDGE_NO_FD)
 *     #define worker_signer_sign_FIELDS(F) \
 *         F(u8, hash, 0) F(bytes, transcript, 65536)
 *     EDGE_DECLARE(worker_signer)
 *
 * From it come: `enum worker_signer_type`, `struct worker_signer_sign`, its encoder, its decoder with
 * every bound, a table of handlers with the dispatch, the names for the log, the fuzz target
 * (tests/fuzz/edges.c) and the test that every message is documented in gateway/README.md.
 *
 * Field kinds: u8 u32 u64 are numbers; str(max) is text (UTF-8 without NUL), bytes(max) is anything,
 * secret(max) is bytes that are wiped from the frame when the handler returns. The last three are
 * `struct view`s which borrow from the frame: copy what must outlive the handler.
 *
 * A codec reports, the receiver decides: nothing here ends a process.
 */
#ifndef SALLYPORT_EDGE_H
#define SALLYPORT_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

enum edge_kind { EDGE_u8, EDGE_u32, EDGE_u64, EDGE_str, EDGE_bytes, EDGE_secret };

/* The end that sends: worker_signer's first end is the worker, its second the signer. */
enum edge_sender { EDGE_FROM_FIRST, EDGE_FROM_SECOND };
enum edge_descriptor { EDGE_NO_FD, EDGE_WITH_FD };

/* Allowed in every state. */
#define EDGE_ANY UINT32_MAX

struct edge_field {
	const char *name;
	enum edge_kind kind;
	size_t max;    /* longest str, bytes or secret; 0 for numbers */
	size_t offset; /* in the message's struct */
};

struct edge_message {
	const char *name;
	enum edge_sender sender;
	enum edge_descriptor descriptor;
	uint32_t states; /* the receiver's states in which it may arrive, a bit each */
	const struct edge_field *fields;
	size_t field_count;
};

struct edge {
	const char *name;
	const struct edge_message *messages;
	size_t message_count;
};

/* One received datagram; `data` is writable so that secrets can be wiped; `fd` is -1 without one. */
struct edge_frame {
	uint8_t *data;
	size_t size;
	int fd;
};

/* No frame of any edge is larger; wire.h refuses what is. */
#define EDGE_FRAME_MAX 160000

/* Appends the frame of `message` (a struct of the row's type) to out_frame. ERR_BUG when a field is
 * longer than its bound: the sender must have checked. */
[[nodiscard]] int edge_encode(const struct edge *edge, unsigned type, const void *message, struct buf *out_frame);

/* Checks type, sender, state, descriptor, bounds, UTF-8 and that nothing is left over, and fills
 * out_message (room for the edge's largest struct). ERR_BAD_PEER with a sentence in diag otherwise. */
[[nodiscard]] int edge_decode(const struct edge *edge, enum edge_sender sender, uint32_t state,
			      const struct edge_frame *frame, unsigned *out_type, void *out_message,
			      struct diag *diag);

/* Wipes a frame that has secret fields, and closes its descriptor unless it was taken (-1). */
void edge_frame_release(const struct edge *edge, struct edge_frame *frame);

/* A number of the edge's rows that are allowed in one of these states: another one when anything of them changes. */
uint32_t edge_sum(const struct edge *edge, uint32_t states);

#define EDGE_MEMBER_u8(name_) uint8_t name_;
#define EDGE_MEMBER_u32(name_) uint32_t name_;
#define EDGE_MEMBER_u64(name_) uint64_t name_;
#define EDGE_MEMBER_str(name_) struct view name_;
#define EDGE_MEMBER_bytes(name_) struct view name_;
#define EDGE_MEMBER_secret(name_) struct view name_;
#define EDGE_MEMBER(kind, name_, max) EDGE_MEMBER_##kind(name_)

#define EDGE_TYPE(edge_, name_, ...) edge_##_##name_##_type,
#define EDGE_STRUCT(edge_, name_, ...)                                                                  \
	struct edge_##_##name_ {                                                                        \
		edge_##_##name_##_FIELDS(EDGE_MEMBER)                                                   \
	};                                                                                            \
	[[nodiscard]] int edge_##_encode_##name_(struct buf *out_frame, const struct edge_##_##name_ *message);
#define EDGE_HANDLER(edge_, name_, ...) int (*name_)(void *self, const struct edge_##_##name_ *message, int *fd);
#define EDGE_UNION(edge_, name_, ...) struct edge_##_##name_ name_;

/* A handler returns 0 or a negative enum err, which the dispatch passes on. `fd` points to the
 * frame's descriptor: take_fd(fd) keeps it, otherwise it is closed. A row without a handler in the
 * table is a breach: ERR_BAD_PEER. */
#define EDGE_DECLARE(edge_)                                                                            \
	enum edge_##_type { edge_##_MESSAGES(EDGE_TYPE) edge_##_type_count };                            \
	edge_##_MESSAGES(EDGE_STRUCT)                                                                  \
	struct edge_##_handlers {                                                                      \
		edge_##_MESSAGES(EDGE_HANDLER)                                                         \
	};                                                                                            \
	extern const struct edge edge_##_edge;                                                         \
	[[nodiscard]] int edge_##_dispatch(const struct edge_##_handlers *handlers, void *self,         \
					  enum edge_sender sender, uint32_t state,                    \
					  struct edge_frame *frame, struct diag *diag);

/* The other half, EDGE_DEFINE, stands once per edge in src/ipc/edges.c. */

#endif
