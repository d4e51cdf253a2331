/* report.h: how the agent is, as JSON (`sallyport status --json` has it under "agent"). */
#ifndef CLIENT_REPORT_H
#define CLIENT_REPORT_H

#include "agent.h"

/* Appends. STATUS_FAILED without memory. */
[[nodiscard]] int report_write(const struct agent *agent, struct buf *out_text);

#endif
