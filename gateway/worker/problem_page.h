/* problem_page.h: a refusal as a page, for a person with a browser. Pure. */
#ifndef SALLYPORT_WORKER_PROBLEM_PAGE_H
#define SALLYPORT_WORKER_PROBLEM_PAGE_H

#include "sallyport/buf.h"

/* All of it is text; none of it is markup. */
struct problem_page {
	unsigned status;
	const char *reason;     /* "Forbidden" */
	const char *sentence;
	const char *code;
	const char *request_id;
	const char *portal;     /* its address, "https://gateway.example/" */
};

/* The whole document, UTF-8. No script, nothing from elsewhere; its style is inside and has a hash. */
[[nodiscard]] int problem_page_write(const struct problem_page *page, struct buf *out_html);
/* The Content-Security-Policy that goes with it: that style, and nothing else. */
extern const char problem_page_policy[];

#endif
