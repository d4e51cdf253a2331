/* judge.h: asks the policy about a user on a device: fetches the facts (groups, time), then policy.h decides.
 * The decision itself is pure and stands in policy.c; the same for tunnels, lists and second looks. */
#ifndef SALLYPORT_BROKER_JUDGE_H
#define SALLYPORT_BROKER_JUDGE_H

#include <stdbool.h>

#include "groups.h"
#include "policy.h"
#include "target.h"

struct broker;
struct device;
struct session;

/* One question, in an object of the caller's that stays until `done`. */
struct judgement {
	struct groups_query query;
	struct broker *broker;
	const struct device *device;
	const char *user;            /* borrowed until done */
	const struct session *session; /* whose ages and tunnels count; NULL: just logged in, nothing is open. Held */
	uint64_t worker;             /* its number: address and certificate of the client; 0: not known */
	uint64_t tunnel;             /* the one that is judged; 0: none yet */
	const struct sockaddr_storage *source; /* instead of the worker's client; borrowed until done */
	const char *realm;           /* instead of the session's; NULL: the session's, or REALM_DEFAULT */
	int64_t at_s;                /* this moment instead of now (seconds since 1970); 0: now */
	const struct target *target; /* borrowed until done; NULL: only the facts are wanted */
	/* result 0: `facts` holds; with a target, `verdict` too (borrowed for the call). Else ERR_SYSTEM: the
	 * name services failed, and nothing may be granted. May be called from inside judge(). */
	void (*done)(struct judgement *judgement, int result, const struct policy_facts *facts,
		     const struct policy_verdict *verdict);
	void *context;
};

void judge(struct judgement *judgement);

/* Where the wall clock would be (ms) had nobody ever set it back: hours, certificates and invitations that are over for it
 * stay over. Known since the broker's start. */
int64_t judge_furthest_ms(struct broker *broker);
/* By how much the wall clock stands before that; 0: not noticeably. */
int64_t judge_behind_ms(const struct broker *broker);

/* Whether this address may be dialed for that resource (B2), by the policy in force. */
bool judge_address(struct broker *broker, const char *resource, const struct sockaddr *address);

#endif
