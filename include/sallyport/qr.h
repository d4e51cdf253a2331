/* qr.h: text as a QR code: for a terminal, two modules a line, in UTF-8; and for a web page. Pure but for memory. */
#ifndef SALLYPORT_QR_H
#define SALLYPORT_QR_H

#include "sallyport/buf.h"

#define QR_BYTES_MAX 65536

/* Appends the picture, each line with its line break; no NUL. Light modules are drawn, so that a dark terminal shows a
 * dark code on a light ground. ERR_SYSTEM when the text is too long for a code or memory is out; ERR_LIMIT. */
[[nodiscard]] int qr_draw(const char *text, struct buf *out_picture);

/* Appends the picture as SVG (image/svg+xml); no NUL. ERR_SYSTEM when the text is too long for a code (over 2 KiB) or memory is
 * out; ERR_LIMIT when the buffer is smaller than QR_SVG_MAX and the picture is not. */
#define QR_SVG_MAX 131072
[[nodiscard]] int qr_svg(const char *text, struct buf *out_picture);

#endif
