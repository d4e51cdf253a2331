/* test_pump.c: half-close, RST and FIN, backpressure, pairs and files. The carrier is played by the test. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sallyport/pump.h"

/* A pump whose near side is a TCP connection with its other end here. */
struct tunnel {
	uv_loop_t loop;
	struct pump pump;
	int far;             /* the target's end */
	bool carrier_full;   /* the carrier has no room: it does not read */
	struct buf received; /* what the carrier read */
	bool saw_end;
	int resets, ends, closes;
	size_t consumed;
};

static void carry(struct tunnel *tunnel)
{
	uint8_t bytes[16384];
	for (;;) {
		int size = pump_read(&tunnel->pump, bytes, sizeof(bytes));
		if (size < 0)
			return;
		if (size == 0) {
			tunnel->saw_end = true;
			return;
		}
		assert_int_equal(buf_add(&tunnel->received, view_of(bytes, (size_t)size)), 0);
	}
}

static void on_ready(struct pump *pump)
{
	struct tunnel *tunnel = pump->owner;
	if (!tunnel->carrier_full)
		carry(tunnel);
}

static void on_consumed(struct pump *pump, size_t size)
{
	struct tunnel *tunnel = pump->owner;
	tunnel->consumed += size;
}

static void on_reset(struct pump *pump)
{
	struct tunnel *tunnel = pump->owner;
	tunnel->resets++;
}

static void on_ended(struct pump *pump)
{
	struct tunnel *tunnel = pump->owner;
	tunnel->ends++;
}

static void on_closed(struct pump *pump)
{
	struct tunnel *tunnel = pump->owner;
	tunnel->closes++;
}

static const struct pump_carrier carrier = {on_ready, on_consumed, on_reset, on_ended};

static void tcp_pair(int out_fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	out_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(out_fds[0], (struct sockaddr *)&address, size), 0);
	out_fds[1] = accept(listener, NULL, NULL);
	assert_true(out_fds[1] >= 0);
	close(listener);
	fcntl(out_fds[1], F_SETFL, O_NONBLOCK);
}

static void tunnel_prepare(struct tunnel *tunnel)
{
	*tunnel = (struct tunnel){.received = BUF_INIT(64 << 20)};
	uv_loop_init(&tunnel->loop);
}

static void tunnel_init(struct tunnel *tunnel)
{
	int fds[2];
	tunnel_prepare(tunnel);
	tcp_pair(fds);
	tunnel->far = fds[1];
	assert_int_equal(pump_start(&tunnel->pump, &tunnel->loop, fds[0], fds[0], &carrier, tunnel), 0);
}

