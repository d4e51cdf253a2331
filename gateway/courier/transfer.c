/* transfer.c: libcurl: one exchange with a stranger, within its bounds. */
#include "transfer.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { REDIRECTS_MAX = 3, CONNECT_LIMIT_MS = 15000, WATCHES_MAX = 8, RATE_LEAST = 1, RATE_SECONDS = 30 };

struct transfer_curl {
	CURLM *multi;
};

/* ---- which addresses ---- */

static bool is_inward4(const struct in_addr *address)
{
	uint32_t number = ntohl(address->s_addr);
	/* this machine, its link, no address, groups and what lies behind them */
	return number >> 24 == 127 || number >> 16 == 0xa9fe || number >> 24 == 0 || number >> 28 >= 0xe;
}

static bool is_inward(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return is_inward4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
	const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(six) || IN6_IS_ADDR_V4COMPAT(six)) {
		struct in_addr four;
		memcpy(&four, &six->s6_addr[12], sizeof(four));
		return is_inward4(&four) || IN6_IS_ADDR_LOOPBACK(six);
	}
	return IN6_IS_ADDR_LOOPBACK(six) || IN6_IS_ADDR_LINKLOCAL(six) || IN6_IS_ADDR_UNSPECIFIED(six) || IN6_IS_ADDR_MULTICAST(six);
}

/* Whether the URL spells this very address out. */
static bool is_named(const struct transfer *transfer, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN];
	const void *bytes = address->sa_family == AF_INET
				    ? (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
				    : (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	struct in6_addr named, there;
	int family = address->sa_family;
	if (!inet_ntop(family, bytes, text, sizeof(text)) || inet_pton(family, transfer->named, &named) != 1)
		return strcasecmp(transfer->named, "localhost") == 0 && (strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0);
	return inet_pton(family, text, &there) == 1 &&
	       memcmp(&named, &there, family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr)) == 0;
}

/* Asked with the address that is about to be dialed: what was checked is what is dialed. */
static curl_socket_t on_socket(void *self, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *transfer = self;
	if (purpose != CURLSOCKTYPE_IPCXN || (address->family != AF_INET && address->family != AF_INET6))
		return CURL_SOCKET_BAD;
	if (transfer->foreign && is_inward(&address->addr) && !is_named(transfer, &address->addr)) {
		transfer->inward = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- the bytes ---- */

static size_t on_answer(char *bytes, size_t size, size_t count, void *self)
{
	struct transfer *transfer = self;
	if (buf_add(&transfer->answer, view_of(bytes, size * count)) == 0)
		return size * count;
	transfer->over_limit = true;
	return 0;
}

/* Heads are not kept; a stranger who sends them without end is cut off by libcurl (300 KiB) and the time limit. */
static size_t on_head(char *bytes, size_t size, size_t count, void *self)
{
	(void)bytes, (void)self;
	return size * count;
}

static size_t on_body(char *space, size_t size, size_t count, void *self)
{
	struct transfer *transfer = self;
	size_t left = transfer->body.size - transfer->sent, most = size * count;
	size_t bytes = left < most ? left : most;
	if (bytes)
		memcpy(space, transfer->body.data + transfer->sent, bytes);
	transfer->sent += bytes;
	return bytes;
}

/* ---- beginning ---- */

static void transfer_free(struct transfer *transfer)
{
	if (transfer->easy)
		curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->recipients);
	buf_fini(&transfer->answer);
	buf_wipe(&transfer->body);
	free(transfer);
}
DEFINE_OWN(transfer, struct transfer *, transfer_free)

static int take_named(struct transfer *transfer, const char *url, struct diag *diag)
{
	CURLU *parts = curl_url();
	char *host = NULL;
	bool good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && strlen(host) < sizeof(transfer->named);
	if (good) {
		size_t length = strlen(host);
		bool bracketed = host[0] == '[' && host[length - 1] == ']';
		str_copy(transfer->named, sizeof(transfer->named), bracketed ? host + 1 : host);
		if (bracketed)
			transfer->named[length - 2] = 0;
	}
	curl_free(host);
	curl_url_cleanup(parts);
	return good ? 0 : diag_set(diag, ERR_BAD_INPUT, "this is no URL that can be asked");
}

static bool begins_with(const char *text, const char *start)
{
	return strncasecmp(text, start, strlen(start)) == 0;
}

#define SET(easy, option, value) (result |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static int set_bounds(struct transfer *transfer, const struct transfer_wish *wish, const char *schemes)
{
	CURL *easy = transfer->easy;
	bool result = false;
	SET(easy, CURLOPT_URL, wish->url);
	SET(easy, CURLOPT_PROTOCOLS_STR, schemes);
	/* Never from a protected place to an unprotected one. */
	SET(easy, CURLOPT_REDIR_PROTOCOLS_STR, begins_with(wish->url, "https:") ? "https" : "http,https");
	SET(easy, CURLOPT_FOLLOWLOCATION, wish->foreign && !wish->post ? 1L : 0L);
	SET(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_TIMEOUT_MS, (long)wish->time_limit_ms);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_LIMIT_MS);
	SET(easy, CURLOPT_LOW_SPEED_LIMIT, (long)RATE_LEAST);
	SET(easy, CURLOPT_LOW_SPEED_TIME, (long)RATE_SECONDS);
	SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)wish->size_limit);
	SET(easy, CURLOPT_FRESH_CONNECT, 1L);
	SET(easy, CURLOPT_FORBID_REUSE, 1L);
	SET(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(easy, CURLOPT_OPENSOCKETDATA, transfer);
	SET(easy, CURLOPT_WRITEFUNCTION, on_answer);
	SET(easy, CURLOPT_WRITEDATA, transfer);
	SET(easy, CURLOPT_HEADERFUNCTION, on_head);
	SET(easy, CURLOPT_ERRORBUFFER, transfer->trouble);
	SET(easy, CURLOPT_PRIVATE, transfer);
	SET(easy, CURLOPT_CAINFO, wish->authority ? wish->authority : TRANSFER_TRUST_LIST);
	SET(easy, CURLOPT_CAPATH, NULL);
	SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(easy, CURLOPT_USERAGENT, "Sallyport/" SALLYPORT_VERSION);
	return result ? ERR_SYSTEM : 0;
}

