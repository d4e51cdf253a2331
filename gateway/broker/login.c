/* login.c: the user's door. See login.h; the process behind it: conversation_edge.c. */
#include "login.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "login_rate.h"
#include "metrics.h"
#include "monitor_edge.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/log.h"
#include "sallyport/own.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"
#include "session_request.h"
#include "worker.h"

int logins_new(struct broker *broker, struct diag *diag)
{
	broker->conversations = calloc(1, sizeof(*broker->conversations));
	if (!broker->conversations || map_init(&broker->conversations->ids) < 0)
		return diag_system(diag, "memory");
	TAILQ_INIT(&broker->conversations->wanted);
	return 0;
}

/* ---- the end of a login ---- */

static void forget_messages(struct login *login)
{
	for (unsigned i = 0; i < login->message_count; i++)
		free(login->messages[i].text);
	login->message_count = 0;
	login->round_complete = false;
	login->prompts = 0;
}

static void release(struct login *login)
{
	if (--login->handles == 0)
		free(login);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static struct worker *take_waiter(struct login *login)
{
	uv_timer_stop(&login->poll_timer);
	return take_pointer(&login->waiter);
}

/* From here on nobody finds it. */
static void leave(struct login *login)
{
	if (login->over)
		return;
	login->over = true;
	struct conversations *all = login->broker->conversations;
	map_remove(&all->ids, &login->by_id);
	LIST_REMOVE(login, all);
	all->count--;
	login->device->conversations--;
	if (login->wanted)
		login->wanted->login = NULL;
	conversation_close(login);
	forget_messages(login);
	struct worker *waiter = take_waiter(login);
	if (waiter)
		worker_release(waiter);
	uv_close((uv_handle_t *)&login->limit_timer, on_timer_closed);
	uv_close((uv_handle_t *)&login->poll_timer, on_timer_closed);
	uv_close((uv_handle_t *)&login->absence_timer, on_timer_closed);
}

/* With nobody there who could be told. */
static void record_alone(struct login *login, const char *code, const char *detail)
{
	struct audit_entry entry = {.code = ""};
	str_copy(entry.code, sizeof(entry.code), code);
	str_copy(entry.request_id, sizeof(entry.request_id), login->request_id);
	str_copy(entry.device, sizeof(entry.device), login->device->name);
	str_copy(entry.user, sizeof(entry.user), login->user);
	str_copy(entry.address, sizeof(entry.address), login->address);
	str_make_printable(entry.user);
	audit_fill(&entry, "login", "%s", detail);
	audit_record(login->broker, &entry, NULL, NULL);
}

/* Once. Also what was cancelled or given up after an answer: else a guess that is about to fail would cost nothing. */
static void count_failure(struct login *login)
{
	if (login->counted || (!login->answered && login->outcome != LOGIN_BAD && login->outcome != LOGIN_GOOD))
		return;
	login->counted = true;
	account_failed(login->broker, login->user, login->device);
}

/* Whoever knocks at the emergency door is heard, also when it stays shut. */
static void shout(struct login *login, const char *detail)
{
	struct audit_entry entry = {.code = "break_glass_failed"};
	if (!login->breaks_glass || !login->answered)
		return;
	str_copy(entry.request_id, sizeof(entry.request_id), login->request_id);
	str_copy(entry.device, sizeof(entry.device), login->device->name);
	str_copy(entry.user, sizeof(entry.user), login->user);
	str_copy(entry.address, sizeof(entry.address), login->address);
	str_make_printable(entry.user);
	audit_fill(&entry, "alarm", "a login in the break-glass realm %s was refused: %s", login->realm, detail);
	log_warning("%s (user %s, device %s)", entry.detail, entry.user, entry.device);
	audit_record(login->broker, &entry, NULL, NULL);
}

/* The one row of a refused login, and the answer to whoever waits for it. */
static void refuse(struct login *login, struct refusal refusal)
{
	/* Before the refusal's own row: the count stands when anybody learns of it. */
	count_failure(login);
	shout(login, refusal.detail[0] ? refusal.detail : refusal.sentence);
	metrics_login(login->realm, refusal.code);
	refusal.event = "login";
	refusal.user = refusal.user ? refusal.user : login->user;
	if (login->waiter)
		worker_refuse(login->waiter, login->waiter_request, &refusal);
	else
		record_alone(login, refusal.code, refusal.detail[0] ? refusal.detail : refusal.sentence);
	leave(login);
}

static void refuse_failed(struct login *login)
{
	/* One sentence for every cause (A9); the cause is in the record. */
	struct refusal refusal = {.status = 401, .code = "login_failed", .sentence = "The login was refused."};
	str_copy(refusal.detail, sizeof(refusal.detail), login->reason);
	monitor_login_refused(login->broker, login->address);
	refuse(login, refusal);
}

static void on_refusal_timer(uv_timer_t *timer)
{
	login_changed(timer->data);
}

/* What the stack, or we, have found out sooner for one name than for another must not show (A9). When the time has come,
 * login_changed leads back to here. */
static void refuse_in_time(struct login *login)
{
	uint64_t due_ms = login->answered_at_ms + login->broker->room->conf.login_refusal_ms;
	uint64_t now_ms = uv_now(login->broker->loop);
	if (now_ms < due_ms)
		uv_timer_start(&login->poll_timer, on_refusal_timer, due_ms - now_ms, 0);
	else
		refuse_failed(login);
}

static void refuse_not_bound(struct login *login)
{
	struct refusal refusal = {.status = 403, .code = "not_bound", .user = login->result_user,
				  .sentence = "This device is not registered for that user."};
	snprintf(refusal.detail, sizeof(refusal.detail), "good credentials (typed name \"%s\"), but the device is not bound to them",
		 login->user);
	refuse(login, refusal);
}

static void judge_realm(struct login *login, const char *const *groups, size_t count)
{
	bool right = realm_is_right(login->broker->room->conf.realm, view_string(login->realm), login->device->tags, groups, count);
	login->fitness = right ? LOGIN_FIT : LOGIN_UNFIT;
}

static void on_groups_of_result(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct login *login = query->context;
	login->is_querying = false;
	if (!login->over && result == 0)
		judge_realm(login, names, count);
	else
		login->fitness = LOGIN_UNFIT;
	if (!login->over)
		login_changed(login);
	release(login);
}

/* The realm was chosen for the name that was typed, or asked for: it must be right for the user whom PAM has named. */
static void check_realm(struct login *login)
{
	if (!realm_right_needs_groups(login->broker->room->conf.realm, view_string(login->realm), login->device->tags)) {
		judge_realm(login, NULL, 0);
		return;
	}
	login->handles++;
	login->is_querying = true;
	login->query = (struct groups_query){.done = on_groups_of_result, .context = login};
	groups_of(login->broker->groups, login->result_user, &login->query);
}

/* PAM has said yes to result_user (A8): now the binding. */
static void finish_good(struct login *login)
{
	if (login->device->state != DEVICE_ACTIVE) {
		str_copy(login->reason, sizeof(login->reason), "good credentials, but the device is no longer active");
		refuse_in_time(login);
		return;
	}
	if (account_is_locked(&login->broker->accounts, login->result_user)) {
		str_copy(login->reason, sizeof(login->reason), "good credentials, but the account is locked");
		refuse_in_time(login);
		return;
	}
	if (!device_is_bound_to(login->device, login->result_user)) {
		refuse_not_bound(login);
		return;
	}
	if (login->fitness == LOGIN_UNFIT) {
		snprintf(login->reason, sizeof(login->reason), "good credentials, but the realm %s is not for %s on this device",
			 login->realm, login->result_user);
		refuse_in_time(login);
		return;
	}
	if (login->has_session && !login->is_opened) {
		conversation_open_session(login);
		return;
	}
	account_succeeded(login->broker, login->user, login->device);
	session_grant(login->waiter, login->waiter_request,
		      &(struct session_wish){.user = login->result_user, .realm = login->realm, .portal = login->portal,
					     .with_factor = strcmp(login->factor_user, login->result_user) == 0,
					     .pam_session = conversation_take(login)});
	leave(login);
}

/* ---- answers to whoever waits ---- */

static void send_state(struct login *login)
{
	struct worker *worker = take_waiter(login);
	for (unsigned i = 0; i < login->message_count; i++)
		WORKER_SEND(worker, login_message, -1, .request = login->waiter_request, .style = login->messages[i].style,
			    .text = view_string(login->messages[i].text));
	WORKER_SEND(worker, login_state, -1, .request = login->waiter_request, .conversation = view_string(login->id),
		    .prompting = login->prompts > 0);
	/* Prompts stay until they are answered; what is only to be shown was shown. */
	if (login->prompts == 0)
		forget_messages(login);
	worker_release(worker);
}

static void finish(struct login *login)
{
	if (login->is_querying || login->is_opening)
		return;
	if (login->outcome == LOGIN_GOOD && login->fitness == LOGIN_FITNESS_UNKNOWN)
		check_realm(login); /* comes back here when it is known, perhaps already */
	if (login->over || login->is_querying)
		return;
	if (login->outcome == LOGIN_GOOD)
		finish_good(login);
	else if (login->outcome == LOGIN_BAD)
		refuse_in_time(login);
	else
		refuse(login, (struct refusal){.status = 503, .code = "unavailable", .retry_after_s = 5,
					       .sentence = "The user's door cannot be opened now; try again in a moment.",
					       .detail = "no conversation could be started"});
}

void login_changed(struct login *login)
{
	bool is_asking = login->prompts > 0 && login->state == BROKER_CONVERSATION_ASKING;
	bool has_news = login->round_complete && (is_asking || login->prompts == 0);
	if (login->over || !login->waiter)
		return;
	if (has_news)
		send_state(login);
	else if (login->outcome != LOGIN_OPEN)
		finish(login);
}

static void on_poll_timer(uv_timer_t *timer)
{
	struct login *login = timer->data;
	if (!login->waiter)
		return;
	struct worker *worker = take_waiter(login);
	WORKER_SEND(worker, login_state, -1, .request = login->waiter_request, .conversation = view_string(login->id),
		    .prompting = 0);
	worker_release(worker);
}

static void on_limit_timer(uv_timer_t *timer)
{
	struct login *login = timer->data;
	if (login->outcome == LOGIN_BAD)
		refuse_failed(login); /* nobody came for the verdict */
	else
		refuse(login, (struct refusal){.status = 401, .code = "login_expired",
					       .sentence = "The login took too long. Begin again."});
}

static void wait_for_news(struct login *login, struct worker *worker, uint32_t request)
{
	if (login->waiter)
		on_poll_timer(&login->poll_timer);
	worker_hold(worker);
	login->waiter = worker;
	login->waiter_request = request;
	login->last_worker = worker->number;
	uv_timer_stop(&login->absence_timer);
	uv_timer_start(&login->poll_timer, on_poll_timer, LOGIN_POLL_MS, 0);
	login_changed(login);
}

static void on_absence_timer(uv_timer_t *timer)
{
	refuse(timer->data, (struct refusal){.status = 401, .code = "login_abandoned",
					     .sentence = "The connection was cut, and nobody came back to the login."});
}

/* Whoever is gone without a word may have been killed; or his network has changed, and he comes back. */
static void wait_for_return(struct login *login)
{
	uv_timer_start(&login->absence_timer, on_absence_timer, login->broker->room->conf.login_absence_ms, 0);
}

void login_left(struct worker *worker, uint32_t request)
{
	struct login *login;
	LIST_FOREACH(login, &worker->broker->conversations->all, all)
		if (login->waiter == worker && login->waiter_request == request) {
			worker_release(take_waiter(login));
			wait_for_return(login);
			return;
		}
}

void login_forget_worker(struct worker *worker)
{
	struct login *login;
	if (!worker->device || worker->device->conversations == 0)
		return;
	LIST_FOREACH(login, &worker->broker->conversations->all, all) {
		if (login->last_worker != worker->number)
			continue;
		/* Who still waited for an answer cannot have meant to leave. */
		bool is_cut = !worker->said_goodbye || login->waiter == worker;
		if (login->waiter == worker)
			worker_release(take_waiter(login));
		if (is_cut)
			wait_for_return(login);
	}
}

void login_end_device(struct broker *broker, struct device *device)
{
	struct login *login, *next;
	for (login = LIST_FIRST(&broker->conversations->all); login; login = next) {
		next = LIST_NEXT(login, all);
		if (login->device != device)
			continue;
		str_copy(login->reason, sizeof(login->reason), "the device was locked or revoked meanwhile");
		refuse_failed(login);
	}
}

/* ---- requests ---- */

static void refuse_request(struct worker *worker, uint32_t request, uint32_t status, const char *code, const char *sentence)
{
	metrics_login("", code);
	worker_refuse(worker, request, &(struct refusal){.event = "login", .status = status, .code = code, .sentence = sentence});
}

static struct login *login_new(struct worker *worker, uint32_t request, const char *user)
{
	struct login *login = calloc(1, sizeof(*login));
	if (!login)
		return NULL;
	uint8_t random[WORKER_BROKER_CONVERSATION_MAX / 2];
	fd_random(random, sizeof(random));
	str_hex(view_of(random, sizeof(random)), login->id);
	login->broker = worker->broker;
	login->device = worker->device;
	login->state = BROKER_CONVERSATION_NEW;
	login->answered_at_ms = uv_now(login->broker->loop);
	str_copy(login->user, sizeof(login->user), user);
	str_copy(login->address, sizeof(login->address), worker->address);
	const struct certificate *certificate = registry_certificate(
		&worker->broker->registry, view_of(worker->fingerprint, sizeof(worker->fingerprint)));
	str_copy(login->key_kind, sizeof(login->key_kind), certificate ? certificate->key_kind : "");
	worker_request_id(worker, request, login->request_id, sizeof(login->request_id));
	login->handles = 3;
	uv_timer_init(login->broker->loop, &login->limit_timer);
	uv_timer_init(login->broker->loop, &login->poll_timer);
	uv_timer_init(login->broker->loop, &login->absence_timer);
	login->limit_timer.data = login->poll_timer.data = login->absence_timer.data = login;
	return login;
}

static void begin(struct login *login)
{
	struct conversations *all = login->broker->conversations;
	LIST_INSERT_HEAD(&all->all, login, all);
	map_add(&all->ids, &login->by_id, view_string(login->id));
	all->count++;
	login->device->conversations++;
	uv_timer_start(&login->limit_timer, on_limit_timer, login->broker->room->conf.login_time_limit_ms, 0);
}

static void could_not_start(struct login *login)
{
	login->outcome = LOGIN_NOT_STARTED;
	login_changed(login);
}

static void want_conversation(struct login *login)
{
	struct wanted *wanted = calloc(1, sizeof(*wanted));
	if (!wanted) {
		could_not_start(login);
		return;
	}
	wanted->login = login;
	login->wanted = wanted;
	TAILQ_INSERT_TAIL(&login->broker->conversations->wanted, wanted, next);
	monitor_want_conversation(login->broker);
}

/* ---- the realm ---- */

static void enter_realm(struct login *login, const struct realm *realm)
{
	(void)!view_to_string(realm ? realm->name : view_string(REALM_DEFAULT), login->realm, sizeof(login->realm));
	login->breaks_glass = realm && realm->break_glass;
	want_conversation(login);
}

static void choose_realm(struct login *login, const char *const *groups, size_t count)
{
	struct realm realm;
	bool found = realm_choose(login->broker->room->conf.realm, login->device->tags, groups, count, &realm);
	enter_realm(login, found ? &realm : NULL);
}

static void on_groups_of_user(struct groups_query *query, int result, const char *const *names, size_t count)
{
	struct login *login = query->context;
	login->is_querying = false;
	if (!login->over && result == 0)
		choose_realm(login, names, count);
	else if (!login->over)
		could_not_start(login);
	release(login);
}

static void find_realm(struct login *login, const struct realm *asked)
{
	if (asked) {
		enter_realm(login, asked);
	} else if (!realm_choice_needs_groups(login->broker->room->conf.realm, login->device->tags)) {
		choose_realm(login, NULL, 0);
	} else {
		login->handles++;
		login->is_querying = true;
		login->query = (struct groups_query){.done = on_groups_of_user, .context = login};
		groups_of(login->broker->groups, login->user, &login->query);
	}
}

/* Only what the device may know is said here; whether it is right for the user shows at the end, as every failure does. */
static bool is_asked_realm_there(struct worker *worker, const struct worker_broker_login_start *message, struct realm *out_realm)
{
	if (realm_find(worker->broker->room->conf.realm, message->realm, out_realm) &&
	    realm_fits_device(out_realm, worker->device->tags))
		return true;
	refuse_request(worker, message->request, 403, "realm_unknown", "There is no such realm for this device.");
	return false;
}

/* Whom somebody asked for is in the record, also when nobody was asked for a password. */
static void refuse_for_now(struct worker *worker, uint32_t request, const char *user, struct refusal refusal)
{
	refusal.event = "login";
	refusal.status = 429;
	refusal.user = user;
	metrics_login("", refusal.code);
	worker_refuse(worker, request, &refusal);
}

int login_start(struct worker *worker, const struct worker_broker_login_start *message)
{
	const struct conf *conf = &worker->broker->room->conf;
	char user[257];
	if (view_to_string(message->user, user, sizeof(user)) < 0)
		return ERR_BAD_PEER;
	if (!user[0]) {
		refuse_request(worker, message->request, 400, "bad_request", "The name of the user is empty.");
		return 0;
	}
	if (worker->broker->conversations->count >= conf->conversations ||
	    worker->device->conversations >= conf->conversations_per_device) {
		refuse_for_now(worker, message->request, user,
			       (struct refusal){.code = "too_many", .retry_after_s = 5,
						.sentence = "Too many logins are under way; try again in a moment."});
		return 0;
	}
	uint32_t wait_s = account_wait_s(worker->broker, user, worker->device);
	if (wait_s > 0) {
		refuse_for_now(worker, message->request, user,
			       (struct refusal){.code = "rate_limited", .retry_after_s = wait_s,
						.sentence = "Too many logins have failed; wait before the next one."});
		return 0;
	}
	wait_s = login_rate_take(worker->broker, worker, user);
	if (wait_s > 0) {
		refuse_for_now(worker, message->request, user,
			       (struct refusal){.code = "rate_limited", .retry_after_s = wait_s,
						.sentence = "Logins begin too often here; wait before the next one."});
		return 0;
	}
	struct realm asked;
	bool is_asked = message->realm.size > 0 && !view_is(message->realm, REALM_DEFAULT);
	if (is_asked && !is_asked_realm_there(worker, message, &asked))
		return 0;
	struct login *login = login_new(worker, message->request, user);
	if (!login) {
		worker_unavailable(worker, message->request);
		return 0;
	}
	login->portal = message->portal != 0;
	begin(login);
	wait_for_news(login, worker, message->request);
	find_realm(login, is_asked ? &asked : NULL);
	return 0;
}

/* The login of that id, if it is this device's; else the request has been refused. */
static struct login *find(struct worker *worker, uint32_t request, struct view id)
{
	struct login *login = MAP_FIND(&worker->broker->conversations->ids, id, struct login, by_id);
	if (login && login->device == worker->device)
		return login;
	struct refusal refusal = {.event = "login", .status = 404, .code = "no_conversation",
				  .sentence = "There is no such login under way on this device."};
	if (login)
		snprintf(refusal.detail, sizeof(refusal.detail), "the login of %s on the device %s, asked for by another device",
			 login->user, login->device->name);
	worker_refuse(worker, request, &refusal);
	return NULL;
}

int login_answer(struct worker *worker, const struct worker_broker_login_answer *message)
{
	struct login *login = find(worker, message->request, message->conversation);
	if (!login)
		return 0;
	/* No answers: only asking whether there is something new. */
	if (message->answers > 0 && message->answers != login->prompts) {
		char sentence[96];
		snprintf(sentence, sizeof(sentence), "%u answers came, %u are wanted.", message->answers, login->prompts);
		refuse_request(worker, message->request, 400, "bad_request", sentence);
		return 0;
	}
	if (message->answers > 0) {
		forget_messages(login);
		login->answered = true;
		login->answered_at_ms = uv_now(login->broker->loop);
		conversation_answer(login, worker->answers.texts, message->answers);
	}
	wait_for_news(login, worker, message->request);
	return 0;
}

int login_cancel(struct worker *worker, const struct worker_broker_login_cancel *message)
{
	struct login *login = find(worker, message->request, message->conversation);
	if (!login)
		return 0;
	WORKER_SEND(worker, login_state, -1, .request = message->request, .conversation = view_string(login->id),
		    .prompting = 0);
	refuse(login, (struct refusal){.status = 401, .code = "cancelled", .sentence = "The login was cancelled."});
	return 0;
}

void login_passed_factor(struct broker *broker, const char *request_id, const char *user)
{
	struct login *login;
	LIST_FOREACH(login, &broker->conversations->all, all)
		if (strcmp(login->request_id, request_id) == 0)
			str_copy(login->factor_user, sizeof(login->factor_user), user);
}

/* ---- the monitor's answers ---- */

/* The login that the oldest request was for; NULL when it was given up meanwhile. */
static struct login *take_wanted(struct broker *broker)
{
	OWN_MEMORY struct wanted *wanted = TAILQ_FIRST(&broker->conversations->wanted);
	if (!wanted)
		return NULL;
	TAILQ_REMOVE(&broker->conversations->wanted, wanted, next);
	if (wanted->login)
		wanted->login->wanted = NULL;
	return wanted->login;
}

void login_connect(struct broker *broker, int fd)
{
	struct login *login = take_wanted(broker);
	if (!login)
		close(fd);
	else if (conversation_connect(login, fd) < 0)
		could_not_start(login);
}

void login_not_started(struct broker *broker)
{
	struct login *login = take_wanted(broker);
	if (login)
		could_not_start(login);
}
