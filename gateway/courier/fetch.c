/* fetch.c: what the broker wants to read: revocation lists, answers of OCSP responders. */
#include "courier.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

static void refuse(struct courier *courier, uint32_t request, int result, const struct diag *diag)
{
	char sentence[512];
	str_copy(sentence, sizeof(sentence), diag->text);
	str_make_printable(sentence);
	ANSWER(courier, not_fetched, -1, .request = request, .timed_out = result == ERR_TIMEOUT,
	       .sentence = view_string(sentence));
}

static void on_done(struct transfer *transfer, int result, const struct diag *diag)
{
	struct courier *courier = transfer->context;
	uint32_t request = (uint32_t)transfer->number;
	OWN_FD int memory = result < 0 ? -1 : fd_seal(buf_view(&transfer->answer));
	struct diag why = *diag;
	if (result == 0 && memory < 0)
		result = diag_system(&why, "the answer cannot be kept");
	if (result < 0)
		refuse(courier, request, result, &why);
	else
		ANSWER(courier, fetched, memory, .request = request, .status = (uint32_t)transfer->status,
		       .size = transfer->answer.size);
}

static bool is_bounded(const struct broker_courier_fetch *message)
{
	return (message->method == BROKER_COURIER_GET || message->method == BROKER_COURIER_POST) &&
	       message->size_limit <= BROKER_COURIER_ANSWER_MAX && message->time_limit_ms > 0 &&
	       message->time_limit_ms <= BROKER_COURIER_TIME_MAX_MS;
}

int fetch_begin(struct courier *courier, const struct broker_courier_fetch *message, struct diag *diag)
{
	char url[BROKER_COURIER_URL_MAX + 1], type[129];
	struct diag why;
	if (!is_bounded(message) || view_to_string(message->url, url, sizeof(url)) < 0 ||
	    view_to_string(message->content_type, type, sizeof(type)) < 0)
		return diag_set(diag, ERR_BAD_PEER, "a fetch beyond its bounds");
	const struct transfer_wish wish = {
		.url = url, .post = message->method == BROKER_COURIER_POST, .content_type = type, .body = message->body,
		.size_limit = message->size_limit, .time_limit_ms = message->time_limit_ms, .foreign = true};
	int result = transfer_begin(&courier->transfers, &wish, on_done, courier, message->request, &why);
	if (result < 0)
		refuse(courier, message->request, result, &why);
	return 0;
}
