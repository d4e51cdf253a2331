/* bundle.c: fuzz target: what a gateway answers to EST (certs-only, base64), as the laptop reads it. */
#include "fuzz.h"
#include "sallyport/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t pin[X509_FINGERPRINT_SIZE];
	struct buf der = BUF_INIT(1 << 20);
	struct diag diag;
	/* Nothing has that fingerprint, and no certificate an empty key. */
	MUST(x509_certs_only_pinned(view_of(data, size), pin, &der, &diag) < 0 && der.size == 0);
	MUST(x509_certs_only_find(view_of(data, size), view_of(NULL, 0), &der, &diag) < 0 && der.size == 0);
	buf_fini(&der);
	return 0;
}
