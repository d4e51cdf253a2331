/* policy.h: who may reach what. A policy is parsed once, never changed, and asked often.
 *
 * Default deny; any rule that matches allows; a rule with deny = true wins over all. The decision is a pure
 * function: request and facts in, verdict and reason out; no I/O, no clock. The same function serves tunnels,
 * lists, `policy explain` and the judging of live tunnels (promise B4).
 */
#ifndef SALLYPORT_BROKER_POLICY_H
#define SALLYPORT_BROKER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"
#include "target.h"

struct policy;
struct policy_resource;
struct policy_rule;

/* ---- parsing (policy_parse.c) ---- */

struct policy_file {
	const char *name; /* for sentences */
	const char *text; /* NUL-terminated */
};

/* Every error that was found, each "FILE:LINE:COLUMN: sentence"; with the line of the text, and the column to point at.
 * Warnings are found in a policy without errors: what can have no effect. */
/* Sorted, and NULL behind the last. */
struct policy_word_list {
	const char **list;
	size_t count;
};
/* What there is on this gateway, to warn of words that mean nothing. */
struct policy_known {
	struct policy_word_list realms, devices, tags;
};

#define POLICY_ERRORS_MAX 32
#define POLICY_WARNINGS_MAX 64
struct policy_errors {
	unsigned count; /* more than POLICY_ERRORS_MAX are counted, not kept */
	struct diag list[POLICY_ERRORS_MAX];
	char lines[POLICY_ERRORS_MAX][200];
	int columns[POLICY_ERRORS_MAX];
	bool no_warnings;       /* the caller's wish: they cost more than the rest */
	const struct policy_known *known; /* the caller's; NULL: words are not compared */
	unsigned warning_count; /* the same with POLICY_WARNINGS_MAX */
	struct diag warnings[POLICY_WARNINGS_MAX];
};

/* Parses and compiles. The files together are one policy. ERR_BAD_CONFIG with the errors, ERR_SYSTEM. */
[[nodiscard]] int policy_parse(const struct policy_file *files, size_t count, struct policy **out_policy,
			       struct policy_errors *out_errors);
/* It is freed when policy_free was called once more than this. Both only on the loop; asking it is for every thread. */
struct policy *policy_hold(struct policy *policy);
/* NULL-safe. */
void policy_free(struct policy *policy);

/* ---- deciding (policy.c) ---- */

/* All that a decision knows. Ages are measured with a clock that nobody can set. */
struct policy_facts {
	const char *user;
	const char *const *groups; /* of the user */
	size_t group_count;
	const char *device;   /* its name */
	const char *tags;     /* of the device, one a line */
	const char *realm;    /* of the session; NULL: REALM_DEFAULT */
	const char *key_kind; /* of its certificate, as x509_key_kind spells it: "ec-p256"; NULL: not known */
	const struct sockaddr_storage *source; /* of the client; NULL: not known */
	uint64_t login_age_ms;  /* since the last fresh login */
	uint64_t lease_age_ms;  /* since the session began */
	uint64_t idle_ms;       /* since the last byte through the tunnel */
	/* Seconds since 1970: the clock's, and where it would be had nobody set it back. Every one must be within the hours
	 * of a rule that allows; one is enough for a rule that denies. */
	int64_t times_s[2];
	unsigned time_count;
	/* For questions that leave it open: hours, or networks, fit every rule that allows and none that denies. */
	bool any_time, any_source;
	int32_t local_offset_s; /* the gateway's, east of UTC */
	/* The rules of the session's other live tunnels, one for each tunnel. */
	const char *const *tunnel_rules;
	size_t tunnel_count;
};

struct policy_verdict {
	bool allowed;
	const char *code;     /* of a refusal: "not_allowed", "fresh_login_required", "lease_expired", "too_many"; else "" */
	const char *sentence; /* what the user may know; a literal */
	const char *rule;     /* that decided; "" when none did. Valid as long as the policy */
	const char *resource; /* that was matched; "" when none was */
	const struct policy_resource *matched; /* NULL when none was; for policy_address_allowed */
	uint64_t needs_ms; /* of a fresh_login_required or lease_expired: how old login or session may be */
	uint64_t holds_ms; /* when allowed: the rule holds at least so long, if its hours do; UINT64_MAX: for ever */
	uint64_t firm_ms;  /* the same for a tunnel that is never idle */
	uint64_t idle_timeout_ms, max_rate; /* when allowed: the rule's; 0: none */
};

