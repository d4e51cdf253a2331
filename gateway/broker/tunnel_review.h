/* tunnel_review.h: live tunnels keep their right only as long as the policy gives it. */
#ifndef SALLYPORT_BROKER_TUNNEL_REVIEW_H
#define SALLYPORT_BROKER_TUNNEL_REVIEW_H

#include "policy.h"
#include "sallyport/buf.h"

struct broker;
struct tunnel;

/* What a new policy did to live tunnels. */
struct tunnels_judged {
	unsigned judged, closed;
	struct buf names; /* one closed tunnel a line: whose, where to, by which rule, why */
};
typedef void (*tunnels_judged_done)(void *context, const struct tunnels_judged *judged);

/* After a new policy: judges every live tunnel and ends those that lost their right; records and logs how many. `done`
 * (may be NULL) when all are closed and recorded; perhaps from inside. */
void tunnels_judge_again(struct broker *broker, tunnels_judged_done done, void *context);
/* Every minute: hours and groups. */
void tunnels_judge_all(struct broker *broker);
/* Often: those whose time has run out. */
void tunnels_judge_due(struct broker *broker);
/* When it must be judged again, by the verdict that allowed it. */
void tunnel_set_review(struct tunnel *tunnel, const struct policy_facts *facts, const struct target *target,
		       const struct policy_verdict *verdict);

#endif
