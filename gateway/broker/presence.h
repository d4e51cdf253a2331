/* presence.h: an internal host asks whether a user is here: logged in now, from a good device, by a tunnel of his. */
#ifndef SALLYPORT_BROKER_PRESENCE_H
#define SALLYPORT_BROKER_PRESENCE_H

struct worker;
struct worker_broker_presence;

/* Answers when the question and its answer are recorded. ERR_BAD_PEER for what no honest worker sends. */
[[nodiscard]] int presence_asked(struct worker *worker, const struct worker_broker_presence *message);

#endif
