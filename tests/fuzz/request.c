/* request.c: fuzz target: login bodies, answers, authorization and what is accepted, as clients write them. */
#include <string.h>

#include "../../gateway/worker/request.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char user[257] = "", token[WORKER_BROKER_TOKEN_MAX + 1] = "";
	struct request_answers answers;
	struct diag diag;
	struct view text = view_of(data, size);
	struct request_login login;
	if (request_login(text, &login, &diag) == 0)
		MUST(login.user[0] && view_is_utf8(view_string(login.user)) && view_is_utf8(view_string(login.realm)));
	struct request_presence presence;
	if (request_presence(text, &presence, &diag) == 0)
		MUST(presence.user[0] && !presence.source.size == !presence.target.size && presence.target.size <= 16);
	char device[65] = "";
	if (request_member(text, "device", device, sizeof(device), &diag) == 0)
		MUST(device[0] && view_is_utf8(view_string(device)));
	if (request_answers(text, &answers, &diag) == 0) {
		MUST(answers.count <= CONVERSATION_MESSAGES_MAX);
		request_answers_fini(&answers);
	}
	/* It reads its bytes and nothing behind them; what names no page wants none. */
	if (request_wants_page(text))
		MUST(size >= strlen("text/html") && memmem(data, size, "text/html", strlen("text/html")));
	if (request_authorization(text, user, token, &diag) == 0)
		MUST(token[0] && view_is_utf8(view_string(user)) && view_is_utf8(view_string(token)));
	return 0;
}
