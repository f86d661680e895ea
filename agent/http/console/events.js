// The live connection: what happens, as it happens; found again when it is lost.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const TYPES = ["camera", "chunk", "question", "answer", "alert", "watch", "lost"];

/**
 * @param {{heard: (type: string, data: any) => void, up: () => void, down: () => void}} on
 */
export function follow(on) {
  let wait = FIRST_WAIT_MS;
  let source = /** @type {EventSource|null} */ (null);
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/events");
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      on.up();
    };
    source.onerror = () => {
      source?.close(); // its own way of trying again knows no back-off
      on.down();
      timer = setTimeout(open, wait * (0.5 + Math.random() / 2));
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    };
    for (const type of TYPES) {
      source.addEventListener(type, (event) => on.heard(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
  }

  open();
  return { again: open };
}
