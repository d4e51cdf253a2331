/* child.c: programs that the agent starts beside itself. */
#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent.h"
#include "sallyport/own.h"
#include "sallyport/str.h"

enum { WORDS_MAX = 16, OPTION_BYTES = 4200 };

struct child {
	uv_process_t process; /* first: a process is its child */
	struct agent *agent;
	child_done_handler on_done;
	void *owner;
	struct child *previous, *next;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void forget(struct child *child)
{
	if (child->previous)
		child->previous->next = child->next;
	else
		child->agent->children = child->next;
	if (child->next)
		child->next->previous = child->previous;
	uv_close((uv_handle_t *)&child->process, on_closed);
}

static void on_ended(uv_process_t *process, int64_t status, int signal_number)
{
	struct child *child = (struct child *)process;
	child_done_handler on_done = child->on_done;
	void *owner = child->owner;
	forget(child);
	if (on_done)
		on_done(owner, status == 0 && signal_number == 0);
}

static bool spawn(struct child *child, const char *file, const char *const *words)
{
	uv_stdio_container_t files[] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO}};
	const uv_process_options_t options = {
		.exit_cb = on_ended,
		.file = file,
		.args = (char **)words,
		.stdio_count = 3,
		.stdio = files,
	};
	return uv_spawn(&child->agent->loop.uv, &child->process, &options) == 0;
}

static bool start(struct agent *agent, const char *file, const char *const *words, child_done_handler on_done, void *owner,
		  struct child **out_child)
{
	struct child *child = calloc(1, sizeof(*child));
	if (!child)
		return false;
	*child = (struct child){.agent = agent, .on_done = on_done, .owner = owner, .next = agent->children};
	if (child->next)
		child->next->previous = child;
	agent->children = child;
	if (!spawn(child, file, words)) {
		/* libuv has made the handle, whatever became of the process. */
		forget(child);
		return false;
	}
	if (out_child)
		*out_child = child;
	return true;
}

bool child_start(struct agent *agent, const char *const *words, child_done_handler on_done, void *owner, struct child **out_child)
{
	return start(agent, words[0], words, on_done, owner, out_child);
}

bool child_start_self(struct agent *agent, const char *const *words, child_done_handler on_done, void *owner,
		      struct child **out_child)
{
	char option[SETTING_COUNT][OPTION_BYTES];
	const char *line[1 + SETTING_COUNT + WORDS_MAX + 1] = {"sallyport"};
	size_t count = 1;
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const char *value = agent->settings->value[i];
		if (value && *value && (size_t)snprintf(option[i], OPTION_BYTES, "--%s=%s", setting_rows[i].name, value) < OPTION_BYTES)
			line[count++] = option[i];
	}
	for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
		line[count++] = words[i];
	return start(agent, "/proc/self/exe", line, on_done, owner, out_child);
}

void child_stop(struct child *child)
{
	uv_process_kill(&child->process, SIGTERM);
}

void child_stop_all(struct agent *agent)
{
	while (agent->children) {
		child_stop(agent->children);
		forget(agent->children);
	}
}

void child_notify(struct agent *agent, const char *title, const char *text)
{
	char clean[1024];
	str_copy(clean, sizeof(clean), text);
	str_make_printable(clean);
	const char *const words[] = {"notify-send", "--app-name=Sallyport", "--", title, clean, NULL};
	(void)child_start(agent, words, NULL, NULL, NULL);
}
