// Small helpers for the page. Text only ever goes in as text, never as HTML.

/** @param {string} id */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, any>} [properties] `class`, `text`, `on...` and attributes
 * @param {...(Node|string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Object<string, any>} properties @param {...Node} children */
export function draw(tag, properties = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Make a list show these rows, and touch no row that stays: what has the focus keeps it.
 * @param {Element} list
 * @param {{key: string, make: () => HTMLElement}[]} rows in an order that rows keep
 */
export function patch(list, rows) {
  const keys = new Set(rows.map((row) => row.key));
  const kept = new Map();
  for (const child of /** @type {HTMLElement[]} */ ([...list.children])) {
    if (keys.has(child.dataset.key ?? "")) kept.set(child.dataset.key, child);
    else child.remove();
  }
  let next = list.firstElementChild;
  for (const row of rows) {
    const element = kept.get(row.key) ?? row.make();
    element.dataset.key = row.key;
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

const DAY_MS = 86_400_000;

/** A moment as the person's own clock shows it; with the day if that is not today. @param {string|number} time */
export function clock(time) {
  const moment = new Date(time);
  const told = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const isToday = Math.abs(Date.now() - moment.getTime()) < DAY_MS && moment.getDate() === new Date().getDate();
  return isToday ? told : `${moment.toLocaleDateString([], { day: "numeric", month: "short" })} ${told}`;
}

/** How long ago that was, in words. @param {string|null} time */
export function age(time) {
  if (!time) return "never";
  const seconds = Math.max(0, Math.round((Date.now() - new Date(time).getTime()) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return clock(time);
}

/** A time as an element: local to read, UTC for whoever points at it. @param {string} time */
export const moment = (time) => make("time", { datetime: time, title: time, text: clock(time) });
