/* worker.h: the parts of one worker, and what they ask of one another.
 *
 * main.c          the template: initialises once, forks workers
 * forked.c        a worker's life: its edges, its loop, its end
 * client.c        the one client: handshake, proof, acceptance, bytes, time limits
 * remote_key.c    signature and device proof, by the signer
 * http1_side.c, http2_side.c   requests out of bytes, answers into bytes
 * exchange.c      one request, whatever the HTTP version: head, body, service, end
 * routes.c        which paths there are, and what each asks of the broker
 * problem_page.c  a refusal as a page, for a person with a browser
 * answer.c        its one answer: heads, JSON, problems, the cookie
 * enrolment.c     EST: authorities, first certificate, renewal
 * portal.c        the portal: a page for browsers, and its assets
 * tunnel.c        CONNECT, from the broker's socket to the last byte
 * forward.c, forward_answer.c   requests for plain pages, carried to their target, and what it answers
 * shaper.c        tunnels that share a bandwidth
 * feed.c          events of a session, as long as it lives
 * self_service.c  a user's own devices and second factor; QR pictures
 * broker_edge.c   what the broker answers and orders
 * pac.c           the script that leads browsers
 * browser.c       what browsers say of a request, and their cookie, as pure functions
 * request.c       strangers' text, as pure functions (JSON, authorization)
 */
#ifndef SALLYPORT_WORKER_WORKER_H
#define SALLYPORT_WORKER_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "browser.h"
#include "sallyport/conf.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/h2.h"
#include "sallyport/http1.h"
#include "sallyport/link.h"
#include "sallyport/pump.h"
#include "sallyport/tls.h"
#include "sallyport/window.h"

struct exchange;
struct filter;
struct forward;
struct shaped;
struct worker;

/* ---- tunnels ---- */

/* What an HTTP/2 stream belongs to: these structs begin with it. */
enum stream_kind { STREAM_EXCHANGE, STREAM_TUNNEL, STREAM_FEED };

struct tunnel {
	enum stream_kind kind;
	LIST_ENTRY(tunnel) all;
	struct worker *worker;
	uint64_t id, session;
	struct h2_stream *stream; /* NULL: the whole connection, after an HTTP/1.1 CONNECT */
	struct forward *forward;  /* it carries one request; NULL: whatever the client sends */
	char ordered[33];         /* the broker's reason, or our own, when it ended by order; else empty */
	struct shaped *shaped;    /* its part in a limited bandwidth; NULL: no limit */
	struct window window;     /* what its client may send ahead */
	struct pump pump;
};

/* ---- feeds of events ---- */

struct feed {
	enum stream_kind kind;
	LIST_ENTRY(feed) all;
	struct worker *worker;
	uint32_t number;          /* of its request */
	struct h2_stream *stream; /* NULL: the rest of an HTTP/1.1 connection */
	struct buf unread;
	bool over; /* no more events: what is unread goes out, then the stream ends */
};

/* ---- requests ---- */

struct route;

