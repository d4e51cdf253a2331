/* connection.h: the one connection to the gateway: dial, TLS, HTTP/2, and why it ended.
 *
 * Requests and tunnels are streams on it; each brings its own handlers (struct stream). What they leave to
 * be sent is sent once per turn of the loop, before it sleeps. When the
 * connection is over, every stream has been told before on_change is.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include <uv.h>

#include "device.h"
#include "sallyport/h2.h"

/* What the gateway may send ahead on one stream at first. */
enum { CONNECTION_WINDOW_BYTES = 1024 * 1024 };

enum connection_state {
	CONNECTION_DIALING,
	CONNECTION_HANDSHAKE,
	CONNECTION_OPEN, /* requests may be sent; a refusal of the device may still come */
	CONNECTION_OVER,
};

struct connection;

/* What a stream does with its events; see h2.h for their meaning. */
struct stream;
struct stream_handlers {
	void (*on_response)(struct stream *stream, const struct http_response *response);
	void (*on_data)(struct stream *stream, struct view bytes);
	void (*on_finish)(struct stream *stream);
	int (*on_read)(struct stream *stream, uint8_t *into, size_t capacity); /* tunnels only */
	void (*on_closed)(struct stream *stream, enum h2_code code, bool by_peer);
};

/* Embedded by api and tunnel. Its memory must stay until on_closed or connection_forget. */
struct stream {
	const struct stream_handlers *handlers;
	struct connection *connection;
	struct h2_stream *h2; /* NULL before connection_request and after on_closed */
	bool background;      /* set before connection_request: it keeps no connection alive, and is not counted */
	bool answered;        /* connection's: on_response has come */
	struct stream *previous, *next; /* connection's list of all */
};

/* The connection has become open, or is over. It may be closed from inside. */
typedef void (*connection_change_handler)(struct connection *connection, void *owner);

/* Begins. STATUS_UNREACHABLE with a sentence when it cannot even begin; on_change is not called then. */
[[nodiscard]] int connection_start(uv_loop_t *loop, const struct settings *settings, const struct device *device,
				   connection_change_handler on_change, void *owner, struct connection **out_connection,
				   struct diag *diag);
enum connection_state connection_state(const struct connection *connection);
/* When it is over: the status with which the program should end, and the sentence. STATUS_OK when the gateway
 * closed it in good order. */
int connection_ending(const struct connection *connection, struct diag *out_diag);
/* When it is over: the streams that were open at that moment, without those in the background. */
size_t connection_streams_cut(const struct connection *connection);
/* True while new streams can be opened. */
bool connection_takes_requests(const struct connection *connection);

/* Opens a stream; `stream` has its handlers set. STATUS_UNREACHABLE with a sentence when the connection takes no
 * more. `authority` NULL: the gateway's own. */
[[nodiscard]] int connection_request(struct connection *connection, struct h2_request *request, struct stream *stream,
				     struct diag *diag);
/* h2_consume, h2_resume and h2_reset for that stream; harmless once it is closed. */
void connection_consumed(struct stream *stream, size_t size);
/* h2_widen for that stream. */
void connection_widen(struct stream *stream, uint32_t window_bytes);
/* The round trip to the gateway as the kernel sees it; 0: not known. */
uint64_t connection_round_trip_us(const struct connection *connection);
/* What the windows of all tunnels may still grow by (window.h). */
uint64_t *connection_spare_bytes(struct connection *connection);
void connection_resume(struct stream *stream);
void connection_reset(struct stream *stream, enum h2_code code);
/* The stream's owner goes away before on_closed: the stream is reset and nobody is told. */
void connection_forget(struct stream *stream);
/* "gw.corp.example:443" */
const char *connection_authority(const struct connection *connection);

/* When the gateway was last heard (clock_monotonic_ms). */
uint64_t connection_heard_ms(const struct connection *connection);
/* Asks the gateway for a sign of life. */
void connection_ping(struct connection *connection);
/* True when both leave this device by the same address: then the network has not changed between them. */
bool connection_same_address(const struct connection *connection, const struct connection *other);
/* A request waits for its answer. */
bool connection_is_awaited(const struct connection *connection);
/* The streams that are open now, without those in the background. */
size_t connection_stream_count(const struct connection *connection);

/* The connection no longer answers: requests that wait for their answer are told that it is lost, so that they can be
 * sent by another one; what has been answered stays. Not from inside a stream's handler. */
void connection_give_up_unanswered(struct connection *connection);

/* Ends in good order: everything for the gateway is delivered, then its end is awaited (for a bounded time);
 * on_change follows. Nothing may be requested any more. */
void connection_finish(struct connection *connection);
/* Ends at once and frees. NULL is allowed. Streams that are open are told before it returns; no handler of this
 * connection runs afterwards. Not from inside a stream's handler. */
void connection_close(struct connection *connection);

#endif
