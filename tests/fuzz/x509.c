/* x509.c: fuzz target: certificate requests, certificates, public keys. */
#include <string.h>

#include "fuzz.h"
#include "sallyport/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view input = view_of(data, size);
	struct diag diag;
	struct x509_facts facts;
	const char *code = NULL;
	char kind[16];
	OWN_BUF struct buf key = BUF_INIT(X509_INPUT_MAX), der = BUF_INIT(X509_INPUT_MAX), more = BUF_INIT(X509_INPUT_MAX);
	OWN_BUF struct buf names = BUF_INIT(X509_NAMES_MAX + 1);
	if (x509_request_public_key(input, &key, &diag) == 0)
		MUST(x509_check_public_key(buf_view(&key), &diag) == 0); /* what is given out is good */
	else
		MUST(key.size == 0 && diag.text[0]);
	if (x509_check_leaf(input, &code, &diag) < 0)
		MUST(code && diag.text[0]);
	if (x509_facts(input, &facts, &diag) == 0)
		MUST(memchr(facts.name, 0, sizeof(facts.name)) && memchr(facts.serial, 0, sizeof(facts.serial)));
	x509_request_names(input, &names);
	MUST(names.size <= X509_NAMES_MAX && view_is_utf8(buf_view(&names)));
	(void)!x509_certificate_public_key(input, &more, &diag);
	(void)!x509_key_kind(input, kind, sizeof(kind));
	(void)!x509_pem_to_der(input, "CERTIFICATE", &der);
	return 0;
}
