/* answer_devices.c: what the gateway's JSON says of the user's own devices. */
#include <stdlib.h>

#include "answer_json.h"

enum { DEVICES_MAX = 100000 };

void answer_devices_fini(struct answer_devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		free(devices->item[i].name);
		free(devices->item[i].state);
		free(devices->item[i].last_address);
	}
	free(devices->item);
	*devices = (struct answer_devices){0};
}

static bool copy_time_or_none(const json_t *object, const char *name, char out_text[ANSWER_TIME_MAX])
{
	out_text[0] = 0;
	return json_is_null(json_object_get(object, name)) || copy_time(object, name, out_text);
}

static bool read_device(const json_t *object, struct answer_device *out_device)
{
	const json_t *sessions = json_object_get(object, "sessions");
	out_device->is_this = json_is_true(json_object_get(object, "this"));
	out_device->sessions = (uint64_t)json_integer_value(sessions);
	return *member(object, "name") && json_is_integer(sessions) && json_integer_value(sessions) >= 0 &&
	       copy_text(object, "name", &out_device->name) && copy_text(object, "state", &out_device->state) &&
	       copy_text(object, "last_address", &out_device->last_address) &&
	       copy_time_or_none(object, "last_seen_at", out_device->last_seen_at) &&
	       copy_time_or_none(object, "expires_at", out_device->expires_at);
}

int answer_parse_devices(struct view body, struct answer_devices *out_devices, struct diag *diag)
{
	OWN_JSON json_t *root = load(body);
	const json_t *array = json_object_get(root, "devices");
	size_t count = json_array_size(array);
	struct answer_devices devices = {0};
	if (json_is_array(array) && count <= DEVICES_MAX)
		devices.item = calloc(count ? count : 1, sizeof(devices.item[0]));
	bool good = devices.item != NULL;
	for (size_t i = 0; i < count && good; i++) {
		devices.count = i + 1;
		good = read_device(json_array_get(array, i), &devices.item[i]);
	}
	if (!good) {
		answer_devices_fini(&devices);
		return bad(diag, "no list of devices");
	}
	*out_devices = devices;
	return STATUS_OK;
}
