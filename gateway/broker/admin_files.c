/* admin_files.c: where the gateway's files are (sallyport-admin ca and server work on them), and reading them again. */
#include "admin.h"
#include "admin_call.h"
#include "monitor_edge.h"

void admin_get_files(struct admin_call *call)
{
	const struct conf *conf = &call->broker->room->conf;
	admin_reply(call, 200, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", conf->name, "server_certificate",
					 conf->server_certificate, "server_key", conf->server_key, "server_authority",
					 conf->server_authority, "server_authority_key", conf->server_authority_key,
					 "device_authority", conf->device_authority, "device_authority_key",
					 conf->device_authority_key));
}

void admin_post_reload(struct admin_call *call)
{
	TAILQ_INSERT_TAIL(&call->broker->reloads, call, waiting);
	monitor_want_reload(call->broker);
}

void admin_reload_over(struct broker *broker, bool good, const char *sentence)
{
	struct admin_call *call;
	if (!good)
		admin_policy_declined(broker, sentence);
	while ((call = TAILQ_FIRST(&broker->reloads))) {
		TAILQ_REMOVE(&broker->reloads, call, waiting);
		if (good)
			admin_reply(call, 200, json_pack("{s:s}", "notice", sentence));
		else
			admin_fail(call, 409, "%s; what was in force stays", sentence);
	}
}
