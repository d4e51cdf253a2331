/* desk.js: what people do for themselves: their devices, their second factor, this browser. */

/* ---- devices ---- */

function placesOf(device) {
	if (!device.places?.length)
		return null;
	return make("details", {}, make("summary", {}, "Last places"), make("ul", {}, ...device.places.map(place =>
		make("li", {}, make("code", {}, place.address), " ", moment(place.last_at)))));
}

function deviceItem(device, mayAct) {
	const about = [["Enrolled", moment(device.enrolled_at)], ["Last seen", moment(device.last_seen_at)],
		["Last address", device.last_address ? make("code", {}, device.last_address) : "none yet"], ["Certificate ends", moment(device.expires_at)],
		["Sessions", String(device.sessions ?? 0)]];
	const item = make("li", {"data-device": device.name, class: device.state === "active" ? "good" : "wanting"},
		make("h3", {}, device.name, device.this && make("span", {class: "kind"}, "this device"),
			device.state !== "active" && make("span", {class: "kind"}, device.state)),
		make("dl", {}, ...about.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])), placesOf(device));
	if (device.state === "active" && mayAct)
		item.append(make("p", {class: "actions"}, button("This one is lost", {"data-part": "lost", class: "danger",
			"aria-label": `This one is lost: ${device.name}`}, acting(item, () => lost(device)))));
	return item;
}

/* This one, then those in use, then those that are shut out. */
const rank = device => device.this ? 0 : device.state === "active" ? 1 : 2;

function drawDevices({devices, self_service: mayAct}) {
	const items = devices.sort((one, other) => rank(one) - rank(other)).map(device => deviceItem(device, mayAct));
	redraw(inside(part("devices"), "list"), items.length ? items : [make("li", {}, "None is registered for you by name.")]);
}

/* Asks once more; true for yes. */
function sure(device) {
	const dialog = part("sure"), yes = part("sure-yes");
	fill(dialog, {name: device.name});
	inside(dialog, "this").hidden = !device.this;
	dialog.returnValue = "";
	yes.onclick = () => dialog.close("yes");
	part("sure-no").onclick = () => dialog.close("");
	dialog.showModal();
	part("sure-no").focus();
	return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), {once: true}));
}

async function lost(device) {
	if (!await sure(device))
		return;
	const mine = life, done = await call("POST", "/v1/lost", {device: device.name}).catch(error => error);
	const gone = device.this && (!done.status || done.status === 401);
	if (done instanceof Error && !gone)
		throw done;
	const counts = done instanceof Error ? "" : `: ${many(done.sessions_ended, "session")} ended, ${many(done.tunnels_closed, "tunnel")} closed`;
	const text = `${device.name} is shut out${counts}.`;
	if (gone && mine === life)
		mine.end(new Refusal(401, {detail: text}, 0));
	tell(text);
	if (mine === life)
		drawDevices(await call("GET", "/v1/devices"));
}

/* ---- second factor ---- */

function describe(factor) {
	if (!factor.managed)
		return "This gateway keeps no second factors: yours, if you have one, is looked after elsewhere.";
	const who = factor.self_service ? "" : " Your administrator sets it up.";
	if (factor.state !== "active")
		return (factor.state === "pending" ? "One was begun, and not confirmed." : "You have none yet.") + who;
	const used = factor.used_at ? `, last used ${when(factor.used_at)}` : "";
	return `An authenticator app, since ${when(factor.created_at)}${used}. ${many(factor.recovery_left, "recovery code")} left.${who}`;
}

function drawFactor(factor) {
	const active = factor.state === "active";
	fill(part("factor"), {factor: describe(factor)});
	const mayAct = factor.managed && factor.self_service;
	part("factor-new").hidden = !mayAct;
	part("factor-new").textContent = active ? "Replace it" : "Set up";
	part("factor-codes").hidden = !mayAct || !active;
}

/* Shown once: gone with the button, and with the session. */
function showCodes(codes) {
	const place = inside(part("factor"), "work");
	const actions = make("p", {class: "actions"}, button("Print", {id: "codes-print"}, () => print()), copier(codes.join("\n"), "the recovery codes"),
		button("I have them", {id: "codes-done"}, () => {
			place.replaceChildren();
			part("factor-title").focus();
		}));
	actions.children[1].id = "codes-copy";
	place.replaceChildren(make("div", {class: "once"}, make("h3", {tabindex: "-1"},
			`Recovery codes of ${life.session.user} at ${front.gateway}`),
		make("p", {}, "Each works once, where a code is asked for. They are shown this one time: keep them where your telephone is not."),
		make("ol", {id: "codes", class: "codes"}, ...codes.map(code => make("li", {}, make("code", {}, code)))), actions));
	place.querySelector("h3").focus();
}

async function newFactor() {
	const made = await call("POST", "/v1/factor"), place = inside(part("factor"), "work");
	const code = make("input", {id: "factor-code", name: "code", autocomplete: "one-time-code", inputmode: "numeric", required: true,
		maxlength: "16", spellcheck: "false"});
	const form = make("form", {id: "factor-form", method: "post"},
		make("p", {}, "Take the picture with an authenticator app, or type its secret there. Then give the code that the app shows."),
		make("p", {}, "Secret: ", make("code", {id: "secret"}, made.secret)),
		make("label", {for: "factor-code"}, "Code of the app"), code,
		make("p", {class: "actions"}, make("button", {class: "main"}, "Confirm"),
			button("Cancel", {}, () => (place.replaceChildren(), part("factor-new").focus()))));
	form.addEventListener("submit", acting(form, async () => {
		const {recovery_codes: codes} = await call("POST", "/v1/factor/confirm", {code: code.value.replaceAll(" ", "")});
		showCodes(codes);
		drawFactor(await call("GET", "/v1/factor"));
	}));
	place.replaceChildren(make("div", {class: "once"}, form));
	code.focus();
	qr(made.uri, life.signal).then(image => form.firstChild.after(image), () => {});
}

async function newCodes() {
	showCodes((await call("POST", "/v1/factor/codes")).recovery_codes);
	drawFactor(await call("GET", "/v1/factor"));
}

/* ---- this browser ---- */

function drawBrowser() {
	part("pac").textContent = `${location.origin}/proxy.pac`;
	part("proxy-address").textContent = location.port ? location.host : `${location.host}:443`;
	fill(part("browser"), {dialogue: life.session.browser ? "As long as you are logged in here it has no need to. If it does all the same:"
		: "It will, when it comes to the gateway for the first time in a session."});
}

/* Chromium's loader of scripts shows no certificate: the script itself is in the address. */
async function newCommand() {
	const script = await (await request("GET", "/proxy.pac", undefined, life.signal)).text();
	const text = `chromium '--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,${btoa(script)}'`;
	const field = make("textarea", {id: "command", readonly: true, rows: "3", spellcheck: "false", "aria-label": "Command that starts Chromium"});
	field.value = text;
	inside(part("browser"), "command").replaceChildren(make("div", {class: "once"}, field, copier(text, "the command")));
	part("command-new").textContent = "Show it anew";
}

async function newToken() {
	const {user, token} = await call("POST", "/v1/session/browser-token");
	inside(part("browser"), "token").replaceChildren(make("dl", {class: "once"},
		make("dt", {}, "User"), make("dd", {}, make("code", {id: "proxy-user"}, user), copier(user, "the user name")),
		make("dt", {}, "Token"), make("dd", {}, make("code", {id: "token"}, token), copier(token, "the token"))));
	part("token-new").textContent = "Another token";
}
