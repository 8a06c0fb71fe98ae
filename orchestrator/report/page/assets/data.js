// What the run left behind: the JSON of the page, its columns as typed arrays, and one order of all that happened.

const data = JSON.parse(document.getElementById("data").textContent);

/** Times are kept as differences; a column of them becomes absolute nanoseconds. */
function absolute(deltas) {
  const times = new Float64Array(deltas.length);
  let now = 0;
  for (let i = 0; i < deltas.length; i++) times[i] = now += deltas[i];
  return times;
}

/** The first index whose value is greater than `value`. */
function after(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first index whose value is `value` or greater. */
function atOrAfter(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Intervals by their begin: `reach[i]` is the latest end up to `i`, so that who reaches into a window is found. */
function intervals(begin, length) {
  const end = new Float64Array(begin.length);
  const reach = new Float64Array(begin.length);
  let latest = 0;
  for (let i = 0; i < begin.length; i++) {
    end[i] = begin[i] + Math.max(0, length[i]);
    reach[i] = latest = Math.max(latest, end[i]);
  }
  return { end, reach };
}

const CORES = data.cores;
const END = data.end_ns;
const states = data.states.map((each) => ({ t: absolute(each.t), s: Uint8Array.from(each.s) }));
const exceptions = data.exceptions.map((each) => {
  const t = absolute(each.t);
  return { t, ...intervals(t, each.d), d: each.d, n: each.n, k: Uint8Array.from(each.k) };
});
const notifications = (() => {
  const t = absolute(data.notifications.t);
  return { ...data.notifications, t, ...intervals(t, data.notifications.d) };
})();
const messages = { ...data.messages, t: absolute(data.messages.t) };
const tableWrites = { ...data.table, t: absolute(data.table.t) };
const rings = data.rings.map((each, index) => ({ ...each, index, t: absolute(each.t) }));
const faults = { ...data.faults, t: absolute(data.faults.t) };
const lines = { ...data.lines, t: absolute(data.lines.t) };
// Lines of which somebody knows when they came: those of a trace buffer, which is memory, have no time.
const timed = Uint32Array.from([...lines.known.keys()].filter((i) => lines.known[i]));
const timedTimes = Float64Array.from(timed, (i) => lines.t[i]);
const marks = data.marks;
const markTimes = Float64Array.from(marks, (each) => each.t);
const STATES = ["held", "running", "asleep", "locked up"];

const KIND = { state: 0, exception: 1, notification: 2, message: 3, table: 4, ring: 5, fault: 6, line: 7, mark: 8 };

/** Everything that happened, by time: its kind, where it stands in its column, and of which of several columns. */
const happenings = (() => {
  const parts = [
    ...states.map((each, core) => [KIND.state, each.t, core]),
    ...exceptions.map((each, core) => [KIND.exception, each.t, core]),
    [KIND.notification, notifications.t, 0],
    [KIND.message, messages.t, 0],
    [KIND.table, tableWrites.t, 0],
    ...rings.map((each, ring) => [KIND.ring, each.t, ring]),
    [KIND.fault, faults.t, 0],
    [KIND.line, timedTimes, 0],
    [KIND.mark, markTimes, 0],
  ];
  const count = parts.reduce((sum, [, t]) => sum + t.length, 0);
  const t = new Float64Array(count);
  const kind = new Uint8Array(count);
  const ref = new Uint32Array(count);
  const of = new Uint16Array(count);
  // Each part is in order: they are merged by their heads.
  const heads = parts.map(() => 0);
  for (let i = 0; i < count; i++) {
    let best = -1;
    for (let p = 0; p < parts.length; p++) {
      const times = parts[p][1];
      if (heads[p] < times.length && (best < 0 || times[heads[p]] < parts[best][1][heads[best]])) best = p;
    }
    const [what, times, whose] = parts[best];
    t[i] = times[heads[best]];
    kind[i] = what;
    ref[i] = heads[best]++;
    of[i] = whose;
  }
  return { t, kind, ref, of, length: count };
})();

/** The moments of the slider: the begin, each time at which anything happened, the end. */
const moments = (() => {
  const distinct = [0];
  for (const t of happenings.t) if (t > distinct[distinct.length - 1] && t <= END) distinct.push(t);
  if (END > distinct[distinct.length - 1]) distinct.push(END);
  return Float64Array.from(distinct);
})();

/** A core as people name it: its role where it has one. */
function coreName(index) {
  return index < 0 ? "nobody known" : CORES[index].role || CORES[index].name;
}

/** What happened, in words: `i` is where it stands in its column, `core` whose column that is (or which ring's). */
function describe({ kind, i, of: core }) {
  switch (kind) {
    case KIND.state:
      return { who: core, what: STATES[states[core].s[i]] };
    case KIND.exception: {
      const each = exceptions[core];
      const took = each.d[i] < 0 ? "to the end" : `for ${formatLength(each.d[i])}`;
      return { who: core, what: `in ${data.names[each.n[i]]} ${took}` };
    }
    case KIND.notification: {
      const { d, from, to, n, ignored } = notifications;
      const how = ignored[i] ? "not enabled there" : d[i] < 0 ? "not taken" : `taken after ${formatLength(d[i])}`;
      return { who: from[i], what: `notifies ${coreName(to[i])}: ${data.names[n[i]]}, ${how}`, bad: ignored[i] };
    }
    case KIND.message:
      return { who: messages.from[i], what: messageText(i) };
    case KIND.table: {
      const { who, n, before, after: now, place } = tableWrites;
      const from = before[i] === null ? "" : `${before[i]} → `;
      return { who: who[i], what: `writes ${data.names[n[i]]}: ${from}${now[i]}`, place: placeText(place[i]) };
    }
    case KIND.ring: {
      const ring = rings[core];
      const { what, text } = partAt(ring, i);
      return { who: ring.who[i], what: `writes ${ring.path} ${what}${text}`, place: placeText(ring.place[i]) };
    }
    case KIND.fault:
      return { who: faults.who[i], what: data.names[faults.n[i]], place: placeText(faults.place[i]), bad: true };
    case KIND.line: {
      const console = lines.c[timed[i]];
      const who = data.console_cores[console];
      return { who, what: `${who < 0 ? data.consoles[console] : "prints"}: ${lines.x[timed[i]]}` };
    }
    default:
      return { who: -2, what: marks[i].text, bad: marks[i].kind === "finding" };
  }
}

function placeText(index) {
  return index < 0 ? "" : data.names[index];
}

function messageText(i) {
  const name = messages.text[i] < 0 ? "" : data.names[messages.text[i]];
  if (name) return `name service: ${name}`;
  return `message ${messages.src[i]} → ${messages.dst[i]}, ${counted(messages.len[i], "byte")}`;
}
