/* issuer_watch.c: keeps the lists of revoked certificates of other authorities fresh.
 *
 *     IDLE ── due ──► FETCHING (courier, or the monitor opens a file) ──► READING (signer) ──► KEEPING (store) ──► IDLE
 *
 * Nobody here looks into a list: the bytes go, as memory that cannot change or an opened file, to the signer, which knows the
 * authority and answers with serial numbers. A good list is in the store before it counts; an older one than the last is not
 * taken. Then whoever is on it, and whoever's authority is silent for too long, is cut off. Counterparts:
 * gateway/signer/issuers.c, gateway/monitor/files.c, gateway/courier/fetch.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "issuers.h"
#include "monitor_edge.h"
#include "ocsp.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "signer_edge.h"

enum { FETCH_MS = 30000, PATIENCE_MS = 60000, PAUSE_LEAST_MS = 500, SETTLE_MS = 3000, PAUSE_MOST_MS = 300000 };

/* ---- one look, and its end ---- */

static void rest(struct issuer_watch *watch, uint64_t pause_ms)
{
	watch->state = ISSUER_IDLE;
	watch->look_at_ms = clock_monotonic_ms() + pause_ms;
	buf_fini(&watch->incoming);
}

static void succeed(struct issuer_watch *watch)
{
	if (*watch->trouble)
		log_notice("the list of the authority %s can be read again", watch->name);
	watch->trouble[0] = 0;
	watch->pause_ms = 0;
	watch->is_settled = true;
	rest(watch, watch->every_ms);
}

/* Said once for each kind of trouble. */
static void fail(struct issuer_watch *watch, const char *sentence)
{
	uint64_t most = watch->every_ms < PAUSE_MOST_MS ? watch->every_ms : PAUSE_MOST_MS;
	uint64_t pause = watch->pause_ms ? 2 * watch->pause_ms : PAUSE_LEAST_MS;
	char text[sizeof(watch->trouble)];
	str_copy(text, sizeof(text), sentence);
	str_make_printable(text);
	if (strcmp(text, watch->trouble) != 0)
		log_warning("the list of the authority %s: %s", watch->name, text);
	str_copy(watch->trouble, sizeof(watch->trouble), text);
	watch->pause_ms = pause < most ? pause : most;
	watch->is_settled = watch->is_settled || clock_monotonic_ms() >= watch->begun_at_ms + SETTLE_MS;
	rest(watch, watch->pause_ms);
}

static struct issuer_watch *find(struct broker *broker, struct view name)
{
	for (unsigned i = 0; i < broker->issuers.count; i++)
		if (view_is(name, broker->issuers.watches[i].name))
			return &broker->issuers.watches[i];
	return NULL;
}

/* ---- fetching ---- */

static void hand_to_signer(struct issuer_watch *watch, int fd)
{
	watch->state = ISSUER_READING;
	watch->give_up_at_ms = clock_monotonic_ms() + PATIENCE_MS;
	watch->incoming = BUF_INIT((size_t)BROKER_SIGNER_LIST_SERIALS_MAX * ISSUER_SERIAL_BYTES);
	if (!signer_foreign_list(watch->broker, watch->name, fd))
		fail(watch, "the signer is not there; it is tried again");
}

static void on_fetched(struct courier_fetch *fetch, int result, unsigned status, struct view body, const struct diag *diag)
{
	struct issuer_watch *watch = fetch->context;
	char sentence[64];
	(void)body;
	snprintf(sentence, sizeof(sentence), "the server answers with the status %u", status);
	if (result < 0 || status != 200)
		fail(watch, result < 0 ? diag->text : sentence);
	else
		hand_to_signer(watch, fetch->memory);
}

void issuers_file(struct broker *broker, struct view name, int fd)
{
	OWN_FD int file = fd;
	struct issuer_watch *watch = find(broker, name);
	if (watch && watch->state == ISSUER_FETCHING && !watch->is_remote)
		hand_to_signer(watch, file);
}

void issuers_no_file(struct broker *broker, struct view name, const char *sentence)
{
	struct issuer_watch *watch = find(broker, name);
	if (watch && watch->state == ISSUER_FETCHING && !watch->is_remote)
		fail(watch, sentence);
}

static void begin_look(struct issuer_watch *watch)
{
	watch->state = ISSUER_FETCHING;
	watch->give_up_at_ms = clock_monotonic_ms() + PATIENCE_MS;
	if (!watch->is_remote) {
		monitor_want_list(watch->broker, watch->name);
		return;
	}
	watch->fetch = (struct courier_fetch){.url = watch->place, .size_limit = BROKER_SIGNER_LIST_BYTES_MAX, .unread = true,
					      .time_limit_ms = FETCH_MS, .done = on_fetched, .context = watch};
	courier_fetch(watch->broker, &watch->fetch);
}

