/* admin_policy.h: the policy at the admin socket: rows of admin_routes.c, and what admin_policy_try.c shares. */
#ifndef SALLYPORT_BROKER_ADMIN_POLICY_H
#define SALLYPORT_BROKER_ADMIN_POLICY_H

#include "admin_call.h"
#include "policy.h"

void admin_policy_files(struct admin_call *call);
void admin_policy_check(struct admin_call *call);
void admin_policy_explain(struct admin_call *call);
void admin_policy_apply(struct admin_call *call);
void admin_policy_shadow(struct admin_call *call);
void admin_policy_shadow_report(struct admin_call *call);
void admin_policy_shadow_end(struct admin_call *call);
/* admin_policy_list.c */
void admin_policy_resources(struct admin_call *call);
/* admin_policy_try.c */
void admin_policy_test(struct admin_call *call);
void admin_policy_diff(struct admin_call *call);
/* Answers with whom this policy, which is taken over, lets reach what, at any hour, from anywhere, in any realm: as what
 * everybody would lose by a policy that allows nothing. */
void admin_policy_reach_by(struct admin_call *call, struct policy *policy);
/* admin_policy_history.c */
void admin_policy_versions(struct admin_call *call);
void admin_policy_version(struct admin_call *call);
void admin_policy_reach(struct admin_call *call);

/* ---- admin_policy_known.c ---- */
/* What there is on this gateway: realms, devices, their tags. Borrows from the registry. ERR_SYSTEM without memory. */
[[nodiscard]] int admin_policy_know(struct broker *broker, struct policy_known *out_known);
void admin_policy_known_fini(struct policy_known *known);
/* Users whom rules name and no device is bound to: user, rule, and perhaps nearest. */
json_t *admin_policy_strangers(const struct broker *broker, const struct policy *policy);
/* Groups that rules name: group, rule. */
json_t *admin_policy_groups(const struct policy *policy);

/* The policy of the call's body ("files": a list of name and text). On an error the call is answered. */
[[nodiscard]] int admin_policy_parse(struct admin_call *call, struct policy **out_policy);
/* "2026-11-24T10:00" in the gateway's time; seconds since 1970. */
[[nodiscard]] int admin_policy_moment(const char *text, int64_t *out_time_s);
/* "HOST:PORT" */
[[nodiscard]] int admin_policy_target(const char *text, struct target *out_target, struct diag *diag);
/* An address without a port. */
[[nodiscard]] int admin_policy_source(const char *text, struct target *out_source, struct diag *diag);
/* The gateway's offset from UTC at that moment. */
int32_t admin_policy_local_offset(int64_t time_s);

#endif