struct exchange {
	enum stream_kind kind;
	LIST_ENTRY(exchange) all;
	struct worker *worker;
	uint32_t number;
	const struct route *route; /* NULL: refused before it was served */
	struct h2_stream *stream;  /* NULL on HTTP/1.1 */
	struct forward *forward;   /* it is carried to a target; NULL: it is for us */
	uint64_t deadline_ms;      /* until the request must be whole; 0: it is, or it need not be */
	uint64_t answer_by_ms;     /* until its target must have begun to answer; 0: no such limit */
	char token[WORKER_BROKER_TOKEN_MAX + 1];
	bool by_cookie;            /* that came in the browser's cookie */
	char set_cookie[256];      /* of the answer; empty: none. A secret */
	char user[257];            /* of Basic */
	char conversation[WORKER_BROKER_CONVERSATION_MAX + 1];
	char authority[BROWSER_HOST_MAX + 9]; /* by which the client calls the gateway; empty: too long to be one */
	char key_store[17];        /* renewal, enrolment: where the laptop says that its key lives */
	struct buf body;
	bool has_body;
	bool answered, is_last; /* is_last: HTTP/1.1 ends with this answer */
	bool refused;           /* by the worker itself: the answer waits for the record */
	char allow[64];         /* of 405 */
	bool is_login;   /* about a login: the broker is told when its client is gone */
	bool is_head;    /* HEAD: no answer has a body */
	bool is_connect; /* CONNECT; with is_open the broker was asked */
	bool is_open;
	bool is_feed;
	bool is_script;  /* resources are wanted as a script for the browser */
	bool wants_list; /* of revoked certificates */
	bool wants_page; /* it is a browser that asks: HTML rather than JSON */
	bool shows_cookie; /* of the portal */
	json_t *items; /* messages or resources that came before their end */
	uint64_t asked; /* how many messages the broker had been sent with its question; 0: it was not asked */
};

/* ---- the client ---- */

enum client_state {
	CLIENT_NONE,      /* a spare worker: nobody yet */
	CLIENT_PROXIED,   /* a trusted sender says where the client is, and the monitor whether it is welcome */
	CLIENT_HANDSHAKE, /* door one is being tried */
	CLIENT_PROVING,   /* the broker is asked */
	CLIENT_REFUSED,   /* the alert waits until the refusal is recorded */
	CLIENT_OPEN,      /* requests are served */
	CLIENT_ENDING,    /* the last bytes go out, input is dropped */
	CLIENT_OVER,      /* gone; what it sent before its end still drains into its targets */
};

struct client {
	enum client_state state;
	int fd;
	uint8_t listener; /* enum monitor_room_listener: main, or enrolment */
	bool returning;   /* its certificate has expired: login and renewal only */
	bool host;        /* of the inside: presence and renewal only */
	struct buf proxy_head; /* what was read of it */
	struct tls *tls;
	uv_poll_t poll;
	uv_prepare_t turn;  /* once per round of the loop: output, one flush */
	uv_idle_t more;     /* TLS holds decrypted bytes that no descriptor tells of */
	uv_timer_t timer;
	int events;         /* that are being watched */
	uint64_t timer_ms;  /* when the timer is due; 0: it is not running */
	uint64_t begun_ms, active_ms, closing_ms; /* closing_ms: since when closing_after holds */
	char connection[33], device[65];
	struct h2 *h2;
	struct http1 *http1;
	struct exchange *current; /* HTTP/1.1: the request at hand */
	struct tunnel *whole;     /* HTTP/1.1: the connection is this tunnel */
	struct tunnel *forwarding; /* HTTP/1.1: the request at hand goes this way */
	struct feed *feed;        /* HTTP/1.1: the connection's last answer, which goes on */
	struct buf unread;        /* HTTP/1.1: input that waits for the request before it */
	uint64_t unread_since_ms; /* HTTP/1.1: a head is on its way since */
	bool input_paused, closing_after; /* closing_after: when the output is gone */
	bool trimmed; /* memory that moving bytes needed was given back */
	uint64_t requests;
};

struct worker {
	uv_loop_t *loop;
	const struct conf *conf;
	const struct tls_credentials *credentials;
	struct view authorities; /* EST's cacerts, base64: made by the template */
	struct view certificate; /* the gateway's own (DER): which names are its */
	struct link monitor, broker;
	int signer;
	struct client client;
	LIST_HEAD(, exchange) exchanges; /* newest first */
	unsigned exchange_count;
	LIST_HEAD(, tunnel) tunnels;
	LIST_HEAD(, forward) waiting; /* HTTP/2: requests whose target has not begun to answer */
	unsigned tunnel_count;
	uint64_t spare_bytes; /* what the windows of all tunnels may still grow by */
	LIST_HEAD(, feed) feeds;
	uv_timer_t handover; /* runs while the gateway is restarted */
	uint64_t taken;      /* messages that former brokers took */
	bool overdue;
};

