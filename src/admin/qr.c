/* qr.c: text as a QR code for a terminal, two modules a line. The only file that knows libqrencode. */
#include <qrencode.h>
#include <stdio.h>

#include "admin.h"
#include "sallyport/own.h"

enum { QUIET = 2 };

DEFINE_OWN(qr, QRcode *, QRcode_free)

static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

/* Light modules are drawn, so that a dark terminal shows a dark code on a light ground. */
int qr_print(const char *text)
{
	static const char *const halves[] = {"\u2588", "\u2580", "\u2584", " "}; /* both light, upper, lower, none */
	OWN(own_qr) QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (!code)
		return ERR_SYSTEM;
	for (int y = -QUIET; y < code->width + QUIET; y += 2) {
		for (int x = -QUIET; x < code->width + QUIET; x++)
			fputs(halves[is_dark(code, x, y + 1) | is_dark(code, x, y) << 1], stdout);
		putchar('\n');
	}
	return 0;
}
