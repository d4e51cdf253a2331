/* inside.js: what somebody who is logged in sees of the session: resources, tunnels, time, warnings.
 *
 * `life` lives from the login to the end of the session: {signal, end, session, paused}. Its signal ends all that waits. Every
 * question goes through call(), so that the end of the session is noticed wherever it shows first.
 */
let life = null;

/* One question of somebody who is logged in. Where the gateway wants a fresh login it is held, and the question asked again. */
async function call(method, path, body) {
	const mine = life;
	try {
		return await ask(method, path, body, mine.signal);
	} catch (error) {
		if (error.status === 401 && mine === life)
			mine.end(error);
		if (error.code !== "fresh_login_required" || !await logInAgain(error.message))
			throw error;
		return ask(method, path, body, mine.signal);
	}
}

/* For what a button does: the refusal is shown beside it. */
const acting = (place, act) => async event => {
	const source = event.currentTarget;
	place.querySelector(".problem")?.remove();
	source.setAttribute("aria-busy", "true");
	try {
		await act();
	} catch (error) {
		if (error.name !== "AbortError" && life)
			place.append(make("div", {class: "problem", role: "alert"}, ...explain(error)));
	}
	source.removeAttribute("aria-busy");
};

/* A new conversation for the one who is logged in; true when it was granted. */
async function logInAgain(why) {
	const dialog = part("again"), mine = life, {user, realm} = mine.session;
	const closing = new AbortController();
	inside(dialog, "why").textContent = why;
	dialog.addEventListener("close", () => closing.abort(), {once: true});
	dialog.showModal();
	mine.paused = true;
	const known = realm && realm !== "default" ? {user, realm} : {user};
	const granted = await converse(inside(dialog, "conversation"), {known, mayCancel: true,
		signal: AbortSignal.any([mine.signal, closing.signal])});
	inside(dialog, "conversation").replaceChildren();
	mine.paused = false;
	dialog.close();
	if (granted && mine === life) {
		tell("You have logged in again.");
		await refresh();
		/* The button that led here may be gone: the list that has changed is the place to go on. */
		if (document.activeElement === document.body)
			part("resources-title").focus();
	}
	return Boolean(granted);
}

/* ---- resources ---- */

/* Where a browser goes for an address of the policy; null for what is no single web server. */
function link(kind, address) {
	const [, host, port] = /^([a-z0-9.-]+|\[[0-9a-f:.]+\]):(\d+)$/i.exec(address) ?? [];
	if (!host)
		return null;
	if (port === "443" || port === "80")
		return `${port === "80" ? "http" : "https"}://${host}/`;
	return kind === "web" ? `${/443$/.test(port) ? "https" : "http"}://${host}:${port}/` : null;
}

const NEEDS_LOGIN = new Set(["fresh_login_required", "lease_expired"]);

function resourceItem(resource) {
	const addresses = make("ul", {class: "addresses", "data-part": "addresses"}, ...resource.addresses.map(address => {
		const to = link(resource.kind, address);
		return make("li", {}, to && resource.allowed ? make("a", {href: to, rel: "noreferrer"}, to) : make("code", {}, address));
	}));
	const item = make("li", {"data-resource": resource.name, class: resource.allowed ? "good" : "wanting"},
		make("h3", {}, resource.name, make("span", {class: "kind"}, resource.kind)),
		resource.description && make("p", {}, resource.description), addresses);
	if (!resource.allowed)
		item.append(make("p", {class: "missing", "data-part": "missing"}, resource.missing));
	if (NEEDS_LOGIN.has(resource.code))
		item.append(make("p", {class: "actions"}, button("Log in again", {"data-part": "again",
			"aria-label": `Log in again for ${resource.name}`}, acting(item, () => logInAgain(resource.missing)))));
	return item;
}

function drawResources({resources}) {
	const items = [...resources].sort((a, b) => b.allowed - a.allowed).map(resourceItem);
	redraw(inside(part("resources"), "list"), items.length ? items : [make("li", {}, "The policy has nothing for you on this device.")]);
}

/* Only what has changed is drawn anew: the focus stays where it is. */
function redraw(place, items) {
	const drawn = items.map(item => item.outerHTML).join();
	if (place.drawn === drawn)
		return;
	place.drawn = drawn;
	place.replaceChildren(...items);
}

/* ---- session ---- */

