/* terminal.c: questions on the controlling terminal. */
#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "sallyport/fd.h"
#include "sallyport/own.h"

void terminal_open(struct terminal *terminal)
{
	terminal->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	line_init(&terminal->reader, terminal->fd);
}

void terminal_close(struct terminal *terminal)
{
	line_fini(&terminal->reader);
	own_close_fd(&terminal->fd);
	terminal->fd = -1;
}

static void put(struct terminal *terminal, const char *text)
{
	/* A terminal that takes no text is about to hang up: the read will say so. */
	(void)!fd_write_all(terminal->fd, view_string(text));
}

void terminal_show(struct terminal *terminal, const char *text)
{
	put(terminal, text);
	put(terminal, "\n");
}

/* TCSANOW, not TCSAFLUSH: what was pasted ahead for the next question must not be thrown away. */
static void set_modes(struct terminal *terminal, const struct termios *saved, enum terminal_echo echo)
{
	struct termios modes = *saved;
	modes.c_lflag |= ICANON | ISIG;
	modes.c_iflag |= ICRNL;
	if (echo == TERMINAL_ECHO_OFF)
		modes.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	else
		modes.c_lflag |= ECHO;
	tcsetattr(terminal->fd, TCSANOW, &modes);
}

/* Ctrl-Z, and the way back, seen as events: the echo must be on while the shell has the terminal. */
static int watch_job_control(sigset_t *out_previous_mask)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, out_previous_mask);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void obey_job_control(int job_control, struct terminal *terminal, const struct termios *saved)
{
	struct signalfd_siginfo event;
	while (read(job_control, &event, sizeof(event)) == sizeof(event)) {
		if (event.ssi_signo != SIGTSTP)
			continue;
		tcsetattr(terminal->fd, TCSANOW, saved);
		kill(getpid(), SIGSTOP);
	}
}

enum line_result terminal_ask(struct terminal *terminal, enum terminal_echo echo, const char *question,
			      struct buf *out_answer)
{
	struct termios saved;
	if (tcgetattr(terminal->fd, &saved) < 0)
		return LINE_FAILED;
	sigset_t previous_mask;
	OWN_FD int job_control = watch_job_control(&previous_mask);
	terminal->reader.wake_fd = job_control;
	enum line_result result;
	do {
		set_modes(terminal, &saved, echo);
		put(terminal, question);
		result = line_read(&terminal->reader, out_answer);
		if (result == LINE_WAKE)
			obey_job_control(job_control, terminal, &saved);
	} while (result == LINE_WAKE);
	tcsetattr(terminal->fd, TCSANOW, &saved);
	if (echo == TERMINAL_ECHO_OFF || result != LINE_OK)
		put(terminal, "\n");
	terminal->reader.wake_fd = -1;
	sigprocmask(SIG_SETMASK, &previous_mask, NULL);
	return result;
}
