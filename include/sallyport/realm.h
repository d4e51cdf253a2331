/* realm.h: realms of the user's door: which PAM stack asks whom.
 *
 * gateway.conf holds `realm "NAME" { ... }` sections. They travel and are kept as the value of one key (conf.h), one realm
 * on a line, its fields separated by control characters, so that no reader needs memory of its own. Where no realm fits,
 * a login belongs to the realm "default", whose stack is pam_service. All functions are pure.
 */
#ifndef SALLYPORT_REALM_H
#define SALLYPORT_REALM_H

#include <stdbool.h>
#include <stddef.h>

#include "sallyport/buf.h"
#include "sallyport/err.h"

#define REALM_DEFAULT "default"
#define REALM_NAME_MAX 32
#define REALM_SERVICE_MAX 64
#define REALM_BYTES_MAX 8000 /* all realms together, as they travel */

/* The members borrow from the text that was read. Lists are walked with realm_word_next. */
struct realm {
	struct view name, pam_service;
	struct view groups;      /* of the user; empty: no condition */
	struct view device_tags; /* the same */
	bool on_request;         /* only for whoever asks for it by name */
	bool break_glass;        /* for emergencies: every use raises an alarm. Implies on_request */
	bool browser;            /* its sessions may be a browser's */
};

/* Appends one line. ERR_BAD_CONFIG with a sentence that says what is wrong with it. */
[[nodiscard]] int realm_write(const struct realm *realm, struct buf *out_text, struct diag *diag);
/* A list for struct realm out of words: separated as realm_word_next wants it. ERR_BAD_CONFIG for a word that cannot be one. */
[[nodiscard]] int realm_add_word(struct buf *list, const char *word);

/* Walks the realms of a key's value; false at the end. *position starts at 0. */
bool realm_next(const char *text, size_t *position, struct realm *out_realm);
bool realm_word_next(struct view list, size_t *position, struct view *out_word);
bool realm_find(const char *text, struct view name, struct realm *out_realm);
/* Every line is a realm, no name stands there twice. */
[[nodiscard]] int realms_check(const char *text, struct diag *diag);

/* Whether it is for this device (its tags, one a line), and for a member of these groups. */
bool realm_fits_device(const struct realm *realm, const char *tags);
bool realm_fits_groups(const struct realm *realm, const char *const *groups, size_t count);
/* The first that fits and need not be asked for; false when there is none: then it is REALM_DEFAULT. */
bool realm_choose(const char *text, const char *tags, const char *const *groups, size_t count, struct realm *out_realm);
/* Whether a choice for that device depends on groups. */
bool realm_choice_needs_groups(const char *text, const char *tags);

/* Whether a login in that realm is right for this person: the realm may be asked for and fits, or it is the choice. */
bool realm_is_right(const char *text, struct view name, const char *tags, const char *const *groups, size_t count);

/* Whether that depends on groups. An emergency's realm, which has no condition on them, is right without the name services. */
bool realm_right_needs_groups(const char *text, struct view name, const char *tags);

/* Appends the section as gateway.conf wants it. */
[[nodiscard]] int realm_print(const struct realm *realm, struct buf *out_text);

#endif
