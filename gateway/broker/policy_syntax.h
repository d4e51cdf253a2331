/* policy_syntax.h: the text of a policy as a tree of sections, keys and values, each with its place in the file.
 *
 *     KIND "title" { key = value  key = {"value", "value"} }     # comments as in sh, C and C++
 *
 * No meaning is judged here; policy_parse.c does that. Nothing outside the text (environment, files) has a say.
 */
#ifndef SALLYPORT_BROKER_POLICY_SYNTAX_H
#define SALLYPORT_BROKER_POLICY_SYNTAX_H

#include "policy.h"

struct policy_place {
	const struct policy_file *file;
	int line, column; /* from 1 */
};

struct policy_value {
	char *text;
	struct policy_place place;
};

struct policy_key {
	char *name;
	struct policy_place place;
	struct policy_value *values;
	size_t value_count;
};

struct policy_section {
	char *kind, *title;
	struct policy_place place;
	struct policy_key *keys;
	size_t key_count;
};

struct policy_tree {
	struct policy_section *sections;
	size_t section_count;
	bool out_of_memory;
};

/* Appends the sections of a file. Each error is told; what is broken is left out, the rest is read on. */
void policy_syntax_read(const struct policy_file *file, struct policy_tree *tree, struct policy_errors *errors);
void policy_tree_fini(struct policy_tree *tree);

/* "FILE:LINE:COLUMN: sentence", with the line of the text. */
[[gnu::format(printf, 3, 4)]] void policy_fail(struct policy_errors *errors, struct policy_place place, const char *format, ...);
[[gnu::format(printf, 3, 4)]] void policy_warn(struct policy_errors *errors, struct policy_place place, const char *format, ...);

#endif
