/* transfer.h: one exchange with a stranger, within its bounds. The only file that knows libcurl is transfer.c.
 *
 * Bounds of every transfer: a time limit over all, a limit of the answer's size, certificates checked against the system's
 * trust list, no proxy from the environment, no file:// or other scheme. Name look-ups happen in libcurl's threads.
 */
#ifndef SALLYPORT_COURIER_TRANSFER_H
#define SALLYPORT_COURIER_TRANSFER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define TRANSFERS_MAX 64
#define TRANSFER_TRUST_LIST "/etc/ssl/certs/ca-certificates.crt"

struct transfer;
struct transfer_curl;

/* Result 0: an answer came whole; else ERR_TIMEOUT, ERR_LIMIT, ERR_DENIED or ERR_SYSTEM and a sentence. The transfer is freed
 * afterwards. */
typedef void (*transfer_done)(struct transfer *transfer, int result, const struct diag *diag);

struct transfers {
	struct transfer_curl *curl;
	LIST_HEAD(, transfer) all;
	unsigned count;
};

/* What to do. Texts are borrowed until transfer_begin returns. */
struct transfer_wish {
	const char *url;
	bool post;
	const char *content_type; /* of a POST */
	struct view body;
	uint64_t size_limit;
	uint32_t time_limit_ms;
	/* A place that others have written down (a certificate): redirects are followed, and neither they nor a name lead to
	 * this machine or its link; only a URL that spells such an address out. Otherwise: a place of the admin's, wherever it
	 * is; redirects are not followed. */
	bool foreign;
	const char *const *headers; /* more of them, ended by NULL; NULL: none */
	const char *authority;      /* PEM file; NULL: the system's trust list */
	/* Mail (smtp:// and smtps://) instead: `body` is the whole message. */
	const char *mail_from;  /* NULL: no mail */
	const char *mail_to;    /* addresses, separated by commas */
	const char *user, *password; /* NULL: nobody logs in */
	bool without_tls;
};

struct transfer {
	LIST_ENTRY(transfer) all;
	struct transfers *owner;
	void *easy;          /* libcurl's */
	void *headers;       /* libcurl's */
	void *recipients;    /* libcurl's */
	size_t sent;         /* bytes of body, of mail */
	transfer_done done;
	void *context;       /* the caller's */
	uint64_t number;     /* the caller's */
	struct buf answer;
	struct buf body;
	long status;         /* of HTTP or SMTP; 0: none */
	bool foreign;
	bool over_limit, inward; /* why it was cut off */
	bool body_refused;       /* of mail: the server has refused the message itself, for ever */
	char named[256];     /* the host of the URL, as it was spelled */
	char trouble[256];   /* libcurl's */
};

[[nodiscard]] int transfers_init(struct transfers *transfers, struct diag *diag);
/* `done` runs later, from transfers_turn. ERR_LIMIT, ERR_BAD_INPUT, ERR_SYSTEM with a sentence: nothing was begun. */
[[nodiscard]] int transfer_begin(struct transfers *transfers, const struct transfer_wish *wish, transfer_done done,
				 void *context, uint64_t number, struct diag *diag);

/* One round: waits up to wait_ms until something moves, also on these two descriptors (-1: none), and moves it. */
struct transfers_watch {
	int fd;
	bool readable;
};
/* Drops all without a word. */
void transfers_forget(struct transfers *transfers);
/* From another thread: ends the present wait. */
void transfers_wake(struct transfers *transfers);
void transfers_turn(struct transfers *transfers, struct transfers_watch *watches, unsigned count, int wait_ms);

#endif
