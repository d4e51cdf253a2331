/* kept.c: the local ports that the agent keeps by itself. */
#include "kept.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "entrance.h"
#include "sallyport/fd.h"
#include "sallyport/own.h"
#include "sallyport/str.h"
#include "say.h"

enum { FILE_BYTES_MAX = 64 * 1024 };

const char *kept_letter(enum forward_kind kind)
{
	static const char *const letters[] = {[FORWARD_FIXED] = "L", [FORWARD_SOCKS] = "D", [FORWARD_HTTP] = "H"};
	return letters[kind];
}

static void on_note(void *owner, const char *sentence)
{
	(void)owner;
	say("%s", sentence);
}

/* The port stays: after the next login it leads somewhere again. */
static void on_hopeless(void *owner, int status, const struct diag *diag)
{
	(void)owner, (void)status;
	say("%s", diag->text);
}

static int open_one(struct agent *agent, enum forward_kind kind, const char *text, struct diag *diag)
{
	struct entrance_options options = {
		.agent = agent, .fd = -1, .on_note = on_note, .on_hopeless = on_hopeless, .owner = agent};
	struct entrance *entrance;
	OWN_FD int fd = -1;
	int status = forward_parse_kind(kind, text, &options.forward, diag);
	if (status == STATUS_OK)
		status = listener_bind(&options.forward, &fd, diag);
	if (status == STATUS_OK)
		status = listener_begin(&options.forward, fd, diag);
	options.fd = fd;
	if (status == STATUS_OK)
		status = entrance_open(&options, &entrance, diag);
	if (status == STATUS_OK)
		(void)take_fd(&fd);
	return status;
}

static void describe(const struct forward *forward, char *out_text, size_t capacity)
{
	char where[80], to[DESTINATION_TEXT_MAX];
	listener_text(forward, where, sizeof(where));
	destination_text(&forward->destination, to);
	snprintf(out_text, capacity, "%s %s%s%s", kept_letter(forward->kind), where,
		 forward->kind == FORWARD_FIXED ? ":" : "", forward->kind == FORWARD_FIXED ? to : "");
}

static int store(struct agent *agent, struct diag *diag)
{
	char path[3200], line[512];
	OWN_BUF struct buf text = BUF_INIT(FILE_BYTES_MAX);
	for (const struct entrance *entrance = agent->entrances; entrance; entrance = entrance_next(agent, entrance)) {
		if (entrance_owner(entrance) != agent)
			continue;
		describe(entrance_forward(entrance), line, sizeof(line));
		if (buf_add_format(&text, "%s\n", line) < 0)
			return diag_set(diag, STATUS_FAILED, _("There are too many forwards to keep"));
	}
	snprintf(path, sizeof(path), "%s/%s", agent->place.folder, agent->place.kept);
	return fd_write_file(path, 0600, 1, buf_view(&text), diag) < 0 ? STATUS_FAILED : STATUS_OK;
}

static void restore_line(struct agent *agent, char *line)
{
	struct diag diag;
	for (enum forward_kind kind = FORWARD_FIXED; kind <= FORWARD_HTTP; kind++)
		if (line[0] == kept_letter(kind)[0] && line[1] == ' ' && open_one(agent, kind, line + 2, &diag) != STATUS_OK)
			say("%s", diag.text);
}

void kept_restore(struct agent *agent)
{
	OWN_BUF struct buf text = BUF_INIT(FILE_BYTES_MAX);
	OWN_FD int fd = agent_place_open(&agent->place, agent->place.kept, O_RDONLY);
	if (fd < 0 || fd_read_all(fd, &text) < 0 || buf_add(&text, view_of("", 1)) < 0)
		return;
	char *rest = (char *)text.data;
	for (char *line; (line = strsep(&rest, "\n"));)
		restore_line(agent, line);
}

int kept_add(struct agent *agent, enum forward_kind kind, const char *text, struct diag *diag)
{
	int status = open_one(agent, kind, text, diag);
	if (status != STATUS_OK)
		return status;
	uplink_wanted(agent->uplink);
	return store(agent, diag);
}

static bool is_meant(const struct forward *forward, const char *text)
{
	char line[512], where[80], port[8];
	describe(forward, line, sizeof(line));
	listener_text(forward, where, sizeof(where));
	snprintf(port, sizeof(port), "%u", forward->port);
	return strcmp(text, port) == 0 || strcmp(text, where) == 0 || strcmp(text, line + 2) == 0;
}

int kept_drop(struct agent *agent, const char *text, struct diag *diag)
{
	size_t dropped = 0;
	for (struct entrance *entrance = agent->entrances, *next; entrance; entrance = next) {
		next = entrance_next(agent, entrance);
		if (entrance_owner(entrance) != agent || !is_meant(entrance_forward(entrance), text))
			continue;
		entrance_close(entrance);
		dropped++;
	}
	if (!dropped)
		return diag_set(diag, STATUS_FAILED, _("No forward is kept for \"%s\"; see: sallyport forward list"), text);
	return store(agent, diag);
}
