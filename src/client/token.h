/* token.h: the session token between two commands: one file per gateway and device certificate.
 *
 * It stands in $XDG_RUNTIME_DIR/sallyport/ (gone when you log out of the device), else in
 * $XDG_STATE_HOME/sallyport/ (~/.local/state/sallyport/): a file 0600 in a folder 0700. A folder or file
 * that others can read or could have made is refused with the command that mends it. The token is never in
 * an argument, the environment or a message.
 */
#ifndef CLIENT_TOKEN_H
#define CLIENT_TOKEN_H

#include "answer.h"

struct token {
	char text[ANSWER_TOKEN_MAX + 1];
};

/* The folder of what lives between two commands: made when needed, 0700, ours. */
[[nodiscard]] int token_folder(char *out_path, size_t capacity, struct diag *diag);
/* The file of that gateway ("host:port") and device (the SHA-256 of its certificate, or any other bytes that
 * name it). Makes nothing. STATUS_FAILED with a sentence when there is no folder to keep it in. */
[[nodiscard]] int token_path(const char *gateway, struct view device, char *out_path, size_t capacity,
			     struct diag *diag);
/* STATUS_LOGIN_NEEDED, with the sentence. */
int token_none(struct diag *diag);
/* token_none when there is none. */
[[nodiscard]] int token_load(const char *path, struct token *out_token, struct diag *diag);
/* Makes the folder when needed, replaces the file atomically. */
[[nodiscard]] int token_store(const char *path, const char *text, struct diag *diag);
/* Removes it; no error when there was none. */
[[nodiscard]] int token_remove(const char *path, struct diag *diag);
void token_wipe(struct token *token);
#define OWN_TOKEN OWN(token_wipe)

#endif
