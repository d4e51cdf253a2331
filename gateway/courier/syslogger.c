/* syslogger.c: sends lines to a log. RFC 5426 (UDP), RFC 6587 with octet counting (TCP), unix datagrams. */
#include "syslogger.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sallyport/own.h"

enum { SECONDS = 15, THREADS_MAX = 16 };

int syslogger_send_local(const char *path, const struct buf *lines, size_t count, struct diag *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 2};
	OWN_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
		return diag_system(diag, "no socket for %s", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_system(diag, "nobody listens at %s", path);
	for (size_t i = 0; i < count; i++)
		if (send(fd, lines[i].data, lines[i].size, MSG_NOSIGNAL) < 0)
			return diag_system(diag, "%s does not take a message", path);
	return 0;
}

/* ---- away ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct syslogger_errand *done;
static unsigned running;

static int dial(const struct syslogger_errand *errand, int *out_fd, struct diag *diag)
{
	const struct addrinfo hints = {.ai_socktype = errand->tcp ? SOCK_STREAM : SOCK_DGRAM};
	struct timeval patience = {.tv_sec = SECONDS};
	struct addrinfo *found = NULL;
	char port[8];
	snprintf(port, sizeof(port), "%u", errand->port);
	int code = getaddrinfo(errand->host, port, &hints, &found);
	if (code != 0)
		return diag_set(diag, ERR_SYSTEM, "the name %s cannot be looked up: %s", errand->host, gai_strerror(code));
	int fd = -1;
	for (const struct addrinfo *one = found; fd < 0 && one; one = one->ai_next) {
		fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(fd, one->ai_addr, one->ai_addrlen) < 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	*out_fd = fd;
	return fd < 0 ? diag_system(diag, "%s port %u cannot be reached", errand->host, errand->port) : 0;
}

static int send_whole(int fd, struct view bytes)
{
	while (bytes.size) {
		ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return ERR_SYSTEM;
		bytes = view_of(bytes.data + sent, bytes.size - (size_t)sent);
	}
	return 0;
}

/* Nothing is ever answered: whoever reads to the end and closes has had all of it, and who breaks off has not. One that does
 * neither has at least not said no. */
static int see_it_taken(int fd)
{
	char byte;
	if (shutdown(fd, SHUT_WR) < 0)
		return ERR_SYSTEM;
	return recv(fd, &byte, 1, 0) >= 0 || errno == EAGAIN ? 0 : ERR_SYSTEM;
}

static int send_all(const struct syslogger_errand *errand, struct diag *diag)
{
	OWN_FD int fd = -1;
	int result = dial(errand, &fd, diag);
	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < errand->count; i++) {
		char length[24];
		snprintf(length, sizeof(length), "%zu ", errand->lines[i].size);
		result = errand->tcp ? send_whole(fd, view_string(length)) : 0;
		if (result == 0)
			result = send_whole(fd, buf_view(&errand->lines[i]));
	}
	if (result == 0 && errand->tcp)
		result = see_it_taken(fd);
	return result < 0 ? diag_system(diag, "%s port %u does not take a message", errand->host, errand->port) : 0;
}

static void *run(void *argument)
{
	struct syslogger_errand *errand = argument;
	errand->result = send_all(errand, &errand->diag);
	void (*wake)(void *) = errand->wake;
	void *context = errand->context;
	pthread_mutex_lock(&mutex);
	errand->next = done;
	done = errand;
	running--;
	pthread_mutex_unlock(&mutex);
	wake(context);
	return NULL;
}

int syslogger_send_away(struct syslogger_errand *errand, struct diag *diag)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_mutex_lock(&mutex);
	bool full = running >= THREADS_MAX;
	running += !full;
	pthread_mutex_unlock(&mutex);
	if (full)
		return diag_set(diag, ERR_LIMIT, "%d messages are on their way to logs already", THREADS_MAX);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	int code = pthread_create(&thread, &attributes, run, errand);
	pthread_attr_destroy(&attributes);
	if (code == 0)
		return 0;
	pthread_mutex_lock(&mutex);
	running--;
	pthread_mutex_unlock(&mutex);
	errno = code;
	return diag_system(diag, "no thread for a message to a log");
}

struct syslogger_errand *syslogger_take_done(void)
{
	pthread_mutex_lock(&mutex);
	struct syslogger_errand *errand = done;
	if (errand)
		done = errand->next;
	pthread_mutex_unlock(&mutex);
	return errand;
}

void syslogger_errand_free(struct syslogger_errand *errand)
{
	for (size_t i = 0; i < errand->count; i++)
		buf_fini(&errand->lines[i]);
	free(errand->lines);
	free(errand);
}
