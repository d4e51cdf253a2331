/* netwatch.h: says when addresses, links or routes of this device change (rtnetlink(7)). */
#ifndef CLIENT_NETWATCH_H
#define CLIENT_NETWATCH_H

#include <uv.h>

struct netwatch;
typedef void (*netwatch_handler)(void *owner);

/* Changes that follow each other closely are told once. *out_netwatch stays NULL where the system gives no such news. */
void netwatch_open(uv_loop_t *loop, netwatch_handler on_change, void *owner, struct netwatch **out_netwatch);
/* NULL is allowed. */
void netwatch_close(struct netwatch *netwatch);

#endif