/* ---- forked.c ---- */
/* Lives as a worker until the client is gone; never returns. */
struct inheritance {
	const struct conf *conf;
	const struct tls_credentials *credentials;
	struct view authorities; /* base64 of a certs-only message: what EST's cacerts answers */
	struct view certificate; /* the gateway's own (DER) */
	const struct filter *calls;
};
[[noreturn]] void forked_live(int monitor, const struct inheritance *inheritance);
/* Ends the process: it is the unit of failure. */
[[noreturn]] void worker_end(int status);

/* ---- client.c ---- */
/* proxied: the head of the PROXY protocol stands before the handshake. */
struct client_arrival {
	int fd;
	uint8_t listener;
	bool proxied;
};
void client_begin(struct worker *worker, const struct client_arrival *arrival);
/* The client behind the sender may come. */
void client_welcome(struct worker *worker);
void client_accepted(struct worker *worker, const struct worker_broker_accepted *accepted);
void client_rejected(struct worker *worker, struct view code);
/* The connection is no more: tunnels end, but those whose client had finished them drain first. */
void client_over(struct worker *worker);
/* Input may be read again, and TLS may hold some already. */
void client_more(struct worker *worker);
/* Stops serving: GOAWAY or the end of HTTP/1.1, what is ready goes out, then the process ends. */
void client_close(struct worker *worker);

/* ---- remote_key.c ---- */
/* tls_sign_handler; owner is the worker. */
[[nodiscard]] int remote_key_sign(void *owner, const struct tls_signing *signing, struct buf *out_signature);
/* Hands the proof to the signer and waits until it is kept. */
[[nodiscard]] int remote_key_prove(struct worker *worker, const struct tls *tls);

/* ---- broker_edge.c ---- */
void broker_edge_take(struct link *link, struct edge_frame *frame);

/* ---- http2_side.c ---- */
[[nodiscard]] int http2_begin(struct worker *worker);
/* Moves what is ready into TLS; ERR_AGAIN when TLS is full, 0 when nothing is left. */
[[nodiscard]] int http2_output(struct worker *worker);

/* ---- http1_side.c ---- */
[[nodiscard]] int http1_begin(struct worker *worker);
void http1_input(struct worker *worker, struct view bytes);
/* The peer ended its direction. */
void http1_finish(struct worker *worker);
/* Goes on with input that waited for an answer. */
void http1_continue(struct worker *worker);
/* The connection becomes this tunnel. */
void http1_become_tunnel(struct worker *worker, struct tunnel *tunnel);
/* The request at hand has a way, for its body to go. Its answer is out: the next one. */
void http1_begin_forwarding(struct worker *worker, struct tunnel *tunnel);
void http1_end_forwarding(struct worker *worker);
[[nodiscard]] int http1_output(struct worker *worker);

/* ---- exchange.c ---- */
/* A request head. The exchange has been answered already when it was refused. NULL without memory. */
struct exchange *exchange_begin(struct worker *worker, struct h2_stream *stream, const struct http_request *request);
void exchange_body(struct exchange *exchange, struct view bytes);
/* The request is whole: serve it. */
void exchange_whole(struct exchange *exchange);
/* The client no longer waits. The exchange is gone afterwards. */
void exchange_gone(struct exchange *exchange);
/* Refuses those that a broker which is gone had taken with the first `taken` messages, and will not answer. */
void exchange_forsaken(struct worker *worker, uint64_t taken);
/* NULL when there is none (any more). */
struct exchange *exchange_find(struct worker *worker, uint32_t number);
/* What the broker is asked for this exchange. */
#define EXCHANGE_ASK(exchange, name, ...)                                                                           \
	((void)LINK_SEND(&(exchange)->worker->broker, worker_broker, name, -1, .request = (exchange)->number, __VA_ARGS__), \
	 (exchange)->asked = (exchange)->worker->broker.sent)
