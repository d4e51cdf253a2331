/* fail.h: the one way in which the benchmark's programs give up, and the calls that must not fail.
 *
 * A step that fails ends the program: a figure made of half the work would be a lie.
 */
#ifndef BENCH_FAIL_H
#define BENCH_FAIL_H

#include <stddef.h>
#include <stdint.h>

/* Prints "PROGRAM: sentence" and ends with status 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
/* The same, with errno's text after the sentence. */
_Noreturn __attribute__((format(printf, 1, 2))) void fail_errno(const char *format, ...);

/* Zeroed memory. */
void *must_allocate(size_t size);
/* A number of at most `maximum`; `what` names it in the complaint. */
uint64_t must_number(const char *text, const char *what, uint64_t maximum);
/* Returns `result`, or ends the program when it is negative. */
int must(int result, const char *what);

/* A loopback listener, and a connection to the loopback; neither blocks. */
int listen_on(uint16_t port);
int dial_port(uint16_t port);

#endif
