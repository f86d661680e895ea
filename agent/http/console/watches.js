// Standing questions: what is to be told when it happens, and what was.

import { getJson, request } from "./api.js";
import { byId, clock, make } from "./dom.js";
import { openEvidence } from "./evidence.js";

const MAX_ALERTS = 5;

export function startWatches() {
  byId("watch").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    add();
  });
}

/** Load them; hidden where there can be none. @param {string[]} cameras */
export async function loadWatches(cameras) {
  try {
    const found = await getJson("/api/watch");
    byId("watches").replaceChildren(...found.watches.map(row));
    byId("watch-camera").replaceChildren(...cameras.map((name) => make("option", { value: name, text: name })));
    byId("standing").hidden = false;
  } catch {
    byId("standing").hidden = true;
  }
}

/** @param {any} alert */
export function hearAlert(alert) {
  const chunk = alert.evidence?.[0]?.chunk;
  const line = make("p", { class: "alert-line" }, `${clock(alert.time ?? new Date().toISOString())} ${alert.camera}: ${alert.state ?? alert.name} `);
  if (chunk) line.append(make("button", { type: "button", text: "Show", onclick: () => openEvidence(alert.camera, chunk) }));
  const alerts = byId("alerts");
  alerts.prepend(line);
  while (alerts.children.length > MAX_ALERTS) alerts.lastElementChild.remove();
}

/** @param {any} watch */
function row(watch) {
  const last = typeof watch.last_alert === "string" ? watch.last_alert : watch.last_alert?.time;
  const told = last ? `last alert ${clock(last)}` : "no alert yet";
  return make("li", {},
    make("span", { class: "what" }, make("strong", { text: `${watch.camera}/${watch.name}` }), ` ${watch.question} (${told})`),
    watch.source === "config"
      ? make("span", { text: "from the config" })
      : make("button", { type: "button", text: "Remove", "aria-label": `Remove ${watch.name}`, onclick: () => remove(watch) }));
}

async function add() {
  const error = byId("watch-error");
  const path = `/api/watch/${byId("watch-camera").value}/${byId("watch-name").value}`;
  error.textContent = "";
  try {
    await request(path, { method: "PUT", json: { question: byId("watch-question").value } });
    byId("watch").reset();
    await reload();
  } catch (problem) {
    error.textContent = problem.message;
  }
}

/** @param {any} watch */
async function remove(watch) {
  try {
    await request(`/api/watch/${watch.camera}/${watch.name}`, { method: "DELETE" });
    await reload();
  } catch (problem) {
    byId("watch-error").textContent = problem.message;
  }
}

export async function reload() {
  const found = await getJson("/api/watch");
  byId("watches").replaceChildren(...found.watches.map(row));
}
