/* tunnel_review.c: live tunnels are judged again: after a new policy, every minute (hours, groups), and when what a
 * rule allows runs out: fresh login, lease, idle limit. A tunnel that no rule allows any more is ended at once.
 *
 * When it runs out is known beforehand (policy_verdict's holds_ms); it is measured with the clock that nobody can set.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bandwidth.h"
#include "broker.h"
#include "ending.h"
#include "judge.h"
#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "sallyport/str.h"
#include "tunnel_review.h"
#include "worker.h"

/* As far as is foreseen; and how well: hours are seconds. */
enum { HORIZON_MS = 24 * 60 * 60 * 1000, FORESEEN_WITHIN_MS = 2000 };

/* A question that nobody answered (name services) is asked again so much later. */
enum { ASK_AGAIN_MS = 1000, NAMES_BYTES_MAX = 1 << 20 };

/* All tunnels that are judged again for one reason. */
struct batch {
	struct broker *broker;
	struct tunnels_judged judged;
	unsigned waiting;
	tunnels_judged_done done;
	void *context;
};

struct review {
	struct judgement judgement;
	struct ending ending;
	struct broker *broker;
	struct batch *batch;     /* NULL: nobody counts */
	uint64_t tunnel;         /* it may be gone when the answer comes */
	struct session *session; /* held */
	struct target target;
};

static void record_batch(const struct batch *batch)
{
	struct audit_entry entry = {.code = ""};
	log_notice("the new policy closed %u of %u live tunnels", batch->judged.closed, batch->judged.judged);
	audit_fill(&entry, "policy_judged", "%u of %u live tunnels lost their right and were closed", batch->judged.closed,
		   batch->judged.judged);
	audit_record(batch->broker, &entry, NULL, NULL);
}

static void leave(struct batch *batch)
{
	if (!batch || --batch->waiting > 0)
		return;
	record_batch(batch);
	if (batch->done)
		batch->done(batch->context, &batch->judged);
	buf_fini(&batch->judged.names);
	free(batch);
}

static void review_free(struct review *review)
{
	review->session->holds--;
	leave(review->batch);
	free(review);
}

static void on_over(struct ending *ending)
{
	review_free(ending->context);
}

/* What the record and the worker are told: a literal. */
static const char *reason_of(const struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	bool is_foreseen = tunnel->ends_reason && clock_monotonic_ms() + FORESEEN_WITHIN_MS >= tunnel->ends_at_ms;
	if (strcmp(verdict->code, "not_allowed") != 0)
		return verdict->code;
	return is_foreseen ? tunnel->ends_reason : "policy_changed";
}

static void count(struct batch *batch, const struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	if (!batch)
		return;
	batch->judged.closed++;
	/* A list that is too long is cut; the count is right. */
	(void)!buf_add_format(&batch->judged.names, "tunnel %" PRIu64 " of %s on %s to %s:%u (rule \"%s\"): %s\n", tunnel->id,
			      tunnel->session->user, tunnel->session->device->name, tunnel->host, tunnel->port, tunnel->rule,
			      reason_of(tunnel, verdict));
}

static void record_end(struct broker *broker, const struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	struct audit_entry entry = {.code = ""};
	str_copy(entry.device, sizeof(entry.device), tunnel->session->device->name);
	str_copy(entry.user, sizeof(entry.user), tunnel->session->user);
	str_copy(entry.code, sizeof(entry.code), reason_of(tunnel, verdict));
	audit_fill(&entry, "tunnel_judged", "tunnel %llu to %s:%u lost its right (opened by the rule \"%s\"): %s",
		   (unsigned long long)tunnel->id, tunnel->host, tunnel->port, tunnel->rule, verdict->sentence);
	audit_record(broker, &entry, NULL, NULL);
}

static void end(struct review *review, struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	log_notice("tunnel %llu of %s to %s:%u lost its right: %s", (unsigned long long)tunnel->id, tunnel->session->user,
		   tunnel->host, tunnel->port, verdict->sentence);
	count(review->batch, tunnel, verdict);
	record_end(review->broker, tunnel, verdict);
	review->ending.context = review;
	ending_begin(&review->ending, review->broker, reason_of(tunnel, verdict), on_over);
	ending_add_tunnel(&review->ending, tunnel);
	ending_commit(&review->ending);
}

static void foresee(struct tunnel *tunnel, const struct policy_facts *facts, const struct target *target,
		    const struct policy_verdict *verdict)
{
	struct policy_end end;
	bool ends = policy_foresee(tunnel->worker->broker->policy, facts, target, verdict, HORIZON_MS, &end);
	tunnel->ends_reason = ends ? end.code : NULL;
	tunnel->ends_at_ms = ends ? clock_monotonic_ms() + end.in_ms : 0;
}

