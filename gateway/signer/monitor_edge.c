/* monitor_edge.c: what the monitor tells the signer: workers, new keys, a new broker, the end.
 *
 * Counterpart: gateway/monitor/rooms.c.
 */
#include <string.h>
#include <unistd.h>

#include "sallyport/log.h"
#include "signer.h"

static int on_worker(void *self, const struct monitor_room_worker *message, int *fd)
{
	struct signer *signer = self;
	struct worker *old = workers_find(&signer->workers, message->worker);
	if (old)
		workers_remove(&signer->workers, old);
	struct worker *worker = workers_add(&signer->workers, message->worker, *fd);
	if (!worker)
		return diag_system(&signer->diag, "no memory for a worker");
	(void)take_fd(fd);
	if (signer_watch(signer, &worker->edge) < 0) {
		/* That one worker gets no signature; everybody else is served. */
		log_error("worker %llu cannot be watched: %m", (unsigned long long)message->worker);
		workers_remove(&signer->workers, worker);
	}
	return 0;
}

static int on_setting(void *self, const struct monitor_room_setting *message, int *fd)
{
	struct signer *signer = self;
	(void)fd;
	return room_take_setting(&signer->room, message, &signer->diag);
}

/* The broker was started anew, or is there for the first time. */
static int take_broker(struct signer *signer, int *fd)
{
	if (signer->broker.fd >= 0)
		close(signer->broker.fd);
	signer->broker.fd = take_fd(fd);
	return signer_watch(signer, &signer->broker);
}

static int on_descriptor(void *self, const struct monitor_room_descriptor *message, int *fd)
{
	struct signer *signer = self;
	if (view_is(message->purpose, MONITOR_ROOM_PURPOSE_BROKER_EDGE))
		return take_broker(signer, fd);
	return room_take_descriptor(&signer->room, message, fd, &signer->diag);
}

/* New keys come into force all together or not at all. */
static int on_reload(void *self, const struct monitor_room_reload *message, int *fd)
{
	struct signer *signer = self;
	struct keyring *keyring = NULL;
	struct diag diag;
	(void)message, (void)fd;
	if (keyring_load(&signer->room, &keyring, &diag) < 0) {
		log_error("the keys in force stay: %s", diag.text);
		return room_decline(&signer->room, &diag);
	}
	keyring_free(signer->keyring);
	signer->keyring = keyring;
	log_notice("new keys are in force");
	return room_accept(&signer->room);
}

static int on_stop(void *self, const struct monitor_room_stop *message, int *fd)
{
	struct signer *signer = self;
	(void)message, (void)fd;
	signer->stopped = true;
	return 0;
}

static const struct monitor_room_handlers handlers = {
	.worker = on_worker,
	.setting = on_setting,
	.descriptor = on_descriptor,
	.reload = on_reload,
	.stop = on_stop,
};

int monitor_edge_take(struct signer *signer, struct edge_frame *frame)
{
	return monitor_room_dispatch(&handlers, signer, EDGE_FROM_FIRST, signer->room.role, frame, &signer->diag);
}
