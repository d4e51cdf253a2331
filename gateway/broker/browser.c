/* browser.c: sessions of browsers: which one a proxy request stands for, and tokens for the browser's dialogue.
 *
 * A browser token is shorter than a session's, so that neither is ever looked up as the other: it opens none of the API.
 * The store and memory keep its SHA-256; a new one takes the old one's place.
 */
#include "browser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "hash.h"
#include "sallyport/clock.h"
#include "sallyport/fd.h"
#include "sallyport/realm.h"
#include "sallyport/str.h"
#include "session_memory.h"
#include "session_request.h"
#include "worker.h"

/* ---- by nothing: the session that the portal has opened ---- */

bool browser_is_allowed(const struct broker *broker, const struct session *session)
{
	const struct conf *conf = &broker->room->conf;
	struct realm realm;
	if (strcmp(session->realm, REALM_DEFAULT) == 0)
		return conf->browser;
	return realm_find(conf->realm, view_string(session->realm), &realm) && realm.browser;
}

/* What the portal has opened on a device, and is live. */
struct portal {
	struct session *allowed;     /* the newest in a realm with `browser` */
	const struct session *first; /* the newest of all; NULL: there is none */
	const struct session *other; /* of another person than that; NULL: there is none */
};

static bool is_good(const struct session *session)
{
	return session->portal && !session->is_ending && session_is_live(session, clock_wall_ms()) &&
	       session->device->state == DEVICE_ACTIVE && device_is_bound_to(session->device, session->user);
}

/* A device's sessions stand newest first. */
static struct portal look(const struct worker *worker)
{
	struct portal portal = {.allowed = NULL};
	struct session *session;
	LIST_FOREACH(session, &worker->device->sessions, of_device) {
		if (!is_good(session))
			continue;
		if (!portal.first)
			portal.first = session;
		if (strcmp(session->user, portal.first->user) != 0)
			portal.other = session;
		else if (!portal.allowed && browser_is_allowed(worker->broker, session))
			portal.allowed = session;
	}
	return portal;
}

/* Why it is nobody's, and what the person can do. */
static void refuse_portal(struct worker *worker, uint32_t request, const struct browser_claim *claim, const struct portal *portal)
{
	char url[320], sentence[512];
	struct refusal refusal = {.event = claim->event, .status = claim->status, .code = "no_session", .sentence = sentence};
	conf_portal(&worker->broker->room->conf, url, sizeof(url));
	if (portal->other) {
		refusal.code = "several_sessions";
		snprintf(sentence, sizeof(sentence),
			 "Several people are logged in at %s on this device. Give your user name and the browser token that it shows you.",
			 url);
		snprintf(refusal.detail, sizeof(refusal.detail), "without a token, and the portal has opened session %s of %.100s and session %s of %.100s here",
			 portal->first->id, portal->first->user, portal->other->id, portal->other->user);
	} else if (portal->first) {
		refusal.user = portal->first->user;
		snprintf(sentence, sizeof(sentence),
			 "Your realm lets no browser in without a token. Give your user name and the browser token that %s shows you.", url);
		snprintf(refusal.detail, sizeof(refusal.detail), "without a token, and the realm %s of session %s has no browser = true",
			 portal->first->realm, portal->first->id);
	} else {
		snprintf(sentence, sizeof(sentence),
			 "Nobody is logged in at %s on this device. Log in there, or give your user name and the browser token that it shows you.",
			 url);
		str_copy(refusal.detail, sizeof(refusal.detail), "without a token, and the portal has opened no live session here");
	}
	worker_refuse(worker, request, &refusal);
}

static struct session *session_by_nothing(struct worker *worker, uint32_t request, const struct browser_claim *claim)
{
	struct portal portal = look(worker);
	if (portal.allowed && !portal.other)
		return portal.allowed;
	refuse_portal(worker, request, claim, &portal);
	return NULL;
}

/* ---- by a token ---- */

static struct session *find(const struct sessions *sessions, struct view token)
{
	uint8_t hash[HASH_BYTES];
	hash_sha256(token, hash);
	return MAP_FIND(&sessions->browser_tokens, view_of(hash, sizeof(hash)), struct session, by_browser_token);
}

