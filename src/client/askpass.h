/* askpass.h: a question put by a helper program in a window, as ssh does (ssh(1), SSH_ASKPASS). */
#ifndef CLIENT_ASKPASS_H
#define CLIENT_ASKPASS_H

#include "line.h"

/* The helper that the environment names (SALLYPORT_ASKPASS, else SSH_ASKPASS), or NULL. */
const char *askpass_program(void);
/* Runs it with the question (cleaned by the caller) as its argument; its first line is the answer.
 * LINE_END when it says no (a status other than 0), LINE_FAILED when it cannot be run. */
enum line_result askpass_ask(const char *program, const char *question, struct buf *out_answer);

#endif