/* What the user may know of a refusal, with its figure: "This target needs a login from the last 15m." */
#define POLICY_SENTENCE_MAX 128
void policy_sentence(const struct policy_verdict *verdict, char *out_text, size_t capacity);

void policy_decide(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		   struct policy_verdict *out_verdict);

/* When a right that stands (`now`, the verdict of these facts) will end if nothing but time changes, within the horizon; the
 * tunnel's idle limit is not looked at. False: not within it. policy_foresee.c */
struct policy_end {
	uint64_t in_ms;
	const char *code; /* "fresh_login_required", "lease_expired", "hours_over": a literal */
};
bool policy_foresee(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
		    const struct policy_verdict *now, uint64_t horizon_ms, struct policy_end *out_end);

/* Whether a resolved (or literal) address may be dialed for what was decided (promise B2). Loopback, link-local,
 * metadata, multicast, broadcast and unspecified addresses and `own` ones (the gateway's) never, unless the resource
 * names that literal address. The port is not looked at. */
struct policy_own_addresses {
	const struct sockaddr_storage *list;
	size_t count;
};
bool policy_address_allowed(const struct policy_resource *resource, const struct sockaddr *address,
			    const struct policy_own_addresses *own);

/* A target that is the name of a resource means its one address: "db:5432" is what resource "db" names for that port. A
 * host that some resource names is always that host. True when the target was changed. */
bool policy_follow_name(const struct policy *policy, struct target *target);

/* ---- telling ---- */

/* Walks the resources in the order of the files; NULL after the last. *position starts at 0. */
const struct policy_resource *policy_next_resource(const struct policy *policy, size_t *position);
/* NULL when there is none. */
const struct policy_resource *policy_resource_named(const struct policy *policy, const char *name);
const char *policy_resource_name(const struct policy_resource *resource);
const char *policy_resource_description(const struct policy_resource *resource);
/* "tcp" "ssh" "web" "postgres" */
const char *policy_resource_kind(const struct policy_resource *resource);
/* Its addresses as written, one a line. */
const char *policy_resource_addresses(const struct policy_resource *resource);
/* The verdict for a resource as a whole, for lists. */
void policy_decide_resource(const struct policy *policy, const struct policy_facts *facts,
			    const struct policy_resource *resource, struct policy_verdict *out_verdict);

/* Each rule that names a resource of this target, and the fact that decided: one line each, the verdict last. */
[[nodiscard]] int policy_explain(const struct policy *policy, const struct policy_facts *facts, const struct target *target,
				 struct buf *out_text);

/* Whether any rule has an idle_timeout or max_tunnels: then those facts are worth fetching. */
bool policy_counts_tunnels(const struct policy *policy);
/* Host names that resources mention, without wildcards and addresses: NULL after the last. */
const char *policy_next_name(const struct policy_resource *resource, size_t *position);

/* Whom rules name: "u" and a user, or "g" and a group; NULL after the last. *out_rule (may be NULL): the first that does. */
const char *policy_next_person(const struct policy *policy, size_t *position, const char **out_rule);

/* Whether a rule may let that person (user and groups of the facts, nothing else of them is looked at) reach the resource: on
 * some device, at some time, after whatever login. For lists that are made ahead; it allows nothing. policy_person.c */
bool policy_may_be_for(const struct policy *policy, const struct policy_facts *person, const struct policy_resource *resource);

/* Targets that stand for what a resource names: of each address the first and the last host and port. false after the
 * last. *position starts at 0. */
bool policy_next_sample(const struct policy_resource *resource, size_t *position, struct target *out_target);

size_t policy_resource_count(const struct policy *policy);
size_t policy_rule_count(const struct policy *policy);

#endif
