// The selected moment, which all parts of the page share; its address is #t=NANOSECONDS.

const moment = { ns: 0 };
const followers = [];

/** Call this with each new moment, and how it came about: `reveal` asks for it to be brought into view. */
function onMoment(follow) {
  followers.push(follow);
}

const tellMoment = eachFrame(() => {
  const reveal = moment.reveal;
  moment.reveal = false;
  for (const follow of followers) follow(moment.ns, reveal);
});

function setMoment(ns, { reveal = true, keep = true } = {}) {
  moment.ns = Math.round(Math.min(END, Math.max(0, ns)));
  moment.reveal ||= reveal;
  if (keep) rememberMoment();
  tellMoment();
}

// The address follows once the moment rests: browsers limit how often it may be written.
let remembering = 0;
function rememberMoment() {
  clearTimeout(remembering);
  remembering = setTimeout(() => history.replaceState(null, "", `#t=${moment.ns}`), 250);
}

function momentOfAddress() {
  const found = /^#t=(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) : null;
}

addEventListener("hashchange", () => {
  const ns = momentOfAddress();
  if (ns !== null) setMoment(ns, { keep: false });
});

/** A link to a moment: works by click, keyboard and as an address to hand on. */
function momentLink(ns, text = formatTime(ns)) {
  return make("a.moment", { href: `#t=${ns}`, click: (event) => {
    event.preventDefault();
    setMoment(ns);
    byId("timeline-card").scrollIntoView({ block: "nearest", behavior: calm() });
  } }, text);
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
}