/* "Name: " and value, or the two in one. */
static bool add_header(struct transfer *transfer, const char *name, const char *value)
{
	OWN_BUF struct buf line = BUF_INIT(1024);
	if (buf_add_format(&line, "%s%s", name, value) < 0 || buf_add(&line, view_of("", 1)) < 0)
		return false;
	struct curl_slist *longer = curl_slist_append(transfer->headers, (const char *)line.data);
	if (longer)
		transfer->headers = longer;
	return longer;
}

static int set_post(struct transfer *transfer, const struct transfer_wish *wish)
{
	CURL *easy = transfer->easy;
	bool result = false;
	if (!wish->post)
		return 0;
	transfer->body = BUF_INIT(wish->body.size + 1);
	if (buf_add(&transfer->body, wish->body) < 0 || buf_add(&transfer->body, view_of("", 1)) < 0)
		return ERR_SYSTEM;
	SET(easy, CURLOPT_POST, 1L);
	SET(easy, CURLOPT_POSTFIELDS, (char *)transfer->body.data);
	SET(easy, CURLOPT_POSTFIELDSIZE, (long)wish->body.size);
	/* No wait for "100 Continue". */
	result |= !add_header(transfer, "Content-Type: ", wish->content_type) || !add_header(transfer, "Expect:", "");
	for (const char *const *header = wish->headers; header && *header; header++)
		result |= !add_header(transfer, *header, "");
	SET(easy, CURLOPT_HTTPHEADER, (struct curl_slist *)transfer->headers);
	return result ? ERR_SYSTEM : 0;
}

static bool add_recipient(struct transfer *transfer, struct view address)
{
	char text[256];
	struct curl_slist *longer =
		view_to_string(address, text, sizeof(text)) < 0 ? NULL : curl_slist_append(transfer->recipients, text);
	if (longer)
		transfer->recipients = longer;
	return longer;
}

static int set_mail(struct transfer *transfer, const struct transfer_wish *wish)
{
	CURL *easy = transfer->easy;
	bool result = false;
	transfer->body = BUF_INIT(wish->body.size);
	result |= buf_add(&transfer->body, wish->body) < 0;
	for (const char *to = wish->mail_to; *to; to += strcspn(to, ","), to += *to == ',')
		result |= !add_recipient(transfer, view_of(to, strcspn(to, ",")));
	SET(easy, CURLOPT_MAIL_FROM, wish->mail_from);
	SET(easy, CURLOPT_MAIL_RCPT, (struct curl_slist *)transfer->recipients);
	SET(easy, CURLOPT_UPLOAD, 1L);
	SET(easy, CURLOPT_READFUNCTION, on_body);
	SET(easy, CURLOPT_READDATA, transfer);
	SET(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)wish->body.size);
	/* Without STARTTLS nothing is sent, unless the admin says that it is a server of this machine. */
	SET(easy, CURLOPT_USE_SSL, wish->without_tls ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	if (wish->user) {
		SET(easy, CURLOPT_USERNAME, wish->user);
		SET(easy, CURLOPT_PASSWORD, wish->password);
	}
	return result ? ERR_SYSTEM : 0;
}

static bool has_right_scheme(const struct transfer_wish *wish)
{
	static const char *const of_mail[] = {"smtp://", "smtps://"}, *const of_others[] = {"http://", "https://"};
	const char *const *schemes = wish->mail_from ? of_mail : of_others;
	return begins_with(wish->url, schemes[0]) || begins_with(wish->url, schemes[1]);
}

