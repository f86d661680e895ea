// What the console asks of the agent. Everything is same-origin JSON.

export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Called when a token is needed; set by main.js. */
export const needs = { login: () => {} };

/**
 * @param {string} path
 * @param {RequestInit & {json?: unknown}} [options]
 * @returns {Promise<Response>}
 */
export async function request(path, options = {}) {
  const { json, ...rest } = options;
  if (json !== undefined) {
    rest.body = JSON.stringify(json);
    rest.method ??= "POST";
  }
  const headers = rest.method && rest.method !== "GET" ? { "Content-Type": "application/json" } : {};
  const response = await fetch(path, { ...rest, headers });
  if (response.ok) return response;
  if (response.status === 401 && path !== "/api/login") needs.login();
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? {};
  throw new ApiError(response.status, error.code ?? "failed", error.message ?? `HTTP ${response.status}`);
}

/** @param {string} path @param {RequestInit & {json?: unknown}} [options] @returns {Promise<any>} */
export const getJson = async (path, options) => (await request(path, options)).json();

/**
 * Read server-sent events from a response, to its end.
 * @param {Response} response
 * @returns {AsyncGenerator<{type: string, data: any}>}
 */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const blocks = rest.replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
      const data = fields.filter((f) => f[1] === "data").map((f) => f[2]).join("\n");
      if (data) yield { type: fields.find((f) => f[1] === "event")?.[2] ?? "message", data: JSON.parse(data) };
    }
    if (done) return;
  }
}

/** An id that a question can be called off by; also where crypto is not, off HTTPS. */
export const newId = () => Array.from({ length: 4 }, () => Math.random().toString(36).slice(2, 8)).join("");
