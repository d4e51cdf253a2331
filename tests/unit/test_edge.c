/* test_edge.c: frames, bounds, states, descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sallyport/edge/worker_broker.h"
#include "sallyport/edge/worker_signer.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"

struct seen {
	int calls;
	int fd;
	uint32_t request;
	char host[256];
};

static int on_open(void *self, const struct worker_broker_open *message, int *fd)
{
	struct seen *seen = self;
	(void)fd;
	seen->calls++;
	seen->request = message->request;
	return view_to_string(message->host, seen->host, sizeof(seen->host));
}

static int on_opened(void *self, const struct worker_broker_opened *message, int *fd)
{
	struct seen *seen = self;
	(void)message;
	seen->calls++;
	seen->fd = take_fd(fd);
	return 0;
}

static const struct worker_broker_handlers handlers = {.open = on_open, .opened = on_opened};

static struct buf open_frame(const char *host)
{
	struct buf frame = BUF_INIT(EDGE_FRAME_MAX);
	struct worker_broker_open open = {.request = 7, .token = view_string("secret"), .host = view_string(host), .port = 22};
	assert_int_equal(worker_broker_encode_open(&frame, &open), 0);
	return frame;
}

static int dispatch(struct seen *seen, struct buf *bytes, size_t size, enum edge_sender sender, uint32_t state)
{
	struct edge_frame frame = {.data = bytes->data, .size = size, .fd = -1};
	struct diag diag;
	return worker_broker_dispatch(&handlers, seen, sender, state, &frame, &diag);
}

static void test_message_arrives_and_secret_is_wiped(void **state)
{
	(void)state;
	struct seen seen = {0};
	OWN_BUF struct buf frame = open_frame("db1");
	assert_int_equal(dispatch(&seen, &frame, frame.size, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED), 0);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.request, 7);
	assert_string_equal(seen.host, "db1");
	for (size_t i = 0; i < frame.size; i++)
		assert_int_equal(frame.data[i], 0);
}

static void test_wrong_state_end_or_length_is_a_breach(void **state)
{
	(void)state;
	struct seen seen = {0};
	OWN_BUF struct buf frame = open_frame("db1");
	assert_int_equal(dispatch(&seen, &frame, frame.size, EDGE_FROM_FIRST, WORKER_BROKER_NEW), ERR_BAD_PEER);
	OWN_BUF struct buf other = open_frame("db1");
	assert_int_equal(dispatch(&seen, &other, other.size, EDGE_FROM_SECOND, WORKER_BROKER_ACCEPTED), ERR_BAD_PEER);
	for (size_t size = 0; size < 30; size++) {
		OWN_BUF struct buf cut = open_frame("db1");
		assert_int_equal(dispatch(&seen, &cut, size < cut.size ? size : 0, EDGE_FROM_FIRST, WORKER_BROKER_ACCEPTED),
				 ERR_BAD_PEER);
	}
	assert_int_equal(seen.calls, 0);
}

static void test_bounds_hold_at_both_ends(void **state)
{
	(void)state;
	char host[300];
	memset(host, 'a', sizeof(host));
	OWN_BUF struct buf frame = BUF_INIT(EDGE_FRAME_MAX);
	struct worker_broker_open open = {.host = view_of(host, sizeof(host))};
	assert_int_equal(worker_broker_encode_open(&frame, &open), ERR_BUG);
}

static void test_descriptor_travels(void **state)
{
	(void)state;
	int ends[2], pipe_ends[2];
	assert_int_equal(wire_pair(ends), 0);
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(WIRE_SEND(ends[0], worker_broker, opened, pipe_ends[1], .request = 1), 0);
	uint8_t space[4096];
	struct edge_frame frame;
	assert_int_equal(wire_receive(ends[1], space, sizeof(space), &frame), 0);
	struct seen seen = {.fd = -1};
	struct diag diag;
	assert_int_equal(worker_broker_dispatch(&handlers, &seen, EDGE_FROM_SECOND, 1, &frame, &diag), 0);
	assert_true(seen.fd >= 0);
	assert_int_equal(write(seen.fd, "x", 1), 1);
	close(seen.fd);
	assert_int_equal(WIRE_SEND(ends[0], worker_broker, opened, -1, .request = 1), 0);
	assert_int_equal(wire_receive(ends[1], space, sizeof(space), &frame), 0);
	assert_int_equal(worker_broker_dispatch(&handlers, &seen, EDGE_FROM_SECOND, 1, &frame, &diag), ERR_BAD_PEER);
	close(ends[0]);
	assert_int_equal(wire_receive(ends[1], space, sizeof(space), &frame), ERR_CLOSED);
	close(ends[1]);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

/* Two versions that share a table have one sum; whatever changes gives another. */
static void test_the_sum_of_a_table(void **state)
{
	(void)state;
	struct edge_field fields[] = {{.name = "request", .kind = EDGE_u32}, {.name = "host", .kind = EDGE_str, .max = 255}};
	struct edge_message messages[] = {
		{.name = "open", .sender = EDGE_FROM_FIRST, .states = 1, .fields = fields, .field_count = 2},
		{.name = "other", .sender = EDGE_FROM_SECOND, .states = 2},
	};
	const struct edge edge = {.name = "test", .messages = messages, .message_count = 2};
	const uint32_t sum = edge_sum(&edge, EDGE_ANY), first = edge_sum(&edge, 1);
	assert_int_equal(edge_sum(&edge, EDGE_ANY), sum);
	assert_int_not_equal(first, sum);
	fields[1].max = 256;
	assert_int_not_equal(edge_sum(&edge, EDGE_ANY), sum);
	fields[1].max = 255;
	fields[0].kind = EDGE_u64;
	assert_int_not_equal(edge_sum(&edge, EDGE_ANY), sum);
	fields[0].kind = EDGE_u32;
	messages[1].descriptor = EDGE_WITH_FD;
	assert_int_not_equal(edge_sum(&edge, EDGE_ANY), sum);
	assert_int_equal(edge_sum(&edge, 1), first);
	messages[1].descriptor = EDGE_NO_FD;
	const struct edge longer = {.name = "test", .messages = messages, .message_count = 1};
	assert_int_not_equal(edge_sum(&longer, EDGE_ANY), sum);
	assert_int_not_equal(edge_sum(&worker_broker_edge, EDGE_ANY), edge_sum(&worker_signer_edge, EDGE_ANY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_arrives_and_secret_is_wiped),
		cmocka_unit_test(test_wrong_state_end_or_length_is_a_breach), cmocka_unit_test(test_bounds_hold_at_both_ends),
		cmocka_unit_test(test_descriptor_travels), cmocka_unit_test(test_the_sum_of_a_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
