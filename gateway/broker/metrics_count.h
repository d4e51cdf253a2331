/* metrics_count.h: the counts themselves. Between metrics_count.c, which counts, and metrics.c, which shows. */
#ifndef SALLYPORT_BROKER_METRICS_COUNT_H
#define SALLYPORT_BROKER_METRICS_COUNT_H

#include "histogram.h"
#include "lately.h"
#include "metrics.h"
#include "sallyport/realm.h"
#include "traffic.h"

/* Outcomes: the first is the good one, the last takes what is not in the list; NULL behind it. */
#define METRICS_OUTCOMES_MAX LATELY_KINDS
extern const char *const metrics_door_one_outcomes[METRICS_OUTCOMES_MAX];
extern const char *const metrics_login_outcomes[METRICS_OUTCOMES_MAX];
enum { METRICS_DIAL_GOOD, METRICS_DIAL_LATE, METRICS_DIAL_FAILED, METRICS_DIALS };
extern const char *const metrics_dials[METRICS_DIALS];

/* Every realm that was in force since the start; beyond these: the last place, together. */
#define METRICS_REALMS_MAX 64
struct metrics_realm {
	char name[REALM_NAME_MAX + 1];
	uint64_t logins[METRICS_OUTCOMES_MAX];
};

/* One broker, one set of counts. */
struct metrics_counted {
	uint64_t handshakes[METRICS_OUTCOMES_MAX];
	struct lately lately[METRICS_DOORS];
	struct metrics_realm realms[METRICS_REALMS_MAX];
	unsigned realm_count;
	uint64_t dials[METRICS_DIALS];
	struct histogram dial_seconds;
	uint64_t bytes_to_target, bytes_to_client; /* of tunnels that have ended */
};
extern struct metrics_counted metrics_counted;

/* Its counts, made when there are none. */
struct metrics_realm *metrics_realm(const char *realm);
/* What a tunnel carried under this broker; under the one before it, that one has counted. */
struct traffic metrics_carried(const struct tunnel *tunnel);

#endif