/* ---- reading ---- */

int issuers_serials(struct broker *broker, const struct broker_signer_foreign_serials *message)
{
	struct issuer_watch *watch = find(broker, message->issuer);
	if (message->serials.size % ISSUER_SERIAL_BYTES)
		return ERR_BAD_PEER;
	/* Else it was given up, or the sections are others now. */
	if (!watch || watch->state != ISSUER_READING)
		return 0;
	return buf_add(&watch->incoming, message->serials) == 0 ? 0 : ERR_BAD_PEER;
}

/* A list on its way into the store. */
struct keeping {
	struct store_operation operation;
	struct broker *broker;
	struct issuer_list *list; /* where it goes */
	char number[2 * ISSUER_SERIAL_BYTES + 1], name[ISSUER_NAME_MAX + 1];
	uint64_t this_ms, next_ms;
	struct buf serials;
	struct audit_entry entry;
};

static void keeping_free(struct keeping *keeping)
{
	buf_fini(&keeping->serials);
	free(keeping);
}

static int keep(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct keeping *keeping = operation->context;
	OWN_MEMORY char *hex = malloc(2 * keeping->serials.size + 1);
	if (!hex)
		return diag_system(diag, "memory");
	str_hex(buf_view(&keeping->serials), hex);
	int result = STORE_RUN(db, diag, issuer_list_put, TEXT(keeping->list->authority), TEXT(keeping->number),
			       NUMBER(keeping->this_ms), NUMBER(keeping->next_ms), TEXT(hex));
	return result < 0 ? result : audit_append(db, &keeping->entry, diag);
}

static void cut_off(struct broker *broker, uint64_t now_ms);

static void on_kept(struct store_operation *operation, int result, const struct diag *diag)
{
	struct keeping *keeping = operation->context;
	struct issuer_watch *watch = find(keeping->broker, view_string(keeping->name));
	struct issuer_list *list = keeping->list;
	if (result == 0) {
		struct buf old = list->serials;
		list->serials = keeping->serials;
		keeping->serials = old;
		list->this_ms = keeping->this_ms;
		list->next_ms = keeping->next_ms;
		list->noticed_at_ms = 0;
		str_copy(list->number, sizeof(list->number), keeping->number);
	}
	if (result == 0)
		cut_off(keeping->broker, clock_wall_ms());
	if (watch && watch->state == ISSUER_KEEPING && result == 0)
		succeed(watch);
	else if (watch && watch->state == ISSUER_KEEPING)
		fail(watch, diag->text);
	keeping_free(keeping);
}

/* For people: without the zeros in front. */
static const char *plain_number(const char *number)
{
	while (number[0] == '0' && number[1])
		number++;
	return number;
}

static void start_keeping(struct issuer_watch *watch, const char *number, uint64_t this_ms, uint64_t next_ms)
{
	struct keeping *keeping = calloc(1, sizeof(*keeping));
	char until[32];
	if (!keeping) {
		fail(watch, "memory");
		return;
	}
	issuer_sort(&watch->incoming);
	*keeping = (struct keeping){.broker = watch->broker, .list = watch->list, .this_ms = this_ms, .next_ms = next_ms,
				    .serials = watch->incoming, .entry = {.code = ""}};
	watch->incoming = BUF_INIT(0);
	watch->state = ISSUER_KEEPING;
	str_copy(keeping->name, sizeof(keeping->name), watch->name);
	str_copy(keeping->number, sizeof(keeping->number), number);
	clock_format(next_ms, until, sizeof(until));
	audit_fill(&keeping->entry, "revocation_list", "the list of the authority %s: number 0x%s, %zu certificates; the next one is due at %s",
		   watch->name, plain_number(number), keeping->serials.size / ISSUER_SERIAL_BYTES, until);
	keeping->operation = (struct store_operation){.work = keep, .done = on_kept, .context = keeping};
	store_submit(watch->broker->store, &keeping->operation);
}

/* Whoever holds the line could play back one from before a device was revoked. */
static bool is_older(const struct issuer_list *list, const char *number, uint64_t this_ms)
{
	return list->next_ms && (strcmp(number, list->number) < 0 || this_ms < list->this_ms);
}

