/* edges.c: fuzz target: frames of every edge. The first byte chooses the edge, the second the sender. What
 * decodes must encode to the same bytes. */
#include "fuzz.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/edge/broker_courier.h"
#include "sallyport/edge/broker_signer.h"
#include "sallyport/edge/command_agent.h"
#include "sallyport/edge/handover.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/edge/worker_signer.h"

static const struct edge *const edges[] = {
	&worker_signer_edge, &worker_broker_edge, &broker_signer_edge, &broker_conversation_edge, &monitor_room_edge,
	&command_agent_edge, &broker_courier_edge, &handover_edge,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > EDGE_FRAME_MAX)
		return 0;
	const struct edge *edge = edges[data[0] % (sizeof(edges) / sizeof(edges[0]))];
	enum edge_sender sender = data[1] & 1 ? EDGE_FROM_SECOND : EDGE_FROM_FIRST;
	OWN_BUF struct buf copy = BUF_INIT(EDGE_FRAME_MAX), again = BUF_INIT(EDGE_FRAME_MAX);
	MUST(buf_add(&copy, view_of(data + 2, size - 2)) == 0);
	struct edge_frame frame = {.data = copy.data, .size = copy.size, .fd = data[1] & 2 ? 1000000 : -1};
	unsigned type = 0;
	_Alignas(max_align_t) uint8_t message[4096];
	struct diag diag;
	int result = edge_decode(edge, sender, EDGE_ANY, &frame, &type, message, &diag);
	if (result < 0) {
		MUST(result == ERR_BAD_PEER && diag.text[0]);
		return 0;
	}
	MUST(type < edge->message_count && edge->messages[type].sender == sender);
	MUST(edge_encode(edge, type, message, &again) == 0);
	MUST(view_equal(buf_view(&again), buf_view(&copy)));
	return 0;
}
