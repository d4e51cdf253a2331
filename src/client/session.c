/* session.c: the stored session of this device at one gateway. */
#include "session.h"

#include "device.h"

int session_path(const struct settings *settings, const char *authority, char *out_path, size_t capacity, struct diag *diag)
{
	struct device device;
	int status = device_identify(settings, &device, diag);
	if (status != STATUS_OK)
		return status;
	return token_path(authority, view_of(device.name, sizeof(device.name)), out_path, capacity, diag);
}

int session_load(const struct settings *settings, const char *authority, struct token *out_token, struct diag *diag)
{
	char path[4096];
	token_wipe(out_token);
	int status = session_path(settings, authority, path, sizeof(path), diag);
	if (status == STATUS_OK)
		status = token_load(path, out_token, diag);
	if (status == STATUS_LOGIN_NEEDED && settings_gateway_count(settings) > 1)
		return diag_set(diag, status, _("You are not logged in at the gateway %s; run: sallyport login"), authority);
	return status;
}

int session_look(const struct settings *settings, struct diag *diag)
{
	struct settings one = *settings;
	struct token token;
	char authority[272];
	int status = STATUS_OK;
	for (size_t i = 0; i < settings_gateway_count(settings); i++) {
		status = settings_use_gateway(&one, i, diag);
		settings_authority(&one, authority, sizeof(authority));
		if (status == STATUS_OK)
			status = session_load(settings, authority, &token, diag);
		token_wipe(&token);
		if (status != STATUS_LOGIN_NEEDED)
			return status;
	}
	return token_none(diag);
}
