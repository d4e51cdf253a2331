/* loop.c: the event loop of a command, and waiting on it in a straight line. */
#include "loop.h"

#include "signals.h"

/* Waking the loop is all that is needed: loop_wait looks itself. */
static void on_signal(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
	signals_caught();
}

/* What is sent before the loop sleeps may be what was waited for (a stream that ends with its last frame).
 * This handle was the first to be started, so it is the last to be called. */
static void on_look(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	if (loop->is_done && loop->is_done(loop->subject))
		uv_stop(&loop->uv);
}

static void on_limit(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	loop->out_of_time = true;
}

int loop_init(struct loop *loop, struct diag *diag)
{
	*loop = (struct loop){0};
	if (uv_loop_init(&loop->uv) < 0)
		return diag_set(diag, STATUS_FAILED, _("cannot make an event loop"));
	uv_timer_init(&loop->uv, &loop->limit);
	uv_prepare_init(&loop->uv, &loop->look);
	loop->limit.data = loop->look.data = loop;
	uv_prepare_start(&loop->look, on_look);
	if (uv_poll_init(&loop->uv, &loop->signals, signals_fd()) < 0 ||
	    uv_poll_start(&loop->signals, UV_READABLE, on_signal) < 0)
		return diag_set(diag, STATUS_FAILED, _("cannot watch for signals"));
	return STATUS_OK;
}

void loop_fini(struct loop *loop)
{
	uv_close((uv_handle_t *)&loop->signals, NULL);
	uv_close((uv_handle_t *)&loop->limit, NULL);
	uv_close((uv_handle_t *)&loop->look, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

static void turn(struct loop *loop, bool (*is_done)(const void *subject), const void *subject)
{
	loop->is_done = is_done;
	loop->subject = subject;
	uv_run(&loop->uv, UV_RUN_ONCE);
	loop->is_done = NULL;
}

int loop_wait(struct loop *loop, bool (*is_done)(const void *subject), const void *subject)
{
	while (!is_done(subject)) {
		if (signals_caught())
			return STATUS_SIGNAL;
		turn(loop, is_done, subject);
	}
	return STATUS_OK;
}

static bool is_out_of_time(const void *subject)
{
	const struct loop *loop = subject;
	return loop->out_of_time;
}

int loop_pause(struct loop *loop, uint64_t duration_ms)
{
	loop->out_of_time = false;
	uv_timer_start(&loop->limit, on_limit, duration_ms, 0);
	int status = loop_wait(loop, is_out_of_time, loop);
	uv_timer_stop(&loop->limit);
	return status;
}

bool loop_wait_briefly(struct loop *loop, uint64_t limit_ms, bool (*is_done)(const void *subject), const void *subject)
{
	loop->out_of_time = false;
	uv_timer_start(&loop->limit, on_limit, limit_ms, 0);
	while (!is_done(subject) && !loop->out_of_time)
		turn(loop, is_done, subject);
	uv_timer_stop(&loop->limit);
	return is_done(subject);
}
