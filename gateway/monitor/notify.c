/* notify.c: tells systemd how far the gateway is (sd_notify(3)); silent elsewhere. */
#include "monitor.h"

#ifdef HAVE_SYSTEMD
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(void)
{
	sd_notify(0, "READY=1\nSTATUS=0 sessions, 0 tunnels");
}

void notify_status(const char *sentence)
{
	sd_notifyf(0, "STATUS=%s", sentence);
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

bool notify_can_store(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

/* FDPOLL=0: a socketpair whose other end is closed is no reason to drop what lies in it. */
bool notify_store(const char *name, int fd)
{
	char text[64];
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return sd_pid_notify_with_fds(0, 0, text, &fd, 1) > 0;
}

bool notify_settle(void)
{
	return sd_notify_barrier(0, 5000000) > 0;
}

void notify_forget(void)
{
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" HANDOVER_HERITAGE);
	sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" HANDOVER_LISTENER);
}
#else
void notify_ready(void)
{
}

void notify_status(const char *sentence)
{
	(void)sentence;
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

bool notify_can_store(void)
{
	return false;
}

bool notify_store(const char *name, int fd)
{
	(void)name, (void)fd;
	return false;
}

bool notify_settle(void)
{
	return false;
}

void notify_forget(void)
{
}
#endif
