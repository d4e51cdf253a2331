/* histogram.h: how long something took: counts in fixed classes. The owner sees to threads. */
#ifndef SALLYPORT_BROKER_HISTOGRAM_H
#define SALLYPORT_BROKER_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_CLASSES 14
/* Upper ends in seconds, ascending; what took longer is in the last count. */
extern const double histogram_ends[HISTOGRAM_CLASSES];

struct histogram {
	uint64_t counts[HISTOGRAM_CLASSES + 1];
	double sum;
};

void histogram_add(struct histogram *histogram, double seconds);
/* What uv_hrtime() said when it began. */
void histogram_add_since(struct histogram *histogram, uint64_t began_ns);

#endif
