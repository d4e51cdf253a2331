/* tunnel_record.h: the rows of tunnels after their beginning. Between the files tunnel*.c. */
#ifndef SALLYPORT_BROKER_TUNNEL_RECORD_H
#define SALLYPORT_BROKER_TUNNEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"

struct broker;
struct worker;

/* Why a tunnel did not open, and what its client is told. */
struct tunnel_failure {
	const char *reason;           /* the key of a table; else NULL */
	uint32_t status;              /* 0: nobody is told */
	const char *code, *sentence;
	const char *detail;           /* for the record; NULL: the sentence. Used during the call only */
};

struct tunnel_end {
	uint64_t id;
	bool has_row; /* the row was written, so it is closed */
	char reason[33];
	uint64_t bytes_to_target, bytes_to_client;
	struct audit_entry entry;
	struct tunnel_failure failure;
	struct worker *worker; /* NULL: nobody is told */
	uint32_t request;
};

/* Closes the row of an open tunnel. Nobody waits for it. */
void tunnel_record_end(struct broker *broker, const struct tunnel_end *end);
/* Closes the row, if there is one, and tells the client when that is recorded. */
void tunnel_record_failure(struct broker *broker, const struct tunnel_end *end);
/* The address that was dialed. Nobody waits for it. */
void tunnel_record_address(struct broker *broker, uint64_t id, const char *address);

#endif
