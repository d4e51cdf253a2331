/* acts.h: what a room must not be able to do: a row each. */
#ifndef SALLYPORT_TESTS_JAIL_ACTS_H
#define SALLYPORT_TESTS_JAIL_ACTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

enum acting_room {
	SIGNER = 1 << 0,
	WORKER = 1 << 1,
	TEMPLATE = 1 << 2,
	CONVERSATION = 1 << 3,
	BROKER = 1 << 4,
	COURIER = 1 << 5,
};
#define SEALED (SIGNER | WORKER | TEMPLATE) /* rooms with a list of what is allowed */
#define EVERY_ROOM (SEALED | CONVERSATION | BROKER | COURIER)

/* What an act may use: made before the door is locked, as a careless room might. */
struct stage {
	pid_t sibling;                  /* same user, dumpable, no walls */
	int sibling_handle;             /* pidfd of it */
	struct sockaddr_in listener;    /* a TCP listener on loopback */
	struct sockaddr_un abstract;    /* a listener on an abstract unix address */
	socklen_t abstract_size;
	int tcp, connected, udp, unix_stream; /* sockets from before */
	int program;                    /* an open program that exits with status 1 */
	int network;                    /* the network namespace of the host */
	char secret[64];                /* a file that everybody may read, outside of what a room needs */
};

struct act {
	const char *name;
	unsigned rooms; /* which must not be able to do it */
	/* 0 or more: it was possible; less: refused (errno). May end the process. */
	long (*try)(const struct stage *stage);
};

extern const struct act acts[];
extern const unsigned act_count;

#endif
