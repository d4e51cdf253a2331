/* tunnel_review.c: live tunnels are judged again: after a new policy, and as hours and groups change.
 *
 * The age of the login counts as it was when the tunnel was opened: a fresh login is asked for at the door,
 * not in the middle of work.
 */
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "ending.h"
#include "judge.h"
#include "sallyport/log.h"

struct review {
	struct judgement judgement;
	struct ending ending;
	struct broker *broker;
	uint64_t tunnel; /* it may be gone when the answer comes */
	struct session *session; /* held */
	struct target target;
};

static void review_free(struct review *review)
{
	review->session->holds--;
	free(review);
}

static void on_over(struct ending *ending)
{
	review_free(ending->context);
}

static void end(struct review *review, struct tunnel *tunnel, const char *sentence)
{
	log_notice("tunnel %llu of %s to %s:%u lost its right: %s", (unsigned long long)tunnel->id, tunnel->session->user,
		   tunnel->host, tunnel->port, sentence);
	review->ending.context = review;
	ending_begin(&review->ending, review->broker, "policy_changed", on_over);
	ending_add_tunnel(&review->ending, tunnel);
	ending_commit(&review->ending);
}

static void on_judged(struct judgement *judgement, int result, const struct policy_facts *facts,
		      const struct policy_verdict *verdict)
{
	struct review *review = judgement->context;
	struct tunnel *tunnel = tunnel_find(&review->broker->tunnels, review->tunnel);
	(void)facts;
	/* Name services that fail for a moment end nothing: the next look is a minute away. */
	if (!tunnel || tunnel->end_reason || result < 0 || verdict->allowed)
		review_free(review);
	else
		end(review, tunnel, verdict->sentence);
}

static void review(struct broker *broker, struct tunnel *tunnel)
{
	struct review *review = calloc(1, sizeof(*review));
	struct session *session = tunnel->session;
	struct diag diag;
	if (!review || target_parse(view_string(tunnel->host), tunnel->port, &review->target, &diag) < 0) {
		free(review);
		return;
	}
	review->broker = broker;
	review->tunnel = tunnel->id;
	review->session = session;
	session->holds++;
	uint64_t age_ms = tunnel->opened_at_ms > session->created_at_ms ? tunnel->opened_at_ms - session->created_at_ms : 0;
	review->judgement = (struct judgement){.broker = broker, .device = session->device, .user = session->user,
					       .login_age_ms = age_ms, .target = &review->target, .done = on_judged,
					       .context = review};
	judge(&review->judgement);
}

void tunnels_judge_again(struct broker *broker)
{
	/* A judgement may end the tunnel at once; its neighbour stays. */
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&broker->tunnels.live); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, all);
		if (tunnel->state != TUNNEL_JUDGING)
			review(broker, tunnel);
	}
}
