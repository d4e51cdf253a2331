/* passage.h: one local connection on its way through the gateway: it waits for the connection, becomes a tunnel, and
 * when the gateway itself has cut it, the gateway is asked why. Where only a fresh login is missing, the user is asked
 * (stepup.h), and the tunnel once more. */
#ifndef CLIENT_PASSAGE_H
#define CLIENT_PASSAGE_H

#include "tunnel.h"
#include "uplink.h"

struct agent;
struct passage;

/* How it ended, for the one who began it. */
struct passage_ending {
	int status; /* STATUS_OK: both directions ended in good order */
	struct diag diag;
	bool stood;         /* false: the descriptors are the owner's again */
	bool session_ended; /* session or device are no longer good: what follows would fail too */
};

struct passage_options {
	struct agent *agent;
	struct destination destination;
	int in_fd, out_fd;
	struct view preface; /* see tunnel.h; copied */
	enum uplink_patience patience;
	void (*on_stands)(void *owner); /* may be NULL */
	/* Called once; the passage is gone afterwards. */
	void (*on_over)(void *owner, const struct passage_ending *ending);
	void *owner;
};

/* Never fails at once: what goes wrong is told by on_over, perhaps before it returns; *out_passage is set before.
 * Without memory: STATUS_FAILED, and nobody is told. */
[[nodiscard]] int passage_start(const struct passage_options *options, struct passage **out_passage, struct diag *diag);
/* The owner goes: it is cut, its descriptors are closed, nobody is told. NULL is allowed. */
void passage_cut(struct passage *passage);

/* For the report: what passes at the moment. */
struct passage_facts {
	const struct destination *destination;
	uint64_t begun_ms; /* clock_wall_ms */
	uint64_t sent_bytes, received_bytes;
	uint64_t rate; /* bytes a second, both ways, between the last two looks of passage_measure */
	bool stands;
};
struct passage *passage_next(const struct agent *agent, const struct passage *passage); /* NULL: the first */
void passage_look(const struct passage *passage, struct passage_facts *out_facts);
/* To be called every few seconds: how much has passed since the last time. */
void passage_measure(struct agent *agent);

#endif
