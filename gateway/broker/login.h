/* login.h: the user's door: one login, from its start to a session or a refusal.
 *
 * A login belongs to the device that started it, not to the connection: each step may come on a new one.
 * At most one request waits for the next round (the older one is told to ask again). The messages of a
 * round are kept until they are answered, so that a client that lost the answer may ask again. The process
 * behind it is conversation_edge.c's matter; what it said is kept here.
 */
#ifndef SALLYPORT_BROKER_LOGIN_H
#define SALLYPORT_BROKER_LOGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "groups.h"
#include "map.h"
#include "sallyport/edge/broker_conversation.h"
#include "sallyport/edge/worker_broker.h"
#include "sallyport/err.h"

struct broker;
struct device;
struct link;
struct worker;

/* A login keeps at most so many messages that nobody has fetched. */
#define LOGIN_MESSAGES_MAX 256
/* How long a request waits for the next round before it is told that there is nothing yet. */
#define LOGIN_POLL_MS 25000

struct login_message {
	uint8_t style; /* enum conversation_style */
	char *text;
};

enum login_fitness { LOGIN_FITNESS_UNKNOWN, LOGIN_FIT, LOGIN_UNFIT };
enum login_outcome { LOGIN_OPEN, LOGIN_GOOD, LOGIN_BAD, LOGIN_NOT_STARTED };

struct login {
	LIST_ENTRY(login) all;
	struct map_entry by_id;
	struct broker *broker;
	struct device *device;
	char id[WORKER_BROKER_CONVERSATION_MAX + 1];
	char user[257];       /* as the client typed it */
	char address[65];     /* of the connection that began it */
	char key_kind[32];    /* of the certificate that it showed */
	char request_id[48];  /* of the request that began it */
	char realm[33];       /* whose stack asks (realm.h) */
	bool breaks_glass;    /* that realm is for emergencies */
	bool portal;          /* a browser logs in at the portal */
	struct groups_query query; /* of the user's groups, while a realm is chosen or checked */
	bool is_querying;
	enum login_fitness fitness; /* of the realm for the user whom PAM has named */
	struct wanted *wanted; /* while the monitor starts the process */
	struct link *link;     /* to the process; NULL before and after */
	enum broker_conversation_state state;
	struct login_message messages[LOGIN_MESSAGES_MAX];
	unsigned message_count;
	uint32_t prompts;   /* of the round that waits for answers */
	bool round_complete; /* there is something to show or to ask */
	unsigned rounds;
	bool answered; /* at least once: what does not end well from here on is a failed attempt */
	bool counted;  /* as failed, in the store */
	uint64_t answered_at_ms; /* of the loop's clock; before an answer: the beginning */
	enum login_outcome outcome;
	/* After a good result, where the stack has a session part: the PAM session is opened before ours is granted. */
	bool has_session, is_opening, is_opened;
	char result_user[257];
	char factor_user[257]; /* whose second factor was given; empty: nobody's */
	char reason[640]; /* of a refusal, for the record */
	struct worker *waiter; /* held; NULL: no request waits */
	uint32_t waiter_request;
	uint64_t last_worker; /* the number of the worker that asked last */
	uv_timer_t limit_timer, poll_timer, absence_timer;
	unsigned handles;
	bool over;
};

LIST_HEAD(login_list, login);
struct wanted {
	TAILQ_ENTRY(wanted) next;
	struct login *login; /* NULL: given up meanwhile */
};
TAILQ_HEAD(wanted_list, wanted);
struct conversations {
	struct login_list all;
	struct map ids;
	struct wanted_list wanted; /* in the order in which the monitor was asked */
	unsigned count;
};

[[nodiscard]] int logins_new(struct broker *broker, struct diag *diag);

/* Requests of a worker. ERR_BAD_PEER for what no honest worker sends. */
[[nodiscard]] int login_start(struct worker *worker, const struct worker_broker_login_start *message);
[[nodiscard]] int login_answer(struct worker *worker, const struct worker_broker_login_answer *message);
[[nodiscard]] int login_cancel(struct worker *worker, const struct worker_broker_login_cancel *message);
/* The client of that request no longer waits. Perhaps he comes back (login_absence). */
void login_left(struct worker *worker, uint32_t request);
/* The worker is gone; the login lives on: for login_absence, unless the connection was closed in good order. */
void login_forget_worker(struct worker *worker);
/* The device was locked or revoked: its logins are refused. */
void login_end_device(struct broker *broker, struct device *device);

/* From the factor socket: in the login that began with that request, this user's second factor was given. */
void login_passed_factor(struct broker *broker, const char *request_id, const char *user);

/* The monitor's answers, in order. The descriptor is taken over. */
void login_connect(struct broker *broker, int fd);
void login_not_started(struct broker *broker);

/* From conversation_edge.c: something has changed; answers the request that waits, if it can be answered. */
void login_changed(struct login *login);

/* conversation_edge.c: takes over the descriptor and starts the stack; gives the answers; ends the process. */
[[nodiscard]] int conversation_connect(struct login *login, int fd);
void conversation_answer(struct login *login, const struct buf *answers, uint32_t count);
void conversation_close(struct login *login);
/* Has the PAM session opened; the answer comes by login_changed. */
void conversation_open_session(struct login *login);
/* The process with the open PAM session: the caller's from now on. NULL when there is none. */
struct link *conversation_take(struct login *login);

#endif
