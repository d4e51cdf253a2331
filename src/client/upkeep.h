/* upkeep.h: the agent looks after this device's certificate: a renewed one is used from then on, one that is due is renewed
 * (`sallyport renew --if-due`), and one that nobody renews is spoken of before it expires. */
#ifndef CLIENT_UPKEEP_H
#define CLIENT_UPKEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct agent;

/* Part of struct agent; zero is its beginning. */
struct upkeep {
	ino_t inode;      /* of the certificate's file as it was last seen */
	time_t changed_s; /* likewise */
	uint64_t look_ms; /* when its dates are looked at again */
	uint64_t warn_ms; /* not before this a further warning */
	bool renewing;
};

/* Looks; cheap, to be called every few seconds. */
void upkeep_look(struct agent *agent);
/* "The certificate of this device expires ..." when that is near; else "". */
void upkeep_warning(const struct agent *agent, char *out_sentence, size_t capacity);

#endif
