/* crl.c: fuzz target: lists of revoked certificates; what is found lies within them, and walking over it ends. */
#include "../../gateway/signer/crl.h"

#include "fuzz.h"

static int lies_within(struct view part, const uint8_t *data, size_t size)
{
	return part.size == 0 || (part.data >= data && part.data + part.size <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crl crl;
	struct diag diag = {""};
	uint8_t serial[CRL_SERIAL_BYTES];
	size_t count = 0;
	int more;
	if (crl_open(view_of(data, size), &crl, &diag) < 0) {
		MUST(diag.text[0]);
		return 0;
	}
	MUST(lies_within(crl.to_be_signed, data, size) && lies_within(crl.signature, data, size) && lies_within(crl.issuer, data, size));
	MUST(crl.algorithm[0] && crl.issuer.size);
	if (crl_read(&crl, &diag) < 0) {
		MUST(diag.text[0]);
		return 0;
	}
	MUST(crl.this_s > 0 && crl.next_s > 0 && lies_within(crl.entries, data, size));
	while ((more = crl_next(&crl, serial)) > 0)
		MUST(++count <= size);
	MUST(more == 0 || more == ERR_BAD_INPUT);
	return 0;
}
