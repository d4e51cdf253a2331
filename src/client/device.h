/* device.h: this device's own certificate and key, looked at before anybody else does. */
#ifndef CLIENT_DEVICE_H
#define CLIENT_DEVICE_H

#include "sallyport/tls.h"
#include "settings.h"

struct device {
	struct tls_credentials *credentials;
	/* What names this device towards token.h: the certificate's SHA-256, or of a PKCS#11 URL its text. */
	uint8_t name[TLS_FINGERPRINT_SIZE];
	int64_t not_before_s, not_after_s; /* 0: not known */
};

/* Reads certificate, key and authorities. STATUS_USAGE when a file is not what it should be (or the key is
 * open to others: with the command that mends it), STATUS_DEVICE_REFUSED when the certificate's time is over or
 * has not begun: the gateway would say the same, less clearly. */
[[nodiscard]] int device_load(const struct settings *settings, struct device *out_device, struct diag *diag);
/* Only the name and the files' outside: what a command needs that leaves the connection to the agent. */
[[nodiscard]] int device_identify(const struct settings *settings, struct device *out_device, struct diag *diag);
void device_fini(struct device *device);

#endif
