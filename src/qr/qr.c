/* qr.c: QR codes for terminals. For web pages: svg.c. */
#include "sallyport/qr.h"

#include "code.h"
#include "sallyport/err.h"

enum { QUIET = 2 };

int qr_draw(const char *text, struct buf *out_picture)
{
	static const char *const halves[] = {"\u2588", "\u2580", "\u2584", " "}; /* both light, upper, lower, none */
	OWN(own_qr) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int result = code ? 0 : ERR_SYSTEM;
	for (int y = -QUIET; result == 0 && y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; result == 0 && x < code->width + QUIET; x++)
			result = buf_add_string(out_picture, halves[qr_code_is_dark(code, x, y + 1) | qr_code_is_dark(code, x, y) << 1]);
		if (result == 0)
			result = buf_add_string(out_picture, "\n");
	}
	return result;
}
