/* tls_internal.h: a session from the inside; shared by the tls*.c files only.
 *
 * tls.c: life and handshake. tls_credentials.c: what sessions share. tls_signing.c: the server's key, which
 * is elsewhere. tls_transcript.c: handshake messages. tls_verify.c: is the peer's certificate good enough.
 * tls_records.c: bytes. tls_alert.c: alerts and sentences.
 */
#ifndef SALLYPORT_NET_TLS_INTERNAL_H
#define SALLYPORT_NET_TLS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "gnutls_own.h"
#include "sallyport/tls.h"

enum {
	TLS_CHAIN_MAX = 8,
	/* Most bytes of a handshake that are kept for the proof; an edge takes no more in one message. */
	TLS_TRANSCRIPT_MAX = 65536,
	/* Read beyond the record that is asked for: the next record's header, or all of a small record; and while more comes
	 * than that, several records. */
	TLS_AHEAD_SMALL = 512,
	TLS_AHEAD_BULK = 131072,
	/* How much is gathered before tls_write says ERR_AGAIN: more while the socket takes it all, less
	 * when it does not, so that on a slow path little stands in front of a small message. */
	TLS_BATCH_MOST = 131072,
	TLS_BATCH_LEAST = 32768,
	/* Pieces up to this size are gathered into one record. */
	TLS_SMALL = 4096,
	/* Unsent bytes in the kernel above which the descriptor is not writable. */
	TLS_NOTSENT_LOWAT = 65536,
};

enum tls_role { TLS_CLIENT, TLS_SERVER };

struct tls_credentials {
	enum tls_role role;
	gnutls_certificate_credentials_t certificate;
	gnutls_priority_t priority;
	/* server: the chain that is shown, and what its key is able to do */
	gnutls_pcert_st chain[TLS_CHAIN_MAX];
	unsigned chain_length;
	int key_algorithm;
	unsigned key_bits;
	/* client */
	bool shows_certificate;
	bool unverified;
};

struct tls_transcript {
	struct buf messages;   /* with their 4-byte headers */
	size_t signed_size;    /* the part that the signer was given; 0 before */
	struct buf signature;  /* the client's, with its scheme */
	uint16_t scheme;
	bool complete;         /* the client's CertificateVerify has been seen */
	int failure;           /* 0, or why collecting failed */
};

struct tls {
	gnutls_session_t session;
	const struct tls_credentials *credentials;
	enum tls_role role;
	int fd;
	/* handshake */
	gnutls_privkey_t key; /* server: stands for the key that is elsewhere */
	tls_sign_handler sign;
	void *sign_owner;
	int sign_result;
	uint64_t expired_grace_s;
	struct tls_transcript *transcript; /* NULL once released */
	char *host;                        /* client: whom it wants to reach; freed after the handshake */
	const char *refusal;               /* constant code; NULL */
	struct diag *refusal_sentence;
	bool ready;
	/* input */
	gnutls_packet_t packet;
	size_t input_bytes, input_limit; /* limit 0: none */
	bool input_over_limit;
	bool drained; /* the last read got less than it asked for */
	int input_errno;
	enum tls_ending ending;
	enum tls_alert alert;
	bool overflowing; /* the last read was filled by a large record and more */
	uint32_t ahead_start, ahead_end, ahead_size;
	uint8_t *ahead; /* ahead_small, or memory of its own while bulk comes */
	/* output */
	bool write_ended;
	bool output_failed;
	struct buf gathered;
	struct buf batch;
	size_t batch_sent, batch_full;
	uint8_t ahead_small[TLS_AHEAD_SMALL];
};

/* tls_signing.c */
[[nodiscard]] int tls_signing_setup(struct tls *tls);
int tls_signing_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info, gnutls_pcert_st **out_chain,
			 unsigned *out_length, gnutls_ocsp_data_st **out_ocsp, unsigned *out_ocsp_length,
			 gnutls_privkey_t *out_key, unsigned *out_flags);
[[nodiscard]] int tls_suite_hash(const struct tls *tls, enum tls_hash *out_hash);

/* tls_transcript.c */
[[nodiscard]] int tls_transcript_setup(struct tls *tls);

/* tls_verify.c: GnuTLS's verify function of both roles. Fills refusal and its sentence. */
int tls_verify_peer(gnutls_session_t session);
/* Judges again after GnuTLS failed by itself, so that the reason has a name. */
void tls_verify_after_failure(struct tls *tls, int gnutls_result);
int tls_refuse(struct tls *tls, const char *code, const char *sentence);

/* tls_records.c */
void tls_records_setup(struct tls *tls);
void tls_records_fini(struct tls *tls);
/* What a failed GnuTLS call means for the receiving direction; sets ending and alert. */
int tls_records_ended(struct tls *tls, int gnutls_result);

#endif
