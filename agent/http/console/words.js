// What the API's codes are called for people.

/** Why a time was not watched. @type {Record<string, string>} */
const REASONS = {
  offline: "offline",
  stalled: "frozen",
  dropped: "the model was behind",
  paused: "paused",
  not_started: "the agent was off",
  not_watched: "not known why",
};

/** In what detail a chunk is remembered. @type {Record<string, string>} */
const DETAILS = { low: "fine", high: "coarse", summary: "in a summary" };

/** How an answer was come by, where there is something to say. @type {Record<string, string>} */
export const STATUS = {
  partial: "Answered from less than was asked for",
  unsure: "Not sure",
  no_coverage: "Nothing was watched then",
  error: "Not answered",
};

/** @param {string} kind */
export const reason = (kind) => REASONS[kind] ?? kind;

/** @param {string} level */
export const detail = (level) => DETAILS[level] ?? level;
