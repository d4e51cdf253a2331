/* walls_look.h: the walls of one running process, as the kernel shows them to an auditor. */
#ifndef SALLYPORT_ADMIN_WALLS_LOOK_H
#define SALLYPORT_ADMIN_WALLS_LOOK_H

#include <stdbool.h>
#include <stddef.h>

/* What a room owes. What the kernel tells nobody but the process itself (Landlock's rules, which calls a filter lets
 * through) is not in it: tests/jail tries that from inside. */
struct walls_owed {
	const char *program;
	bool other_user, no_capabilities, no_network, own_mounts, empty_root;
	bool fixed_code; /* no memory that can be written and executed */
	bool no_files;   /* nothing of a file system is open but its log */
	bool holds_keys; /* for the caller */
};

/* The parent of a process; 0: there is no such process (any more). */
int walls_parent(int pid);
/* Who it runs as now. False: it cannot be seen. */
bool walls_user(int pid, unsigned *out_user);
/* What is missing, as the end of a sentence ("runs as root"); NULL: nothing, or it has ended. */
const char *walls_missing(const struct walls_owed *owed, int pid, int monitor);

#endif
