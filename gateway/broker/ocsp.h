/* ocsp.h: what OCSP responders say of adopted certificates, where the authority's section wants them asked. ocsp.c. */
#ifndef SALLYPORT_BROKER_OCSP_H
#define SALLYPORT_BROKER_OCSP_H

#include <stdbool.h>
#include <stdint.h>

#include "sallyport/edge/broker_signer.h"
#include "sallyport/err.h"

struct broker;
struct certificate;
struct worker;

#define OCSP_URL_MAX 512

/* Whether its responder must be asked now: the last answer has run out, and it was not asked a moment ago. */
bool ocsp_is_due(const struct broker *broker, const struct certificate *certificate);
/* Asks; then door_one_checked() for the worker (which may be NULL). ERR_SYSTEM without memory. */
[[nodiscard]] int ocsp_ask(struct broker *broker, const struct certificate *certificate, struct worker *worker);
/* By what is known: 0, or ERR_DENIED with the code of the refusal (certificate_revoked, ocsp_unavailable) and a sentence. */
[[nodiscard]] int ocsp_judge(const struct broker *broker, const struct certificate *certificate, uint64_t now_ms,
			     const char **out_code, const char **out_sentence);
/* Asks again for those who are connected; gives up whom nobody answers. Called every moment. */
void ocsp_look(struct broker *broker);

/* From the signer. */
void ocsp_questioned(struct broker *broker, const struct broker_signer_ocsp_question *message);
[[nodiscard]] int ocsp_judged(struct broker *broker, const struct broker_signer_ocsp_verdict *message);

#endif
