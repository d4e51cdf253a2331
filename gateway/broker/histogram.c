/* histogram.c: counts in fixed classes. See histogram.h. */
#include "histogram.h"

#include <uv.h>

const double histogram_ends[HISTOGRAM_CLASSES] = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

void histogram_add(struct histogram *histogram, double seconds)
{
	unsigned class = 0;
	while (class < HISTOGRAM_CLASSES && seconds > histogram_ends[class])
		class++;
	histogram->counts[class]++;
	histogram->sum += seconds;
}

void histogram_add_since(struct histogram *histogram, uint64_t began_ns)
{
	histogram_add(histogram, (double)(uv_hrtime() - began_ns) / 1e9);
}
