/* kit.js: the API and the page's elements, for the other scripts. What the gateway says becomes text, never markup.
 * The scripts are joined into one file (embed.py), in the order of the build.
 */
"use strict";

const part = id => document.getElementById(id);
const inside = (root, name) => root.querySelector(`[data-part="${name}"]`);

/* make("li", {class: "x"}, "text", child, ...) */
function make(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes))
		if (value !== undefined && value !== false)
			element.setAttribute(key, value === true ? "" : value);
	element.append(...children.filter(child => child || child === 0));
	return element;
}

const button = (text, attributes, act) => {
	const element = make("button", {type: "button", ...attributes}, text);
	element.addEventListener("click", act);
	return element;
};

/* A copy of a <template>, put in the place of what is there. */
function show(place, template) {
	place.replaceChildren(document.importNode(part(template).content, true));
	return place;
}

function fill(root, values) {
	for (const [name, value] of Object.entries(values))
		for (const element of root.querySelectorAll(`[data-text="${name}"]`))
			element.textContent = value;
}

/* Said once, for whoever hears the page instead of seeing it; and seen. */
function tell(text) {
	part("status").textContent = text;
	clearTimeout(tell.timer);
	tell.timer = setTimeout(() => part("status").textContent = "", 12000);
}

const pause = (ms, signal) => new Promise(resolve => {
	const timer = setTimeout(resolve, ms);
	signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), {once: true});
});

/* ---- time ---- */

const day = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});
const clock = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});

function when(text) {
	const date = new Date(text);
	if (!text || isNaN(date))
		return "never";
	const today = day.format(date) === day.format(new Date());
	return (today ? "today" : day.format(date)) + ", " + clock.format(date);
}

const moment = text => make("time", {datetime: text || undefined}, when(text));
const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/* By the gateway's clock, as it stood in its last answer: the device's own may be wrong. */
const now = () => Date.now() + (now.ahead ?? 0);

/* "7 h 12 min", and the seconds when few are left. */
function span(ms) {
	const seconds = Math.max(0, Math.round(ms / 1000)), minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
	return hours ? `${hours} h ${minutes % 60} min` : minutes >= 5 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

/* ---- the API ---- */

class Refusal extends Error {
	constructor(status, problem, retryAfter) {
		super(problem.detail || "The gateway has refused that, and said no more.");
		Object.assign(this, {status, code: problem.code || "", id: problem.request_id || "", retryAfter});
	}
}

async function request(method, path, body, signal, options = {}) {
	const headers = {accept: "application/json"};
	if (body !== undefined)
		headers["content-type"] = "application/json";
	const once = () => fetch(path, {method, headers, body: body && JSON.stringify(body), signal, cache: "no-store",
		credentials: "same-origin", redirect: "error", ...options});
	/* Browsers break off what is under way when the network changes. Asked twice, these do no harm. */
	const harmless = method === "GET" || path === "/v1/login";
	let answer;
	try {
		answer = await once().catch(async error => {
			if (!harmless || error.name === "AbortError")
				throw error;
			await pause(500, signal);
			return once();
		});
	} catch (error) {
		if (error.name === "AbortError")
			throw error;
		throw new Refusal(0, {detail: "The gateway cannot be reached now. Is the network there?"}, 0);
	}
	const ahead = Date.parse(answer.headers.get("date")) - Date.now();
	if (Math.abs(ahead - (now.ahead ?? 0)) > 2000)
		now.ahead = ahead;
	if (answer.ok)
		return answer;
	const problem = await answer.json().catch(() => ({}));
	throw new Refusal(answer.status, problem, Number(answer.headers.get("retry-after")) || 0);
}

async function ask(method, path, body, signal) {
	const text = await (await request(method, path, body, signal)).text();
	return text ? JSON.parse(text) : {};
}

/* A refusal as people read it: the sentence, and the number under which the administrator finds the whole story. */
function explain(refusal) {
	const number = refusal.id && make("p", {class: "hint"}, `For your administrator: ${refusal.code}, request ${refusal.id}`);
	return [make("p", {}, refusal.message), number].filter(Boolean);
}

/* ---- pictures, copies ---- */

async function qr(text, signal) {
	const answer = await request("POST", "/v1/qr", {text}, signal);
	const image = make("img", {class: "qr", "data-part": "qr", alt: "The address below as a picture, for an authenticator app"});
	image.addEventListener("load", () => URL.revokeObjectURL(image.src), {once: true});
	image.src = URL.createObjectURL(await answer.blob());
	return image;
}

const copier = (text, what) => button("Copy", {"aria-label": `Copy ${what}`}, async () => {
	await navigator.clipboard.writeText(text).then(() => tell("Copied."), () => tell("The browser did not let it be copied."));
});
