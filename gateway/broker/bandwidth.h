/* bandwidth.h: max_rate of a rule: one device's tunnels by it share a bandwidth, over all its connections.
 *
 * The worker delays (gateway/worker/shaper.c); the broker says how much each of a device's workers may move.
 */
#ifndef SALLYPORT_BROKER_BANDWIDTH_H
#define SALLYPORT_BROKER_BANDWIDTH_H

#include <stdint.h>

struct tunnel;

/* The rule that allows it, and that rule's max_rate (0: none). An open one's worker is told when it is another one. */
void bandwidth_limit(struct tunnel *tunnel, const char *rule, uint64_t rate);
/* What its worker keeps to is not known here: bandwidth_limit will tell it in any case. */
void bandwidth_unknown(struct tunnel *tunnel);
/* It has become open: sets rate_share, and tells the device's other workers that their parts are smaller. */
void bandwidth_changed(struct tunnel *tunnel);
/* It is in no list any more: the others' parts grow. */
void bandwidth_left(const struct tunnel *tunnel);

#endif
