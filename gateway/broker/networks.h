/* networks.h: one certificate in two networks at once: not forbidden (a laptop moves), but shown, recorded, told. */
#ifndef SALLYPORT_BROKER_NETWORKS_H
#define SALLYPORT_BROKER_NETWORKS_H

struct device;
struct worker;

/* How many networks a device is connected from now: IPv4 of a /24 are one, IPv6 of a /48; of the family with more. */
unsigned networks_of(const struct device *device);
/* A device has come in: where it is in another network at the same time, that is recorded, once an hour for each pair. */
void networks_note(struct worker *worker);

#endif
