// A moment that an answer rests on, opened as a picture or a film.

import { getJson } from "./api.js";
import { byId, make, moment } from "./dom.js";

const dialog = byId("evidence");

/** @param {string} camera @param {string} chunk */
export async function openEvidence(camera, chunk) {
  const view = byId("evidence-view");
  view.replaceChildren(make("p", { text: "one moment" }));
  dialog.showModal();
  try {
    const found = await getJson(`/api/evidence/${camera}/${chunk}`);
    byId("evidence-title").replaceChildren(`${camera}, `, moment(found.start), " to ", moment(found.end));
    view.replaceChildren(...shown(found));
  } catch (error) {
    byId("evidence-title").textContent = camera;
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

dialog.addEventListener("close", () => byId("evidence-view").replaceChildren());
