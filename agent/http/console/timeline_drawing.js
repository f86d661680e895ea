// The picture of a timeline: higher is finer, dashed is not watched, a circle is an alert.

import { clock, draw } from "./dom.js";
import { detail, reason } from "./words.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const HEIGHT = 88;
const FLOOR = 60; // where bars stand
const TALL = /** @type {Record<string, number>} */ ({ low: 36, high: 24, summary: 14 });
const LIT_MORE = 8;
const MIN_WIDTH = 2; // of a bar, in pixels, so that it can be seen
const TICK_WIDTH = 90; // pixels that a label takes
const STEPS_MS = [1, 2, 5, 10, 15, 30, 120, 240, 480, 1440].map((minutes) => minutes * MINUTE_MS);

/**
 * @param {any} found as the API has a timeline
 * @param {any[]} lit evidence that is to stand out, also where chunks are too many to be told
 * @param {number} width in pixels
 */
export function drawTimeline(found, lit, width) {
  const [from, to] = [Date.parse(found.from), Date.parse(found.to)];
  const x = (/** @type {string} */ time) => ((Date.parse(time) - from) / (to - from)) * width;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": inWords(found) });
  svg.append(...axis(from, to, width));
  const names = new Set(lit.map((each) => each.chunk));
  const isBare = found.is_thinned || !found.chunks.length;
  for (const span of isBare ? found.watched : []) svg.append(bar("watched", span, x, width, TALL.high));
  for (const gap of found.gaps) {
    const told = `not watched, ${reason(gap.kind)}: ${clock(gap.start)} to ${clock(gap.end)}`;
    svg.append(titled(bar("gap", gap, x, width, TALL.high), told));
  }
  for (const chunk of found.chunks) if (!names.has(chunk.chunk)) svg.append(chunkBar(chunk, x, width, false));
  for (const each of lit) {
    if (Date.parse(each.end) > from && Date.parse(each.start) < to) svg.append(chunkBar(each, x, width, true));
  }
  for (const alert of found.alerts) {
    const mark = draw("circle", { class: "alert", cx: x(alert.time ?? alert.start), cy: 10, r: 5 });
    svg.append(titled(mark, `alert ${alert.name}, ${clock(alert.time ?? alert.start)}`));
  }
  return svg;
}

/** @param {any} found */
function inWords(found) {
  const counts = /** @type {Record<string, number>} */ ({ low: 0, high: 0, summary: 0 });
  for (const chunk of found.chunks) counts[chunk.level] += 1;
  const chunks = found.is_thinned
    ? "too many chunks to tell one by one"
    : `${counts.low} chunks fine, ${counts.high} coarse, ${counts.summary} in summaries`;
  return `${found.camera}, ${clock(found.from)} to ${clock(found.to)}: ${chunks}, ` +
    `${found.gaps.length} gaps, ${found.alerts.length} alerts`;
}

/** @param {any} chunk @param {(time: string) => number} x @param {number} width @param {boolean} isLit */
function chunkBar(chunk, x, width, isLit) {
  const tall = (TALL[chunk.level] ?? TALL.high) + (isLit ? LIT_MORE : 0);
  const box = bar(`chunk ${chunk.level}${isLit ? " lit" : ""}`, chunk, x, width, tall);
  box.dataset.chunk = chunk.chunk;
  const told = `${clock(chunk.start)} to ${clock(chunk.end)}, ${detail(chunk.level)}`;
  return titled(box, told + (isLit ? ", read for the answer" : ""));
}

/** @param {string} kind @param {any} span @param {(time: string) => number} x @param {number} width @param {number} height */
function bar(kind, span, x, width, height) {
  const left = Math.max(x(span.start), 0);
  const right = Math.min(x(span.end), width);
  return draw("rect", { class: kind, x: left, y: FLOOR - height, width: Math.max(right - left, MIN_WIDTH), height });
}

/** @param {SVGElement} element @param {string} text */
function titled(element, text) {
  element.append(draw("title", { text }));
  return element;
}

/** Lines and labels at round times of the person's own clock. @param {number} from @param {number} to @param {number} width */
function axis(from, to, width) {
  const least = ((to - from) * TICK_WIDTH) / width;
  const step = STEPS_MS.find((each) => each >= least) ?? 48 * HOUR_MS;
  const offset = new Date(from).getTimezoneOffset() * MINUTE_MS;
  const parts = [];
  for (let time = Math.ceil((from - offset) / step) * step + offset; time < to; time += step) {
    const at = ((time - from) / (to - from)) * width;
    parts.push(draw("line", { class: "axis", x1: at, x2: at, y1: 4, y2: 68 }));
    if (at + TICK_WIDTH * 0.75 < width) parts.push(draw("text", { x: at + 3, y: 82, text: label(time, to - from) }));
  }
  return parts;
}

/** @param {number} time @param {number} spanMs */
function label(time, spanMs) {
  const moment = new Date(time);
  return spanMs > 48 * HOUR_MS
    ? moment.toLocaleDateString([], { weekday: "short", day: "numeric" })
    : moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
