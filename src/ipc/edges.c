/* edges.c: the code that each edge's table stands for, made once for every edge. */
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/edge/broker_courier.h"
#include "sallyport/edge/broker_signer.h"
#include "sallyport/edge/command_agent.h"
#include "sallyport/edge/handover.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/edge/worker_signer.h"

#define FIELD_ROW(kind_, name_, max_) \
	{.name = #name_, .kind = EDGE_##kind_, .max = (max_), .offset = offsetof(row_struct, name_)},

/* A typedef in a scope of its own tells FIELD_ROW which struct the row belongs to. */
#define ENCODER_AND_FIELDS(edge_, name_, ...)                                                           \
	static const struct edge_field *edge_##_##name_##_rows(size_t *out_count)                       \
	{                                                                                             \
		typedef struct edge_##_##name_ row_struct;                                              \
		(void)sizeof(row_struct);                                                             \
		static const struct edge_field rows[] = {                                             \
			edge_##_##name_##_FIELDS(FIELD_ROW){.name = NULL}};                             \
		*out_count = sizeof(rows) / sizeof(rows[0]) - 1;                                      \
		return rows;                                                                          \
	}                                                                                             \
	int edge_##_encode_##name_(struct buf *out_frame, const struct edge_##_##name_ *message)          \
	{                                                                                             \
		return edge_encode(&edge_##_edge, edge_##_##name_##_type, message, out_frame);           \
	}

#define MESSAGE_ROW(edge_, name_, sender_, states_, descriptor_)                                       \
	{.name = #name_, .sender = (sender_), .states = (states_), .descriptor = (descriptor_)},
#define FILL_ROW(edge_, name_, ...)                                                                     \
	edge_##_messages[edge_##_##name_##_type].fields =                                                \
		edge_##_##name_##_rows(&edge_##_messages[edge_##_##name_##_type].field_count);
#define DISPATCH_CASE(edge_, name_, ...)                                                                \
	case edge_##_##name_##_type:                                                                    \
		result = handlers->name_ ? handlers->name_(self, &message.name_, &frame->fd)             \
					: diag_set(diag, ERR_BAD_PEER, #edge_ ": nobody here takes " #name_); \
		break;

#define EDGE_DEFINE(edge_)                                                                             \
	edge_##_MESSAGES(ENCODER_AND_FIELDS)                                                           \
	static struct edge_message edge_##_messages[] = {edge_##_MESSAGES(MESSAGE_ROW)};                \
	const struct edge edge_##_edge = {                                                             \
		#edge_, edge_##_messages, sizeof(edge_##_messages) / sizeof(edge_##_messages[0])};        \
	__attribute__((constructor)) static void edge_##_fill(void)                                    \
	{                                                                                             \
		edge_##_MESSAGES(FILL_ROW)                                                             \
	}                                                                                             \
	int edge_##_dispatch(const struct edge_##_handlers *handlers, void *self, enum edge_sender sender, \
			    uint32_t state, struct edge_frame *frame, struct diag *diag)              \
	{                                                                                             \
		union {                                                                               \
			edge_##_MESSAGES(EDGE_UNION)                                                   \
		} message;                                                                            \
		unsigned type = 0;                                                                    \
		int result = edge_decode(&edge_##_edge, sender, state, frame, &type, &message, diag);  \
		if (result == 0) {                                                                    \
			switch ((enum edge_##_type)type) {                                             \
				edge_##_MESSAGES(DISPATCH_CASE)                                        \
			case edge_##_type_count:                                                       \
				result = ERR_BUG;                                                     \
			}                                                                             \
		}                                                                                     \
		edge_frame_release(&edge_##_edge, frame);                                              \
		return result;                                                                        \
	}

EDGE_DEFINE(monitor_room)
EDGE_DEFINE(worker_broker)
EDGE_DEFINE(worker_signer)
EDGE_DEFINE(broker_signer)
EDGE_DEFINE(broker_conversation)
EDGE_DEFINE(broker_courier)
EDGE_DEFINE(command_agent)
EDGE_DEFINE(handover)
