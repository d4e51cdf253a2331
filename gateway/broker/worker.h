/* worker.h: one worker, as the broker sees it: who is behind it, what it was told, what it has open.
 *
 * A worker's word is a claim. What it may say when is the table of edge/worker_broker.h; whoever breaks it
 * is killed (worker_breach). Objects that wait for something hold the worker, so that it outlives them;
 * a worker that is gone takes no more messages.
 */
#ifndef SALLYPORT_BROKER_WORKER_H
#define SALLYPORT_BROKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "audit.h"
#include "ending.h"
#include "events.h"
#include "map.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/edge/monitor_room.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/link.h"
#include "tunnel.h"

struct broker;
struct device;
struct login;

#define WORKER_CONNECTION_CHARACTERS 12

struct worker_answers {
	struct buf texts[CONVERSATION_MESSAGES_MAX];
	uint32_t count, request;
	size_t bytes;
};

struct worker {
	LIST_ENTRY(worker) all, of_device;
	struct map_entry by_number;
	struct link link;
	struct broker *broker;
	uint64_t number;
	enum worker_broker_state state;
	bool gone;     /* no more messages to it or from it */
	bool verifying; /* the signer is asked */
	bool said_goodbye; /* its client has closed the connection in good order */
	bool returning; /* its certificate has expired, within renew_grace */
	bool counted;   /* among workers.accepted */
	bool proxied;   /* the monitor's word: a trusted sender will say where the client is, and has not yet */
	unsigned holds;
	unsigned handles; /* libuv's that are not closed yet */
	char address[65]; /* of the client, from the monitor */
	uint32_t port;
	char connection[WORKER_CONNECTION_CHARACTERS + 1];
	char suite[65];
	uint8_t fingerprint[32];
	struct device *device; /* known from `peer` on */
	struct worker_answers answers;
	struct tunnel_list tunnels;
	struct feed_list feeds;
	struct order_list orders; /* `end`s that are not answered yet, oldest first */
	uint32_t last_order;
	uv_timer_t order_timer;
};

LIST_HEAD(worker_list, worker);
struct workers {
	struct worker_list all;
	struct map numbers;
	unsigned accepted;
};

[[nodiscard]] int workers_new(struct broker *broker, struct diag *diag);
/* From the monitor: a new worker's edge (taken over), and who its client is. NULL when it cannot be served: killed. */
struct worker *worker_connect(struct broker *broker, uint64_t number, int fd);
void worker_set_client(struct broker *broker, const struct monitor_room_worker_client *message);
/* NULL when there is none. */
struct worker *worker_find(const struct broker *broker, uint64_t number);

void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);

/* "CONNECTION-REQUEST": what the user is told and the record holds. */
void worker_request_id(const struct worker *worker, uint32_t request, char *out_text, size_t capacity);
/* Fills connection, device and address of an audit row. */
void worker_fill_audit(const struct worker *worker, uint32_t request, struct audit_entry *entry);

/* Ends the edge and has the monitor kill the process. What it had open is closed in the record with that
 * reason (a literal). */
void worker_kill(struct worker *worker, const char *reason);
/* The same for one that broke the protocol, with an audit row. */
void worker_breach(struct worker *worker, const char *sentence);

/* ---- answers ---- */

/* Sends nothing to a worker that is gone. */
#define WORKER_SEND(worker_, name_, fd, ...)                                                               \
	do {                                                                                               \
		if (!(worker_)->gone)                                                                      \
			(void)LINK_SEND(&(worker_)->link, worker_broker, name_, fd, __VA_ARGS__);          \
	} while (0)

/* A refusal: the record first, with the whole reason; then the user gets code and sentence. */
struct refusal {
	const char *event; /* "login" "session" "tunnel" */
	uint32_t status;
	const char *code, *sentence; /* for the user; sentence is copied */
	uint32_t retry_after_s;
	const char *recorded_code; /* NULL: the same as code */
	const char *user;          /* NULL or empty: none known */
	char detail[512];          /* for the record; empty: the sentence */
};
void worker_refuse(struct worker *worker, uint32_t request, const struct refusal *refusal);
/* The record itself cannot be written, or a part is missing: 503, nothing is granted. */
void worker_unavailable(struct worker *worker, uint32_t request);

#endif
