/* host.c: fuzz target: what pam_sallyport reads on internal hosts: its profile, and the kernel's tables of connections. */
#include <string.h>

#include "../../pam_module/profile.h"
#include "../../pam_module/way.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[512], url[PROFILE_TEXT_MAX];
	struct profile profile;
	struct way_row row;
	struct diag diag;
	size_t position = 0;
	if (profile_parse(view_of(data, size), &profile, &diag) == 0) {
		MUST(profile.cert[0] == '/' && profile.key[0] == '/' && strncmp(profile.gateway, "https://", 8) == 0);
		while (profile_gateway(&profile, &position, url))
			MUST(url[0]);
	}
	if (view_to_string(view_of(data, size), line, sizeof(line)) == 0 && way_read_row(line, &row))
		MUST(strchr(row.way.source, ':') && strchr(row.way.target, ':') && !(row.is_listening && row.is_established));
	return 0;
}
