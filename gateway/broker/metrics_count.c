/* metrics_count.c: what happened is counted here, on the loop, by whoever sees it; metrics.c and `status` show it. */
#include "metrics_count.h"

#include <string.h>

#include "sallyport/clock.h"
#include "sallyport/str.h"
#include "tunnel.h"

#define OTHER "other"
const char *const metrics_door_one_outcomes[METRICS_OUTCOMES_MAX] = {
	"accepted", "certificate_expired", "certificate_revoked", "certificate_superseded", "crl_missing", "crl_stale", "device_locked", "device_revoked",
	"device_unknown", "handshake_aborted", "handshake_failed", "handshake_too_large", "login_grace", "no_certificate",
	"not_trusted", "not_yet_valid", "ocsp_unavailable", "proof_failed", "proxy_head", "store_unavailable", "too_many", "weak_key", "wrong_name",
	"wrong_purpose", OTHER};
const char *const metrics_login_outcomes[METRICS_OUTCOMES_MAX] = {
	"granted", "bad_request", "cancelled", "login_abandoned", "login_expired", "login_failed", "not_bound", "rate_limited",
	"realm_unknown", "too_many", "unavailable", OTHER};
const char *const metrics_dials[METRICS_DIALS] = {"connected", "timeout", "failed"};

struct metrics_counted metrics_counted;

/* The first outcome is the good one; what is not in the list is the last. */
static unsigned outcome_of(const char *const *outcomes, const char *code)
{
	unsigned i = 0;
	if (!*code)
		return 0;
	while (strcmp(outcomes[i], OTHER) != 0 && strcmp(outcomes[i], code) != 0)
		i++;
	return i;
}

void metrics_handshake(const char *code)
{
	unsigned outcome = outcome_of(metrics_door_one_outcomes, code);
	metrics_counted.handshakes[outcome]++;
	lately_add(&metrics_counted.lately[METRICS_DOOR_ONE], outcome, clock_monotonic_ms());
}

struct metrics_realm *metrics_realm(const char *realm)
{
	for (unsigned i = 0; i < metrics_counted.realm_count; i++)
		if (strcmp(metrics_counted.realms[i].name, realm) == 0)
			return &metrics_counted.realms[i];
	if (metrics_counted.realm_count == METRICS_REALMS_MAX)
		return &metrics_counted.realms[METRICS_REALMS_MAX - 1];
	struct metrics_realm *counts = &metrics_counted.realms[metrics_counted.realm_count++];
	str_copy(counts->name, sizeof(counts->name), metrics_counted.realm_count == METRICS_REALMS_MAX ? OTHER : realm);
	return counts;
}

void metrics_login(const char *realm, const char *code)
{
	unsigned outcome = outcome_of(metrics_login_outcomes, code);
	metrics_realm(realm)->logins[outcome]++;
	lately_add(&metrics_counted.lately[METRICS_DOOR_TWO], outcome, clock_monotonic_ms());
}

bool metrics_lately(enum metrics_door door, unsigned *position, const char **out_outcome, uint64_t *out_count)
{
	const char *const *outcomes = door == METRICS_DOOR_ONE ? metrics_door_one_outcomes : metrics_login_outcomes;
	uint64_t now_ms = clock_monotonic_ms();
	while (*position < METRICS_OUTCOMES_MAX && outcomes[*position]) {
		*out_outcome = outcomes[*position];
		*out_count = lately_count(&metrics_counted.lately[door], (*position)++, now_ms);
		if (*out_count)
			return true;
	}
	return false;
}

void metrics_dialed(uint64_t began_ns, int result)
{
	metrics_counted.dials[result == 0 ? METRICS_DIAL_GOOD : result == ERR_TIMEOUT ? METRICS_DIAL_LATE : METRICS_DIAL_FAILED]++;
	histogram_add_since(&metrics_counted.dial_seconds, began_ns);
}

struct traffic metrics_carried(const struct tunnel *tunnel)
{
	struct traffic traffic = traffic_of(tunnel->watch);
	traffic.bytes_sent -= tunnel->inherited.bytes_sent;
	traffic.bytes_received -= tunnel->inherited.bytes_received;
	return traffic;
}

void metrics_tunnel_closed(const struct tunnel *tunnel)
{
	struct traffic traffic = metrics_carried(tunnel);
	metrics_counted.bytes_to_target += traffic.bytes_sent;
	metrics_counted.bytes_to_client += traffic.bytes_received;
}
