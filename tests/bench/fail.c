/* fail.c: giving up with one clear sentence, and the few system calls that all programs here share. */
#include "fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

void fail_errno(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

void *must_allocate(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		fail("no memory for %zu bytes", size);
	return memory;
}

uint64_t must_number(const char *text, const char *what, uint64_t maximum)
{
	char *end = NULL;
	errno = 0;
	unsigned long long number = text ? strtoull(text, &end, 10) : 0;
	if (!text || !*text || *text == '-' || *end || errno || number > maximum)
		fail("%s must be a number up to %llu, not \"%s\"", what, (unsigned long long)maximum, text ? text : "");
	return number;
}

int must(int result, const char *what)
{
	if (result < 0)
		fail_errno("%s", what);
	return result;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int listen_on(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int one = 1;
	int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "SO_REUSEADDR");
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail_errno("port %u", port);
	must(listen(listener, 4096), "listen");
	return listener;
}

int dial_port(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int one = 1;
	int dialed = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
	must(setsockopt(dialed, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
	if (connect(dialed, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		fail_errno("cannot connect to port %u", port);
	return dialed;
}
