/* test_jail.c: what a worker has to do works behind its walls: fork from the template, a loop, TLS, records,
 * descriptors that come over an edge. What it must not do: tests/jail. Only root can build every wall. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "../../gateway/worker/walls.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/wire.h"
#include "tls_world.h"

enum { LOCKED_OUT = 10, NO_LOOP, NO_TIGHTENING, NO_HANDSHAKE, NO_BYTES, NO_EVENT, NO_DESCRIPTOR };

static struct world world;
static struct filter worker_filter;

static void on_timer(uv_timer_t *timer)
{
	*(int *)timer->data += 1;
	uv_close((uv_handle_t *)timer, NULL);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	*(int *)poll->data += 1;
	uv_close((uv_handle_t *)poll, NULL);
}

static int run_loop(uv_loop_t *loop, int readable)
{
	int seen = 0;
	uv_timer_t timer = {.data = &seen};
	uv_poll_t poll = {.data = &seen};
	if (uv_timer_init(loop, &timer) < 0 || uv_timer_start(&timer, on_timer, 5, 0) < 0 ||
	    uv_poll_init(loop, &poll, readable) < 0 || uv_poll_start(&poll, UV_READABLE, on_readable) < 0)
		return NO_LOOP;
	timer.data = poll.data = &seen;
	uv_run(loop, UV_RUN_DEFAULT);
	return seen == 2 ? 0 : NO_EVENT;
}

static int shake_hands(struct meeting *meeting)
{
	struct view got;
	struct tls_proof proof;
	meeting_shake(meeting);
	if (meeting->server_result < 0 || meeting->client_result < 0 || tls_proof(meeting->server, &proof) < 0)
		return NO_HANDSHAKE;
	tls_proof_release(meeting->server);
	tls_accept(meeting->server);
	if (gnutls_record_send(meeting->client, "hello", 5) != 5 || tls_read(meeting->server, &got) < 0 || got.size != 5)
		return NO_BYTES;
	return tls_write(meeting->server, view_string("answer")) < 0 || tls_flush(meeting->server) < 0 ? NO_BYTES : 0;
}

/* A socket comes over an edge, as a tunnel's does, and carries bytes. */
static int take_descriptor(const int edge[2], const int tunnel[2])
{
	uint8_t space[4096];
	struct edge_frame frame;
	if (WIRE_SEND(edge[0], worker_broker, opened, tunnel[0], .request = 1) < 0 ||
	    wire_receive(edge[1], space, sizeof(space), &frame) < 0 || frame.fd < 0)
		return NO_DESCRIPTOR;
	char byte = 0;
	if (write(tunnel[1], "x", 1) != 1 || read(frame.fd, &byte, 1) != 1 || shutdown(frame.fd, SHUT_WR) < 0)
		return NO_DESCRIPTOR;
	return close(frame.fd);
}

static int work(struct meeting *meeting, const int edge[2], const int tunnel[2], const int ready[2])
{
	uv_loop_t loop;
	struct diag diag;
	if (uv_loop_init(&loop) < 0)
		return NO_LOOP;
	if (worker_walls_tighten(&worker_filter, &diag) < 0)
		return NO_TIGHTENING;
	log_notice("a worker behind its walls");
	int result = run_loop(&loop, ready[0]);
	if (result == 0)
		result = shake_hands(meeting);
	if (result == 0)
		result = take_descriptor(edge, tunnel);
	return result == 0 ? uv_loop_close(&loop) : result;
}

/* The template: locks its door, forks one worker and sees its end by a pidfd; the worker writes its result. */
static int be_template(struct meeting *meeting, const int edge[2], const int tunnel[2], const int ready[2], int result)
{
	struct jail walls = template_walls;
	struct jail_missing missing;
	struct diag diag;
	walls.identity = "64109";
	if (jail_build(&walls, &missing, &diag) < 0)
		return LOCKED_OUT;
	pid_t pid = fork();
	if (pid == 0) {
		uint8_t answer = (uint8_t)work(meeting, edge, tunnel, ready);
		_exit(write(result, &answer, 1) == 1 ? 0 : 1);
	}
	int handle = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = handle, .events = POLLIN};
	return handle < 0 || poll(&ended, 1, 20000) != 1 ? LOCKED_OUT : 0;
}

static void test_E1_worker_can_do_its_work(void **state)
{
	(void)state;
	int edge[2], tunnel[2], ready[2], result[2], status = 0;
	uint8_t answer = 255;
	struct meeting meeting;
	struct diag diag;
	if (geteuid() != 0)
		skip();
	assert_int_equal(wire_pair(edge), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, tunnel), 0);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(result), 0);
	assert_int_equal(write(ready[1], "x", 1), 1);
	assert_int_equal(filter_compile(&worker_calls, &worker_filter, &diag), 0);
	meeting_init(&meeting, &world, &world.device, NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(be_template(&meeting, edge, tunnel, ready, result[1]));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(result[1]);
	assert_int_equal(status, 0);
	/* No answer: the worker was killed by its filter (the kernel's audit log names the call). */
	assert_int_equal(read(result[0], &answer, 1), 1);
	assert_int_equal(answer, 0);
	meeting_fini(&meeting);
	filter_fini(&worker_filter);
}

static int set_up(void **state)
{
	(void)state;
	log_open("test", LOG_LEVEL_NOTICE);
	world_init(&world);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_E1_worker_can_do_its_work)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