function drawSession(session) {
	life.session = session;
	fill(part("main"), {user: session.user, device: session.device, realm: session.realm, since: when(session.login_at),
		until: when(session.expires_at)});
	const tunnels = session.open.map(tunnel => make("li", {"data-tunnel": tunnel.tunnel},
		make("code", {}, `${tunnel.host}:${tunnel.port}`), make("p", {class: "hint"}, "since ", moment(tunnel.opened_at),
			tunnel.ends_at && "; ends ", tunnel.ends_at && moment(tunnel.ends_at))));
	redraw(part("tunnels"), tunnels);
	inside(part("session"), "no-tunnels").hidden = tunnels.length > 0;
	tick();
}

function tick() {
	const end = new Date(life.session.expires_at), left = end - now();
	if (left < -60000)
		return life.end(new Refusal(401, {detail: "Your session is over: its time has passed."}, 0));
	part("left").textContent = span(left);
	part("spent").max = end - new Date(life.session.created_at);
	part("spent").value = Math.max(0, left);
}

async function refresh() {
	if (life.paused)
		return;
	const [session, resources] = await Promise.all([call("GET", "/v1/session"), call("GET", "/v1/resources")]);
	if (!life)
		return;
	drawSession(session);
	drawResources(resources);
}

/* ---- warnings: what the gateway says it will end, or has ended ---- */

const REASONS = {lease_expired: "its time is over", fresh_login_required: "a fresh login is wanted", idle: "nothing moves in it",
	hours_over: "the hours are over", policy_changed: "the policy has changed", logout: "logged out",
	replaced: "another login took its place", ended_by_admin: "an administrator ended it", device_locked: "the device is locked",
	device_revoked: "the device is revoked", user_locked: "the user is locked", gateway_stopped: "the gateway stops"};
const why = event => event.reason ? ` (${REASONS[event.reason] ?? event.reason})` : "";

function warn(event) {
	const list = part("warnings"), key = `${event.what}-${event.tunnel ?? ""}`;
	const what = event.what === "session" ? "Your session" : `The tunnel to ${event.host}:${event.port}`;
	list.querySelector(`[data-warning="${key}"]`)?.remove();
	if (event.event === "ending")
		list.append(make("li", {"data-warning": key}, `${what} ends `, moment(event.at), `${why(event)}.`));
	else if (event.event === "ended")
		tell(`${what} was ended${why(event)}.`);
}

/* The session of this feed is over. A login again may have made, or be making, another one. */
async function sessionEnded(event, mine) {
	while (event.reason === "replaced" && mine.paused && !mine.signal.aborted)
		await pause(200, mine.signal);
	const after = await ask("GET", "/v1/session", undefined, mine.signal).catch(error => error);
	if (after instanceof Error && !mine.signal.aborted)
		mine.end(new Refusal(401, {detail: `Your session was ended${why(event)}.`}, 0));
}

async function readFeed(mine) {
	const reader = (await request("GET", "/v1/events", undefined, mine.signal)).body.pipeThrough(new TextDecoderStream()).getReader();
	for (let text = "";;) {
		const {done, value} = await reader.read();
		if (done)
			return;
		const lines = (text + value).split("\n");
		text = lines.pop();
		for (const event of lines.map(line => JSON.parse(line))) {
			if (event.event === "ended" && event.what === "session")
				return sessionEnded(event, mine);
			warn(event);
		}
	}
}

async function listen(mine) {
	while (!mine.signal.aborted) {
		const refusal = await readFeed(mine).catch(error => error);
		if (refusal?.status === 401 && !mine.paused)
			mine.end(refusal);
		/* Other windows may have the feeds that a browser gets: then this one hears it later, by asking. */
		await pause(refusal?.status ? 60000 : 5000, mine.signal);
	}
}

/* What is seen may be old while the gateway is out of reach: then the page says so. */
async function look(mine) {
	const failure = await refresh().catch(error => error);
	if (mine !== life)
		return;
	part("warnings").querySelector('[data-warning="away"]')?.remove();
	if (failure?.status === 0)
		part("warnings").append(make("li", {"data-warning": "away"}, `${failure.message} What you see may be old.`));
}

async function keepFresh(mine) {
	document.addEventListener("visibilitychange", () => document.hidden || look(mine), {signal: mine.signal});
	for (let seconds = 1; !mine.signal.aborted; seconds++) {
		await pause(1000, mine.signal);
		if (mine.signal.aborted)
			return;
		tick();
		if (seconds % 30 === 0 && !document.hidden)
			look(mine);
	}
}
