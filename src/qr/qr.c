/* qr.c: QR codes for terminals. The only file that knows libqrencode. */
#include "sallyport/qr.h"

#include <qrencode.h>

#include "sallyport/err.h"
#include "sallyport/own.h"

enum { QUIET = 2 };

DEFINE_OWN(qr, QRcode *, QRcode_free)

static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

int qr_draw(const char *text, struct buf *out_picture)
{
	static const char *const halves[] = {"\u2588", "\u2580", "\u2584", " "}; /* both light, upper, lower, none */
	OWN(own_qr) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int result = code ? 0 : ERR_SYSTEM;
	for (int y = -QUIET; result == 0 && y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; result == 0 && x < code->width + QUIET; x++)
			result = buf_add_string(out_picture, halves[is_dark(code, x, y + 1) | is_dark(code, x, y) << 1]);
		if (result == 0)
			result = buf_add_string(out_picture, "\n");
	}
	return result;
}
