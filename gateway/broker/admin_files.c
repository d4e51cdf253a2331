/* admin_files.c: where the gateway's files are (sallyport-admin ca and server work on them), and reading them again; and whether
 * a name server answers (doctor).
 */
#include <stdlib.h>

#include "admin.h"
#include "admin_call.h"
#include "admin_json.h"
#include "monitor_edge.h"
#include "resolve.h"
#include "sallyport/own.h"
#include "signer_edge.h"

/* Only the signer knows which of the authorities it signs with: the key may be in a token. */
void admin_get_files(struct admin_call *call)
{
	struct broker *broker = call->broker;
	TAILQ_INSERT_TAIL(&broker->files_wanted, call, waiting);
	if (!signer_authority_wanted(broker))
		admin_files_authority(broker, "");
}

void admin_files_authority(struct broker *broker, const char *fingerprint)
{
	const struct conf *conf = &broker->room->conf;
	struct admin_call *call;
	char address[600];
	if (conf_public_address(conf->name, conf->public_address, conf->listen, address, sizeof(address)) < 0)
		address[0] = 0;
	while ((call = TAILQ_FIRST(&broker->files_wanted))) {
		TAILQ_REMOVE(&broker->files_wanted, call, waiting);
		admin_reply(call, 200, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", conf->name,
						 "address", address, "server_certificate", conf->server_certificate, "server_key", conf->server_key,
						 "server_authority", conf->server_authority, "server_authority_key",
						 conf->server_authority_key, "device_authority", conf->device_authority,
						 "device_authority_key", conf->device_authority_key,
						 "device_authority_fingerprint", fingerprint, "token_module", conf->token_module,
						 "token_environment", admin_json_lines(conf->token_environment)));
	}
}

void admin_post_reload(struct admin_call *call)
{
	TAILQ_INSERT_TAIL(&call->broker->reloads, call, waiting);
	monitor_want_reload(call->broker);
}

void admin_reload_over(struct broker *broker, bool good, const char *sentence)
{
	struct admin_call *call;
	/* The signer has new keys only now. */
	revocations_changed(broker);
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

/* ---- a name server ---- */

struct asking {
	struct resolve_query query;
	struct admin_call *call;
};

/* That there is no such name is an answer. */
static void on_name(struct resolve_query *query, int result)
{
	OWN_MEMORY struct asking *asking = query->context;
	admin_reply(asking->call, 200, json_pack("{s:b}", "answers", result == 0 || result == ERR_NOT_FOUND));
}

void admin_get_resolver(struct admin_call *call)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	if (!asking) {
		admin_fail(call, 503, "memory is out");
		return;
	}
	*asking = (struct asking){.query = {.done = on_name, .context = asking}, .call = call};
	/* RFC 2606: nobody's name, so no file of hosts has it. */
	resolver_look_up(call->broker->resolver, "sallyport-doctor.invalid", &asking->query);
}
