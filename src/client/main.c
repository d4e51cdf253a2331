/* main.c: the program on the user's device: reads the command line, runs one command, says how it ended.
 *
 *     options -> settings (environment, profile) -> command (commands.c)
 *
 * Counterpart: gateway/worker (docs/wire.md). Passwords and tokens pass through this process: it leaves no core
 * file and wipes what it frees.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "answer.h"
#include "commands.h"
#include "explain.h"
#include "pin.h"
#include "say.h"
#include "signals.h"
#include "words.h"

static void keep_secrets(void)
{
	const struct rlimit none = {0};
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	/* Nobody else of this user reads the memory (the leak checker of a test build would be one). */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
	answer_wipe_memory();
}

static void say_it(void *owner, const char *sentence)
{
	(void)owner;
	say("%s", sentence);
}

static int print_and_leave(const struct options *options, struct diag *diag)
{
	if (options->help)
		options_help(stdout);
	else
		printf("sallyport %s\n", SALLYPORT_VERSION);
	return say_finished() ? STATUS_OK : diag_set(diag, STATUS_FAILED, _("cannot write to standard output"));
}

static int run(int count, char **words, struct options *options, struct diag *diag)
{
	int status = options_parse(count, words, options, diag);
	if (status == STATUS_OK && (options->help || options->version))
		return print_and_leave(options, diag);
	if (status == STATUS_OK && options->verbose)
		explain_to(say_it, NULL);
	/* An agent is told all by the command that starts it: nothing else may come in. */
	bool is_told = status == STATUS_OK && options->command->is_internal && options->argument;
	bool needs_none = status == STATUS_OK && options->command->is_complete;
	if (status == STATUS_OK && !is_told && !needs_none)
		status = settings_complete(&options->settings, diag);
	if (status == STATUS_OK && !needs_none)
		status = settings_check(&options->settings, diag);
	pin_prepare(&options->settings);
	if (status == STATUS_OK)
		status = signals_open(diag);
	return status == STATUS_OK ? options->command->run(options, diag) : status;
}

int main(int count, char **words)
{
	static struct options options;
	struct diag diag = {0};
	keep_secrets();
	words_prepare();
	int status = run(count, words, &options, &diag);
	options_fini(&options);
	if (status == STATUS_SIGNAL)
		signals_die(signals_caught());
	if (status != STATUS_OK && diag.text[0])
		say("%s", diag.text);
	return status;
}
