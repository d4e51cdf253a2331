/* shaper.c: tunnels that share a bandwidth (max_rate of a rule), each way by itself, and none of them more than the others.
 *
 * Nothing is ever dropped: what may not go on yet is not read from the target, and what came from the client waits here
 * unacknowledged, so that the carrier's window (or HTTP/1.1's pause) stops the client.
 *
 * A pool fills with time. Who wants bytes takes them while nobody waits; else he stands in line, and at each tick the pool
 * is dealt out in equal parts, from the head of the line on. How much the pool gets is the broker's word: it divides the
 * rate of a device over its connections.
 */
#include <stdlib.h>

#include "sallyport/clock.h"
#include "sallyport/log.h"
#include "worker.h"

enum way { TO_CLIENT, TO_TARGET, WAYS };

/* A tick's length; the least that is worth a frame; and what a pool holds at least when nobody has wanted any for long. */
enum { TICK_MS = 10, PART_LEAST = 512, POOL_LEAST = 4096, UNSENT_MAX = 64 << 20 };

/* A tunnel with a limit. */
struct shaped {
	struct tunnel *tunnel;
	struct shaper *shaper;
	TAILQ_ENTRY(shaped) in_line[WAYS];
	bool waits[WAYS];
	uint64_t credit[WAYS]; /* dealt out and not used yet */
	struct buf unsent;     /* from the client; its first `sent` bytes have gone on */
	size_t sent;
	bool finish;           /* the client's direction ends behind `unsent` */
};
TAILQ_HEAD(line, shaped);

struct shaper {
	LIST_ENTRY(shaper) all;
	uint64_t group, rate; /* bytes a second, each way */
	unsigned tunnels;
	uint64_t filled_ms;
	uint64_t pool[WAYS];
	struct line lines[WAYS];
	unsigned waiting[WAYS];
	uv_timer_t timer;
};

static LIST_HEAD(, shaper) shapers; /* of this process: it has one client */

/* ---- the pool ---- */

static uint64_t pool_most(const struct shaper *shaper)
{
	return shaper->rate / 8 > POOL_LEAST ? shaper->rate / 8 : POOL_LEAST;
}

static void fill(struct shaper *shaper)
{
	uint64_t now = clock_monotonic_ms(), passed = now - shaper->filled_ms;
	/* After a second it is full anyhow; and the product must not overflow. */
	uint64_t more = (passed < 1000 ? passed : 1000) * shaper->rate / 1000, most = pool_most(shaper);
	if (!more)
		return;
	shaper->filled_ms = now;
	for (int way = 0; way < WAYS; way++)
		shaper->pool[way] = shaper->pool[way] + more < most ? shaper->pool[way] + more : most;
}

static void on_tick(uv_timer_t *timer);

static void stand_in_line(struct shaped *shaped, enum way way)
{
	struct shaper *shaper = shaped->shaper;
	if (shaped->waits[way])
		return;
	shaped->waits[way] = true;
	TAILQ_INSERT_TAIL(&shaper->lines[way], shaped, in_line[way]);
	shaper->waiting[way]++;
	if (!uv_is_active((uv_handle_t *)&shaper->timer))
		uv_timer_start(&shaper->timer, on_tick, TICK_MS, TICK_MS);
}

static void leave_line(struct shaped *shaped, enum way way)
{
	if (!shaped->waits[way])
		return;
	shaped->waits[way] = false;
	TAILQ_REMOVE(&shaped->shaper->lines[way], shaped, in_line[way]);
	shaped->shaper->waiting[way]--;
}

/* How much of `wanted` may go on now; 0: it stands in line. */
static uint64_t take(struct shaped *shaped, enum way way, uint64_t wanted)
{
	struct shaper *shaper = shaped->shaper;
	uint64_t *from = &shaped->credit[way];
	if (!*from && !shaper->waiting[way]) {
		fill(shaper);
		from = &shaper->pool[way];
	}
	uint64_t taken = wanted < *from ? wanted : *from;
	*from -= taken;
	if (!taken)
		stand_in_line(shaped, way);
	return taken;
}

