/* pump.c: bytes between descriptors and one stream of a carrier. */
#include "sallyport/pump.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pump_batch.h"
#include "sallyport/fd.h"

enum pump_flag {
	WATCHES_IN = 1 << 0,    /* libuv was asked for readability */
	WATCHES_OUT = 1 << 1,
	TOLD_READY = 1 << 2,    /* `ready` was called and pump_read has not come yet */
	IN_DRAINED = 1 << 3,    /* the last read got all there was */
	IN_ENDED = 1 << 4,      /* the near side's FIN was told to the carrier */
	OUT_ENDING = 1 << 5,    /* the carrier's FIN waits behind what is kept */
	OUT_ENDED = 1 << 6,     /* FIN went to the near side */
	NEAR_FIRST = 1 << 7,    /* the near side finished first */
	IN_DIRECT = 1 << 8,     /* a file: always readable, cannot be polled */
	OUT_DIRECT = 1 << 9,
	IS_SOCKET = 1 << 10,    /* out_fd */
	HAS_POLL = 1 << 11,     /* pump->poll is in use, not pump->idle */
	CLOSING = 1 << 12,
	CLOSED = 1 << 13,       /* the first handle is gone */
	READ_ANYHOW = 1 << 14,  /* a near side that takes no more is read all the same */
	OUT_DEAF = 1 << 15,     /* it takes no more */
};

enum { PENDING_MAX = 64 << 20, COMPACT_FROM = 65536 };

static void on_poll(uv_poll_t *handle, int status, int events);
static void on_out_poll(uv_poll_t *handle, int status, int events);

static bool is_set(const struct pump *pump, unsigned flag)
{
	return pump->flags & flag;
}

static void set(struct pump *pump, unsigned flag, bool on)
{
	pump->flags = on ? pump->flags | flag : pump->flags & ~flag;
}

static bool has_ended(const struct pump *pump)
{
	return pump->end != PUMP_RUNNING;
}

/* ---- watching ---- */

static void apply_watch(struct pump *pump)
{
	int in = is_set(pump, WATCHES_IN) ? UV_READABLE : 0, out = is_set(pump, WATCHES_OUT) ? UV_WRITABLE : 0;
	if (pump->out_poll && out)
		uv_poll_start(pump->out_poll, out, on_out_poll);
	else if (pump->out_poll)
		uv_poll_stop(pump->out_poll);
	int events = pump->out_poll ? in : in | out;
	if (!is_set(pump, HAS_POLL))
		return;
	if (events)
		uv_poll_start(&pump->poll, events, on_poll);
	else
		uv_poll_stop(&pump->poll);
}

static void watch(struct pump *pump, unsigned flag, bool on)
{
	unsigned direct = flag == WATCHES_IN ? IN_DIRECT : OUT_DIRECT;
	if (is_set(pump, flag) == on || is_set(pump, direct) || is_set(pump, CLOSING))
		return;
	set(pump, flag, on);
	apply_watch(pump);
}

/* ---- the end ---- */

