// The cameras: how each is, and the last that it showed.

import { getJson } from "./api.js";
import { age, byId, make, patch } from "./dom.js";

const AGE_MS = 5000;
const REFRESH_MS = 20_000; // events tell of states and chunks, not of each frame

/** @type {Map<string, any>} */
const cameras = new Map();
let can = { ask: false, watch: false, pause: false };
let chosen = "";
let choose = (/** @type {string} */ _name) => {};

/** @param {(name: string) => void} onChosen */
export function startCameras(onChosen) {
  choose = onChosen;
  setInterval(() => { for (const name of cameras.keys()) update(name); }, AGE_MS);
  setInterval(() => { if (!document.hidden) loadFacts().catch(() => {}); }, REFRESH_MS);
}

/** Ask for all of them anew. @returns {Promise<any>} */
export async function loadCameras() {
  const found = await loadFacts();
  for (const name of cameras.keys()) if (cameras.get(name).facts.last_chunk) showPicture(name);
  select(cameras.has(chosen) ? chosen : found.cameras[0]?.name ?? "");
  return found;
}

/** How they are; their cards stay where they are. @returns {Promise<any>} */
async function loadFacts() {
  const found = await getJson("/api/cameras");
  can = found.can;
  const names = new Set(found.cameras.map((/** @type {any} */ camera) => camera.name));
  for (const name of cameras.keys()) if (!names.has(name)) cameras.delete(name);
  patch(byId("cameras"), found.cameras.map((/** @type {any} */ facts) => ({ key: facts.name, make: () => card(facts) })));
  for (const facts of found.cameras) {
    cameras.get(facts.name).facts = facts;
    update(facts.name);
  }
  return found;
}

/** @param {string} type @param {any} data */
export function hearOfCamera(type, data) {
  const name = type === "chunk" ? data.camera : data.name;
  const known = cameras.get(name);
  if (!known) return;
  if (type === "chunk") {
    known.facts.chunks += 1;
    if (!(known.facts.last_frame > data.end)) known.facts.last_frame = data.end;
    known.facts.last_chunk = data.chunk;
    showPicture(name);
  } else {
    Object.assign(known.facts, data);
  }
  update(name);
}

/** @param {any} facts */
function card(facts) {
  const { name } = facts;
  const parts = {
    facts,
    pictures: 0,
    picture: make("div", { class: "no-picture", text: "no picture yet" }),
    state: make("span", { class: "state" }),
    told: make("div"),
    error: make("div", { class: "error" }),
    pause: make("button", { type: "button", onclick: () => pause(name) }),
    card: make("li", { class: "camera", "data-camera": name }),
  };
  parts.card.append(
    parts.picture,
    make("div", { class: "facts" }, make("strong", { text: name }), " ", parts.state, parts.told, parts.error),
    make("div", { class: "buttons" },
      make("button", { type: "button", text: "Timeline", "aria-label": `Timeline of ${name}`, onclick: () => select(name) }),
      parts.pause),
  );
  cameras.set(name, parts);
  return parts.card;
}

/** @param {string} name */
function update(name) {
  const { facts, state, told, error, pause: button } = cameras.get(name);
  state.textContent = facts.state;
  state.className = `state ${facts.state}`;
  const words = [`last frame ${age(facts.last_frame)}`, `${facts.chunks} chunks`];
  if (facts.dropped) words.push(`${facts.dropped} dropped`);
  told.textContent = words.join(", ");
  error.textContent = facts.error ?? "";
  button.textContent = facts.state === "paused" ? "Resume" : "Pause";
  button.setAttribute("aria-label", `${button.textContent} ${name}`);
  button.disabled = facts.state === "ended";
  button.hidden = !can.pause;
}

/** @param {string} name */
function showPicture(name) {
  const parts = cameras.get(name);
  parts.pictures += 1;
  const mine = parts.pictures;
  const image = make("img", { alt: `The last that ${name} showed` });
  image.addEventListener("load", () => {
    if (mine !== parts.pictures) return; // a newer one comes
    parts.picture.replaceWith(image);
    parts.picture = image;
  });
  image.src = `/api/cameras/${name}/picture?${parts.facts.last_chunk}`;
}

/** @param {string} name */
async function pause(name) {
  const parts = cameras.get(name);
  const watching = parts.facts.state === "paused";
  try {
    await getJson(`/api/cameras/${name}/watching`, { json: { watching } });
    parts.facts.state = watching ? "starting" : "paused";
  } catch (error) {
    parts.facts.error = error.message;
  }
  update(name);
}

/** @param {string} name */
export function select(name) {
  chosen = name;
  for (const [each, parts] of cameras) parts.card.classList.toggle("chosen", each === name);
  choose(name);
}
