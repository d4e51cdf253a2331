/* qr.c: a QR code on standard output. How it looks: src/qr. */
#include "sallyport/qr.h"

#include <stdio.h>

#include "admin.h"

int qr_print(const char *text)
{
	OWN_SECRET_BUF struct buf picture = BUF_INIT(QR_BYTES_MAX);
	int result = qr_draw(text, &picture);
	if (result == 0)
		fwrite(picture.data, 1, picture.size, stdout);
	return result;
}