/* A refusal of the worker's own: it goes to the broker, and the answer out when it is recorded. */
void exchange_refuse(struct exchange *exchange, unsigned status, const char *code, const char *sentence);

/* Asks the broker for a way to a target, for whoever the authorization says; `opened` answers, or a problem. */
struct exchange_target {
	char host[256];
	uint16_t port;
	enum worker_broker_form form;
};
void exchange_open(struct exchange *exchange, struct view proxy_authorization, const struct exchange_target *target);

/* ---- answer.c ---- */
/* Adds what stands in every answer of ours behind `count` headers, which leave room for it; returns how many there are. */
enum { ANSWER_COMMON_HEADERS = 4 };
size_t answer_add_common(struct http_header *headers, size_t count);
/* Before the answer: that it sets the session's cookie; that it deletes the one by which the request came, if it did. */
void exchange_grant_cookie(struct exchange *exchange, struct view token);
void exchange_drop_cookie(struct exchange *exchange);
/* A whole answer. `headers` besides content-type. */
void exchange_answer(struct exchange *exchange, unsigned status, json_t *json);
void exchange_empty(struct exchange *exchange, unsigned status);
/* A whole answer of another type; retry_after_s 0: no such header. */
struct exchange_text {
	const char *content_type;
	struct view body;
	unsigned retry_after_s;
	bool is_base64;
};
void exchange_text(struct exchange *exchange, unsigned status, const struct exchange_text *text);
/* A whole answer with headers of its own. */
void exchange_bytes(struct exchange *exchange, const struct http_header *headers, size_t count, struct view body);
struct exchange_problem {
	unsigned status;
	const char *code;
	const char *sentence;
	unsigned retry_after_s;
};
/* A refusal that is recorded: the broker's own, or one of the worker's that it has committed. */
void exchange_problem(struct exchange *exchange, const struct exchange_problem *problem);

/* ---- enrolment.c: EST (RFC 7030) ---- */
void enrolment_authorities(struct exchange *exchange);
void enrolment_enroll(struct exchange *exchange);
void enrolment_renew(struct exchange *exchange);
void enrolment_revocations(struct exchange *exchange);
/* The broker's answers. */
void enrolment_certificate(struct exchange *exchange, struct view certificate);
void enrolment_revocation_list(struct exchange *exchange, int list, uint32_t size);
void enrolment_pending(struct exchange *exchange, uint32_t retry_after_s);

/* ---- portal.c ---- */
void portal_front(struct exchange *exchange);
void portal_style(struct exchange *exchange);
void portal_script(struct exchange *exchange);
void portal_icon(struct exchange *exchange);

/* ---- pac.c: GET /proxy.pac ---- */
void pac_ask(struct exchange *exchange);
/* The broker's answer, an array of resources. */
void pac_answer(struct exchange *exchange, const json_t *resources);

