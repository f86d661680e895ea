// A timeline as a list, for who can't see or point: newest first.

import { clock, make, patch } from "./dom.js";
import { openEvidence } from "./evidence.js";
import { detail, reason } from "./words.js";

const LISTED = 60; // chunks

/** @param {any} found as the API has a timeline @param {Element} list */
export function listTimeline(found, list) {
  const chunks = found.chunks.slice(-LISTED);
  const rows = [
    ...found.gaps.map(gapRow),
    ...chunks.map((/** @type {any} */ chunk) => chunkRow(found.camera, chunk)),
    ...found.alerts.map((/** @type {any} */ alert) => alertRow(alert)),
    ...(chunks.length ? [] : found.watched.map(watchedRow)),
  ];
  rows.sort((one, other) => (one.start < other.start ? 1 : -1));
  const left = found.chunks.length - chunks.length;
  if (left) rows.push(told(`and ${left} chunks before these`));
  if (found.is_thinned) rows.push(told("Chunks are told one by one in a shorter time"));
  if (!rows.length) rows.push(told("Nothing is remembered of this time"));
  patch(list, rows);
}

/** @param {string} text */
const told = (text) => ({ start: "", key: text, make: () => make("li", { text }) });

/** @param {any} gap */
function gapRow(gap) {
  const text = `${clock(gap.start)} to ${clock(gap.end)}: not watched, ${reason(gap.kind)}`;
  return { start: gap.start, key: text, make: () => make("li", { text }) };
}

/** @param {any} span */
function watchedRow(span) {
  const text = `${clock(span.start)} to ${clock(span.end)}: watched`;
  return { start: span.start, key: text, make: () => make("li", { text }) };
}

/** @param {string} camera @param {any} chunk */
function chunkRow(camera, chunk) {
  const text = `${clock(chunk.start)} to ${clock(chunk.end)}: ${detail(chunk.level)}`;
  return {
    start: chunk.start,
    key: `${camera} ${chunk.chunk} ${text}`,
    make: () => make("li", {}, make("button", { type: "button", text, onclick: () => openEvidence(camera, chunk.chunk) })),
  };
}

/** @param {any} alert */
function alertRow(alert) {
  const start = alert.time ?? alert.start;
  const text = `${clock(start)}: alert ${alert.name}`;
  const chunk = alert.evidence?.[0]?.chunk;
  const open = () => openEvidence(alert.camera, chunk);
  return {
    start,
    key: `${alert.camera} ${text} ${start}`,
    make: () => make("li", {}, chunk ? make("button", { type: "button", text, onclick: open }) : text),
  };
}