/* Closing will send an RST, whatever is still unsent. */
static void arm_reset(const struct pump *pump)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	if (is_set(pump, IS_SOCKET))
		(void)setsockopt(pump->out_fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void end(struct pump *pump, enum pump_end reason)
{
	if (has_ended(pump) || is_set(pump, CLOSING))
		return;
	pump->end = reason;
	pump_batch_forget(pump);
	watch(pump, WATCHES_IN, false);
	watch(pump, WATCHES_OUT, false);
	buf_fini(&pump->pending);
	if (reason != PUMP_CLIENT_FIN && reason != PUMP_TARGET_FIN)
		arm_reset(pump);
	if (reason == PUMP_TARGET_RESET)
		pump->carrier->reset(pump);
	pump->carrier->ended(pump);
}

static void end_if_both_finished(struct pump *pump)
{
	if (is_set(pump, IN_ENDED) && is_set(pump, OUT_ENDED))
		end(pump, is_set(pump, NEAR_FIRST) ? PUMP_TARGET_FIN : PUMP_CLIENT_FIN);
}

/* ---- near side to carrier ---- */

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

static int near_finished(struct pump *pump)
{
	set(pump, IN_ENDED, true);
	set(pump, NEAR_FIRST, !is_set(pump, OUT_ENDING));
	watch(pump, WATCHES_IN, false);
	end_if_both_finished(pump);
	return 0;
}

int pump_read(struct pump *pump, uint8_t *into, size_t capacity)
{
	set(pump, TOLD_READY, false);
	if (has_ended(pump) && !is_set(pump, IN_ENDED))
		return ERR_BAD_PEER;
	if (is_set(pump, IN_ENDED))
		return 0;
	ssize_t size = -1;
	errno = EAGAIN;
	if (!is_set(pump, IN_DRAINED)) {
		do
			size = read(pump->in_fd, into, capacity);
		while (size < 0 && errno == EINTR);
	}
	if (size > 0) {
		pump->bytes_from_near += (uint64_t)size;
		/* Less than asked for is all there was: the next call need not ask the system. */
		set(pump, IN_DRAINED, (size_t)size < capacity && !is_set(pump, IN_DIRECT));
		return (int)size;
	}
	set(pump, IN_DRAINED, false);
	if (size == 0)
		return near_finished(pump);
	if (would_block()) {
		watch(pump, WATCHES_IN, true);
		return ERR_AGAIN;
	}
	end(pump, PUMP_TARGET_RESET);
	return ERR_BAD_PEER;
}

/* A carrier that has no room leaves `ready` without an answer; only a second event stops the watching, so
 * that the usual turn (event, read, again watching) costs no system call. */
static void on_readable(struct pump *pump)
{
	set(pump, IN_DRAINED, false);
	if (is_set(pump, TOLD_READY)) {
		watch(pump, WATCHES_IN, false);
		return;
	}
	set(pump, TOLD_READY, true);
	pump->carrier->ready(pump);
}

/* ---- carrier to near side ---- */

static ssize_t write_near(const struct pump *pump, struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
	ssize_t size;
	do
		size = is_set(pump, IS_SOCKET) ? sendmsg(pump->out_fd, &message, MSG_NOSIGNAL)
					       : writev(pump->out_fd, parts, count);
	while (size < 0 && errno == EINTR);
	return size;
}

/* FIN. What is no socket can only be closed as a whole. */
static void finish_near(struct pump *pump)
{
	set(pump, OUT_ENDED, true);
	if (is_set(pump, IS_SOCKET))
		(void)shutdown(pump->out_fd, SHUT_WR);
	else if (pump->out_fd != pump->in_fd) {
		watch(pump, WATCHES_OUT, false);
		close(pump->out_fd);
		pump->out_fd = -1;
	}
	end_if_both_finished(pump);
}

/* Takes `size` bytes from the front of the parts. */
static void advance(struct iovec *parts, int count, size_t size)
{
	for (int i = 0; i < count && size; i++) {
		size_t part = size < parts[i].iov_len ? size : parts[i].iov_len;
		parts[i].iov_base = (uint8_t *)parts[i].iov_base + part;
		parts[i].iov_len -= part;
		size -= part;
	}
}

static size_t size_of(const struct iovec *parts, int count)
{
	size_t size = 0;
	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

/* Nobody takes the rest. What the near side has said before is still to be read, and so is its end. */
static size_t drop(struct pump *pump, struct iovec *parts, int count)
{
	size_t size = size_of(parts, count);
	advance(parts, count, size);
	set(pump, OUT_DEAF, true);
	return size;
}

/* Returns how many bytes left, and leaves the others in the parts; ends the pump when the near side is gone. */
static size_t push(struct pump *pump, struct iovec *parts, int count)
{
	size_t done = 0;
	for (;;) {
		while (count && !parts->iov_len)
			parts++, count--;
		if (!count)
			break;
		if (is_set(pump, OUT_DEAF))
			return drop(pump, parts, count);
		ssize_t size = write_near(pump, parts, count);
		if (size < 0 && would_block())
			break;
		if (size < 0 && is_set(pump, READ_ANYHOW)) {
			pump->bytes_to_near += done;
			return done + drop(pump, parts, count);
		}
		if (size < 0) {
			end(pump, PUMP_TARGET_RESET);
			return done;
		}
		advance(parts, count, (size_t)size);
		done += (size_t)size;
	}
	pump->bytes_to_near += done;
	return done;
}

static void keep(struct pump *pump, const struct iovec *parts, int count)
{
	for (int i = 0; i < count; i++) {
		if (!parts[i].iov_len)
			continue;
		if (buf_add(&pump->pending, view_of(parts[i].iov_base, parts[i].iov_len)) < 0) {
			end(pump, PUMP_TARGET_RESET); /* no memory, or a carrier that keeps no bounds */
			return;
		}
		watch(pump, WATCHES_OUT, true);
	}
}

static void write_now(struct pump *pump, struct iovec *parts, int count)
{
	size_t done = pump->pending.size ? 0 : push(pump, parts, count);
	if (has_ended(pump))
		return;
	keep(pump, parts, count);
	if (done && !has_ended(pump))
		pump->carrier->consumed(pump, done);
}

/* ---- gathering (pump_batch.h) ---- */

/* So much of one pump is worth a system call of its own. */
enum { HELD_ENOUGH = 65536, HELD_PARTS = 32 };
static bool holding;

static void write_held(struct pump *pump)
{
	struct iovec parts[HELD_PARTS];
	int count;
	while (!has_ended(pump) && (count = pump_batch_take(pump, parts, HELD_PARTS)) > 0)
		write_now(pump, parts, count);
}

static void write_all_held(void)
{
	struct pump *pump;
	while ((pump = pump_batch_next()) != NULL)
		write_held(pump);
}

static void hold(struct pump *pump, struct view bytes)
{
	bool held = pump_batch_add(pump, bytes);
	if (!held) {
		write_all_held();
		/* Writing may have ended this very pump. */
		held = has_ended(pump) || pump_batch_add(pump, bytes);
	}
	assert(held);
	if (pump->held_bytes >= HELD_ENOUGH)
		write_held(pump);
}

void pump_hold(void)
{
	holding = true;
}

void pump_release(void)
{
	holding = false;
	write_all_held();
}

void pump_trim(void)
{
	pump_batch_trim();
}

void pump_write(struct pump *pump, struct view bytes)
{
	if (has_ended(pump) || is_set(pump, OUT_ENDING | CLOSING))
		return;
	if (holding && bytes.size <= HELD_ENOUGH && !pump->pending.size) {
		hold(pump, bytes);
		return;
	}
	write_held(pump);
	struct iovec part = {(void *)bytes.data, bytes.size};
	if (!has_ended(pump))
		write_now(pump, &part, 1);
}

static void forget_pushed(struct pump *pump, size_t done)
{
	pump->pending_start += done;
	if (pump->pending_start == pump->pending.size) {
		buf_fini(&pump->pending);
		pump->pending_start = 0;
		watch(pump, WATCHES_OUT, false);
	} else if (pump->pending_start >= COMPACT_FROM && pump->pending_start * 2 >= pump->pending.size) {
		buf_consume(&pump->pending, pump->pending_start);
		pump->pending_start = 0;
	}
}

static void on_writable(struct pump *pump)
{
	struct iovec kept = {pump->pending.data + pump->pending_start, pump->pending.size - pump->pending_start};
	size_t done = push(pump, &kept, 1);
	if (has_ended(pump))
		return;
	forget_pushed(pump, done);
	bool finish = pump->pending.size == 0 && is_set(pump, OUT_ENDING) && !is_set(pump, OUT_ENDED);
	if (done)
		pump->carrier->consumed(pump, done);
	if (finish && !has_ended(pump))
		finish_near(pump);
}

size_t pump_pending(const struct pump *pump)
{
	return pump->pending.size - pump->pending_start;
}

void pump_finish(struct pump *pump)
{
	write_held(pump);
	if (has_ended(pump) || is_set(pump, OUT_ENDING | CLOSING))
		return;
	set(pump, OUT_ENDING, true);
	if (!pump->pending.size)
		finish_near(pump);
}

/* ---- events ---- */

/* libuv stops a handle whose descriptor is in error; reading and writing will say what it is. */
static void on_error(struct pump *pump)
{
	set(pump, pump->out_poll ? WATCHES_IN : WATCHES_IN | WATCHES_OUT, false);
	if (is_set(pump, IN_ENDED)) {
		end(pump, PUMP_TARGET_RESET);
		return;
	}
	set(pump, IN_DRAINED, false);
	if (!is_set(pump, TOLD_READY)) {
		set(pump, TOLD_READY, true);
		pump->carrier->ready(pump);
	}
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct pump *pump = handle->data;
	if (status < 0) {
		on_error(pump);
		return;
	}
	if (events & UV_WRITABLE)
		on_writable(pump);
	if (events & UV_READABLE && !has_ended(pump) && !is_set(pump, CLOSING) && is_set(pump, WATCHES_IN))
		on_readable(pump);
}

static void on_out_poll(uv_poll_t *handle, int status, int events)
{
	struct pump *pump = handle->data;
	(void)events;
	if (status < 0) {
		set(pump, WATCHES_OUT, false);
		end(pump, PUMP_TARGET_RESET);
	} else
		on_writable(pump);
}

void pump_carrier_reset(struct pump *pump)
{
	end(pump, PUMP_CLIENT_RESET);
}

void pump_carrier_lost(struct pump *pump)
{
	end(pump, PUMP_CONNECTION_LOST);
}

void pump_settle(struct pump *pump)
{
	end(pump, PUMP_TARGET_FIN);
}

void pump_read_to_the_end(struct pump *pump)
{
	set(pump, READ_ANYHOW, true);
}

void pump_abort(struct pump *pump)
{
	end(pump, PUMP_ENDED);
}

/* ---- life ---- */

/* uv_poll_init: 0, or UV_EPERM for a file. */
static int start_poll(uv_loop_t *loop, uv_poll_t *poll, int fd, struct pump *pump, unsigned direct)
{
	int result = uv_poll_init(loop, poll, fd);
	poll->data = pump;
	if (result == UV_EPERM) {
		set(pump, direct, true);
		return 0;
	}
	return result < 0 ? ERR_SYSTEM : 1;
}

static int start_out_poll(struct pump *pump, uv_loop_t *loop)
{
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	int result = poll ? start_poll(loop, poll, pump->out_fd, pump, OUT_DIRECT) : ERR_SYSTEM;
	if (result == 1)
		pump->out_poll = poll;
	else
		free(poll);
	return result;
}

static int prepare(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* what is no TCP socket has none */
	return fd_set_nonblocking(fd);
}

int pump_start(struct pump *pump, uv_loop_t *loop, int in_fd, int out_fd, const struct pump_carrier *carrier,
	       void *owner)
{
	*pump = (struct pump){.owner = owner, .carrier = carrier, .in_fd = in_fd, .out_fd = out_fd,
			      .pending = BUF_INIT(PENDING_MAX)};
	int type;
	socklen_t size = sizeof(type);
	set(pump, IS_SOCKET, getsockopt(out_fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0);
	if (prepare(in_fd) < 0 || (out_fd != in_fd && prepare(out_fd) < 0))
		return ERR_SYSTEM;
	int out = out_fd == in_fd ? 0 : start_out_poll(pump, loop);
	if (out < 0)
		return out;
	int in = start_poll(loop, &pump->poll, in_fd, pump, out_fd == in_fd ? IN_DIRECT | OUT_DIRECT : IN_DIRECT);
	if (in < 0) {
		if (pump->out_poll)
			uv_close((uv_handle_t *)pump->out_poll, (uv_close_cb)free);
		return in;
	}
	set(pump, HAS_POLL, in == 1);
	if (!in) {
		uv_idle_init(loop, &pump->idle); /* something to close */
		pump->idle.data = pump;
	}
	if (is_set(pump, IN_DIRECT)) {
		set(pump, TOLD_READY, true);
		carrier->ready(pump);
	} else
		watch(pump, WATCHES_IN, true);
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct pump *pump = handle->data;
	if (handle == (uv_handle_t *)pump->out_poll) {
		free(pump->out_poll);
		pump->out_poll = NULL;
	} else
		set(pump, CLOSED, true);
	if (!pump->out_poll && is_set(pump, CLOSED) && pump->on_closed)
		pump->on_closed(pump);
}

void pump_close(struct pump *pump, pump_closed_handler on_closed)
{
	if (is_set(pump, CLOSING))
		return;
	set(pump, CLOSING, true);
	pump_batch_forget(pump);
	pump->on_closed = on_closed;
	buf_fini(&pump->pending);
	uv_close((uv_handle_t *)&pump->poll, on_handle_closed);
	if (pump->out_poll)
		uv_close((uv_handle_t *)pump->out_poll, on_handle_closed);
	close(pump->in_fd);
	if (pump->out_fd >= 0 && pump->out_fd != pump->in_fd)
		close(pump->out_fd);
}

const char *pump_end_name(enum pump_end end_)
{
	static const char *const names[] = {
		[PUMP_RUNNING] = "running",
		[PUMP_CLIENT_FIN] = "client_fin",
		[PUMP_TARGET_FIN] = "target_fin",
		[PUMP_CLIENT_RESET] = "client_reset",
		[PUMP_TARGET_RESET] = "target_reset",
		[PUMP_CONNECTION_LOST] = "connection_lost",
		[PUMP_ENDED] = "ended",
	};
	return names[end_];
}