static bool is_same(const struct issuer_list *list, const char *number, uint64_t this_ms, uint64_t next_ms)
{
	return list->next_ms == next_ms && list->this_ms == this_ms && strcmp(number, list->number) == 0;
}

static void judge(struct issuer_watch *watch, const struct broker_signer_foreign_read *message)
{
	char number[2 * ISSUER_SERIAL_BYTES + 1], sentence[sizeof(watch->trouble)];
	uint64_t this_ms = message->this_s * 1000, next_ms = message->next_s * 1000;
	str_hex(message->number, number);
	if (is_older(watch->list, number, this_ms)) {
		snprintf(sentence, sizeof(sentence), "the list is older than the last one (number 0x%s after 0x%s): it is not taken",
			 plain_number(number), plain_number(watch->list->number));
		fail(watch, sentence);
	} else if (is_same(watch->list, number, this_ms, next_ms)) {
		succeed(watch);
	} else {
		start_keeping(watch, number, this_ms, next_ms);
	}
}

int issuers_read(struct broker *broker, const struct broker_signer_foreign_read *message)
{
	struct issuer_watch *watch = find(broker, message->issuer);
	char reason[257];
	if (view_to_string(message->reason, reason, sizeof(reason)) < 0)
		return ERR_BAD_PEER;
	if (!watch || watch->state != ISSUER_READING)
		return 0;
	if (*reason) {
		fail(watch, reason);
		return 0;
	}
	if (message->number.size != ISSUER_SERIAL_BYTES || watch->incoming.size != (size_t)message->count * ISSUER_SERIAL_BYTES ||
	    message->next_s == 0 || message->next_s > INT64_MAX / 1000)
		return ERR_BAD_PEER;
	judge(watch, message);
	return 0;
}

void issuers_lost_signer(struct broker *broker)
{
	for (unsigned i = 0; i < broker->issuers.count; i++)
		if (broker->issuers.watches[i].state == ISSUER_READING)
			fail(&broker->issuers.watches[i], "the signer is gone; it is tried again");
}

/* ---- what follows from it ---- */

struct notice {
	struct store_operation operation;
	char authority[65];
	uint64_t at_ms;
	struct audit_entry entry;
};

static int record_notice(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct notice *notice = operation->context;
	int result = STORE_RUN(db, diag, issuer_list_noticed, NUMBER(notice->at_ms), TEXT(notice->authority));
	return result < 0 ? result : audit_append(db, &notice->entry, diag);
}

static void on_noticed(struct store_operation *operation, int result, const struct diag *diag)
{
	(void)result, (void)diag;
	free(operation->context);
}

static void notice(struct issuer_watch *watch, uint64_t now_ms, const char *code, const char *consequence)
{
	struct notice *notice = calloc(1, sizeof(*notice));
	char due[32] = "never came";
	if (!notice)
		return;
	watch->list->noticed_at_ms = notice->at_ms = now_ms;
	str_copy(notice->authority, sizeof(notice->authority), watch->list->authority);
	str_copy(notice->entry.code, sizeof(notice->entry.code), code);
	if (watch->list->next_ms)
		clock_format(watch->list->next_ms, due, sizeof(due));
	audit_fill(&notice->entry, "alarm", "the authority %s: its list of revoked certificates %s%s; %s%s%s", watch->name,
		   watch->list->next_ms ? "should have been renewed by " : "", due, consequence, *watch->trouble ? ": " : "",
		   watch->trouble);
	log_warning("%s", notice->entry.detail);
	notice->operation = (struct store_operation){.work = record_notice, .done = on_noticed, .context = notice};
	store_submit(watch->broker->store, &notice->operation);
}

/* Once, while the old list still counts; and when it does not any more. */
static void look_at_age(struct issuer_watch *watch, uint64_t now_ms)
{
	char until[32], consequence[96];
	bool over = issuer_is_over(watch, now_ms);
	if (!watch->is_settled || watch->state == ISSUER_KEEPING)
		return;
	if (over && !watch->barred) {
		notice(watch, now_ms, "crl_stale", "its devices are refused");
	} else if (!over && issuer_is_stale(watch, now_ms) && !watch->list->noticed_at_ms) {
		clock_format(watch->list->next_ms + watch->grace_ms, until, sizeof(until));
		snprintf(consequence, sizeof(consequence), "from %s on its devices are refused", until);
		notice(watch, now_ms, "crl_stale_soon", consequence);
	}
	watch->barred = over;
}

