// Ask, and see the answer come: its words, its moments, and what was not watched.

import { ApiError, eventsOf, getJson, newId, request } from "./api.js";
import { select } from "./cameras.js";
import { byId, clock, make, moment } from "./dom.js";
import { openEvidence } from "./evidence.js";
import { lightUp, lookAt } from "./timeline.js";
import { STATUS, detail, reason } from "./words.js";

const MAX_GAPS = 5;

let conversation = newId();
let asked = "";

export function startAsking() {
  byId("ask").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    ask();
  });
  byId("cancel").addEventListener("click", () => getJson(`/api/ask/${asked}/cancel`, { json: {} }).catch(() => {}));
  byId("forget").addEventListener("click", () => {
    conversation = newId();
    byId("answers").prepend(make("p", { class: "note turn", text: "A new conversation: what is below is not gone on from." }));
    byId("forget").hidden = true;
    byId("question").focus();
  });
}

/** @param {boolean} isAllowed */
export function allowAsking(isAllowed) {
  byId("ask").hidden = !isAllowed;
  byId("may-not-ask").hidden = isAllowed;
}

/** @param {string[]} cameras */
export function offerCameras(cameras) {
  const known = new Set(chosen());
  const boxes = cameras.map((name) => make("label", {},
    make("input", { type: "checkbox", name: "camera", value: name, checked: known.has(name) }), name));
  byId("ask-cameras").replaceChildren(byId("ask-cameras").firstElementChild, ...boxes);
}

const chosen = () => [...document.querySelectorAll("[name=camera]:checked")].map((box) => /** @type {any} */ (box).value);

/** @param {string} id */
const timeOf = (id) => (byId(id).value ? new Date(byId(id).value).toISOString() : undefined);

async function ask() {
  const question = byId("question").value.trim();
  if (!question) return;
  asked = newId();
  const body = { id: asked, question, conversation, stream: true, from: timeOf("from"), to: timeOf("to") };
  const cameras = chosen();
  const view = begin(question);
  busy(true);
  byId("forget").hidden = false;
  try {
    const response = await request("/api/ask", { json: cameras.length ? { ...body, cameras } : body });
    for await (const { type, data } of eventsOf(response)) {
      if (type === "delta") view.text.textContent = (data.seq ? view.text.textContent : "") + data.text;
      if (type === "understood") tellTime(view, data);
      if (type === "answer") finish(view, data);
    }
    if (!view.isWhole) throw new ApiError(0, "lost", "The connection was lost before the answer was whole. Ask again.");
  } catch (error) {
    const isOurs = error instanceof ApiError;
    note(view, isOurs ? error.message : "The agent can't be reached. Ask again when it is back.", "error");
  } finally {
    view.entry.removeAttribute("aria-busy");
    busy(false);
  }
}

/** @param {boolean} isBusy */
function busy(isBusy) {
  byId("send").disabled = isBusy;
  byId("cancel").hidden = !isBusy;
}

/** @param {string} question */
function begin(question) {
  const view = {
    entry: make("article", { class: "answer", "aria-busy": "true" }),
    text: make("p", { class: "text", "aria-live": "polite" }),
    notes: make("div"),
    moments: make("div", { class: "moments" }),
    time: /** @type {HTMLElement|null} */ (null),
    isWhole: false,
  };
  view.entry.append(make("h3", { text: question }), view.text, view.notes, view.moments);
  byId("answers").prepend(view.entry);
  return view;
}

/** @param {any} view @param {string} text @param {string} [kind] */
function note(view, text, kind = "") {
  view.notes.append(make("p", { class: `note ${kind}`, role: kind ? "alert" : null, text }));
}

/** @param {any} view @param {any} understood */
function tellTime(view, understood) {
  const from = understood.from ? `from ${clock(understood.from)}` : "";
  const to = understood.to ? `to ${clock(understood.to)}` : "";
  const words = understood.words ? `“${understood.words}”: ` : "";
  view.time?.remove();
  view.time = make("p", { class: "note", text: `${words}${from} ${to}`.trim() });
  view.notes.prepend(view.time);
}

/** @param {any} view @param {any} answer */
function finish(view, answer) {
  view.isWhole = true;
  view.text.textContent = answer.error ? "" : answer.answer;
  view.entry.dataset.status = answer.status;
  const status = STATUS[answer.status];
  if (answer.error) note(view, `${status}: ${answer.error.message}`, "error");
  else if (status) note(view, [status, ...answer.degraded].join(", "));
  if (answer.understood) tellTime(view, answer.understood);
  view.moments.replaceChildren(...answer.evidence.map(thumbnail));
  tellCoverage(view, answer.coverage);
  lightUp(answer.evidence);
  offerTimelines(view, answer.evidence.filter((/** @type {any} */ found) => found.level === "low"));
}

/** @param {any} view @param {{watched: any[], gaps: any[]}} coverage */
function tellCoverage(view, { watched, gaps }) {
  for (const gap of gaps.slice(-MAX_GAPS)) {
    note(view, `${gap.camera} was not watched ${clock(gap.start)} to ${clock(gap.end)}: ${reason(gap.kind)}`);
  }
  if (gaps.length > MAX_GAPS) note(view, `and ${gaps.length - MAX_GAPS} gaps before that`);
  if (watched.length && !gaps.length) note(view, "all of that time was watched");
}

/** Ways to where the chunks that were re-loaded lie. @param {any} view @param {any[]} found */
function offerTimelines(view, found) {
  const cameras = [...new Set(found.map((each) => each.camera))];
  const buttons = cameras.map((camera) => make("button", {
    type: "button",
    class: "show-lit",
    text: `Show on the timeline of ${camera}`,
    onclick: () => {
      lightUp(found);
      select(camera);
      lookAt(found.filter((each) => each.camera === camera));
      byId("timeline-title").scrollIntoView({ block: "nearest" });
    },
  }));
  if (buttons.length) view.entry.append(make("div", { class: "row" }, ...buttons));
}

/** @param {any} found */
function thumbnail(found) {
  const button = make("button", {
    type: "button",
    class: "moment",
    "aria-label": `${found.camera}, ${clock(found.start)}, read ${detail(found.level)}: open`,
    onclick: () => openEvidence(found.camera, found.chunk),
  });
  if (found.picture) {
    const image = make("img", { src: found.picture, alt: "" });
    image.addEventListener("error", () => image.remove()); // no longer kept
    button.append(image);
  }
  button.append(make("span", {}, `${found.camera} `, moment(found.start)));
  button.append(make("span", { text: `read ${detail(found.level)}` }));
  return button;
}
