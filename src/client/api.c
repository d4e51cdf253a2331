/* api.c: JSON requests on the connection, and their answers. What an answer means is answer.c's matter. */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum {
	ANSWER_BYTES_MAX = 8 * 1024 * 1024,
	FAREWELL_LIMIT_MS = 3000,
};

struct api_call {
	struct stream stream; /* first: a stream is its call */
	api_done_handler on_done;
	void *owner;
	bool done;
	bool too_large;
	unsigned http_status; /* 0: no answer yet */
	char retry_after[16];
	struct buf body;
	int status; /* once done */
	struct diag diag;
	struct refused refused;
};

static struct api_call *call_of(struct stream *stream)
{
	return (struct api_call *)stream;
}

static void on_response(struct stream *stream, const struct http_response *response)
{
	struct api_call *call = call_of(stream);
	call->http_status = response->status;
	if (view_to_string(response->retry_after, call->retry_after, sizeof(call->retry_after)) < 0)
		call->retry_after[0] = 0;
}

static void on_data(struct stream *stream, struct view bytes)
{
	struct api_call *call = call_of(stream);
	if (buf_add(&call->body, bytes) < 0)
		call->too_large = true;
	connection_consumed(stream, bytes.size);
}

static void on_finish(struct stream *stream)
{
	(void)stream;
}

static void judge(struct api_call *call, enum h2_code code)
{
	if (call->too_large) {
		call->status = diag_set(&call->diag, STATUS_FAILED, _("The gateway's answer is too large"));
	} else if (code != H2_NO_ERROR || !call->http_status) {
		call->status = diag_set(&call->diag, STATUS_UNREACHABLE, _("The gateway %s did not answer the request (%s)"),
					connection_authority(call->stream.connection), h2_code_name(code));
	} else if (call->http_status / 100 != 2) {
		problem_read(buf_view(&call->body), call->http_status, view_string(call->retry_after), &call->refused);
		call->status = problem_explain(&call->refused, NULL, &call->diag);
	}
}

/* The connection's end says more than that of its stream. */
static void judge_lost(struct api_call *call)
{
	struct connection *connection = call->stream.connection;
	call->status = connection_ending(connection, &call->diag);
	if (call->status == STATUS_OK)
		call->status = diag_set(&call->diag, STATUS_UNREACHABLE, _("The gateway %s closed the connection without an answer"),
					connection_authority(connection));
}

static void on_closed(struct stream *stream, enum h2_code code, bool by_peer)
{
	(void)by_peer;
	struct api_call *call = call_of(stream);
	call->done = true;
	if (code == H2_CONNECTION_LOST)
		judge_lost(call);
	else
		judge(call, code);
	if (call->on_done)
		call->on_done(call, call->owner);
}

static const struct stream_handlers handlers = {
	.on_response = on_response,
	.on_data = on_data,
	.on_finish = on_finish,
	.on_closed = on_closed,
};

static int send_request(struct api_call *call, struct connection *connection, const struct api_request *request,
			struct diag *diag)
{
	char authorization[ANSWER_TOKEN_MAX + 16] = "";
	struct http_header headers[3] = {HTTP_HEADER("accept", "*/*")};
	size_t count = 1;
	if (request->body.size)
		headers[count++] = HTTP_HEADER("content-type", request->content_type ? request->content_type : "application/json");
	if (request->authorization)
		headers[count++] = HTTP_HEADER("authorization", request->authorization);
	else if (request->token) {
		snprintf(authorization, sizeof(authorization), "Bearer %s", request->token);
		headers[count++] = HTTP_HEADER("authorization", authorization);
	}
	struct h2_request h2_request = {
		.method = request->method,
		.path = view_string(request->path),
		.headers = headers,
		.header_count = count,
		.body = request->body,
	};
	int status = connection_request(connection, &h2_request, &call->stream, diag);
	wipe(authorization, sizeof(authorization));
	return status;
}

int api_start(struct connection *connection, const struct api_request *request, api_done_handler on_done, void *owner,
	      struct api_call **out_call, struct diag *diag)
{
	struct api_call *call = calloc(1, sizeof(*call));
	if (!call)
		return diag_set(diag, STATUS_FAILED, _("memory is out"));
	call->stream.handlers = &handlers;
	call->on_done = on_done;
	call->owner = owner;
	call->body = BUF_INIT(ANSWER_BYTES_MAX);
	int status = send_request(call, connection, request, diag);
	if (status != STATUS_OK) {
		free(call);
		return status;
	}
	*out_call = call;
	return STATUS_OK;
}

bool api_is_done(const struct api_call *call)
{
	return call->done;
}

int api_result(const struct api_call *call, struct diag *out_diag)
{
	*out_diag = call->diag;
	return call->status;
}

struct view api_body(const struct api_call *call)
{
	return buf_view(&call->body);
}

unsigned api_http_status(const struct api_call *call, unsigned *out_retry_after_s)
{
	uint64_t seconds = 0;
	if (str_to_u64(view_string(call->retry_after), 1, 86400, &seconds) < 0)
		seconds = 0;
	*out_retry_after_s = (unsigned)seconds;
	return call->http_status;
}

const struct refused *api_refused(const struct api_call *call)
{
	return call->refused.http_status ? &call->refused : NULL;
}

void api_free(struct api_call *call)
{
	if (!call)
		return;
	connection_forget(&call->stream);
	buf_wipe(&call->body);
	free(call);
}
DEFINE_OWN(call, struct api_call *, api_free)

static bool is_done(const void *subject)
{
	return api_is_done(subject);
}

int api_call(struct loop *loop, struct connection *connection, const struct api_request *request, struct buf *out_body,
	     struct refused *out_refused, struct diag *diag)
{
	OWN(own_call) struct api_call *call = NULL;
	int status = api_start(connection, request, NULL, NULL, &call, diag);
	if (status == STATUS_OK)
		status = loop_wait(loop, is_done, call);
	if (status != STATUS_OK)
		return status;
	status = api_result(call, diag);
	if (out_refused && api_refused(call))
		*out_refused = *api_refused(call);
	if (status == STATUS_OK && out_body && buf_add(out_body, api_body(call)) < 0)
		return diag_set(diag, STATUS_FAILED, _("The gateway's answer is too large"));
	return status;
}

bool api_call_briefly(struct loop *loop, struct connection *connection, const struct api_request *request)
{
	struct diag diag;
	OWN(own_call) struct api_call *call = NULL;
	if (api_start(connection, request, NULL, NULL, &call, &diag) != STATUS_OK)
		return false;
	return loop_wait_briefly(loop, FAREWELL_LIMIT_MS, is_done, call) && api_result(call, &diag) == STATUS_OK;
}
