/* groups.c: getgrouplist(3) on libuv's pool of threads, remembered for a minute.
 *
 * LDAP and SSSD answer through NSS as they are; an answer may take seconds, so it is never awaited on the loop.
 * Strangers to the name services are remembered too, and whoever logs in types what he likes: so there are
 * GROUPS_PEOPLE_MAX of them, and who was asked about longest ago makes room.
 */
#include "groups.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

STAILQ_HEAD(query_list, groups_query);

/* What is known, or being asked, of one user. */
struct person {
	struct map_entry by_name;
	TAILQ_ENTRY(person) all;
	struct groups *groups;
	char *user;
	bool asking;
	unsigned answering; /* calls to `done` under way: they may ask about others */
	uint64_t known_at_ms; /* of the loop's clock */
	struct query_list waiting;
	uv_work_t work;
	/* the answer; written on the pool's thread while `asking` */
	int result;
	char **names;
	size_t count;
};

struct groups {
	uv_loop_t *loop;
	struct map names;
	TAILQ_HEAD(, person) people; /* who was asked about longest ago stands first */
	unsigned asking;
	bool freed;
};

/* ---- on the pool's thread ---- */

static void forget_names(struct person *person)
{
	for (size_t i = 0; i < person->count; i++)
		free(person->names[i]);
	free(person->names);
	person->names = NULL;
	person->count = 0;
}

static int add_name(struct person *person, gid_t group)
{
	char space[16384];
	struct group entry, *found = NULL;
	int reason = getgrgid_r(group, &entry, space, sizeof(space), &found);
	/* A number without a name, or with a list of members that is beyond any bound, names no group. */
	if (!found)
		return reason && reason != ERANGE && reason != ENOENT ? ERR_SYSTEM : 0;
	char *name = strdup(entry.gr_name);
	if (!name)
		return ERR_SYSTEM;
	person->names[person->count++] = name;
	return 0;
}

static int ask_groups(struct person *person, gid_t primary)
{
	gid_t list[GROUPS_MAX];
	int count = GROUPS_MAX;
	if (getgrouplist(person->user, primary, list, &count) < 0)
		return ERR_SYSTEM;
	person->names = calloc((size_t)count + 1, sizeof(*person->names));
	int result = person->names ? 0 : ERR_SYSTEM;
	for (int i = 0; result == 0 && i < count; i++)
		result = add_name(person, list[i]);
	return result;
}

static void ask(uv_work_t *work)
{
	struct person *person = work->data;
	char space[16384];
	struct passwd entry, *found = NULL;
	int reason = getpwnam_r(person->user, &entry, space, sizeof(space), &found);
	if (found)
		person->result = ask_groups(person, entry.pw_gid);
	else
		person->result = reason == 0 || reason == ENOENT || reason == ESRCH ? 0 : ERR_SYSTEM;
}

/* ---- on the loop ---- */

static void person_free(struct person *person)
{
	forget_names(person);
	free(person->user);
	free(person);
}

static void free_when_quiet(struct groups *groups)
{
	if (!groups->freed || groups->asking)
		return;
	map_fini(&groups->names);
	free(groups);
}

static void answer_all(struct person *person, int result)
{
	person->answering++;
	while (!STAILQ_EMPTY(&person->waiting)) {
		struct groups_query *query = STAILQ_FIRST(&person->waiting);
		STAILQ_REMOVE_HEAD(&person->waiting, waiting);
		query->done(query, result, (const char *const *)person->names, person->count);
	}
	person->answering--;
}

static void on_answer(uv_work_t *work, int status)
{
	struct person *person = work->data;
	struct groups *groups = person->groups;
	groups->asking--;
	if (groups->freed) {
		person_free(person);
		free_when_quiet(groups);
		return;
	}
	person->asking = false;
	if (status < 0)
		person->result = ERR_SYSTEM;
	person->known_at_ms = uv_now(groups->loop);
	answer_all(person, person->result);
}

static void begin_asking(struct person *person)
{
	struct groups *groups = person->groups;
	forget_names(person);
	person->work.data = person;
	person->asking = uv_queue_work(groups->loop, &person->work, ask, on_answer) == 0;
	if (person->asking)
		groups->asking++;
	else
		answer_all(person, ERR_SYSTEM);
}

static bool is_idle(const struct person *person)
{
	return !person->asking && !person->answering;
}

/* False: nobody can go, for all are being asked about. */
static bool make_room(struct groups *groups)
{
	struct person *oldest = TAILQ_FIRST(&groups->people);
	if (groups->names.count < GROUPS_PEOPLE_MAX)
		return true;
	while (oldest && !is_idle(oldest))
		oldest = TAILQ_NEXT(oldest, all);
	if (!oldest)
		return false;
	map_remove(&groups->names, &oldest->by_name);
	TAILQ_REMOVE(&groups->people, oldest, all);
	person_free(oldest);
	return true;
}

static struct person *person_new(struct groups *groups, const char *user)
{
	struct person *person = make_room(groups) ? calloc(1, sizeof(*person)) : NULL;
	if (person)
		person->user = strdup(user);
	if (!person || !person->user) {
		free(person);
		return NULL;
	}
	person->groups = groups;
	person->result = ERR_SYSTEM; /* until the first answer */
	STAILQ_INIT(&person->waiting);
	TAILQ_INSERT_TAIL(&groups->people, person, all);
	map_add(&groups->names, &person->by_name, view_string(person->user));
	return person;
}

static struct person *person_of(struct groups *groups, const char *user)
{
	struct person *person = MAP_FIND(&groups->names, view_string(user), struct person, by_name);
	if (!person)
		return person_new(groups, user);
	TAILQ_REMOVE(&groups->people, person, all);
	TAILQ_INSERT_TAIL(&groups->people, person, all);
	return person;
}

static bool is_fresh(const struct person *person)
{
	return !person->asking && person->result == 0 &&
	       uv_now(person->groups->loop) - person->known_at_ms < GROUPS_KEEP_MS;
}

void groups_of(struct groups *groups, const char *user, struct groups_query *query)
{
	struct person *person = person_of(groups, user);
	if (!person) {
		query->done(query, ERR_SYSTEM, NULL, 0);
		return;
	}
	STAILQ_INSERT_TAIL(&person->waiting, query, waiting);
	if (is_fresh(person))
		answer_all(person, 0);
	else if (!person->asking)
		begin_asking(person);
}

int groups_new(uv_loop_t *loop, struct groups **out_groups)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	if (!groups || map_init(&groups->names) < 0) {
		free(groups);
		return ERR_SYSTEM;
	}
	groups->loop = loop;
	TAILQ_INIT(&groups->people);
	*out_groups = groups;
	return 0;
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	groups->freed = true;
	while (!TAILQ_EMPTY(&groups->people)) {
		struct person *person = TAILQ_FIRST(&groups->people);
		TAILQ_REMOVE(&groups->people, person, all);
		/* Who is being asked about is freed when the thread has come back; its names are the thread's. */
		bool asking = person->asking;
		while (!STAILQ_EMPTY(&person->waiting)) {
			struct groups_query *query = STAILQ_FIRST(&person->waiting);
			STAILQ_REMOVE_HEAD(&person->waiting, waiting);
			query->done(query, ERR_CLOSED, NULL, 0);
		}
		if (!asking)
			person_free(person);
	}
	free_when_quiet(groups);
}
