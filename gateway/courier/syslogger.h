/* syslogger.h: sends lines to a log: datagrams to a local socket, UDP, TCP. syslogger.c. */
#ifndef SALLYPORT_COURIER_SYSLOGGER_H
#define SALLYPORT_COURIER_SYSLOGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

/* All of them, each a datagram, to the unix socket at `path`. ERR_SYSTEM with a sentence. */
[[nodiscard]] int syslogger_send_local(const char *path, const struct buf *lines, size_t count, struct diag *diag);

/* The same over the network, in a thread of its own, because looking a name up and connecting may take long. `lines` are
 * taken over. `wake` is called from the thread when it is over; then syslogger_take_done returns it, once, on the loop. */
struct syslogger_errand {
	struct syslogger_errand *next;
	char host[256];
	uint16_t port;
	bool tcp;
	struct buf *lines;
	size_t count;
	uint32_t number, generation; /* the caller's */
	void (*wake)(void *context);
	void *context;
	int result;
	struct diag diag;
};
[[nodiscard]] int syslogger_send_away(struct syslogger_errand *errand, struct diag *diag);
struct syslogger_errand *syslogger_take_done(void);
void syslogger_errand_free(struct syslogger_errand *errand);

#endif
