/* terminal.h: questions on the controlling terminal, whatever standard input and output are.
 *
 * While a secret is typed, the terminal's echo is off; it is back on every way out: answered, ended by a
 * signal, stopped with Ctrl-Z (and off again when the program goes on), hung up.
 */
#ifndef CLIENT_TERMINAL_H
#define CLIENT_TERMINAL_H

#include "line.h"

enum terminal_echo { TERMINAL_ECHO_OFF, TERMINAL_ECHO_ON };

struct terminal {
	int fd; /* /dev/tty, owned; -1 without a terminal */
	struct line_reader reader;
};

/* Opens the controlling terminal; terminal->fd stays -1 when there is none. */
void terminal_open(struct terminal *terminal);
void terminal_close(struct terminal *terminal);
/* Shows the question (cleaned by the caller) and waits for a line. LINE_END is Ctrl-D or a hang-up. */
enum line_result terminal_ask(struct terminal *terminal, enum terminal_echo echo, const char *question,
			      struct buf *out_answer);
/* Shows cleaned text and a line feed. */
void terminal_show(struct terminal *terminal, const char *text);

#endif
