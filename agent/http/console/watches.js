// Standing questions: what is to be told when it happens, and what was.

import { ApiError, getJson, request } from "./api.js";
import { byId, clock, make, patch } from "./dom.js";
import { openEvidence } from "./evidence.js";

const MAX_ALERTS = 5;
const STATES = /** @type {Record<string, string>} */ ({ going: "it happens now", off: "switched off" });

let mayChange = false;

export function startWatches() {
  byId("watch").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    add();
  });
}

/** Load them; hidden where there can be none. @param {string[]} cameras @param {boolean} isAllowed to change them */
export async function loadWatches(cameras, isAllowed) {
  mayChange = isAllowed;
  const select = byId("watch-camera");
  const chosen = select.value;
  select.replaceChildren(...cameras.map((name) => make("option", { value: name, text: name, selected: name === chosen })));
  byId("watch").hidden = !isAllowed;
  try {
    await reload();
    byId("standing").hidden = false;
  } catch (problem) {
    if (!(problem instanceof ApiError && problem.status === 503)) throw problem;
    byId("standing").hidden = true;
  }
}

export async function reload() {
  const { watches } = await getJson("/api/watch");
  const { alerts } = await getJson("/api/alerts"); // newest first
  patch(byId("watches"), watches.map((/** @type {any} */ watch) => {
    const last = alerts.find((/** @type {any} */ alert) => alert.camera === watch.camera && alert.name === watch.name);
    const key = JSON.stringify([watch.camera, watch.name, watch.question, watch.state, watch.last_alert, last?.time, mayChange]);
    return { key, make: () => row(watch, last) };
  }));
}

/** @param {any} alert */
export function hearAlert(alert) {
  const text = `${clock(alert.time ?? Date.now())} ${alert.camera}: ${alert.state ?? alert.name} `;
  const line = make("p", { class: "alert-line" }, text, ...show(alert, "Show"));
  const alerts = byId("alerts");
  alerts.prepend(line);
  while (alerts.children.length > MAX_ALERTS) alerts.lastElementChild.remove();
}

/** A button to what an alert was read from, if that is known. @param {any} alert @param {string} text */
function show(alert, text) {
  const chunk = alert?.evidence?.[0]?.chunk;
  if (!chunk) return [];
  const label = `${text} what ${alert.name} saw, ${clock(alert.time ?? Date.now())}`;
  return [make("button", { type: "button", text, "aria-label": label, onclick: () => openEvidence(alert.camera, chunk) })];
}

/** @param {any} watch @param {any} last its newest alert */
function row(watch, last) {
  const time = watch.last_alert ?? last?.time;
  const told = [STATES[watch.state], time ? `last alert ${clock(time)}` : "no alert yet"].filter(Boolean).join(", ");
  const what = make("span", { class: "what" }, make("strong", { text: `${watch.camera}/${watch.name}` }), ` ${watch.question} (${told})`);
  const end = watch.source === "config"
    ? make("span", { text: "from the config" })
    : make("button", { type: "button", text: "Remove", "aria-label": `Remove ${watch.name} of ${watch.camera}`, onclick: () => remove(watch) });
  return make("li", {}, what, ...show(last, "Show"), ...(mayChange || watch.source === "config" ? [end] : []));
}

async function add() {
  const path = `/api/watch/${byId("watch-camera").value}/${byId("watch-name").value}`;
  await change(path, { method: "PUT", json: { question: byId("watch-question").value } });
  if (!byId("watch-error").textContent) {
    for (const id of ["watch-name", "watch-question"]) byId(id).value = "";
    byId("watch-name").focus();
  }
}

/** @param {any} watch */
async function remove(watch) {
  await change(`/api/watch/${watch.camera}/${watch.name}`, { method: "DELETE" });
  byId("watch-name").focus();
}

/** @param {string} path @param {any} options */
async function change(path, options) {
  byId("watch-error").textContent = "";
  try {
    await request(path, options);
    await reload();
  } catch (problem) {
    byId("watch-error").textContent = problem.message;
  }
}