int transfer_begin(struct transfers *transfers, const struct transfer_wish *wish, transfer_done done, void *context,
		   uint64_t number, struct diag *diag)
{
	if (transfers->count >= TRANSFERS_MAX)
		return diag_set(diag, ERR_LIMIT, "%d transfers are under way already", TRANSFERS_MAX);
	if (!has_right_scheme(wish))
		return diag_set(diag, ERR_BAD_INPUT, "only http:// and https:// can be asked");
	OWN(own_transfer) struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (!transfer || !(transfer->easy = curl_easy_init()))
		return diag_set(diag, ERR_SYSTEM, "no memory for a transfer");
	transfer->owner = transfers;
	transfer->done = done;
	transfer->context = context;
	transfer->number = number;
	transfer->foreign = wish->foreign;
	transfer->answer = BUF_INIT(wish->size_limit);
	int result = take_named(transfer, wish->url, diag);
	if (result < 0)
		return result;
	if (set_bounds(transfer, wish, wish->mail_from ? "smtp,smtps" : "http,https") < 0 ||
	    (wish->mail_from ? set_mail(transfer, wish) : set_post(transfer, wish)) < 0 ||
	    curl_multi_add_handle(transfers->curl->multi, transfer->easy) != CURLM_OK)
		return diag_set(diag, ERR_SYSTEM, "the transfer cannot be set up");
	LIST_INSERT_HEAD(&transfers->all, transfer, all);
	transfers->count++;
	(void)take_pointer(&transfer);
	return 0;
}

/* ---- ending ---- */

static int judge(const struct transfer *transfer, CURLcode code, struct diag *diag)
{
	if (code == CURLE_OK)
		return 0;
	if (transfer->inward)
		return diag_set(diag, ERR_DENIED, "it leads to this machine or its link, which the URL does not spell out");
	if (transfer->over_limit || code == CURLE_FILESIZE_EXCEEDED)
		return diag_set(diag, ERR_LIMIT, "the answer is larger than %zu bytes", transfer->answer.limit);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return diag_set(diag, ERR_TIMEOUT, "no whole answer within the time limit");
	return diag_set(diag, ERR_SYSTEM, "%s", *transfer->trouble ? transfer->trouble : curl_easy_strerror(code));
}

static void leave(struct transfer *transfer)
{
	curl_multi_remove_handle(transfer->owner->curl->multi, transfer->easy);
	LIST_REMOVE(transfer, all);
	transfer->owner->count--;
}

void transfers_forget(struct transfers *transfers)
{
	struct transfer *transfer;
	while ((transfer = LIST_FIRST(&transfers->all))) {
		leave(transfer);
		transfer_free(transfer);
	}
}

static void end(struct transfer *transfer, CURLcode code)
{
	struct diag diag = {""};
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
	/* What the server says after the message's last dot is not what libcurl expects when it is a refusal. */
	transfer->body_refused = code == CURLE_WEIRD_SERVER_REPLY && transfer->status >= 500 && transfer->sent;
	int result = judge(transfer, code, &diag);
	str_make_printable(diag.text);
	leave(transfer);
	transfer->done(transfer, result, &diag);
	transfer_free(transfer);
}

static void end_all_done(struct transfers *transfers)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(transfers->curl->multi, &left))) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
		end(transfer, code);
	}
}

/* ---- turning ---- */

int transfers_init(struct transfers *transfers, struct diag *diag)
{
	*transfers = (struct transfers){.curl = calloc(1, sizeof(*transfers->curl))};
	LIST_INIT(&transfers->all);
	if (!transfers->curl || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK || !(transfers->curl->multi = curl_multi_init()))
		return diag_set(diag, ERR_SYSTEM, "libcurl cannot be set up");
	return 0;
}

void transfers_wake(struct transfers *transfers)
{
	curl_multi_wakeup(transfers->curl->multi);
}

void transfers_turn(struct transfers *transfers, struct transfers_watch *watches, unsigned count, int wait_ms)
{
	struct curl_waitfd fds[WATCHES_MAX] = {0};
	unsigned used = 0;
	int running;
	for (unsigned i = 0; i < count && i < WATCHES_MAX; i++)
		if (watches[i].fd >= 0)
			fds[used++] = (struct curl_waitfd){.fd = watches[i].fd, .events = CURL_WAIT_POLLIN};
	curl_multi_poll(transfers->curl->multi, fds, used, wait_ms, NULL);
	used = 0;
	for (unsigned i = 0; i < count && i < WATCHES_MAX; i++)
		watches[i].readable = watches[i].fd >= 0 && fds[used++].revents;
	curl_multi_perform(transfers->curl->multi, &running);
	end_all_done(transfers);
}
