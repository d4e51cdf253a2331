/* issuers.h: other authorities whose devices were adopted, and what they have revoked: asked at door one. issuers.c.
 *
 * The lists are in memory (and in the store, so that a restart has them), looking up is immediate. Fetching them is
 * issuer_watch.c's.
 */
#ifndef SALLYPORT_BROKER_ISSUERS_H
#define SALLYPORT_BROKER_ISSUERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "courier_edge.h"
#include "sallyport/buf.h"
#include "sallyport/edge/broker_signer.h"
#include "sallyport/err.h"
#include "sallyport/issuer.h"
#include "store.h"

struct broker;
struct certificate;
struct device;
struct room;

#define ISSUER_SERIAL_BYTES 20

/* What one authority has revoked. One for each certificate of an authority that ever had a section; never freed. */
struct issuer_list {
	LIST_ENTRY(issuer_list) all;
	char authority[65];                       /* SHA-256 of its certificate */
	char number[2 * ISSUER_SERIAL_BYTES + 1]; /* hexadecimal, zeros in front */
	uint64_t this_ms, next_ms;                /* next_ms 0: there is none yet */
	uint64_t noticed_at_ms;                   /* when it was told that it is stale; 0: it was not */
	struct buf serials;                       /* ISSUER_SERIAL_BYTES each, zeros in front, sorted */
};

enum issuer_state { ISSUER_IDLE, ISSUER_FETCHING, ISSUER_READING, ISSUER_KEEPING };
/* One section of the configuration. */
struct issuer_watch {
	struct broker *broker;
	char name[ISSUER_NAME_MAX + 1], place[4096]; /* of the list; empty: none is wanted */
	bool is_remote;
	uint64_t every_ms, grace_ms, ocsp_grace_ms;
	bool wants_ocsp;
	char ocsp_trouble[257]; /* why a responder's last answer did not count; empty: it did */
	struct issuer_list *list;
	enum issuer_state state;
	uint64_t look_at_ms, give_up_at_ms; /* monotonic */
	uint64_t pause_ms;                  /* after a failure; grows */
	struct courier_fetch fetch;
	struct buf incoming; /* serials of the list that is being read */
	uint64_t begun_at_ms; /* monotonic */
	bool is_settled;     /* what is said before would be old news */
	bool barred;         /* its devices are refused, and were told so */
	char trouble[257];   /* why the last look has failed; empty: it has not */
};

struct issuers {
	LIST_HEAD(, issuer_list) lists;
	LIST_HEAD(, ocsp_check) checks; /* that run (ocsp.c) */
	struct issuer_watch watches[ISSUERS_MAX];
	unsigned count;
};

/* Whether the authority of an adopted certificate has anything against it: 0, or ERR_DENIED with the code of the refusal
 * (certificate_revoked, crl_stale) and a sentence for the record. */
[[nodiscard]] int issuers_judge(const struct issuers *issuers, const struct certificate *certificate, uint64_t now_ms,
				const char **out_code, const char **out_sentence);
/* The same for a device: by the certificate that is in use. */
[[nodiscard]] int issuers_judge_device(const struct broker *broker, const struct device *device, uint64_t now_ms,
				       const char **out_code, const char **out_sentence);
/* A serial number as the registry writes it, to ISSUER_SERIAL_BYTES, zeros in front. */
bool issuer_read_serial(const char *text, uint8_t *out_bytes);
bool issuer_is_stale(const struct issuer_watch *watch, uint64_t now_ms);
/* Refused now: the next list was due longer ago than the grace, or there was never one. */
bool issuer_is_over(const struct issuer_watch *watch, uint64_t now_ms);
/* How many sections have a list that is stale. */
unsigned issuers_count_stale(const struct issuers *issuers, uint64_t now_ms);

/* The list of an authority, made when there is none. NULL without memory. */
struct issuer_list *issuer_list_of(struct issuers *issuers, const char *authority);
/* Sorts serials as issuer_list has them. */
void issuer_sort(struct buf *serials);

/* Loads the lists; before store_start. */
[[nodiscard]] int issuers_load(struct broker *broker, struct diag *diag);

/* ---- issuer_watch.c ---- */
/* Fingerprints of the sections' certificates, in their order, from the received descriptors. */
struct issuer_prints {
	char text[ISSUERS_MAX][65];
};
[[nodiscard]] int issuers_take(struct room *room, const char *sections, struct issuer_prints *out_prints, struct diag *diag);
/* At the start, and at a reload: these sections count from now on, and all lists are looked for anew. */
void issuers_begin(struct broker *broker, const struct issuer_prints *prints);
/* Looks whether something is due; called every moment (broker.c). */
void issuers_look(struct broker *broker);

/* From the monitor: an opened file, or why there is none. */
void issuers_file(struct broker *broker, struct view name, int fd);
void issuers_no_file(struct broker *broker, struct view name, const char *sentence);
/* From the signer. ERR_BAD_PEER when nobody has asked. Gone: what was asked has failed. */
[[nodiscard]] int issuers_serials(struct broker *broker, const struct broker_signer_foreign_serials *message);
[[nodiscard]] int issuers_read(struct broker *broker, const struct broker_signer_foreign_read *message);
void issuers_lost_signer(struct broker *broker);

#endif
