/* http1_lines.h: what the lines of a head may hold, and the fields in them: the same for requests (http1.c) and for
 * responses (http1_response.c); http1_forward.c writes such lines. Pure.
 */
#ifndef SALLYPORT_NET_HTTP1_LINES_H
#define SALLYPORT_NET_HTTP1_LINES_H

#include <stdbool.h>

#include "sallyport/http.h"

/* Of the bytes from *looked_over on, as they come: lines end in CRLF, and no other control character but the tab.
 * NULL, or what is wrong, as a sentence. */
const char *http1_look_over(struct view head, size_t *looked_over);
/* Of a whole head with its empty line: no folded line, no space before a colon, no line without a name. NULL and how many
 * fields there are, or what is wrong. */
const char *http1_look_over_fields(struct view head, size_t *out_count);
/* Both have been found to be good: the fields, in their order; values without the white space around them. */
void http1_fields(struct view head, struct http_header *out_fields);
/* Without the spaces and tabs at both ends. */
struct view http1_without_blanks(struct view text);
/* RFC 9110 5.6.2. */
bool http1_is_token(struct view text);
/* The first line of a whole head, without its end. */
struct view http1_first_line(struct view head);
/* It must be METHOD SP TARGET SP VERSION, with one space each (RFC 9112 3). */
bool http1_has_odd_spaces(struct view line);

#endif
