// A moment that an answer rests on, opened as a picture or a film.

import { getJson } from "./api.js";
import { byId, make, moment } from "./dom.js";

const dialog = byId("evidence");
let opened = 0; // what comes late must not take the place of what was opened after it

/** @param {string} camera @param {string} chunk */
export async function openEvidence(camera, chunk) {
  const view = byId("evidence-view");
  opened += 1;
  const mine = opened;
  byId("evidence-title").textContent = camera;
  view.replaceChildren(make("p", { text: "one moment" }));
  dialog.showModal();
  try {
    const found = await getJson(`/api/evidence/${camera}/${chunk}`);
    if (mine !== opened) return;
    byId("evidence-title").replaceChildren(`${camera}, `, moment(found.start), " to ", moment(found.end));
    view.replaceChildren(...shown(found));
  } catch (error) {
    if (mine !== opened) return;
    view.replaceChildren(make("p", { role: "alert", text: error.message }));
  }
}

/** @param {any} found @returns {Node[]} */
function shown(found) {
  const parts = [];
  if (found.picture) {
    parts.push(make("img", { src: found.picture, alt: `What ${found.camera} showed` }));
  }
  if (found.film) {
    const film = make("video", { src: found.film, controls: true, preload: "metadata" });
    film.addEventListener("loadedmetadata", () => { film.currentTime = found.film_offset_s ?? 0; }, { once: true });
    parts.push(film);
  }
  return parts.length ? parts : [make("p", { text: "The picture is no longer kept; what was understood of it is." })];
}

dialog.addEventListener("close", () => {
  opened += 1;
  byId("evidence-view").replaceChildren(); // a film stops
});