/* What was taken and not needed, or dealt out in vain. */
static void give_back(struct shaped *shaped, enum way way, uint64_t size)
{
	shaped->shaper->pool[way] += size + shaped->credit[way];
	shaped->credit[way] = 0;
}

/* ---- from the target ---- */

int shaper_read(struct tunnel *tunnel, uint8_t *into, size_t capacity)
{
	struct shaped *shaped = tunnel->shaped;
	size_t most = (size_t)take(shaped, TO_CLIENT, capacity);
	if (!most)
		return ERR_AGAIN;
	int size = pump_read(&tunnel->pump, into, most);
	if (tunnel->shaped && size < (int)most)
		give_back(shaped, TO_CLIENT, most - (size > 0 ? (size_t)size : 0));
	return size;
}

/* ---- from the client ---- */

static struct view unsent(const struct shaped *shaped)
{
	return view_of(shaped->unsent.data + shaped->sent, shaped->unsent.size - shaped->sent);
}

/* What has gone on is moved away when it is the greater part: bytes are moved once, however small the steps are. */
static void forget_sent(struct shaped *shaped, size_t size)
{
	shaped->sent += size;
	if (shaped->sent * 2 < shaped->unsent.size)
		return;
	buf_consume(&shaped->unsent, shaped->sent);
	shaped->sent = 0;
	if (!shaped->unsent.size)
		buf_fini(&shaped->unsent);
}

static void feed(struct shaped *shaped)
{
	struct tunnel *tunnel = shaped->tunnel;
	while (unsent(shaped).size) {
		size_t size = (size_t)take(shaped, TO_TARGET, unsent(shaped).size);
		if (!size)
			return;
		pump_write(&tunnel->pump, view_of(unsent(shaped).data, size));
		/* The target may have gone. */
		if (!tunnel->shaped)
			return;
		forget_sent(shaped, size);
	}
	give_back(shaped, TO_TARGET, 0);
	tunnel_go_on(tunnel);
	if (shaped->finish)
		pump_finish(&tunnel->pump);
}

void shaper_write(struct tunnel *tunnel, struct view bytes)
{
	struct shaped *shaped = tunnel->shaped;
	/* The carrier's window bounds it; a carrier without one pauses (tunnel_pending). */
	if (buf_add(&shaped->unsent, bytes) < 0)
		pump_abort(&tunnel->pump);
	else if (!shaped->waits[TO_TARGET])
		feed(shaped);
}

void shaper_finish(struct tunnel *tunnel)
{
	tunnel->shaped->finish = true;
	if (!unsent(tunnel->shaped).size)
		pump_finish(&tunnel->pump);
}

size_t shaper_pending(const struct tunnel *tunnel)
{
	return unsent(tunnel->shaped).size;
}

/* ---- the tick ---- */

static void wake(struct shaped *shaped, enum way way)
{
	struct tunnel *tunnel = shaped->tunnel;
	if (way == TO_TARGET)
		feed(shaped);
	else
		tunnel_wake(tunnel);
}

