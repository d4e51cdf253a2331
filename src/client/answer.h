/* answer.h: what the gateway's JSON means. Pure functions on bytes; docs/wire.md is the contract.
 *
 * Nothing of an answer is believed further than it is checked: ids and tokens go into a request line or a
 * header later, so their alphabet is checked here; text for people is cleaned where it is shown.
 * Every parse function returns STATUS_FAILED with a sentence when the answer is not what it should be;
 * the out value then needs no fini.
 */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "status.h"

#define ANSWER_ID_MAX 64
#define ANSWER_TOKEN_MAX 128
#define ANSWER_TIME_MAX 32
/* What may stand behind "Bearer " (RFC 6750 2.1). */
#define ANSWER_TOKEN_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="

enum answer_style { ANSWER_SECRET, ANSWER_TEXT, ANSWER_INFO, ANSWER_ERROR };

struct answer_message {
	enum answer_style style;
	char *text;
};

struct answer_resource {
	char *name, *description, *missing;
	char *kind; /* "ssh"; empty: an older gateway, which does not say */
	char *addresses; /* separated by ", " */
	bool allowed;
};

struct answer_resources {
	struct answer_resource *item;
	size_t count;
};

enum answer_state { ANSWER_PROMPT, ANSWER_SHOW, ANSWER_GRANTED };

/* One step of a login. */
struct answer_step {
	enum answer_state state;
	/* prompt and info */
	char conversation[ANSWER_ID_MAX + 1];
	struct answer_message *message;
	size_t message_count;
	/* granted; the token is wiped by answer_step_fini */
	char *user;
	char token[ANSWER_TOKEN_MAX + 1];
	char expires_at[ANSWER_TIME_MAX];
	struct answer_resources resources;
};

struct answer_session {
	char *id, *user, *device;
	char *realm; /* empty: an older gateway, which has none */
	char created_at[ANSWER_TIME_MAX], expires_at[ANSWER_TIME_MAX];
	uint64_t tunnels;
};

/* application/problem+json (RFC 9457). Missing members are empty. */
struct answer_problem {
	char code[33];
	char detail[513];
	char request_id[65];
};

/* Makes jansson wipe what it gives back: tokens and answers pass through it. Call once, first. */
void answer_wipe_memory(void);

[[nodiscard]] int answer_parse_step(struct view body, struct answer_step *out_step, struct diag *diag);
void answer_step_fini(struct answer_step *step);
[[nodiscard]] int answer_parse_session(struct view body, struct answer_session *out_session, struct diag *diag);
void answer_session_fini(struct answer_session *session);
[[nodiscard]] int answer_parse_resources(struct view body, struct answer_resources *out_resources, struct diag *diag);
void answer_resources_fini(struct answer_resources *resources);
/* One of the user's own devices. */
struct answer_device {
	char *name, *state, *last_address;
	char last_seen_at[ANSWER_TIME_MAX], expires_at[ANSWER_TIME_MAX]; /* empty: never, none */
	uint64_t sessions;
	bool is_this;
};
struct answer_devices {
	struct answer_device *item;
	size_t count;
};
[[nodiscard]] int answer_parse_devices(struct view body, struct answer_devices *out_devices, struct diag *diag);
void answer_devices_fini(struct answer_devices *devices);
/* One line of GET /v1/events. */
struct answer_event {
	enum answer_event_kind { ANSWER_EVENT_BEGIN, ANSWER_EVENT_ENDING, ANSWER_EVENT_EXTENDED, ANSWER_EVENT_ENDED } kind;
	bool of_tunnel; /* otherwise of the session */
	char at[ANSWER_TIME_MAX]; /* empty: not foreseen */
	char reason[33];
	uint64_t tunnel; /* its number, host and port */
	char host[256];
	uint16_t port;
};
/* STATUS_FAILED also for an event of a kind that is not known here. */
[[nodiscard]] int answer_parse_event(struct view line, struct answer_event *out_event, struct diag *diag);
/* {"tunnels_closed":N}, of a logout or a lost device */
[[nodiscard]] int answer_parse_logout(struct view body, uint64_t *out_tunnels, struct diag *diag);
/* Never fails: what cannot be read stays empty. */
void answer_parse_problem(struct view body, struct answer_problem *out_problem);

/* Requests. Each appends to `out_body`. STATUS_FAILED for text that is not UTF-8 or without memory. realm: NULL, or the one
 * that is asked for. */
[[nodiscard]] int answer_make_login(const char *user, const char *realm, struct buf *out_body, struct diag *diag);
[[nodiscard]] int answer_make_lost(const char *device, struct buf *out_body, struct diag *diag);
/* The answers of one round, in order. */
[[nodiscard]] int answer_make_answers(const struct buf *answers, size_t count, struct buf *out_body, struct diag *diag);

/* Puts the JSON object `part` into the JSON object `body` under that name; appends. */
[[nodiscard]] int answer_join(struct view body, const char *name, struct view part, struct buf *out_text, struct diag *diag);
/* A tunnel of the agent. */
struct answer_tunnel {
	char to[272];
	uint64_t bytes, rate; /* both ways; rate: a second */
};
enum { ANSWER_BUSIEST = 3 };
/* What the agent says about itself (report.c), for people. */
struct answer_agent {
	struct answer_tunnel busiest[ANSWER_BUSIEST]; /* those with the highest rate, then with most bytes; bytes 0: none */
	char state[16], since[ANSWER_TIME_MAX], problem[513], warning[2][256]; /* warnings: empty where there is none */
	uint64_t pid, tunnels, forwards, connections, sent_bytes, received_bytes, retry_in_ms;
	bool stays;
};
/* Its local ports. */
struct answer_forward {
	char listen[80], kind[16], to[272];
	uint64_t connections;
	bool kept;
};
struct answer_forwards {
	struct answer_forward *item;
	size_t count;
};
[[nodiscard]] int answer_parse_forwards(struct view body, struct answer_forwards *out_forwards, struct diag *diag);
void answer_forwards_fini(struct answer_forwards *forwards);
/* One member of an object, as answer_indent. */
[[nodiscard]] int answer_indent_member(struct view body, const char *name, struct buf *out_text, struct diag *diag);
[[nodiscard]] int answer_parse_agent(struct view body, struct answer_agent *out_agent, struct diag *diag);

/* For --json: appends the gateway's answer again, ASCII only, indented, with a line feed. */
[[nodiscard]] int answer_indent(struct view body, struct buf *out_text, struct diag *diag);

#endif
