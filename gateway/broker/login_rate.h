/* login_rate.h: how often logins begin: of one device, of one user, from one source (an address; of IPv6 its /64); and how
 * often a device connects.
 *
 * A bucket each: it holds a minute's worth and fills evenly. The table has a fixed size, however many users, devices and
 * addresses there are; where it is full, the fullest bucket is forgotten. In memory: a restart forgets it.
 */
#ifndef SALLYPORT_BROKER_LOGIN_RATE_H
#define SALLYPORT_BROKER_LOGIN_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sallyport/err.h"

struct broker;
struct device;
struct worker;
struct login_rates;

enum login_rate_kind { LOGIN_RATE_DEVICE = 1, LOGIN_RATE_USER, LOGIN_RATE_SOURCE, LOGIN_RATE_CONNECTIONS };

/* A bucket. What is kept of a name is for people. */
#define LOGIN_RATE_NAME_MAX 63
struct login_rate {
	uint64_t key; /* 0: nobody stands here */
	uint64_t debt_ms, at_ms; /* the time that must pass until it is full again, as of then */
	enum login_rate_kind kind;
	char name[LOGIN_RATE_NAME_MAX + 1];
};

[[nodiscard]] int login_rates_new(struct login_rates **out_rates);

/* Takes one from each bucket of this login and returns 0; or takes none and returns the seconds to wait. A user's bucket is
 * touched by devices that are bound to him only, so that nobody shuts others out by their names; addresses of
 * source_exempt have none. */
uint32_t login_rate_take(struct broker *broker, const struct worker *worker, const char *user);

/* One more connection of a device that has proven its key. False: it connects too often. */
bool login_rate_take_connection(struct broker *broker, const struct device *device);

/* An admin's: forgets a source ("": every bucket of every kind), returns how many; or a user and his devices. */
unsigned login_rate_forget_source(struct broker *broker, const char *source);
void login_rate_forget_user(struct broker *broker, const char *user);

/* Walks those that let nobody in now; NULL after the last. *position starts at 0. */
const struct login_rate *login_rate_next(const struct broker *broker, size_t *position);
/* "device" "user" "source" "connections of device" */
const char *login_rate_kind_name(enum login_rate_kind kind);

#endif
