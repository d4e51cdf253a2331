/* authority.h: the files of the authorities, as the running gateway names them. Between cmd_ca.c, cmd_server.c. */
#ifndef SALLYPORT_ADMIN_AUTHORITY_H
#define SALLYPORT_ADMIN_AUTHORITY_H

#include "admin.h"
#include "sallyport/buf.h"
#include "sallyport/x509.h"

#define AUTHORITIES_MAX 16

/* Paths; asked of the gateway. */
struct authority_files {
	json_t *answer;
	const char *name; /* of the gateway */
	const char *address; /* HOST:PORT of its main listener, as laptops reach it; empty: cannot be told */
	const char *server_certificate, *server_key, *server_authority, *server_authority_key;
	const char *device_authority, *device_authority_key;
	const char *own; /* fingerprint of the device authority that signs; empty: the signer cannot be asked now */
	const char *token_module;
	const json_t *token_environment;
};
/* The exit status, or ADMIN_DONE. */
int authority_files(const struct admin_options *options, struct authority_files *out_files);
void authority_files_fini(struct authority_files *files);
#define OWN_FILES OWN(authority_files_fini)

/* The certificates of a PEM file, one DER each. */
struct authority_bundle {
	struct buf list[AUTHORITIES_MAX];
	unsigned count;
};
[[nodiscard]] int authority_bundle_parse(struct view pem, struct authority_bundle *out_bundle, struct diag *diag);
[[nodiscard]] int authority_bundle_read(const char *path, struct authority_bundle *out_bundle, struct diag *diag);
[[nodiscard]] int authority_bundle_write(const char *path, const struct authority_bundle *bundle, struct diag *diag);
[[nodiscard]] int authority_bundle_add(struct authority_bundle *bundle, struct view der, struct diag *diag);
void authority_bundle_fini(struct authority_bundle *bundle);
#define OWN_BUNDLE OWN(authority_bundle_fini)

/* Whether a certificate (DER) is the one whose key signs. */
bool authority_is_own(const struct authority_files *files, struct view der);
/* Whether a certificate (DER) holds the public half of a key: a file's, or of a token's that is open. */
bool authority_fits_file(struct view der, const char *key_path);
bool authority_fits_key(struct view der, struct view public_key);
/* Lower-case hexadecimal of its SHA-256; 65 characters. */
void authority_fingerprint(struct view der, char *out_text);
/* Has the gateway read its files again; says what it answered. */
int authority_reload(const struct admin_options *options);

#endif
