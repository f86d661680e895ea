// The console: loads what there is, then follows what happens.

import { getJson, needs } from "./api.js";
import { allowAsking, offerCameras, startAsking } from "./ask.js";
import { hearOfCamera, loadCameras, startCameras } from "./cameras.js";
import { byId } from "./dom.js";
import { follow } from "./events.js";
import { refreshTimeline, showTimelineOf, startTimeline } from "./timeline.js";
import { hearAlert, loadWatches, reload as reloadWatches, startWatches } from "./watches.js";

const connection = byId("connection");
const login = byId("login");

/** @param {string} text @param {boolean} isLost */
function tell(text, isLost) {
  if (connection.textContent === text) return;
  connection.textContent = text;
  connection.classList.toggle("lost", isLost);
}

async function load() {
  const found = await loadCameras();
  const names = found.cameras.map((/** @type {any} */ camera) => camera.name);
  offerCameras(names);
  allowAsking(found.can.ask);
  await loadWatches(names, found.can.watch);
  tell(`connected, model ${found.model}`, false);
}

/** @param {string} type @param {any} data */
function heard(type, data) {
  if (type === "camera" || type === "chunk") hearOfCamera(type, data);
  if (type === "chunk") refreshTimeline(data.camera);
  if (type === "alert") {
    hearAlert(data);
    refreshTimeline(data.camera);
  }
  if (type === "alert" || type === "watch") reloadWatches().catch(() => {});
  if (type === "lost") load().catch(live.lose);
}

byId("logout").hidden = !localStorage.getItem("logged-in"); // the cookie itself can't be seen
startCameras(showTimelineOf);
startTimeline();
startAsking();
startWatches();

const live = follow({
  heard,
  up: load,
  down: () => {
    if (login.open) return;
    tell("connection lost, trying again", true);
    getJson("/api/health").catch(() => {}); // tells whether a token is what is missing
  },
});

needs.login = () => {
  tell("a token is needed", false);
  if (!login.open) login.showModal();
};

byId("login-form").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  byId("login-error").textContent = "";
  try {
    await getJson("/api/login", { json: { token: byId("token").value } });
    byId("token").value = "";
    login.close();
    localStorage.setItem("logged-in", "yes");
    byId("logout").hidden = false;
    live.again();
  } catch (error) {
    byId("login-error").textContent = error.message;
  }
});

byId("logout").addEventListener("click", async () => {
  await getJson("/api/logout", { json: {} }).catch(() => {});
  localStorage.removeItem("logged-in");
  location.reload();
});
