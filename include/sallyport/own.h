/* own.h: cleanup belongs to the scope.
 *
 * `OWN_FD int fd = open(...)` closes at the end of the scope, whichever way it is left;
 * `take_fd(&fd)` hands the descriptor over and leaves -1 behind. A library's own types declare
 * their OWN_... macro in the file that owns the library, by DEFINE_OWN.
 */
#ifndef SALLYPORT_OWN_H
#define SALLYPORT_OWN_H

#include <stdlib.h>
#include <unistd.h>

#define OWN(function) __attribute__((cleanup(function)))

static inline void own_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void own_free_memory(void *pointer)
{
	free(*(void **)pointer);
}

#define OWN_FD OWN(own_close_fd)
#define OWN_MEMORY OWN(own_free_memory)

/* DEFINE_OWN(policy, struct policy *, policy_free) makes own_policy() for OWN(own_policy). */
#define DEFINE_OWN(name, type, release)               \
	static inline void own_##name(type *owned)    \
	{                                             \
		if (*owned)                           \
			release(*owned);              \
	}

static inline int take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#define take_pointer(pointer)                         \
	({                                            \
		__typeof__(*(pointer)) taken_ = *(pointer); \
		*(pointer) = NULL;                    \
		taken_;                               \
	})

#endif