static void deal(struct shaper *shaper, enum way way)
{
	uint64_t part = shaper->waiting[way] ? shaper->pool[way] / shaper->waiting[way] : 0;
	part = part < PART_LEAST ? PART_LEAST : part;
	for (unsigned left = shaper->waiting[way]; left && shaper->pool[way] >= PART_LEAST; left--) {
		struct shaped *shaped = TAILQ_FIRST(&shaper->lines[way]);
		/* Somebody's end may have shortened the line. */
		if (!shaped)
			return;
		uint64_t size = part < shaper->pool[way] ? part : shaper->pool[way];
		leave_line(shaped, way);
		shaper->pool[way] -= size;
		shaped->credit[way] += size;
		wake(shaped, way);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct shaper *shaper = timer->data;
	fill(shaper);
	/* The last tunnel may leave in the middle: then memory goes later, on the loop. */
	for (int way = 0; way < WAYS; way++)
		deal(shaper, (enum way)way);
	if (shaper->tunnels && !shaper->waiting[TO_CLIENT] && !shaper->waiting[TO_TARGET])
		uv_timer_stop(&shaper->timer);
}

/* ---- joining and leaving ---- */

static struct shaper *find(uint64_t group)
{
	struct shaper *shaper;
	LIST_FOREACH(shaper, &shapers, all)
		if (shaper->group == group)
			return shaper;
	return NULL;
}

static struct shaper *shaper_new(uv_loop_t *loop, uint64_t group)
{
	struct shaper *shaper = calloc(1, sizeof(*shaper));
	if (!shaper || uv_timer_init(loop, &shaper->timer) < 0) {
		free(shaper);
		return NULL;
	}
	shaper->group = group;
	shaper->timer.data = shaper;
	for (int way = 0; way < WAYS; way++)
		TAILQ_INIT(&shaper->lines[way]);
	LIST_INSERT_HEAD(&shapers, shaper, all);
	return shaper;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void shaper_set_rate(uint64_t group, uint64_t rate)
{
	struct shaper *shaper = find(group);
	if (!shaper || shaper->rate == rate)
		return;
	fill(shaper);
	shaper->rate = rate;
}

int shaper_join(struct tunnel *tunnel, uint64_t group, uint64_t rate)
{
	struct shaped *shaped = calloc(1, sizeof(*shaped));
	struct shaper *shaper = find(group);
	if (shaped && !shaper)
		shaper = shaper_new(tunnel->worker->loop, group);
	if (!shaped || !shaper) {
		free(shaped);
		return ERR_SYSTEM;
	}
	*shaped = (struct shaped){.tunnel = tunnel, .shaper = shaper, .unsent = BUF_INIT(UNSENT_MAX)};
	shaper->tunnels++;
	shaper->rate = rate;
	if (!shaper->filled_ms)
		shaper->filled_ms = clock_monotonic_ms() - 1000;
	tunnel->shaped = shaped;
	return 0;
}

void shaper_leave(struct tunnel *tunnel)
{
	struct shaped *shaped = tunnel->shaped;
	if (!shaped)
		return;
	struct shaper *shaper = shaped->shaper;
	tunnel->shaped = NULL;
	for (int way = 0; way < WAYS; way++) {
		leave_line(shaped, (enum way)way);
		give_back(shaped, (enum way)way, 0);
	}
	if (--shaper->tunnels == 0) {
		LIST_REMOVE(shaper, all);
		uv_close((uv_handle_t *)&shaper->timer, on_closed);
	}
	buf_fini(&shaped->unsent);
	free(shaped);
}

/* Its limit is another one (rate 0: none any more); nothing of what waits is lost. */
void shaper_change(struct tunnel *tunnel, uint64_t group, uint64_t rate)
{
	struct buf kept = BUF_INIT(UNSENT_MAX);
	bool finish = tunnel->shaped && tunnel->shaped->finish;
	if (tunnel->shaped) {
		buf_consume(&tunnel->shaped->unsent, tunnel->shaped->sent);
		kept = tunnel->shaped->unsent;
		tunnel->shaped->unsent = BUF_INIT(UNSENT_MAX);
	}
	shaper_leave(tunnel);
	/* Without memory for a limit: no tunnel rather than no limit. */
	if (rate && shaper_join(tunnel, group, rate) < 0) {
		buf_fini(&kept);
		pump_abort(&tunnel->pump);
		return;
	}
	if (kept.size)
		tunnel_push(tunnel, buf_view(&kept));
	buf_fini(&kept);
	if (finish)
		tunnel_finish(tunnel);
	/* It may have waited in the old line. */
	tunnel_wake(tunnel);
}
