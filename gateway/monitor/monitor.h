/* monitor.h: the monitor's parts, and what they ask of one another.
 *
 * keepers.c    signer, broker, courier and the workers' template: start, first words, messages, restart
 * workers.c    forked workers: spares, their clients, their end
 * conversations.c  one process per login
 * accept.c     listeners; who is let in
 * reload.c     SIGHUP: whole or not at all
 * handover.c, heritage.c  a restart that live tunnels outlive
 */
#ifndef SALLYPORT_MONITOR_MONITOR_H
#define SALLYPORT_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "handover.h"
#include "loop.h"
#include "sallyport/conf.h"
#include "source_table.h"

#define MONITOR_LISTENERS_MAX 32 /* 16 of each kind */

/* The courier is there only when the configuration wants it (keepers_want_courier). */
enum keeper_role { KEEPER_SIGNER, KEEPER_BROKER, KEEPER_TEMPLATE, KEEPER_COURIER, KEEPER_COUNT };

struct keeper {
	enum keeper_role role;
	pid_t pid; /* 0: not running */
	struct watch watch; /* its edge */
	uint64_t start_at_ms; /* of the next start, when it is not running */
	uint64_t started_ms;
	uint64_t pause_ms; /* doubles with every quick death */
	uint32_t restarts; /* after a death, since the monitor's start */
	char cause[32];    /* of its last death, until the broker knows of it; empty: it knows */
};

enum worker_state { WORKER_SPARE, WORKER_STRANGER, WORKER_ACCEPTED };

struct worker {
	LIST_ENTRY(worker) all;
	TAILQ_ENTRY(worker) as_stranger; /* while it is one */
	uint64_t id;
	int edge;
	struct watch pidfd; /* fd -1 until the template has answered */
	enum worker_state state;
	uint64_t begun_ms, deadline_ms; /* of a stranger */
	struct source_address source;   /* where its client is */
	bool kept;                      /* the broker's end of its edge is kept over a restart */
	bool undecided;                 /* its client has shown no certificate, and may yet choose one */
	bool proxied;                   /* its source is a trusted sender, who has not said where the client is */
};

struct conversation {
	LIST_ENTRY(conversation) all;
	uint64_t id;          /* its pid, for a name */
	struct watch process; /* a pidfd */
	int edge; /* kept open: it tells the process that the monitor lives */
};

struct monitor {
	struct loop loop;
	const char *conf_path;
	struct conf conf;
	struct keeper keepers[KEEPER_COUNT];
	int admin_listener, factor_listener, metrics_listener; /* the last one: -1 where there is none */
	struct watch listeners[MONITOR_LISTENERS_MAX];
	unsigned enroll_from; /* the listeners from here on are for enrolment */
	unsigned listener_count;
	bool resting; /* nobody is accepted now */
	struct watch signals;
	LIST_HEAD(, worker) workers;
	TAILQ_HEAD(, worker) stranger_queue; /* the longest waiting in front */
	struct sources_bucket evictions;
	struct source_table sources;
	struct source_networks exempt;
	struct source_networks senders; /* who speak the PROXY protocol */
	uint64_t last_worker;
	unsigned spares, strangers, worker_count;
	uint64_t dropped; /* connections that were dropped before door one */
	/* Of these, since the start or `sources clear --all`: for their source; by random early drop; and strangers who made room. */
	uint64_t dropped_source, dropped_early, evicted;
	LIST_HEAD(, conversation) conversations;
	uint64_t started_ms;
	struct conf offered; /* while a reload is under way */
	enum keeper_role reloading; /* KEEPER_COUNT: none */
	bool reload_wanted; /* by an admin, who waits for its outcome */
	bool reload_again;  /* it was wanted while one was under way */
	char program[4096];  /* this one's path */
	enum handover_way handing_over;
	uint64_t handover_until_ms;
	struct kept_list kept;
	int inherited[MONITOR_LISTENERS_MAX]; /* listeners; -1: taken */
	unsigned inherited_count;
	uint8_t space[160000]; /* for one frame */
};

/* ---- keepers.c ---- */
/* Whether somebody is to be told, or something to be fetched from elsewhere. */
bool keepers_want_courier(const struct conf *conf);
/* Starts signer, broker, template and, when it is wanted, courier, in this order, and waits for each. Walls that are missing (not root) are
 * appended to out_missing (1536 characters). */
[[nodiscard]] int keepers_start_all(struct monitor *monitor, char *out_missing, struct diag *diag);
[[nodiscard]] int keeper_start(struct monitor *monitor, enum keeper_role role, char *out_missing, struct diag *diag);
/* A child has ended; true when it was a keeper. */
bool keepers_reaped(struct monitor *monitor, pid_t pid, int status);
/* Starts again what is due. Returns the milliseconds until the next is due, -1 for none. */
int keepers_tick(struct monitor *monitor, uint64_t now_ms);
/* "signer" "broker" "worker template" "courier" */
const char *keeper_name(enum keeper_role role);
/* Whether the configuration wants it. */
bool keeper_is_wanted(const struct monitor *monitor, enum keeper_role role);
/* All that clients need: not the courier. */
bool keepers_all_run(const struct monitor *monitor);
/* Ends one and starts its successor, at once: nobody is served by the old one any more. */
[[nodiscard]] int keeper_replace(struct monitor *monitor, enum keeper_role role, struct diag *diag);
/* After a reload: a courier with the new settings, or none when none is wanted. */
void keepers_renew_courier(struct monitor *monitor);
/* Kills one, so that it is started anew. */
void keeper_kill(struct keeper *keeper);
/* Stops all in good order; with live workers, or (while handing over) without them. */
void keepers_stop_all(struct monitor *monitor);
void monitor_watch_or_die(struct monitor *monitor, struct watch *watch);

