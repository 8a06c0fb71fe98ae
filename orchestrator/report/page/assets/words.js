// Numbers as people read them.

/** A moment, to the nanosecond. */
function formatTime(ns) {
  return `${(ns / 1e6).toFixed(6)} ms`;
}

/** A moment as the report has it, rounded to microseconds. */
function roughTime(ns) {
  return `${(ns / 1e6).toFixed(3)} ms`;
}

/** A length of time, in the largest unit that leaves no fraction of more than three digits. */
function formatLength(ns) {
  if (ns < 1000) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${trim(ns / 1e3)} µs`;
  if (ns < 1e9) return `${trim(ns / 1e6)} ms`;
  return `${trim(ns / 1e9)} s`;
}

function trim(number) {
  return String(Number(number.toFixed(3)));
}

function hex(number, digits = 8) {
  return `0x${number.toString(16).padStart(digits, "0")}`;
}

function address(number) {
  return number === null || number === undefined ? "no memory" : hex(number);
}

function counted(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}
