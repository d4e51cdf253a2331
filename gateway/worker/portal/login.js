/* login.js: the conversation with the user's door, as forms that follow what the gateway asks (docs/wire.md, door two).
 *
 * converse() draws into a place and comes back with the granted answer, or null when the user gave up.
 */

/* The next submit of the form, or false when its cancel button (or the signal) was first. */
function answered(form, signal) {
	return new Promise(resolve => {
		form.addEventListener("submit", () => {
			inside(form, "continue").textContent = "One moment…";
			form.setAttribute("aria-busy", "true");
			resolve(true);
		}, {once: true});
		inside(form, "cancel").addEventListener("click", () => resolve(false), {once: true});
		signal.addEventListener("abort", () => resolve(false), {once: true});
	});
}

async function countDown(form, seconds, signal) {
	const go = inside(form, "continue");
	go.disabled = true;
	for (; seconds > 0 && !signal.aborted; seconds--) {
		go.textContent = `Again in ${seconds} s`;
		await pause(1000, signal);
	}
	go.disabled = false;
	go.textContent = "Continue";
}

/* Who is it? `known` is a name that was given before. Null: given up. */
async function askWho(place, known, refusal, mayCancel, signal) {
	const form = show(place, "view-who").firstElementChild, [user, realm] = [part("user"), part("realm")];
	if (part("farewell")?.textContent)
		user.setAttribute("aria-describedby", "farewell");
	user.value = known?.user ?? "";
	realm.value = known?.realm ?? "";
	form.querySelector("details").open = Boolean(realm.value);
	inside(form, "cancel").hidden = !mayCancel;
	if (refusal)
		inside(form, "problem").append(...explain(refusal));
	if (refusal?.retryAfter)
		countDown(form, refusal.retryAfter, signal);
	user.focus();
	if (!await answered(form, signal))
		return null;
	return realm.value ? {user: user.value, realm: realm.value} : {user: user.value};
}

/* What a password manager shall offer for a prompt, as far as its words tell. */
function purpose(text) {
	if (/one.?time|otp|verification|authenticator|token|passcode|\bcode\b/i.test(text))
		return "one-time-code";
	if (!/pass(word|phrase)/i.test(text))
		return "off";
	return /\bnew\b|retype|re-enter|repeat|again|choose|confirm/i.test(text) ? "new-password" : "current-password";
}

function field(message, number) {
	const input = make("input", {id: `prompt-${number}`, type: message.style === "secret" ? "password" : "text",
		autocomplete: purpose(message.text), autocapitalize: "none", autocorrect: "off", spellcheck: "false"});
	const name = message.text.trim().replace(/\s*:$/, "") || "Your answer";
	const label = make("label", {for: input.id, class: "said"}, name);
	if (message.style !== "secret")
		return [label, input];
	const eye = button("Show", {class: "eye", "aria-label": `Show: ${name}`, "aria-pressed": "false", "aria-controls": input.id}, () => {
		input.type = input.type === "password" ? "text" : "password";
		eye.setAttribute("aria-pressed", String(input.type === "text"));
	});
	return [label, make("div", {class: "with-eye"}, input, eye)];
}

/* A QR code that was drawn for a terminal: half blocks are light, and what is left out is dark. */
function redrawn(drawing) {
	const rows = drawing.split("\n"), width = Math.max(...rows.map(row => row.length));
	const canvas = make("canvas", {class: "qr", "data-part": "qr", role: "img", "aria-label": "A picture for an authenticator app",
		width, height: 2 * rows.length});
	const pen = canvas.getContext("2d");
	rows.forEach((row, y) => [...row.padEnd(width)].forEach((half, x) => {
		pen.fillStyle = half === "█" || half === "▀" ? "#fff" : "#000";
		pen.fillRect(x, 2 * y, 1, 1);
		pen.fillStyle = half === "█" || half === "▄" ? "#fff" : "#000";
		pen.fillRect(x, 2 * y + 1, 1, 1);
	}));
	return canvas;
}

/* A text of the stack. A drawn code becomes a picture; an address for an authenticator app comes as one as well. */
function addText(place, message, signal) {
	const name = message.style === "error" ? "said bad" : "said";
	const [before, drawing, after] = message.text.split(/\n?((?:[█▀▄ ]{21,}(?:\n|$)){11,})/);
	const text = make("p", {class: name}, before), uri = /otpauth:\/\/\S+/.exec(message.text);
	place.append(text);
	if (drawing)
		place.append(redrawn(drawing.replace(/\n$/, "")), make("p", {class: name}, after));
	else if (uri)
		qr(uri[0], signal).then(image => text.before(image), () => {});
}

/* One round: shows what came; the answers to its prompts, or null when the user gave up. */
async function askRound(form, step, signal) {
	const fields = inside(form, "fields"), go = inside(form, "continue");
	const prompts = step.messages.filter(message => message.style === "secret" || message.style === "text");
	for (const message of step.messages.filter(message => !prompts.includes(message)))
		addText(inside(form, "texts"), message, signal);
	if (step.state !== "prompt")
		return [];
	fields.replaceChildren(...prompts.flatMap(field));
	prompts.forEach(message => /otpauth:/.test(message.text) && addText(inside(form, "texts"), message, signal));
	form.removeAttribute("aria-busy");
	go.textContent = "Continue";
	go.hidden = false;
	const inputs = [...fields.querySelectorAll("input")];
	(inputs[0] ?? go).focus();
	if (!await answered(form, signal))
		return null;
	inside(form, "texts").replaceChildren();
	const answers = inputs.map(input => input.value);
	inputs.forEach(input => { input.value = ""; input.type = "password"; });
	return answers;
}

/* From the name to the grant. Null: given up, and the gateway was told. */
async function rounds(place, who, signal) {
	const giveUp = new AbortController(), form = show(place, "view-prompt").firstElementChild;
	const both = AbortSignal.any([signal, giveUp.signal]);
	inside(form, "cancel").addEventListener("click", () => giveUp.abort());
	fill(form, {user: who.user});
	form.elements.username.value = who.user;
	let step, leave = () => {};
	try {
		step = await ask("POST", "/v1/login", {...who, portal: true}, both);
		const path = `/v1/login/${step.conversation}`;
		/* It arrives also when the page is being left. */
		leave = () => request("DELETE", path, undefined, undefined, {keepalive: true}).catch(() => {});
		while (step.state !== "granted") {
			const answers = await askRound(form, step, both);
			if (!answers)
				break;
			if (step.state === "info" && !step.messages.length)
				await pause(200, both);
			step = await ask("POST", path, {answers}, both);
		}
	} catch (error) {
		if (error.name !== "AbortError") {
			if (!error.status)
				leave();
			throw error;
		}
	}
	if (step?.state === "granted")
		return step;
	leave();
	return null;
}

async function converse(place, {known = null, mayCancel = false, signal}) {
	let refusal = null, who = known;
	for (;;) {
		if (!known || refusal)
			who = await askWho(place, who, refusal, mayCancel, signal);
		if (!who)
			return null;
		try {
			const granted = await rounds(place, who, signal);
			if (granted || mayCancel || signal.aborted)
				return granted;
			refusal = null;
		} catch (error) {
			refusal = error;
		}
	}
}
