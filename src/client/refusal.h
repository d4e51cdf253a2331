/* refusal.h: how the end of a TLS connection reads for a user: what is wrong, and what to do. */
#ifndef CLIENT_REFUSAL_H
#define CLIENT_REFUSAL_H

#include <stdbool.h>

#include "sallyport/tls.h"
#include "status.h"

/* A fatal alert from the gateway. STATUS_DEVICE_REFUSED for those that speak of our certificate, else
 * STATUS_UNREACHABLE. Pure. */
int refusal_for_alert(enum tls_alert alert, const char *gateway, struct diag *out_diag);
/* The alert that the certificate's time is over, or has not begun: by whose clock? `now_s` is this device's. Pure. */
struct refusal_times {
	int64_t not_before_s, not_after_s; /* 0: not known */
	int64_t now_s;
};
int refusal_for_time(const struct refusal_times *times, const char *gateway, struct diag *out_diag);
/* Our own check of the gateway's certificate (a code of tls_refusal, and its sentence). Pure. */
int refusal_for_server(const char *code, const char *detail, const char *gateway, struct diag *out_diag);

/* tls_handshake has failed with `result`; the diag holds its sentence and receives ours. */
int refusal_explain_handshake(const struct tls *tls, int result, const char *gateway, struct diag *diag);
/* The connection has ended after the handshake; `answered`: the gateway had sent something before. */
int refusal_explain(const struct tls *tls, const char *gateway, bool answered, struct diag *out_diag);

#endif
