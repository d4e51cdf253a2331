/* portal.js: the two states of the page, and what leads from one to the other. After the end nothing of the session is left
 * in the page: not in its elements, not in variables, not in what the browser keeps for its back button.
 */
const main = part("main");
let front = {gateway: "Sallyport", device: "this device"};

function doors(open) {
	document.body.dataset.doors = open ? "both" : "one";
	part("sections").hidden = part("log-out").hidden = !open;
	document.querySelector("header > .problem")?.remove();
	document.title = open ? front.gateway : `Log in to ${front.gateway}`;
}

/* Not logged in. `text` says why, when somebody was. */
async function outside(text) {
	show(main, "view-login");
	doors(false);
	fill(main, {device: front.device});
	part("farewell").hidden = !text;
	part("farewell").textContent = text ?? "";
	tell("");
	const ending = new AbortController();
	outside.end = () => ending.abort();
	const granted = await converse(inside(main, "conversation"), {signal: ending.signal});
	if (granted)
		await enter();
}

/* All that was shown goes, at once. */
function wipe() {
	life?.ending.abort();
	life = null;
	outside.end?.();
	main.replaceChildren();
}

function leave(refusal) {
	wipe();
	outside(refusal.message);
}

async function logOut() {
	const {tunnels_closed: closed} = await call("DELETE", "/v1/session");
	leave({message: `You are logged out. ${many(closed, "tunnel")} ${closed === 1 ? "was" : "were"} closed.`});
}

function connect() {
	const [session, factor, browser] = [part("session"), part("factor"), part("browser")];
	part("renew").addEventListener("click", acting(session, async () => {
		drawSession({open: life.session.open, ...await call("POST", "/v1/session/renew")});
		tell("The session lasts longer now.");
		await refresh();
	}));
	part("factor-new").addEventListener("click", acting(factor, newFactor));
	part("factor-codes").addEventListener("click", acting(factor, newCodes));
	part("command-new").addEventListener("click", acting(browser, newCommand));
	part("token-new").addEventListener("click", acting(browser, newToken));
}

/* A part of the page whose question is refused says so in its place; the others are there all the same. */
function draw(section, answer, drawing) {
	if (answer instanceof Error)
		part(section).append(make("div", {class: "problem"}, ...explain(answer)));
	else
		drawing(answer);
}

/* Logged in, or not: the gateway knows. All is drawn at once, so that nothing moves away from under a hand. */
async function enter() {
	const ending = new AbortController();
	const mine = life = {ending, signal: ending.signal, end: leave, session: null, paused: false};
	const get = name => ask("GET", `/v1/${name}`, undefined, mine.signal).catch(error => error);
	const session = await get("session");
	if (session instanceof Error && mine === life) {
		life = null;
		return outside(session.status === 401 ? "" : session.message);
	}
	const [resources, devices, factor] = await Promise.all(["resources", "devices", "factor"].map(get));
	if (mine !== life)
		return;
	show(main, "view-inside");
	doors(true);
	connect();
	drawSession(session);
	drawBrowser();
	draw("resources", resources, drawResources);
	draw("devices", devices, drawDevices);
	draw("factor", factor, drawFactor);
	part("greeting").focus();
	listen(mine);
	keepFresh(mine);
}

async function begin() {
	try {
		front = await ask("GET", "/");
		front.gateway ||= "Sallyport";
		part("gateway-name").textContent = front.gateway;
		part("device-name").textContent = front.device;
		await (front.cookie ? enter() : outside());
	} catch (error) {
		main.replaceChildren(make("div", {class: "problem", role: "alert"}, ...explain(error)));
	}
}

/* The scripts answer every form: none is ever sent as browsers send forms. */
document.addEventListener("submit", event => event.preventDefault());
part("log-out").addEventListener("click", acting(part("log-out").parentNode, logOut));
/* Whoever comes back by the back button gets a new page, and what is kept for him is empty. */
addEventListener("pagehide", wipe);
addEventListener("pageshow", event => event.persisted && location.reload());
begin();
