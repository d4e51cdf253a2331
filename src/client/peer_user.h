/* peer_user.h: whose program is at the other end of a connection to a local port? */
#ifndef CLIENT_PEER_USER_H
#define CLIENT_PEER_USER_H

enum peer_user {
	PEER_USER_SAME,    /* this user's, or root's */
	PEER_USER_OTHER,   /* somebody else's on this machine, or already gone */
	PEER_USER_UNKNOWN, /* not on this machine, or the kernel does not say */
};

enum peer_user peer_user(int fd);

#endif
