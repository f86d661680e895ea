// What is remembered of a camera: in what detail, with which gaps, and what lit up.

import { getJson } from "./api.js";
import { byId, clock, draw, make } from "./dom.js";
import { openEvidence } from "./evidence.js";

const HOUR_MS = 3_600_000;
const SOON_MS = 1500; // many chunks in a row are one reload
const REFRESH_MS = 15_000;
const HEIGHT = 88;
const MIN_WIDTH = 2; // of a chunk, in pixels, so that it can be seen
const LISTED = 60;
const TICK_WIDTH = 90; // pixels that a label takes
const STEPS_MS = [HOUR_MS / 60, HOUR_MS / 30, HOUR_MS / 12, HOUR_MS / 6, HOUR_MS / 4, HOUR_MS / 2, 2 * HOUR_MS, 4 * HOUR_MS, 8 * HOUR_MS, 24 * HOUR_MS];

let camera = "";
let hours = 1;
let timer = 0;
let shown = /** @type {any} */ (null);
/** @type {Set<string>} */
let lit = new Set();

export function startTimeline() {
  for (const button of document.querySelectorAll("[data-hours]")) {
    button.addEventListener("click", () => {
      hours = Number(/** @type {HTMLElement} */ (button).dataset.hours);
      for (const each of document.querySelectorAll("[data-hours]")) {
        each.setAttribute("aria-pressed", String(each === button));
      }
      loadTimeline();
    });
  }
  setInterval(loadTimeline, REFRESH_MS);
  addEventListener("resize", () => shown && show(shown));
}

/** @param {string} name */
export function showTimelineOf(name) {
  camera = name;
  byId("timeline-camera").textContent = name || "no camera";
  loadTimeline();
}

/** Load it soon: something new is remembered. @param {string} name */
export function refreshTimeline(name) {
  if (name !== camera || timer) return;
  timer = setTimeout(() => { timer = 0; loadTimeline(); }, SOON_MS);
}

/** Light up the chunks that an answer re-loaded. @param {any[]} evidence */
export function lightUp(evidence) {
  lit = new Set(evidence.filter((e) => e.level === "low").map((e) => `${e.camera}/${e.chunk}`));
  if (shown) show(shown);
}

export async function loadTimeline() {
  if (!camera) return;
  const to = Date.now() / 1000;
  const from = to - hours * 3600;
  try {
    const found = await getJson(`/api/timeline?camera=${camera}&from=${from}&to=${to}`);
    if (found.camera === camera) show(found);
  } catch {
    // the connection tells that it is lost, and it is loaded anew when it is back
  }
}

/** @param {any} found */
function show(found) {
  shown = found;
  const width = Math.max(byId("timeline").clientWidth, 100);
  const [from, to] = [new Date(found.from).getTime(), new Date(found.to).getTime()];
  const x = (/** @type {string|number} */ time) => ((new Date(time).getTime() - from) / (to - from)) * width;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
  svg.setAttribute("aria-label", inWords(found));
  for (const time of ticks(from, to, width)) {
    svg.append(
      draw("line", { class: "axis", x1: x(time), x2: x(time), y1: 8, y2: 68 }),
      draw("text", { x: Math.min(x(time) + 3, width - 40), y: 82, text: label(time) }),
    );
  }
  const whole = found.is_thinned || !found.chunks.length ? found.watched : [];
  for (const span of whole) svg.append(bar("watched", span, x, 24, 36));
  for (const gap of found.gaps) {
    const box = bar("gap", gap, x, 30, 24);
    box.append(draw("title", { text: `${gap.kind}: ${clock(gap.start)} to ${clock(gap.end)}` }));
    svg.append(box);
  }
  for (const chunk of found.chunks) svg.append(bar2(found.camera, chunk, x));
  for (const alert of found.alerts) {
    const mark = draw("circle", { class: "alert", cx: x(alert.time ?? alert.start), cy: 12, r: 5 });
    mark.append(draw("title", { text: `${alert.name}, ${clock(alert.time ?? alert.start)}` }));
    svg.append(mark);
  }
  byId("timeline").replaceChildren(svg);
  list(found);
}

/** @param {string} kind @param {any} span @param {(time: any) => number} x @param {number} y @param {number} height */
function bar(kind, span, x, y, height) {
  const left = Math.max(x(span.start), 0);
  return draw("rect", { class: kind, x: left, y, width: Math.max(x(span.end) - left, MIN_WIDTH), height });
}

/** @param {string} name @param {any} chunk @param {(time: any) => number} x */
function bar2(name, chunk, x) {
  const isLit = lit.has(`${name}/${chunk.chunk}`);
  const height = { low: 36, high: 24, summary: 14 }[/** @type {string} */ (chunk.level)] ?? 24;
  const box = bar(`chunk ${chunk.level}${isLit ? " lit" : ""}`, chunk, x, 60 - height - (isLit ? 6 : 0), height + (isLit ? 6 : 0));
  box.dataset.chunk = chunk.chunk;
  box.append(draw("title", { text: `${clock(chunk.start)} to ${clock(chunk.end)}` }));
  box.addEventListener("click", () => openEvidence(name, chunk.chunk));
  return box;
}

/** @param {number} from @param {number} to @param {number} width */
function ticks(from, to, width) {
  const least = ((to - from) * TICK_WIDTH) / width;
  const step = STEPS_MS.find((each) => each >= least) ?? 48 * HOUR_MS;
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - offset) / step) * step + offset;
  return Array.from({ length: Math.max(0, Math.ceil((to - first) / step)) }, (_, i) => first + i * step);
}

/** @param {number} time */
function label(time) {
  const moment = new Date(time);
  return hours > 48
    ? moment.toLocaleDateString([], { weekday: "short", day: "numeric" })
    : moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** @param {any} found */
function inWords(found) {
  const counts = { low: 0, high: 0, summary: 0 };
  for (const chunk of found.chunks) counts[/** @type {"low"} */ (chunk.level)] += 1;
  return `${found.camera}, ${clock(found.from)} to ${clock(found.to)}: ${counts.low} chunks fine, ` +
    `${counts.high} coarse, ${counts.summary} in summaries, ${found.gaps.length} gaps, ${found.alerts.length} alerts`;
}

/** The same for who can't see or point. @param {any} found */
function list(found) {
  const rows = [
    ...found.gaps.map((/** @type {any} */ gap) => ({ start: gap.start, node: make("li", { text: `${clock(gap.start)} to ${clock(gap.end)}: not watched, ${gap.kind}` }) })),
    ...found.chunks.slice(-LISTED).map((/** @type {any} */ chunk) => ({
      start: chunk.start,
      node: make("li", {}, make("button", {
        type: "button",
        text: `${clock(chunk.start)} to ${clock(chunk.end)}, ${chunk.level}`,
        onclick: () => openEvidence(found.camera, chunk.chunk),
      })),
    })),
    ...found.alerts.map((/** @type {any} */ alert) => ({ start: alert.time ?? alert.start, node: make("li", { text: `${clock(alert.time ?? alert.start)}: alert ${alert.name}` }) })),
  ];
  rows.sort((a, b) => (a.start < b.start ? 1 : -1));
  byId("timeline-list").replaceChildren(...rows.map((row) => row.node));
}
