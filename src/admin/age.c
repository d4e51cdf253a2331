/* age.c: runs age. Its path is fixed and its environment empty: nothing from outside chooses another program. */
#include "age.h"

#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char program[] = "/usr/bin/age";
static const char magic[] = "age-encryption.org/v1\n";

static int wait_for(pid_t process, struct diag *diag)
{
	int status = 0;
	if (waitpid(process, &status, 0) != process)
		return diag_system(diag, "%s cannot be waited for", program);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : diag_set(diag, ERR_DENIED, "%s did not do it", program);
}

static int run(int from, int to, const char *const *arguments, struct diag *diag)
{
	posix_spawn_file_actions_t actions;
	char *environment[] = {NULL};
	pid_t process = -1;
	if (lseek(from, 0, SEEK_SET) < 0)
		return diag_system(diag, "cannot read");
	if (posix_spawn_file_actions_init(&actions) != 0)
		return diag_system(diag, "memory");
	int code = posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
	if (code == 0)
		code = posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	if (code == 0)
		code = posix_spawn(&process, program, &actions, NULL, (char *const *)(uintptr_t)arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (code != 0)
		return diag_set(diag, ERR_SYSTEM, "%s cannot be run (%s): apt-get install age", program, strerror(code));
	return wait_for(process, diag);
}

int age_encrypt(int from, int to, const char *recipient, struct diag *diag)
{
	bool is_file = *recipient == '/' || *recipient == '.';
	return run(from, to, (const char *const[]){"age", "--encrypt", is_file ? "-R" : "-r", recipient, NULL}, diag);
}

int age_decrypt(int from, int to, const char *identity, struct diag *diag)
{
	return run(from, to, (const char *const[]){"age", "--decrypt", "-i", identity, NULL}, diag);
}

bool age_is(int fd)
{
	char head[sizeof(magic) - 1];
	return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && memcmp(head, magic, sizeof(head)) == 0;
}
