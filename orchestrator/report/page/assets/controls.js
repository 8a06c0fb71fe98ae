// The bar at the foot (a slider over all moments, steps), the theme, the keys.

function makeControls({ timeline, consoles, repaint }) {
  const slider = byId("slider");
  slider.max = String(moments.length - 1);
  slider.addEventListener("input", () => setMoment(moments[Number(slider.value)]));

  // Times at which a ring changed, each once.
  const ringTimes = (() => {
    const all = Float64Array.from(rings.flatMap((ring) => [...ring.t, ...ring.shapes.map((shape) => shape.since)])).sort();
    return all.filter((t, i) => i === 0 || t !== all[i - 1]);
  })();
  const findingTimes = Float64Array.from(new Set(marks.filter((each) => each.kind === "finding").map((each) => each.t))).sort();

  function step(times, by) {
    if (!times.length) return;
    const i = by > 0 ? after(times, moment.ns) : atOrAfter(times, moment.ns) - 1;
    if (i >= 0 && i < times.length) setMoment(times[i]);
  }

  const acts = {
    first: () => setMoment(0),
    last: () => setMoment(END),
    "previous-event": () => step(moments, -1),
    "next-event": () => step(moments, 1),
    "previous-change": () => step(ringTimes, -1),
    "next-change": () => step(ringTimes, 1),
    "next-finding": () => {
      if (!findingTimes.length) return;
      const i = after(findingTimes, moment.ns);
      setMoment(findingTimes[i < findingTimes.length ? i : 0]);
    },
    "zoom-in": () => timeline.zoom(0.5),
    "zoom-out": () => timeline.zoom(2),
    fit: timeline.fit,
    whole: timeline.whole,
    theme: nextTheme,
    help: () => (help.open ? help.close() : help.showModal()),
    find: consoles.focus,
  };
  for (const button of document.querySelectorAll("button[data-act]")) button.addEventListener("click", acts[button.dataset.act]);
  for (const name of ["previous-change", "next-change"])
    for (const button of document.querySelectorAll(`[data-act="${name}"]`)) button.disabled = !ringTimes.length;
  for (const button of document.querySelectorAll('[data-act="next-finding"]')) button.hidden = !findingTimes.length;

  const help = byId("help");
  help.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });
  const KEYS = { "?": "help", t: "theme", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", 0: "fit", w: "whole", ",": "previous-event",
    ".": "next-event", "[": "previous-change", "]": "next-change", f: "next-finding", Home: "first", End: "last", "/": "find" };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=range]), dialog[open]") && event.key !== "?") return;
    if (event.target.matches("input[type=search]")) return;
    if (event.target === slider && (event.key === "Home" || event.key === "End")) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    acts[act]();
  });

  onMoment((ns) => {
    slider.value = String(Math.max(0, after(moments, ns) - 1));
    slider.setAttribute("aria-valuetext", formatTime(ns));
    byId("now").textContent = formatTime(ns);
    const changes = after(ringTimes, ns);
    byId("change-count").textContent = ringTimes.length ? `ring change ${changes} of ${ringTimes.length}` : "";
  });

  function nextTheme() {
    // The first press shows a difference.
    const order = matchMedia("(prefers-color-scheme: dark)").matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    setTheme(order[(order.indexOf(document.documentElement.dataset.theme || "auto") + 1) % order.length]);
    repaint();
  }
}

/** Paper is white. */
function printInLight() {
  const root = document.documentElement;
  const repaint = () => {
    readColours();
    for (const paint of painters) paint();
  };
  let before = "auto";
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    repaint();
  });
  addEventListener("afterprint", () => {
    root.dataset.theme = before;
    repaint();
  });
}

const THEME_KEY = "rptwin-theme";

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme-text").textContent = theme;
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // A page from a file may have no storage: the theme lasts as long as the page.
  }
  readColours();
}

function keptTheme() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}
