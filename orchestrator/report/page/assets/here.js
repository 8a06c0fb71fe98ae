// What happens around the selected moment, in words.

const AROUND = { before: 5, after: 8 };

function makeHere() {
  const host = byId("here");
  onMoment(draw);
  draw(moment.ns);

  function draw(ns) {
    const last = after(happenings.t, ns) - 1;
    const from = Math.max(0, Math.min(atOrAfter(happenings.t, ns), last) - AROUND.before);
    const to = Math.min(happenings.length, Math.max(last, 0) + AROUND.after);
    const rows = [];
    for (let i = from; i < to; i++) {
      const words = describe(happening(i));
      const t = happenings.t[i];
      const isNow = t === ns;
      rows.push(make(`li${isNow ? ".now" : ""}${words.bad ? ".bad" : ""}`, isNow ? { "aria-current": "true" } : {},
        momentLink(t),
        make(`span.here-core${words.who >= 0 ? `.core${Math.min(words.who, 2)}` : ""}`, {}, words.who >= 0 ? coreName(words.who) : ""),
        make("span.here-what", {}, words.what, words.place ? make("span.here-place", {}, ` ${words.place}`) : "")));
    }
    host.replaceChildren(...rows);
  }
}

function happening(i) {
  return { kind: happenings.kind[i], i: happenings.ref[i], of: happenings.of[i] };
}
