/* notify.c: tells systemd how far the gateway is (sd_notify(3)); silent elsewhere. */
#include "monitor.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

int notify_alive(uint64_t now_ms)
{
	static uint64_t next_ms;
	uint64_t limit_us = 0;
	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return -1;
	uint64_t interval_ms = limit_us / 3000;
	if (now_ms >= next_ms) {
		sd_notify(0, "WATCHDOG=1");
		next_ms = now_ms + interval_ms;
	}
	return (int)(next_ms - now_ms);
}
#else
void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

int notify_alive(uint64_t now_ms)
{
	(void)now_ms;
	return -1;
}
#endif