void tunnel_set_review(struct tunnel *tunnel, const struct policy_facts *facts, const struct target *target,
		       const struct policy_verdict *verdict)
{
	foresee(tunnel, facts, target, verdict);
	tunnel->idle_limit_ms = verdict->idle_timeout_ms;
	/* One more: an age that equals the limit is still within it. */
	tunnel->judge_at_ms = verdict->holds_ms == UINT64_MAX ? UINT64_MAX : clock_monotonic_ms() + verdict->holds_ms + 1;
	bandwidth_limit(tunnel, verdict->rule, verdict->max_rate);
}

/* Whether the address that it is connected to could be dialed under this policy too (B2): the name alone says little. */
static bool is_at_allowed_address(const struct tunnel *tunnel, const struct policy_verdict *verdict)
{
	char host[TARGET_HOST_MAX + 1];
	struct target address;
	uint16_t port;
	if (!tunnel->address || str_split_authority(view_string(tunnel->address), host, sizeof(host), &port) < 0 ||
	    target_parse(view_string(host), port, &address, NULL) < 0 || !address.is_address)
		return false;
	return judge_address(tunnel->worker->broker, verdict->resource, (struct sockaddr *)&address.address);
}

static const struct policy_verdict address_lost = {
	.code = "not_allowed", .sentence = "The policy no longer allows the address that the name resolved to.", .rule = "", .resource = ""};

static void on_judged(struct judgement *judgement, int result, const struct policy_facts *facts,
		      const struct policy_verdict *verdict)
{
	struct review *review = judgement->context;
	struct tunnel *tunnel = tunnel_find(&review->broker->tunnels, review->tunnel);
	if (result == 0 && verdict->allowed && tunnel && tunnel->state == TUNNEL_OPEN && !is_at_allowed_address(tunnel, verdict))
		verdict = &address_lost;
	if (tunnel && !tunnel->end_reason && result == 0 && !verdict->allowed) {
		end(review, tunnel, verdict);
		return;
	}
	/* Name services that fail for a moment end nothing. */
	if (tunnel && result == 0)
		tunnel_set_review(tunnel, facts, &review->target, verdict);
	/* What is being dialed was checked by the policy of that moment: again as soon as the address is known. */
	if (tunnel && tunnel->state != TUNNEL_OPEN)
		tunnel->judge_at_ms = 0;
	review_free(review);
}

static void review(struct broker *broker, struct tunnel *tunnel, struct batch *batch)
{
	struct review *review = calloc(1, sizeof(*review));
	struct session *session = tunnel->session;
	struct diag diag;
	tunnel->judge_at_ms = clock_monotonic_ms() + ASK_AGAIN_MS;
	if (!review || target_parse(view_string(tunnel->host), tunnel->port, &review->target, &diag) < 0) {
		free(review);
		return;
	}
	review->broker = broker;
	review->tunnel = tunnel->id;
	review->session = session;
	review->batch = batch;
	session->holds++;
	if (batch) {
		batch->waiting++;
		batch->judged.judged++;
	}
	review->judgement = (struct judgement){.broker = broker, .device = session->device, .user = session->user,
					       .session = session, .tunnel = tunnel->id, .worker = tunnel->worker->number,
					       .target = &review->target, .done = on_judged, .context = review};
	judge(&review->judgement);
}

/* A judgement may end the tunnel at once; its neighbour stays. */
static void review_due(struct broker *broker, struct batch *batch, uint64_t due_ms)
{
	struct tunnel *tunnel, *next;
	for (tunnel = LIST_FIRST(&broker->tunnels.live); tunnel; tunnel = next) {
		next = LIST_NEXT(tunnel, all);
		if (tunnel->state != TUNNEL_JUDGING && !tunnel->end_reason && tunnel->judge_at_ms <= due_ms)
			review(broker, tunnel, batch);
	}
}

void tunnels_judge_again(struct broker *broker, tunnels_judged_done done, void *context)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	if (batch)
		*batch = (struct batch){.broker = broker, .judged.names = BUF_INIT(NAMES_BYTES_MAX), .waiting = 1, .done = done,
					.context = context};
	review_due(broker, batch, UINT64_MAX);
	/* Without memory nobody counts, and the tunnels are judged all the same. */
	if (!batch && done)
		done(context, &(struct tunnels_judged){.judged = 0});
	leave(batch);
}

void tunnels_judge_all(struct broker *broker)
{
	review_due(broker, NULL, UINT64_MAX);
}

void tunnels_judge_due(struct broker *broker)
{
	review_due(broker, NULL, clock_monotonic_ms());
}