/* Whoever was let in before is cut off, once for each reason; who has nothing open is refused when he comes. */
static void cut_off(struct broker *broker, uint64_t now_ms)
{
	struct device *device;
	LIST_FOREACH(device, &broker->registry.devices, all) {
		const char *code = NULL, *sentence = NULL;
		if (LIST_EMPTY(&device->workers) && LIST_EMPTY(&device->sessions))
			continue;
		bool is_refused = issuers_judge_device(broker, device, now_ms, &code, &sentence) < 0;
		if (is_refused && code != device->barred_for)
			registry_bar(broker, device, code, sentence);
		device->barred_for = is_refused ? code : NULL;
	}
}

void issuers_look(struct broker *broker)
{
	uint64_t now_ms = clock_wall_ms(), monotonic_ms = clock_monotonic_ms();
	struct issuers *issuers = &broker->issuers;
	for (unsigned i = 0; i < issuers->count; i++) {
		struct issuer_watch *watch = &issuers->watches[i];
		bool is_waiting = watch->state == ISSUER_READING || (watch->state == ISSUER_FETCHING && !watch->is_remote);
		if (*watch->place && watch->state == ISSUER_IDLE && monotonic_ms >= watch->look_at_ms)
			begin_look(watch);
		else if (is_waiting && monotonic_ms >= watch->give_up_at_ms)
			fail(watch, "nobody answers");
		look_at_age(watch, now_ms);
	}
	if (!issuers->count)
		return;
	ocsp_look(broker);
	cut_off(broker, now_ms);
}

/* ---- sections ---- */

/* Of the certificate's bytes, as everybody computes it; what is in it is the signer's to judge. */
static int read_print(struct room_descriptor *file, char *out_print, struct diag *diag)
{
	OWN_BUF struct buf pem = BUF_INIT(262144), der = BUF_INIT(262144);
	int result = fd_read_all(file->fd, &pem);
	if (result == 0)
		result = hash_pem_certificate(&pem, &der);
	if (result < 0)
		return diag_set(diag, ERR_BAD_CONFIG, "the authority \"%s\": its file holds no certificate in PEM", file->name);
	hash_sha256_hex(buf_view(&der), out_print);
	return 0;
}

int issuers_take(struct room *room, const char *sections, struct issuer_prints *out_prints, struct diag *diag)
{
	struct room_descriptor *file;
	struct issuer issuer;
	size_t position = 0, at = 0;
	int result = 0;
	for (unsigned i = 0; result == 0 && i < ISSUERS_MAX && issuer_next(sections, &position, &issuer); i++) {
		file = room_descriptor(room, MONITOR_ROOM_PURPOSE_ISSUER, &at);
		result = file && view_is(issuer.name, file->name)
				 ? read_print(file, out_prints->text[i], diag)
				 : diag_set(diag, ERR_BAD_CONFIG, "the certificate of an authority is missing");
	}
	return result;
}

static void begin_watch(struct broker *broker, struct issuer_watch *watch, const struct issuer *issuer, const char *print)
{
	*watch = (struct issuer_watch){.broker = broker, .is_remote = issuer_is_remote(issuer), .state = ISSUER_IDLE};
	(void)!view_to_string(issuer->name, watch->name, sizeof(watch->name));
	(void)!view_to_string(issuer->crl, watch->place, sizeof(watch->place));
	watch->wants_ocsp = issuer_wants_ocsp(issuer);
	(void)!issuer_times(issuer, &watch->every_ms, &watch->grace_ms, &watch->ocsp_grace_ms);
	watch->list = issuer_list_of(&broker->issuers, print);
	/* At a reload signer, monitor and courier come after us. */
	watch->begun_at_ms = clock_monotonic_ms();
	watch->look_at_ms = watch->begun_at_ms + PAUSE_LEAST_MS / 2;
}

void issuers_begin(struct broker *broker, const struct issuer_prints *prints)
{
	struct issuers *issuers = &broker->issuers;
	struct issuer issuer;
	size_t position = 0;
	for (unsigned i = 0; i < issuers->count; i++) {
		if (issuers->watches[i].state == ISSUER_FETCHING && issuers->watches[i].is_remote)
			courier_fetch_cancel(&issuers->watches[i].fetch);
		buf_fini(&issuers->watches[i].incoming);
	}
	issuers->count = 0;
	while (issuers->count < ISSUERS_MAX && issuer_next(broker->room->conf.authority, &position, &issuer)) {
		struct issuer_watch *watch = &issuers->watches[issuers->count];
		begin_watch(broker, watch, &issuer, prints->text[issuers->count]);
		if (!watch->list) {
			log_error("no memory for the authority %s", watch->name);
			abort();
		}
		issuers->count++;
	}
}
