// The cameras: how each is, and the last that it showed.

import { getJson } from "./api.js";
import { age, byId, make } from "./dom.js";

const REFRESH_MS = 5000;

/** @type {Map<string, any>} */
const cameras = new Map();
let can = { pause: false };
let chosen = "";
let choose = (_name) => {};

/** @param {(name: string) => void} onChosen */
export function startCameras(onChosen) {
  choose = onChosen;
  setInterval(() => { for (const name of cameras.keys()) update(name); }, REFRESH_MS);
}

/** Ask for all of them anew. @returns {Promise<any>} */
export async function loadCameras() {
  const found = await getJson("/api/cameras");
  can = found.can;
  const list = byId("cameras");
  cameras.clear();
  list.replaceChildren(...found.cameras.map(card));
  for (const camera of found.cameras) update(camera.name);
  if (!cameras.has(chosen)) select(found.cameras[0]?.name ?? "");
  else select(chosen);
  return found;
}

/** @param {string} type @param {any} data */
export function hearOfCamera(type, data) {
  const name = type === "chunk" ? data.camera : data.name;
  const known = cameras.get(name);
  if (!known) return;
  if (type === "chunk") {
    known.facts.chunks += 1;
    known.facts.last_frame = data.end;
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
    picture: make("div", { class: "no-picture", text: "no picture yet" }),
    state: make("span", { class: "state" }),
    told: make("div"),
    pause: make("button", { type: "button", onclick: () => pause(name) }),
    card: make("li", { class: "camera", "data-camera": name }),
  };
  parts.card.append(
    parts.picture,
    make("div", { class: "facts" }, make("strong", { text: name }), " ", parts.state, parts.told),
    make("div", { class: "buttons" },
      make("button", { type: "button", text: "Timeline", "aria-label": `Timeline of ${name}`, onclick: () => select(name) }),
      ...(can.pause ? [parts.pause] : [])),
  );
  cameras.set(name, parts);
  if (facts.last_chunk) showPicture(name);
  return parts.card;
}

/** @param {string} name */
function update(name) {
  const { facts, state, told, pause: button } = cameras.get(name);
  state.textContent = facts.state;
  state.className = `state ${facts.state}`;
  const words = [`last frame ${age(facts.last_frame)}`, `${facts.chunks} chunks`];
  if (facts.dropped) words.push(`${facts.dropped} dropped`);
  told.textContent = words.join(", ") + (facts.error ? `. ${facts.error}` : "");
  button.textContent = facts.state === "paused" ? "Resume" : "Pause";
  button.setAttribute("aria-label", `${button.textContent} ${name}`);
  button.disabled = facts.state === "ended";
}

/** @param {string} name */
function showPicture(name) {
  const parts = cameras.get(name);
  const image = make("img", { alt: `The last that ${name} showed` });
  image.addEventListener("load", () => { parts.picture.replaceWith(image); parts.picture = image; });
  image.src = `/api/cameras/${name}/picture?${parts.facts.last_chunk}`;
}

/** @param {string} name */
async function pause(name) {
  const parts = cameras.get(name);
  const watching = parts.facts.state === "paused";
  parts.pause.disabled = true;
  try {
    await getJson(`/api/cameras/${name}/watching`, { json: { watching } });
    parts.facts.state = watching ? "starting" : "paused";
  } catch (error) {
    parts.facts.error = error.message;
  }
  update(name);
}

/** @param {string} name */
function select(name) {
  chosen = name;
  for (const [each, parts] of cameras) parts.card.classList.toggle("chosen", each === name);
  choose(name);
}