/* ---- tunnel.c ---- */
/* The broker has opened it: answer 200, move bytes. The descriptor is taken over. */
struct tunnel_opening {
	uint64_t id, session;
	uint64_t rate_group, rate; /* bytes a second that it shares with others of the group; 0: no limit */
	int fd;
};
void tunnel_open(struct exchange *exchange, const struct tunnel_opening *opening);
/* What the client is to have, and what it sends; the same meanings as the pump's. */
int tunnel_read(struct tunnel *tunnel, uint8_t *into, size_t capacity);
void tunnel_write(struct tunnel *tunnel, struct view bytes);
void tunnel_finish(struct tunnel *tunnel);
/* From the target and to it, as it is: at once, or as the limit allows. */
int tunnel_pull(struct tunnel *tunnel, uint8_t *into, size_t capacity);
void tunnel_push(struct tunnel *tunnel, struct view bytes);
size_t tunnel_pending(const struct tunnel *tunnel);
/* The target has something to say, or may say it now: reading goes on. */
void tunnel_wake(struct tunnel *tunnel);
/* HTTP/1.1: when nothing is pending any more, the client may send again. */
void tunnel_go_on(struct tunnel *tunnel);
/* HTTP/1.1 has no reset of its own: the connection's, which comes with the end of the process, stands for it. */
void tunnel_reset_connection(const struct client *client);
/* Nobody waits for it any more. */
void tunnel_unwanted(struct worker *worker, uint64_t id, int fd);
/* The HTTP/2 stream is gone. */
void tunnel_stream_closed(struct tunnel *tunnel, enum h2_code code, bool by_peer);
/* Closes those of a session (0: of every one), or a single one (id not 0). Returns how many. */
unsigned tunnel_close_all(struct worker *worker, uint64_t session, uint64_t id, const char *reason);
/* NULL when there is none. */
struct tunnel *tunnel_find(struct worker *worker, uint64_t id);

/* ---- forward.c ---- */
/* A request of scheme http: asks the broker for a way to its target. */
void forward_ask(struct exchange *exchange, const struct http_request *request);
/* There is one. */
void forward_begin(struct exchange *exchange, struct tunnel *tunnel);
/* Of its body; all of it has come. */
void forward_body(struct forward *forward, struct view bytes);
void forward_whole(struct forward *forward);
bool forward_is_whole(const struct forward *forward);
/* More of its body may come now. */
bool forward_takes_body(const struct forward *forward);
/* So many bytes have left for the target; how many of them count in the client's window. */
size_t forward_consumed(struct forward *forward, size_t size);
/* Its tunnel has ended. True: the connection must be reset (tunnel_reset_connection was called). */
[[nodiscard]] bool forward_ended(struct tunnel *tunnel);
/* Its target has not begun to answer in time. */
void forward_late(struct exchange *exchange);
/* The exchange is answered by us; its stream is gone; it is freed. */
void forward_refused(struct exchange *exchange);
void forward_stream_closed(struct exchange *exchange, enum h2_code code, bool by_peer);
void forward_gone(struct exchange *exchange);

/* ---- forward_answer.c ---- */
void forward_wake(struct forward *forward);
/* HTTP/2: once a turn, heads of answers. */
void forward_turn(struct worker *worker);
/* HTTP/2: the answer's body, as h2's on_read. `forward` is gone after its end. */
int forward_read(struct forward *forward, uint8_t *into, size_t capacity);
/* HTTP/1.1: as http1_output, for client->forwarding. */
[[nodiscard]] int forward_output(struct worker *worker, uint8_t *space, size_t capacity);

/* ---- feed.c ---- */
/* An event for a feed, or the first one, which makes a feed of its exchange. ERR_BAD_PEER for what is no event. */
[[nodiscard]] int feed_event(struct worker *worker, const struct worker_broker_event *event);
/* As h2's on_read. */
int feed_read(struct feed *feed, uint8_t *into, size_t capacity);
/* The client no longer listens; frees it. */
void feed_gone(struct feed *feed);

/* ---- shaper.c: only for tunnels with a limit (tunnel->shaped) ---- */
/* ERR_SYSTEM without memory. */
[[nodiscard]] int shaper_join(struct tunnel *tunnel, uint64_t group, uint64_t rate);
/* NULL-safe: also for tunnels without a limit. */
void shaper_leave(struct tunnel *tunnel);
void shaper_change(struct tunnel *tunnel, uint64_t group, uint64_t rate);
void shaper_set_rate(uint64_t group, uint64_t rate);
int shaper_read(struct tunnel *tunnel, uint8_t *into, size_t capacity);
void shaper_write(struct tunnel *tunnel, struct view bytes);
void shaper_finish(struct tunnel *tunnel);
size_t shaper_pending(const struct tunnel *tunnel);

#endif
