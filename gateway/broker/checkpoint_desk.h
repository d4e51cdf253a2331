/* checkpoint_desk.h: when the signer signs where the record stands, and when old records go. checkpoint_desk.c. */
#ifndef SALLYPORT_BROKER_CHECKPOINT_DESK_H
#define SALLYPORT_BROKER_CHECKPOINT_DESK_H

#include "sallyport/edge/broker_signer.h"
#include "sallyport/err.h"

struct broker;
struct checkpoint_desk;

[[nodiscard]] int checkpoint_desk_new(struct broker *broker, struct diag *diag);
/* Looks whether something is due; called every moment (broker.c). */
void checkpoint_desk_look(struct broker *broker);
/* The signer's answer; ERR_BAD_PEER when nobody has asked for it. The signer is gone: what was asked has failed. */
[[nodiscard]] int checkpoint_desk_signed(struct broker *broker, const struct broker_signer_checkpoint_signed *message);
void checkpoint_desk_lost_signer(struct broker *broker);

#endif
