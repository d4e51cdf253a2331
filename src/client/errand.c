/* errand.c: a request to the gateway that waits for the connection. */
#include "errand.h"

#include <stdlib.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

struct errand {
	struct uplink_waiter waiter; /* first: a waiter is its errand */
	struct uplink *uplink;
	errand_done_handler on_done;
	void *owner;
	char method[17], path[1025], token[ANSWER_TOKEN_MAX + 1];
	struct buf body;
	struct api_call *call;
	bool sent_again;
};

static void errand_free(struct errand *errand)
{
	api_free(errand->call);
	buf_wipe(&errand->body);
	wipe(errand->token, sizeof(errand->token));
	free(errand);
}

static void finish(struct errand *errand, const struct errand_result *result)
{
	errand->on_done(errand->owner, result);
	errand_free(errand);
}

static void on_failed(struct uplink_waiter *waiter, int status, const struct diag *diag)
{
	const struct errand_result result = {.status = status, .diag = *diag};
	finish((struct errand *)waiter, &result);
}

static void on_answered(struct api_call *call, void *owner)
{
	struct errand *errand = owner;
	struct errand_result result = {.body = api_body(call), .refused = api_refused(call)};
	result.status = api_result(call, &result.diag);
	bool lost = result.status == STATUS_UNREACHABLE && !result.refused;
	if (!lost || errand->sent_again || strcmp(errand->method, "GET") != 0) {
		finish(errand, &result);
		return;
	}
	errand->sent_again = true;
	api_free(take_pointer(&errand->call));
	uplink_wait(errand->uplink, &errand->waiter);
}

static void on_ready(struct uplink_waiter *waiter, struct connection *connection)
{
	struct errand *errand = (struct errand *)waiter;
	const struct api_request request = {
		.method = errand->method,
		.path = errand->path,
		.token = errand->token[0] ? errand->token : NULL,
		.body = buf_view(&errand->body),
	};
	struct diag diag;
	int status = api_start(connection, &request, on_answered, errand, &errand->call, &diag);
	if (status != STATUS_OK)
		on_failed(waiter, status, &diag);
}

int errand_start(struct uplink *uplink, const struct api_request *request, errand_done_handler on_done, void *owner,
		 struct errand **out_errand, struct diag *diag)
{
	struct errand *errand = calloc(1, sizeof(*errand));
	if (!errand)
		return diag_set(diag, STATUS_FAILED, "memory is out");
	errand->waiter = (struct uplink_waiter){.patience = UPLINK_EAGER, .on_ready = on_ready, .on_failed = on_failed};
	errand->uplink = uplink;
	errand->on_done = on_done;
	errand->owner = owner;
	errand->body = BUF_INIT(request->body.size);
	bool fits = str_copy(errand->method, sizeof(errand->method), request->method) &&
		    str_copy(errand->path, sizeof(errand->path), request->path) &&
		    str_copy(errand->token, sizeof(errand->token), request->token ? request->token : "") &&
		    buf_add(&errand->body, request->body) == 0;
	if (!fits) {
		errand_free(errand);
		return diag_set(diag, STATUS_FAILED, "The request does not fit");
	}
	*out_errand = errand;
	uplink_wait(uplink, &errand->waiter);
	return STATUS_OK;
}

void errand_drop(struct errand *errand)
{
	if (!errand)
		return;
	uplink_leave(errand->uplink, &errand->waiter);
	errand_free(errand);
}
