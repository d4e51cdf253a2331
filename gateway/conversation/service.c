/* service.c: looks for session lines in a PAM service file. See service.h and pam.conf(5). */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sallyport/own.h"
#include "sallyport/str.h"

enum { INCLUDES_MAX = 8 };

DEFINE_OWN(file, FILE *, fclose)

static const char system_folder[] = "/etc/pam.d";

static bool file_has_session(const char *directory, const char *name, unsigned depth);

/* "-session optional pam_systemd.so"; "@include common-session". The word is cut out of the line. */
static bool line_has_session(const char *directory, char *line, unsigned depth)
{
	char *save = NULL;
	const char *word = strtok_r(line, " \t\r\n", &save);
	if (!word || *word == '#')
		return false;
	if (strcasecmp(word, "@include") == 0) {
		const char *included = strtok_r(NULL, " \t\r\n", &save);
		/* libpams differ in whether it stands beside the file or in the system's folder. */
		return included && (file_has_session(directory, included, depth + 1) ||
				    file_has_session(system_folder, included, depth + 1));
	}
	return strcasecmp(*word == '-' ? word + 1 : word, "session") == 0;
}

static bool file_has_session(const char *directory, const char *name, unsigned depth)
{
	char path[4096];
	OWN_MEMORY char *line = NULL;
	size_t capacity = 0;
	bool found = false, goes_on = false;
	int length = *name == '/' ? snprintf(path, sizeof(path), "%s", name) : snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (depth > INCLUDES_MAX || (size_t)length >= sizeof(path))
		return false;
	OWN(own_file) FILE *file = fopen(path, "re");
	while (file && !found && getline(&line, &capacity, file) >= 0) {
		size_t end = strcspn(line, "\n");
		bool is_continuation = goes_on;
		goes_on = end > 0 && line[end - 1] == '\\';
		found = !is_continuation && line_has_session(directory, line, depth);
	}
	return found;
}

bool service_has_session(const char *directory, const char *service)
{
	return file_has_session(*directory ? directory : system_folder, service, 0);
}
