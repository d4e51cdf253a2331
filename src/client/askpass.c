/* askpass.c: a question put by a helper program in a window. */
#include "askpass.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sallyport/own.h"
#include "signals.h"

const char *askpass_program(void)
{
	static const char *const names[] = {"SALLYPORT_ASKPASS", "SSH_ASKPASS"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *program = getenv(names[i]);
		if (program && *program)
			return program;
	}
	return NULL;
}

/* Starts the helper with `output` as its standard output and our original signal mask. */
static int start(const char *program, const char *question, int output, pid_t *out_child)
{
	char *const arguments[] = {(char *)program, (char *)question, NULL};
	sigset_t defaults;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	if (posix_spawn_file_actions_init(&files) != 0 || posix_spawnattr_init(&attributes) != 0)
		return ENOMEM;
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	posix_spawnattr_setsigmask(&attributes, signals_original_mask());
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int failure = posix_spawnp(out_child, program, &files, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return failure;
}

/* True when the helper ended well. */
static bool reap(pid_t child)
{
	int how = 0;
	while (waitpid(child, &how, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

enum line_result askpass_ask(const char *program, const char *question, struct buf *out_answer)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return LINE_FAILED;
	OWN_FD int read_end = ends[0];
	OWN_FD int write_end = ends[1];
	pid_t child;
	int failure = start(program, question, write_end, &child);
	if (failure) {
		errno = failure;
		return LINE_FAILED;
	}
	close(take_fd(&write_end));
	struct line_reader reader;
	line_init(&reader, read_end);
	enum line_result result = line_read(&reader, out_answer);
	line_fini(&reader);
	if (result != LINE_OK)
		kill(child, SIGTERM);
	/* An answer without a good end (the window was closed) is none; no output and a good end is an
	 * empty answer. */
	bool good = reap(child);
	if (result == LINE_OK && !good)
		return LINE_END;
	return result == LINE_END && good ? LINE_OK : result;
}
