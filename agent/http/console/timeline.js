// What is remembered of a camera: which part of it is shown, and what is opened from it.

import { getJson } from "./api.js";
import { byId } from "./dom.js";
import { openEvidence } from "./evidence.js";
import { drawTimeline } from "./timeline_drawing.js";
import { listTimeline } from "./timeline_list.js";

const HOUR_MS = 3_600_000;
const SOON_MS = 1500; // many chunks in a row are one reload
const REFRESH_MS = 15_000;
const REACH = 16; // pixels that a finger may be beside a chunk

/** @typedef {{camera: string, chunk: string, start: string, end: string, level: string}} Evidence */

let camera = "";
let spanMs = HOUR_MS;
let endMs = /** @type {number|null} */ (null); // null: now, and it follows
let timer = 0;
let asked = 0; // an answer that comes late must not hide a newer one
let shown = /** @type {any} */ (null);
let lit = /** @type {Evidence[]} */ ([]);

const zooms = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-hours]")]);
const spanOf = (/** @type {HTMLElement} */ button) => Number(button.dataset.hours) * HOUR_MS;

export function startTimeline() {
  for (const button of zooms()) button.addEventListener("click", () => zoom(spanOf(button)));
  byId("earlier").addEventListener("click", () => move((endMs ?? Date.now()) - spanMs / 2));
  byId("later").addEventListener("click", () => move((endMs ?? Date.now()) + spanMs / 2));
  byId("now").addEventListener("click", () => move(Infinity));
  byId("timeline").addEventListener("click", open);
  setInterval(() => endMs ?? load(), REFRESH_MS);
  addEventListener("resize", () => shown && show());
}

/** @param {string} name */
export function showTimelineOf(name) {
  camera = name;
  byId("timeline-camera").textContent = name || "no camera";
  load();
}

/** Load it soon: something new is remembered. @param {string} name */
export function refreshTimeline(name) {
  if (name !== camera || timer || endMs !== null) return;
  const wait = Math.min(Math.max(SOON_MS, spanMs / 1000), REFRESH_MS); // sooner shows nothing
  timer = setTimeout(() => { timer = 0; load(); }, wait);
}

/** Light up the chunks that an answer re-loaded. @param {Evidence[]} evidence */
export function lightUp(evidence) {
  lit = evidence.filter((found) => found.level === "low");
  if (shown) show();
}

/** Show the time of these chunks, as near as they fit. @param {Evidence[]} evidence */
export function lookAt(evidence) {
  const first = Math.min(...evidence.map((found) => Date.parse(found.start)));
  const last = Math.max(...evidence.map((found) => Date.parse(found.end)));
  if (first < Date.now() - spanMs || endMs !== null) {
    const spans = zooms().map(spanOf);
    spanMs = spans.find((span) => span >= spanMs && span > last - first) ?? spans[spans.length - 1];
    endMs = (first + last + spanMs) / 2;
  }
  move(endMs ?? Infinity);
}

/** @param {number} span */
function zoom(span) {
  if (endMs !== null) endMs += (span - spanMs) / 2; // about the middle
  spanMs = span;
  move(endMs ?? Infinity);
}

/** @param {number} end */
function move(end) {
  endMs = end < Date.now() ? end : null;
  for (const each of zooms()) each.setAttribute("aria-pressed", String(Math.abs(spanOf(each) - spanMs) < 1000));
  byId("now").setAttribute("aria-pressed", String(endMs === null));
  byId("later").disabled = endMs === null;
  load();
}

async function load() {
  if (!camera) return;
  asked += 1;
  const mine = asked;
  const to = (endMs ?? Date.now()) / 1000;
  const query = new URLSearchParams({ camera, from: String(to - spanMs / 1000), to: String(to) });
  try {
    const found = await getJson(`/api/timeline?${query}`);
    if (mine !== asked) return;
    shown = found;
    show();
  } catch {
    // the connection tells that it is lost, and it is loaded anew when it is back
  }
}

function show() {
  const width = Math.max(byId("timeline").clientWidth, 100);
  const ofCamera = lit.filter((found) => found.camera === shown.camera);
  byId("timeline").replaceChildren(drawTimeline(shown, ofCamera, width));
  listTimeline(shown, byId("timeline-list"));
}

/** Open what is at a place, or go nearer where chunks are too many to be told apart. @param {MouseEvent} event */
function open(event) {
  if (!shown) return;
  const box = byId("timeline").getBoundingClientRect();
  const [from, to] = [Date.parse(shown.from), Date.parse(shown.to)];
  const perPixel = (to - from) / box.width;
  const at = from + (event.clientX - box.left) * perPixel;
  const ofCamera = lit.filter((found) => found.camera === shown.camera);
  const near = nearest([...shown.chunks, ...ofCamera], at, REACH * perPixel);
  if (near) openEvidence(shown.camera, near.chunk);
  else if (shown.is_thinned) {
    spanMs = Math.max(...zooms().map(spanOf).filter((span) => span < spanMs), spanOf(zooms()[0]));
    move(at + spanMs / 2);
  }
}

/** @param {{chunk: string, start: string, end: string}[]} chunks @param {number} at @param {number} reach */
function nearest(chunks, at, reach) {
  const far = (/** @type {any} */ c) => Math.max(Date.parse(c.start) - at, at - Date.parse(c.end), 0);
  let best = null;
  for (const chunk of chunks) if (far(chunk) <= (best ? far(best) : reach)) best = chunk;
  return best;
}
