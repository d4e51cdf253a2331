/* test_link.c: an edge on a loop: order, queue, limit, end. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sallyport/edge/broker_conversation.h"
#include "sallyport/link.h"
#include "sallyport/own.h"

struct side {
	uv_loop_t *loop;
	struct link link;
	unsigned received;
	int end;
	bool closed;
};

static int on_answer(void *self, const struct broker_conversation_answer *message, int *fd)
{
	struct side *side = self;
	(void)fd;
	assert_int_equal(message->text.data[0], (uint8_t)side->received);
	side->received++;
	return 0;
}

static const struct broker_conversation_handlers handlers = {.answer = on_answer};

static void on_frame(struct link *link, struct edge_frame *frame)
{
	struct diag diag;
	assert_int_equal(broker_conversation_dispatch(&handlers, link->owner, EDGE_FROM_FIRST, BROKER_CONVERSATION_ASKING,
						      frame, &diag), 0);
}

static void on_closed(struct link *link)
{
	((struct side *)link->owner)->closed = true;
}

static void on_end(struct link *link, int reason)
{
	((struct side *)link->owner)->end = reason;
	link_close(link, on_closed);
}

static void open_side(struct side *side, uv_loop_t *loop, int fd, size_t limit)
{
	*side = (struct side){.loop = loop, .link = {.owner = side, .on_frame = on_frame, .on_end = on_end}};
	assert_int_equal(link_init(&side->link, loop, fd, limit), 0);
}

static void test_frames_arrive_in_order_through_the_queue(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct side sender, receiver;
	int ends[2];
	static uint8_t text[30000];
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(wire_pair(ends), 0);
	open_side(&sender, &loop, ends[0], 64 * sizeof(text));
	open_side(&receiver, &loop, ends[1], 0);
	for (unsigned i = 0; i < 40; i++) {
		text[0] = (uint8_t)i;
		assert_int_equal(LINK_SEND(&sender.link, broker_conversation, answer, -1, .text = view_of(text, sizeof(text))), 0);
	}
	assert_true(sender.link.pending_bytes > 0);
	while (receiver.received < 40)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(sender.link.pending_bytes, 0);
	link_close(&sender.link, on_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(receiver.end, ERR_CLOSED);
	assert_true(sender.closed && receiver.closed);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_a_side_that_does_not_drain_is_given_up(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct side sender;
	int ends[2];
	static uint8_t text[30000];
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(wire_pair(ends), 0);
	open_side(&sender, &loop, ends[0], 2 * sizeof(text));
	int result = 0;
	for (unsigned i = 0; i < 100 && result == 0; i++)
		result = LINK_SEND(&sender.link, broker_conversation, answer, -1, .text = view_of(text, sizeof(text)));
	assert_int_equal(result, ERR_LIMIT);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(sender.closed);
	assert_int_not_equal(sender.end, 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	close(ends[1]);
}

/* As at a restart: one stops reading, another process goes on where it has stopped. */
static void test_a_paused_side_leaves_what_comes_to_the_next(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct side sender, receiver;
	int ends[2];
	static uint8_t text[30000];
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(wire_pair(ends), 0);
	int kept = dup(ends[1]);
	open_side(&sender, &loop, ends[0], 64 * sizeof(text));
	open_side(&receiver, &loop, ends[1], 0);
	for (unsigned i = 0; i < 20; i++) {
		text[0] = (uint8_t)i;
		assert_int_equal(LINK_SEND(&sender.link, broker_conversation, answer, -1, .text = view_of(text, sizeof(text))), 0);
		if (i == 1)
			while (receiver.received < 2)
				uv_run(&loop, UV_RUN_ONCE);
	}
	link_pause(&receiver.link);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(sender.link.sent, 20);
	assert_int_equal(receiver.link.received, 2);
	link_close(&receiver.link, on_closed);
	while (!receiver.closed)
		uv_run(&loop, UV_RUN_ONCE);
	open_side(&receiver, &loop, kept, 0);
	receiver.received = 2;
	while (receiver.received < 20)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(receiver.link.received, 18);
	link_close(&sender.link, on_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(receiver.end, ERR_CLOSED);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void *read_frames(void *end)
{
	static uint8_t space[EDGE_FRAME_MAX];
	struct edge_frame frame;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(wire_receive(*(int *)end, space, sizeof(space), &frame), 0);
	return NULL;
}

static void test_what_waits_is_drained(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct side sender;
	int ends[2];
	pthread_t reader;
	static uint8_t text[30000];
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(wire_pair(ends), 0);
	open_side(&sender, &loop, ends[0], 64 * sizeof(text));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(LINK_SEND(&sender.link, broker_conversation, answer, -1, .text = view_of(text, sizeof(text))), 0);
	assert_true(sender.link.pending_bytes > 0);
	assert_int_equal(pthread_create(&reader, NULL, read_frames, &ends[1]), 0);
	link_drain(&sender.link);
	assert_int_equal(sender.link.pending_bytes, 0);
	assert_int_equal(pthread_join(reader, NULL), 0);
	/* Nobody is there any more: it comes back all the same. */
	close(ends[1]);
	assert_int_equal(LINK_SEND(&sender.link, broker_conversation, answer, -1, .text = view_of(text, sizeof(text))), ERR_CLOSED);
	link_drain(&sender.link);
	link_close(&sender.link, on_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_arrive_in_order_through_the_queue),
		cmocka_unit_test(test_a_side_that_does_not_drain_is_given_up),
		cmocka_unit_test(test_a_paused_side_leaves_what_comes_to_the_next),
		cmocka_unit_test(test_what_waits_is_drained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
