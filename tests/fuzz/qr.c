/* qr.c: fuzz target: any text as a QR picture: it ends, in its bounds, and holds nothing but numbers. */
#include "sallyport/qr.h"

#include <string.h>

#include "fuzz.h"
#include "sallyport/err.h"
#include "sallyport/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1025];
	OWN_BUF struct buf picture = BUF_INIT(QR_SVG_MAX);
	if (view_to_string(view_of(data, size), text, sizeof(text)) < 0 || !*text)
		return 0;
	MUST(qr_svg(text, &picture) == 0 && buf_add(&picture, view_of("", 1)) == 0);
	const char *path = strstr((const char *)picture.data, " d=\"");
	MUST(path && strcmp(path + 4 + strspn(path + 4, "Mh. 0123456789"), "\"/></svg>") == 0);
	return 0;
}