static void turn(struct tunnel *tunnel)
{
	for (int i = 0; i < 5; i++) {
		uv_run(&tunnel->loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

static void tunnel_fini(struct tunnel *tunnel)
{
	pump_close(&tunnel->pump, on_closed);
	pump_close(&tunnel->pump, on_closed);
	turn(tunnel);
	assert_int_equal(tunnel->closes, 1);
	assert_int_equal(tunnel->ends, tunnel->pump.end != PUMP_RUNNING);
	assert_int_equal(uv_loop_close(&tunnel->loop), 0);
	buf_fini(&tunnel->received);
	if (tunnel->far >= 0)
		close(tunnel->far);
}

/* What the target gets: its bytes, then 0 for FIN or -errno. */
static ssize_t far_end(struct tunnel *tunnel, size_t *out_size)
{
	static uint8_t bytes[65536];
	*out_size = 0;
	for (int i = 0; i < 2000; i++) {
		ssize_t got = recv(tunnel->far, bytes, sizeof(bytes), 0);
		if (got == 0)
			return 0;
		if (got < 0 && errno != EAGAIN)
			return -errno;
		if (got < 0) {
			uv_run(&tunnel->loop, UV_RUN_NOWAIT);
			usleep(100);
		} else
			*out_size += (size_t)got;
	}
	return -EAGAIN;
}

static void test_bytes_both_ways_and_counts(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_init(&tunnel);
	assert_int_equal(send(tunnel.far, "hello", 5, 0), 5);
	turn(&tunnel);
	assert_true(view_is(buf_view(&tunnel.received), "hello"));
	pump_write(&tunnel.pump, view_string("world!"));
	char text[16];
	assert_int_equal(recv(tunnel.far, text, sizeof(text), 0), 6);
	assert_int_equal(tunnel.consumed, 6);
	assert_int_equal(tunnel.pump.bytes_from_near, 5);
	assert_int_equal(tunnel.pump.bytes_to_near, 6);
	assert_int_equal(tunnel.pump.end, PUMP_RUNNING);
	tunnel_fini(&tunnel);
}

static void test_half_close_target_first(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_init(&tunnel);
	assert_int_equal(send(tunnel.far, "last", 4, 0), 4);
	shutdown(tunnel.far, SHUT_WR);
	turn(&tunnel);
	assert_true(tunnel.saw_end);
	assert_true(view_is(buf_view(&tunnel.received), "last"));
	assert_int_equal(tunnel.ends, 0);
	/* The other direction still works. */
	pump_write(&tunnel.pump, view_string("more"));
	pump_finish(&tunnel.pump);
	size_t size;
	assert_int_equal(far_end(&tunnel, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(tunnel.pump.end, PUMP_TARGET_FIN);
	assert_string_equal(pump_end_name(tunnel.pump.end), "target_fin");
	assert_int_equal(tunnel.resets, 0);
	tunnel_fini(&tunnel);
}

static void test_half_close_client_first(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_init(&tunnel);
	pump_write(&tunnel.pump, view_string("request"));
	pump_finish(&tunnel.pump);
	size_t size;
	assert_int_equal(far_end(&tunnel, &size), 0);
	assert_int_equal(size, 7);
	assert_int_equal(send(tunnel.far, "answer", 6, 0), 6);
	turn(&tunnel);
	assert_true(view_is(buf_view(&tunnel.received), "answer"));
	assert_int_equal(tunnel.ends, 0);
	shutdown(tunnel.far, SHUT_WR);
	turn(&tunnel);
	assert_int_equal(tunnel.pump.end, PUMP_CLIENT_FIN);
	tunnel_fini(&tunnel);
}

static void reset_far(struct tunnel *tunnel)
{
	struct linger linger = {1, 0};
	setsockopt(tunnel->far, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(tunnel->far);
	tunnel->far = -1;
}

static void test_rst_of_the_target(void **state)
{
	(void)state;
	/* While idle, while the carrier is full, and after the target's FIN. */
	for (int when = 0; when < 3; when++) {
		struct tunnel tunnel;
		tunnel_init(&tunnel);
		tunnel.carrier_full = when == 1;
		if (when == 1)
			assert_int_equal(send(tunnel.far, "bytes", 5, 0), 5);
		if (when == 2)
			shutdown(tunnel.far, SHUT_WR);
		turn(&tunnel);
		reset_far(&tunnel);
		turn(&tunnel);
		tunnel.carrier_full = false;
		if (when == 1)
			carry(&tunnel);
		if (when == 2)
			pump_write(&tunnel.pump, view_string("x"));
		turn(&tunnel);
		assert_int_equal(tunnel.pump.end, PUMP_TARGET_RESET);
		assert_int_equal(tunnel.resets, 1);
		assert_int_equal(tunnel.saw_end, when == 2);
		tunnel_fini(&tunnel);
	}
}

static void test_rst_to_the_target(void **state)
{
	(void)state;
	static const struct {
		void (*act)(struct pump *pump);
		enum pump_end end;
	} rows[] = {{pump_carrier_reset, PUMP_CLIENT_RESET}, {pump_carrier_lost, PUMP_CONNECTION_LOST}, {pump_abort, PUMP_ENDED}};
	for (size_t i = 0; i < 3; i++) {
		struct tunnel tunnel;
		size_t size;
		tunnel_init(&tunnel);
		pump_write(&tunnel.pump, view_string("x"));
		rows[i].act(&tunnel.pump);
		rows[(i + 1) % 3].act(&tunnel.pump); /* the first reason stays */
		assert_int_equal(tunnel.pump.end, rows[i].end);
		assert_int_equal(tunnel.resets, 0);
		pump_close(&tunnel.pump, on_closed);
		assert_int_equal(far_end(&tunnel, &size), -ECONNRESET);
		tunnel_fini(&tunnel);
	}
}

/* It has answered, taken nothing, and gone. */
static void test_a_target_that_takes_no_more_is_read_all_the_same(void **state)
{
	(void)state;
	for (int anyhow = 0; anyhow < 2; anyhow++) {
		struct tunnel tunnel;
		tunnel_init(&tunnel);
		tunnel.carrier_full = true;
		if (anyhow)
			pump_read_to_the_end(&tunnel.pump);
		pump_write(&tunnel.pump, view_string("question"));
		assert_int_equal(send(tunnel.far, "answer", 6, 0), 6);
		usleep(2000);
		close(tunnel.far); /* with bytes that it has not read: RST */
		tunnel.far = -1;
		usleep(2000);
		size_t consumed = tunnel.consumed;
		pump_write(&tunnel.pump, view_string("more"));
		pump_write(&tunnel.pump, view_string("and more"));
		assert_int_equal(tunnel.consumed - consumed, anyhow ? 12 : 0);
		assert_int_equal(tunnel.pump.end, anyhow ? PUMP_RUNNING : PUMP_TARGET_RESET);
		carry(&tunnel);
		assert_true(view_is(buf_view(&tunnel.received), anyhow ? "answer" : ""));
		assert_int_equal(tunnel.pump.bytes_to_near, 8);
		pump_settle(&tunnel.pump);
		tunnel_fini(&tunnel);
	}
}

static void test_settled_is_an_end_in_good_order(void **state)
{
	(void)state;
	struct tunnel tunnel;
	size_t size;
	tunnel_init(&tunnel);
	pump_write(&tunnel.pump, view_string("question"));
	assert_int_equal(send(tunnel.far, "answer", 6, 0), 6);
	turn(&tunnel);
	pump_settle(&tunnel.pump);
	assert_int_equal(tunnel.pump.end, PUMP_TARGET_FIN);
	assert_int_equal(tunnel.resets, 0);
	pump_close(&tunnel.pump, on_closed);
	assert_int_equal(far_end(&tunnel, &size), 0);
	assert_int_equal(size, 8);
	tunnel_fini(&tunnel);
}

static void test_E6_a_slow_target_holds_the_credit_back(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_init(&tunnel);
	enum { WINDOW = 262144, PIECE = 16375 };
	static uint8_t piece[PIECE];
	size_t given = 0, most = 0;
	/* As HTTP/2 does: never more under way than the window. */
	for (int i = 0; i < 2000; i++) {
		while (given - tunnel.consumed + PIECE <= WINDOW && given < (64u << 20)) {
			pump_write(&tunnel.pump, view_of(piece, PIECE));
			given += PIECE;
		}
		most = pump_pending(&tunnel.pump) > most ? pump_pending(&tunnel.pump) : most;
		assert_true(pump_pending(&tunnel.pump) == given - tunnel.consumed);
		if (i > 1000) {
			static uint8_t sink[65536];
			(void)!recv(tunnel.far, sink, sizeof(sink), 0);
		}
		uv_run(&tunnel.loop, UV_RUN_NOWAIT);
	}
	assert_true(most > 0 && most <= WINDOW);
	assert_true(tunnel.pump.pending.capacity <= 4 * WINDOW);
	pump_finish(&tunnel.pump);
	size_t size, before = (size_t)tunnel.pump.bytes_to_near;
	assert_int_equal(far_end(&tunnel, &size), 0);
	assert_true(before <= given);
	assert_int_equal(tunnel.pump.bytes_to_near, given); /* FIN came after all that was kept */
	assert_int_equal(tunnel.consumed, given);
	assert_null(tunnel.pump.pending.data); /* an idle tunnel owns no buffer */
	tunnel_fini(&tunnel);
}

static void test_a_full_carrier_stops_the_reading(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_init(&tunnel);
	tunnel.carrier_full = true;
	assert_int_equal(send(tunnel.far, "abc", 3, 0), 3);
	turn(&tunnel);
	assert_false(uv_is_active((uv_handle_t *)&tunnel.pump.poll)); /* no spinning */
	tunnel.carrier_full = false;
	carry(&tunnel);
	assert_true(view_is(buf_view(&tunnel.received), "abc"));
	assert_int_equal(send(tunnel.far, "def", 3, 0), 3);
	turn(&tunnel);
	assert_true(view_is(buf_view(&tunnel.received), "abcdef"));
	tunnel_fini(&tunnel);
}

static void test_a_pair_of_pipes(void **state)
{
	(void)state;
	struct tunnel tunnel;
	int in[2], out[2];
	tunnel_prepare(&tunnel);
	tunnel.far = -1;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pump_start(&tunnel.pump, &tunnel.loop, in[0], out[1], &carrier, &tunnel), 0);
	assert_int_equal(write(in[1], "typed", 5), 5);
	turn(&tunnel);
	assert_true(view_is(buf_view(&tunnel.received), "typed"));
	static uint8_t much[200000];
	pump_write(&tunnel.pump, view_of(much, sizeof(much)));
	assert_true(pump_pending(&tunnel.pump) > 0);
	pump_finish(&tunnel.pump);
	size_t got = 0;
	for (ssize_t size; (size = read(out[0], much, sizeof(much))) > 0; got += (size_t)size)
		turn(&tunnel);
	assert_int_equal(got, sizeof(much));
	assert_int_equal(tunnel.ends, 0);
	close(in[1]);
	turn(&tunnel);
	assert_true(tunnel.saw_end);
	assert_int_equal(tunnel.pump.end, PUMP_CLIENT_FIN);
	close(out[0]);
	tunnel_fini(&tunnel);
}

static void test_a_pipe_that_nobody_reads(void **state)
{
	(void)state;
	struct tunnel tunnel;
	int in[2], out[2];
	tunnel_prepare(&tunnel);
	tunnel.far = -1;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pump_start(&tunnel.pump, &tunnel.loop, in[0], out[1], &carrier, &tunnel), 0);
	close(out[0]);
	pump_write(&tunnel.pump, view_string("x"));
	assert_int_equal(tunnel.pump.end, PUMP_TARGET_RESET);
	assert_int_equal(tunnel.resets, 1);
	close(in[1]);
	tunnel_fini(&tunnel);
}

static void test_files(void **state)
{
	(void)state;
	struct tunnel tunnel;
	tunnel_prepare(&tunnel);
	tunnel.far = -1;
	int in = open("/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);
	assert_int_equal(pump_start(&tunnel.pump, &tunnel.loop, in, out, &carrier, &tunnel), 0);
	turn(&tunnel);
	assert_true(tunnel.saw_end);
	pump_write(&tunnel.pump, view_string("gone"));
	assert_int_equal(tunnel.consumed, 4);
	pump_finish(&tunnel.pump);
	assert_int_equal(tunnel.pump.end, PUMP_TARGET_FIN);
	tunnel_fini(&tunnel);
}

static void test_an_idle_tunnel_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct pump) <= 512);
}

/* ---- batches ---- */

enum { MANY = 40 };

/* Byte number `at` of tunnel number `which`. */
static uint8_t pattern(unsigned which, size_t at)
{
	return (uint8_t)(which * 31 + at + at / 251);
}

static void give(struct tunnel *tunnel, unsigned which, size_t *given, size_t size)
{
	uint8_t bytes[65536];
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(which, *given + i);
	pump_write(&tunnel->pump, view_of(bytes, size));
	*given += size;
}

static void expect_all(struct tunnel *tunnel, unsigned which, size_t given)
{
	static uint8_t bytes[65536];
	size_t got = 0;
	for (int idle = 0; got < given && idle < 200;) {
		ssize_t size = recv(tunnel->far, bytes, sizeof(bytes), 0);
		uv_run(&tunnel->loop, UV_RUN_NOWAIT);
		if (size <= 0) {
			idle++;
			usleep(500);
			continue;
		}
		for (ssize_t i = 0; i < size; i++)
			assert_int_equal(bytes[i], pattern(which, got + (size_t)i));
		got += (size_t)size;
	}
	assert_int_equal(got, given);
	assert_int_equal(tunnel->consumed, given);
	assert_int_equal(tunnel->pump.bytes_to_near, given);
}

static void test_a_batch_keeps_the_order_of_every_tunnel(void **state)
{
	(void)state;
	static struct tunnel tunnels[MANY];
	static const size_t sizes[] = {16375, 1, 700, 65536, 9000, 13};
	size_t given[MANY] = {0};
	for (unsigned i = 0; i < MANY; i++)
		tunnel_init(&tunnels[i]);
	pump_hold();
	/* More than a batch takes, in bytes. */
	for (unsigned round = 0; round < 12; round++)
		for (unsigned i = 0; i < MANY; i++)
			give(&tunnels[i], i, &given[i], sizes[(round + i) % 6]);
	/* And in pieces. */
	for (unsigned round = 0; round < 3000; round++)
		give(&tunnels[round % 2], round % 2, &given[round % 2], 1);
	pump_release();
	for (unsigned i = 0; i < MANY; i++) {
		expect_all(&tunnels[i], i, given[i]);
		tunnel_fini(&tunnels[i]);
	}
	pump_trim();
}

static void test_a_batch_leaves_together(void **state)
{
	(void)state;
	struct tunnel one, other;
	size_t given = 0, given_other = 0;
	uint8_t byte;
	tunnel_init(&one);
	tunnel_init(&other);
	pump_hold();
	for (int i = 0; i < 3; i++) {
		give(&one, 1, &given, 16000);
		give(&other, 2, &given_other, 16000);
	}
	assert_int_equal(recv(one.far, &byte, 1, 0), -1);
	assert_int_equal(one.consumed, 0);
	give(&one, 1, &given, 20000); /* enough of one tunnel leaves at once */
	assert_int_equal(one.consumed, given);
	assert_int_equal(other.consumed, 0);
	pump_release();
	expect_all(&one, 1, given);
	expect_all(&other, 2, given_other);
	tunnel_fini(&one);
	tunnel_fini(&other);
}

static void test_an_end_within_a_batch_concerns_its_own_tunnel(void **state)
{
	(void)state;
	struct tunnel aborted, finished, other;
	size_t given[3] = {0}, size;
	tunnel_init(&aborted);
	tunnel_init(&finished);
	tunnel_init(&other);
	pump_hold();
	for (int i = 0; i < 2; i++) {
		give(&aborted, 0, &given[0], 5000);
		give(&finished, 1, &given[1], 5000);
		give(&other, 2, &given[2], 5000);
	}
	pump_abort(&aborted.pump);
	pump_finish(&finished.pump);
	assert_int_equal(finished.consumed, given[1]);
	pump_close(&aborted.pump, on_closed);
	give(&other, 2, &given[2], 5000);
	pump_release();
	assert_int_equal(far_end(&aborted, &size), -ECONNRESET);
	assert_int_equal(size, 0);
	expect_all(&other, 2, given[2]);
	assert_int_equal(far_end(&finished, &size), 0);
	assert_int_equal(size, given[1]);
	tunnel_fini(&aborted);
	tunnel_fini(&finished);
	tunnel_fini(&other);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_both_ways_and_counts), cmocka_unit_test(test_half_close_target_first),
		cmocka_unit_test(test_half_close_client_first), cmocka_unit_test(test_rst_of_the_target),
		cmocka_unit_test(test_a_target_that_takes_no_more_is_read_all_the_same),
		cmocka_unit_test(test_settled_is_an_end_in_good_order),
		cmocka_unit_test(test_rst_to_the_target), cmocka_unit_test(test_E6_a_slow_target_holds_the_credit_back),
		cmocka_unit_test(test_a_full_carrier_stops_the_reading), cmocka_unit_test(test_a_pair_of_pipes),
		cmocka_unit_test(test_a_pipe_that_nobody_reads), cmocka_unit_test(test_files),
		cmocka_unit_test(test_an_idle_tunnel_is_small),
		cmocka_unit_test(test_a_batch_keeps_the_order_of_every_tunnel),
		cmocka_unit_test(test_a_batch_leaves_together),
		cmocka_unit_test(test_an_end_within_a_batch_concerns_its_own_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
