/* signals.c: the signals that end the program, taken as events. */
#include "signals.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static int descriptor = -1;
static int first_caught;
static sigset_t original_mask;

int signals_open(struct diag *diag)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		struct sigaction present;
		/* nohup(1) and its like have said that this one shall not end us. */
		if (sigaction(ending[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, &original_mask);
	descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (descriptor < 0) {
		diag_system(diag, _("cannot watch for signals"));
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

int signals_fd(void)
{
	return descriptor;
}

int signals_caught(void)
{
	struct signalfd_siginfo caught;
	while (descriptor >= 0 && read(descriptor, &caught, sizeof(caught)) == sizeof(caught))
		if (!first_caught)
			first_caught = (int)caught.ssi_signo;
	return first_caught;
}

int signals_taken(void)
{
	struct signalfd_siginfo taken;
	return read(descriptor, &taken, sizeof(taken)) == sizeof(taken) ? (int)taken.ssi_signo : 0;
}

int signals_pause(int duration_ms)
{
	struct pollfd watched = {.fd = descriptor, .events = POLLIN};
	(void)poll(&watched, 1, duration_ms);
	return signals_caught() ? STATUS_SIGNAL : STATUS_OK;
}

const sigset_t *signals_original_mask(void)
{
	return &original_mask;
}

void signals_die(int signal_number)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal_number);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + signal_number);
}