/* ---- workers.c ---- */
/* Forks spares until there are as many as configured. */
void workers_refill(struct monitor *monitor);
/* A spare, forked on demand; NULL when none can be had. */
struct worker *workers_take_spare(struct monitor *monitor);
/* Hands a client to it. */
struct arrival {
	int client;
	const char *address;
	uint16_t port;
	uint8_t listener; /* enum monitor_room_listener */
	bool proxied;     /* a trusted sender's: its client is told of later */
};
void worker_serve(struct monitor *monitor, struct worker *worker, const struct arrival *arrival);
struct worker *workers_find(struct monitor *monitor, uint64_t id);
void worker_forked(struct monitor *monitor, struct worker *worker, int pidfd);
void worker_accepted(struct monitor *monitor, struct worker *worker);
void worker_kill(struct worker *worker);
/* Kills and forgets it. */
void worker_drop(struct monitor *monitor, struct worker *worker);
/* One of the gateway before, accepted, as yet without descriptors. NULL without memory. */
struct worker *worker_inherit(struct monitor *monitor, uint64_t id);
/* Ends the stranger that has waited longest, in favour of a newcomer. False when none has waited long. */
bool workers_evict(struct monitor *monitor, uint64_t now_ms);
/* Kills the spares; the strangers as well; or every one. */
enum workers_extent { WORKERS_SPARE, WORKERS_WITHOUT_DEVICE, WORKERS_ALL };
void workers_kill(struct monitor *monitor, enum workers_extent extent);
/* Kills strangers whose time is over. Returns the milliseconds until the next one's is, -1 for none. */
int workers_tick(struct monitor *monitor, uint64_t now_ms);

/* ---- conversations.c ---- */
void conversation_begin(struct monitor *monitor);
/* At the end of the house: waits for those that close their PAM sessions, kills those that do not. Without the broker each
 * ends by itself. */
void conversations_end(struct monitor *monitor);
/* The same without waiting: they end by themselves. */
void conversations_leave(struct monitor *monitor);
/* A part of one of the gateway before (enum handover_kind); and when all are there: incomplete ones are left. */
[[nodiscard]] int conversation_inherit(struct monitor *monitor, uint8_t kind, uint64_t id, int *fd);
void conversations_settle(struct monitor *monitor);

/* ---- accept.c ---- */
[[nodiscard]] int accept_listen(struct monitor *monitor, struct diag *diag);
/* While a room is being started again clients wait in the kernel's queue. */
void accept_rest(struct monitor *monitor, bool rest);
void accept_close(struct monitor *monitor);
/* The broker knows where the client behind a trusted sender is (empty: the sender itself): serve it, or not. */
void accept_client_behind(struct monitor *monitor, struct worker *worker, struct view address);
/* A connection from there was in vain. */
void accept_penalise(struct monitor *monitor, const struct source_address *source, uint64_t penalty_ms);

/* ---- source_desk.c: answers on the broker's edge; and whom the configuration names ---- */
[[nodiscard]] int source_desk_read(const struct conf *conf, struct source_networks *out_exempt, struct source_networks *out_senders,
				   struct diag *diag);
[[nodiscard]] int source_desk_count(struct monitor *monitor, int edge);
[[nodiscard]] int source_desk_list(struct monitor *monitor, int edge);
[[nodiscard]] int source_desk_clear(struct monitor *monitor, int edge, struct view source);
void source_desk_login_refused(struct monitor *monitor, struct view client);

/* ---- room_desk.c: who runs, for the admin ---- */
[[nodiscard]] int room_desk_list(const struct monitor *monitor, int edge);

/* ---- reload.c ---- */
void reload_begin(struct monitor *monitor);
/* The same, for an admin who waits: the broker is told the outcome, also of one that is under way. */
void reload_ask(struct monitor *monitor);
/* A keeper's `reloaded`. */
void reload_answered(struct monitor *monitor, enum keeper_role role, bool good, const char *sentence);

/* ---- notify.c: sd_notify(3) ---- */
void notify_ready(void);
/* One line of `systemctl status`. */
void notify_status(const char *sentence);
void notify_reloading(void);
void notify_stopping(void);
/* Tells systemd's watchdog that the loop turns, when it is time to. Returns the milliseconds until it is again, -1
 * when nobody wants to know. */
int notify_alive(uint64_t now_ms);
/* systemd's descriptor store: whether there may be one; one more descriptor into it, under that name; all taken in? All of
 * ours out of it. */
bool notify_can_store(void);
bool notify_store(const char *name, int fd);
bool notify_settle(void);
void notify_forget(void);

/* ---- check.c ---- */
/* -T: checks everything, prints what is in force. Returns the exit status. */
int check_run(struct monitor *monitor);

#endif
