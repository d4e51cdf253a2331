/* code.h: a QR code of libqrencode, as both drawings read it. Between the files of this folder. */
#ifndef SALLYPORT_QR_CODE_H
#define SALLYPORT_QR_CODE_H

#include <qrencode.h>
#include <stdbool.h>

#include "sallyport/buf.h"
#include "sallyport/own.h"

/* The text may be a secret, and the modules are the text. */
static inline void qr_code_free(QRcode *code)
{
	if (code)
		wipe(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}
DEFINE_OWN(qr, QRcode *, qr_code_free)

/* False outside of the code: there is the quiet zone. */
static inline bool qr_code_is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

#endif
