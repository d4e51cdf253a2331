/* errand.c: a request to the gateway that waits for the connection. */
#include "errand.h"

#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "session.h"

struct errand {
	struct uplink_waiter waiter; /* first: a waiter is its errand */
	struct uplink *uplink;
	errand_done_handler on_done;
	void *owner;
	char method[17], path[1025], only_at[272];
	struct token token;
	bool with_session;
	char gateway[272]; /* that was asked */
	struct buf body;
	struct api_call *call;
	unsigned sent;
	struct diag no_session; /* empty: there is one, or none is wanted */
};

static void errand_free(struct errand *errand)
{
	api_free(errand->call);
	buf_wipe(&errand->body);
	token_wipe(&errand->token);
	free(errand);
}

static void finish(struct errand *errand, const struct errand_result *result)
{
	errand->on_done(errand->owner, result);
	errand_free(errand);
}

static void on_failed(struct uplink_waiter *waiter, int status, const struct diag *diag)
{
	const struct errand_result result = {.status = status, .diag = *diag, .gateway = ((struct errand *)waiter)->gateway};
	finish((struct errand *)waiter, &result);
}

static void on_answered(struct api_call *call, void *owner)
{
	struct errand *errand = owner;
	struct errand_result result = {.body = api_body(call), .refused = api_refused(call), .gateway = errand->gateway};
	result.status = api_result(call, &result.diag);
	explain("%s %s at %s: %s", errand->method, errand->path, errand->gateway,
		result.status == STATUS_OK ? "answered" : result.diag.text);
	bool lost = result.status == STATUS_UNREACHABLE && !result.refused && errand->sent == 1;
	/* A gateway that refuses the device has read no request of it. */
	bool turned_away = result.status == STATUS_DEVICE_REFUSED && !result.refused && uplink_may_try_another(errand->uplink, errand->sent);
	if (!(lost && strcmp(errand->method, "GET") == 0) && !turned_away) {
		if (result.status == STATUS_LOGIN_NEEDED && errand->no_session.text[0])
			result.diag = errand->no_session;
		finish(errand, &result);
		return;
	}
	api_free(take_pointer(&errand->call));
	uplink_wait(errand->uplink, &errand->waiter);
}

/* What is one gateway's stays with it. */
static int take_gateway(struct errand *errand, const char *gateway, struct diag *diag)
{
	str_copy(errand->gateway, sizeof(errand->gateway), gateway);
	if (*errand->only_at && strcmp(errand->only_at, gateway) != 0)
		return diag_set(diag, STATUS_UNREACHABLE, _("The gateway %s, where this began, is gone, and %s knows nothing of it; run the "
							  "command again"), errand->only_at, gateway);
	errand->no_session.text[0] = 0;
	int status = errand->with_session ? session_load(uplink_settings(errand->uplink), gateway, &errand->token, diag) : STATUS_OK;
	if (status != STATUS_LOGIN_NEEDED)
		return status;
	/* Asked all the same: what the gateway says to the device counts more. */
	errand->no_session = *diag;
	return STATUS_OK;
}

static void on_ready(struct uplink_waiter *waiter, struct connection *connection)
{
	struct errand *errand = (struct errand *)waiter;
	struct diag diag;
	int status = take_gateway(errand, connection_authority(connection), &diag);
	const struct api_request request = {
		.method = errand->method,
		.path = errand->path,
		.token = errand->token.text[0] ? errand->token.text : NULL,
		.body = buf_view(&errand->body),
	};
	if (status == STATUS_OK)
		status = api_start(connection, &request, on_answered, errand, &errand->call, &diag);
	errand->sent++;
	if (status != STATUS_OK)
		on_failed(waiter, status, &diag);
}

int errand_start(struct uplink *uplink, const struct api_request *request, errand_done_handler on_done, void *owner,
		 struct errand **out_errand, struct diag *diag)
{
	struct errand *errand = calloc(1, sizeof(*errand));
	if (!errand)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	errand->waiter = (struct uplink_waiter){.patience = UPLINK_EAGER, .on_ready = on_ready, .on_failed = on_failed};
	errand->uplink = uplink;
	errand->with_session = request->with_session;
	errand->on_done = on_done;
	errand->owner = owner;
	errand->body = BUF_INIT(request->body.size);
	bool fits = str_copy(errand->method, sizeof(errand->method), request->method) &&
		    str_copy(errand->path, sizeof(errand->path), request->path) &&
		    str_copy(errand->token.text, sizeof(errand->token.text), request->token ? request->token : "") &&
		    str_copy(errand->only_at, sizeof(errand->only_at), request->only_at ? request->only_at : "") &&
		    buf_add(&errand->body, request->body) == 0;
	if (!fits) {
		errand_free(errand);
		return diag_set(diag, STATUS_FAILED, _("The request does not fit"));
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