struct session *browser_session(struct worker *worker, uint32_t request, const struct browser_claim *claim,
				enum tunnel_way *out_way)
{
	struct session *session;
	*out_way = TUNNEL_BY_TOKEN;
	if (claim->token.size == 0) {
		*out_way = TUNNEL_BY_BROWSER_SESSION;
		return session_by_nothing(worker, request, claim);
	}
	if (claim->token.size != SESSION_BROWSER_TOKEN_CHARACTERS)
		return session_of_request(worker, request, claim->token, claim->status, claim->event);
	*out_way = TUNNEL_BY_BROWSER_TOKEN;
	/* It belongs to a name: alone it is nothing. */
	session = claim->user.size ? find(&worker->broker->sessions, claim->token) : NULL;
	return session_admit(worker, request, session, claim->status, claim->event);
}

/* ---- making one ---- */

struct making {
	struct store_operation operation;
	struct worker *worker;
	struct session *session;
	uint32_t request;
	char token[SESSION_BROWSER_TOKEN_CHARACTERS + 1];
	uint8_t hash[HASH_BYTES];
	struct audit_entry entry;
};

static void making_free(struct making *making)
{
	making->session->holds--;
	worker_release(making->worker);
	wipe(making->token, sizeof(making->token));
	free(making);
}

static int record(struct store_db *db, struct store_operation *operation, struct diag *diag)
{
	const struct making *making = operation->context;
	char hash[2 * HASH_BYTES + 1];
	str_hex(view_of(making->hash, sizeof(making->hash)), hash);
	int result = STORE_RUN(db, diag, session_browser_token, TEXT(hash), TEXT(making->session->id));
	if (result == 0 && store_changed(db) == 0)
		return diag_set(diag, ERR_NOT_FOUND, "the session has ended meanwhile");
	return result < 0 ? result : audit_append(db, &making->entry, diag);
}

static void on_recorded(struct store_operation *operation, int result, const struct diag *diag)
{
	struct making *making = operation->context;
	(void)diag;
	if (result < 0) {
		worker_unavailable(making->worker, making->request);
	} else {
		session_set_browser_token(&making->worker->broker->sessions, making->session, making->hash);
		WORKER_SEND(making->worker, browser_token_made, -1, .request = making->request,
			    .user = view_string(making->session->user), .token = view_string(making->token));
	}
	making_free(making);
}

static void make_token(struct making *making)
{
	uint8_t random[SESSION_BROWSER_TOKEN_CHARACTERS / 2];
	fd_random(random, sizeof(random));
	str_hex(view_of(random, sizeof(random)), making->token);
	wipe(random, sizeof(random));
	hash_sha256(view_string(making->token), making->hash);
}

void browser_on_token(struct worker *worker, const struct worker_broker_browser_token *message)
{
	struct session *session = session_of_request(worker, message->request, message->token, 401, "session");
	struct making *making = session ? calloc(1, sizeof(*making)) : NULL;
	if (!making) {
		if (session)
			worker_unavailable(worker, message->request);
		return;
	}
	making->operation = (struct store_operation){.work = record, .done = on_recorded, .context = making};
	making->worker = worker;
	making->session = session;
	making->request = message->request;
	worker_hold(worker);
	session->holds++;
	make_token(making);
	worker_fill_audit(worker, message->request, &making->entry);
	str_copy(making->entry.user, sizeof(making->entry.user), session->user);
	audit_fill(&making->entry, "browser_token", "session %s: a token for a browser's proxy dialogue", session->id);
	store_submit(worker->broker->store, &making->operation);
}

/* ---- what a browser shall send through the gateway ---- */

void browser_on_script(struct worker *worker, const struct worker_broker_proxy_script *message)
{
	const struct browser_claim claim = {.token = message->token, .status = 401, .event = "session"};
	enum tunnel_way way;
	struct session *session = browser_session(worker, message->request, &claim, &way);
	if (session)
		session_answer_resources(worker, message->request, session);
}
