// The live connection: what happens, as it happens; found again when it is lost.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const LOOK_MS = 20_000; // a connection can be dead without a word: a network that is gone
const PATIENCE_MS = 10_000;
const TYPES = ["camera", "chunk", "question", "answer", "alert", "watch", "lost"];

/**
 * @param {{heard: (type: string, data: any) => void, up: () => Promise<void>, down: () => void}} on
 */
export function follow(on) {
  let wait = FIRST_WAIT_MS;
  let source = /** @type {EventSource|null} */ (null);
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source?.close();
    const mine = new EventSource("/api/events");
    source = mine;
    source.onopen = () => on.up().then(() => { wait = FIRST_WAIT_MS; }, () => { if (mine === source) lose(); });
    source.onerror = lose; // its own way of trying again knows no back-off
    for (const type of TYPES) {
      source.addEventListener(type, (event) => on.heard(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
  }

  function lose() {
    source?.close();
    source = null;
    on.down();
    clearTimeout(timer);
    timer = setTimeout(open, wait * (0.5 + Math.random() / 2));
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }

  async function look() {
    const looked = source;
    if (!looked || document.hidden) return;
    const isThere = await fetch("/healthz", { signal: AbortSignal.timeout(PATIENCE_MS) }).then((r) => r.ok, () => false);
    if (!isThere && looked === source) lose();
  }

  setInterval(look, LOOK_MS);
  document.addEventListener("visibilitychange", look); // a phone that slept
  addEventListener("offline", lose);
  addEventListener("online", open);
  open();
  return { again: open, lose };
}
