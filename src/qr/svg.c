/* svg.c: QR codes for web pages: a white ground with its quiet zone, and all dark modules as one path on it.
 *
 * Each run of dark modules is a line one unit thick along the middle of its row. The picture brings its own white, so that
 * it can be read on a dark page; there is no text in it, so nothing of what it says can become mark-up.
 */
#include "code.h"
#include "sallyport/err.h"
#include "sallyport/qr.h"

enum { QUIET = 4 }; /* ISO/IEC 18004: four modules */

static int draw_row(const QRcode *code, int y, struct buf *out_picture)
{
	int result = 0, x = 0;
	while (result == 0 && x < code->width) {
		int begin = x;
		while (x < code->width && qr_code_is_dark(code, x, y))
			x++;
		if (x > begin)
			result = buf_add_format(out_picture, "M%d %d.5h%d", begin + QUIET, y + QUIET, x - begin);
		else
			x++;
	}
	return result;
}

int qr_svg(const char *text, struct buf *out_picture)
{
	OWN(own_qr) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	if (!code)
		return ERR_SYSTEM;
	int size = code->width + 2 * QUIET;
	int result = buf_add_format(out_picture,
				    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">"
				    "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><path stroke=\"#000\" d=\"",
				    size, size, size, size);
	for (int y = 0; result == 0 && y < code->width; y++)
		result = draw_row(code, y, out_picture);
	return result < 0 ? result : buf_add_string(out_picture, "\"/></svg>");
}
